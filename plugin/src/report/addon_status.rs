//! How far addons have come on their way to Argo CD.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{API_VERSION, Cell, Detail, Page, Report, Tone};
use crate::addons::status::{Finding, State};
use crate::text::{counted, printable};

/// Addons, each on all of its clusters.
pub(crate) struct AddonStatus {
    pub(crate) addons: Vec<AddonOnClusters>,
}

/// An addon, and how far it has come on each cluster.
pub(crate) struct AddonOnClusters {
    pub(crate) name: String,
    /// The name of the release.
    pub(crate) release: String,
    pub(crate) namespace: String,
    /// Name and version of the chart in the checkout; None where there is none.
    pub(crate) chart: Option<(String, String)>,
    /// By the name of the cluster in Argo CD.
    pub(crate) clusters: Vec<(String, Vec<Finding>)>,
}

impl AddonStatus {
    fn findings(&self) -> impl Iterator<Item = &Finding> {
        let clusters = self.addons.iter().flat_map(|addon| &addon.clusters);
        clusters.flat_map(|(_, findings)| findings)
    }

    /// Whether a gate is shut.
    pub(crate) fn is_shut(&self) -> bool {
        self.findings().any(|one| one.state == State::Shut)
    }

    fn count(&self, state: State) -> usize {
        self.findings().filter(|one| one.state == state).count()
    }
}

impl Report for AddonStatus {
    fn document(&self) -> impl Serialize {
        let counts = State::ALL.map(|state| (state.as_str(), self.count(state)));
        Document {
            api_version: API_VERSION,
            kind: "AddonStatus",
            addons: self.addons.iter().map(AddonDocument::new).collect(),
            summary: counts.into_iter().collect(),
        }
    }

    fn page(&self, detail: Detail) -> Page {
        let rows = self.addons.iter().flat_map(|addon| {
            let clusters = addon.clusters.iter();
            clusters.flat_map(move |(cluster, findings)| match detail {
                Detail::Table => vec![row(addon, cluster, findings)],
                Detail::Wide => wide_rows(addon, cluster, findings),
            })
        });
        let header: &[&str] = match detail {
            Detail::Table => HEADER,
            Detail::Wide => WIDE_HEADER,
        };
        let mut page = Page::of_table(header.iter().copied(), rows);
        let counts = State::ALL.map(|state| format!("{} {}", self.count(state), state.as_str()));
        let gates = counted(self.findings().count(), "gate");
        page.text = format!("{gates}: {}\n", counts.join(", "));
        page
    }
}

const HEADER: &[&str] = &[
    "ADDON",
    "CLUSTER",
    "CHART",
    "APPLICATIONSET",
    "ZERO-DIFF",
    "TERRAFORM",
    "AUTOMATION",
    "BUMP",
];
const WIDE_HEADER: &[&str] = &["ADDON", "CLUSTER", "GATE", "STATE", "EVIDENCE", "NEXT"];

fn state(finding: &Finding) -> Cell {
    let tone = match finding.state {
        State::Done | State::Open => Tone::Good,
        State::Shut => Tone::Bad,
        State::Unknown => Tone::Unknown,
    };
    Cell::new(finding.state.as_str(), tone)
}

fn row(addon: &AddonOnClusters, cluster: &str, findings: &[Finding]) -> Vec<Cell> {
    let mut cells = vec![
        Cell::from(printable(&addon.name)),
        Cell::from(printable(cluster)),
    ];
    cells.extend(findings.iter().map(state));
    cells
}

fn wide_rows(addon: &AddonOnClusters, cluster: &str, findings: &[Finding]) -> Vec<Vec<Cell>> {
    let rows = findings.iter().map(|finding| {
        vec![
            Cell::from(printable(&addon.name)),
            Cell::from(printable(cluster)),
            Cell::from(finding.gate.as_str()),
            state(finding),
            Cell::from(printable(&finding.evidence.join("; "))),
            Cell::or_none(&printable(&finding.next)),
        ]
    });
    rows.collect()
}

/// `kind: AddonStatus`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    api_version: &'static str,
    kind: &'static str,
    addons: Vec<AddonDocument<'r>>,
    /// How many gates there are in each state.
    summary: BTreeMap<&'static str, usize>,
}

#[derive(Serialize)]
struct AddonDocument<'r> {
    name: &'r str,
    release: ReleaseDocument<'r>,
    clusters: Vec<ClusterDocument<'r>>,
}

#[derive(Serialize)]
struct ReleaseDocument<'r> {
    name: &'r str,
    namespace: &'r str,
    /// Null where the checkout has none.
    chart: Option<&'r str>,
    /// Null where the checkout has none.
    version: Option<&'r str>,
}

#[derive(Serialize)]
struct ClusterDocument<'r> {
    name: &'r str,
    gates: Vec<GateDocument<'r>>,
}

#[derive(Serialize)]
struct GateDocument<'r> {
    gate: &'static str,
    state: &'static str,
    evidence: &'r [String],
    /// Empty where there is nothing to do.
    next: &'r str,
}

impl<'r> AddonDocument<'r> {
    fn new(addon: &'r AddonOnClusters) -> Self {
        let clusters = addon.clusters.iter().map(|(name, findings)| {
            let gates = findings.iter().map(|finding| GateDocument {
                gate: finding.gate.as_str(),
                state: finding.state.as_str(),
                evidence: &finding.evidence,
                next: &finding.next,
            });
            ClusterDocument {
                name,
                gates: gates.collect(),
            }
        });
        let chart = addon.chart.as_ref();
        AddonDocument {
            name: &addon.name,
            release: ReleaseDocument {
                name: &addon.release,
                namespace: &addon.namespace,
                chart: chart.map(|(name, _)| name.as_str()),
                version: chart.map(|(_, version)| version.as_str()),
            },
            clusters: clusters.collect(),
        }
    }
}
