//! Environments: what belongs to production, and by what evidence.
//!
//! Evidence counts on either side, the cluster's and the Application's, and any one piece is
//! enough: nobody leaves production by dropping a label from their own Application.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use argocd::application::ApplicationDestination;
use argocd::cluster::DestinationError;
use argocd::kubernetes::StringMap;
use argocd::kubernetes::{LabelSelector, LabelSelectorRequirement, Selector};
use argocd::pattern::{Glob, Separators};
use argocd::project::EffectiveProject;
use argocd::project::{Permissions, ProjectDestination};
use argocd::{AppProject, Application, Cluster, Fleet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

use crate::finding::{shorten, without_user_info};
use crate::gitops_policy::{Environment, EnvironmentMatch, GitOpsPolicySpec, InvalidPolicy};
use crate::inventory::{Completeness, Inventory};
use crate::rule::Scope;
use crate::subject::{Object, Operation, SubjectRef};

/// The environments of a policy, compiled.
#[derive(Debug)]
pub struct Environments(Vec<CompiledEnvironment>);

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
pub struct Belonging<'i> {
    /// Its name.
    pub environment: &'i str,
    /// Whether it is production.
    pub production: bool,
    /// The first piece of evidence.
    pub evidence: Evidence,
}

/// Where something belongs, as far as it can be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place<'i> {
    /// The environments, in the order of the policy. Several mean that the evidence is at odds, or
    /// that the environments overlap.
    pub environments: Vec<Belonging<'i>>,
    /// The destination, if its cluster may exist elsewhere: it may show that there are more.
    pub unresolved: Option<String>,
}

/// Where an Application belongs: all environments that anything is evidence of, not only those that
/// some rule holds in.
pub fn place_of_application<'i>(
    application: &Application<'_>,
    inventory: &'i Inventory,
) -> Place<'i> {
    let witness = Witness::of_application(application, inventory);
    inventory.environments.place_of(&witness)
}

/// Where a cluster belongs.
pub fn place_of_cluster<'i>(cluster: &Cluster, inventory: &'i Inventory) -> Place<'i> {
    let witness = Witness::of_cluster(cluster);
    inventory.environments.place_of(&witness)
}

/// Which clusters count as production.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClustersByEnvironment {
    /// How many cluster Secrets there are.
    pub count: usize,
    /// Names of those that are production.
    pub production: Vec<String>,
    /// Names of those that belong to no environment of a policy that has others than production; else of
    /// those of them that look like production by their name or a label.
    pub unknown: Vec<String>,
}

impl ClustersByEnvironment {
    /// Sorts the clusters that several Argo CDs know.
    pub fn of_all<'i>(inventories: impl Iterator<Item = &'i Inventory>) -> Self {
        let mut all = ClustersByEnvironment::default();
        for one in inventories.map(ClustersByEnvironment::of) {
            all.count += one.count;
            all.production.extend(one.production);
            all.unknown.extend(one.unknown);
        }
        all
    }

    /// Sorts the clusters that are known.
    pub fn of(inventory: &Inventory) -> Self {
        let has_others = inventory.environments.0.iter().any(|one| !one.production);
        let mut sorted = ClustersByEnvironment::default();
        for cluster in inventory.fleet.clusters.secrets() {
            sorted.count += 1;
            let environments = place_of_cluster(cluster, inventory).environments;
            // Name and server may be encrypted.
            let names = [&cluster.name, &cluster.server, &cluster.secret_name];
            let name = names.into_iter().find(|name| !name.is_empty());
            let name = name.unwrap_or(&cluster.secret_name);
            if environments.iter().any(|belonging| belonging.production) {
                sorted.production.push(name.clone());
            } else if environments.is_empty() && (has_others || looks_like_production(cluster)) {
                sorted.unknown.push(name.clone());
            }
        }
        sorted
    }
}

/// Whether people would take a cluster for production by its name, or by a label that tells the environment.
fn looks_like_production(cluster: &Cluster) -> bool {
    let is_word = |word: &str| {
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        LIKE_PRODUCTION
            .iter()
            .any(|like| word.eq_ignore_ascii_case(like))
    };
    let is_like = |text: &str| has_word(text, is_word);
    let tells_environment = |key: &str| {
        let name = key.rsplit('/').next().unwrap_or(key);
        TELLS_ENVIRONMENT.contains(&name)
    };
    let mut labels = cluster.labels.iter();
    is_like(&cluster.name) || labels.any(|(key, value)| tells_environment(key) && is_like(value))
}

/// Words by which people name production.
const LIKE_PRODUCTION: [&str; 5] = ["prod", "production", "prd", "live", "productive"];

/// Names of labels in which people say which environment it is.
const TELLS_ENVIRONMENT: [&str; 5] = ["environment", "env", "stage", "tier", "landscape"];

/// The server of the cluster that an Application deploys to, or what its destination says where it means
/// none.
pub(crate) fn target_of<'t>(application: &'t Application<'_>, inventory: &'t Inventory) -> &'t str {
    let destination = &application.spec.destination;
    match inventory.fleet.clusters.resolve(destination) {
        Ok(cluster) => &cluster.server,
        Err(_) if destination.server.is_empty() => &destination.name,
        Err(_) => &destination.server,
    }
}

/// Everything about a subject that can be evidence.
struct Witness<'w> {
    /// Labels of the Application or the AppProject itself.
    labels: Option<Cow<'w, StringMap<'w>>>,
    /// Of an Application all that have the destination's server: which of them Argo CD uses is not
    /// defined. Of an AppProject all that it permits.
    clusters: Vec<&'w Cluster>,
    /// The names and servers under which the destination is known.
    destinations: Vec<&'w str>,
    projects: Vec<&'w str>,
    namespaces: Vec<&'w str>,
    unresolved: Unresolved<'w>,
}

/// What is not known of a destination.
#[derive(Clone, Copy)]
enum Unresolved<'w> {
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

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|environment| environment.name == name)
    }

    pub(crate) fn membership(
        &self,
        subject: SubjectRef<'_>,
        holds: &Holds,
        inventory: &Inventory,
    ) -> Membership {
        if matches!(holds, Holds::Everywhere) {
            return Membership::Everywhere;
        }
        match subject.object {
            Object::Application(application) => {
                let mut witness = Witness::of_application(application, inventory);
                if matches!(subject.operation, Operation::Delete(_)) {
                    witness.add_children(application, inventory);
                    // Argo CD takes nothing along with an Application whose destination is no cluster.
                    if !matches!(witness.unresolved, Unresolved::Elsewhere(_)) {
                        witness.unresolved = Unresolved::Nothing;
                    }
                }
                self.find(holds, &witness)
            }
            Object::ClusterSecret(secret) => match secret.cluster() {
                Ok(cluster) => self.find(holds, &Witness::of_cluster(&cluster)),
                // What cannot be read may be anything, so the rule is asked.
                Err(_) => Membership::Everywhere,
            },
            Object::AppProject(project) => self.membership_of_project(project, holds, inventory),
            // Where an ApplicationSet belongs depends on what it generates; see `FanOut::membership`.
            Object::ApplicationSet(_) => Membership::NotIn,
        }
    }

    /// A project belongs wherever it, or one that it widens as a global project, lets Applications go.
    fn membership_of_project(
        &self,
        project: &AppProject,
        holds: &Holds,
        inventory: &Inventory,
    ) -> Membership {
        let fleet = &inventory.fleet;
        let own = self.membership_of_effective(&fleet.effective(project), holds, inventory);
        if matches!(own, Membership::In { .. }) {
            return own;
        }
        let mut unknown = own;
        for other in fleet.widened_by(project) {
            match self.membership_of_effective(&other, holds, inventory) {
                found @ Membership::In { .. } => return found,
                found @ Membership::Unknown { .. } => unknown = found,
                Membership::Everywhere | Membership::NotIn => {}
            }
        }
        unknown
    }

    /// Where a project belongs by itself, as it is put together.
    pub(crate) fn membership_of_effective(
        &self,
        project: &EffectiveProject,
        holds: &Holds,
        inventory: &Inventory,
    ) -> Membership {
        if matches!(holds, Holds::Everywhere) {
            return Membership::Everywhere;
        }
        self.find(holds, &Witness::of_project(project, inventory))
    }

    fn place_of(&self, witness: &Witness<'_>) -> Place<'_> {
        let found = self.0.iter().filter_map(|environment| {
            Some(Belonging {
                environment: &environment.name,
                production: environment.production,
                evidence: environment.matcher.evidence(witness)?,
            })
        });
        Place {
            environments: found.collect(),
            unresolved: match witness.unresolved {
                Unresolved::Elsewhere(destination) => Some(destination.to_owned()),
                _ => None,
            },
        }
    }

    /// Whether clusters with these labels, among others, are not production by their labels: each production
    /// environment that goes by the labels of clusters goes by one of these, which says otherwise.
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

    fn find(&self, holds: &Holds, witness: &Witness<'_>) -> Membership {
        let relevant = self
            .0
            .iter()
            .filter(|environment| holds.include(&environment.name, environment.production));
        for environment in relevant {
            if let Some(evidence) = environment.matcher.evidence(witness) {
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
        match witness.unresolved {
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

/// What makes a pattern of a text that Argo CD matches by globs.
const GLOB_CHARACTERS: [char; 5] = ['*', '?', '[', '{', '\\'];

/// Whether a text still has to be rendered.
pub(crate) fn has_placeholder(text: &str) -> bool {
    text.contains("{{")
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
        // In the template of an ApplicationSet that could not be expanded.
        let placeholder = [name, server, namespace]
            .map(golang::json::Text::as_str)
            .into_iter()
            .chain([application.spec.project()])
            .find(|text| has_placeholder(text));
        let described = [name, server]
            .into_iter()
            .find_map(|text| inventory.fleet.clusters.no_destination(text));
        let is_described = described.is_some() && inventory.completeness != Completeness::Complete;
        let written = destinations.first().copied().unwrap_or_default();
        let unresolved = match (placeholder, &resolved) {
            (Some(text), _) => Unresolved::Elsewhere(text),
            (None, Ok(_)) => Unresolved::Nothing,
            // Its Secret is there, and has labels, though not everything of it can be read.
            (None, Err(_)) if is_described => Unresolved::Nothing,
            (
                None,
                Err(DestinationError::NameNotFound(_) | DestinationError::ServerNotFound(_)),
            ) => {
                if inventory.completeness.has_all_clusters() {
                    Unresolved::Missing(written)
                } else {
                    Unresolved::Elsewhere(written)
                }
            }
            (None, Err(_)) => Unresolved::Ambiguous(written),
        };
        let clusters: Vec<&Cluster> = inventory
            .fleet
            .clusters
            .meant(&application.spec.destination)
            .chain(described.filter(|_| resolved.is_err()))
            .collect();
        for cluster in &clusters {
            destinations.extend([cluster.name.as_str(), cluster.server.as_str()]);
        }
        Witness {
            labels: Some(Cow::Borrowed(&application.metadata.labels)),
            clusters,
            unresolved,
            destinations,
            projects: vec![application.spec.project()],
            namespaces: vec![namespace],
        }
    }

    /// What an app-of-apps takes along when it is deleted. Where its Applications are is not known
    /// here, so they may be anywhere.
    fn add_children(&mut self, application: &Application<'_>, inventory: &'w Inventory) {
        if !application.manages_applications() {
            return;
        }
        let Fleet { clusters, .. } = &inventory.fleet;
        self.clusters.extend(clusters.iter());
        let names = |cluster: &'w Cluster| [cluster.name.as_str(), cluster.server.as_str()];
        self.destinations.extend(clusters.iter().flat_map(names));
        self.projects.extend(inventory.fleet.project_names());
    }

    /// A project belongs wherever it lets Applications go. What it excludes is no evidence, and a
    /// pattern counts as the text that it is: `prod-*` speaks of production without any such cluster.
    fn of_project(project: &'w EffectiveProject, inventory: &'w Inventory) -> Self {
        let EffectiveProject { metadata, spec, .. } = project;
        let is_scoped = |cluster: &Cluster| cluster.project == metadata.name;
        // Nobody can say that it does not.
        let reaches_all = spec.has_costly_patterns();
        let permissions = Permissions::read(spec, inventory.fleet.project_reading());
        let reach = (!reaches_all).then(|| permissions.reach());
        let may_reach = |cluster: &Cluster| {
            reaches_all
                || is_scoped(cluster)
                || !spec.permit_only_project_scoped_clusters
                    && reach.as_ref().is_some_and(|reach| reach.includes(cluster))
        };
        let all = &inventory.fleet.clusters;
        let clusters: Vec<&Cluster> = all.iter().filter(|cluster| may_reach(cluster)).collect();
        let includes = |pattern: &&str| !pattern.is_empty() && !pattern.starts_with('!');
        let patterns = || {
            let both = |item: &'w ProjectDestination| [item.name.as_str(), item.server.as_str()];
            spec.destinations.iter().flat_map(both)
        };
        let is_known = |pattern: &str| {
            let is = |cluster: &Cluster| cluster.name == pattern || cluster.server == pattern;
            all.iter().any(is)
        };
        let unresolved = if inventory.completeness.has_all_clusters() {
            // One that names a cluster which is not there is for whatever that becomes.
            let names_one = |text: &&str| includes(text) && !text.contains(GLOB_CHARACTERS);
            let missing = patterns().find(|text| names_one(text) && !is_known(text));
            missing.map_or(Unresolved::Nothing, Unresolved::Missing)
        } else {
            let elsewhere = patterns().find(|text| !text.is_empty() && !is_known(text));
            elsewhere.map_or(Unresolved::Nothing, Unresolved::Elsewhere)
        };
        let known = clusters
            .iter()
            .flat_map(|cluster| [cluster.name.as_str(), cluster.server.as_str()]);
        let namespaces = spec.destinations.iter().map(|item| item.namespace.as_str());
        Witness {
            labels: Some(Cow::Owned(
                metadata
                    .labels
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()))
                    .collect(),
            )),
            destinations: known.chain(patterns().filter(includes)).collect(),
            clusters,
            projects: vec![&metadata.name],
            namespaces: namespaces.filter(includes).collect(),
            unresolved,
        }
    }

    fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref()?.get(key)
    }

    fn of_cluster(cluster: &'w Cluster) -> Self {
        Witness {
            labels: None,
            clusters: vec![cluster],
            destinations: vec![&cluster.name, &cluster.server],
            projects: Vec::new(),
            namespaces: Vec::new(),
            unresolved: Unresolved::Nothing,
        }
    }
}

impl Matcher {
    /// Whether a cluster with these labels, among others, does not belong to it by its labels: it goes by one of
    /// these, which says otherwise.
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
    fn evidence(&self, witness: &Witness<'_>) -> Option<Evidence> {
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
        if let Some(cluster) = witness.clusters.iter().find(selected) {
            return Some(Evidence::ClusterLabels(cluster.name.clone()));
        }
        let has_own = self.applications.as_ref().is_some_and(|selector| {
            witness.labels.is_some() && selector.matches(|key| witness.label(key))
        });
        let mut own = ENVIRONMENT_LABELS
            .into_iter()
            .filter_map(|key| witness.label(key));
        if has_own || own.any(|value| self.words.include(value)) {
            return Some(Evidence::OwnLabels);
        }
        let destination = |name: &&&str| {
            any(&self.destinations, name) || !name.contains("://") && self.words.are_in(name)
        };
        if let Some(name) = witness.destinations.iter().find(destination) {
            return Some(Evidence::Destination((*name).to_owned()));
        }
        let project = |name: &&&str| self.matches_project(name);
        if let Some(name) = witness.projects.iter().find(project) {
            return Some(Evidence::Project((*name).to_owned()));
        }
        let namespace = |name: &&&str| self.matches_namespace(name);
        let namespace = witness.namespaces.iter().find(namespace)?;
        Some(Evidence::Namespace((*namespace).to_owned()))
    }
}

/// The labels whose value is one of an environment's words.
const ENVIRONMENT_LABELS: [&str; 2] = ["environment", "env"];

/// Whether one of these words is in a name, and the word before it does not deny it.
fn has_word(name: &str, is_one: impl Fn(&str) -> bool) -> bool {
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
            projects: compile_globs(&field("projects"), projects)?,
            namespaces: compile_globs(&field("namespaces"), namespaces)?,
        },
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
