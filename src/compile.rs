//! The phases in one call.

mod failure;
mod tried;
mod view;

use std::collections::BTreeMap;

pub use self::failure::Failure;
pub use self::view::View;
use crate::backend::routing::Form;
use crate::backend::{dump, iptables, nft, routing, teardown};
use crate::diag::{Diagnostic, Problem, Severity, in_order};
use crate::foreign;
use crate::ir::{Clauses, Ruleset};
use crate::lower::{self, Lowered, Neighbour, lower};
use crate::net::{Family, Name};
use crate::optimise::Layout;
use crate::policy::{
    Allows, Checked, Detail, GroupIds, Policy, begins_top_level, check_and_allow, json, print,
    unchecked,
};
use crate::prove;
use crate::span::{Sources, Span};
use crate::syntax::{self, Loader};

/// How to compile.
#[derive(Clone, Debug)]
pub struct Options {
    /// Numbers of the groups that the policy may name.
    pub groups: GroupIds,
    /// How lists become rules.
    pub layout: Layout,
    /// How nft output is written.
    pub nft: nft::Options,
    /// Whether what policies expect is proved, and every text for a machine, before it is written, to
    /// do what the policy says and nothing else, from the very bytes. Default: yes.
    pub verify: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            groups: GroupIds::new(),
            layout: Layout::default(),
            nft: nft::Options::default(),
            verify: true,
        }
    }
}

/// Policies that are good, and what is needed to write them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Compilation {
    /// Every file that was read, the one asked for first.
    pub sources: Sources,
    /// The policies of the file asked for, in the order in which they stand there. Policies of
    /// included files are there to be extended.
    pub policies: Vec<Policy>,
    /// Warnings, in source order.
    pub warnings: Vec<Diagnostic>,
    /// What the clauses of the policies and of those that they extend say.
    pub clauses: Clauses,
    /// Where the names of the policies stand, in their order.
    names: Vec<Span>,
    options: Options,
    /// Warnings that are no news.
    allows: Allows,
    proved: prove::Proved,
}

/// Reads and checks policies. `name` is what diagnostics call the file, and what paths of includes
/// are relative to.
///
/// A text that begins with an object or a list is JSON: a policy, or a list of them. What is wrong with what they say lies
/// in their text, of which [`Failure::sources`] says that it is that.
///
/// Pure: the same arguments give the same result, and files are read through `loader` only.
///
/// # Errors
///
/// If anything is wrong with any policy that was read, or a policy does not do what it expects.
///
/// ```
/// use netweir::{Options, View, compile, syntax::NoIncludes};
///
/// let text = "sidecar web { inbound { capture port 80, 443 } }";
/// for policy in compile("web.weir", text, &NoIncludes, &Options::default())?.policies {
///     let script = policy.emit(View::Nft, &Options::default())?;
///     assert!(script.contains("tcp dport { 80, 443 }"));
/// }
/// # Ok::<(), netweir::Failure>(())
/// ```
pub fn compile(
    name: &str,
    text: &str,
    loader: &dyn Loader,
    options: &Options,
) -> Result<Compilation, Failure> {
    if let Some(failure) = foreign::failure(name, text) {
        return Err(failure);
    }
    if json::is_json(text) {
        return compile_json(name, text, options);
    }
    let check = |text: &str| {
        let input = syntax::load_policies(name, text, loader, &begins_top_level);
        let (checked, allows) = check_and_allow(&input, &options.groups);
        (input, checked, allows)
    };
    let (input, Checked { policies, mut diagnostics }, allows) = check(text);
    let (main, sources, files) = (input.main(), input.sources, input.files);
    let is_wrong = |diagnostics: &[Diagnostic]| {
        diagnostics.iter().any(|found| found.problem.severity() == Severity::Error)
    };
    if is_wrong(&diagnostics) {
        let check = |text: &str| check(text).1.diagnostics;
        tried::withhold_harmful(&sources, &mut diagnostics, check);
        return Err(Failure { sources, diagnostics });
    }
    let own = policies.into_iter().filter(|written| written.span.file == main);
    let (policies, names): (Vec<Policy>, Vec<Span>) =
        own.map(|written| (written.node, written.span)).unzip();
    if options.verify {
        for policy in policies.iter().filter(|policy| !policy.expectations.is_empty()) {
            let lowered = lower(policy);
            diagnostics.extend(prove::expectations(policy, &lowered, &lowered.ruleset));
        }
        diagnostics = in_order(diagnostics);
    }
    if is_wrong(&diagnostics) {
        return Err(Failure { sources, diagnostics });
    }
    Ok(Compilation {
        sources,
        policies,
        warnings: diagnostics,
        clauses: syntax::clauses(files.iter().map(|(_, file)| file)).collect(),
        names,
        options: options.clone(),
        allows,
        proved: prove::Proved::default(),
    })
}

/// Compiles policies in JSON, as the text that says the same.
fn compile_json(name: &str, text: &str, options: &Options) -> Result<Compilation, Failure> {
    let too_large = text.len() > Sources::MAX_BYTES;
    let sources = Sources::of(name, if too_large { "" } else { text });
    let refused =
        |problem: Diagnostic| Failure { sources: sources.clone(), diagnostics: vec![problem] };
    if too_large {
        return Err(refused(
            Problem::TooLarge { file: name.to_owned(), most: Sources::MAX_BYTES }.of(None),
        ));
    }
    let policies = json::read(&sources).map_err(refused)?;
    unchecked::compiled(policies, &format!("{name} as text"), options)
}

impl Compilation {
    /// The policy called `name`.
    #[must_use]
    pub fn policy(&self, name: &Name) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.name == *name)
    }

    /// Writes a policy. The text ends with a newline, unless it is empty.
    ///
    /// # Errors
    ///
    /// If the target cannot express the policy exactly (`E401`), or if the text is not proved to
    /// mean what the policy means (`E402`).
    pub fn emit(&self, policy: &Policy, view: View) -> Result<String, Failure> {
        self.text(policy, view).map_err(|found| self.failure(found))
    }

    fn text(&self, policy: &Policy, view: View) -> Result<String, Vec<Diagnostic>> {
        match view {
            View::Nft | View::Json => self.nft(&[policy], view),
            View::Iptables(family) => self.iptables(policy, family),
            View::IptablesScript => self.iptables_script(policy),
            View::Policy => Ok(print(policy, Detail::Everything)),
            View::Ir => Ok(dump::dump(&self.lowered(policy).ruleset, &self.clauses)),
            View::Routing => self.routing(policy, view, Form::Shell),
            View::RoutingBatch(family) => self.routing(policy, view, Form::Batch(family)),
            View::Teardown => {
                let lowered = self.lowered(policy);
                self.proved(policy, view, teardown::emit(&policy.name, &lowered))
            }
        }
    }

    /// Proves that `text`, which may have come from elsewhere, is as good as what
    /// [`emit_together`](Self::emit_together) writes. A text for nft or iptables treats every packet
    /// as the policies say; one for nft replaces their tables and touches no others. A routing script or
    /// batch adds what they need, and a teardown script takes that and their tables away, whatever of it
    /// is there, and neither touches anything else. What only people read, the policy and the ruleset in
    /// words, is compared with what would be written.
    ///
    /// # Errors
    ///
    /// If it is not (`E402`), or the target cannot express the policies exactly (`E401`).
    pub fn prove(&self, policies: &[&Policy], view: View, text: &str) -> Result<(), Failure> {
        self.is_as_good(policies, view, text).map_err(|found| self.failure(found))
    }

    fn is_as_good(
        &self,
        policies: &[&Policy],
        view: View,
        text: &str,
    ) -> Result<(), Vec<Diagnostic>> {
        match view {
            View::Nft | View::Json => {
                let (legal, owned) = self.legal(policies)?;
                self.prove_nft(policies, (&legal, &owned), view, text)
            }
            View::Iptables(family) => policies.iter().try_for_each(|policy| {
                prove::iptables(&meaning(policy), family, text).map_err(|problem| vec![problem])
            }),
            View::IptablesScript => policies.iter().try_for_each(|policy| {
                let Lowered { chains, owned, .. } = lower(policy);
                prove::iptables_script(&meaning(policy), (chains, &owned), text)
                    .map_err(|problem| vec![problem])
            }),
            View::Routing => prove_routing(policies, Form::Shell, text),
            View::RoutingBatch(family) => prove_routing(policies, Form::Batch(family), text),
            View::Teardown => {
                prove::host::teardown(&parts(policies), text).map_err(|problem| vec![problem])
            }
            View::Policy | View::Ir if self.texts(policies, view)? == text => Ok(()),
            View::Policy | View::Ir => {
                let why = "it is another text".to_owned();
                Err(vec![Problem::NotProved { target: view.extension(), why }.of(None)])
            }
        }
    }

    /// Whether [`prove`](Self::prove) proves `text` of one policy, which is known earlier than why it does
    /// not.
    pub(crate) fn is_proved(&self, policy: &Policy, view: View, text: &str) -> bool {
        match view {
            View::Nft | View::Json => self.legal(&[policy]).is_ok_and(|(legal, owned)| {
                let policies = [policy];
                let (wanted, spelling) = self.wanted(&policies, (&legal, &owned), view);
                prove::is_nft(wanted, (spelling, text), &self.proved)
            }),
            View::Iptables(family) => prove::is_iptables(&meaning(policy), family, text),
            _ => self.prove(&[policy], view, text).is_ok(),
        }
    }

    /// Writes a change of the sets that others fill, as an nft script or as JSON.
    ///
    /// # Errors
    ///
    /// If the view is another (`E401`), or if the text is not proved to be that change and nothing else,
    /// whatever the sets hold (`E402`).
    pub fn emit_members(&self, members: &nft::Members<'_>, view: View) -> Result<String, Failure> {
        let text = match spelling(view).map_err(|found| self.failure(found))? {
            prove::Nft::Script => members.script(),
            prove::Nft::Json => members.json(),
        };
        if self.options.verify {
            self.prove_members(members, view, &text)?;
        }
        Ok(text)
    }

    /// Proves that `text`, which may have come from elsewhere, is as good as what
    /// [`emit_members`](Self::emit_members) writes.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn prove_members(
        &self,
        members: &nft::Members<'_>,
        view: View,
        text: &str,
    ) -> Result<(), Failure> {
        let proved = spelling(view).and_then(|spelling| {
            prove::members(members, (spelling, text), self.options.nft.target)
                .map_err(|problem| vec![problem])
        });
        proved.map_err(|found| self.failure(found))
    }

    /// What `policies` would claim both if they were loaded into one namespace: tables, marks, a
    /// routing table, and the first place among chains that tie. Errors and warnings, in source
    /// order.
    #[must_use]
    pub fn conflicts(&self, policies: &[&Policy]) -> Vec<Diagnostic> {
        // One alone has nothing to meet, and need not be lowered for that.
        if policies.len() < 2 {
            return Vec::new();
        }
        let own = self.policies.iter().map(|policy| &policy.name);
        let places: BTreeMap<&Name, Span> = own.zip(self.names.iter().copied()).collect();
        let mut found = lower::conflicts(policies.iter().map(|policy| Neighbour {
            name: &policy.name,
            at: places.get(&policy.name).copied(),
            lowered: self.lowered(policy),
        }));
        if self.options.verify && found.is_empty() {
            let loaded = loaded_together(policies);
            found.extend(prove::ties(&loaded));
        }
        self.allows.clone().filter(&mut found);
        found
    }

    /// Writes policies that are loaded together into one namespace, as one text: of scripts and
    /// JSON for nft, one transaction. It ends with a newline; without a policy it is empty.
    ///
    /// # Errors
    ///
    /// If two of them claim the same (`E33x`), the target cannot express one exactly, or one does not
    /// do what it expects beside the others (`E4xx`).
    pub fn emit_together(&self, policies: &[&Policy], view: View) -> Result<String, Failure> {
        self.texts(policies, view).map_err(|found| self.failure(found))
    }

    pub(crate) fn texts(
        &self,
        policies: &[&Policy],
        view: View,
    ) -> Result<String, Vec<Diagnostic>> {
        let conflicts = self.conflicts(policies);
        if conflicts.iter().any(Diagnostic::is_error) {
            return Err(conflicts);
        }
        if self.options.verify && policies.len() > 1 {
            // What one policy expects, another may take.
            let loaded = loaded_together(policies);
            let broken = policies.iter().flat_map(|policy| {
                let lowered = lower(policy);
                prove::expectations(policy, &lowered, &loaded)
            });
            let broken: Vec<_> = broken.collect();
            if !broken.is_empty() {
                return Err(broken);
            }
        }
        if view == View::Json {
            return self.nft(policies, view);
        }
        if matches!(view, View::Iptables(_) | View::IptablesScript) && policies.len() > 1 {
            // A second part for a table would flush the chains that both have.
            let what = "several policies in one text".to_owned();
            let target = "iptables-restore".to_owned();
            return Err(vec![Problem::Unsupported { target, what }.of(None)]);
        }
        // Of every other view, texts in a row are one text, and nft loads a file whole or not.
        let mut texts = Vec::new();
        let mut problems = Vec::new();
        for policy in policies {
            match self.text(policy, view) {
                Ok(text) => texts.push(text),
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let text = texts.join("\n");
        let is_proved = !matches!(view, View::Policy | View::Ir);
        if self.options.verify && is_proved && policies.len() > 1 {
            self.is_as_good(policies, view, &text)?;
        }
        Ok(text)
    }

    /// What the policy comes to in the layout that was asked for. Rules of a policy that came from
    /// elsewhere do not say which clause they are from.
    fn lowered(&self, policy: &Policy) -> Lowered {
        let mut lowered = self.options.layout.of(policy);
        for rule in lowered.ruleset.rules_mut() {
            rule.retain_clauses(|clause| self.sources.contains(clause));
        }
        lowered
    }

    /// What was found, with the files that it is about.
    pub(crate) fn failure(&self, diagnostics: Vec<Diagnostic>) -> Failure {
        Failure { sources: self.sources.clone(), diagnostics }
    }

    /// Where the names of the policies stand, in their order.
    pub(crate) fn names(&self) -> &[Span] {
        &self.names
    }

    /// What is allowed, as far as compiling has seen it.
    pub(crate) fn allows(&self) -> Allows {
        self.allows.clone()
    }

    /// How nft output is written.
    pub(crate) const fn nft_options(&self) -> &nft::Options {
        &self.options.nft
    }

    /// Whether what is written is proved.
    pub(crate) const fn verifies(&self) -> bool {
        self.options.verify
    }

    /// The oldest nft that has to load what is written.
    #[cfg(feature = "host")]
    pub(crate) const fn target(&self) -> nft::Target {
        self.options.nft.target
    }

    /// The numbers of the groups that policies may name.
    pub(crate) const fn groups(&self) -> &GroupIds {
        &self.options.groups
    }

    fn routing(&self, policy: &Policy, view: View, form: Form) -> Result<String, Vec<Diagnostic>> {
        let lowered = self.lowered(policy);
        let needs = routing::Needs::of(&lowered);
        self.proved(policy, view, routing::emit(&policy.name, needs, form))
    }

    /// The text, if it is proved.
    fn proved(&self, policy: &Policy, view: View, text: String) -> Result<String, Vec<Diagnostic>> {
        if self.options.verify {
            self.is_as_good(&[policy], view, &text)?;
        }
        Ok(text)
    }

    fn nft(&self, policies: &[&Policy], view: View) -> Result<String, Vec<Diagnostic>> {
        let Some(first) = policies.first() else { return Ok(String::new()) };
        let options = &self.options.nft;
        let (legal, owned) = self.legal(policies)?;
        let context = nft::Context { policy: &first.name, owned: &owned, clauses: &self.clauses };
        let text = match view {
            View::Json => nft::json(&legal, &context, options),
            _ => nft::script(&legal, &context, options),
        };
        if self.options.verify {
            self.prove_nft(policies, (&legal, &owned), view, &text)?;
        }
        Ok(text)
    }

    /// The rules of `policies` as nft can say them, and the tables that they own.
    ///
    /// # Errors
    ///
    /// If nft cannot say one exactly (`E401`).
    pub(crate) fn legal(
        &self,
        policies: &[&Policy],
    ) -> Result<(nft::Legal, Vec<Name>), Vec<Diagnostic>> {
        let (mut ruleset, mut owned) = (Ruleset::default(), vec![]);
        for policy in policies {
            let lowered = self.lowered(policy);
            ruleset.tables.extend(lowered.ruleset.tables);
            owned.extend(lowered.owned);
        }
        nft::legal(&ruleset, self.options.nft.target).map(|legal| (legal, owned))
    }

    fn prove_nft(
        &self,
        policies: &[&Policy],
        written: (&nft::Legal, &[Name]),
        view: View,
        text: &str,
    ) -> Result<(), Vec<Diagnostic>> {
        let (wanted, spelling) = self.wanted(policies, written, view);
        prove::nft(wanted, (spelling, text), &self.proved).map_err(|problem| vec![problem])
    }

    /// What a text for nft has to be, and how it is spelt.
    fn wanted<'w>(
        &self,
        policies: &'w [&'w Policy],
        (legal, owned): (&'w nft::Legal, &'w [Name]),
        view: View,
    ) -> (prove::Wanted<'w>, prove::Nft) {
        let target = self.options.nft.target;
        let wanted = prove::Wanted { policies, meaning: loaded_together, legal, owned, target };
        (wanted, if view == View::Json { prove::Nft::Json } else { prove::Nft::Script })
    }

    fn iptables(&self, policy: &Policy, family: Family) -> Result<String, Vec<Diagnostic>> {
        let meaning = meaning(policy);
        let text = iptables::emit(&meaning, family)?;
        if self.options.verify {
            prove::iptables(&meaning, family, &text).map_err(|problem| vec![problem])?;
        }
        Ok(text)
    }

    fn iptables_script(&self, policy: &Policy) -> Result<String, Vec<Diagnostic>> {
        let lowered = lower(policy);
        let [ipv4, ipv6] = Family::ALL.map(|family| iptables::emit(&lowered.ruleset, family));
        let script = iptables::script(&policy.name, &lowered, [&ipv4?, &ipv6?]);
        self.proved(policy, View::IptablesScript, script)
    }
}

/// The spelling of nft that the view is.
fn spelling(view: View) -> Result<prove::Nft, Vec<Diagnostic>> {
    match view {
        View::Nft => Ok(prove::Nft::Script),
        View::Json => Ok(prove::Nft::Json),
        _ => {
            let what = "a change of sets".to_owned();
            Err(vec![Problem::Unsupported { target: view.extension().to_owned(), what }.of(None)])
        }
    }
}

/// What the policies have in a namespace.
fn parts(policies: &[&Policy]) -> Vec<prove::host::Part> {
    let part = |policy: &&Policy| {
        let Lowered { owned, chains, host, protocol, .. } = lower(policy);
        prove::host::Part { owned, chains, steps: host, protocol }
    };
    policies.iter().map(part).collect()
}

fn prove_routing(policies: &[&Policy], form: Form, text: &str) -> Result<(), Vec<Diagnostic>> {
    prove::host::routing(&parts(policies), form, text).map_err(|problem| vec![problem])
}

/// What packets meet where all of `policies` are loaded.
pub(crate) fn loaded_together(policies: &[&Policy]) -> Ruleset {
    let tables = policies.iter().flat_map(|policy| meaning(policy).tables);
    Ruleset { tables: tables.collect() }
}

/// What the policy means: upstream's rules, one for each item, which no optimisation has touched.
fn meaning(policy: &Policy) -> Ruleset {
    lower(policy).ruleset
}
