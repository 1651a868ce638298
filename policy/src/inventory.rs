//! Everything a rule may know beyond the object itself.

use argocd::Fleet;
use argocd::application::EnabledField;

use crate::environment::Environments;
use crate::gitops_policy::{GitOpsPolicySpec, InvalidPolicy};
use crate::rule_policy::RulePolicies;
use crate::subject::Requester;

/// Whether what is not in the inventory does not exist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Completeness {
    /// The caches of a webhook: what is not there does not exist.
    Complete,
    /// The files of a repository: it may be elsewhere.
    Partial,
}

/// Projects, clusters, settings and policy.
#[derive(Debug)]
pub struct Inventory {
    /// Projects, clusters and settings as Argo CD knows them.
    pub fleet: Fleet,
    /// What is missing in `fleet` may exist or does not.
    pub completeness: Completeness,
    /// Whether the installed CRD knows `automated.enabled`.
    pub enabled_field: EnabledField,
    policy: GitOpsPolicySpec,
    pub(crate) environments: Environments,
    pub(crate) rules: RulePolicies,
}

impl Inventory {
    /// Puts an inventory together.
    ///
    /// # Errors
    /// The policy contradicts itself in a way that its schema cannot express.
    pub fn new(
        fleet: Fleet,
        completeness: Completeness,
        enabled_field: EnabledField,
        policy: GitOpsPolicySpec,
    ) -> Result<Self, InvalidPolicy> {
        let environments = Environments::new(&policy)?;
        let rules = RulePolicies::new(&policy, &environments)?;
        Ok(Inventory {
            fleet,
            completeness,
            enabled_field,
            policy,
            environments,
            rules,
        })
    }

    /// Whether a request comes from one of Argo CD's own controllers or its API server.
    pub(crate) fn is_argo_cd(&self, requester: Requester<'_>) -> bool {
        self.policy
            .argocd
            .service_accounts
            .include(requester.username, &self.fleet.control_plane_namespace)
    }

    /// The policy that counts.
    pub fn policy(&self) -> &GitOpsPolicySpec {
        &self.policy
    }
}
