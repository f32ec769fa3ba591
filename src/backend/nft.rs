//! A script for `nft -f`, and the same ruleset as libnftables JSON.
