//! Judges the manifests of a repository by what is known of the fleet, before anybody decides how
//! to show it.

pub(crate) mod missing;
mod repeated;
pub(crate) mod skipped;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use policy::environment::ClustersByEnvironment;
use policy::evaluate::evaluate_with_fan_out;
use policy::missing::MissingFact;
use policy::{FanOut, Finding, Inventory, Kind, Level, Subject};

use self::missing::KnownFrom;
use self::repeated::{Generated, repeated};
use crate::error::chain;
use crate::namespaces::ArgoCds;
use crate::parallel;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::repository::manifest::{Manifest, ObjectReference};
use crate::repository::problem::Problem;
use crate::repository::skipped::Skipped;
use crate::text::counted;

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
    /// The folders of kustomizations that change what was judged before it is applied, and how many
    /// objects of each.
    pub(crate) overlays: BTreeMap<Arc<str>, usize>,
    /// What looks misspelt, names that the API server refuses, and what is declared or generated
    /// more than once, in one sentence each.
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

/// What the rules found in objects.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Those in files by file, line and rule; those in a cluster by kind, namespace and name.
    pub(crate) all: Vec<Located>,
    pub(crate) counts: Counts,
    /// Objects that could not be judged.
    pub(crate) problems: Vec<Problem>,
}

/// What was checked, and what was found.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) findings: Findings,
    /// What could not be read.
    pub(crate) problems: Vec<Unread>,
    /// Whether there may be more that should have been read.
    pub(crate) is_complete: bool,
    /// The files, where it is files that were checked.
    pub(crate) files: Option<Files>,
    /// By what it was checked.
    pub(crate) known_from: KnownFrom,
    /// What was checked, for people.
    pub(crate) what: String,
    /// Which clusters count as production.
    pub(crate) clusters: ClustersByEnvironment,
}

/// What is known of fleets: of each Argo CD what it is judged by.
pub(crate) struct Fleets {
    argo_cds: ArgoCds,
    /// In the order of the Argo CDs.
    inventories: Vec<Inventory>,
}

impl Fleets {
    /// An inventory for each Argo CD, in the order in which these come.
    pub(crate) fn new(argo_cds: ArgoCds, inventories: Vec<Inventory>) -> Self {
        Fleets {
            argo_cds,
            inventories,
        }
    }

    /// What a manifest is judged by: what is known in its namespace, if an Argo CD runs there.
    fn of(&self, manifest: &Manifest) -> &Inventory {
        let own = self
            .argo_cds
            .all()
            .position(|own| own == manifest.namespace);
        &self.inventories[own.unwrap_or_default()]
    }
}

/// Judges what is in files. `unread` is what could not be read of them and of what they are judged
/// by.
pub(crate) fn check<'p>(
    judged: Repository,
    fleets: &Fleets,
    known_from: KnownFrom,
    repeated_facts: &[String],
    unread: impl Iterator<Item = &'p Problem>,
    now: Timestamp,
    progress: Progress,
) -> Checked {
    let (findings, generated) = Findings::in_files(&judged.manifests, fleets, now, progress);
    // An object may be a fact and judged as well.
    let mut unread: Vec<&Problem> = unread.collect();
    unread.extend(judged.problems.iter().chain(&findings.problems));
    let problems = Unread::each_once(unread.into_iter());
    let mut warnings = judged.warnings.clone();
    warnings.extend_from_slice(repeated_facts);
    warnings.extend(repeated(&judged.manifests, &generated));
    Checked {
        problems,
        is_complete: true,
        known_from,
        what: what(&judged, findings.counts),
        clusters: ClustersByEnvironment::of_all(fleets.inventories.iter()),
        files: Some(Files {
            count: judged.files,
            overlays: overlays(&judged),
            warnings,
            skipped: judged.skipped,
        }),
        findings,
    }
}

fn overlays(judged: &Repository) -> BTreeMap<Arc<str>, usize> {
    let mut overlays = BTreeMap::new();
    for manifest in judged
        .manifests
        .iter()
        .filter(|manifest| manifest.kind.is_judged())
    {
        if let Some(overlay) = &manifest.overlay {
            *overlays.entry(Arc::clone(overlay)).or_default() += 1;
        }
    }
    overlays
}

fn what(judged: &Repository, counts: Counts) -> String {
    let skipped = match judged.skipped.len() {
        0 => String::new(),
        skipped => format!(" ({skipped} skipped)"),
    };
    format!(
        "{}{skipped}, {}",
        counted(judged.files, "file"),
        counted(counts.objects, "object")
    )
}

impl Findings {
    /// Judges all manifests that are of a kind to be judged, each by what its Argo CD knows. With
    /// it comes what they generate.
    fn in_files<'m>(
        manifests: &'m [Manifest],
        fleets: &Fleets,
        now: Timestamp,
        progress: Progress,
    ) -> (Self, Vec<Generated<'m>>) {
        let judged: Vec<&Manifest> = manifests
            .iter()
            .filter(|manifest| manifest.kind.is_judged())
            .collect();
        let verdicts = parallel::map(progress, "judging", &judged, |manifest| {
            judge(manifest, fleets.of(manifest), now)
        });
        let mut findings = Findings::default();
        let mut generated = Vec::new();
        for (by, verdict) in judged.iter().copied().zip(verdicts) {
            match verdict {
                Ok((located, names)) => {
                    findings.all.extend(located);
                    generated.push(Generated { by, names });
                }
                Err(problem) => findings.problems.push(problem),
            }
        }
        findings
            .all
            .sort_by(|a, b| (&a.place, a.finding.rule).cmp(&(&b.place, b.finding.rule)));
        findings.counts = Counts::of(judged.len(), &findings.all);
        (findings, generated)
    }

    /// Gathers what was found in the objects of a cluster, in the order in which that has them.
    pub(crate) fn in_cluster(judged: Vec<Judged>) -> Self {
        let mut all = Findings::default();
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
                    all.all.extend(located);
                }
                Err(problem) => all.problems.push(problem),
            }
        }
        all.counts = Counts::of(objects, &all.all);
        all
    }
}

impl Located {
    /// Whether it is undecided for nothing but facts that are missing.
    pub(crate) fn waits_for_facts(&self) -> bool {
        self.finding.level() == Level::Undecided && !self.finding.missing.is_empty()
    }
}

impl Counts {
    fn of(objects: usize, findings: &[Located]) -> Self {
        let of_level = |level| {
            findings
                .iter()
                .filter(|located| located.finding.level() == level)
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

/// What is found in an object, and the names of the Applications that it generates.
///
/// # Errors
/// It is not what its kind says.
pub(crate) fn judge(
    manifest: &Manifest,
    inventory: &Inventory,
    now: Timestamp,
) -> Result<(Vec<Located>, Vec<String>), Problem> {
    let object = manifest.object()?;
    let subject = Subject {
        now,
        unknown_fields: &manifest.unknown_fields,
        ..Subject::new(object)
    };
    let (verdict, fan_out) = evaluate_with_fan_out(&subject, inventory);
    let is_set = manifest.kind == Kind::ApplicationSet;
    let generated = fan_out.filter(|_| is_set).map(FanOut::into_generated_names);
    let findings = verdict.findings.into_iter();
    let located = findings.map(|finding| locate(finding, manifest));
    Ok((located.collect(), generated.unwrap_or_default()))
}

/// What an overlay changes is not what is applied, so that nothing about it is certain.
fn locate(mut finding: Finding, manifest: &Manifest) -> Located {
    if let Some(overlay) = &manifest.overlay
        && finding.level() == Level::Deny
    {
        finding.leave_undecided();
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
