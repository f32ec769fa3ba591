//! What rules read of packets.

use std::borrow::Cow;
use std::fmt::{self, Write};

use super::lexer::Token;
use super::parser::Parser;
use crate::nft::{Expr, ReadError};

impl<'a> Parser<'a> {
    /// Whether the next token begins a field rather than a value.
    pub(super) fn begins_field(&self) -> bool {
        match self.peek() {
            Token::Word(word) => begins_other(word) || is_unqualified(word) || is_header(word),
            Token::Sign("@") => {
                matches!(self.peek_second(), Token::Word("ll" | "nh" | "th" | "ih"))
            }
            _ => false,
        }
    }

    /// Something of a packet.
    pub(super) fn field(&mut self) -> Result<Expr<'a>, ReadError> {
        if self.sign_is("@") {
            return self.raw().map(other);
        }
        let word = self.any_word("a field")?;
        Ok(match word {
            "meta" => Expr::Meta(Cow::Borrowed(self.any_word("what of the packet")?)),
            "socket" => {
                let key = self.any_word("what of the socket")?;
                Expr::Socket(if self.word_is("level") {
                    Cow::Owned(format!("{key} level {}", self.number("a level")?))
                } else {
                    Cow::Borrowed(key)
                })
            }
            "ct" => self.connection()?,
            "fib" => {
                let mut flags = vec![Cow::Borrowed(self.any_word("what is looked up")?)];
                while self.sign_is(".") {
                    flags.push(Cow::Borrowed(self.any_word("what is looked up")?));
                }
                Expr::Fib { result: Cow::Borrowed(self.any_word("what is asked for")?), flags }
            }
            "numgen" => {
                let mode = self.any_word("how numbers are made")?;
                other(format!("numgen {mode}{}", self.modulus()?))
            }
            "symhash" => other(format!("symhash{}", self.modulus()?)),
            "jhash" => {
                let of = self.expression()?;
                other(format!("jhash {of}{}", self.modulus()?))
            }
            "osf" => {
                let ttl = if self.word_is("ttl") {
                    format!(" ttl {}", self.any_word("how the time to live counts")?)
                } else {
                    String::new()
                };
                other(format!("osf{ttl} {}", self.any_word("what of the system")?))
            }
            "ipsec" => {
                let mut text = format!("ipsec {}", self.any_word("a direction")?);
                if self.word_is("spnum") {
                    append(&mut text, format_args!(" spnum {}", self.number("a number")?));
                }
                self.add_words(text)?
            }
            "rt" => self.route()?,
            "exthdr" => other(format!("exthdr {}", self.any_word("a header")?)),
            "vxlan" => {
                let text = format!("vxlan {}", self.any_word("a field of the header")?);
                match self.peek() {
                    Token::Word(field) if text != "vxlan vni" && text != "vxlan flags" => {
                        self.take();
                        other(format!("{text} {field}"))
                    }
                    _ => other(text),
                }
            }
            _ if is_header(word) => self.of_header(word)?,
            _ => Expr::Meta(Cow::Borrowed(word)),
        })
    }

    /// What of a connection is read, behind `ct`.
    fn connection(&mut self) -> Result<Expr<'a>, ReadError> {
        let key = self.any_word("what of the connection")?;
        if !matches!(key, "original" | "reply") {
            return Ok(Expr::Ct(Cow::Borrowed(key)));
        }
        let of = self.any_word("what of the connection")?;
        Ok(Expr::Ct(Cow::Owned(match of {
            "ip" | "ip6" => format!("{key} {of} {}", self.any_word("an address")?),
            _ => format!("{key} {of}"),
        })))
    }

    /// What of the route is read, or of the header that is called so.
    fn route(&mut self) -> Result<Expr<'a>, ReadError> {
        let key = self.any_word("what of the route")?;
        Ok(match key {
            "classid" | "nexthop" | "mtu" | "ipsec" => other(format!("rt {key}")),
            "ip" | "ip6" => other(format!("rt {key} {}", self.any_word("what of the route")?)),
            _ => Expr::Payload { protocol: Cow::Borrowed("rt"), field: Cow::Borrowed(key) },
        })
    }

    fn of_header(&mut self, header: &'a str) -> Result<Expr<'a>, ReadError> {
        let field = self.any_word("a field of the header")?;
        if !matches!((header, field), ("tcp" | "ip" | "dccp", "option") | ("sctp", "chunk")) {
            return Ok(Expr::Payload {
                protocol: Cow::Borrowed(header),
                field: Cow::Borrowed(field),
            });
        }
        let mut text = format!("{header} {field} ");
        if self.sign_is("@") {
            let kind = self.number("a number")?;
            self.sign(",")?;
            let offset = self.number("a number")?;
            self.sign(",")?;
            append(&mut text, format_args!("@{kind},{offset},{}", self.number("a number")?));
            return Ok(other(text));
        }
        match self.peek() {
            Token::Number(number) => {
                self.take();
                text.push_str(&number.to_string());
            }
            _ => text.push_str(self.any_word("an option")?),
        }
        match self.peek() {
            Token::Word("exists" | "missing" | "set" | "map" | "vmap") => Ok(other(text)),
            Token::Word(_) => {
                text.push(' ');
                self.add_word(text)
            }
            _ => Ok(other(text)),
        }
    }

    /// The words of `text`, and those that follow with it: one, or the family of an address and
    /// which it is.
    fn add_words(&mut self, mut text: String) -> Result<Expr<'a>, ReadError> {
        text.push(' ');
        if let Token::Word(family @ ("ip" | "ip6")) = self.peek() {
            self.take();
            text.push_str(family);
            text.push(' ');
        }
        self.add_word(text)
    }

    fn add_word(&mut self, mut text: String) -> Result<Expr<'a>, ReadError> {
        text.push_str(self.any_word("a field")?);
        Ok(other(text))
    }

    /// `mod 3 offset 5`, with a space before it.
    fn modulus(&mut self) -> Result<String, ReadError> {
        self.word("mod")?;
        let mut text = format!(" mod {}", self.number("a number")?);
        if self.word_is("seed") {
            append(&mut text, format_args!(" seed {}", self.number("a number")?));
        }
        if self.word_is("offset") {
            let offset = self.number("a number")?;
            if offset != 0 {
                append(&mut text, format_args!(" offset {offset}"));
            }
        }
        Ok(text)
    }

    /// Bits that have no name: `@th,16,8`, behind the `@`.
    fn raw(&mut self) -> Result<String, ReadError> {
        let base = self.any_word("a header")?;
        self.sign(",")?;
        let offset = self.number("a number of bits")?;
        self.sign(",")?;
        Ok(format!("@{base},{offset},{}", self.number("a number of bits")?))
    }
}

const fn other<'a>(text: String) -> Expr<'a> {
    Expr::Other(Cow::Owned(text))
}

fn append(text: &mut String, more: fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a String takes every write");
}

/// Whether it is a field that may stand without `meta` (nft 1.0.1 to 1.1.6).
fn is_unqualified(word: &str) -> bool {
    matches!(
        word,
        "cgroup"
            | "cpu"
            | "day"
            | "hour"
            | "ibriport"
            | "ibrname"
            | "iif"
            | "iifgroup"
            | "iifname"
            | "iiftype"
            | "mark"
            | "nftrace"
            | "obriport"
            | "obrname"
            | "oif"
            | "oifgroup"
            | "oifname"
            | "oiftype"
            | "pkttype"
            | "rtclassid"
            | "skgid"
            | "skuid"
            | "time"
    )
}

/// Whether it is a header whose fields are two words: `tcp dport`.
fn is_header(word: &str) -> bool {
    matches!(
        word,
        "ah" | "arp"
            | "comp"
            | "dccp"
            | "dst"
            | "esp"
            | "ether"
            | "frag"
            | "gre"
            | "gretap"
            | "geneve"
            | "hbh"
            | "icmp"
            | "icmpv6"
            | "igmp"
            | "ip"
            | "ip6"
            | "mh"
            | "rt0"
            | "rt2"
            | "rt4"
            | "sctp"
            | "srh"
            | "tcp"
            | "th"
            | "udp"
            | "udplite"
            | "vlan"
    )
}

/// Whether another field begins with it.
fn begins_other(word: &str) -> bool {
    matches!(
        word,
        "ct" | "exthdr"
            | "fib"
            | "ipsec"
            | "jhash"
            | "meta"
            | "numgen"
            | "osf"
            | "rt"
            | "socket"
            | "symhash"
            | "vxlan"
    )
}
