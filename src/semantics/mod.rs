//! What a ruleset does to one packet, and to all of them.
