//! `weir istio-iptables` and its like as they are called: what each flag makes of a namespace, of the log and of
//! the exit status, and by which names.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use netweir::syntax::NoIncludes;
use netweir::{Options, compile};
use serde_json::Value;

use crate::common::netns::{self, Done, Netns};
use crate::common::shipped::root;

/// What the injected container has of arguments.
const INJECTED: &[&str] = &[
    "-p",
    "15001",
    "-z",
    "15006",
    "-u",
    "1337",
    "-m",
    "REDIRECT",
    "-i",
    "*",
    "-x",
    "",
    "-b",
    "*",
    "-d",
    "15090,15021,15020",
    "--log_output_level=default:info",
];

/// A namespace with an address of each family.
fn pod() -> Netns {
    let netns = Netns::new();
    netns.output("ip", &["link", "add", "eth0", "type", "veth", "peer", "name", "peer0"]);
    for address in ["10.0.0.7/24", "fd00::7/64"] {
        netns.output("ip", &["addr", "add", address, "dev", "eth0"]);
    }
    netns.output("ip", &["link", "set", "eth0", "up"]);
    netns
}

fn weir(netns: &Netns, tool: &str, args: &[&str]) -> (i32, Done) {
    run(netns, &[&[env!("CARGO_BIN_EXE_weir"), tool], args].concat())
}

/// Runs a program in the namespace, and says its exit status.
fn run(netns: &Netns, words: &[&str]) -> (i32, Done) {
    let script = "\"$@\" && status=0 || status=$?; echo \"status $status\" >&2";
    let mut done = netns.run("sh", &[&["-c", script, "sh"], words].concat(), "");
    let at = done.err.rfind("status ").unwrap_or_else(|| panic!("{done:?}"));
    let status = done.err.split_off(at);
    (status["status ".len()..].trim().parse().unwrap(), done)
}

/// The messages of a log of Istio's.
fn messages(log: &str) -> Vec<&str> {
    log.lines().map(|line| line.split('\t').nth(2).unwrap_or_default()).collect()
}

#[test]
fn what_was_decided_is_the_first_line_of_the_log() {
    if !netns::available() {
        return;
    }
    let netns = pod();
    let (status, done) = weir(&netns, "istio-iptables", INJECTED);
    assert_eq!(status, 0, "{done:?}");
    let said = messages(&done.out);
    assert_eq!(
        said[0],
        "sidecar istio { family ipv4; inbound { exclude port 15090, 15021, 15020 } }"
    );
    assert!(compile("a", said[0], &NoIncludes, &Options::default()).is_ok());
    assert_eq!(said.last(), Some(&"Rules are loaded, read back, and proved to be the policy"));
    let (time, rest) = done.out.split_once('\t').unwrap();
    assert_eq!((time.len(), time.as_bytes()[10], &rest[..5]), (27, b'T', "info\t"));

    let loaded = netns.ruleset();
    let (status, done) = weir(&netns, "istio-iptables", INJECTED);
    assert_eq!(status, 0, "{done:?}");
    let there = "Rules are there already, and proved to be the policy";
    assert_eq!(messages(&done.out).last(), Some(&there));
    assert_eq!(netns.ruleset(), loaded);

    let as_json = [INJECTED, &["--log_as_json", "--dual-stack"]].concat();
    let (status, done) = weir(&netns, "istio-iptables", &as_json);
    assert_eq!(status, 0, "{done:?}");
    let lines: Vec<Value> =
        done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["level"] == "info" && line["time"].is_string()));
    assert!(!lines[0]["msg"].as_str().unwrap().contains("family ipv4"), "{}", lines[0]);
    assert!(netns.routing().contains("::6/128"));
}

#[test]
fn each_flag_does_what_it_does_with_upstreams_tool() {
    if !netns::available() {
        return;
    }
    let netns = pod();
    let before = (netns.ruleset(), netns.routing());
    let call = |more: &[&str]| weir(&netns, "istio-iptables", &[INJECTED, more].concat());
    for (more, expected) in [
        (&["--dry-run"][..], 0),
        (&["--skip-rule-apply"], 0),
        (&["--skip-rule-apply", "--run-validation", "--probe-timeout", "200ms"], 126),
        (&["--nonsense"], 255),
        (&["--probe-timeout", "5"], 255),
        (&["-x", "*"], 1),
        (&["-u", "root"], 1),
        (&["--network-namespace", "/nowhere"], 1),
    ] {
        let (status, done) = call(more);
        assert_eq!(status, expected, "{more:?}: {done:?}");
        assert_eq!((netns.ruleset(), netns.routing()), before, "{more:?}");
    }
    let (_, done) = call(&["--dry-run"]);
    assert!(done.out.contains("no rule changes will be made"), "{}", done.out);
    assert!(done.out.contains("table inet istio-proxy-nat"), "{}", done.out);
    let (_, done) = call(&["--log_output_level=error", "-x", "*"]);
    assert!(done.out.contains("\terror\t") && !done.out.contains("\tinfo\t"), "{}", done.out);

    let (status, done) = call(&["--dual-stack", "-m", "TPROXY"]);
    assert_eq!(status, 0, "{done:?}");
    assert!(netns.routing().contains("lookup 133"));
    let (status, done) = call(&["--dual-stack", "--cleanup-only"]);
    assert_eq!(status, 0, "{done:?}");
    assert_eq!((netns.ruleset(), netns.routing()), before);
}

#[test]
fn the_proxys_user_finds_its_rules_good_in_both_families() {
    if !netns::available_to_root() {
        return;
    }
    let netns = pod();
    let (status, done) = weir(&netns, "istio-iptables", &[INJECTED, &["--dual-stack"]].concat());
    assert_eq!(status, 0, "{done:?}");
    // As the container istio-validation is.
    let as_user = ["setpriv", "--reuid", "1337", "--regid", "1337", "--clear-groups"];
    let validate = ["--dual-stack", "--run-validation", "--skip-rule-apply"];
    let weir = [env!("CARGO_BIN_EXE_weir"), "istio-iptables"];
    let (status, done) = run(&netns, &[&as_user[..], &weir, INJECTED, &validate].concat());
    assert_eq!(status, 0, "{done:?}");
    let said = messages(&done.out);
    assert_eq!(said.last(), Some(&"Validation passed, iptables rules established"));
    for family in ["Original addr 127.0.0.6: 15002", "Original addr ::6: 15002"] {
        assert!(said.contains(&family), "{said:?}");
    }
    // Rules for IPv4 alone do not stand it.
    netns.flush();
    let (status, done) = run(&netns, &[&weir, INJECTED].concat());
    assert_eq!(status, 0, "{done:?}");
    let in_time = ["--probe-timeout", "300ms"];
    let (status, done) =
        run(&netns, &[&as_user[..], &weir, INJECTED, &validate, &in_time].concat());
    assert_eq!(status, 126, "{done:?}");
    assert!(done.out.contains("iptables validation failed"), "{}", done.out);
}

#[test]
fn another_namespace_is_meant_by_its_handle() {
    if !netns::available_to_root() {
        return;
    }
    let (here, there) = (pod(), Netns::new());
    let before = here.ruleset();
    let handle = format!("/proc/{}/ns/net", there.pid());
    let more = ["--network-namespace", &handle, "--dual-stack"];
    let (status, done) = weir(&here, "istio-iptables", &[INJECTED, &more].concat());
    assert_eq!(status, 0, "{done:?}");
    assert_eq!(here.ruleset(), before);
    assert!(there.ruleset().to_string().contains("istio-proxy-nat"));
    assert!(there.routing().contains("::6/128") && !here.routing().contains("::6/128"));
}

#[test]
fn rules_of_upstreams_tool_go_once_the_new_ones_are_there() {
    if !netns::available() || !netns::are_installed(&["iptables-legacy-restore"]) {
        return;
    }
    let text = "*nat\n:ISTIO_OUTPUT - [0:0]\n:ISTIO_REDIRECT - [0:0]\n-A OUTPUT -j ISTIO_OUTPUT\n\
                -A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN\n-A ISTIO_OUTPUT -p tcp -j \
                ISTIO_REDIRECT\n-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001\nCOMMIT\n";
    for more in [&[][..], &["--reconcile"], &["--cleanup-only"]] {
        let netns = pod();
        for variant in ["legacy", "nft"] {
            let restore = format!("iptables-{variant}-restore");
            let done = netns.run(&restore, &["--noflush"], text);
            assert!(done.ok, "{restore}: {}", done.err);
        }
        let (status, done) = weir(&netns, "istio-iptables", &[INJECTED, more].concat());
        assert_eq!(status, 0, "{more:?}: {done:?}");
        for variant in ["legacy", "nft"] {
            let left = netns.output(&format!("iptables-{variant}-save"), &[]);
            assert!(!left.contains("ISTIO_"), "{more:?}: {left}");
        }
        let is_loaded = netns.ruleset().to_string().contains("istio-proxy-nat");
        assert_eq!(is_loaded, more != ["--cleanup-only"], "{more:?}");
    }
}

#[test]
fn the_name_says_whose_place_it_takes() {
    if !netns::available() {
        return;
    }
    let netns = pod();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| {
        let path = folder.path().join(name);
        if !path.exists() {
            symlink(env!("CARGO_BIN_EXE_weir"), &path).unwrap();
        }
        path.to_str().unwrap().to_owned()
    };
    let config = folder.path().join("config.yaml");
    fs::write(&config, "kumaDPUser: 5678\nredirect: {inbound: {excludePorts: [22]}}\n").unwrap();
    let config = format!("--config={}", config.display());
    for (name, args, table, said) in [
        ("istio-iptables", INJECTED, "istio-proxy-nat", "sidecar istio { "),
        (
            "pilot-agent",
            &[&["istio-iptables"], INJECTED].concat(),
            "istio-proxy-nat",
            "sidecar istio { ",
        ),
        (
            "linkerd2-proxy-init",
            &["-p", "4143", "-o", "4140", "-u", "2102", "--inbound-ports-to-ignore", "4190"],
            "linkerd-nat",
            "linkerd linkerd { ",
        ),
        ("proxy-init", &["-p", "4143", "-o", "4140", "--ipv6=false"], "linkerd-nat", "family ipv4"),
        (
            "kumactl",
            &["install", "transparent-proxy", &config],
            "kuma-nat",
            "kuma kuma { inbound { exclude port 22 } }",
        ),
    ] {
        netns.flush();
        let (status, done) = run(&netns, &[&[path(name).as_str()], args].concat());
        assert_eq!(status, 0, "{name}: {done:?}");
        let log = format!("{}{}", done.out, done.err);
        assert!(log.lines().next().unwrap().contains(said), "{name}: {log}");
        assert!(netns.ruleset().to_string().contains(table), "{name}");
        // The same by the first argument.
        if name != "pilot-agent" {
            let (status, again) = weir(&netns, name, args);
            assert_eq!(status, 0, "{name}: {again:?}");
        }
    }
    netns.flush();
    for (name, args) in [("pilot-agent", &["proxy"][..]), ("kumactl", &["get", "meshes"])] {
        let (status, done) = run(&netns, &[&[path(name).as_str()], args].concat());
        assert_ne!(status, 0);
        assert!(done.err.contains("nothing else of"), "{name}: {done:?}");
    }
    for (name, args) in [
        ("proxy-init", &["-p", "4143"][..]),
        ("proxy-init", &["-p", "4143", "-o", "4140", "--nonsense"]),
        ("kumactl", &["install", "transparent-proxy", "--config", "/nowhere"]),
    ] {
        let (status, done) = weir(&netns, name, args);
        assert_eq!(status, 1, "{name}: {done:?}");
    }
    let (status, done) = weir(&netns, "proxy-init", &["-p", "1", "-o", "2", "--simulate"]);
    assert_eq!(status, 0, "{done:?}");
    let (status, done) = weir(&netns, "kumactl", &["install", "transparent-proxy", "--dry-run"]);
    assert_eq!(status, 0, "{done:?}");
    assert_eq!(netns.ruleset()["nftables"].as_array().map(Vec::len), Some(0));
}

/// A folder with links to these programs, for a path without any other.
fn only(programs: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for program in programs {
        let found = std::process::Command::new("sh")
            .args(["-c", "command -v \"$1\"", "sh", program])
            .output()
            .unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        symlink(found.trim(), folder.path().join(program)).unwrap();
    }
    folder
}

#[test]
fn where_only_iptables_is_there_it_loads_with_iptables() {
    let needed = ["iptables-legacy-restore", "iptables-nft-restore"];
    if !netns::available() || !netns::are_installed(&needed) {
        return;
    }
    for variant in ["legacy", "nft"] {
        let programs: Vec<String> = ["iptables", "ip6tables"]
            .iter()
            .flat_map(|word| ["save", "restore"].map(|verb| format!("{word}-{variant}-{verb}")))
            .collect();
        let programs: Vec<&str> = programs.iter().map(String::as_str).chain(["ip"]).collect();
        let folder = only(&programs);
        let path = format!("PATH={}", folder.path().display());
        let netns = pod();
        let save = |program: &str| netns.output(&format!("{program}-{variant}-save"), &[]);
        let call = |more: &[&str]| {
            let weir = ["env", &path, env!("CARGO_BIN_EXE_weir"), "istio-iptables"];
            run(&netns, &[&weir, INJECTED, more].concat())
        };
        let (status, done) = call(&["--dual-stack", "--dry-run"]);
        assert_eq!(status, 0, "{variant}: {done:?}");
        assert!(done.out.contains("-A ISTIO_INBOUND"), "{variant}: {}", done.out);
        assert!(!save("iptables").contains("ISTIO_"), "{variant}");
        // The second time over the first, and the third without IPv6.
        for (more, has_ipv6) in
            [(&["--dual-stack", "-m", "TPROXY"][..], true), (&["--dual-stack"], true), (&[], false)]
        {
            let (status, done) = call(more);
            assert_eq!(status, 0, "{variant}, {more:?}: {done:?}");
            let (v4, v6) = (save("iptables"), save("ip6tables"));
            assert_eq!(v4.matches("-A OUTPUT -j ISTIO_OUTPUT\n").count(), 1, "{variant}: {v4}");
            assert_eq!(v6.contains("ISTIO_OUTPUT"), has_ipv6, "{variant}: {v6}");
            let is_tproxy = more.contains(&"TPROXY");
            assert_eq!(netns.routing().contains("lookup 133"), is_tproxy, "{variant}");
        }
        let (status, done) = call(&["--cleanup-only"]);
        assert_eq!(status, 0, "{variant}: {done:?}");
        assert!(!save("iptables").contains("ISTIO_"), "{variant}");
    }
}

/// The content of an image in a folder, run as the container that a mesh injects is: with two capabilities, a
/// root file system that nothing can be written to, and nothing in it but what the image has.
#[test]
fn the_image_runs_as_the_injected_container_does() {
    if !netns::available_to_root() || !netns::are_installed(&["capsh", "setpriv", "ldd", "setcap"])
    {
        return;
    }
    let kuma_config = "kumaDPUser: 5678\nredirect: {dns: {enabled: true}}\n";
    for (mesh, user, entry, args, table) in [
        (
            "istio",
            0,
            "/usr/bin/weir",
            &[&["istio-iptables"], INJECTED].concat()[..],
            "istio-proxy-nat",
        ),
        (
            "istio",
            0,
            "/usr/bin/weir",
            &[&["istio-iptables"], INJECTED, &["--dual-stack", "-m", "TPROXY", "--redirect-dns"]]
                .concat(),
            "istio-proxy-raw",
        ),
        (
            "linkerd",
            65534,
            "/usr/local/bin/linkerd2-proxy-init",
            &["-p", "4143", "-o", "4140", "-u", "2102"],
            "linkerd-nat",
        ),
        (
            "kuma",
            0,
            "/usr/bin/kumactl",
            &["install", "transparent-proxy", "--config=/etc/kuma.yaml"],
            "kuma-nat",
        ),
    ] {
        let netns = pod();
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        let script = root().join("packaging/root");
        let made = std::process::Command::new(script)
            .args([mesh, image.to_str().unwrap(), env!("CARGO_BIN_EXE_weir")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        assert!(!image.join("bin/sh").exists() && !image.join("tmp").exists());
        // What the container engine mounts.
        fs::write(image.join("etc/resolv.conf"), "nameserver 10.96.0.10\n").unwrap();
        fs::write(image.join("etc/kuma.yaml"), kuma_config).unwrap();
        let (status, done) = contained(&netns, &image, user, entry, args);
        assert_eq!(status, 0, "{mesh}: {done:?}");
        assert!(netns.ruleset().to_string().contains(table), "{mesh}: {done:?}");
        if mesh == "istio" {
            // As istio-validation, which has no capability at all.
            let validate = [args, &["--run-validation", "--skip-rule-apply"]].concat();
            let (status, done) = contained(&netns, &image, 1337, entry, &validate);
            assert_eq!(status, 0, "{done:?}");
            assert!(done.out.contains("Validation passed"), "{done:?}");
        }
    }
}

fn contained(netns: &Netns, image: &Path, user: u32, entry: &str, args: &[&str]) -> (i32, Done) {
    let script = "root=$1 user=$2 entry=$3; shift 3
        mount --bind \"$root\" \"$root\"
        mount -t proc proc \"$root/proc\"
        mount -t tmpfs dev \"$root/dev\"
        touch \"$root/dev/null\"
        mount --bind /dev/null \"$root/dev/null\"
        mount -o remount,bind,ro \"$root\"
        ! touch \"$root/tmp\" 2>/dev/null
        exec env -i PATH=/usr/local/bin:/usr/bin:/usr/sbin:/sbin setpriv \
            --bounding-set=-all,+net_admin,+net_raw,+sys_chroot,+setpcap,+setuid,+setgid \
            capsh --chroot=\"$root\" --drop=cap_sys_chroot,cap_setpcap,cap_setuid,cap_setgid \
            --uid=$user --shell=\"$entry\" -- \"$@\"";
    let user = user.to_string();
    let image = image.to_str().unwrap();
    let outer = ["unshare", "-m", "sh", "-ec", script, "sh", image, &user, entry];
    run(netns, &[&outer, args].concat())
}
