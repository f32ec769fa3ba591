//! Failing closed: what a command that fails leaves for whatever would load its product.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::panic;

use clap::{Arg, Command};

use crate::diag::REFUSAL;

/// Commands whose product is loaded or piped on.
const LOADED: [&str; 3] = ["compile", "pod-address", "import"];
/// Their options that name a file or a folder for it instead of standard output.
const ELSEWHERE: [&str; 2] = ["output", "out_dir"];

/// Whether somebody waits on standard output for what may be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    is_awaited: bool,
}

impl Refusal {
    /// What the arguments say, also where clap refuses them: a word that is no command may have been
    /// meant as one of those that are loaded.
    pub(super) fn of(weir: &Command, arguments: impl IntoIterator<Item = OsString>) -> Self {
        let mut commands = vec![weir];
        let mut arguments = arguments.into_iter().map(|it| it.to_string_lossy().into_owned());
        while let Some(argument) = arguments.next() {
            if argument == "--" {
                break;
            }
            let (option, mut value) = if argument.starts_with("--") {
                let (name, value) = argument.split_once('=').unzip();
                let name = &name.unwrap_or(&argument)[2..];
                (find(&commands, |option| option.get_long() == Some(name)), value)
            } else if let Some(short) = argument.strip_prefix('-') {
                let mut rest = short.chars();
                let name = rest.next();
                let value = Some(rest.as_str()).filter(|value| !value.is_empty());
                (find(&commands, |option| name.is_some() && option.get_short() == name), value)
            } else {
                let innermost = commands.last().copied();
                commands.extend(innermost.and_then(|it| it.find_subcommand(&argument)));
                continue;
            };
            let Some(option) = option.filter(|option| option.get_action().takes_values()) else {
                continue;
            };
            let next = if value.is_none() { arguments.next() } else { None };
            value = value.or(next.as_deref());
            let is_product = ELSEWHERE.contains(&option.get_id().as_str());
            if is_product && value.is_some_and(|value| value != "-") {
                return Self { is_awaited: false };
            }
        }
        let command = commands.get(1);
        Self { is_awaited: command.is_none_or(|command| LOADED.contains(&command.get_name())) }
    }

    /// Leaves the line, if somebody waits who is no person.
    pub(super) fn write(self) {
        let mut stdout = io::stdout().lock();
        if self.is_awaited && !stdout.is_terminal() {
            // Nobody may be reading; the exit status says it all the same.
            let _ = writeln!(stdout, "{REFUSAL}").and_then(|()| stdout.flush());
        }
    }

    /// Leaves the line where weir panics, too. A hook, because a release does not unwind.
    pub(super) fn write_on_panic(self) {
        let say = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            say(panic);
            self.write();
        }));
    }
}

/// The option of the innermost command that has one like it.
fn find<'a>(commands: &[&'a Command], is_it: impl Fn(&Arg) -> bool) -> Option<&'a Arg> {
    commands.iter().rev().find_map(|command| command.get_arguments().find(|arg| is_it(arg)))
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use clap::CommandFactory;

    use super::Refusal;
    use crate::cli::Weir;
    use crate::diag::REFUSAL;

    #[test]
    fn it_is_for_what_is_loaded_from_standard_output() {
        let weir = Weir::command();
        let awaits = |line: &str| {
            let arguments = line.split(' ').filter(|word| !word.is_empty()).map(Into::into);
            Refusal::of(&weir, arguments).is_awaited
        };
        for line in [
            "compile p",
            "compile",
            "compile --nonsense p",
            "--color always compile p",
            "--report check compile p",
            "compile p -o -",
            "compile p -o",
            "compile p -- -o f",
            "compile --emit -o p",
            "pod-address add p 10.0.0.1",
            "import istio --args -o=25",
            "import istio --args -o",
            "import",
            "",
            "compil p",
            "--nonsense compile p",
            "compile check",
        ] {
            assert!(awaits(line), "{line}");
        }
        for line in [
            "compile p -o f",
            "compile -of p",
            "compile --nonsense --output=f p",
            "compile --out-dir d p",
            "import istio --args -x -o f",
            "pod-address add p 10.0.0.1 --output f",
            "check p",
            "--color always check p",
            "check compile",
            "man compile",
        ] {
            assert!(!awaits(line), "{line}");
        }
    }

    /// Is its own child, which panics.
    #[test]
    fn a_panic_leaves_the_line() {
        const CHILD: &str = "WEIR_PANICS";
        if env::var_os(CHILD).is_some() {
            Refusal { is_awaited: true }.write_on_panic();
            panic!("on purpose");
        }
        let this = "cli::refusal::tests::a_panic_leaves_the_line";
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", this, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(!child.status.success());
        let said = String::from_utf8(child.stdout).unwrap();
        assert!(said.contains(&format!("{REFUSAL}\n")), "{said}");
        assert!(String::from_utf8(child.stderr).unwrap().contains("on purpose"));
    }
}
