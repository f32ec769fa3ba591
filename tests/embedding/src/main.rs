//! What others do with the library, each thing once, with nothing but what it exports.

use std::error::Error;

use netweir::diag::Record;
use netweir::ipnet::IpNet;
use netweir::policy::{AmbientPod, Expectation, Expected, Policy, Sidecar, Transport, Unchecked, Way};
use netweir::reader::{iptables, nft};
use netweir::semantics::Packet;
use netweir::syntax::NoIncludes;
use netweir::verify::Answer;
use netweir::{Failure, Options, Since, Telling, View, compile};

/// What a line of `ensure` asks must hold.
macro_rules! ensure {
    ($holds:expr) => {
        if !$holds {
            return Err(stringify!($holds).into());
        }
    };
}

fn main() -> Result<(), Box<dyn Error>> {
    let policy = from_data()?;
    from_text()?;
    from_json(&policy)?;
    asked(&policy)?;
    refused()?;
    #[cfg(feature = "host")]
    loaded(&policy)?;
    #[cfg(feature = "import-pod")]
    imported()?;
    #[cfg(feature = "miette")]
    drawn()?;
    println!("all of it is there");
    Ok(())
}

fn from_data() -> Result<Policy, Box<dyn Error>> {
    let net: IpNet = "10.20.0.0/16".parse()?;
    let mut all = Expectation::of(Way::Inbound, Expected::Proxy(15006));
    all.protocol = Some(Transport::Tcp);
    all.ports = vec![80.into()];
    let policy =
        Sidecar::new("web").exclude_outbound_to([net]).drop_invalid(true).expect(all).check()?;
    let again = Policy::try_from(Unchecked::from(policy.clone()))?;
    ensure!(policy == again && policy.name.as_str() == "web" && policy.kind.keyword() == "sidecar");
    ensure!(AmbientPod::new("pod").capture_inbound(false).check()? != policy);
    Ok(policy)
}

fn from_text() -> Result<(), Box<dyn Error>> {
    let text = "sidecar web { inbound { capture port 80, 443 } }";
    let compilation = compile("web.weir", text, &NoIncludes, &Options::default())?;
    for policy in &compilation.policies {
        for view in View::ALL {
            match compilation.emit(policy, *view) {
                Ok(text) => compilation.prove(&[policy], *view, &text)?,
                Err(failure) => return Err(failure.into()),
            }
        }
        let script = compilation.emit(policy, View::Nft)?;
        let since = compilation.since(policy, View::Nft, &script, Telling::OnePacket);
        ensure!(since == Since::Same);
    }
    Ok(())
}

fn from_json(policy: &Policy) -> Result<(), Box<dyn Error>> {
    let text = serde_json::to_string(policy)?;
    ensure!(serde_json::from_str::<Policy>(&text)? == *policy);
    ensure!(
        compile("web.json", &text, &NoIncludes, &Options::default())?.policies == [policy.clone()]
    );
    Ok(())
}

fn asked(policy: &Policy) -> Result<(), Box<dyn Error>> {
    let script = policy.emit(View::Nft, &Options::default())?;
    let rules = nft::script(&script, &nft::Options::default())?;
    ensure!(policy.verify(&rules.ruleset)?.is_equal());
    let none = iptables::read(Some(""), Some(""), &iptables::Options::default())?;
    ensure!(policy.verify(&none.ruleset)?.answer == Answer::Different);

    let packet = Packet::outbound_tcp("10.96.0.1:443".parse()?).sent_by(1000, 1000);
    ensure!(packet == "outbound tcp to 10.96.0.1:443".parse()?);
    ensure!(serde_json::from_value::<Packet>(serde_json::to_value(&packet)?)? == packet);
    let explanation = policy.explain(&packet)?;
    ensure!(explanation.captured && explanation.port == Some(15001));
    ensure!(
        serde_json::from_value::<netweir::explain::Explanation>(serde_json::to_value(
            &explanation
        )?)? == explanation
    );

    let verdict = policy.diff(&Sidecar::new("web").check()?)?;
    ensure!(verdict.answer == Answer::Different);
    ensure!(serde_json::to_value(&verdict)?["answer"] == "different");
    Ok(())
}

fn refused() -> Result<(), Box<dyn Error>> {
    let text = "sidecar web { outbound { exclude to 10.1.2.3/8 } }";
    let failure: Failure = match compile("web.weir", text, &NoIncludes, &Options::default()) {
        Ok(_) => return Err("it is wrong".into()),
        Err(failure) => failure,
    };
    ensure!(failure.to_string() == "web.weir:1:37: E302: `10.1.2.3/8` has host bits set");
    for diagnostic in &failure.diagnostics {
        ensure!(diagnostic.line(&failure.sources) == failure.to_string());
        let ways: Vec<_> = diagnostic.suggestions(&failure.sources);
        ensure!(ways.first().is_some_and(|way| way.replacement == "10.0.0.0/8"));
        let record = Record::of(&failure.sources, diagnostic);
        ensure!(record.code.as_deref() == Some("E302"));
        ensure!(serde_json::from_value::<Record>(serde_json::to_value(&record)?)? == record);
    }
    Ok(())
}

#[cfg(feature = "host")]
fn loaded(policy: &Policy) -> Result<(), Box<dyn Error>> {
    use netweir::host::{self, Compiled, Namespace};

    let compiled = Compiled::of(policy, &Options::default())?;
    let nowhere = Namespace::at("/nonexistent".into());
    ensure!(host::apply(&nowhere, &compiled, &host::Options::default()).is_err());
    Ok(())
}

#[cfg(feature = "import-pod")]
fn imported() -> Result<(), Box<dyn Error>> {
    use netweir::import::{Context, istio};

    let pod = include_str!("../../import/injected.yaml");
    ensure!(istio::pods(pod, &Context::default())?.policies.len() == 1);
    Ok(())
}

#[cfg(feature = "miette")]
fn drawn() -> Result<(), Box<dyn Error>> {
    let Err(failure) = Sidecar::new("web").proxy_inbound_port(0).check() else {
        return Err("it is wrong".into());
    };
    ensure!(miette::Report::new(failure.reports()).to_string() == "the policy is refused");
    Ok(())
}
