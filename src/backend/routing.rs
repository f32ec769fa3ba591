//! The `ip rule`, `ip route` and `ip addr` commands that a policy needs beside its rules.
