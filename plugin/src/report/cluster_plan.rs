//! What brings a cluster into the fleet.

use std::path::Path;

use policy::fan_out::{Affected, Change};
use serde::Serialize;

use super::check::Finding;
use super::{API_VERSION, Cell, Detail, Notes, Page, Report, Row, Tone, non_empty};
use crate::onboarding::Onboarding;
use crate::onboarding::link::{Link, LinkName, State};
use crate::onboarding::script::{Kind, Script};
use crate::onboarding::secret::SecretManifest;
use crate::preview::Verdict;

/// What was found, and what became of what was done.
pub(crate) struct ClusterPlan<'p> {
    pub(crate) onboarding: &'p Onboarding,
    /// By link.
    pub(crate) applied: &'p [(LinkName, String)],
    /// The folder that has the AWS side for Terraform, if it is written.
    pub(crate) terraform: Option<&'p Path>,
}

impl Report for ClusterPlan<'_> {
    fn document(&self) -> impl Serialize {
        Document::new(self)
    }

    /// A row for each link, with what mends it below, then the Secret, and what it sets off.
    fn page(&self, detail: Detail) -> Page {
        let links = self.onboarding.links.iter();
        let mut page = Page::default();
        page.table.header = match detail {
            Detail::Table => vec!["LINK", "STATE", "OBSERVED"],
            Detail::Wide => vec!["LINK", "STATE", "OBSERVED", "EXPECTED"],
        };
        page.table.rows = links.map(|link| self.row(link, detail)).collect();
        page.notes = vec![
            Notes {
                title: "Applications that would come to the cluster:",
                items: self.written().map(fan_out).collect(),
            },
            Notes {
                title: "Not known here, what it takes:",
                items: self.not_known(),
            },
            Notes {
                title: "What the rules say of the Secret:",
                items: self
                    .onboarding
                    .findings
                    .iter()
                    .map(|located| located.finding.line())
                    .collect(),
            },
        ];
        page.text = format!("\nThe cluster Secret:\n\n{}", self.onboarding.secret.yaml());
        page
    }
}

impl ClusterPlan<'_> {
    fn script(&self) -> Script<'_> {
        Script {
            registration: &self.onboarding.registration,
            secret: &self.onboarding.secret,
        }
    }

    fn row(&self, link: &Link, detail: Detail) -> Row {
        let mut cells = vec![
            Cell::from(link.name.as_str()),
            Cell::new(link.state.as_str(), tone(link.state)),
            Cell::from(link.observed.as_str()),
        ];
        let mut paragraphs = Vec::new();
        if detail == Detail::Wide {
            cells.push(Cell::or_none(&link.expected));
        } else if link.state != State::Ok && !link.expected.is_empty() {
            paragraphs.push(format!("expected: {}", link.expected));
        }
        if !link.detail.is_empty() {
            paragraphs.push(link.detail.clone());
        }
        if link.state != State::Ok {
            paragraphs.extend(link.mends.iter().map(|mend| {
                let (kind, command) = self.script().command(mend);
                // The Secret is shown below.
                let first = command.lines().next().unwrap_or_default();
                match kind {
                    Kind::Manual => format!("fix: {first}"),
                    Kind::Aws | Kind::Kubernetes | Kind::Terraform => {
                        format!("fix: {}", first.trim_end_matches(" <<'EOF'"))
                    }
                }
            }));
        }
        Row { cells, paragraphs }
    }

    /// The Applications that are created or changed.
    fn written(&self) -> impl Iterator<Item = &Affected> {
        let all = self
            .onboarding
            .fan_out
            .iter()
            .flat_map(|preview| &preview.affected);
        all.filter(|affected| matches!(affected.change, Change::Create | Change::Change))
    }

    fn not_known(&self) -> Vec<String> {
        let previews = self.onboarding.fan_out.iter();
        let mut lines: Vec<String> = previews
            .clone()
            .flat_map(|preview| &preview.not_known)
            .map(|not_known| {
                format!(
                    "{}: {} (spec.generators[{}]): {}",
                    not_known.application_set,
                    not_known.generator,
                    not_known.entry,
                    not_known.lacks
                )
            })
            .collect();
        lines.extend(
            previews
                .flat_map(|preview| &preview.not_expanded)
                .map(|failing| format!("{}: {}", failing.application_set, failing.error)),
        );
        lines
    }
}

fn tone(state: State) -> Tone {
    match state {
        State::Ok => Tone::Good,
        State::Missing => Tone::Attention,
        State::Wrong => Tone::Bad,
        State::Unknown => Tone::Unknown,
    }
}

fn fan_out(affected: &Affected) -> String {
    let environments = environments(affected);
    let of = match environments.as_str() {
        "" => String::new(),
        environments => format!(", environment {environments}"),
    };
    format!(
        "{} (project {}{of}): {}",
        affected.name,
        affected.project,
        Verdict::of(affected).as_str()
    )
}

fn environments(affected: &Affected) -> String {
    let names: Vec<&str> = affected
        .environments
        .iter()
        .map(|membership| membership.environment.as_str())
        .collect();
    names.join(",")
}

/// `kind: ClusterPlan`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'p> {
    api_version: &'static str,
    kind: &'static str,
    cluster: Cluster<'p>,
    /// All of them, always in the same order.
    links: Vec<LinkDocument<'p>>,
    /// The object that would be written.
    secret: &'p SecretManifest,
    /// The Applications that would be created or changed.
    fan_out: Vec<Generated<'p>>,
    /// What the rules find in the Secret, as in a `CheckReport`.
    findings: Vec<Finding<'p>>,
    /// What became of what was done.
    applied: Vec<Applied<'p>>,
    summary: Summary,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cluster<'p> {
    name: &'p str,
    /// Null where it is not known, as what follows.
    server: Option<&'p str>,
    #[serde(rename = "eksCluster")]
    name_in_eks: &'p str,
    region: Option<&'p str>,
    account: Option<String>,
}

#[derive(Serialize)]
struct LinkDocument<'p> {
    link: &'static str,
    /// `ok`, `missing`, `wrong` or `unknown`.
    state: &'static str,
    observed: &'p str,
    expected: &'p str,
    detail: &'p str,
    mend: Vec<MendDocument>,
}

#[derive(Serialize)]
struct MendDocument {
    /// `aws`, `kubernetes`, `terraform` or `manual`.
    kind: &'static str,
    /// The command, or what is to be done.
    command: String,
}

#[derive(Serialize)]
struct Generated<'p> {
    application: &'p str,
    namespace: &'p str,
    project: &'p str,
    /// Null where it belongs to none; several are separated by commas.
    environment: Option<String>,
    /// `admitted`, `denied` or `undecided`.
    verdict: &'static str,
}

#[derive(Serialize)]
struct Applied<'p> {
    link: &'static str,
    result: &'p str,
}

#[derive(Serialize)]
struct Summary {
    ok: usize,
    missing: usize,
    wrong: usize,
    unknown: usize,
}

impl<'p> Document<'p> {
    fn new(plan: &'p ClusterPlan<'p>) -> Self {
        let onboarding = plan.onboarding;
        Document {
            api_version: API_VERSION,
            kind: "ClusterPlan",
            cluster: Cluster {
                name: &onboarding.registration.name,
                server: non_empty(onboarding.secret.server()),
                name_in_eks: &onboarding.registration.eks_cluster,
                region: onboarding.login().region.as_deref(),
                account: onboarding.evidence().account(),
            },
            links: onboarding
                .links
                .iter()
                .map(|link| plan.link(link))
                .collect(),
            secret: &onboarding.secret,
            fan_out: plan.written().map(Generated::new).collect(),
            findings: onboarding.findings.iter().map(Finding::new).collect(),
            applied: plan
                .applied
                .iter()
                .map(|(link, result)| Applied {
                    link: link.as_str(),
                    result,
                })
                .collect(),
            summary: Summary {
                ok: onboarding.count(State::Ok),
                missing: onboarding.count(State::Missing),
                wrong: onboarding.count(State::Wrong),
                unknown: onboarding.count(State::Unknown),
            },
        }
    }
}

impl<'p> ClusterPlan<'p> {
    /// What mends a link, one way after the other.
    fn mends(&self, link: &Link) -> impl Iterator<Item = (Kind, String)> {
        let by_terraform = self
            .terraform
            .and_then(|folder| Script::terraform(link, folder));
        let mends = link.mends.iter().map(|mend| self.script().command(mend));
        mends.chain(by_terraform)
    }

    fn link(&'p self, link: &'p Link) -> LinkDocument<'p> {
        LinkDocument {
            link: link.name.as_str(),
            state: link.state.as_str(),
            observed: &link.observed,
            expected: &link.expected,
            detail: &link.detail,
            mend: self
                .mends(link)
                .map(|(kind, command)| MendDocument {
                    kind: kind.as_str(),
                    command,
                })
                .collect(),
        }
    }
}

impl<'p> Generated<'p> {
    fn new(affected: &'p Affected) -> Self {
        let (namespace, _) = affected.application_set.split_once('/').unwrap_or_default();
        let environments = environments(affected);
        Generated {
            application: &affected.name,
            namespace,
            project: &affected.project,
            environment: (!environments.is_empty()).then_some(environments),
            verdict: Verdict::of(affected).as_str(),
        }
    }
}
