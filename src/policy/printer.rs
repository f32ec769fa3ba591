//! Clauses to text, whatever kind of policy they are of.

use std::fmt::Display;

use ipnet::IpNet;

use super::comments::Comments;
use super::setting::{Selection, Setting};
use crate::diag::escape::on_one_line;
use crate::net::{Families, Family, PerFamily, written_net};
use crate::syntax::Page;

/// How much [`print`](fn@super::print) writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every clause, defaults too.
    Everything,
    /// Only what differs from the defaults.
    Differences,
}

/// A policy while it is written.
pub(super) struct Printer {
    page: Page,
    /// The open block.
    block: Option<&'static str>,
    detail: Detail,
    comments: Comments,
}

impl Printer {
    /// Opens a policy with these words: its kind and its name.
    pub(super) fn open(words: &str, detail: Detail, comments: Comments) -> Self {
        let mut page = Page::default();
        for line in &comments.policy {
            page.comment(&on_one_line(line));
        }
        page.open(words);
        Self { page, block: None, detail, comments }
    }

    /// Ends the policy, behind what it expects.
    pub(super) fn close(mut self, expectations: impl Iterator<Item = Vec<String>>) -> String {
        self.block(None);
        for words in expectations {
            self.page.words(&words);
        }
        self.page.close();
        self.page.finish()
    }

    /// Whether only what differs from the defaults is wanted.
    pub(super) fn only_differences(&self) -> bool {
        self.detail == Detail::Differences
    }

    /// Ends the open block, so that `block` can be opened when a clause of it comes.
    fn block(&mut self, block: Option<&'static str>) {
        if self.block.is_some() && self.block != block {
            self.page.close();
            self.block = None;
        }
    }

    /// Writes a clause, unless it says the default and only differences are wanted.
    pub(super) fn clause<I>(
        &mut self,
        (head, words): (&'static str, &str),
        values: I,
        is_default: bool,
    ) where
        I: IntoIterator<Item: ToString>,
    {
        if is_default && self.detail == Detail::Differences {
            return;
        }
        let block = Some(head).filter(|block| !block.is_empty());
        self.block(block);
        if let (Some(head), None) = (block, self.block) {
            self.page.open(head);
            self.block = block;
        }
        for line in self.comments.of((head, words)) {
            self.page.comment(&on_one_line(line));
        }
        self.page.clause(words, values);
    }

    /// Writes a clause with one value.
    pub(super) fn one<T: Display + PartialEq>(
        &mut self,
        at: (&'static str, &str),
        value: &T,
        default: &T,
    ) {
        self.clause(at, [value], value == default);
    }

    /// Writes a clause with one value, which is `none` if there is none.
    pub(super) fn one_or_none<T: Copy + Display + PartialEq>(
        &mut self,
        at: (&'static str, &str),
        value: Option<T>,
        default: Option<T>,
    ) {
        let is_default = value == default;
        self.clause(
            at,
            [value.map_or_else(|| "none".to_owned(), |value| value.to_string())],
            is_default,
        );
    }

    /// Writes a clause of `proxy` for each port: its words, the port, and its default.
    pub(super) fn proxy_ports<const N: usize>(
        &mut self,
        ports: [(&str, Setting<u16>, Setting<u16>); N],
    ) {
        for (words, port, default) in ports {
            self.one(("proxy", words), &*port, &*default);
        }
    }

    /// Writes a clause with prefixes, which is `none` by default.
    pub(super) fn nets<T: Copy + Into<IpNet>>(&mut self, at: (&'static str, &str), nets: &[T]) {
        self.nets_unless(at, nets, nets.is_empty());
    }

    pub(super) fn nets_unless<T: Copy + Into<IpNet>>(
        &mut self,
        at: (&'static str, &str),
        nets: &[T],
        is_default: bool,
    ) {
        self.list_unless(at, &written(nets), is_default);
    }

    /// Writes a clause with prefixes that are selected, which is `*` by default.
    pub(super) fn selected_nets<T: Copy + Into<IpNet>>(
        &mut self,
        at: (&'static str, &str),
        selection: &Selection<T>,
    ) {
        match selection {
            Selection::All => self.clause(at, ["*"], true),
            Selection::Only(nets) => self.nets_unless(at, nets, false),
        }
    }

    /// Writes a clause with a list, which is `none` by default.
    pub(super) fn list<T: Display>(&mut self, at: (&'static str, &str), values: &[T]) {
        self.list_unless(at, values, values.is_empty());
    }

    pub(super) fn list_unless<T: Display>(
        &mut self,
        at: (&'static str, &str),
        values: &[T],
        is_default: bool,
    ) {
        if values.is_empty() {
            self.clause(at, ["none"], is_default);
        } else {
            self.clause(at, values, is_default);
        }
    }

    /// Writes a clause with a selection, which is `*` by default.
    pub(super) fn selection<T: Display>(
        &mut self,
        at: (&'static str, &str),
        selection: &Selection<T>,
    ) {
        match selection {
            Selection::All => self.clause(at, ["*"], true),
            Selection::Only(values) => self.list_unless(at, values, false),
        }
    }

    /// Writes a clause with a value for each family, without that of a family not governed.
    pub(super) fn addresses<A: Display + PartialEq, B: Display + PartialEq>(
        &mut self,
        at: (&'static str, &str),
        families: Families,
        value: &PerFamily<A, B>,
        default: &PerFamily<A, B>,
    ) {
        let values = families.iter().map(|family| match family {
            Family::Ipv4 => value.ipv4.to_string(),
            Family::Ipv6 => value.ipv6.to_string(),
        });
        self.clause(at, values, value == default);
    }

    /// Writes the families, which are both by default.
    pub(super) fn families(&mut self, families: Families) {
        self.families_unless(families, families == Families::Both);
    }

    pub(super) fn families_unless(&mut self, families: Families, is_default: bool) {
        let words = families.iter().map(Family::keyword);
        self.clause(("", "family"), words, is_default);
    }
}

fn written<T: Copy + Into<IpNet>>(nets: &[T]) -> Vec<String> {
    nets.iter().map(|net| written_net((*net).into())).collect()
}
