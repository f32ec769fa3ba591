//! `weir istio-iptables` in the place of upstream's tool: with the same arguments, packets come to the same
//! sockets.

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use ipnet::IpNet;
use netweir::net::Family;
use serde_json::Value;

use crate::common::corpus;
use crate::common::netns::{self, Done, Netns};
use crate::common::pod::{Landing, Pod, Probe, Proxy, SERVICES};

/// How many configurations beside upstream's own are tried.
const SAMPLE: usize = 60;

/// Names of options in a configuration, and the flags that say the same.
const FLAGS: &[(&str, &str)] = &[
    ("PROXY_PORT", "-p"),
    ("INBOUND_CAPTURE_PORT", "-z"),
    ("INBOUND_TUNNEL_PORT", "-e"),
    ("PROXY_UID", "-u"),
    ("PROXY_GID", "-g"),
    ("INBOUND_INTERCEPTION_MODE", "-m"),
    ("INBOUND_TPROXY_MARK", "-t"),
    ("INBOUND_TPROXY_ROUTE_TABLE", "-r"),
    ("INBOUND_PORTS_INCLUDE", "-b"),
    ("INBOUND_PORTS_EXCLUDE", "-d"),
    ("OUTBOUND_PORTS_INCLUDE", "-q"),
    ("OUTBOUND_PORTS_EXCLUDE", "-o"),
    ("OUTBOUND_IPRANGES_INCLUDE", "-i"),
    ("OUTBOUND_IPRANGES_EXCLUDE", "-x"),
    ("KUBE_VIRT_INTERFACES", "-k"),
    ("EXCLUDE_INTERFACES", "-c"),
    ("REDIRECT_DNS", "--redirect-dns"),
    ("CAPTURE_ALL_DNS", "--capture-all-dns"),
    ("DROP_INVALID", "--drop-invalid"),
];

/// The same of those that only variables say.
const VARIABLES: &[(&str, &str)] = &[
    ("OUTBOUND_OWNER_GROUPS_INCLUDE", "ISTIO_OUTBOUND_OWNER_GROUPS"),
    ("OUTBOUND_OWNER_GROUPS_EXCLUDE", "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE"),
    ("HOST_IPV4_LOOPBACK_CIDR", "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR"),
];

/// What upstream looks up, and does not take.
const LOOKED_UP: [&str; 3] = ["DNS_SERVERS_V4", "DNS_SERVERS_V6", "ENABLE_INBOUND_IPV6"];

/// A configuration of upstream's.
struct Config<'a>(&'a Value);

impl Config<'_> {
    fn text(&self, key: &str) -> String {
        match &self.0[key] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    fn or(&self, key: &str, default: &str) -> String {
        Some(self.text(key)).filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
    }

    fn items(&self, key: &str) -> Vec<String> {
        let text = self.text(key);
        text.split(',').filter(|it| !it.is_empty()).map(|it| it.trim().to_owned()).collect()
    }

    /// The first number of each of the first few items.
    fn numbers(&self, key: &str) -> Vec<u32> {
        let items = self.items(key);
        let numbers = items.iter().filter_map(|item| item.split([':', '-']).next()?.parse().ok());
        numbers.take(2).collect()
    }

    fn has_ipv6(&self) -> bool {
        self.0["ENABLE_INBOUND_IPV6"] == true
    }

    fn proxy(&self) -> Proxy {
        let port = |key, default: &str| self.or(key, default).parse().unwrap();
        Proxy {
            user: self.numbers("PROXY_UID").first().copied().unwrap_or(1337),
            outbound_port: port("PROXY_PORT", "15001"),
            inbound_port: port("INBOUND_CAPTURE_PORT", "15006"),
            tunnel_port: port("INBOUND_TUNNEL_PORT", "15008"),
        }
    }

    /// The words of the command line, and the variables.
    fn command(&self) -> (Vec<String>, Vec<(String, String)>) {
        let (mut words, mut variables) = (Vec::new(), Vec::new());
        for key in self.0.as_object().unwrap().keys() {
            let value = self.text(key);
            let find = |names: &[(&'static str, &'static str)]| {
                names.iter().find(|(known, _)| known == key).map(|(_, name)| *name)
            };
            if let Some(flag) = find(FLAGS) {
                if flag.starts_with("--") {
                    words.push(format!("{flag}={value}"));
                } else {
                    words.extend([flag.to_owned(), value]);
                }
            } else if let Some(variable) = find(VARIABLES) {
                variables.push((variable.to_owned(), value));
            } else {
                assert!(LOOKED_UP.contains(&key.as_str()), "{key}");
            }
        }
        // The pod has addresses of both families, of which IPv4 counts unless both do.
        words.push(format!("--dual-stack={}", self.has_ipv6()));
        (words, variables)
    }

    /// The pod's resolv.conf.
    fn resolv_conf(&self) -> String {
        let lines = self.servers().into_iter().map(|server| format!("nameserver {server}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn servers(&self) -> Vec<String> {
        let servers = ["DNS_SERVERS_V4", "DNS_SERVERS_V6"].map(|key| &self.0[key]);
        let servers = servers.iter().flat_map(|servers| servers.as_array().into_iter().flatten());
        servers.map(|server| server.as_str().unwrap().to_owned()).collect()
    }

    /// Names of interfaces but `eth0`, which is there.
    fn interface(&self) -> Option<String> {
        let all = ["EXCLUDE_INTERFACES", "KUBE_VIRT_INTERFACES"].map(|key| self.items(key));
        all.concat().into_iter().find(|name| name != "eth0" && !name.contains('+'))
    }

    /// Addresses that the pod sends to: the peer's, its own, and one of each network that is named.
    fn destinations(&self, family: Family) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> = match family {
            Family::Ipv4 => {
                ["10.0.0.9", "10.5.0.9", "10.0.0.7", "127.0.0.1", "127.1.2.3"].as_slice()
            }
            Family::Ipv6 => ["fd00::9", "fd05::9", "fd00::7", "::1"].as_slice(),
        }
        .iter()
        .map(|address| address.parse().unwrap())
        .collect();
        for key in ["OUTBOUND_IPRANGES_INCLUDE", "OUTBOUND_IPRANGES_EXCLUDE"] {
            let networks = self.items(key).into_iter().filter_map(|it| it.parse::<IpNet>().ok());
            let networks = networks.filter(|it| Family::of(it.addr()) == family).take(3);
            all.extend(
                networks.filter_map(|network| network.hosts().nth(1).or(Some(network.addr()))),
            );
        }
        all.extend(self.servers().iter().filter_map(|server| server.parse::<IpAddr>().ok()));
        let is_good =
            |it: &IpAddr| Family::of(*it) == family && !it.is_unspecified() && !it.is_multicast();
        all.retain(is_good);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A few packets for every rung that the configuration could make decide.
    fn probes(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        let ids = |keys: &[&str]| keys.iter().flat_map(|key| self.numbers(key)).collect::<Vec<_>>();
        let users = ids(&["PROXY_UID"]).into_iter().map(|user| (user, 2000));
        let groups =
            ids(&["PROXY_GID", "OUTBOUND_OWNER_GROUPS_INCLUDE", "OUTBOUND_OWNER_GROUPS_EXCLUDE"]);
        let groups = groups.into_iter().map(|group| (1000, group));
        let others = [(1000, 1000), (1337, 1337), (1000, 3001), (1000, 3002)];
        let mut senders: Vec<(u32, u32)> = users.chain(groups).chain(others).collect();
        senders.sort_unstable();
        senders.dedup();
        let ports = |keys: &[&str]| {
            let named = ids(keys).into_iter().filter_map(|port| u16::try_from(port).ok());
            let mut ports: Vec<u16> = named.chain([80, 53, 443, 15008, 15020, 9]).collect();
            ports.retain(|port| *port != 0);
            ports.sort_unstable();
            ports.dedup();
            ports
        };
        let outbound =
            ports(&["OUTBOUND_PORTS_INCLUDE", "OUTBOUND_PORTS_EXCLUDE", "INBOUND_TUNNEL_PORT"]);
        let inbound =
            ports(&["INBOUND_PORTS_INCLUDE", "INBOUND_PORTS_EXCLUDE", "INBOUND_TUNNEL_PORT"]);
        for family in Family::ALL {
            let mut add = |from_pod, is_tcp, (user, group), source: Option<&str>, to, port| {
                let source = source.map(|source| source.parse().unwrap());
                let to = SocketAddr::new(to, port);
                probes.push(Probe { from_pod, is_tcp, user, group, source, to });
            };
            let own: [IpAddr; 2] = match family {
                Family::Ipv4 => ["10.0.0.7", "10.5.0.7"],
                Family::Ipv6 => ["fd00::7", "fd05::7"],
            }
            .map(|address| address.parse().unwrap());
            for to in self.destinations(family) {
                for sender in &senders {
                    for (is_tcp, port) in [(true, 80), (true, 53), (false, 53)] {
                        add(true, is_tcp, *sender, None, to, port);
                    }
                }
                for port in &outbound {
                    add(true, true, senders[0], None, to, *port);
                    if SERVICES.contains(port) {
                        add(true, false, senders[0], None, to, *port);
                    }
                    add(true, true, (self.proxy().user, 2000), None, to, *port);
                }
            }
            let passthrough = match family {
                Family::Ipv4 => Some("127.0.0.6"),
                Family::Ipv6 => self.has_ipv6().then_some("::6"),
            };
            for sender in senders.iter().filter(|_| passthrough.is_some()) {
                add(true, true, *sender, passthrough, own[0], 80);
            }
            for to in own {
                for port in &inbound {
                    add(false, true, (0, 0), None, to, *port);
                }
                add(false, false, (0, 0), None, to, 53);
            }
        }
        probes
    }
}

/// Runs weir in the pod with the files that it looks into.
fn weir(netns: &Netns, config: &Config<'_>) -> Done {
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let resolv = write("resolv.conf", &config.resolv_conf());
    let names = corpus::groups();
    let lines = names.iter().map(|(name, number)| format!("{name}:x:{number}:"));
    let group = write("group", &lines.collect::<Vec<_>>().join("\n"));
    let script = "mount --bind \"$1\" /etc/resolv.conf; mount --bind \"$2\" /etc/group
                  shift 2; exec env \"$@\"";
    let (words, variables) = config.command();
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let weir = env!("CARGO_BIN_EXE_weir").to_owned();
    let fixed = ["-m", "sh", "-ec", script, "sh", &resolv, &group];
    let call = variables.iter().chain([&weir]).map(String::as_str).chain(["istio-iptables"]);
    let args: Vec<&str> =
        fixed.into_iter().chain(call).chain(words.iter().map(String::as_str)).collect();
    netns.run("unshare", &args, "")
}

/// Loads upstream's texts in the place of those before, and does what upstream does beside them.
fn upstream(netns: &Netns, config: &Config<'_>, texts: [&str; 2]) {
    let numbers = corpus::groups();
    for (program, text) in ["iptables", "ip6tables"].iter().zip(texts) {
        // Upstream's iptables looks groups up on the machine.
        let text = numbers.iter().fold(text.to_owned(), |text, (name, number)| {
            text.replace(&format!("--gid-owner {name} "), &format!("--gid-owner {number} "))
        });
        let text = format!("*raw\nCOMMIT\n*mangle\nCOMMIT\n*nat\nCOMMIT\n{text}");
        let done = netns.run(&format!("{program}-legacy-restore"), &[], &text);
        assert!(done.ok, "{program}: {}\n{text}", done.err);
    }
    let mut script = "for family in -4 -6; do
             ip $family rule del pref 100 2>/dev/null || true
         done
         ip -6 addr del ::6/128 dev lo 2>/dev/null || true\n"
        .to_owned();
    if config.has_ipv6() {
        script += "ip -6 addr add ::6/128 dev lo nodad\n";
    }
    let mode = config.text("INBOUND_INTERCEPTION_MODE");
    if mode == "TPROXY" && !config.text("INBOUND_PORTS_INCLUDE").is_empty() {
        let mark = config.or("INBOUND_TPROXY_MARK", "1337");
        let table = config.or("INBOUND_TPROXY_ROUTE_TABLE", "133");
        for (family, everything) in [("-4", "0.0.0.0/0"), ("-6", "::/0")] {
            if family == "-4" || config.has_ipv6() {
                writeln!(
                    script,
                    "ip {family} rule add fwmark {mark} lookup {table} pref 100
                     ip {family} route replace local {everything} dev lo table {table}"
                )
                .unwrap();
            }
        }
    }
    let done = netns.run("sh", &["-es"], &script);
    assert!(done.ok, "{}\n{script}", done.err);
}

/// Which packets come to other sockets under weir than under upstream's texts, and where all come.
fn differing(
    config: &Config<'_>,
    texts: [&str; 2],
    call: &Config<'_>,
    pods: &mut [Pod; 2],
) -> (Vec<String>, Vec<Landing>) {
    let probes = config.probes();
    let proxy = config.proxy();
    for pod in &mut *pods {
        if !pod.has_ports(2 * probes.len()) {
            *pod = Pod::new();
        }
        if let Some(interface) = config.interface() {
            pod.rename_second(&interface);
        }
    }
    upstream(&pods[0].netns, config, texts);
    let done = weir(&pods[1].netns, call);
    assert!(done.ok, "{}{}", done.out, done.err);
    let mut left: Vec<Probe> = probes.clone();
    let mut seen = Vec::new();
    // Slowness looks like silence, and never like anything else.
    for patience in [20, 100, 400].map(Duration::from_millis) {
        let [theirs, ours] = pods.each_mut().map(|pod| pod.send(&left, &proxy, patience));
        let differing = left.iter().zip(theirs.iter().zip(&ours)).filter(|(_, (a, b))| a != b);
        let differing: Vec<_> = differing.collect();
        let is_slow = |(_, (one, other)): &(&Probe, (&Landing, &Landing))| {
            [one, other].contains(&&&Landing::Silent)
        };
        let wrong = differing.iter().filter(|it| !is_slow(it) || patience.as_millis() == 400);
        let wrong: Vec<_> = wrong
            .map(|(probe, (one, other))| format!("{probe}\n  upstream: {one:?}\n  weir: {other:?}"))
            .collect();
        left = differing.into_iter().map(|(probe, _)| probe.clone()).collect();
        seen.extend(theirs);
        if left.is_empty() || !wrong.is_empty() {
            return (wrong, seen);
        }
    }
    unreachable!("the last time, all that differs is wrong")
}

#[test]
fn packets_come_where_they_come_with_upstreams_tool() {
    if !netns::available_to_root() || !netns::are_installed(&["iptables-legacy-restore"]) {
        return;
    }
    let Some(text) = corpus::text("istio") else { return };
    let entries: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sidecars = entries.iter().filter(|entry| entry["kind"] == "sidecar");
    let is_upstreams = |entry: &&Value| entry["name"].as_str().unwrap().starts_with("upstream/");
    let (own, random): (Vec<&Value>, Vec<&Value>) = sidecars.partition(is_upstreams);
    let step = (random.len() / SAMPLE).max(1);
    let some: Vec<&Value> =
        own.iter().copied().chain(random.into_iter().step_by(step).take(SAMPLE)).collect();
    assert!(own.len() >= 28 && some.len() >= own.len() + 50, "{} of {}", own.len(), some.len());
    // What waits in one world does not keep the other.
    thread::scope(|scope| {
        let parts: Vec<_> = some
            .chunks(some.len().div_ceil(2))
            .map(|part| {
                scope.spawn(move || {
                    let mut pods = [Pod::new(), Pod::new()];
                    part.iter().flat_map(|entry| try_one(entry, &mut pods)).collect::<Vec<_>>()
                })
            })
            .collect();
        let seen: Vec<_> = parts.into_iter().flat_map(|part| part.join().unwrap()).collect();
        assert!(seen.len() > 200 * some.len(), "{}", seen.len());
        for is_ipv4 in [true, false] {
            for port in [15001, 15006, 15053, 80] {
                let came = |landing: &Landing| match landing {
                    Landing::At { address, .. } => {
                        address.is_ipv4() == is_ipv4 && address.port() == port
                    }
                    Landing::Refused | Landing::Silent => false,
                };
                let count = seen.iter().filter(|landing| came(landing)).count();
                assert!(count > 100, "port {port}, IPv4 {is_ipv4}: {count}");
            }
        }
    });
}

#[test]
fn an_argument_that_differs_is_seen() {
    if !netns::available_to_root() || !netns::are_installed(&["iptables-legacy-restore"]) {
        return;
    }
    let Some(text) = corpus::text("istio") else { return };
    let is_it = |entry: &Value| entry["name"] == "upstream/sidecar/inbound-ports-wildcard";
    let mut entries = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let entry: Value = entries.find(is_it).unwrap();
    let mut pods = [Pod::new(), Pod::new()];
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let texts = [text("iptables"), text("ip6tables")];
    for (key, value) in [
        ("INBOUND_PORTS_EXCLUDE", "443"),
        ("INBOUND_PORTS_INCLUDE", "80"),
        ("OUTBOUND_IPRANGES_INCLUDE", "10.5.0.0/16"),
        ("EXCLUDE_INTERFACES", "eth0"),
        ("PROXY_UID", "1000"),
    ] {
        let mut other = entry["config"].clone();
        other[key] = value.into();
        let (config, call) = (Config(&entry["config"]), Config(&other));
        let (wrong, _) = differing(&config, texts, &call, &mut pods);
        assert!(!wrong.is_empty(), "{key}");
    }
}

fn try_one(entry: &Value, pods: &mut [Pod; 2]) -> Vec<Landing> {
    let name = entry["name"].as_str().unwrap();
    let config = Config(&entry["config"]);
    if entry["error"].is_string() {
        let done = weir(&pods[1].netns, &config);
        assert!(!done.ok, "{name}: upstream says {}", entry["error"]);
        return Vec::new();
    }
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let texts = [text("iptables"), text("ip6tables")];
    let (wrong, seen) = differing(&config, texts, &config, pods);
    assert!(wrong.is_empty(), "{name}: {}\n{}", wrong.len(), wrong.join("\n"));
    seen
}
