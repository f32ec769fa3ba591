macro_rules! pages {
    ($($code:literal)*) => {
        /// Every code that a problem can have, in order.
        pub const CODES: &[&str] = &[$($code),*];

        /// The page on `code`, in Markdown: what it means, what causes it, and what is right.
        /// `None` if no problem has the code.
        #[must_use]
        pub fn explain(code: &str) -> Option<&'static str> {
            match code {
                $($code => Some(include_str!(concat!("explain/", $code, ".md"))),)*
                _ => None,
            }
        }
    };
}

pages! {
    "E101" "E102" "E103" "E104" "E105" "E106" "E107" "E108" "E109" "E110" "E111"
    "E201" "E202" "E203" "E204" "E205" "E206"
    "E301" "E302" "E303" "E304" "E305" "E306" "E307" "E308" "E309" "E310" "E311" "E312" "E313"
    "E314" "E315" "E316" "E317" "E318" "E319" "E320" "E321" "E322" "E323" "E324" "E325" "E326"
    "E327" "E328" "E329"
    "E401"
    "W501" "W502" "W503" "W504" "W505" "W506" "W507" "W508" "W509" "W510" "W511"
}
