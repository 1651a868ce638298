//! What a rule is, and how one is written.

use std::borrow::Cow;
use std::fmt;

use argocd::Application;
use argocd::go_template::Work;
use serde::{Serialize, Serializer};

use crate::break_glass::VERB;
use crate::environment::Membership;
use crate::fan_out::FanOut;
use crate::finding::{Finding, Level};
use crate::inventory::Inventory;
use crate::missing::MissingFacts;
use crate::ratchet::Extent;
use crate::subject::{Operation, SubjectRef};

/// The name of a rule: its only identity, in messages, metrics, policies and annotations.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RuleId(&'static str);

impl RuleId {
    /// Names a rule.
    pub const fn new(id: &'static str) -> Self {
        RuleId(id)
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.0)
    }
}

impl Serialize for RuleId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

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

/// When a rule is asked. What is wrong with an object is no reason to keep it, so a rule is asked on
/// both occasions only if it is about what follows from either.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Occasion {
    /// The object is created or changed, or lies in a file.
    Writing,
    /// The object is deleted.
    Deletion,
    /// Both.
    Either,
}

impl Occasion {
    /// `writing`, `deletion` or `either`.
    pub fn as_str(self) -> &'static str {
        match self {
            Occasion::Writing => "writing",
            Occasion::Deletion => "deletion",
            Occasion::Either => "either",
        }
    }

    fn includes(self, operation: Operation) -> bool {
        match operation {
            Operation::Create | Operation::Update => self != Occasion::Deletion,
            Operation::Delete(_) => self != Occasion::Writing,
        }
    }
}

/// What is known of a rule without asking it.
#[derive(Debug)]
pub struct RuleMetadata {
    /// Its name.
    pub id: RuleId,
    /// One line for lists.
    pub summary: &'static str,
    /// The kinds of objects that it judges.
    pub judges: &'static [&'static str],
    /// When it judges them.
    pub occasion: Occasion,
    /// Where it holds by default.
    pub scope: Scope,
    pub(crate) page: &'static str,
}

impl RuleMetadata {
    /// Whether the rule has anything to say about a subject of this kind, and what is done to it.
    pub(crate) fn is_about(&self, subject: SubjectRef<'_>) -> bool {
        self.judges.contains(&subject.object.kind()) && self.occasion.includes(subject.operation)
    }

    /// The rule's page, in Markdown: what it does, why, how to fix, what it denies and admits.
    pub fn page(&self) -> String {
        let mut page = format!(
            "# {}\n\n{}\n\nJudges{}: {}. Holds by default: {}.\n\n\
            In an emergency, whoever has the verb `{VERB}` on `gitopspolicies/{}` overrules it for a while:\n\
            `kubectl gitops break-glass grant --help` says how.\n\n",
            self.id,
            self.summary,
            match self.occasion {
                Occasion::Writing => "",
                Occasion::Deletion => " the deletion of",
                Occasion::Either => " changes and the deletion of",
            },
            self.judges.join(", "),
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

/// A rule.
pub trait Rule: Sync {
    /// What is known of it.
    fn metadata(&self) -> &'static RuleMetadata;

    /// Finds what is wrong with a subject. Whether the rule holds there, what happens to a finding
    /// and what is exempt is not its business.
    fn check(&self, context: &Context<'_>, findings: &mut Findings);
}

/// What a rule sees.
#[derive(Debug)]
pub struct Context<'c> {
    /// The subject.
    pub subject: SubjectRef<'c>,
    /// What is known beyond it.
    pub inventory: &'c Inventory,
    /// What it does to Applications, where that is known: of ApplicationSets, and of cluster Secrets.
    pub fan_out: Option<&'c FanOut>,
    /// Whether the subject belongs to the environments that the rule holds in.
    pub membership: &'c Membership,
    /// What may still be done for the answer.
    pub work: &'c Work,
}

impl Context<'_> {
    /// Whether Argo CD would go on with an operation that somebody else has written into the status as
    /// running. On an update it is Argo CD's own parts that write it there. They create no Application with
    /// one, so that it comes from Git or from a person, whoever hands it on.
    pub(crate) fn resumes_what_others_wrote(&self, application: &Application<'_>) -> bool {
        let by_argo_cd = self.subject.operation == Operation::Update
            && self.inventory.is_argo_cd(self.subject.requester);
        !by_argo_cd && application.running_operation().is_some()
    }
}

/// What a rule finds, before the policy is applied.
#[derive(Debug)]
pub struct Findings {
    rule: RuleId,
    found: Vec<Finding>,
}

impl Findings {
    pub(crate) fn new(rule: RuleId) -> Self {
        Findings {
            rule,
            found: Vec::new(),
        }
    }

    pub(crate) fn into_inner(self) -> Vec<Finding> {
        self.found
    }

    /// Something that is to be refused.
    pub fn deny(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) -> &mut Finding {
        self.add(Level::Deny, field.into(), message.into(), fix.into())
    }

    /// Something that passes, but should be known.
    pub fn warn(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) -> &mut Finding {
        self.add(Level::Warn, field.into(), message.into(), fix.into())
    }

    /// Something that cannot be told without a fact that the message names.
    pub fn undecided(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) -> &mut Finding {
        self.add(Level::Undecided, field.into(), message.into(), fix.into())
    }

    fn add(
        &mut self,
        level: Level,
        field: Cow<'static, str>,
        message: String,
        fix: Cow<'static, str>,
    ) -> &mut Finding {
        let index = self.found.len();
        self.found.push(Finding {
            rule: self.rule,
            level,
            field,
            message,
            fix,
            patch: None,
            missing: MissingFacts::default(),
            waiver: None,
            extent: Extent::default(),
        });
        &mut self.found[index]
    }
}

/// Declares a rule: a unit struct whose doc comment is the rule's page, and its metadata.
///
/// The page has the headings `What it does`, `Why`, `How to fix`, `Denied` and `Admitted`. The
/// YAML blocks under the last two are run as tests: together with the built-in policy, or the
/// `GitOpsPolicy` in the block, each of the former must be denied by this rule and each of the latter
/// must not. Where the first line of a block is `# kubectl delete -f -`, its objects are deleted.
macro_rules! declare_rule {
    (
        $(#[doc = $page:literal])+
        pub struct $name:ident {
            id: $id:literal,
            summary: $summary:literal,
            judges: [$($kind:literal),+],
            occasion: $occasion:expr,
            scope: $scope:expr,
        }
    ) => {
        $(#[doc = $page])+
        #[derive(Debug)]
        pub struct $name;

        impl $name {
            /// What is known of the rule without asking it.
            pub const METADATA: $crate::rule::RuleMetadata = $crate::rule::RuleMetadata {
                id: $crate::rule::RuleId::new($id),
                summary: $summary,
                judges: &[$($kind),+],
                occasion: $occasion,
                scope: $scope,
                page: concat!($($page, "\n"),+),
            };
        }
    };
}
pub(crate) use declare_rule;
