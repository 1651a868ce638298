//! What every command is handed: made once, of the process and of kubectl's flags.

use std::sync::Arc;

use jiff::Timestamp;

use crate::args::{ClusterArgs, Format, NamespaceArgs, ScopeArgs};
use crate::error::CommandError;
use crate::kubernetes::{ApiServer, ConnectError, Selection};
use crate::progress::Progress;
use crate::render::{render, render_next};
use crate::report::Report;
use crate::streams::Streams;

/// The clock, the streams, and the cluster and namespaces that kubectl's flags name.
pub(crate) struct Context {
    /// What was typed, as a shell reads it and without secrets: the command that goes on after a
    /// failure.
    pub(crate) command_line: String,
    clock: fn() -> Timestamp,
    pub(crate) streams: Arc<Streams>,
    pub(crate) progress: Progress,
    pub(crate) cluster: ClusterArgs,
    pub(crate) namespaces: NamespaceArgs,
}

impl Context {
    /// That of this process.
    pub(crate) fn new(
        command_line: String,
        streams: Arc<Streams>,
        cluster: ClusterArgs,
        namespaces: NamespaceArgs,
    ) -> Self {
        Context {
            command_line,
            clock: Timestamp::now,
            streams,
            progress: Progress::of_process(),
            cluster,
            namespaces,
        }
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

    /// Prints a report behind others, JSON in a line; whether somebody reads on.
    ///
    /// # Errors
    /// Standard output does not take it.
    pub(crate) fn continue_with(
        &self,
        report: &impl Report,
        format: Format,
    ) -> Result<bool, CommandError> {
        let text = render_next(report, format, self.streams.width())?;
        Ok(self.streams.print_on(&text)?)
    }

    /// Warns of each of some things.
    pub(crate) fn warn(&self, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        for text in texts {
            self.streams.warning(text.as_ref());
        }
    }
}
