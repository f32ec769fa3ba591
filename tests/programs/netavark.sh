# netavark's rules, with which podman publishes ports of a container.
. "${0%/*}/prelude.sh"
mkfifo ready
unshare -n sh -c 'echo >ready; exec sleep 60' >/dev/null 2>&1 &
container=$!
trap 'kill $container; wait' EXIT
read -r _ <ready
cat >network.json <<END
{
  "container_id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "container_name": "web",
  "port_mappings": [
    {"container_port": 80, "host_ip": "", "host_port": 30080, "protocol": "tcp", "range": 1},
    {"container_port": 53, "host_ip": "10.1.0.1", "host_port": 8080, "protocol": "udp", "range": 1}
  ],
  "networks": {"web": {"static_ips": ["10.88.0.2", "fd88::2"], "interface_name": "eth0"}},
  "network_info": {
    "web": {
      "name": "web",
      "id": "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9",
      "driver": "bridge",
      "network_interface": "podman0",
      "created": "2026-01-01T00:00:00Z",
      "subnets": [
        {"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"},
        {"subnet": "fd88::/64", "gateway": "fd88::1"}
      ],
      "ipv6_enabled": true,
      "internal": false,
      "dns_enabled": false,
      "ipam_options": {"driver": "host-local"}
    }
  }
}
END
netavark --config "$PWD" --file network.json setup "/proc/$container/ns/net" >/dev/null
