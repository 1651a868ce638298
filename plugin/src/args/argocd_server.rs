//! Flags for the connection to argocd-server, named as the argocd CLI names them.

use std::path::PathBuf;

use clap::ValueHint;

/// Under which flags are shown that say where differences come from.
pub(crate) const SOURCE: &str = "Source";

/// Where argocd-server is, and how its certificate is checked.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = SOURCE)]
pub(crate) struct ArgoCdServerArgs {
    /// Address of argocd-server [default: where `argocd` is logged in]
    ///
    /// As HOST or HOST:PORT. What is logged in with is the token of `ARGOCD_AUTH_TOKEN`, else that
    /// of the argocd CLI for this address. Without the flag the address is that of `ARGOCD_SERVER`,
    /// or of the current context of the argocd CLI; the flags in `ARGOCD_OPTS` count as well.
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::Hostname, hide_short_help = true)]
    pub(crate) argocd_server: Option<String>,

    /// Go to argocd-server through the API server, as `kubectl port-forward` does
    ///
    /// It is the Service argocd-server in Argo CD's namespace. That takes the right to create
    /// pods/portforward there, and a token: in `ARGOCD_AUTH_TOKEN`, or of
    /// `argocd login --port-forward`. Without the flag it is done where there is a token and no
    /// address.
    #[arg(long, conflicts_with = "argocd_server", hide_short_help = true)]
    pub(crate) port_forward: bool,

    /// Connect to argocd-server without TLS
    #[arg(long, hide_short_help = true)]
    pub(crate) plaintext: bool,

    /// Do not check argocd-server's certificate, which leaves the connection open to others
    #[arg(long, hide_short_help = true)]
    pub(crate) insecure: bool,

    /// File with the certificates of the authorities that argocd-server's certificate may be of
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, hide_short_help = true)]
    pub(crate) server_crt: Option<PathBuf>,
}

impl ArgoCdServerArgs {
    /// Whether one of them was given.
    pub(crate) fn are_given(&self) -> bool {
        self.argocd_server.is_some()
            || self.port_forward
            || self.plaintext
            || self.insecure
            || self.server_crt.is_some()
    }
}
