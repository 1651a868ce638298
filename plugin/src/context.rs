//! What every command is handed: made once, of the process and of kubectl's flags.

use std::sync::Arc;

use jiff::Timestamp;

use crate::args::{ClusterArgs, Format, NamespaceArgs, ScopeArgs};
use crate::error::CommandError;
use crate::kubernetes::{ApiServer, ConnectError, Selection};
use crate::onboarding::change::quoted;
use crate::progress::Progress;
use crate::render::render;
use crate::report::Report;
use crate::streams::Streams;

/// The clock, the streams, and the cluster and namespaces that kubectl's flags name.
pub(crate) struct Context {
    clock: fn() -> Timestamp,
    pub(crate) streams: Arc<Streams>,
    pub(crate) progress: Progress,
    pub(crate) cluster: ClusterArgs,
    pub(crate) namespaces: NamespaceArgs,
    /// What stands behind our name on the command line.
    words: Vec<String>,
}

impl Context {
    /// That of this process, which was called with these words.
    pub(crate) fn new(
        streams: Arc<Streams>,
        cluster: ClusterArgs,
        namespaces: NamespaceArgs,
        words: Vec<String>,
    ) -> Self {
        Context {
            clock: Timestamp::now,
            streams,
            progress: Progress::of_process(),
            cluster,
            namespaces,
            words,
        }
    }

    /// The command line, to be run again.
    pub(crate) fn again(&self) -> String {
        again(&self.words)
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Connects to the cluster.
    ///
    /// # Errors
    /// There is no usable kubeconfig, or its credentials cannot be had.
    pub(crate) async fn connect(&self) -> Result<ApiServer, ConnectError> {
        self.cluster.connect(Some(Arc::clone(&self.streams))).await
    }

    /// The namespace that Argo CD runs in.
    pub(crate) fn argocd_namespace(&self) -> &str {
        self.namespaces.argocd()
    }

    /// The namespace of the objects of a cluster.
    pub(crate) fn namespace_of<'n>(&'n self, server: &'n ApiServer) -> &'n str {
        self.namespaces.of_objects(server.namespace())
    }

    /// The objects of a cluster that are meant.
    pub(crate) fn selection<'s>(
        &'s self,
        scope: &'s ScopeArgs,
        server: &'s ApiServer,
    ) -> Selection<'s> {
        Selection {
            namespace: (!scope.all_namespaces).then(|| self.namespace_of(server)),
            argocd_namespace: self.argocd_namespace(),
            selector: scope.selector.as_deref(),
        }
    }

    /// Where these are, in words: `namespace argocd`, or what is said of all.
    pub(crate) fn place(&self, scope: &ScopeArgs, server: &ApiServer, all: &str) -> String {
        if scope.all_namespaces {
            all.to_owned()
        } else {
            format!("namespace {}", self.namespace_of(server))
        }
    }

    /// Prints a report.
    ///
    /// # Errors
    /// Standard output does not take it.
    pub(crate) fn print(&self, report: &impl Report, format: Format) -> Result<(), CommandError> {
        let text = render(report, format, self.streams.width())?;
        Ok(self.streams.print(&text)?)
    }

    /// Warns of each of some things.
    pub(crate) fn warn(&self, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        for text in texts {
            self.streams.warning(text.as_ref());
        }
    }
}

/// The command line of some words. A token is not repeated.
fn again(words: &[String]) -> String {
    const TOKEN: &str = "--token";
    let mut line = "kubectl gitops".to_owned();
    let mut is_token = false;
    for word in words {
        line.push(' ');
        match word.split_once('=') {
            _ if is_token => line.push_str("TOKEN"),
            Some((TOKEN, _)) => line.push_str("--token=TOKEN"),
            _ => line.push_str(&quoted(word)),
        }
        is_token = !is_token && word == TOKEN;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_repeated_without_a_token() {
        let line = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            again(&words)
        };
        assert_eq!(
            line(&["cluster", "migrate", "--from", "my clusters.yaml", "-y"]),
            "kubectl gitops cluster migrate --from 'my clusters.yaml' -y"
        );
        assert_eq!(
            line(&["--token", "secret", "cluster", "migrate", "a"]),
            "kubectl gitops --token TOKEN cluster migrate a"
        );
        assert_eq!(
            line(&["cluster", "migrate", "a", "--token=a=secret"]),
            "kubectl gitops cluster migrate a --token=TOKEN"
        );
        assert_eq!(
            line(&["--token", "--token", "a"]),
            "kubectl gitops --token TOKEN a"
        );
    }
}
