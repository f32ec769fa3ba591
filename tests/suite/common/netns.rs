//! Network namespaces to load rulesets into, each gone when it is dropped.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

pub(crate) use super::skip::skip;

/// A network namespace in which loopback is up and nothing else is there.
pub(crate) struct Netns {
    /// Lives in it. Ends when its standard input closes, so also when the test is killed.
    holder: Child,
    /// How to get in: its own user namespace too, if it has one.
    enter: &'static [&'static str],
}

/// The environment variable that tells the `probe` of a test binary what to do.
pub(crate) const PROBE: &str = "WEIR_PROBE";

/// What a running probe says in the end.
pub(crate) fn answer(probe: Child) -> String {
    let output = probe.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = text.lines().find_map(|line| line.split("probe: ").nth(1));
    answer.unwrap_or_else(|| panic!("{output:?}")).to_owned()
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    /// Whether it exited with 0.
    pub(crate) ok: bool,
    /// Its standard output.
    pub(crate) out: String,
    /// Its standard error.
    pub(crate) err: String,
}

/// Whether namespaces can be made that are root's, or a printed note.
///
/// # Panics
///
/// If they cannot and `WEIR_REQUIRE_KERNEL` is 1.
pub(crate) fn available_to_root() -> bool {
    let available = available() && Netns::new().is_roots();
    if !available {
        skip("root has to make the namespaces");
    }
    available
}

/// Whether the programs are installed, or a printed note.
///
/// # Panics
///
/// If one is not and `WEIR_REQUIRE_KERNEL` is 1.
pub(crate) fn are_installed(programs: &[&str]) -> bool {
    let is_installed = |program: &&&str| {
        let mut command = Command::new("sh");
        command.args(["-c", "command -v \"$1\" >/dev/null", "sh", program]);
        command.status().is_ok_and(|status| status.success())
    };
    let missing = programs.iter().find(|program| !is_installed(program));
    if let Some(program) = missing {
        skip(&format!("`{program}` is not installed"));
    }
    missing.is_none()
}

/// Whether namespaces can be made, or a printed note.
///
/// # Panics
///
/// If they cannot and `WEIR_REQUIRE_KERNEL` is 1.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        let missing = match Netns::try_new() {
            Err(error) => error,
            Ok(netns) if !netns.try_run("nft", &["list", "ruleset"]) => "nft does not work".into(),
            Ok(netns) if !netns.try_run("ip", &["-V"]) => "ip does not work".into(),
            Ok(_) => return true,
        };
        skip(&format!("no namespace to test in: {missing}"));
        false
    })
}

impl Netns {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        Self::try_new().unwrap()
    }

    fn try_new() -> Result<Self, String> {
        let mut last = String::new();
        // An ordinary user needs a user namespace around it.
        for (flags, enter) in
            [("-n", &["-n"][..]), ("-rn", &["-n", "-U", "--preserve-credentials"])]
        {
            let spawned = Command::new("unshare")
                .args([flags, "sh", "-c", "ip link set lo up && echo ready && exec cat"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            let mut holder = spawned.map_err(|error| format!("unshare: {error}"))?;
            let mut line = String::new();
            let stdout = holder.stdout.take().ok_or("unshare has no output")?;
            BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
            if line == "ready\n" {
                return Ok(Self { holder, enter });
            }
            last = format!("`unshare {flags}` fails");
            holder.wait().map_err(|error| error.to_string())?;
        }
        Err(last)
    }

    /// Runs `program` in it, with `input`.
    pub(crate) fn run(&self, program: &str, args: &[&str], input: &str) -> Done {
        let mut child = self
            .command(program, args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // From another thread, because the program may write before it has read everything.
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        // A program that stops reading has said why.
        let _ = writer.join().unwrap();
        Done {
            ok: status.success(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    /// A command in it, to be spawned by the caller.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid()]).args(self.enter).arg(program).args(args);
        command
    }

    /// The process to name where `ip` wants a namespace.
    pub(crate) fn pid(&self) -> String {
        self.holder.id().to_string()
    }

    /// Whether root made it. In a user namespace, there are no other users, no links to other
    /// namespaces, and only transactions that fit an ordinary socket buffer.
    pub(crate) fn is_roots(&self) -> bool {
        self.enter.len() == 1
    }

    /// A command that runs `probe` in it as `user`: the test of that name of this test binary,
    /// with [`PROBE`] set to `task`.
    pub(crate) fn probe(&self, user: u32, task: &str) -> Command {
        self.probe_as(user, user, task)
    }

    /// The same as `user` and `group`.
    pub(crate) fn probe_as(&self, user: u32, group: u32, task: &str) -> Command {
        let this = std::env::current_exe().unwrap();
        let (user, group) = (user.to_string(), group.to_string());
        let ids = if self.is_roots() { vec!["-S", &user, "-G", &group] } else { Vec::new() };
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid()]).args(self.enter).args(ids).arg(this);
        command.args(["--exact", "kernel::probe", "--nocapture"]).env(PROBE, task);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What `probe` says about `task`, as `user`.
    pub(crate) fn ask(&self, user: u32, task: &str) -> String {
        answer(self.probe(user, task).spawn().unwrap())
    }

    /// Standard output of `program`, which must succeed.
    pub(crate) fn output(&self, program: &str, args: &[&str]) -> String {
        let done = self.run(program, args, "");
        assert!(done.ok, "{program} {args:?}: {}", done.err);
        done.out
    }

    /// Loads an nft script, or libnftables JSON if it begins with `{`. Nothing may be said about
    /// it.
    pub(crate) fn load(&self, ruleset: &str) {
        let done = self.try_load(ruleset);
        assert!(done.ok && done.err.is_empty(), "{}\n{ruleset:.20000}", done.err);
    }

    /// Loads an nft script, or libnftables JSON if it begins with `{`.
    pub(crate) fn try_load(&self, ruleset: &str) -> Done {
        // From a file: nft 1.0.9 and older take broken JSON from a pipe for an empty script.
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(ruleset.as_bytes()).unwrap();
        let path = file.path().to_str().unwrap();
        let json: &[&str] = if ruleset.starts_with('{') { &["-j"] } else { &[] };
        self.run("nft", &[json, &["-f", path]].concat(), "")
    }

    /// The ruleset that is loaded, without handles, counts and versions, and with sets in order:
    /// equal for equal rulesets.
    pub(crate) fn ruleset(&self) -> Value {
        normalised(&self.output("nft", &["-j", "list", "ruleset"]))
    }

    /// Takes every rule, chain, set and table away.
    pub(crate) fn flush(&self) {
        self.output("nft", &["flush", "ruleset"]);
    }

    /// Rules, routes and addresses, as `ip` lists them once the kernel has settled: it makes the
    /// route of a new address a moment later.
    pub(crate) fn routing(&self) -> String {
        let mut last = self.list_routing();
        loop {
            std::thread::sleep(Duration::from_millis(30));
            let now = self.list_routing();
            if now == last {
                return now;
            }
            last = now;
        }
    }

    fn list_routing(&self) -> String {
        let all: [&[&str]; 5] = [
            &["-4", "rule", "list"],
            &["-6", "rule", "list"],
            &["-4", "route", "show", "table", "all"],
            &["-6", "route", "show", "table", "all"],
            &["-o", "addr", "show"],
        ];
        all.map(|args| self.output("ip", args)).join("\n")
    }

    fn try_run(&self, program: &str, args: &[&str]) -> bool {
        let status =
            self.command(program, args).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// Asserts that script and JSON load to the same ruleset, and that loading again changes nothing.
/// Leaves the namespace without rules; one does for any number of rulesets.
pub(crate) fn same_ruleset(netns: &Netns, script: &str, json: &str) {
    netns.load(script);
    let from_script = netns.ruleset();
    netns.load(script);
    assert_eq!(netns.ruleset(), from_script, "loading twice is loading once\n{script:.20000}");
    netns.flush();
    netns.load(json);
    let from_json = netns.ruleset();
    assert_same(&from_script, &from_json, script, json);
    netns.load(json);
    assert_eq!(netns.ruleset(), from_json, "loading twice is loading once\n{json:.20000}");
    netns.flush();
}

/// Asserts that two listings are equal, object by object, so that a difference is readable.
fn assert_same(script_list: &Value, json_list: &Value, script: &str, json: &str) {
    let objects = |list: &Value| list["nftables"].as_array().unwrap().clone();
    let (left, right) = (objects(script_list), objects(json_list));
    for (one, other) in left.iter().zip(&right) {
        assert_eq!(one, other, "script and JSON differ\n{script:.20000}\n{json:.20000}");
    }
    assert_eq!(left.len(), right.len(), "script and JSON differ\n{script:.20000}\n{json:.20000}");
}

/// What `nft -j list ruleset` printed, without handles, counts and versions, and with sets in order.
pub(crate) fn normalised(list: &str) -> Value {
    let mut list = serde_json::from_str(list).unwrap();
    normalise(&mut list);
    list
}

fn normalise(value: &mut Value) {
    match value {
        Value::Array(values) => {
            values.retain(|value| value.get("metainfo").is_none());
            values.iter_mut().for_each(normalise);
        }
        Value::Object(fields) => {
            fields.remove("handle");
            if let Some(counter) = fields.get_mut("counter") {
                *counter = Value::Null;
            }
            for (key, value) in fields {
                normalise(value);
                // The kernel hashes: the order is another each time.
                if (key == "set" || key == "elem")
                    && let Value::Array(elements) = value
                {
                    elements.sort_by_cached_key(Value::to_string);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
