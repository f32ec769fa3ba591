# What the scripts of this folder begin with. Each runs in a network namespace and a mount namespace that
# are its own, in an empty FOLDER: `sh SCRIPT FOLDER VARIANT FORM`. Nothing outside of FOLDER is written.
set -eu
cd "$1"
variant=$2 form=$3
PATH=$PATH:/usr/sbin:/sbin:/usr/lib/podman:/usr/libexec/podman
unset NOTIFY_SOCKET

# `iptables` and all that goes with it is one program, of either variant.
program() { readlink -f "$(command -v "$1")"; }
if [ "$(program iptables)" != "$(program "iptables-$variant")" ]; then
  mount --bind "$(program "iptables-$variant")" "$(program iptables)"
fi

# Tries a command until it works, or for five seconds.
within_reason() {
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 50 ]
    sleep 0.1
  done
}
