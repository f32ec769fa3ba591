//! Policies as data: made by code or read from JSON, and checked as text is.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::expectation::Expectation;
use super::kinds::Kind;
use super::printer::Detail;
use super::setting::Setting;
use super::{Policy, print};
use crate::compile::{Compilation, Failure, Options, compile};
use crate::diag::{Problem, shown};
use crate::net::Name;
use crate::span::Sources;
use crate::syntax::NoIncludes;

/// A policy that may be wrong: a name, and what a policy of a kind says, as plain data.
///
/// [`Sidecar::new`](super::Sidecar::new) and its like make one that has the defaults of its kind, and each
/// method says one clause, with the words of the language. Said again, it says something else instead. What no
/// method says is in [`kind`](Self::kind). [`check`](Self::check) makes a [`Policy`] of it.
///
/// ```
/// use netweir::policy::Sidecar;
/// use netweir::{Options, View};
///
/// let policy = Sidecar::new("web")
///     .exclude_inbound_ports([15020, 15021])
///     .exclude_outbound_to(["10.20.0.0/16".parse::<netweir::ipnet::IpNet>()?])
///     .check()?;
/// let script = policy.emit(View::Nft, &Options::default())?;
/// assert!(script.contains("tcp dport { 15008, 15020-15021 }"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unchecked<K = Kind> {
    /// What it is to be called: a [`Name`].
    pub name: String,
    /// What it says.
    #[serde(flatten)]
    pub kind: K,
    /// What must become of traffic under it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<Setting<Expectation>>,
}

impl<K> Unchecked<K> {
    /// A policy that expects nothing.
    pub fn of(name: impl Into<String>, kind: K) -> Self {
        Self { name: name.into(), kind, expectations: Vec::new() }
    }

    /// Adds something that must become of traffic. `expect`; default: nothing.
    #[must_use]
    pub fn expect(mut self, expectation: Expectation) -> Self {
        self.expectations.push(expectation.into());
        self
    }
}

impl<K: Into<Kind>> Unchecked<K> {
    /// The policy, if the language could say it: its text is checked, and means the same.
    ///
    /// # Errors
    ///
    /// What is wrong, in the words of the language. Places lie in the policy's text, which
    /// [`Failure::sources`] has.
    ///
    /// ```
    /// use netweir::net::PortRange;
    /// use netweir::policy::Sidecar;
    ///
    /// let wrong = Sidecar::new("web").proxy_inbound_port(0).check();
    /// let said = wrong.err().map(|failure| failure.to_string());
    /// assert_eq!(said.as_deref(), Some("<web>:3:18: E301: port 0 is out of range"));
    /// ```
    pub fn check(self) -> Result<Policy, Failure> {
        let (said, _) = self.compiled(&Options::default())?;
        Ok(said)
    }

    /// As [`check`](Self::check), for everything that a [`Compilation`] can do beside: warnings, several views,
    /// and rules that name the clauses of the policy's text.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn compile(self, options: &Options) -> Result<Compilation, Failure> {
        let (_, compilation) = self.compiled(options)?;
        Ok(compilation)
    }

    /// The policy as it was given, and its text compiled.
    pub(crate) fn compiled(self, options: &Options) -> Result<(Policy, Compilation), Failure> {
        let said = self.named()?;
        let compilation = compiled_as(&format!("<{}>", said.name), &[&said], options)?;
        Ok((without_clauses(said), compilation))
    }

    /// The policy, of which nothing but its name is checked.
    fn named(self) -> Result<Policy, Failure> {
        let Self { name, kind, expectations } = self;
        // It is forbidden, not escaped: nothing of it is printed.
        let name = Name::new(&name).map_err(|reason| {
            let problem = Problem::NotAName { found: shown(&name), reason, most: Name::MAX_LEN };
            Failure { sources: Sources::default(), diagnostics: vec![problem.of(None)] }
        })?;
        Ok(Policy::unchecked(name, kind.into(), expectations))
    }
}

/// Policies of one text, which is called `called`.
pub(crate) fn compiled(
    policies: Vec<Unchecked>,
    called: &str,
    options: &Options,
) -> Result<Compilation, Failure> {
    let said = policies.into_iter().map(Unchecked::named).collect::<Result<Vec<_>, _>>()?;
    compiled_as(called, &said.iter().collect::<Vec<_>>(), options)
}

/// What the text of policies comes to, which has to be the policies.
fn compiled_as(called: &str, said: &[&Policy], options: &Options) -> Result<Compilation, Failure> {
    let texts: Vec<_> = said.iter().map(|policy| print(policy, Detail::Differences)).collect();
    let compilation = compile(called, &texts.join("\n"), &NoIncludes, options)?;
    let mut differences = said.iter().zip(&compilation.policies);
    let problem = if said.len() == compilation.policies.len() {
        differences.find_map(|(said, read)| first_difference(said, read))
    } else {
        said.first().map(|policy| not_said(&policy.name))
    };
    match problem {
        None => Ok(compilation),
        Some(problem) => {
            Err(Failure { sources: compilation.sources, diagnostics: vec![problem.of(None)] })
        }
    }
}

/// To change it, and check it again.
impl From<Policy> for Unchecked {
    fn from(Policy(super::Content { name, kind, expectations }): Policy) -> Self {
        Self { name: name.into(), kind, expectations }
    }
}

impl<K: Into<Kind>> TryFrom<Unchecked<K>> for Policy {
    type Error = Failure;

    fn try_from(unchecked: Unchecked<K>) -> Result<Self, Failure> {
        unchecked.check()
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let unchecked = Unchecked::<Kind>::deserialize(deserializer)?;
        unchecked.check().map_err(serde::de::Error::custom)
    }
}

/// Another policy is said in its place.
fn not_said(name: &Name) -> Problem {
    let (field, read) = ("name".to_owned(), "another policy".to_owned());
    Problem::NotSayable { field, said: shown(name.as_str()), read }
}

/// Where the text of a policy says something else than the policy.
fn first_difference(said: &Policy, read: &Policy) -> Option<Problem> {
    if said.name != read.name {
        return Some(not_said(&said.name));
    }
    if said.kind != read.kind {
        let value = |kind: &Kind| serde_json::to_value(kind).unwrap_or_default();
        let mut path = String::new();
        let (said, read) = differing(&value(&said.kind), &value(&read.kind), &mut path);
        let (said, read) = (shown(&said.to_string()), shown(&read.to_string()));
        return Some(Problem::NotSayable { field: path, said, read });
    }
    // They hold in any order.
    let sorted = |policy: &Policy| {
        let mut all: Vec<_> = policy.expectations.iter().map(|it| it.value.clone()).collect();
        all.sort_by_key(Expectation::words);
        all
    };
    let (said, read) = (sorted(said), sorted(read));
    let at = (0..said.len().max(read.len())).find(|at| said.get(*at) != read.get(*at))?;
    let words = |all: &[Expectation]| {
        all.get(at).map_or_else(String::new, |expectation| shown(&expectation.words().join(" ")))
    };
    let field = "expectations".to_owned();
    Some(Problem::NotSayable { field, said: words(&said), read: words(&read) })
}

/// The first values that differ, whose path is added to `path`.
fn differing(one: &Value, other: &Value, path: &mut String) -> (Value, Value) {
    let (Value::Object(fields), Value::Object(others)) = (one, other) else {
        return (one.clone(), other.clone());
    };
    let all = fields.keys().chain(others.keys());
    let Some(field) = all.into_iter().find(|field| fields.get(*field) != others.get(*field)) else {
        return (one.clone(), other.clone());
    };
    *path += if path.is_empty() { "" } else { "." };
    *path += field;
    match (fields.get(field), others.get(field)) {
        (Some(one), Some(other)) => differing(one, other, path),
        (one, other) => (one.cloned().unwrap_or_default(), other.cloned().unwrap_or_default()),
    }
}

/// The same without the clauses of another text, which would be taken for those of the next one.
fn without_clauses(policy: Policy) -> Policy {
    let super::Content { name, kind, expectations } = policy.0;
    // A value is written without its clause.
    let kind = serde_json::to_value(&kind).and_then(serde_json::from_value);
    let kind = kind.expect("what a policy says can be written and read");
    let expectations = expectations.into_iter().map(|it| it.value.into()).collect();
    Policy::unchecked(name, kind, expectations)
}
