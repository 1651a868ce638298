//! What a policy says about each rule, compiled: where it holds, what becomes of a finding, what
//! is exempt.

use argocd::pattern::Glob;

use super::environment::{Environments, Holds, compile_globs};
use super::gitops_policy::{Action, CommonSettings, Exemption, GitOpsPolicySpec, InvalidPolicy};
use super::rule_metadata::{Reads, RuleMetadata};
use crate::finding::RuleId;

/// The policy of every rule, in the order in which they are asked.
#[derive(Debug)]
pub(crate) struct RulePolicies {
    policies: Vec<RulePolicy>,
    annotations: Vec<&'static str>,
}

/// What the policy says about one rule.
#[derive(Debug)]
pub(crate) struct RulePolicy {
    rule: RuleId,
    pub(crate) action: Action,
    pub(crate) holds: Holds,
    exempt: Vec<CompiledExemption>,
    reads_cluster_secrets: bool,
}

#[derive(Debug)]
struct CompiledExemption {
    projects: Vec<Glob>,
    applications: Vec<Glob>,
    clusters: Vec<Glob>,
    reason: String,
}

impl RulePolicies {
    pub(crate) fn new(
        policy: &GitOpsPolicySpec,
        environments: &Environments,
        rules: &[&'static RuleMetadata],
    ) -> Result<Self, InvalidPolicy> {
        let mut policies = Vec::new();
        let mut annotations = Vec::new();
        for metadata in rules {
            let Some(settings) = policy.rules.common(metadata.id) else {
                continue;
            };
            policies.push(RulePolicy::new(metadata, &settings, environments)?);
            annotations.extend(metadata.reads.iter().filter_map(|read| match read {
                Reads::Annotation(key) => Some(*key),
                Reads::ClusterSecretData => None,
            }));
        }
        Ok(RulePolicies {
            policies,
            annotations,
        })
    }

    /// The annotations of an Application that rules read.
    pub(crate) fn annotations(&self) -> &[&'static str] {
        &self.annotations
    }

    /// Whether a rule that reads the data of cluster Secrets is limited to environments, so that it
    /// goes by their labels as well.
    pub(crate) fn limit_what_reads_cluster_secrets(&self) -> bool {
        let mut limited = self.policies.iter();
        limited.any(|policy| {
            policy.reads_cluster_secrets && !matches!(policy.holds, Holds::Everywhere)
        })
    }

    pub(crate) fn of(&self, rule: RuleId) -> Option<&RulePolicy> {
        self.policies.iter().find(|policy| policy.rule == rule)
    }
}

impl RulePolicy {
    fn new(
        metadata: &RuleMetadata,
        settings: &CommonSettings<'_>,
        environments: &Environments,
    ) -> Result<Self, InvalidPolicy> {
        let rule = metadata.id;
        let common = settings.environments.into_iter().flatten();
        let common = common.map(|name| ("environments", name));
        let mut named = common.chain(settings.named.iter().copied());
        if let Some((field, name)) = named.find(|(_, name)| !environments.contains(name)) {
            return Err(InvalidPolicy::UnknownEnvironment {
                rule,
                field,
                name: name.clone(),
            });
        }
        Ok(RulePolicy {
            rule,
            action: settings.action,
            holds: Holds::new(metadata.scope, settings.environments),
            exempt: settings
                .exempt
                .iter()
                .enumerate()
                .map(|(index, exemption)| CompiledExemption::new(rule, index, exemption))
                .collect::<Result<_, _>>()?,
            reads_cluster_secrets: metadata.reads.contains(&Reads::ClusterSecretData),
        })
    }

    /// The reason for which a subject is exempt, if it is. Its names are asked for only if
    /// something is.
    pub(crate) fn exemption(&self, names: impl FnOnce() -> SubjectNames) -> Option<&str> {
        if self.exempt.is_empty() {
            return None;
        }
        let names = names();
        self.exempt
            .iter()
            .find(|exemption| exemption.covers(&names))
            .map(|exemption| exemption.reason.as_str())
    }
}

/// What an exemption can go by: the names of a subject.
pub(crate) struct SubjectNames {
    pub(crate) project: Option<String>,
    /// `namespace/name` of the Application, or of the ApplicationSet.
    pub(crate) application: Option<String>,
    /// All that Argo CD may use: an exemption must hold for each of them.
    pub(crate) clusters: Vec<String>,
}

impl CompiledExemption {
    fn new(rule: RuleId, index: usize, exemption: &Exemption) -> Result<Self, InvalidPolicy> {
        let Exemption {
            projects,
            applications,
            clusters,
            reason,
        } = exemption;
        if reason.trim().is_empty() {
            return Err(InvalidPolicy::NoReason { rule, index });
        }
        if projects.is_empty() && applications.is_empty() && clusters.is_empty() {
            return Err(InvalidPolicy::ExemptsEverything { rule, index });
        }
        let field = |name: &str| format!("spec.rules.{rule}.exempt[{index}].{name}");
        Ok(CompiledExemption {
            projects: compile_globs(&field("projects"), projects)?,
            applications: compile_globs(&field("applications"), applications)?,
            clusters: compile_globs(&field("clusters"), clusters)?,
            reason: reason.clone(),
        })
    }

    /// Whether all that is given matches.
    fn covers(&self, names: &SubjectNames) -> bool {
        let any = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
        let matches = |globs: &[Glob], text: &Option<String>| {
            globs.is_empty() || text.as_ref().is_some_and(|text| any(globs, text))
        };
        let on_clusters = self.clusters.is_empty()
            || !names.clusters.is_empty()
                && names.clusters.iter().all(|name| any(&self.clusters, name));
        matches(&self.projects, &names.project)
            && matches(&self.applications, &names.application)
            && on_clusters
    }
}
