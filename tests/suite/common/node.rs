//! The rules of a large node, as `iptables-save` prints what kube-proxy makes.

use std::fmt::Write;

/// A node with so many services of two endpoints each, which are 8 rules a service.
pub(crate) fn node(services: usize) -> String {
    let names = |service: usize| {
        let endpoint = |at: usize| format!("KUBE-SEP-{:016X}", 2 * service + at);
        (format!("KUBE-SVC-{service:016X}"), [endpoint(0), endpoint(1)])
    };
    let mut text = String::from(
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n*nat\n\
         :PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
         :POSTROUTING ACCEPT [0:0]\n:KUBE-MARK-MASQ - [0:0]\n:KUBE-POSTROUTING - [0:0]\n\
         :KUBE-SERVICES - [0:0]\n",
    );
    for service in 0..services {
        let (name, [one, other]) = names(service);
        let _ = writeln!(text, ":{name} - [0:0]\n:{one} - [0:0]\n:{other} - [0:0]");
    }
    text += "-A PREROUTING -m comment --comment \"services\" -j KUBE-SERVICES\n\
             -A OUTPUT -m comment --comment \"services\" -j KUBE-SERVICES\n\
             -A POSTROUTING -m comment --comment \"masquerade\" -j KUBE-POSTROUTING\n\
             -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n\
             -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n\
             -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0\n\
             -A KUBE-POSTROUTING -j MASQUERADE --random-fully\n";
    for service in 0..services {
        let (name, endpoints) = names(service);
        let address = format!("10.96.{}.{}", service / 250, service % 250 + 1);
        let comment = format!("-m comment --comment \"shop/service-{service}:web\"");
        let of_service = format!("-d {address}/32 -p tcp {comment} -m tcp --dport 80");
        let _ = write!(
            text,
            "-A KUBE-SERVICES {of_service} -j {name}\n\
             -A {name} ! -s 10.244.0.0/16 {of_service} -j KUBE-MARK-MASQ\n\
             -A {name} {comment} -m statistic --mode random --probability 0.50000000000 -j {}\n\
             -A {name} {comment} -j {}\n",
            endpoints[0], endpoints[1],
        );
        for (at, endpoint) in endpoints.iter().enumerate() {
            let number = 2 * service + at;
            let address = format!("10.244.{}.{}", number / 250, number % 250 + 2);
            let _ = write!(
                text,
                "-A {endpoint} -s {address}/32 {comment} -j KUBE-MARK-MASQ\n\
                 -A {endpoint} -p tcp {comment} -m tcp -j DNAT --to-destination {address}:8080\n",
            );
        }
    }
    text + "COMMIT\n"
}
