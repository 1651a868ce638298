//! What runs here, and what runs in the cluster.

use serde::Serialize;

use super::{API_VERSION, Cell, Detail, Page, Report};
use crate::versions::{CLIENT_COMMIT, CLIENT_VERSION, Program, Versions};

/// This program, and those of the cluster.
pub(crate) struct VersionReport<'v>(pub(crate) &'v Versions);

impl Report for VersionReport<'_> {
    fn document(&self) -> impl Serialize {
        let Versions {
            webhook,
            argocd,
            problems,
        } = self.0;
        Document {
            api_version: API_VERSION,
            kind: "Version",
            client: Client {
                version: CLIENT_VERSION,
                commit: CLIENT_COMMIT,
            },
            webhook: webhook.as_ref().map(Server::new),
            argocd: argocd.as_ref().map(Server::new),
            problems,
        }
    }

    fn page(&self, _: Detail) -> Page {
        let client = vec![
            Cell::from(CLIENT),
            Cell::from(CLIENT_VERSION),
            Cell::from(format!("commit {CLIENT_COMMIT}")),
        ];
        let rows = [
            client,
            cells("gitops-webhook", self.0.webhook.as_ref()),
            cells("Argo CD", self.0.argocd.as_ref()),
        ];
        Page::of_table(["PROGRAM", "VERSION", "SOURCE"], rows)
    }
}

const CLIENT: &str = "kubectl-gitops";

fn cells(name: &str, program: Option<&Program>) -> Vec<Cell> {
    let (version, image) = match program {
        Some(program) => (program.version(), program.image.as_str()),
        None => (Cell::NONE, ""),
    };
    vec![name.into(), version.into(), image.into()]
}

/// `kind: Version`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'v> {
    api_version: &'static str,
    kind: &'static str,
    client: Client,
    /// Null where no cluster was asked, or none could be read.
    webhook: Option<Server<'v>>,
    argocd: Option<Server<'v>>,
    /// Why the server side is not known, as one sentence each.
    problems: &'v [String],
}

#[derive(Serialize)]
struct Client {
    version: &'static str,
    /// Of the source that it was built from; `unknown` where that was not a checkout.
    commit: &'static str,
}

/// A program of the cluster.
#[derive(Serialize)]
struct Server<'v> {
    namespace: &'v str,
    /// The tag or digest of the image.
    version: &'v str,
    image: &'v str,
}

impl<'v> Server<'v> {
    fn new(program: &'v Program) -> Self {
        Server {
            namespace: &program.namespace,
            version: program.version(),
            image: &program.image,
        }
    }
}
