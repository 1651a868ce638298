//! Environments: what belongs to production, and by what evidence.
//!
//! Evidence counts on either side, the cluster's and the Application's, and any one piece is
//! enough: nobody leaves production by dropping a label from their own Application.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use argocd::Cluster;
use argocd::kubernetes::StringMap;
use argocd::kubernetes::{LabelSelector, LabelSelectorRequirement, Selector};
use argocd::pattern::{Glob, Separators};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

use super::gitops_policy::{Environment, EnvironmentMatch, GitOpsPolicySpec, InvalidPolicy};
use super::rule_metadata::Scope;
use crate::finding::{shorten, without_user_info};

/// The environments of a policy, compiled.
#[derive(Debug)]
pub(crate) struct Environments(Vec<CompiledEnvironment>);

#[derive(Debug)]
struct CompiledEnvironment {
    name: String,
    production: bool,
    matcher: Matcher,
}

#[derive(Debug, Default)]
struct Matcher {
    words: Words,
    clusters: Option<Selector>,
    applications: Option<Selector>,
    destinations: Vec<Glob>,
    accounts: Vec<String>,
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

    pub(crate) fn include(&self, environment: &str, production: bool) -> bool {
        match self {
            Holds::Everywhere => true,
            Holds::Production => production,
            Holds::In(names) => names.iter().any(|name| name == environment),
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
    /// What would say so cannot be read or is not known here. The rule is asked as if it belonged
    /// to one of them.
    MayBeAnywhere,
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
    /// The AWS account of the destination's cluster.
    Account(String),
    /// The project.
    Project(String),
    /// The destination's namespace.
    Namespace(String),
    /// A label of the Application, or of the AppProject.
    OwnLabels,
    /// An Application that an ApplicationSet generates.
    Generated(String),
    /// Nothing, but the destination means no cluster, or several: it may become any.
    NoSuchCluster(String),
    /// The same, but no cluster that comes to be would change it.
    NotOneCluster(String),
}

impl Membership {
    /// The cluster that is not there and would make it another one.
    pub(crate) fn missing_cluster(&self) -> Option<&str> {
        match self {
            Membership::In {
                evidence: Evidence::NoSuchCluster(name),
                ..
            } => Some(name),
            _ => None,
        }
    }
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
            Evidence::Account(number) => write!(formatter, "AWS account {}", shorten(number, 30)),
            Evidence::Project(name) => write!(formatter, "project {}", shorten(name, 30)),
            Evidence::Namespace(name) => write!(formatter, "namespace {}", shorten(name, 30)),
            Evidence::OwnLabels => formatter.write_str("its labels"),
            Evidence::Generated(name) => {
                write!(formatter, "generated Application {}", shorten(name, 30))
            }
            Evidence::NoSuchCluster(name) => {
                let name = shorten(&without_user_info(name), 30);
                write!(formatter, "there is no cluster {name}, it may become any")
            }
            Evidence::NotOneCluster(name) => {
                let name = shorten(&without_user_info(name), 30);
                write!(formatter, "{name} is not one cluster, it may be any")
            }
        }
    }
}

/// An environment that something belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InEnvironment<'i> {
    /// Its name.
    pub environment: &'i str,
    /// Whether it is production.
    pub production: bool,
    /// The first piece of evidence.
    pub evidence: Evidence,
}

/// Where something belongs, as far as it can be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InEnvironments<'i> {
    /// The environments, in the order of the policy. Several mean that the evidence is at odds, or
    /// that the environments overlap.
    pub environments: Vec<InEnvironment<'i>>,
    /// The destination, if its cluster may exist elsewhere: it may show that there are more.
    pub unresolved: Option<String>,
}

/// Everything about a subject that can be evidence.
pub(crate) struct Attributes<'w> {
    /// Labels of the Application or the AppProject itself.
    pub(crate) labels: Option<Cow<'w, StringMap<'w>>>,
    /// Of an Application all that have the destination's server: which of them Argo CD uses is not
    /// defined. Of an AppProject all that it permits.
    pub(crate) clusters: Vec<&'w Cluster>,
    /// The names and servers under which the destination is known.
    pub(crate) destinations: Vec<&'w str>,
    pub(crate) projects: Vec<&'w str>,
    pub(crate) namespaces: Vec<&'w str>,
    pub(crate) unresolved: Unresolved<'w>,
}

/// What is not known of a destination.
#[derive(Clone, Copy)]
pub(crate) enum Unresolved<'w> {
    /// Nothing: it is one cluster, or none is asked for.
    Nothing,
    /// Its cluster may exist elsewhere, or its name is still to be rendered.
    Elsewhere(&'w str),
    /// There is no such cluster.
    Missing(&'w str),
    /// It can mean no cluster, or means several.
    Ambiguous(&'w str),
}

impl Environments {
    /// Compiles the environments of a policy, or the built-in one.
    pub(crate) fn new(policy: &GitOpsPolicySpec) -> Result<Self, InvalidPolicy> {
        policy.environment_names()?;
        let environments = Environments(match &policy.environments {
            None => vec![CompiledEnvironment {
                name: "prod".to_owned(),
                production: true,
                matcher: Matcher {
                    words: Words(vec!["prod".to_owned(), "production".to_owned()]),
                    ..Matcher::default()
                },
            }],
            Some(environments) => environments
                .iter()
                .enumerate()
                .map(|(index, environment)| compile(index, environment))
                .collect::<Result<_, _>>()?,
        });
        match &policy.engine.environment {
            Some(name) if !environments.contains(name) => {
                Err(InvalidPolicy::UnknownEngineEnvironment(name.clone()))
            }
            _ => Ok(environments),
        }
    }

    /// Whether there are environments that are not production.
    pub(crate) fn have_others_than_production(&self) -> bool {
        self.0.iter().any(|one| !one.production)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|environment| environment.name == name)
    }

    /// All environments that anything is evidence of.
    pub(crate) fn all_of(&self, attributes: &Attributes<'_>) -> InEnvironments<'_> {
        let found = self.0.iter().filter_map(|environment| {
            Some(InEnvironment {
                environment: &environment.name,
                production: environment.production,
                evidence: environment.matcher.evidence(attributes)?,
            })
        });
        InEnvironments {
            environments: found.collect(),
            unresolved: match attributes.unresolved {
                Unresolved::Elsewhere(destination) => Some(destination.to_owned()),
                _ => None,
            },
        }
    }

    /// Whether clusters with these labels, among others, are not production by their labels: each
    /// production environment that goes by the labels of clusters goes by one of these, which says
    /// otherwise.
    pub(crate) fn rule_out_production(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut production = self.0.iter().filter(|one| one.production);
        !labels.is_empty() && production.all(|one| one.matcher.rules_out(labels))
    }

    /// Whether a namespace by itself is evidence of an environment that a rule holds in.
    pub(crate) fn know_namespace(&self, name: &str, holds: &Holds) -> bool {
        self.know(holds, |matcher| matcher.matches_namespace(name))
    }

    /// Whether a project by itself is evidence of an environment that a rule holds in.
    pub(crate) fn know_project(&self, name: &str, holds: &Holds) -> bool {
        self.know(holds, |matcher| matcher.matches_project(name))
    }

    fn know(&self, holds: &Holds, matches: impl Fn(&Matcher) -> bool) -> bool {
        let is_relevant = |one: &&CompiledEnvironment| holds.include(&one.name, one.production);
        let mut relevant = self.0.iter().filter(is_relevant);
        !matches!(holds, Holds::Everywhere) && relevant.any(|one| matches(&one.matcher))
    }

    /// The first environment of those that a rule holds in that anything is evidence of.
    pub(crate) fn find(&self, holds: &Holds, attributes: &Attributes<'_>) -> Membership {
        let relevant = self
            .0
            .iter()
            .filter(|environment| holds.include(&environment.name, environment.production));
        for environment in relevant {
            if let Some(evidence) = environment.matcher.evidence(attributes) {
                return Membership::In {
                    environment: environment.name.clone(),
                    evidence,
                };
            }
        }
        let for_all_that_is_known = |evidence: fn(String) -> Evidence, name: &str| Membership::In {
            environment: holds.to_string(),
            evidence: evidence(name.to_owned()),
        };
        match attributes.unresolved {
            Unresolved::Elsewhere(destination) => Membership::Unknown {
                destination: destination.to_owned(),
                environments: holds.to_string(),
            },
            Unresolved::Missing(destination) => {
                for_all_that_is_known(Evidence::NoSuchCluster, destination)
            }
            Unresolved::Ambiguous(destination) => {
                for_all_that_is_known(Evidence::NotOneCluster, destination)
            }
            Unresolved::Nothing => Membership::NotIn,
        }
    }
}

/// Whether a text still has to be rendered.
pub(crate) fn has_placeholder(text: &str) -> bool {
    text.contains("{{")
}

impl Attributes<'_> {
    fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref()?.get(key)
    }
}

impl Matcher {
    /// Whether a cluster with these labels, among others, does not belong to it by its labels: it
    /// goes by one of these, which says otherwise.
    fn rules_out(&self, labels: &BTreeMap<String, String>) -> bool {
        let told = ENVIRONMENT_LABELS.into_iter();
        let mut told = told.filter_map(|key| labels.get(key)).peekable();
        let by_words = (!self.words.is_empty())
            .then(|| told.peek().is_some() && !told.any(|value| self.words.include(value)));
        let by_labels = self.clusters.as_ref().map(|selector| {
            let mut keys = selector.keys();
            keys.any(|key| labels.contains_key(key))
                && !selector.matches(|key| labels.get(key).map(String::as_str))
        });
        match (by_words, by_labels) {
            (None, None) => false,
            (by_words, by_labels) => by_words.unwrap_or(true) && by_labels.unwrap_or(true),
        }
    }

    fn matches_namespace(&self, name: &str) -> bool {
        self.words.are_in(name) || any(&self.namespaces, name)
    }

    fn matches_project(&self, name: &str) -> bool {
        self.words.are_in(name) || any(&self.projects, name)
    }
}

/// Words by which people name an environment.
#[derive(Debug, Default)]
struct Words(Vec<String>);

impl Words {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a text is one of them.
    fn include(&self, text: &str) -> bool {
        self.0.iter().any(|word| word.eq_ignore_ascii_case(text))
    }

    /// Whether one of them is a word of a name, and the word before it does not deny it.
    fn are_in(&self, name: &str) -> bool {
        !self.is_empty() && has_word(name, |word| self.include(word))
    }
}

fn any(globs: &[Glob], text: &str) -> bool {
    globs.iter().any(|glob| glob.matches(text))
}

impl Matcher {
    fn evidence(&self, attributes: &Attributes<'_>) -> Option<Evidence> {
        let selected = |cluster: &&&Cluster| {
            let label = |key: &str| cluster.labels.get(key).map(String::as_str);
            self.clusters
                .as_ref()
                .is_some_and(|selector| selector.matches(label))
                || ENVIRONMENT_LABELS
                    .into_iter()
                    .filter_map(label)
                    .any(|value| self.words.include(value))
        };
        if let Some(cluster) = attributes.clusters.iter().find(selected) {
            return Some(Evidence::ClusterLabels(cluster.name.clone()));
        }
        let has_own = self.applications.as_ref().is_some_and(|selector| {
            attributes.labels.is_some() && selector.matches(|key| attributes.label(key))
        });
        let mut own = ENVIRONMENT_LABELS
            .into_iter()
            .filter_map(|key| attributes.label(key));
        if has_own || own.any(|value| self.words.include(value)) {
            return Some(Evidence::OwnLabels);
        }
        let destination = |name: &&&str| {
            any(&self.destinations, name) || !name.contains("://") && self.words.are_in(name)
        };
        if let Some(name) = attributes.destinations.iter().find(destination) {
            return Some(Evidence::Destination((*name).to_owned()));
        }
        let mut accounts = attributes
            .clusters
            .iter()
            .flat_map(|cluster| &cluster.aws_accounts);
        if let Some(number) = accounts.find(|number| self.accounts.contains(number)) {
            return Some(Evidence::Account(number.clone()));
        }
        let project = |name: &&&str| self.matches_project(name);
        if let Some(name) = attributes.projects.iter().find(project) {
            return Some(Evidence::Project((*name).to_owned()));
        }
        let namespace = |name: &&&str| self.matches_namespace(name);
        let namespace = attributes.namespaces.iter().find(namespace)?;
        Some(Evidence::Namespace((*namespace).to_owned()))
    }
}

/// The labels whose value is one of an environment's words.
const ENVIRONMENT_LABELS: [&str; 2] = ["environment", "env"];

/// Whether one of these words is in a name, and the word before it does not deny it.
pub(crate) fn has_word(name: &str, is_one: impl Fn(&str) -> bool) -> bool {
    let mut before = "";
    for word in name.split(['-', '_', '.', '/', ':']) {
        let denied = |one: &&str| before.eq_ignore_ascii_case(one);
        if is_one(word) && !["non", "pre", "not"].iter().any(denied) {
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
        words,
        accounts,
    } = &environment.r#match;
    let field = |name: &str| format!("spec.environments[{index}].match.{name}");
    Ok(CompiledEnvironment {
        name: environment.name.clone(),
        production: environment.production,
        matcher: Matcher {
            words: Words(words.clone()),
            clusters: compile_selector(&field("clusters"), clusters.as_ref())?,
            applications: compile_selector(&field("applications"), applications.as_ref())?,
            destinations: compile_globs(&field("destinations"), destinations)?,
            accounts: compile_accounts(&field("accounts"), accounts)?,
            projects: compile_globs(&field("projects"), projects)?,
            namespaces: compile_globs(&field("namespaces"), namespaces)?,
        },
    })
}

/// Takes the numbers of accounts.
fn compile_accounts(field: &str, numbers: &[String]) -> Result<Vec<String>, InvalidPolicy> {
    let is_number =
        |number: &&String| number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_digit());
    match numbers.iter().find(|number| !is_number(number)) {
        Some(number) => Err(InvalidPolicy::Account {
            field: field.to_owned(),
            number: number.clone(),
        }),
        None => Ok(numbers.to_vec()),
    }
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
) -> Result<Option<Selector>, InvalidPolicy> {
    let Some(selector) = selector else {
        return Ok(None);
    };
    let expressions = selector.match_expressions.iter().flatten();
    let selector = LabelSelector {
        match_labels: selector.match_labels.clone().unwrap_or_default(),
        match_expressions: expressions
            .map(|requirement| LabelSelectorRequirement {
                key: requirement.key.clone(),
                operator: requirement.operator.clone(),
                values: requirement.values.clone().unwrap_or_default(),
            })
            .collect(),
    };
    let compiled = selector
        .compile()
        .map_err(|problem| InvalidPolicy::Selector {
            field: field.to_owned(),
            problem,
        })?;
    Ok(Some(compiled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_is_a_word_of_its_own() {
        let words = Words(vec!["prod".to_owned(), "production".to_owned()]);
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
            assert!(words.are_in(name), "{name}");
        }
        for name in [
            "non-prod", "pre-prod", "not_prod", "preprod", "products", "nonprod", "",
        ] {
            assert!(!words.are_in(name), "{name}");
        }
    }
}
