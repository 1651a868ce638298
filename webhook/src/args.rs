//! The command line. It is parsed and checked here, and nothing is touched.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Validating admission webhook for Argo CD's objects.
///
/// It asks the API server for AppProjects, cluster Secrets, argocd-cm and the GitOpsPolicy
/// `default`, and judges Applications, AppProjects and cluster Secrets by them at POST /validate.
#[derive(Clone, Debug, Parser)]
#[command(name = "gitops-webhook", version)]
pub struct Args {
    /// Kubeconfig to reach the API server with; by default as kubectl finds it, or the pod's own
    /// ServiceAccount.
    #[arg(long, env = "GITOPS_WEBHOOK_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Namespace of Argo CD.
    #[arg(
        long,
        env = "GITOPS_WEBHOOK_ARGOCD_NAMESPACE",
        default_value = "argocd"
    )]
    pub argocd_namespace: String,

    /// Address for admission requests (TLS). Port 0 takes a free one, which the log tells.
    #[arg(long, env = "GITOPS_WEBHOOK_LISTEN", default_value = "0.0.0.0:8443")]
    pub listen: SocketAddr,

    /// Address for /healthz, /readyz and /metrics (no TLS).
    #[arg(
        long,
        env = "GITOPS_WEBHOOK_METRICS_LISTEN",
        default_value = "0.0.0.0:8080"
    )]
    pub metrics_listen: SocketAddr,

    /// Certificate chain to serve (PEM), instead of one that the webhook issues itself.
    #[arg(
        long,
        env = "GITOPS_WEBHOOK_TLS_CERT_FILE",
        value_name = "FILE",
        requires = "tls_private_key_file"
    )]
    pub tls_cert_file: Option<PathBuf>,

    /// Private key of the certificate (PEM).
    #[arg(
        long,
        env = "GITOPS_WEBHOOK_TLS_PRIVATE_KEY_FILE",
        value_name = "FILE",
        requires = "tls_cert_file"
    )]
    pub tls_private_key_file: Option<PathBuf>,

    /// The webhook's own namespace, for its own certificate; by default the kubeconfig's or the
    /// pod's.
    #[arg(long, env = "GITOPS_WEBHOOK_NAMESPACE")]
    pub namespace: Option<String>,

    /// Service by which the API server calls the webhook; its own certificate is for this name.
    #[arg(
        long,
        env = "GITOPS_WEBHOOK_SERVICE_NAME",
        default_value = "gitops-webhook"
    )]
    pub service_name: String,

    /// Secret that keeps the webhook's own certificate.
    #[arg(
        long,
        env = "GITOPS_WEBHOOK_TLS_SECRET_NAME",
        default_value = "gitops-webhook-tls"
    )]
    pub tls_secret_name: String,

    /// ValidatingWebhookConfiguration that is told to trust the webhook's own certificate.
    #[arg(
        long,
        env = "GITOPS_WEBHOOK_WEBHOOK_CONFIGURATION_NAME",
        default_value = "gitops-webhook"
    )]
    pub webhook_configuration_name: String,

    /// GitOpsPolicy to judge by (YAML or JSON), instead of the one in the cluster.
    #[arg(long, env = "GITOPS_WEBHOOK_POLICY_FILE", value_name = "FILE")]
    pub policy_file: Option<PathBuf>,

    /// Form of the log on standard error. `RUST_LOG` sets its level.
    #[arg(long, env = "GITOPS_WEBHOOK_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn a_certificate_comes_with_its_key() {
        let parse = |args: &[&str]| Args::try_parse_from([&["gitops-webhook"], args].concat());
        assert!(parse(&["--tls-cert-file", "a"]).is_err());
        assert!(parse(&["--tls-private-key-file", "b"]).is_err());
        assert!(parse(&["--tls-cert-file", "a", "--tls-private-key-file", "b"]).is_ok());
        assert!(parse(&[]).is_ok());
    }
}
