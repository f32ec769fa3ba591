//! What is loaded in a network namespace: what `nft`, iptables and `ip` say there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::diag::escape::on_one_line;
use crate::ip::Listings;

/// Which network namespace is asked.
#[derive(Args)]
pub(super) struct Where {
    /// Ask what is loaded in this namespace: nft, both variants of iptables, and routing.
    #[arg(long)]
    live: bool,
    /// Ask the same of another namespace: of a name (`ip netns list`), or that of a process.
    #[arg(long, value_name = "NAME|PID")]
    netns: Option<String>,
}

/// A network namespace.
#[derive(Clone, Debug)]
pub(super) struct Namespace {
    /// What it is called: `this namespace`, `namespace web`, `the namespace of process 17`.
    pub(super) name: String,
    /// Where its handle is; `None`: the one that weir runs in.
    handle: Option<PathBuf>,
}

/// What the tools print.
pub(super) struct Live {
    /// `nft -a list ruleset`.
    pub(super) nft: String,
    /// What `iptables-save` and `ip6tables-save` print, of each variant of iptables that is
    /// installed and has tables, with what the variant is called.
    pub(super) iptables: Vec<(&'static str, [String; 2])>,
    /// Whether that is so of the variant that keeps its tables in nft.
    pub(super) has_iptables_nft: bool,
    /// What `ip` lists of IPv4 and IPv6; `None` if it is not installed.
    pub(super) routing: Option<[Listings; 2]>,
}

/// Where named namespaces have their handles (iproute2).
const NAMED: &str = "/run/netns";

impl Where {
    /// The namespace, if one is asked.
    pub(super) fn namespace(&self) -> io::Result<Option<Namespace>> {
        match &self.netns {
            Some(called) => Namespace::called(called).map(Some),
            None => Ok(self.live.then(Namespace::this)),
        }
    }
}

impl Namespace {
    /// The one that weir runs in.
    pub(super) fn this() -> Self {
        Self { name: "this namespace".to_owned(), handle: None }
    }

    fn called(text: &str) -> io::Result<Self> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
        let is_name = !text.is_empty() && !text.contains('/') && text != "." && text != "..";
        let (name, handle) = if is_number {
            (format!("the namespace of process {text}"), format!("/proc/{text}/ns/net"))
        } else if is_name {
            (format!("namespace {}", on_one_line(text)), format!("{NAMED}/{text}"))
        } else {
            return Err(io::Error::other(
                "`--netns` takes a name, as `ip netns list` prints it, or the number of a process",
            ));
        };
        let handle = PathBuf::from(handle);
        match fs::metadata(&handle) {
            Ok(_) => Ok(Self { name, handle: Some(handle) }),
            Err(error) => Err(io::Error::new(error.kind(), format!("cannot find {name}: {error}"))),
        }
    }

    /// Every namespace that has a name or a process, each once.
    ///
    /// # Errors
    ///
    /// If the processes cannot be listed.
    pub(super) fn all() -> io::Result<Vec<Self>> {
        let mut all: BTreeMap<(u64, u64), Self> = BTreeMap::new();
        let mut add = |name: String, handle: PathBuf| {
            // What goes away meanwhile is not there.
            let Ok(data) = fs::metadata(&handle) else { return };
            all.entry((data.dev(), data.ino())).or_insert(Self { name, handle: Some(handle) });
        };
        let mut named: Vec<_> = fs::read_dir(NAMED).into_iter().flatten().flatten().collect();
        named.sort_by_key(fs::DirEntry::file_name);
        for entry in named {
            let name = entry.file_name().to_string_lossy().into_owned();
            add(format!("namespace {}", on_one_line(&name)), entry.path());
        }
        let is_process = |entry: &fs::DirEntry| {
            entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        };
        let mut processes: Vec<u32> =
            fs::read_dir("/proc")?.flatten().filter_map(|entry| is_process(&entry)).collect();
        processes.sort_unstable();
        for process in processes {
            let handle = PathBuf::from(format!("/proc/{process}/ns/net"));
            add(format!("the namespace of process {process}"), handle);
        }
        let mut all: Vec<Self> = all.into_values().collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// Asks `nft`, every variant of iptables that is installed, and `ip`.
    ///
    /// # Errors
    ///
    /// If neither nft nor iptables is there, or one of all fails.
    pub(super) fn ask(&self) -> io::Result<Live> {
        let nft = self.output("nft", &["-a", "list", "ruleset"])?;
        let mut iptables = Vec::new();
        let mut has_iptables_nft = false;
        let mut is_installed = false;
        for variant in ["-nft", "-legacy"] {
            let v4 = self.output(&format!("iptables{variant}-save"), &[])?;
            let v6 = self.output(&format!("ip6tables{variant}-save"), &[])?;
            if v4.is_none() && v6.is_none() {
                continue;
            }
            has_iptables_nft |= variant == "-nft";
            let texts = [v4.unwrap_or_default(), v6.unwrap_or_default()];
            if texts.iter().any(|text| !text.trim().is_empty()) {
                iptables.push((variant.trim_start_matches('-'), texts));
            }
            is_installed = true;
        }
        if !is_installed && let Some(v4) = self.output("iptables-save", &[])? {
            let v6 = self.output("ip6tables-save", &[])?.unwrap_or_default();
            iptables.push(("iptables", [v4, v6]));
            is_installed = true;
        }
        if nft.is_none() && !is_installed {
            return Err(io::Error::other("neither nft nor iptables-save is installed"));
        }
        let routing = match [self.listings("-4")?, self.listings("-6")?] {
            [Some(v4), Some(v6)] => Some([v4, v6]),
            _ => None,
        };
        Ok(Live { nft: nft.unwrap_or_default(), iptables, has_iptables_nft, routing })
    }

    /// What `ip` lists of a family; `None` if it is not installed.
    fn listings(&self, family: &str) -> io::Result<Option<Listings>> {
        let ip = |what: &[&str]| self.output("ip", &[&["-j", "-N", family][..], what].concat());
        let Some(rules) = ip(&["rule", "list"])? else { return Ok(None) };
        let routes = ip(&["route", "show", "table", "all"])?.unwrap_or_default();
        let addresses = ip(&["address", "show", "dev", "lo"])?.unwrap_or_default();
        Ok(Some(Listings { rules, routes, addresses }))
    }

    /// What a program prints in the namespace; `None` if it is not installed.
    fn output(&self, program: &str, arguments: &[&str]) -> io::Result<Option<String>> {
        let output = match &self.handle {
            None => Command::new(program).args(arguments).output(),
            Some(handle) => {
                if !is_installed(program) {
                    return Ok(None);
                }
                let mut net = OsString::from("--net=");
                net.push(handle);
                let mut command = Command::new("nsenter");
                command.arg(net).arg("--").arg(program).args(arguments).output()
            }
        };
        let output = match output {
            Ok(output) => output,
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.handle.is_none() => {
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(io::Error::other(
                    "nsenter is not installed, with which other namespaces are asked",
                ));
            }
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("cannot run {program}: {error}")));
            }
        };
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = on_one_line(said.trim());
            return Err(io::Error::other(format!("{program} fails in {}: {said}", self.name)));
        }
        let text = String::from_utf8(output.stdout);
        text.map(Some).map_err(|_| io::Error::other(format!("{program} prints no UTF-8")))
    }
}

/// Whether a program is on the path.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
