//! Environments: what belongs to production, and by what evidence.
//!
//! Evidence counts on either side, the cluster's and the Application's, and any one piece is
//! enough: nobody leaves production by dropping a label from their own Application.

use std::fmt;

use argocd::application::ApplicationDestination;
use argocd::destination::DestinationError;
use argocd::glob::{Glob, Separators};
use argocd::kubernetes::{LabelSelector, LabelSelectorOperator, LabelSelectorRequirement};
use argocd::{Application, Cluster};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

use crate::finding::{shorten, without_user_info};
use crate::gitops_policy::{Environment, EnvironmentMatch, GitOpsPolicySpec, InvalidPolicy};
use crate::inventory::{Completeness, Inventory};
use crate::rule::Scope;
use crate::subject::{Object, Subject};

/// The environments of a policy, compiled.
#[derive(Debug)]
pub struct Environments(Vec<CompiledEnvironment>);

#[derive(Debug)]
struct CompiledEnvironment {
    name: String,
    production: bool,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    /// The environment `prod` that holds where the policy names none.
    BuiltIn,
    Policy(Box<PolicyMatcher>),
}

#[derive(Debug)]
struct PolicyMatcher {
    clusters: Option<LabelSelector>,
    applications: Option<LabelSelector>,
    destinations: Vec<Glob>,
    projects: Vec<Glob>,
    namespaces: Vec<Glob>,
}

/// The environments in which a rule holds.
#[derive(Clone, Debug)]
pub(crate) enum Holds {
    Everywhere,
    Production,
    In(Vec<String>),
}

impl Holds {
    pub(crate) fn new(scope: Scope, environments: Option<&Vec<String>>) -> Self {
        match (environments, scope) {
            (Some(names), _) => Holds::In(names.clone()),
            (None, Scope::Everywhere) => Holds::Everywhere,
            (None, Scope::Production) => Holds::Production,
        }
    }

    fn include(&self, environment: &CompiledEnvironment) -> bool {
        match self {
            Holds::Everywhere => true,
            Holds::Production => environment.production,
            Holds::In(names) => names.contains(&environment.name),
        }
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holds::Everywhere => formatter.write_str("anything"),
            Holds::Production => formatter.write_str("production"),
            Holds::In(names) => formatter.write_str(&names.join(" or ")),
        }
    }
}

/// Whether a subject belongs to the environments that a rule holds in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Membership {
    /// The rule holds whatever the environment.
    Everywhere,
    /// It belongs to one of them.
    In {
        /// Which.
        environment: String,
        /// By what.
        evidence: Evidence,
    },
    /// It belongs to none of them.
    NotIn,
    /// Nothing says so, but the cluster, which could, is not known.
    Unknown {
        /// The destination that could not be resolved.
        destination: String,
        /// What the rule holds in.
        environments: String,
    },
}

/// What shows that something belongs to an environment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Evidence {
    /// A label of the destination's cluster Secret.
    ClusterLabels(String),
    /// The destination's name or server.
    Destination(String),
    /// The project.
    Project(String),
    /// The destination's namespace.
    Namespace(String),
    /// A label of the Application.
    ApplicationLabels,
}

impl fmt::Display for Evidence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evidence::ClusterLabels(name) => {
                write!(formatter, "labels of cluster {}", shorten(name, 30))
            }
            Evidence::Destination(name) => {
                write!(
                    formatter,
                    "destination {}",
                    shorten(&without_user_info(name), 30)
                )
            }
            Evidence::Project(name) => write!(formatter, "project {}", shorten(name, 30)),
            Evidence::Namespace(name) => write!(formatter, "namespace {}", shorten(name, 30)),
            Evidence::ApplicationLabels => formatter.write_str("its labels"),
        }
    }
}

/// Everything about a subject that can be evidence.
struct Witness<'w> {
    application: Option<&'w Application<'w>>,
    /// All that have the destination's server: which of them Argo CD uses is not defined.
    clusters: Vec<&'w Cluster>,
    /// The names and servers under which the destination is known.
    destinations: Vec<&'w str>,
    project: &'w str,
    namespace: &'w str,
    /// The destination, if its cluster may exist elsewhere.
    unresolved: Option<&'w str>,
}

impl Environments {
    /// Compiles the environments of a policy, or the built-in one.
    pub(crate) fn new(policy: &GitOpsPolicySpec) -> Result<Self, InvalidPolicy> {
        policy.environment_names()?;
        let Some(environments) = &policy.environments else {
            return Ok(Environments(vec![CompiledEnvironment {
                name: "prod".to_owned(),
                production: true,
                matcher: Matcher::BuiltIn,
            }]));
        };
        environments
            .iter()
            .enumerate()
            .map(|(index, environment)| compile(index, environment))
            .collect::<Result<_, _>>()
            .map(Environments)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|environment| environment.name == name)
    }

    pub(crate) fn membership(
        &self,
        subject: &Subject<'_>,
        holds: &Holds,
        inventory: &Inventory,
    ) -> Membership {
        if matches!(holds, Holds::Everywhere) {
            return Membership::Everywhere;
        }
        match &subject.object {
            Object::Application(application) => {
                self.place(holds, &Witness::of_application(application, inventory))
            }
            Object::ClusterSecret(secret) => match secret.cluster() {
                Ok(cluster) => self.place(holds, &Witness::of_cluster(&cluster)),
                // What cannot be read may be anything, so the rule is asked.
                Err(_) => Membership::Everywhere,
            },
            Object::AppProject(_) => Membership::NotIn,
        }
    }

    fn place(&self, holds: &Holds, witness: &Witness<'_>) -> Membership {
        let relevant = self
            .0
            .iter()
            .filter(|environment| holds.include(environment));
        for environment in relevant {
            if let Some(evidence) = environment.matcher.evidence(witness) {
                return Membership::In {
                    environment: environment.name.clone(),
                    evidence,
                };
            }
        }
        match witness.unresolved {
            Some(destination) => Membership::Unknown {
                destination: destination.to_owned(),
                environments: holds.to_string(),
            },
            None => Membership::NotIn,
        }
    }
}

impl<'w> Witness<'w> {
    fn of_application(application: &'w Application<'w>, inventory: &'w Inventory) -> Self {
        let ApplicationDestination {
            name,
            server,
            namespace,
        } = &application.spec.destination;
        let resolved = inventory
            .fleet
            .clusters
            .resolve(&application.spec.destination);
        let mut destinations: Vec<&str> = [name.as_str(), server.as_str()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        let may_be_elsewhere = matches!(
            resolved,
            Err(DestinationError::NameNotFound(_) | DestinationError::ServerNotFound(_))
        ) && inventory.completeness == Completeness::Partial;
        let clusters: Vec<&Cluster> = inventory
            .fleet
            .clusters
            .candidates(&application.spec.destination)
            .collect();
        for cluster in &clusters {
            destinations.extend([cluster.name.as_str(), cluster.server.as_str()]);
        }
        Witness {
            application: Some(application),
            clusters,
            unresolved: may_be_elsewhere.then(|| destinations[0]),
            destinations,
            project: application.spec.project(),
            namespace,
        }
    }

    fn application_label(&self, key: &str) -> Option<&'w str> {
        self.application?.metadata.labels.get(key)
    }

    fn of_cluster(cluster: &'w Cluster) -> Self {
        Witness {
            application: None,
            clusters: vec![cluster],
            destinations: vec![&cluster.name, &cluster.server],
            project: "",
            namespace: "",
            unresolved: None,
        }
    }
}

impl Matcher {
    fn evidence(&self, witness: &Witness<'_>) -> Option<Evidence> {
        match self {
            Matcher::BuiltIn => built_in_evidence(witness),
            Matcher::Policy(matcher) => matcher.evidence(witness),
        }
    }
}

impl PolicyMatcher {
    fn evidence(&self, witness: &Witness<'_>) -> Option<Evidence> {
        if let Some(selector) = &self.clusters {
            let selected = |cluster: &&&Cluster| {
                selector.matches(|key| cluster.labels.get(key).map(String::as_str))
            };
            if let Some(cluster) = witness.clusters.iter().find(selected) {
                return Some(Evidence::ClusterLabels(cluster.name.clone()));
            }
        }
        if let Some(selector) = &self.applications
            && witness.application.is_some()
            && selector.matches(|key| witness.application_label(key))
        {
            return Some(Evidence::ApplicationLabels);
        }
        let any = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
        let destination = |name: &&&str| any(&self.destinations, name);
        if let Some(name) = witness.destinations.iter().find(destination) {
            return Some(Evidence::Destination((*name).to_owned()));
        }
        if any(&self.projects, witness.project) {
            return Some(Evidence::Project(witness.project.to_owned()));
        }
        any(&self.namespaces, witness.namespace)
            .then(|| Evidence::Namespace(witness.namespace.to_owned()))
    }
}

/// The built-in environment `prod`: a label `environment` or `env` that says so, or a project,
/// destination name or namespace with `prod` or `production` as a word of its own.
fn built_in_evidence(witness: &Witness<'_>) -> Option<Evidence> {
    let says_production = |value: Option<&str>| {
        let is = |word| value.is_some_and(|value: &str| value.eq_ignore_ascii_case(word));
        is("prod") || is("production")
    };
    let labelled = |label: &dyn Fn(&str) -> bool| ["environment", "env"].into_iter().any(label);
    for cluster in &witness.clusters {
        let of_cluster = |key: &str| cluster.labels.get(key).map(String::as_str);
        if labelled(&|key| says_production(of_cluster(key))) {
            return Some(Evidence::ClusterLabels(cluster.name.clone()));
        }
    }
    if labelled(&|key| says_production(witness.application_label(key))) {
        return Some(Evidence::ApplicationLabels);
    }
    let named = |name: &&&str| !name.contains("://") && names_production(name);
    if let Some(name) = witness.destinations.iter().find(named) {
        return Some(Evidence::Destination((*name).to_owned()));
    }
    if names_production(witness.project) {
        return Some(Evidence::Project(witness.project.to_owned()));
    }
    names_production(witness.namespace).then(|| Evidence::Namespace(witness.namespace.to_owned()))
}

/// Whether `prod` or `production` is a word of a name, and the word before it does not deny it.
fn names_production(name: &str) -> bool {
    let mut before = "";
    for word in name.split(['-', '_', '.', '/', ':']) {
        let is = |one: &&str| word.eq_ignore_ascii_case(one);
        let denied = |one: &&str| before.eq_ignore_ascii_case(one);
        if ["prod", "production"].iter().any(is) && !["non", "pre", "not"].iter().any(denied) {
            return true;
        }
        before = word;
    }
    false
}

fn compile(index: usize, environment: &Environment) -> Result<CompiledEnvironment, InvalidPolicy> {
    let EnvironmentMatch {
        clusters,
        destinations,
        projects,
        namespaces,
        applications,
    } = &environment.r#match;
    let field = |name: &str| format!("spec.environments[{index}].match.{name}");
    Ok(CompiledEnvironment {
        name: environment.name.clone(),
        production: environment.production,
        matcher: Matcher::Policy(Box::new(PolicyMatcher {
            clusters: compile_selector(&field("clusters"), clusters.as_ref())?,
            applications: compile_selector(&field("applications"), applications.as_ref())?,
            destinations: compile_globs(&field("destinations"), destinations)?,
            projects: compile_globs(&field("projects"), projects)?,
            namespaces: compile_globs(&field("namespaces"), namespaces)?,
        })),
    })
}

/// Compiles the globs of a policy, in which a malformed one is a mistake to be told.
pub(crate) fn compile_globs(field: &str, patterns: &[String]) -> Result<Vec<Glob>, InvalidPolicy> {
    patterns
        .iter()
        .map(|pattern| {
            let glob = Glob::new(pattern, Separators::None);
            if glob.is_malformed() {
                return Err(InvalidPolicy::Glob {
                    field: field.to_owned(),
                    pattern: pattern.clone(),
                });
            }
            Ok(glob)
        })
        .collect()
}

fn compile_selector(
    field: &str,
    selector: Option<&meta::LabelSelector>,
) -> Result<Option<LabelSelector>, InvalidPolicy> {
    let Some(selector) = selector else {
        return Ok(None);
    };
    let requirement = |requirement: &meta::LabelSelectorRequirement| {
        let operator = match requirement.operator.as_str() {
            "In" => LabelSelectorOperator::In,
            "NotIn" => LabelSelectorOperator::NotIn,
            "Exists" => LabelSelectorOperator::Exists,
            "DoesNotExist" => LabelSelectorOperator::DoesNotExist,
            other => {
                return Err(InvalidPolicy::Operator {
                    field: field.to_owned(),
                    operator: other.to_owned(),
                });
            }
        };
        Ok(LabelSelectorRequirement {
            key: requirement.key.clone(),
            operator,
            values: requirement.values.clone().unwrap_or_default(),
        })
    };
    let expressions = selector.match_expressions.iter().flatten();
    Ok(Some(LabelSelector {
        match_labels: selector.match_labels.clone().unwrap_or_default(),
        match_expressions: expressions.map(requirement).collect::<Result<_, _>>()?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_is_a_word_of_its_own() {
        for name in [
            "prod",
            "orders-prod",
            "prod-eks",
            "eu.production.1",
            "a_prod",
            "PROD-EU",
            "arn:aws:eks:eu-central-1:111122223333:cluster/prod",
            "preprod-prod",
        ] {
            assert!(names_production(name), "{name}");
        }
        for name in [
            "non-prod", "pre-prod", "not_prod", "preprod", "products", "nonprod", "",
        ] {
            assert!(!names_production(name), "{name}");
        }
    }
}
