//! What a rule is, and how one is written.

use argocd::Application;
use golang::work::Work;

pub use crate::finding::{Findings, RuleId};
use crate::request::fan_out::FanOut;
use crate::request::inventory::Inventory;
use crate::request::subject::{RequestRef, SubjectRef};
use crate::terms::environment::Membership;
pub(crate) use crate::terms::rule_metadata::Reads;
pub use crate::terms::rule_metadata::{JudgedOn, RuleMetadata, Scope};

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
    /// What is asked, and by whom.
    pub(crate) subject: SubjectRef<'c>,
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
        let is_update = match self.subject.request {
            RequestRef::Application(request) => request.is_update(),
            _ => false,
        };
        let by_argo_cd = is_update && self.inventory.is_argo_cd(self.subject.requester);
        !by_argo_cd && application.running_operation().is_some()
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
                judges: &[$($kind),+],
                judged_on: $judged_on,
                scope: $scope,
                reads: &[$($($reads),+)?],
                page: concat!($($page, "\n"),+),
            };
        }
    };
}
pub(crate) use declare_rule;
