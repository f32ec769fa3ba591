//! Nodes of the ambient mesh.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::PROBE_SOURCE;
use crate::net::{Families, Name, PerFamily};
use crate::policy::clauses::families::Strays;
use crate::policy::clauses::form::{Draft, Ending, Form};
use crate::policy::clauses::lists::Visitor;
use crate::policy::clauses::numbers::USER;
use crate::policy::clauses::per_family::PerFamilySetting;
use crate::policy::kind::PolicyKind;
use crate::policy::printer::Printer;
use crate::policy::setting::Setting;

/// The node: kubelet's probes to pods get a source that pods can tell.
///
/// [`AmbientHost::default`] is what Istio 1.29 applies when nothing is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct AmbientHost {
    /// The families governed. `family`; default: both.
    pub families: Setting<Families>,
    /// The probes.
    pub probe: HostProbe,
}

/// How the node's probes are known, and what they become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HostProbe {
    /// The source they get. `probe { from }`.
    pub from: Setting<PerFamily<Ipv4Addr, Ipv6Addr>>,
    /// Who sends them. `probe { owner }`; default: any local socket.
    pub owner: Setting<ProbeOwner>,
    /// Prefix of the sets that hold the pods' addresses: `<prefix>-v4` and `<prefix>-v6`.
    /// `probe { pods }`; default: `istio-inpod-probes`.
    pub pods: Setting<Name>,
}

/// Whose packets count as probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ProbeOwner {
    /// Any local socket's, as upstream's iptables rules say (`--socket-exists`).
    Any,
    /// This user's only, as upstream's nft rules say.
    User(u32),
}

impl Default for AmbientHost {
    fn default() -> Self {
        Self {
            families: Setting::default_to(Families::Both),
            probe: HostProbe {
                from: Setting::default_to(PROBE_SOURCE),
                owner: Setting::default_to(ProbeOwner::Any),
                pods: Setting::default_to(
                    Name::new("istio-inpod-probes").expect("the default is a name"),
                ),
            },
        }
    }
}

impl Default for HostProbe {
    fn default() -> Self {
        AmbientHost::default().probe
    }
}

/// An ambient-host policy while its clauses are read.
#[derive(Clone)]
pub(crate) struct HostDraft {
    /// What needs no more than a value. The other field takes the place of its in it.
    plain: AmbientHost,
    from: PerFamilySetting<Ipv4Addr, Ipv6Addr>,
}

impl Default for HostDraft {
    fn default() -> Self {
        let plain = AmbientHost::default();
        Self { from: PerFamilySetting::default_to(plain.probe.from.value), plain }
    }
}

impl Draft for HostDraft {
    type Policy = AmbientHost;

    const FORMS: &'static [Form<Self>] = &[
        Form::one("", "family", "ipv4", |draft, given| given.families(&mut draft.plain.families)),
        Form::one("probe", "from", "169.254.7.127", |draft, given| {
            given.addresses(&mut draft.from, AmbientHost::default().probe.from.value);
        }),
        Form::bare("probe", "owner any", |draft, given| {
            draft.plain.probe.owner = Setting::written(ProbeOwner::Any, given.span);
        }),
        Form::one("probe", "owner user", "0", |draft, given| {
            let owner = given.number(&USER).map(ProbeOwner::User);
            given.set(&mut draft.plain.probe.owner, owner);
        }),
        Form::one("probe", "pods", "istio-inpod-probes", |draft, given| {
            // `-v4` or `-v6` follows in the names of the sets.
            let name = given.name(Name::MAX_LEN - "-v4".len());
            given.set(&mut draft.plain.probe.pods, name);
        }),
    ];

    fn lists(&mut self, _: &mut impl Visitor) {
        let Self { plain: _, from: _ } = self;
    }

    fn finish(mut self, ending: &mut Ending<'_>) -> AmbientHost {
        if let Some(mut strays) = Strays::under(&self.plain.families) {
            let own = ending.has(self.from.clause);
            strays.reset(&mut self.from, AmbientHost::default().probe.from.value, own);
            strays.report(ending);
        }
        let seen = |words| ending.seen.get(&("probe", words)).copied();
        let (any, user) = (seen("owner any"), seen("owner user"));
        if any.is_some() && user.is_some() {
            ending.contradiction(("owner any", any), ("owner user", user), "keep one of the two");
        }
        let mut host = self.plain;
        host.probe.from = self.from.setting();
        host
    }
}

impl PolicyKind for AmbientHost {
    type Draft = HostDraft;

    const ALSO_CALLED: &'static [&'static str] = &["host", "node"];

    fn families(&self) -> Setting<Families> {
        self.families
    }

    fn print(&self, out: &mut Printer) {
        let default = Self::default();
        out.families(*self.families);
        let at = ("probe", "from");
        out.addresses(at, *self.families, &self.probe.from, &default.probe.from);
        match *self.probe.owner {
            ProbeOwner::Any => out.clause(("probe", "owner"), ["any"], true),
            ProbeOwner::User(user) => out.clause(("probe", "owner user"), [user], false),
        }
        out.one(("probe", "pods"), &*self.probe.pods, &*default.probe.pods);
    }
}
