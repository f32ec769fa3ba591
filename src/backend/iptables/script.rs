//! A shell script around the texts of both families, which replaces what is loaded of the policy.

use std::fmt::Write;

use crate::ip::iptables::replacing;
use crate::lower::Lowered;
use crate::net::{Family, Name};

/// A POSIX shell script that loads both texts of the policy called `name`, each empty or what
/// [`emit`](super::emit) writes, in the place of every version of it that is there.
///
/// In no moment is less captured than by what was there or by what will be: old chains get other names, which
/// jumps to them follow; then all that is new is loaded behind what is old; then what is old goes. If anything
/// fails before that, what is old is in force. Tried with both variants of iptables 1.8.9.
#[must_use]
pub fn script(name: &Name, lowered: &Lowered, texts: [&str; 2]) -> String {
    let mut script = String::new();
    let _ = writeln!(
        script,
        "#!/bin/sh\n# Loads policy `{name}` with iptables, in the place of every other version of it."
    );
    let [ipv4, ipv6] = texts;
    script
        + &replacing(lowered.chains, &lowered.owned, |family| match family {
            Family::Ipv4 => ipv4,
            Family::Ipv6 => ipv6,
        })
}
