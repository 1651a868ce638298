//! What a rule is, and how one is written.

use std::fmt;

use argocd::cluster::ClusterSecret;
use argocd::known_fields::UnknownField;
use argocd::{AppProject, Application, ApplicationSet};
use golang::work::Work;

pub use crate::finding::{Findings, RuleId};
use crate::request::fan_out::FanOut;
use crate::request::inventory::Inventory;
use crate::request::subject::{Request, Requester};
use crate::terms::environment::{Holds, Membership};
pub use crate::terms::rule_metadata::{JudgedOn, RuleMetadata, Scope};
pub(crate) use crate::terms::rule_metadata::{Judges, Reads};

/// A rule: what is known of it without asking it, and what it is asked about.
#[derive(Debug)]
pub struct Rule {
    pub(crate) metadata: &'static RuleMetadata,
    pub(crate) judges: &'static [Judge],
}

impl Rule {
    /// What is known of it.
    pub fn metadata(&self) -> &'static RuleMetadata {
        self.metadata
    }
}

/// A rule that judges objects of one type as they would be.
///
/// Whether the rule holds there, what happens to a finding and what is exempt is not its business.
pub(crate) trait ObjectRule<T>: fmt::Debug + Sync {
    /// Finds what is wrong with an object, or with what is to be done to it.
    fn check(&self, request: Request<&T>, context: &Context<'_>, findings: &mut Findings);
}

/// A rule that judges what becomes of Applications with an object of one type.
pub(crate) trait ConsequenceRule<T>: fmt::Debug + Sync {
    /// Finds what is wrong with that.
    fn check(
        &self,
        request: Request<&T>,
        fan_out: &FanOut,
        context: &Context<'_>,
        findings: &mut Findings,
    );
}

/// A rule as what it is asked about: one way for each of [`Judges`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Judge {
    Application(&'static dyn for<'a> ObjectRule<Application<'a>>),
    WrittenApplication(&'static dyn for<'a> ObjectRule<Application<'a>>),
    GeneratedApplication(&'static dyn for<'a> ObjectRule<Application<'a>>),
    AppProject(&'static dyn ObjectRule<AppProject>),
    ApplicationSet(&'static dyn for<'a> ObjectRule<ApplicationSet<'a>>),
    ClusterSecret(&'static dyn for<'a> ObjectRule<ClusterSecret<'a>>),
    ApplicationSetConsequence(&'static dyn for<'a> ConsequenceRule<ApplicationSet<'a>>),
    ClusterConsequence(&'static dyn for<'a> ConsequenceRule<ClusterSecret<'a>>),
}

/// What a rule sees beside the object.
#[derive(Debug)]
pub(crate) struct Context<'c> {
    /// Who asks.
    pub(crate) requester: Requester<'c>,
    /// The ApplicationSet that generates the Application, where that is being judged.
    pub(crate) generated_by: Option<&'c ApplicationSet<'c>>,
    /// Fields that the object has in a file and loses when it is stored.
    pub(crate) unknown_fields: &'c [UnknownField],
    /// What is known beyond it.
    pub(crate) inventory: &'c Inventory,
    /// The environments that the rule holds in.
    pub(crate) holds: &'c Holds,
    /// Whether the object belongs to these.
    pub(crate) membership: &'c Membership,
    /// What may still be done for the answer.
    pub(crate) work: &'c Work,
}

impl Context<'_> {
    /// Whether Argo CD would go on with an operation that somebody else has written into the status
    /// as running. On an update it is Argo CD's own parts that write it there. They create no
    /// Application with one, so that it comes from Git or from a person, whoever hands it on.
    pub(crate) fn resumes_what_others_wrote(&self, request: Request<&Application<'_>>) -> bool {
        let by_argo_cd = request.is_update() && self.inventory.is_argo_cd(self.requester);
        !by_argo_cd && request.object().running_operation().is_some()
    }
}

/// Declares a rule: a unit struct whose doc comment is the rule's page, and its metadata. What it
/// judges is one or several of [`Judges`], for each of which it implements the trait that [`Judge`]
/// names.
///
/// The page has the headings `What it does`, `Why`, `How to fix`, `Denied` and `Admitted`. The YAML
/// blocks under the last two are run as tests: together with the built-in policy, or the
/// `GitOpsPolicy` in the block, each of the former must be denied by this rule and each of the
/// latter must not. Where the first line of a block is `# kubectl delete -f -`, its objects are
/// deleted.
macro_rules! declare_rule {
    (
        $(#[doc = $page:literal])+
        pub struct $name:ident {
            id: $id:literal,
            summary: $summary:literal,
            judges: [$($judges:ident),+],
            judged_on: $judged_on:expr,
            scope: $scope:expr,
            $(reads: [$($reads:expr),+],)?
        }
    ) => {
        $(#[doc = $page])+
        #[derive(Debug)]
        pub struct $name;

        impl $name {
            /// What is known of the rule without asking it.
            pub const METADATA: $crate::rules::rule::RuleMetadata = $crate::rules::rule::RuleMetadata {
                id: $crate::rules::rule::RuleId::new($id),
                summary: $summary,
                judges: &[$($crate::rules::rule::Judges::$judges),+],
                judged_on: $judged_on,
                scope: $scope,
                reads: &[$($($reads),+)?],
                page: concat!($($page, "\n"),+),
            };

            /// The rule, as it is asked.
            pub const RULE: $crate::rules::rule::Rule = $crate::rules::rule::Rule {
                metadata: &Self::METADATA,
                judges: &[$($crate::rules::rule::Judge::$judges(&$name)),+],
            };
        }
    };
}
pub(crate) use declare_rule;
