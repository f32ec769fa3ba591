//! Where rules are loaded: steps for whoever changes a network namespace, a CNI plugin or an init container.
//!
//! ```text
//!            ┌────────────── Namespace::enter ──────────────┐
//! Compiled ──┤ Session::begin ──▶ plan ──▶ carry_out ──▶ Done
//!            └──────────────────────────────────────────────┘
//! ```
//!
//! [`Session::begin`] looks whether the namespace can be changed, takes its lock and reads what is loaded;
//! [`Session::plan`] says what has to be done; [`Session::carry_out`] does it, reads back what the kernel
//! holds, and proves that it is what the policies say, beside whatever else is loaded. [`apply`] and [`remove`]
//! are all of it in one call. What fails names its [`Step`], and leaves the namespace as it was.
//!
//! Programs are run for it, `nft`, `ip`, and those of iptables: through pipes, without a shell, and without
//! files.

mod compiled;
mod error;
mod gate;
mod iptables;
pub(crate) mod live;
mod lock;
mod namespace;
mod owned;
mod preflight;
mod program;
mod readback;
mod routing;
mod session;
mod undo;
mod upstream;

pub use compiled::{Compiled, Form};
pub use error::{Error, Left, Step};
pub use lock::Lock;
pub use namespace::Namespace;
pub use owned::Owned;
pub use session::{Done, Options, Plan, Session};
pub use undo::Undo;

/// Makes policies be what is loaded in a namespace, and proves that they are. What is loaded already is left as it
/// is, counters too.
///
/// # Errors
///
/// At any [`Step`]. The namespace is as it was then, unless the error says otherwise.
///
/// ```no_run
/// use netweir::host::{self, Compiled, Form, Namespace};
/// use netweir::{Options, compile, syntax::NoIncludes};
///
/// let compilation = compile("web.weir", "sidecar web {}", &NoIncludes, &Options::default()).unwrap();
/// let policies: Vec<_> = compilation.policies.iter().collect();
/// let compiled = Compiled::new(&compilation, &policies, Form::Script).unwrap();
/// let namespace = Namespace::at("/var/run/netns/cni-1234".into());
/// if let Err(error) = host::apply(&namespace, &compiled, &host::Options::default()) {
///     eprintln!("{error}"); // rules: nft says: …; everything is as it was again
/// }
/// ```
pub fn apply(namespace: &Namespace, compiled: &Compiled, options: &Options) -> Result<Done, Error> {
    inside(namespace, || {
        let session = Session::begin(options.clone())?;
        session.carry_out(&session.plan(compiled)?)
    })
}

/// Takes away what policies have in a namespace, in any version of them, and nothing else; with `of_upstream`,
/// also what Istio's own tool leaves in chains of iptables that are not its own.
///
/// # Errors
///
/// As [`apply`].
pub fn remove(
    namespace: &Namespace,
    owned: &Owned,
    of_upstream: bool,
    options: &Options,
) -> Result<Done, Error> {
    inside(namespace, || {
        let session = Session::begin(options.clone())?;
        session.carry_out(&session.plan_removal(owned, of_upstream)?)
    })
}

fn inside<T: Send>(
    namespace: &Namespace,
    run: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let entered = namespace.enter(run);
    entered.unwrap_or_else(|why| Err(Error::before(Step::Preflight, why)))
}
