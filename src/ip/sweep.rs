//! The shell function that takes away routing rules and routes of older versions, which had other numbers.
//!
//! Of a protocol number of weir's own is what bears it. What has none is known by its form, as weir 0.1.0
//! and Istio leave it: a rule for a mark alone, which leads to a table that holds `local default dev lo` and
//! nothing else. A rule of somebody else that looks just like that is taken for one.

use super::{Rule, Selector, Stack};
use crate::net::Family;

/// How its definition begins and ends, and how it is called.
pub(super) const BEGIN: &str = "sweep() {";
pub(super) const END: &str = "}";
pub(super) const CALL: &str = "sweep ";

/// What stands around the protocol number in the first line that has it.
const PROTOCOL: (&str, &str) = (" proto ", "\"");

/// Its definition. It is called with `-4` or `-6`, with the rule to keep as a pattern of the shell for
/// `PRIORITY:RULE` in the words of `ip -N rule list`, and with the table to keep; both are empty to keep
/// nothing.
///
/// `ip -N` is there since iproute2 5.0 of 2019; `ip rule list` takes no notice of a protocol, as of 6.1.
pub(crate) fn definition(protocol: u8) -> String {
    format!(
        r#"sweep() {{
    newline='
'
    tables=$(ip "$1" -N rule list | while IFS=: read -r priority rule; do
        rule=${{rule#?}}
        case "$priority:$rule" in
            $2 | $2" proto {protocol}") continue ;;
            *":from all fwmark "*" "*" lookup "*) continue ;;
            *":from all fwmark "*" lookup "*" proto {protocol}") ;;
            *":from all fwmark "*" lookup "*[!0-9]*) continue ;;
            *":from all fwmark "*" lookup "*)
                case "$(ip "$1" route list table "${{rule##* }}" 2>&1)" in
                    *"$newline"*) continue ;;
                    "local default dev lo "*) echo "${{rule##* }}" ;;
                    *) continue ;;
                esac ;;
            *) continue ;;
        esac
        ip "$1" rule del priority "$priority" $rule
    done)
    for table in $tables; do
        [ "$table" = "$3" ] && continue
        [ -z "$(ip "$1" rule list table "$table")" ] || continue
        ip "$1" route replace local default dev lo table "$table"
        ip "$1" route del local default dev lo table "$table"
    done
    ip "$1" -N route list table all proto {protocol} | while read -r route; do
        table=${{route##*" table "}}
        table=${{table%% *}}
        [ "$table" = "$3" ] || ip "$1" route del local default dev lo table "$table" proto {protocol}
    done
}}
"#
    )
}

/// The protocol number of a definition, word for word; `None` if it is none.
pub(super) fn protocol(text: &str) -> Option<u8> {
    let (_, rest) = text.split_once(PROTOCOL.0)?;
    let (number, _) = rest.split_once(PROTOCOL.1)?;
    number.parse().ok().filter(|protocol| definition(*protocol) == text)
}

/// The arguments with which it is called for a family, to keep a rule or none.
pub(crate) fn arguments(family: Family, keep: Option<&Selector>) -> String {
    let option = match family {
        Family::Ipv4 => "-4",
        Family::Ipv6 => "-6",
    };
    let Some(Selector { mark, mask, table, priority, .. }) = keep else {
        return format!("{option} '' ''");
    };
    let priority = priority.map_or_else(|| "*".to_owned(), |priority| priority.to_string());
    let (mark, table) = (mark.unwrap_or_default(), table.unwrap_or_default());
    let some = mask.filter(|mask| *mask != u32::MAX);
    let some = some.map(|mask| format!("/{mask:#x}")).unwrap_or_default();
    format!("{option} '{priority}:from all fwmark {mark:#x}{some} lookup {table}' {table}")
}

impl Stack {
    /// What the function does.
    pub(crate) fn sweep(&mut self, protocol: u8, keep: Option<&Selector>) {
        let is_kept = |rule: &Rule| {
            keep.is_some_and(|keep| keep.fits(rule)) && [0, protocol].contains(&rule.protocol)
        };
        let kept = keep.and_then(|keep| keep.table);
        let everywhere = self.everywhere;
        let mut left = Vec::new();
        for rule in self.rules.clone() {
            let is_for_mark = rule.mask != 0 || rule.mark != 0;
            let routes = || self.routes.iter().filter(|((table, _), _)| *table == rule.table);
            let has_form = || {
                let mut routes = routes();
                let first = routes.next();
                first.is_some_and(|((_, to), route)| *to == everywhere && route.is_local)
                    && routes.next().is_none()
            };
            if is_kept(&rule) || !is_for_mark {
                continue;
            }
            match rule.protocol {
                0 if has_form() => left.push(rule.table),
                other if other == protocol => {}
                _ => continue,
            }
            if let Some(at) = self.rules.iter().position(|other| *other == rule) {
                self.rules.remove(at);
            }
        }
        left.retain(|table| {
            kept != Some(*table) && self.rules.iter().all(|rule| rule.table != *table)
        });
        for table in left {
            self.routes.remove(&(table, everywhere));
        }
        self.routes.retain(|(table, _), route| route.protocol != protocol || kept == Some(*table));
    }
}
