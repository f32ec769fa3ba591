//! Text for `iptables-restore --noflush` and `ip6tables-restore --noflush`.
