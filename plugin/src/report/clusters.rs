//! The clusters of a fleet, and how Argo CD logs in to each.

use jiff::Timestamp;
use serde::Serialize;

use super::age::{away, rough};
use super::{API_VERSION, Cell, Detail, Page, Report, Tone, non_empty};
use crate::clusters::login::{Credential, Expiry, Login};
use crate::clusters::{Registration, Usage};
use crate::text::counted;

/// Clusters, all of them or those that were asked for.
pub(crate) struct ClusterList<'c> {
    pub(crate) clusters: Vec<&'c Registration>,
    /// All that there are.
    pub(crate) of: &'c [Registration],
    pub(crate) usage: &'c Usage,
    pub(crate) now: Timestamp,
}

impl Report for ClusterList<'_> {
    fn document(&self) -> impl Serialize {
        let clusters = self.clusters.iter().copied();
        Document {
            api_version: API_VERSION,
            kind: "ClusterList",
            clusters: clusters
                .map(|cluster| ClusterDocument::new(cluster, self.usage))
                .collect(),
            undecided_application_sets: &self.usage.undecided_application_sets,
            summary: Summary {
                clusters: self.of.len(),
                shown: self.clusters.len(),
                with_credentials: self.with_credentials(),
            },
        }
    }

    fn page(&self, detail: Detail) -> Page {
        let header = HEADER.iter().chain(match detail {
            Detail::Table => &[] as &[_],
            Detail::Wide => WIDE_HEADER,
        });
        let clusters = self.clusters.iter();
        let rows = clusters.map(|cluster| cells(cluster, self.usage, detail, self.now));
        let mut page = Page::of_table(header.copied(), rows);
        page.text = self.total() + "\n";
        page
    }

    fn names(&self) -> Vec<String> {
        let secrets = self.clusters.iter().map(|one| &one.cluster.secret_name);
        let secrets = secrets.filter(|name| !name.is_empty());
        secrets.map(|name| format!("secret/{name}")).collect()
    }
}

impl ClusterList<'_> {
    fn with_credentials(&self) -> usize {
        let all = self.of.iter();
        all.filter(|cluster| cluster.has_credentials()).count()
    }

    /// What is left to be moved to logins without a credential.
    fn total(&self) -> String {
        let clusters = counted(self.of.len(), "cluster");
        match self.with_credentials() {
            0 => format!("{clusters}, none with a credential that lasts in its Secret"),
            count => format!("{clusters}, {count} with a credential that lasts in the Secret"),
        }
    }
}

const HEADER: &[&str] = &[
    "NAME",
    "SERVER",
    "ENVIRONMENT",
    "LOGIN",
    "EXPIRES",
    "APPLICATIONS",
    "AGE",
];
const WIDE_HEADER: &[&str] = &["PROJECT", "SECRET", "APPLICATIONSETS", "VERIFIED"];

fn cells(registration: &Registration, usage: &Usage, detail: Detail, now: Timestamp) -> Vec<Cell> {
    let Registration {
        cluster,
        created,
        environments,
        login,
        credentials,
        aws: _,
    } = registration;
    let age = created.map(|created| rough(now.duration_since(created)));
    let applications = usage.applications(cluster);
    let applications = applications.map(|count| count.to_string());
    let mut cells = vec![
        Cell::or_none(&cluster.name),
        Cell::or_none(&cluster.server),
        Cell::or_none(&environments.join(",")),
        Cell::new(login.as_str(), tone_of(login)),
        expiry(credentials, now),
        applications.map_or(Cell::from(Cell::UNKNOWN), Cell::from),
        age.map_or(Cell::from(Cell::NONE), Cell::from),
    ];
    if detail == Detail::Wide {
        let verified = registration.verified().map(|time| away(time, now));
        cells.extend([
            Cell::or_none(&cluster.project),
            Cell::or_none(&cluster.secret_name),
            Cell::or_none(&usage.application_sets(cluster).join(",")),
            verified.map_or(Cell::from(Cell::NONE), Cell::from),
        ]);
    }
    cells
}

fn tone_of(login: &Login) -> Tone {
    match login {
        Login::Aws | Login::InCluster | Login::Capability => Tone::Good,
        Login::Exec | Login::Unknown => Tone::Plain,
        Login::Token | Login::Basic | Login::Certificate => Tone::Attention,
        Login::Anonymous | Login::Broken(_) => Tone::Bad,
    }
}

/// When what is written in the Secret ends: of several, the one that lasts longest.
fn expiry(credentials: &[Credential], now: Timestamp) -> Cell {
    let lasts = |credential: &&Credential| match credential.expires {
        Expiry::At(end) => (0, end),
        Expiry::Unknown => (1, Timestamp::MAX),
        Expiry::Never => (2, Timestamp::MAX),
    };
    match credentials
        .iter()
        .max_by_key(lasts)
        .map(|last| last.expires)
    {
        None => Cell::from(Cell::NONE),
        Some(Expiry::Never) => Cell::new("never", Tone::Bad),
        Some(Expiry::Unknown) => Cell::new(Cell::UNKNOWN, Tone::Unknown),
        Some(expiry @ Expiry::At(end)) => {
            let tone = if expiry.is_over(now) {
                Tone::Bad
            } else {
                Tone::Attention
            };
            Cell::new(away(end, now), tone)
        }
    }
}

/// `kind: ClusterList`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'c> {
    api_version: &'static str,
    kind: &'static str,
    clusters: Vec<ClusterDocument<'c>>,
    /// ApplicationSets of which it is not known for which clusters they generate.
    undecided_application_sets: &'c [String],
    summary: Summary,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    /// All that there are, shown or not.
    clusters: usize,
    shown: usize,
    /// Those of all in whose Secret there is a credential that lasts.
    with_credentials: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterDocument<'c> {
    name: &'c str,
    server: &'c str,
    /// Null for the cluster that Argo CD runs in, where no Secret describes it.
    secret: Option<&'c str>,
    created: Option<Timestamp>,
    project: Option<&'c str>,
    environments: &'c [String],
    login: &'static str,
    /// Why it cannot log in; null where it can.
    problem: Option<&'c str>,
    credentials: Vec<CredentialDocument>,
    /// Null where they may not be listed.
    applications: Option<usize>,
    application_sets: Vec<&'c str>,
    /// When somebody last proved that the login works; null where that is not on record.
    verified: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CredentialDocument {
    kind: &'static str,
    /// Null where it does not say.
    issued: Option<Timestamp>,
    /// Null where it never ends, or does not say.
    expires: Option<Timestamp>,
    /// Null where it does not say.
    never_expires: Option<bool>,
}

impl<'c> ClusterDocument<'c> {
    fn new(registration: &'c Registration, usage: &'c Usage) -> Self {
        let cluster = &registration.cluster;
        ClusterDocument {
            name: &cluster.name,
            server: &cluster.server,
            secret: non_empty(&cluster.secret_name),
            created: registration.created,
            project: non_empty(&cluster.project),
            environments: &registration.environments,
            login: registration.login.as_str(),
            problem: match &registration.login {
                Login::Broken(reason) => Some(reason),
                _ => None,
            },
            credentials: registration
                .credentials
                .iter()
                .map(CredentialDocument::new)
                .collect(),
            applications: usage.applications(cluster),
            application_sets: usage.application_sets(cluster),
            verified: registration.verified(),
        }
    }
}

impl CredentialDocument {
    fn new(credential: &Credential) -> Self {
        let (expires, never_expires) = match credential.expires {
            Expiry::Never => (None, Some(true)),
            Expiry::At(end) => (Some(end), Some(false)),
            Expiry::Unknown => (None, None),
        };
        CredentialDocument {
            kind: credential.kind.as_str(),
            issued: credential.issued,
            expires,
            never_expires,
        }
    }
}
