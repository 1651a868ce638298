//! Everything a rule may know beyond the object itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use argocd::application::EnabledField;
use argocd::application_set::{Checkouts, ControllerParameters, NoCheckouts};
use argocd::{Application, ApplicationSet, Cluster, Fleet, Namespaces};

use super::object::ObjectRef;
use super::subject::Requester;
use crate::finding::missing::MissingFact;
use crate::finding::{shorten, without_user_info};
use crate::kind::Kind;
use crate::terms::break_glass::{Terms, Writer};
use crate::terms::environment::Environments;
use crate::terms::gitops_policy::{ControllerDryRun, GitOpsPolicySpec, InvalidPolicy};
use crate::terms::rule_metadata::RuleMetadata;
use crate::terms::rule_policy::{RulePolicies, SubjectNames};

/// Whether what is not in the inventory does not exist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Completeness {
    /// The caches of a webhook: what is not there does not exist.
    Complete,
    /// The files of a repository, which have every cluster: anything else may be elsewhere.
    AllClusters,
    /// The files of a repository: it may be elsewhere.
    Partial,
}

impl Completeness {
    /// Whether a cluster that is not there does not exist.
    pub fn has_all_clusters(self) -> bool {
        self != Completeness::Partial
    }

    /// Whether a project that is not there does not exist.
    pub fn has_all_projects(self) -> bool {
        self == Completeness::Complete
    }
}

/// Projects, clusters, ApplicationSets, settings and policy.
pub struct Inventory {
    /// Projects, clusters and settings as Argo CD knows them.
    pub fleet: Fleet,
    /// ApplicationSets that there are already, whose Applications come and go with clusters.
    pub application_sets: Arc<[Arc<ApplicationSet<'static>>]>,
    /// Git repositories whose content is at hand.
    pub checkouts: Arc<dyn Checkouts + Send + Sync>,
    /// Where this Argo CD has its objects, if that is known. What is elsewhere is another one's, or
    /// nobody's.
    pub namespaces: Option<Arc<Namespaces>>,
    /// What is missing in `fleet` may exist or does not.
    pub completeness: Completeness,
    /// Whether the installed CRD knows `automated.enabled`.
    pub enabled_field: EnabledField,
    /// How the ApplicationSet controller was started.
    pub application_set_controller: ControllerParameters,
    /// Where cluster Secrets stand, by their names, if they are in files.
    pub cluster_places: Arc<BTreeMap<String, String>>,
    policy: Arc<GitOpsPolicySpec>,
    pub(crate) environments: Arc<Environments>,
    pub(crate) rules: Arc<RulePolicies>,
    terms: Arc<Terms>,
}

/// That no cluster is known which a destination means.
pub(crate) struct Absence {
    /// Why.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) fix: &'static str,
    /// The same as data.
    pub(crate) fact: MissingFact,
}

impl fmt::Debug for Inventory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Inventory")
            .field("fleet", &self.fleet)
            .field("completeness", &self.completeness)
            .field("enabled_field", &self.enabled_field)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Inventory {
    /// Puts an inventory together, with what the policy says about some rules.
    ///
    /// # Errors
    /// The policy contradicts itself in a way that its schema cannot express.
    pub(crate) fn with_rules(
        rules: &[&'static RuleMetadata],
        fleet: Fleet,
        completeness: Completeness,
        enabled_field: EnabledField,
        policy: GitOpsPolicySpec,
    ) -> Result<Self, InvalidPolicy> {
        let environments = Environments::new(&policy)?;
        let rules = RulePolicies::new(&policy, &environments, rules)?;
        let terms = Terms::new(&policy.break_glass)?;
        Ok(Inventory {
            fleet,
            application_sets: Arc::default(),
            checkouts: Arc::new(NoCheckouts),
            namespaces: None,
            completeness,
            enabled_field,
            application_set_controller: ControllerParameters::default(),
            cluster_places: Arc::default(),
            policy: Arc::new(policy),
            environments: Arc::new(environments),
            rules: Arc::new(rules),
            terms: Arc::new(terms),
        })
    }

    /// The same with one cluster as it would be: `old` gone, `new` there.
    pub(crate) fn replacing_cluster(&self, old: Option<&Cluster>, new: Option<Cluster>) -> Self {
        Inventory {
            fleet: self.fleet.replacing_cluster(old, new),
            application_sets: Arc::clone(&self.application_sets),
            checkouts: Arc::clone(&self.checkouts),
            namespaces: self.namespaces.clone(),
            completeness: self.completeness,
            enabled_field: self.enabled_field,
            application_set_controller: self.application_set_controller,
            cluster_places: Arc::clone(&self.cluster_places),
            policy: Arc::clone(&self.policy),
            environments: Arc::clone(&self.environments),
            rules: Arc::clone(&self.rules),
            terms: Arc::clone(&self.terms),
        }
    }

    /// Why no cluster is known that a destination means, by its name or server.
    pub(crate) fn absence(&self, name_or_server: &str) -> Absence {
        let shown = shorten(&without_user_info(name_or_server), 60);
        let clusters = &self.fleet.clusters;
        let secret = |cluster: &Cluster| {
            let name = shorten(&cluster.secret_name, 40);
            match self.cluster_places.get(&cluster.secret_name) {
                Some(place) => format!("{name} ({})", shorten(place, 60)),
                None => name,
            }
        };
        if let Some(found) = clusters.no_destination(name_or_server) {
            let secret = secret(found);
            let name = found.secret_name.clone();
            return match found.unknown {
                Some(why) => Absence {
                    message: format!(
                        "the Secret {secret} of cluster {shown} is {why}, and not all of it is known"
                    ),
                    fix: "judge what it becomes",
                    fact: MissingFact::ClusterSecret(name, why),
                },
                None => Absence {
                    message: format!(
                        "Argo CD cannot read the config of the Secret {secret} of cluster {shown}"
                    ),
                    fix: "write its config as Argo CD documents it",
                    fact: MissingFact::ClusterConfig(name),
                },
            };
        }
        let fact = MissingFact::Cluster(without_user_info(name_or_server));
        if self.completeness.has_all_clusters() {
            return Absence {
                message: format!("Argo CD knows no cluster {shown}"),
                fix: "use the name or server of a cluster Secret",
                fact,
            };
        }
        let mut unknown = clusters.unknown();
        let perhaps = unknown.next().map(|first| {
            let others = match unknown.count() {
                0 => String::new(),
                others => format!(" or of {others} more"),
            };
            format!(
                ", unless it is that of the Secret {}{others}",
                secret(first)
            )
        });
        Absence {
            message: format!(
                "cluster {shown} is not among the files{}",
                perhaps.unwrap_or_default()
            ),
            fix: "add its Secret with --facts",
            fact,
        }
    }

    /// Whether objects of a kind in a namespace are this Argo CD's to act on.
    pub fn concerns(&self, kind: Kind, namespace: &str) -> bool {
        let Some(namespaces) = &self.namespaces else {
            return true;
        };
        match kind {
            Kind::Application => namespaces.have_applications(namespace),
            Kind::ApplicationSet => namespaces.have_application_sets(namespace),
            _ => namespaces.is_own(namespace),
        }
    }

    /// Whether a request comes from one of Argo CD's own controllers or its API server.
    pub(crate) fn is_argo_cd(&self, requester: Requester<'_>) -> bool {
        self.policy
            .argocd
            .service_accounts
            .include(requester.username, &self.fleet.control_plane_namespace)
    }

    /// Whether somebody whose dry run would be denied is only told so.
    pub(crate) fn tells_only(&self, requester: Requester<'_>) -> bool {
        self.policy.admission.controller_dry_run == ControllerDryRun::Warn
            && self.writes_for_others(requester)
    }

    /// Whether a request comes from a controller of Argo CD's that writes what others have written
    /// down elsewhere: the children of an app-of-apps, or what an ApplicationSet generates. What it
    /// is told is shown to them without the object that it is about.
    pub fn writes_for_others(&self, requester: Requester<'_>) -> bool {
        let accounts = &self.policy.argocd.service_accounts;
        let namespace = &self.fleet.control_plane_namespace;
        accounts.is_application_controller(requester.username, namespace)
            || accounts.is_application_set_controller(requester.username, namespace)
    }

    /// Whether a request comes from Argo CD's ApplicationSet controller.
    pub(crate) fn writes_for_sets(&self, requester: Requester<'_>) -> bool {
        self.policy
            .argocd
            .service_accounts
            .is_application_set_controller(requester.username, &self.fleet.control_plane_namespace)
    }

    /// The ApplicationSet that an Application says generates it, if there is that very one.
    pub(crate) fn application_set_of(
        &self,
        application: &Application<'_>,
    ) -> Option<&ApplicationSet<'static>> {
        let metadata = &application.metadata;
        let owner = metadata.application_set()?;
        let is_owner = |set: &&Arc<ApplicationSet<'static>>| {
            let own = &set.metadata;
            own.name == owner.name && own.namespace == metadata.namespace && own.uid == owner.uid
        };
        self.application_sets.iter().find(is_owner).map(Arc::as_ref)
    }

    /// The names of an object that the policy may exempt it by.
    pub(crate) fn names_of(&self, object: ObjectRef<'_>) -> SubjectNames {
        match object {
            ObjectRef::Application(application) => {
                let destination = &application.spec.destination;
                let candidates = self.fleet.clusters.candidates(destination);
                let namespace = match application.metadata.namespace.as_str() {
                    "" => &self.fleet.control_plane_namespace,
                    namespace => namespace,
                };
                SubjectNames {
                    project: Some(application.spec.project().to_owned()),
                    application: Some(format!("{namespace}/{}", application.metadata.name)),
                    clusters: candidates.map(|cluster| cluster.name.clone()).collect(),
                }
            }
            ObjectRef::ClusterSecret(secret) => SubjectNames {
                project: None,
                application: None,
                clusters: secret
                    .cluster()
                    .map(|cluster| cluster.name)
                    .into_iter()
                    .collect(),
            },
            ObjectRef::ApplicationSet(set) => {
                let namespace = match set.metadata.namespace.as_str() {
                    "" => &self.fleet.control_plane_namespace,
                    namespace => namespace,
                };
                SubjectNames {
                    project: None,
                    application: Some(format!("{namespace}/{}", set.metadata.name)),
                    clusters: Vec::new(),
                }
            }
            ObjectRef::AppProject(project) => SubjectNames {
                project: Some(project.metadata.name.clone()),
                application: None,
                clusters: Vec::new(),
            },
        }
    }

    /// What the policy says about overrides.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    pub(crate) fn writer(&self, requester: Requester<'_>) -> Writer {
        let namespace = &self.fleet.control_plane_namespace;
        self.terms
            .writer(requester.username, &self.policy.argocd, namespace)
    }

    /// Whether what ApplicationSets generate depends on the clusters that there are.
    pub(crate) fn generates_by_clusters(&self) -> bool {
        let mut sets = self.application_sets.iter();
        sets.any(|set| set.spec.reads_clusters())
    }

    /// Whether a request comes from Argo CD's API server.
    pub(crate) fn is_argo_cd_server(&self, requester: Requester<'_>) -> bool {
        self.policy
            .argocd
            .service_accounts
            .is_server(requester.username, &self.fleet.control_plane_namespace)
    }

    /// The policy that counts.
    pub fn policy(&self) -> &GitOpsPolicySpec {
        &self.policy
    }
}
