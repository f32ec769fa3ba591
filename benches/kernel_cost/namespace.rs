//! Processes that measure, each in a namespace of its own where a ruleset is loaded.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Instant;

use rustix::thread::{
    CpuSet, LinkNameSpaceType, move_into_link_name_space, sched_getaffinity, sched_setaffinity,
};
use socket2::{Domain, Socket, Type};

/// Set for the processes that measure, to what they measure.
const MEASURE: &str = "WEIR_KERNEL_COST";
/// Connections, or packets, in a round. All rounds of a namespace together stay far below the kernel's
/// usual limit of tracked connections, past which it drops new ones.
const COUNT: u16 = 1_000;
/// Where the transparent proxy listens.
const PROXY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 15006);
/// Asks the proxy for the CPU time that it has taken.
const ASK: u8 = b'?';

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// First packets of connections, to an interface that leads nowhere.
    Connections,
    /// Packets of a connection from another namespace which a transparent proxy has, with its answers.
    Packets,
}

impl What {
    /// What this process is asked to measure; `None` if it is the one that asks.
    pub(crate) fn asked() -> Option<Self> {
        let asked = std::env::var_os(MEASURE)?;
        Some(if asked == "packets" { Self::Packets } else { Self::Connections })
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Packets => "packets",
        }
    }

    /// Answers every line with the CPU time of one.
    pub(crate) fn measure(self) -> io::Result<()> {
        stay_on_one_processor()?;
        match self {
            Self::Connections => connections(),
            Self::Packets => packets(),
        }
    }
}

/// A process that measures in a namespace of its own, and ends with its standard input.
pub(crate) struct Namespace {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Namespace {
    pub(crate) fn new(
        [program, argument]: [&str; 2],
        ruleset: &str,
        what: What,
    ) -> io::Result<Self> {
        let missing = |what: &str| io::Error::new(io::ErrorKind::Unsupported, what.to_owned());
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(ruleset.as_bytes())?;
        let script = "ip link set lo up && ip link add sink type veth peer name drain \
             && ip link set sink arp off up && ip addr add 198.18.0.1/15 dev sink \
             && ip route add local default dev lo table 133 && ip rule add fwmark 1337 lookup 133 \
             && \"$1\" \"$2\" \"$3\" && exec \"$0\" --bench";
        let mut process = Command::new("unshare")
            .args(["-n", "sh", "-c", script])
            .arg(std::env::current_exe()?)
            .args([program, argument])
            .arg(file.path())
            .env(MEASURE, what.word())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| missing(&format!("unshare: {error}")))?;
        let ask = process.stdin.take().ok_or_else(|| missing("standard input"))?;
        let answers = process.stdout.take().ok_or_else(|| missing("standard output"))?;
        let mut namespace = Self { process, ask, answers: BufReader::new(answers) };
        // The first round warms up, and says whether the namespace could be made.
        namespace.round().map_err(|_| missing(&format!("no namespace with {program} as root")))?;
        Ok(namespace)
    }

    /// CPU time of one in nanoseconds.
    pub(crate) fn round(&mut self) -> io::Result<f64> {
        self.ask.write_all(b"go\n")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        answer.trim().parse().map_err(io::Error::other)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A process that has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One processor may be faster than another, and processes that take turns do not change places.
fn stay_on_one_processor() -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    if let Some(last) = (0..CpuSet::MAX_CPU).rfind(|processor| allowed.is_set(*processor)) {
        one.set(last);
    }
    Ok(sched_setaffinity(None, &one)?)
}

fn connections() -> io::Result<()> {
    let socket = UdpSocket::bind("198.18.0.1:0")?;
    for (round, line) in io::stdin().lines().enumerate() {
        line?;
        let [_, _, high, low] = u32::try_from(round).map_err(io::Error::other)?.to_be_bytes();
        let to = |port| SocketAddr::from(([198, 19, high, low], port));
        let before = cpu_time()?;
        // Every port is another connection to conntrack.
        for port in 10_000..10_000 + COUNT {
            socket.send_to(b"?", to(port))?;
        }
        answer(cpu_time()? - before);
    }
    Ok(())
}

fn packets() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_ip_transparent_v4(true)?;
    socket.bind(&PROXY.into())?;
    socket.listen(1)?;
    let listener: TcpListener = socket.into();
    thread::spawn(move || listener.accept().and_then(|(stream, _)| answer_packets(stream)));
    let beyond = Beyond::new()?;
    move_into_link_name_space(beyond.namespace()?.as_fd(), Some(LinkNameSpaceType::Network))?;
    // Where no rule captures it, the proxy is there itself.
    let address = |port| SocketAddr::from(([198, 18, 0, 1], port));
    let captured = TcpStream::connect(address(8080));
    let mut stream = captured.or_else(|_| TcpStream::connect(address(PROXY.port())))?;
    stream.set_nodelay(true)?;
    let mut byte = [0];
    let proxy_time = |stream: &mut TcpStream| -> io::Result<u64> {
        stream.write_all(&[ASK])?;
        let mut time = [0; 8];
        stream.read_exact(&mut time)?;
        Ok(u64::from_be_bytes(time))
    };
    for line in io::stdin().lines() {
        line?;
        let before = cpu_time()? + proxy_time(&mut stream)?;
        for _ in 0..COUNT {
            stream.write_all(&byte)?;
            stream.read_exact(&mut byte)?;
        }
        answer(cpu_time()? + proxy_time(&mut stream)? - before);
    }
    Ok(())
}

/// Sends back what comes, and where that is asked the CPU time of this thread.
fn answer_packets(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        if byte == [ASK] {
            stream.write_all(&cpu_time()?.to_be_bytes())?;
        } else {
            stream.write_all(&byte)?;
        }
    }
}

/// The namespace at the other end of the interface, which ends with its standard input.
struct Beyond(Child);

impl Beyond {
    fn new() -> io::Result<Self> {
        let script = "echo && read -r _ && ip addr add 198.18.0.2/15 dev drain \
             && ip link set drain up && echo && cat";
        let mut process = Command::new("unshare")
            .args(["-n", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut answers = BufReader::new(process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let moved = Command::new("ip")
            .args(["link", "set", "drain", "netns", &process.id().to_string()])
            .status()?;
        if !moved.success() {
            return Err(io::Error::other("the interface stays"));
        }
        let up = Command::new("ip").args(["link", "set", "sink", "arp", "on", "up"]).status()?;
        let ask = process.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        ask.write_all(b"\n")?;
        answers.read_line(&mut line)?;
        if up.success() { Ok(Self(process)) } else { Err(io::Error::other("no interface")) }
    }

    fn namespace(&self) -> io::Result<File> {
        File::open(format!("/proc/{}/ns/net", self.0.id()))
    }
}

impl Drop for Beyond {
    fn drop(&mut self) {
        // A process that has ended already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Says what one of a round took.
fn answer(nanoseconds: u64) {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 nanoseconds")]
    let each = nanoseconds as f64 / f64::from(COUNT);
    println!("{each}");
}

/// Nanoseconds of CPU time of this thread so far; of the clock, if the kernel does not count them.
fn cpu_time() -> io::Result<u64> {
    static START: OnceLock<Instant> = OnceLock::new();
    // The kernel counts when it switches to another thread.
    std::thread::yield_now();
    if let Ok(text) = std::fs::read_to_string("/proc/thread-self/schedstat") {
        let first = text.split_whitespace().next().unwrap_or_default();
        return first.parse().map_err(io::Error::other);
    }
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).map_err(io::Error::other)
}
