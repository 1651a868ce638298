//! What a policy says about each rule, compiled: where it holds, what becomes of a finding, what
//! is exempt.

use argocd::pattern::Glob;

use crate::environment::{Environments, Holds, compile_globs};
use crate::gitops_policy::{Action, Exemption, GitOpsPolicySpec, InvalidPolicy};
use crate::inventory::Inventory;
use crate::registry::RULES;
use crate::rule::{RuleId, RuleMetadata};
use crate::rules::{
    BlastRadius, CascadeDelete, ClusterCredentials, DefaultProject, EngineIsolation,
    GeneratedApplications, ImageUpdater, OperationOverride, ProdAutoSync, ProjectScope,
    ProjectTooWide, ReplicasIgnored, UnknownFields, UnpinnedRevision,
};
use crate::subject::{Object, SubjectRef};

/// The policy of every rule, in the order of the registry.
#[derive(Debug)]
pub(crate) struct RulePolicies(Vec<RulePolicy>);

/// What the policy says about one rule.
#[derive(Debug)]
pub(crate) struct RulePolicy {
    rule: RuleId,
    pub(crate) action: Action,
    pub(crate) holds: Holds,
    exempt: Vec<CompiledExemption>,
}

#[derive(Debug)]
struct CompiledExemption {
    projects: Vec<Glob>,
    applications: Vec<Glob>,
    clusters: Vec<Glob>,
    reason: String,
}

/// The settings that all rules have, wherever the policy keeps them.
struct Common<'p> {
    action: Action,
    environments: Option<&'p Vec<String>>,
    exempt: &'p [Exemption],
}

macro_rules! common {
    ($settings:expr) => {
        Common {
            action: $settings.action,
            environments: $settings.environments.as_ref(),
            exempt: &$settings.exempt,
        }
    };
}

fn settings_of(policy: &GitOpsPolicySpec, rule: RuleId) -> Option<Common<'_>> {
    let rules = &policy.rules;
    Some(match rule {
        id if id == ProjectScope::METADATA.id => common!(rules.project_scope),
        id if id == DefaultProject::METADATA.id => common!(rules.default_project),
        id if id == ProdAutoSync::METADATA.id => common!(rules.prod_auto_sync),
        id if id == ReplicasIgnored::METADATA.id => common!(rules.replicas_ignored),
        id if id == OperationOverride::METADATA.id => common!(rules.operation_override),
        id if id == ClusterCredentials::METADATA.id => common!(rules.cluster_credentials),
        id if id == EngineIsolation::METADATA.id => common!(rules.engine_isolation),
        id if id == ProjectTooWide::METADATA.id => common!(rules.project_too_wide),
        id if id == ImageUpdater::METADATA.id => common!(rules.image_updater),
        id if id == CascadeDelete::METADATA.id => common!(rules.cascade_delete),
        id if id == UnpinnedRevision::METADATA.id => common!(rules.unpinned_revision),
        id if id == GeneratedApplications::METADATA.id => common!(rules.generated_applications),
        id if id == BlastRadius::METADATA.id => common!(rules.blast_radius),
        id if id == UnknownFields::METADATA.id => common!(rules.unknown_fields),
        _ => return None,
    })
}

impl RulePolicies {
    pub(crate) fn new(
        policy: &GitOpsPolicySpec,
        environments: &Environments,
    ) -> Result<Self, InvalidPolicy> {
        let ceilings = policy.rules.blast_radius.max_deletions.keys();
        if let Some(name) = ceilings
            .into_iter()
            .find(|name| !environments.contains(name))
        {
            return Err(InvalidPolicy::UnknownEnvironment {
                rule: BlastRadius::METADATA.id,
                field: "maxDeletions",
                name: name.clone(),
            });
        }
        RULES
            .iter()
            .filter_map(|rule| {
                let metadata = rule.metadata();
                let settings = settings_of(policy, metadata.id)?;
                Some(RulePolicy::new(metadata, &settings, environments))
            })
            .collect::<Result<_, _>>()
            .map(RulePolicies)
    }

    pub(crate) fn of(&self, rule: RuleId) -> Option<&RulePolicy> {
        self.0.iter().find(|policy| policy.rule == rule)
    }
}

impl RulePolicy {
    fn new(
        metadata: &RuleMetadata,
        settings: &Common<'_>,
        environments: &Environments,
    ) -> Result<Self, InvalidPolicy> {
        let rule = metadata.id;
        let unknown = |name: &&String| !environments.contains(name);
        if let Some(name) = settings.environments.into_iter().flatten().find(unknown) {
            return Err(InvalidPolicy::UnknownEnvironment {
                rule,
                field: "environments",
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
        })
    }

    /// The reason for which a subject is exempt, if it is.
    pub(crate) fn exemption(&self, subject: SubjectRef<'_>, inventory: &Inventory) -> Option<&str> {
        if self.exempt.is_empty() {
            return None;
        }
        let traits = Traits::of(subject, inventory);
        self.exempt
            .iter()
            .find(|exemption| exemption.covers(&traits))
            .map(|exemption| exemption.reason.as_str())
    }
}

/// What an exemption can go by.
struct Traits {
    project: Option<String>,
    application: Option<String>,
    /// All that Argo CD may use: an exemption must hold for each of them.
    clusters: Vec<String>,
}

impl Traits {
    fn of(subject: SubjectRef<'_>, inventory: &Inventory) -> Self {
        match subject.object {
            Object::Application(application) => {
                let destination = &application.spec.destination;
                let candidates = inventory.fleet.clusters.candidates(destination);
                let namespace = match application.metadata.namespace.as_str() {
                    "" => &inventory.fleet.control_plane_namespace,
                    namespace => namespace,
                };
                Traits {
                    project: Some(application.spec.project().to_owned()),
                    application: Some(format!("{namespace}/{}", application.metadata.name)),
                    clusters: candidates.map(|cluster| cluster.name.clone()).collect(),
                }
            }
            Object::ClusterSecret(secret) => Traits {
                project: None,
                application: None,
                clusters: secret
                    .cluster()
                    .map(|cluster| cluster.name)
                    .into_iter()
                    .collect(),
            },
            Object::ApplicationSet(set) => {
                let namespace = match set.metadata.namespace.as_str() {
                    "" => &inventory.fleet.control_plane_namespace,
                    namespace => namespace,
                };
                Traits {
                    project: None,
                    application: Some(format!("{namespace}/{}", set.metadata.name)),
                    clusters: Vec::new(),
                }
            }
            Object::AppProject(project) => Traits {
                project: Some(project.metadata.name.clone()),
                application: None,
                clusters: Vec::new(),
            },
        }
    }
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
    fn covers(&self, traits: &Traits) -> bool {
        let any = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
        let matches = |globs: &[Glob], text: &Option<String>| {
            globs.is_empty() || text.as_ref().is_some_and(|text| any(globs, text))
        };
        let on_clusters = self.clusters.is_empty()
            || !traits.clusters.is_empty()
                && traits.clusters.iter().all(|name| any(&self.clusters, name));
        matches(&self.projects, &traits.project)
            && matches(&self.applications, &traits.application)
            && on_clusters
    }
}
