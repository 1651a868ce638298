//! What Helm has installed on the clusters of a fleet.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::age::rough;
use super::{API_VERSION, Cell, Detail, Page, Report, Tone};
use crate::addons::{Installed, Problem};
use crate::releases::{ChartMetadata, Status};
use crate::text::{counted, printable};

/// Releases, and what could not be read of them.
pub(crate) struct AddonList {
    pub(crate) releases: Vec<Installed>,
    pub(crate) problems: Vec<Problem>,
    /// How many clusters were asked.
    pub(crate) clusters: usize,
    /// Whether all clusters are known.
    pub(crate) is_whole_fleet: bool,
    pub(crate) now: Timestamp,
}

impl AddonList {
    /// By cluster, namespace and name.
    pub(crate) fn sort(&mut self) {
        self.releases.sort_by_cached_key(|one| {
            let newest = &one.stored.newest;
            let release = (newest.namespace.clone(), newest.release.clone());
            (one.cluster.clone(), release, newest.driver)
        });
        self.problems
            .sort_by_cached_key(|one| (one.cluster.clone(), one.message.clone()));
    }

    fn by_owner(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for release in &self.releases {
            for owner in release.owners.names() {
                *counts.entry(owner).or_default() += 1;
            }
        }
        counts
    }

    fn with_several_owners(&self) -> usize {
        let releases = self.releases.iter();
        releases.filter(|one| one.owners.are_several()).count()
    }

    fn total(&self) -> String {
        let owners: Vec<_> = self
            .by_owner()
            .iter()
            .map(|(owner, count)| format!("{count} managed by {}", printable(owner)))
            .collect();
        let releases = counted(self.releases.len(), "release");
        let clusters = counted(self.clusters, "cluster");
        let mut parts = vec![format!("{releases} on {clusters}")];
        parts.extend(owners);
        if self.with_several_owners() > 0 {
            parts.push(format!("{} by more than one", self.with_several_owners()));
        }
        parts.join(", ")
    }
}

impl Report for AddonList {
    fn document(&self) -> impl Serialize {
        Document {
            api_version: API_VERSION,
            kind: "AddonList",
            releases: self.releases.iter().map(ReleaseDocument::new).collect(),
            problems: self.problems.iter().map(ProblemDocument::new).collect(),
            summary: Summary {
                clusters: self.clusters,
                releases: self.releases.len(),
                by_owner: self.by_owner(),
                with_several_owners: self.with_several_owners(),
            },
        }
    }

    fn page(&self, detail: Detail) -> Page {
        let header = HEADER.iter().chain(match detail {
            Detail::Table => &[] as &[_],
            Detail::Wide => WIDE_HEADER,
        });
        let releases = self.releases.iter();
        let rows = releases.map(|release| cells(release, detail, self.now));
        let mut page = Page::of_table(header.copied(), rows);
        page.text = self.total() + "\n";
        page
    }

    fn names(&self) -> Vec<String> {
        let stored = self.releases.iter().map(|release| &release.stored.newest);
        stored
            .map(|newest| format!("{}/{}", newest.driver, newest.object))
            .collect()
    }
}

const HEADER: &[&str] = &[
    "CLUSTER",
    "NAMESPACE",
    "RELEASE",
    "CHART",
    "VERSION",
    "REVISION",
    "STATUS",
    "MANAGED BY",
];
const WIDE_HEADER: &[&str] = &[
    "APP VERSION",
    "UPDATED",
    "OBJECTS",
    "HOOKS",
    "APPLICATIONS",
    "STORED IN",
];

fn cells(release: &Installed, detail: Detail, now: Timestamp) -> Vec<Cell> {
    let newest = &release.stored.newest;
    let content = release.content.as_ref();
    let text = |text: Option<&str>| match text {
        Some(text) => Cell::or_none(&printable(text)),
        None => Cell::new(Cell::UNKNOWN, Tone::Unknown),
    };
    let chart = |part: fn(&ChartMetadata) -> &str| text(content.map(|one| part(&one.chart)));
    let mut cells = vec![
        Cell::from(printable(&release.cluster)),
        Cell::from(printable(&newest.namespace)),
        Cell::from(printable(&newest.release)),
        chart(|chart| &chart.name),
        chart(|chart| &chart.version),
        Cell::from(newest.revision.to_string()),
        Cell::new(newest.status.as_str(), tone_of(newest.status)),
        owners(release),
    ];
    if detail == Detail::Wide {
        let updated = content.and_then(|one| one.last_deployed);
        let count = |count: Option<usize>| text(count.map(|count| count.to_string()).as_deref());
        let applications: Vec<_> = release.owners.applications.iter().collect();
        let applications: Vec<_> = applications.iter().map(|name| printable(name)).collect();
        cells.extend([
            chart(|chart| &chart.app_version),
            updated.map_or(Cell::from(Cell::UNKNOWN), |time| {
                Cell::from(format!("{} ago", rough(now.duration_since(time))))
            }),
            count(content.map(|one| one.objects)),
            count(content.map(|one| one.hooks)),
            Cell::or_none(&applications.join(",")),
            Cell::from(format!("{}/{}", newest.driver, printable(&newest.object))),
        ]);
    }
    cells
}

fn owners(release: &Installed) -> Cell {
    let names = release.owners.names();
    let text = printable(&names.join(", "));
    match names.len() {
        0 => Cell::new(Cell::UNKNOWN, Tone::Unknown),
        1 => Cell::from(text),
        _ => Cell::new(text, Tone::Attention),
    }
}

fn tone_of(status: Status) -> Tone {
    match status {
        Status::Deployed => Tone::Good,
        Status::Failed => Tone::Bad,
        Status::PendingInstall
        | Status::PendingUpgrade
        | Status::PendingRollback
        | Status::Uninstalling => Tone::Attention,
        Status::Superseded | Status::Uninstalled => Tone::Plain,
        Status::Unknown => Tone::Unknown,
    }
}

/// `kind: AddonList`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    api_version: &'static str,
    kind: &'static str,
    releases: Vec<ReleaseDocument<'r>>,
    problems: Vec<ProblemDocument<'r>>,
    summary: Summary<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'r> {
    /// Those that were asked, with those that did not answer.
    clusters: usize,
    releases: usize,
    /// A release that several manage counts for each of them.
    by_owner: BTreeMap<&'r str, usize>,
    with_several_owners: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReleaseDocument<'r> {
    cluster: &'r str,
    namespace: &'r str,
    name: &'r str,
    /// Null where the revision cannot be read.
    chart: Option<ChartDocument<'r>>,
    revision: u64,
    /// How many revisions are kept.
    revisions: usize,
    status: &'static str,
    /// Null where Helm does not say, or the revision cannot be read.
    last_deployed: Option<Timestamp>,
    stored_in: StoredDocument<'r>,
    managed_by: Vec<OwnerDocument<'r>>,
    applications: Vec<&'r str>,
    /// Null where the revision cannot be read.
    objects: Option<usize>,
    /// Those that are not there.
    missing_objects: usize,
    /// Null where the revision cannot be read.
    hooks: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChartDocument<'r> {
    name: &'r str,
    version: &'r str,
    app_version: &'r str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoredDocument<'r> {
    /// `secret` or `configmap`.
    driver: &'static str,
    name: &'r str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OwnerDocument<'r> {
    name: &'r str,
    evidence: &'r [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProblemDocument<'r> {
    cluster: &'r str,
    message: &'r str,
}

impl<'r> ReleaseDocument<'r> {
    fn new(release: &'r Installed) -> Self {
        let newest = &release.stored.newest;
        let content = release.content.as_ref();
        let owners = &release.owners;
        ReleaseDocument {
            cluster: &release.cluster,
            namespace: &newest.namespace,
            name: &newest.release,
            chart: content.map(|content| ChartDocument {
                name: &content.chart.name,
                version: &content.chart.version,
                app_version: &content.chart.app_version,
            }),
            revision: newest.revision,
            revisions: release.stored.revisions,
            status: newest.status.as_str(),
            last_deployed: content.and_then(|content| content.last_deployed),
            stored_in: StoredDocument {
                driver: newest.driver.as_str(),
                name: &newest.object,
            },
            managed_by: owners
                .evidence()
                .map(|(name, evidence)| OwnerDocument { name, evidence })
                .collect(),
            applications: owners.applications.iter().map(String::as_str).collect(),
            objects: content.map(|content| content.objects),
            missing_objects: owners.missing,
            hooks: content.map(|content| content.hooks),
        }
    }
}

impl<'r> ProblemDocument<'r> {
    fn new(problem: &'r Problem) -> Self {
        ProblemDocument {
            cluster: &problem.cluster,
            message: &problem.message,
        }
    }
}
