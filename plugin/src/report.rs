//! What a check found, before anybody decides how to show it.

pub(crate) mod missing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use argocd::{AppProject, Application, ApplicationSet};
use jiff::Timestamp;
use policy::missing::MissingFact;
use policy::{Finding, Inventory, Level, Object, Subject, evaluate};

use crate::error::chain;
use crate::parallel;
use crate::repository::manifest::{Kind, Manifest, ObjectReference};
use crate::repository::problem::Problem;
use crate::repository::skipped::Skipped;

/// A finding and where it stands.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) finding: Finding,
    pub(crate) object: ObjectReference,
    /// The finding's field as the file or the cluster has it.
    pub(crate) field: String,
    pub(crate) place: Place,
}

/// Where an object, or one of its fields, stands.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Place {
    File {
        file: Arc<str>,
        line: usize,
    },
    /// In a cluster.
    Live,
}

/// Which files were checked.
#[derive(Debug)]
pub(crate) struct Files {
    /// How many were looked at.
    pub(crate) count: usize,
    /// Those of them that were not judged.
    pub(crate) skipped: Vec<Skipped>,
    /// The folders of kustomizations that change what was judged before it is applied, and how many objects of each.
    pub(crate) overlays: BTreeMap<Arc<str>, usize>,
    /// Kinds that look misspelt, and what is declared or generated more than once, in one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// What could not be read, as it is told.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Unread {
    /// Empty where it is in no file.
    pub(crate) file: String,
    /// 0 where it is the whole file.
    pub(crate) line: usize,
    /// With file and line.
    pub(crate) message: String,
}

impl Unread {
    /// Problems by file and line, each once: an object may be a fact and judged as well.
    pub(crate) fn each_once<'p>(problems: impl Iterator<Item = &'p Problem>) -> Vec<Self> {
        let problems: BTreeSet<_> = problems
            .map(|problem| {
                let (file, line) = problem.place();
                Unread {
                    file: file.to_owned(),
                    line,
                    message: chain(problem),
                }
            })
            .collect();
        problems.into_iter().collect()
    }
}

/// An object of a cluster, and what was found in it.
pub(crate) type Judged = (ObjectReference, Result<Vec<Finding>, Problem>);

/// How many objects were judged, and how many findings there are of each level.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) objects: usize,
    pub(crate) denied: usize,
    pub(crate) undecided: usize,
    pub(crate) warned: usize,
}

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Those in files by file, line and rule; those in a cluster by kind, namespace and name.
    pub(crate) findings: Vec<Located>,
    pub(crate) counts: Counts,
    /// Objects that could not be judged.
    pub(crate) problems: Vec<Problem>,
}

impl Report {
    /// Judges all manifests that are of a kind to be judged, each by what its Argo CD knows.
    pub(crate) fn of<'i>(
        manifests: &[Manifest],
        inventory_of: impl Fn(&Manifest) -> &'i Inventory + Sync,
    ) -> Self {
        let judged: Vec<&Manifest> = manifests
            .iter()
            .filter(|manifest| manifest.kind.is_judged())
            .collect();
        let now = Timestamp::now();
        let verdicts = parallel::map("judging", &judged, |manifest| {
            judge(manifest, inventory_of(manifest), now)
        });
        let mut report = Report::default();
        for verdict in verdicts {
            match verdict {
                Ok(findings) => report.findings.extend(findings),
                Err(problem) => report.problems.push(problem),
            }
        }
        report
            .findings
            .sort_by(|a, b| (&a.place, a.finding.rule).cmp(&(&b.place, b.finding.rule)));
        report.counts = Counts::of(judged.len(), &report.findings);
        report
    }

    /// Gathers what was found in the objects of a cluster, in the order in which that has them.
    pub(crate) fn of_cluster(judged: Vec<Judged>) -> Self {
        let mut report = Report::default();
        let objects = judged.len();
        for (object, findings) in judged {
            match findings {
                Ok(findings) => {
                    let located = findings.into_iter().map(|finding| Located {
                        object: object.clone(),
                        field: finding.field.to_string(),
                        place: Place::Live,
                        finding,
                    });
                    report.findings.extend(located);
                }
                Err(problem) => report.problems.push(problem),
            }
        }
        report.counts = Counts::of(objects, &report.findings);
        report
    }
}

impl Located {
    /// Whether it is undecided for nothing but facts that are missing.
    pub(crate) fn waits_for_facts(&self) -> bool {
        self.finding.level == Level::Undecided && !self.finding.missing.is_empty()
    }
}

impl Counts {
    fn of(objects: usize, findings: &[Located]) -> Self {
        let of_level = |level| {
            findings
                .iter()
                .filter(|located| located.finding.level == level)
                .count()
        };
        Counts {
            objects,
            denied: of_level(Level::Deny),
            undecided: of_level(Level::Undecided),
            warned: of_level(Level::Warn),
        }
    }
}

fn judge(
    manifest: &Manifest,
    inventory: &Inventory,
    now: Timestamp,
) -> Result<Vec<Located>, Problem> {
    let object = match manifest.kind {
        Kind::Application => {
            let application: Application<'_> = manifest.decode()?;
            Object::Application(Box::new(application))
        }
        Kind::ApplicationSet => {
            let set: ApplicationSet<'_> = manifest.decode()?;
            Object::ApplicationSet(Box::new(set))
        }
        Kind::AppProject => {
            let project: AppProject = manifest.decode()?;
            Object::AppProject(Box::new(project))
        }
        Kind::ClusterSecret => Object::ClusterSecret(Box::new(manifest.cluster_secret()?)),
        Kind::RepositorySecret | Kind::Settings | Kind::Parameters | Kind::Policy => {
            return Ok(Vec::new());
        }
    };
    let subject = Subject {
        now,
        unknown_fields: &manifest.unknown_fields,
        ..Subject::new(object)
    };
    let verdict = evaluate(&subject, inventory);
    Ok(verdict
        .findings
        .into_iter()
        .map(|finding| locate(finding, manifest))
        .collect())
}

/// What an overlay changes is not what is applied, so that nothing about it is certain.
fn locate(mut finding: Finding, manifest: &Manifest) -> Located {
    if let Some(overlay) = &manifest.overlay
        && finding.level == Level::Deny
    {
        finding.level = Level::Undecided;
        finding
            .missing
            .add(MissingFact::Rendering(overlay.to_string()));
        let _ = write!(
            finding.message,
            "; this is a Kustomize base, which {overlay} changes"
        );
    }
    let field = manifest.field_in_file(&finding.field);
    Located {
        place: Place::File {
            file: Arc::clone(&manifest.file),
            line: manifest.line_of(&field),
        },
        field,
        object: manifest.reference.clone(),
        finding,
    }
}
