//! How `proxy-init` is to run: what its flags say beside which traffic is captured.

use super::option::{Opt, Options};
use crate::import::Level;

/// What `proxy-init` is asked to do (linkerd2-proxy-init 183e791, `proxy-init/cmd/root.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// `--simulate`: nothing is changed.
    pub simulate: bool,
    /// `--netns`: the path of the namespace whose rules are meant, if it is another.
    pub network_namespace: Option<String>,
    /// `--timeout-close-wait-secs`: what the kernel's `net.netfilter.nf_conntrack_tcp_timeout_close_wait` is set
    /// to, in seconds, if it is.
    pub close_wait: Option<i64>,
    /// `--iptables-mode`: `legacy`, `nft` or `plain`, if one is asked for.
    pub iptables_mode: Option<String>,
    /// `--log-format json`.
    pub log_as_json: bool,
    /// `--log-level`: the least level of what is written. Default: [`Level::Info`].
    pub log_level: Level,
}

/// What `options` ask for.
pub(super) fn run(options: &Options) -> Run {
    let text = |option| Some(options.text(option).to_owned()).filter(|text| !text.is_empty());
    Run {
        simulate: options.switch(Opt::Simulate).unwrap_or_default(),
        network_namespace: text(Opt::NetworkNamespace),
        close_wait: options.number(Opt::CloseWait).filter(|seconds| *seconds != 0),
        iptables_mode: text(Opt::Mode),
        log_as_json: options.text(Opt::LogFormat) == "json",
        log_level: match options.text(Opt::LogLevel).to_ascii_lowercase().as_str() {
            "panic" | "fatal" | "error" => Level::Error,
            "warn" | "warning" => Level::Warn,
            "debug" | "trace" => Level::Debug,
            // Anything else is refused.
            _ => Level::Info,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Context, command_line};
    use crate::import::{Level, split};

    #[test]
    fn every_flag_has_its_place() {
        let line = "-p 4143 -o 4140 --simulate --netns /run/netns/a --timeout-close-wait-secs 0x10 \
                    --iptables-mode nft --log-format json --log-level WARNING --use-wait-flag";
        let read = command_line(&split(line).unwrap(), &Context::default());
        assert!(read.run.simulate && read.run.log_as_json);
        assert_eq!(read.run.network_namespace.as_deref(), Some("/run/netns/a"));
        assert_eq!((read.run.close_wait, read.run.log_level), (Some(16), Level::Warn));
        assert_eq!(read.run.iptables_mode.as_deref(), Some("nft"));
        assert_eq!(read.imported.unwrap().notes, []);

        let read =
            command_line(&split("-p 4143 -o 4140 --log-level loud").unwrap(), &Context::default());
        assert!(!read.run.simulate && read.run.close_wait.is_none());
        assert!(read.imported.unwrap_err().to_string().contains("loud"));
    }
}
