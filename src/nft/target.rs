//! The oldest nft that must load the output.

use std::fmt;
use std::str::FromStr;

/// The oldest nft that must be able to load what is written.
///
/// A newer one loads it too. Only what no form for the older version says exactly needs a newer
/// target; see [`legal`](crate::backend::nft::legal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target([u16; 4]);

/// Why a text is not a [`Target`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadTarget {
    /// It is not three numbers, or four, with dots between.
    #[error("a version of nft is three numbers, such as `{}`", Target::OLDEST.number())]
    Form,
    /// It is older than [`Target::OLDEST`].
    #[error("the oldest nft that is supported is {}", Target::OLDEST.number())]
    TooOld,
}

impl Target {
    /// 1.0.1, of November 2021. Every form was tried with 1.0.1, 1.0.6, 1.1.3 and 1.1.7; older
    /// versions crash on JSON that later ones accept.
    pub const OLDEST: Self = Self([1, 0, 1, 0]);

    /// A version.
    pub(crate) const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self([major, minor, patch, 0])
    }

    /// Whether a mark can be set to a combination of two marks: since 1.1.2.
    pub(crate) fn combines_marks(self) -> bool {
        self >= Self([1, 1, 2, 0])
    }

    fn number(self) -> impl fmt::Display {
        let [major, minor, patch, fix] = self.0;
        let fix = if fix == 0 { String::new() } else { format!(".{fix}") };
        format!("{major}.{minor}.{patch}{fix}")
    }
}

impl Default for Target {
    fn default() -> Self {
        Self::OLDEST
    }
}

/// `nft 1.0.1`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nft {}", self.number())
    }
}

/// `1.0.1`, or `1.0.6.1` (there is one such release).
impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let mut numbers = [0; 4];
        let mut count = 0;
        for part in text.split('.') {
            let number = numbers.get_mut(count).ok_or(BadTarget::Form)?;
            if !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(BadTarget::Form);
            }
            *number = part.parse().map_err(|_| BadTarget::Form)?;
            count += 1;
        }
        match Self(numbers) {
            _ if count < 3 => Err(BadTarget::Form),
            target if target < Self::OLDEST => Err(BadTarget::TooOld),
            target => Ok(target),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BadTarget, Target};

    #[test]
    fn a_target_is_a_version_from_1_0_1_on() {
        for (text, shown) in [
            ("1.0.1", Ok("nft 1.0.1")),
            ("1.0.6.1", Ok("nft 1.0.6.1")),
            ("1.1.7", Ok("nft 1.1.7")),
            ("2.0.0", Ok("nft 2.0.0")),
            ("1.0.0", Err(BadTarget::TooOld)),
            ("0.9.8", Err(BadTarget::TooOld)),
            ("1.1", Err(BadTarget::Form)),
            ("1.0.6.1.0", Err(BadTarget::Form)),
            ("1.0.+6", Err(BadTarget::Form)),
            ("1.0.", Err(BadTarget::Form)),
            ("v1.0.6", Err(BadTarget::Form)),
            ("1.0.65536", Err(BadTarget::Form)),
            ("", Err(BadTarget::Form)),
        ] {
            let target = text.parse::<Target>().map(|target| target.to_string());
            assert_eq!(target, shown.map(str::to_owned), "{text}");
        }
        assert!(!"1.1.1".parse::<Target>().unwrap().combines_marks());
        assert!("1.1.2".parse::<Target>().unwrap().combines_marks());
    }
}
