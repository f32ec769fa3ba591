//! Methods that say clauses of a policy in code.

/// Makes a constructor for a kind of policy, and a method for each of its clauses: a line each, with what it
/// takes and the field that it sets.
macro_rules! clauses {
    ($policy:ident {
        $($(#[doc = $doc:literal])* $method:ident($form:ident $value:ty) => $($field:ident).+;)*
    }) => {
        impl $policy {
            /// A policy called `name` with the defaults of its kind, for methods to say clauses of.
            pub fn new(name: impl Into<String>) -> $crate::policy::Unchecked<Self> {
                $crate::policy::Unchecked::of(name, Self::default())
            }
        }

        impl $crate::policy::Unchecked<$policy> {
            $($crate::policy::build::clause! {
                $(#[doc = $doc])* $method($form $value) => $($field).+
            })*
        }
    };
}

/// The method for one clause.
macro_rules! clause {
    // A value.
    ($(#[doc = $doc:literal])* $method:ident(one $value:ty) => $($field:ident).+) => {
        $(#[doc = $doc])*
        #[must_use]
        pub fn $method(mut self, value: $value) -> Self {
            self.kind.$($field).+ = value.into();
            self
        }
    };
    // A value, or what is one.
    ($(#[doc = $doc:literal])* $method:ident(like $value:ty) => $($field:ident).+) => {
        $(#[doc = $doc])*
        #[must_use]
        pub fn $method(mut self, value: impl Into<$value>) -> Self {
            self.kind.$($field).+ = value.into().into();
            self
        }
    };
    // A value, or nothing.
    ($(#[doc = $doc:literal])* $method:ident(maybe $value:ty) => $($field:ident).+) => {
        $(#[doc = $doc])*
        #[must_use]
        pub fn $method(mut self, value: impl Into<Option<$value>>) -> Self {
            self.kind.$($field).+ = value.into().into();
            self
        }
    };
    // Several numbers.
    ($(#[doc = $doc:literal])* $method:ident(numbers $value:ty) => $($field:ident).+) => {
        $(#[doc = $doc])*
        #[must_use]
        pub fn $method(mut self, values: impl IntoIterator<Item = $value>) -> Self {
            let values: Vec<$value> = values.into_iter().collect();
            self.kind.$($field).+ = values.into();
            self
        }
    };
    // Several values.
    ($(#[doc = $doc:literal])* $method:ident(list $value:ty) => $($field:ident).+) => {
        $(#[doc = $doc])*
        #[must_use]
        pub fn $method(mut self, values: impl IntoIterator<Item: Into<$value>>) -> Self {
            let values: Vec<$value> = values.into_iter().map(Into::into).collect();
            self.kind.$($field).+ = values.into();
            self
        }
    };
    // Everything, or several values.
    ($(#[doc = $doc:literal])* $method:ident(selection $value:ty) => $($field:ident).+) => {
        $(#[doc = $doc])*
        #[must_use]
        pub fn $method(mut self, values: impl Into<$crate::policy::Selection<$value>>) -> Self {
            self.kind.$($field).+ = values.into().into();
            self
        }
    };
}

pub(super) use {clause, clauses};
