//! Network namespaces: what they are called, and running something inside of one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::diag::escape::on_one_line;

/// A network namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// What it is called: `this namespace`, `namespace web`, `the namespace of process 17`.
    name: String,
    /// Where its handle is; `None`: the one that the program runs in.
    handle: Option<PathBuf>,
}

/// Where named namespaces have their handles (iproute2).
const NAMED: &str = "/run/netns";

impl Namespace {
    /// The one that the program runs in.
    #[must_use]
    pub fn this() -> Self {
        Self { name: "this namespace".to_owned(), handle: None }
    }

    /// The one that a file is the handle of, as the container network interface (CNI) hands it to a plugin:
    /// `/var/run/netns/cni-1234`.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        let name = format!("namespace {}", on_one_line(&path.to_string_lossy()));
        Self { name, handle: Some(path) }
    }

    /// The one of that name, as `ip netns list` prints it, or of the process of that number.
    ///
    /// # Errors
    ///
    /// If it is neither, or is not there.
    pub fn called(text: &str) -> io::Result<Self> {
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
    pub fn all() -> io::Result<Vec<Self>> {
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

    /// What it is called: `this namespace`, `namespace web`, `the namespace of process 17`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs something in it, with all that it starts. Another namespace is entered by a thread of its own, so
    /// that the rest of the program stays where it is.
    ///
    /// # Errors
    ///
    /// If the namespace cannot be entered, which needs `CAP_SYS_ADMIN`.
    pub fn enter<T: Send>(&self, run: impl FnOnce() -> T + Send) -> io::Result<T> {
        let Some(handle) = &self.handle else { return Ok(run()) };
        let refused = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot enter {}: {error}", self.name))
        };
        let file = fs::File::open(handle).map_err(refused)?;
        let inside = || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(file.as_fd(), network).map_err(|why| refused(why.into()))?;
            Ok(run())
        };
        thread::scope(|scope| scope.spawn(inside).join().unwrap_or_else(|why| resume_unwind(why)))
    }
}
