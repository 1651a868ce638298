//! kubectl's flags for the cluster to talk to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use http::Uri;
use jiff::SignedDuration;
use zeroize::Zeroizing;

use super::CLUSTER;

/// Which cluster, and as whom. Everything has kubectl's name and meaning.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = CLUSTER)]
pub(crate) struct ClusterArgs {
    /// The kubeconfig to use instead of those that KUBECONFIG names and ~/.kube/config
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig to use instead of the current one
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// Cluster of the kubeconfig to use instead of the context's
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,

    /// User of the kubeconfig to log in as instead of the context's
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// URL of the API server to use instead of the cluster's
    #[arg(short, long, value_name = "URL")]
    pub(crate) server: Option<Uri>,

    /// Name of the API server that its certificate must have, where that is not the URL's
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,

    /// File with the certificates of the authorities that the API server's certificate may be of
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) certificate_authority: Option<PathBuf>,

    /// Bearer token to log in with instead of the user's credentials
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<BearerToken>,

    /// File with the certificate to log in with
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) client_certificate: Option<PathBuf>,

    /// File with the key of the certificate to log in with
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) client_key: Option<PathBuf>,

    /// Act as another user or as a service account (system:serviceaccount:NAMESPACE:NAME)
    #[arg(long = "as", value_name = "USER")]
    pub(crate) impersonate: Option<String>,

    /// Act as a member of a group; can be given several times
    #[arg(long = "as-group", value_name = "GROUP", requires = "impersonate")]
    pub(crate) impersonate_groups: Vec<String>,

    /// Act as a user with this UID
    #[arg(long = "as-uid", value_name = "UID", requires = "impersonate")]
    pub(crate) impersonate_uid: Option<String>,

    /// How long a single request may take, as in 30s or 1m; 0 is for ever
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout)]
    pub(crate) request_timeout: Option<RequestTimeout>,

    /// Do not check the API server's certificate, which leaves the connection open to others
    #[arg(long)]
    pub(crate) insecure_skip_tls_verify: bool,
}

impl ClusterArgs {
    /// A flag that was given, where any was.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--kubeconfig", self.kubeconfig.is_some()),
            ("--context", self.context.is_some()),
            ("--cluster", self.cluster.is_some()),
            ("--user", self.user.is_some()),
            ("--server", self.server.is_some()),
            ("--tls-server-name", self.tls_server_name.is_some()),
            (
                "--certificate-authority",
                self.certificate_authority.is_some(),
            ),
            ("--token", self.token.is_some()),
            ("--client-certificate", self.client_certificate.is_some()),
            ("--client-key", self.client_key.is_some()),
            ("--as", self.impersonate.is_some()),
            ("--as-group", !self.impersonate_groups.is_empty()),
            ("--as-uid", self.impersonate_uid.is_some()),
            ("--request-timeout", self.request_timeout.is_some()),
            ("--insecure-skip-tls-verify", self.insecure_skip_tls_verify),
        ];
        let given = flags.into_iter().find(|(_, is_given)| *is_given);
        given.map(|(flag, _)| flag)
    }
}

/// A token, which is in no message.
#[derive(Clone)]
pub(crate) struct BearerToken(Zeroizing<String>);

impl BearerToken {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BearerToken(…)")
    }
}

impl From<String> for BearerToken {
    fn from(token: String) -> Self {
        BearerToken(Zeroizing::new(token))
    }
}

/// How long a request may take, if there is a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RequestTimeout(pub(crate) Option<Duration>);

/// Reads a duration as kubectl does: a number of seconds, or numbers with units.
fn parse_timeout(text: &str) -> Result<RequestTimeout, String> {
    let duration = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(seconds.into()),
        Err(_) => text
            .parse::<SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok())
            .ok_or("expected a number with a unit, as in 30s or 1m30s")?,
    };
    Ok(RequestTimeout((!duration.is_zero()).then_some(duration)))
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    fn parsed(words: &[&str]) -> ClusterArgs {
        let command = <ClusterArgs as clap::Args>::augment_args(Command::new("test"));
        let words = ["test"].iter().chain(words);
        ClusterArgs::from_arg_matches(&command.get_matches_from(words)).unwrap()
    }

    #[test]
    fn each_flag_is_known_to_be_given() {
        assert_eq!(parsed(&[]).given(), None);
        let command = <ClusterArgs as clap::Args>::augment_args(Command::new("test"));
        for argument in command.get_arguments() {
            let flag = format!("--{}", argument.get_long().unwrap());
            let value = match &*flag {
                "--request-timeout" => "0",
                _ => "x",
            };
            let mut words = vec![&*flag];
            words.extend(argument.get_action().takes_values().then_some(value));
            if flag.starts_with("--as-") {
                words.extend(["--as", "alice"]);
                let mut args = parsed(&words);
                args.impersonate = None;
                assert_eq!(args.given(), Some(&*flag));
            } else {
                assert_eq!(parsed(&words).given(), Some(&*flag));
            }
        }
    }

    #[test]
    fn a_timeout_is_read_as_kubectl_reads_it() {
        let seconds = |seconds| Ok(RequestTimeout(Some(Duration::from_secs(seconds))));
        assert_eq!(parse_timeout("30s"), seconds(30));
        assert_eq!(parse_timeout("1m30s"), seconds(90));
        assert_eq!(parse_timeout("2h"), seconds(7200));
        assert_eq!(parse_timeout("15"), seconds(15));
        assert_eq!(parse_timeout("0"), Ok(RequestTimeout(None)));
        assert_eq!(parse_timeout("0s"), Ok(RequestTimeout(None)));
        for invalid in ["", "soon", "-1s", "-3", "5 apples"] {
            assert!(parse_timeout(invalid).is_err(), "{invalid}");
        }
    }
}
