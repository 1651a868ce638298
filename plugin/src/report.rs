//! What a check found, before anybody decides how to show it.

use std::sync::Arc;

use argocd::{AppProject, Application, ApplicationSet, ClusterSecret};
use policy::{Finding, Inventory, Level, Object, Subject, evaluate};

use crate::parallel;
use crate::repository::manifest::{Kind, Manifest, ObjectReference};
use crate::repository::problem::Problem;

/// A finding and where it stands.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) finding: Finding,
    pub(crate) object: ObjectReference,
    /// The finding's field as the file has it.
    pub(crate) field: String,
    pub(crate) file: Arc<str>,
    pub(crate) line: usize,
}

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
    /// By file, line and rule.
    pub(crate) findings: Vec<Located>,
    pub(crate) counts: Counts,
    /// Objects that could not be judged.
    pub(crate) problems: Vec<Problem>,
}

impl Report {
    /// Judges all manifests that are of a kind to be judged.
    pub(crate) fn of(manifests: &[Manifest], inventory: &Inventory) -> Self {
        let judged: Vec<&Manifest> = manifests
            .iter()
            .filter(|manifest| manifest.kind.is_judged())
            .collect();
        let verdicts = parallel::map("judging", &judged, |manifest| judge(manifest, inventory));
        let mut report = Report::default();
        for verdict in verdicts {
            match verdict {
                Ok(findings) => report.findings.extend(findings),
                Err(problem) => report.problems.push(problem),
            }
        }
        report.findings.sort_by(|a, b| {
            (&a.file, a.line, a.finding.rule).cmp(&(&b.file, b.line, b.finding.rule))
        });
        report.counts = Counts::of(judged.len(), &report.findings);
        report
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

fn judge(manifest: &Manifest, inventory: &Inventory) -> Result<Vec<Located>, Problem> {
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
        Kind::ClusterSecret => {
            let secret: ClusterSecret<'_> = manifest.decode()?;
            Object::ClusterSecret(Box::new(secret))
        }
        Kind::RepositorySecret | Kind::Settings | Kind::Policy => {
            return Ok(Vec::new());
        }
    };
    let verdict = evaluate(&Subject::new(object), inventory);
    Ok(verdict
        .findings
        .into_iter()
        .map(|finding| locate(finding, manifest))
        .collect())
}

fn locate(finding: Finding, manifest: &Manifest) -> Located {
    let field = manifest.field_in_file(&finding.field);
    Located {
        line: manifest.line_of(&field),
        field,
        object: manifest.reference.clone(),
        file: Arc::clone(&manifest.file),
        finding,
    }
}
