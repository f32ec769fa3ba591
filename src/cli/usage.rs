//! What to write in the place of arguments that clap refuses, where that is known.

use std::net::IpAddr;

use super::files::shown;
use crate::import::{GivenAs, IMPORTERS};

/// A tip for those who gave `arguments`, which are refused.
pub(super) fn tip(arguments: impl IntoIterator<Item = String>) -> Option<String> {
    let arguments: Vec<String> = arguments.into_iter().collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let instead = match &words[..] {
        ["import", mesh, rest @ ..] => import(mesh, rest)?,
        ["pod-address", rest @ ..] => pod_address(rest)?,
        _ => return None,
    };
    Some(format!("  tip: write `weir {}`", shown(instead.as_ref())))
}

/// `import istio pod.yaml`, `import istio --args -p 15001`.
fn import(mesh: &str, rest: &[&str]) -> Option<String> {
    let importer = IMPORTERS.iter().find(|importer| importer.name == mesh)?;
    let is_arguments = |form: &&crate::import::Form| matches!(form.given, GivenAs::Arguments(_));
    if let Some(form) = importer.forms.iter().find(is_arguments)
        && let Some(at) = rest.iter().position(|word| *word == format!("--{}", form.flag))
        && rest.len() > at + 2
    {
        let flags = rest[at + 1..].join(" ");
        let before = [&["import", mesh], &rest[..at]].concat().join(" ");
        return Some(format!("{before} --{}='{flags}'", form.flag));
    }
    let file = rest.iter().find(|word| !word.starts_with('-'))?;
    let before = rest.iter().take_while(|word| *word != file).last();
    let form = importer
        .forms
        .iter()
        .find(|form| matches!(form.given, GivenAs::File(_) | GivenAs::Files(_)))?;
    let is_value = before.is_some_and(|before| before.starts_with('-') && !before.contains('='));
    (!is_value).then(|| format!("import {mesh} --{} {file}", form.flag))
}

/// `pod-address node.weir add 10.0.0.1`, `pod-address add 10.0.0.1 node.weir`.
fn pod_address(rest: &[&str]) -> Option<String> {
    let (options, words): (Vec<&str>, Vec<&str>) =
        rest.iter().partition(|word| word.starts_with('-') && word.len() > 1);
    let (addresses, others): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| word.parse::<IpAddr>().is_ok());
    let is_change = |word: &&&str| matches!(**word, "add" | "delete" | "remove");
    let addresses_are_missing = addresses.is_empty();
    let change = others.iter().find(is_change)?;
    let file = others.iter().find(|word| !is_change(word))?;
    let instead = [vec!["pod-address", change, file], addresses, options].concat().join(" ");
    let is_another = instead != format!("pod-address {}", rest.join(" "));
    // What is neither an address nor the policy is for clap to name.
    (is_another && !addresses_are_missing && others.len() == 2).then_some(instead)
}

#[cfg(test)]
mod tests {
    use super::tip;

    #[test]
    fn what_is_nearly_right_is_said_right() {
        for (arguments, instead) in [
            ("import istio pod.yaml", Some("import istio --pod pod.yaml")),
            ("import istio --args -p 15001", Some("import istio --args='-p 15001'")),
            ("import istio --pod", None),
            ("pod-address node.weir add 10.0.0.1", Some("pod-address add node.weir 10.0.0.1")),
            (
                "pod-address add 10.0.0.1 fd00::1 node.weir",
                Some("pod-address add node.weir 10.0.0.1 fd00::1"),
            ),
            ("pod-address add node.weir 10.0.0.300", None),
            ("compile", None),
        ] {
            let tip = tip(arguments.split(' ').map(str::to_owned));
            assert_eq!(tip, instead.map(|it| format!("  tip: write `weir {it}`")), "{arguments}");
        }
    }
}
