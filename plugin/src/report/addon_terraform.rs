//! How Terraform lets go of a release, and whether it has.

use std::fmt::Write as _;

use serde::Serialize;

use super::{API_VERSION, Cell, Detail, Page, Report, Row, Table, Tone};
use crate::addons::status::State;
use crate::addons::terraform_gate::{Judgement, OfState, name};
use crate::terraform::{LettingGo, Restoring, Step, WhyCommands};
use crate::text::printable;

/// What is known of an addon.
pub(crate) struct AddonTerraform<'k> {
    pub(crate) addon: String,
    /// The name of the release.
    pub(crate) release: String,
    pub(crate) namespace: String,
    /// Why it goes on although the gate is shut.
    pub(crate) despite: Option<String>,
    pub(crate) clusters: Vec<ClusterGate<'k>>,
    /// How the resources of each state let go; none while the gate is shut.
    pub(crate) letting_go: Vec<OfState<'k>>,
}

/// The gate on a cluster.
pub(crate) struct ClusterGate<'k> {
    /// Its name in Argo CD.
    pub(crate) cluster: String,
    pub(crate) judgement: Judgement<'k>,
}

impl AddonTerraform<'_> {
    /// The gate of all clusters together: the least that is so on any.
    pub(crate) fn gate(&self) -> State {
        let order = [State::Shut, State::Unknown, State::Open];
        let is_any = |state: &State| {
            self.clusters
                .iter()
                .any(|one| one.judgement.state == *state)
        };
        order.into_iter().find(is_any).unwrap_or(State::Done)
    }

    /// What is in the way, once each.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<String> = Vec::new();
        for one in &self.clusters {
            let own = match one.judgement.state {
                State::Shut => &one.judgement.against,
                State::Unknown => &one.judgement.seen,
                State::Open | State::Done => continue,
            };
            for reason in own {
                if !reasons.contains(reason) {
                    reasons.push(reason.clone());
                }
            }
        }
        reasons
    }

    /// That it goes on although the gate is shut, and why.
    pub(crate) fn despite_words(&self) -> String {
        let reason = self.despite.as_deref().unwrap_or_default();
        printable(&format!(
            "the gate is {} ({}); it goes on despite that: {reason}",
            self.gate().as_str(),
            self.reasons().join("; ")
        ))
    }

    fn is_despite(&self) -> bool {
        self.despite.is_some() && matches!(self.gate(), State::Shut | State::Unknown)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        match self.gate() {
            State::Done => {
                let _ = writeln!(text, "Terraform does not manage it.");
            }
            State::Open => {}
            State::Shut | State::Unknown if self.is_despite() => {
                let _ = writeln!(text, "# {}", self.despite_words());
            }
            other => {
                let _ = writeln!(
                    text,
                    "The gate is {}: how Terraform lets go is not told. --despite REASON tells it.",
                    other.as_str()
                );
            }
        }
        for one in &self.letting_go {
            text += &words(one.from, &one.letting_go);
            text += "# How to take it back, with its own block in place again:\n";
            text.extend(one.restoring.iter().map(restoring));
        }
        text
    }
}

/// What is to be done, as people read it and copy it.
fn words(from: &str, letting_go: &LettingGo) -> String {
    match letting_go {
        LettingGo::Removed { block, resource } => format!(
            "# {}: in the place of the block of {}:\n{block}",
            printable(from),
            printable(resource)
        ),
        LettingGo::Commands { steps, why } => {
            let mut text = format!("# {}: by commands, as {}\n", printable(from), reason(why));
            for (number, step) in steps.iter().enumerate() {
                let _ = writeln!(text, "# {}. {}", number + 1, printable(&step.what));
                if let Some(command) = &step.command {
                    let _ = writeln!(text, "{}", printable(command));
                }
            }
            text
        }
    }
}

/// How a resource is taken back.
fn restoring(one: &Restoring) -> String {
    match one {
        Restoring::Import { block } => {
            let lines = block.lines().map(|line| format!("# {}\n", printable(line)));
            lines.collect()
        }
        Restoring::Command(command) => format!("# {}\n", printable(command)),
    }
}

/// Why no block does.
fn reason(why: &WhyCommands) -> String {
    match why {
        WhyCommands::Older { since } => {
            format!("a removed block that destroys nothing needs version {since}")
        }
        WhyCommands::UnknownTool => "program or version are not known".to_owned(),
        WhyCommands::OtherInstances(others) => {
            let others = others.join(", ");
            printable(&format!(
                "a removed block has no keys, and these are to stay: {others}"
            ))
        }
        WhyCommands::Deposed => {
            "an object is left over from a replacement that failed, which a plan would delete"
                .to_owned()
        }
    }
}

impl Report for AddonTerraform<'_> {
    fn document(&self) -> impl Serialize {
        let despite = self.despite.as_deref().filter(|_| self.is_despite());
        Document {
            api_version: API_VERSION,
            kind: "AddonTerraform",
            addon: &self.addon,
            release: ReleaseDocument {
                name: &self.release,
                namespace: &self.namespace,
            },
            gate: self.gate().as_str(),
            despite: despite.map(|reason| DespiteDocument {
                reason,
                gate: self.gate().as_str(),
                against: self.reasons(),
            }),
            clusters: self.clusters.iter().map(ClusterDocument::new).collect(),
            letting_go: self.letting_go.iter().map(LettingGoDocument::new).collect(),
        }
    }

    fn page(&self, _: Detail) -> Page {
        let rows = self.clusters.iter().map(|one| {
            let judgement = &one.judgement;
            let tone = match judgement.state {
                State::Done | State::Open => Tone::Good,
                State::Shut => Tone::Bad,
                State::Unknown => Tone::Unknown,
            };
            let addresses = judgement.managing.iter();
            let addresses: Vec<&str> = addresses.map(|one| &*one.release.address).collect();
            Row {
                cells: vec![
                    Cell::from(printable(&one.cluster)),
                    Cell::new(judgement.state.as_str(), tone),
                    Cell::or_none(&printable(&addresses.join(", "))),
                ],
                paragraphs: judgement
                    .evidence()
                    .iter()
                    .map(|one| printable(one))
                    .collect(),
            }
        });
        Page {
            table: Table {
                header: vec!["CLUSTER", "TERRAFORM", "RESOURCE"],
                rows: rows.collect(),
            },
            text: self.text(),
            ..Page::default()
        }
    }
}

/// `kind: AddonTerraform`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    api_version: &'static str,
    kind: &'static str,
    addon: &'r str,
    release: ReleaseDocument<'r>,
    gate: &'static str,
    /// Null where nothing was in the way.
    despite: Option<DespiteDocument<'r>>,
    clusters: Vec<ClusterDocument<'r>>,
    /// Empty while the gate is shut, and once it has let go.
    letting_go: Vec<LettingGoDocument<'r>>,
}

#[derive(Serialize)]
struct ReleaseDocument<'r> {
    name: &'r str,
    namespace: &'r str,
}

#[derive(Serialize)]
struct DespiteDocument<'r> {
    reason: &'r str,
    gate: &'static str,
    against: Vec<String>,
}

#[derive(Serialize)]
struct ClusterDocument<'r> {
    name: &'r str,
    gate: &'static str,
    evidence: Vec<String>,
    resources: Vec<ResourceDocument<'r>>,
    /// Who refers to them.
    referrers: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceDocument<'r> {
    address: &'r str,
    state: &'r str,
    chart: Option<&'r str>,
    repository: Option<&'r str>,
    version: Option<&'r str>,
    revision: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LettingGoDocument<'r> {
    state: &'r str,
    /// A block of the configuration; null where commands do it.
    block: Option<&'r str>,
    /// In their order; empty where a block does it.
    steps: Vec<StepDocument<'r>>,
    /// Why no block does; null where one does.
    reason: Option<String>,
    /// Blocks or commands by which Terraform takes it back.
    restoring: Vec<&'r str>,
}

#[derive(Serialize)]
struct StepDocument<'r> {
    what: &'r str,
    /// Null where it is done by hand.
    command: Option<&'r str>,
}

impl<'r> ClusterDocument<'r> {
    fn new(one: &'r ClusterGate<'_>) -> Self {
        let judgement = &one.judgement;
        let resources = judgement.managing.iter().map(|one| ResourceDocument {
            address: &one.release.address,
            state: &one.source.from,
            chart: one.release.chart.as_deref(),
            repository: one.release.repository.as_deref(),
            version: one.release.version.as_deref(),
            revision: one.release.revision,
        });
        ClusterDocument {
            name: &one.cluster,
            gate: judgement.state.as_str(),
            evidence: judgement.evidence(),
            resources: resources.collect(),
            referrers: judgement.referrers.iter().map(name).collect(),
        }
    }
}

impl<'r> LettingGoDocument<'r> {
    fn new(one: &'r OfState<'_>) -> Self {
        let restoring = one.restoring.iter().map(|one| match one {
            Restoring::Import { block } => block.as_str(),
            Restoring::Command(command) => command.as_str(),
        });
        let document = LettingGoDocument {
            state: one.from,
            block: None,
            steps: Vec::new(),
            reason: None,
            restoring: restoring.collect(),
        };
        match &one.letting_go {
            LettingGo::Removed { block, .. } => LettingGoDocument {
                block: Some(block),
                ..document
            },
            LettingGo::Commands { steps, why } => LettingGoDocument {
                steps: steps.iter().map(StepDocument::new).collect(),
                reason: Some(reason(why)),
                ..document
            },
        }
    }
}

impl<'r> StepDocument<'r> {
    fn new(step: &'r Step) -> Self {
        StepDocument {
            what: &step.what,
            command: step.command.as_deref(),
        }
    }
}
