//! Facts about single packets and about pairs of rulesets, written by hand.
