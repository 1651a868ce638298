//! What a rule says of itself.

use super::break_glass::VERB;
use crate::finding::{About, Findings, RuleId};
use crate::kind::Kind;

/// Where a rule holds unless the policy says otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// In every environment, and outside of them.
    Everywhere,
    /// In the environments that are production.
    Production,
}

impl Scope {
    /// `everywhere` or `production`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Everywhere => "everywhere",
            Scope::Production => "production",
        }
    }
}

/// When a rule is asked. What is wrong with an object is not a reason to keep it, so a rule is
/// asked on both only if it is about what follows from either.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JudgedOn {
    /// The object is created or changed, or lies in a file.
    Writing,
    /// The object is deleted.
    Deletion,
    /// Both.
    Either,
}

impl JudgedOn {
    /// `writing`, `deletion` or `either`.
    pub fn as_str(self) -> &'static str {
        match self {
            JudgedOn::Writing => "writing",
            JudgedOn::Deletion => "deletion",
            JudgedOn::Either => "either",
        }
    }
}

/// What a rule is asked about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Judges {
    /// An Application, and each one that an ApplicationSet generates.
    Application,
    /// An Application that is written, and none that is only generated.
    WrittenApplication,
    /// What only the generation of an Application decides: what Argo CD makes of one that is
    /// written is not asked about.
    GeneratedApplication,
    /// An AppProject.
    AppProject,
    /// An ApplicationSet by itself.
    ApplicationSet,
    /// A cluster Secret.
    ClusterSecret,
    /// What becomes of Applications with an ApplicationSet.
    ApplicationSetConsequence,
    /// What becomes of Applications with a cluster Secret.
    ClusterConsequence,
}

impl Judges {
    /// The kinds of the objects that are judged by it.
    fn kinds(self) -> &'static [Kind] {
        match self {
            Judges::Application => &[Kind::Application, Kind::ApplicationSet],
            Judges::WrittenApplication => &[Kind::Application],
            Judges::GeneratedApplication
            | Judges::ApplicationSet
            | Judges::ApplicationSetConsequence => &[Kind::ApplicationSet],
            Judges::AppProject => &[Kind::AppProject],
            Judges::ClusterSecret | Judges::ClusterConsequence => &[Kind::ClusterSecret],
        }
    }
}

/// What of an object a rule reads that few rules read. Argo CD writes to its own objects all the
/// time, so that a change is judged only if a rule reads what changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reads {
    /// An annotation of an Application, by its key.
    Annotation(&'static str),
    /// The data of a cluster Secret.
    ClusterSecretData,
}

/// What is known of a rule without asking it.
#[derive(Debug)]
pub struct RuleMetadata {
    /// Its name.
    pub id: RuleId,
    /// One line for lists.
    pub summary: &'static str,
    /// What it is asked about.
    pub(crate) judges: &'static [Judges],
    /// When it judges them.
    pub judged_on: JudgedOn,
    /// Where it holds by default.
    pub scope: Scope,
    /// What it reads beside the spec, the labels and what is under way.
    pub(crate) reads: &'static [Reads],
    /// Its page without the head.
    pub(crate) page: &'static str,
}

impl RuleMetadata {
    /// The kinds of objects that it judges, each once.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds = Vec::new();
        for kind in self.judges.iter().flat_map(|judges| judges.kinds()) {
            if !kinds.contains(kind) {
                kinds.push(*kind);
            }
        }
        kinds
    }

    /// The names of these.
    pub fn kind_names(&self) -> Vec<&'static str> {
        self.kinds().into_iter().map(Kind::as_str).collect()
    }

    /// What the rule is about. What follows from a deletion, or from a change, is not a state that
    /// an object is in.
    pub(crate) fn about(&self) -> About {
        match self.judged_on {
            JudgedOn::Writing => About::State,
            JudgedOn::Deletion | JudgedOn::Either => About::Action,
        }
    }

    /// What it finds, of which there is nothing yet.
    pub(crate) fn findings(&self) -> Findings {
        Findings::new(self.id, self.about())
    }

    /// The rule's page, in Markdown: what it does, why, how to fix, what it denies and admits.
    pub fn page(&self) -> String {
        let mut page = format!(
            "# {}\n\n{}\n\nJudges{}: {}. Holds by default: {}.\n\n\
            In an emergency, whoever has the verb `{VERB}` on `gitopspolicies/{}` overrules it for a while:\n\
            `kubectl gitops break-glass grant --help` says how.\n\n",
            self.id,
            self.summary,
            match self.judged_on {
                JudgedOn::Writing => "",
                JudgedOn::Deletion => " the deletion of",
                JudgedOn::Either => " changes and the deletion of",
            },
            self.kind_names().join(", "),
            self.scope.as_str(),
            self.id,
        );
        for line in self.page.lines() {
            page.push_str(line.strip_prefix(' ').unwrap_or(line));
            page.push('\n');
        }
        page
    }
}
