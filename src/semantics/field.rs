//! Numbers of packets as Boolean variables.

/// A number of a packet, as variables from its highest bit to its lowest.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) first: u32,
    pub(super) bits: u32,
    /// From one bit's variable to the next: 2 for the two marks, whose bits alternate because
    /// rules copy one to the other.
    pub(super) stride: u32,
    /// The highest number that it holds.
    pub(super) highest: u128,
    /// If the variables are those of a class of numbers: the place of the classes in the space.
    pub(super) classes: Option<usize>,
}

impl Field {
    /// The variable of a bit; 0 is the highest.
    pub(super) const fn variable(self, bit: u32) -> u32 {
        self.first + bit * self.stride
    }

    pub(super) const fn bits(self) -> u32 {
        self.bits
    }

    /// The highest number that it holds.
    pub(super) const fn highest(self) -> u128 {
        self.highest
    }

    /// A number of one bit.
    pub(super) const fn of_variable(variable: u32) -> Self {
        Self::of_variables(variable, 1)
    }

    /// A number of `bits` bits, whose variables begin with `first`.
    pub(super) const fn of_variables(first: u32, bits: u32) -> Self {
        Self { first, bits, stride: 1, highest: u128::MAX >> (128 - bits), classes: None }
    }
}
