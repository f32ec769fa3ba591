//! What a policy can be asked, in one line each.
//!
//! All of it is about what the policy says, not about the file that said it: equal policies give equal answers,
//! and clauses are those of the policy's own text.

use crate::compile::{Compilation, Failure, Options, View};
use crate::explain::{Context, Explanation, Unanswered, explain_way};
use crate::ir::Ruleset;
use crate::lower::lower;
use crate::optimise::Layout;
use crate::policy::{Policy, Unchecked};
use crate::semantics::{Limit, Packet};
use crate::verify::{Verdict, compared, verified};

impl Policy {
    /// The policy as a compilation of its text, for several views, with warnings.
    ///
    /// # Errors
    ///
    /// If it does not do what it expects (`E403`), which a policy does that was compiled.
    pub fn compiled(&self, options: &Options) -> Result<Compilation, Failure> {
        let (_, compilation) = Unchecked::from(self.clone()).compiled(options)?;
        Ok(compilation)
    }

    /// Writes the policy. The text ends with a newline, unless it is empty.
    ///
    /// # Errors
    ///
    /// If the target cannot express the policy exactly (`E401`), or if the text is not proved to
    /// mean what the policy means (`E402`).
    ///
    /// ```
    /// use netweir::policy::Sidecar;
    /// use netweir::{Options, View};
    ///
    /// let policy = Sidecar::new("web").capture_inbound_ports([80, 443]).check()?;
    /// let script = policy.emit(View::Nft, &Options::default())?;
    /// assert!(script.contains("tcp dport { 80, 443 }"));
    /// # Ok::<(), netweir::Failure>(())
    /// ```
    pub fn emit(&self, view: View, options: &Options) -> Result<String, Failure> {
        let compilation = self.compiled(options)?;
        let policy = compilation.policies.first().unwrap_or(self);
        compilation.emit(policy, view)
    }

    /// What becomes of a packet, and which rung, clause and rules decide.
    ///
    /// # Errors
    ///
    /// If there is no such packet.
    ///
    /// ```
    /// use netweir::policy::Sidecar;
    ///
    /// let policy = Sidecar::new("web").check()?;
    /// let explanation = policy.explain(&"outbound tcp to 10.96.0.1:443 user 1000".parse()?)?;
    /// assert!(explanation.captured);
    /// assert_eq!(explanation.port, Some(15001));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain(&self, packet: &Packet) -> Result<Explanation, Unanswered> {
        packet.check()?;
        let options = Options { verify: false, ..Options::default() };
        // Without its text, no clause of it can be named.
        let compilation = self.compiled(&options).ok();
        let policy = compilation.as_ref().and_then(|it| it.policies.first()).unwrap_or(self);
        let sources = compilation.as_ref().map(|it| &it.sources);
        let context = Context { policy: Some(policy), sources, ..Context::default() };
        Ok(explain_way(&Layout::default().of(policy).ruleset, packet, &context)?)
    }

    /// Whether rules, which may be a whole host's, treat every packet of both families as the policy says.
    ///
    /// # Errors
    ///
    /// If the rules are too entangled to tell.
    ///
    /// ```
    /// use netweir::policy::Sidecar;
    /// use netweir::reader::nft;
    /// use netweir::{Options, View};
    ///
    /// let policy = Sidecar::new("web").check()?;
    /// let script = policy.emit(View::Nft, &Options::default())?;
    /// let loaded = nft::script(&script, &nft::Options::default())?;
    /// assert!(policy.verify(&loaded.ruleset)?.is_equal());
    ///
    /// let other = script.replace("redirect to :15006", "redirect to :15016");
    /// let loaded = nft::script(&other, &nft::Options::default())?;
    /// let verdict = policy.verify(&loaded.ruleset)?;
    /// let words: Vec<_> = verdict.ways.ways.iter().map(|way| way.change.words()).collect();
    /// assert_eq!(words, ["captured elsewhere"; 2]); // of ordinary packets, and of corners
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify(&self, ruleset: &Ruleset) -> Result<Verdict, Limit> {
        let context = Context { policy: Some(self), ..Context::default() };
        verified((&lower(self).ruleset, &context), (ruleset, &Context::default()))
    }

    /// Which traffic another policy treats otherwise than this one.
    ///
    /// # Errors
    ///
    /// If the rules of the two are too entangled to tell.
    ///
    /// ```
    /// use netweir::policy::Sidecar;
    ///
    /// let old = Sidecar::new("web").check()?;
    /// let new = Sidecar::new("web").exclude_outbound_ports([25]).check()?;
    /// let verdict = old.diff(&new)?;
    /// let ways: Vec<_> = verdict.ways.ways.iter().map(|way| way.change.words()).collect();
    /// assert_eq!(ways, ["no longer captured"; 3]); // of ordinary packets, and of two corners
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn diff(&self, other: &Self) -> Result<Verdict, Limit> {
        let context = |policy| Context { policy: Some(policy), ..Context::default() };
        let (before, after) = (lower(self).ruleset, lower(other).ruleset);
        compared((&before, &context(self)), (&after, &context(other)))
    }
}
