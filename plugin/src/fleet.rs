//! What objects say about the fleet, put together into an inventory.
//!
//! Facts come from files ([`files`]) or from a cluster ([`live`]). Nothing that logs in anywhere is
//! among them.

pub(crate) mod fact;
pub(crate) mod files;
pub(crate) mod live;
pub(crate) mod production;

use std::collections::BTreeMap;
use std::sync::Arc;

use argocd::fleet::{Fleet, Parts};
use argocd::project::ProjectReading;
use argocd::settings::{InstalledApi, ParametersConfigMap};
use argocd::{ApplicationSet, Cluster, Namespaces};
use policy::gitops_policy::POLICY_NAME;
use policy::{Completeness, GitOpsPolicySpec, Inventory, Kind};

pub(crate) use self::fact::Fact;
use crate::error::CommandError;
use crate::repository::manifest::ObjectReference;
use crate::repository::problem::Problem;

/// What tells an object from all others: what it is to us, and its name.
pub(crate) type Identity = (Kind, ObjectReference);

/// Facts in the order in which they came; of two about one object the later one counts.
pub(crate) struct Facts {
    /// The namespace that Argo CD runs in.
    namespace: String,
    completeness: Completeness,
    installed: InstalledApi,
    objects: BTreeMap<Identity, Result<Fact, Problem>>,
    /// Whether a policy that there is would be among them.
    pub(crate) knows_policy: bool,
    /// Whether some of them are a cluster's.
    has_live: bool,
    /// Whether it is known how this Argo CD was started, which says in which namespaces it acts.
    knows_parameters: bool,
    /// Objects that were declared twice, as one sentence each.
    pub(crate) repeated: Vec<String>,
}

/// Where facts of files come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// The files that are judged. ApplicationSets in them are not facts.
    Judged,
    /// Files that were given for their facts, which override those of the others. Neither are
    /// ApplicationSets in them.
    Given,
    /// Files that stand for a cluster: all that is in them is there.
    State,
}

impl Facts {
    /// Nothing is known yet of the fleet of an Argo CD.
    pub(crate) fn new(namespace: &str, completeness: Completeness) -> Self {
        Facts {
            namespace: namespace.to_owned(),
            completeness,
            installed: InstalledApi::default(),
            objects: BTreeMap::new(),
            knows_policy: true,
            has_live: false,
            knows_parameters: false,
            repeated: Vec::new(),
        }
    }

    /// Judges as another version of Argo CD does than the one that is there, or than 3.5.
    pub(crate) fn read_projects_by(&mut self, reading: ProjectReading) {
        self.installed.project_reading = reading;
    }

    /// Takes it that there is no other cluster, where that is not known already.
    pub(crate) fn have_all_clusters(&mut self) {
        if self.completeness == Completeness::Partial {
            self.completeness = Completeness::AllClusters;
        }
    }

    /// The ApplicationSet of a name.
    pub(crate) fn application_set(
        &self,
        identity: &Identity,
    ) -> Option<&Arc<ApplicationSet<'static>>> {
        match self.objects.get(identity) {
            Some(Ok(Fact::ApplicationSet(set))) => Some(set),
            _ => None,
        }
    }

    /// The cluster that a Secret describes.
    pub(crate) fn cluster(&self, identity: &Identity) -> Option<&Cluster> {
        match self.objects.get(identity) {
            Some(Ok(Fact::Cluster(cluster))) => Some(cluster),
            _ => None,
        }
    }

    /// Makes a fact of what an object would say, or takes back what it says.
    pub(crate) fn set(&mut self, identity: Identity, fact: Option<Fact>) {
        match fact {
            Some(fact) => self.objects.insert(identity, Ok(fact)),
            None => self.objects.remove(&identity),
        };
    }

    /// Whether there is a `GitOpsPolicy` among them, and so the webhook where they are a cluster's.
    pub(crate) fn has_policy(&self) -> bool {
        let mut facts = self.objects.values();
        facts.any(|fact| matches!(fact, Ok(Fact::Policy(_))))
    }

    /// The same, which are then no longer there.
    pub(crate) fn take_problems(&mut self) -> Vec<Problem> {
        let is_fatal = |identity: &Identity| identity.0 == Kind::Policy;
        let unread = self.objects.extract_if(.., |identity, object| {
            object.is_err() && !is_fatal(identity)
        });
        unread.filter_map(|(_, object)| object.err()).collect()
    }

    /// The objects that could not be read.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.objects
            .values()
            .filter_map(|object| object.as_ref().err())
    }

    /// The inventory that the facts amount to.
    ///
    /// # Errors
    /// The policy cannot be read, or contradicts itself: no verdict would mean anything.
    pub(crate) fn inventory(&self) -> Result<Inventory, CommandError> {
        let mut parts = Parts {
            control_plane_namespace: self.namespace.clone(),
            ..Parts::default()
        };
        let mut policy = GitOpsPolicySpec::default();
        let mut parameters: Option<&ParametersConfigMap> = None;
        let mut application_sets = Vec::new();
        for (identity, object) in &self.objects {
            match object {
                Ok(Fact::Project(project)) => parts.projects.push((**project).clone()),
                Ok(Fact::ApplicationSet(set)) => application_sets.push(Arc::clone(set)),
                Ok(Fact::Cluster(cluster)) => parts.clusters.push((**cluster).clone()),
                Ok(Fact::Repository(repository)) => parts.repositories.extend(repository.clone()),
                Ok(Fact::Settings(settings)) => parts.settings = (**settings).clone(),
                Ok(Fact::Parameters(written)) => parameters = Some(written),
                Ok(Fact::Policy(spec)) => policy.clone_from(spec),
                Err(problem) if identity.0 == Kind::Policy => {
                    return Err(unusable_policy(&identity.1, problem));
                }
                Err(_) => {}
            }
        }
        // One whose values a file does not tell may be any destination.
        let is_partly_known = parts
            .clusters
            .iter()
            .any(|cluster| cluster.unknown.is_some());
        let completeness = match self.completeness {
            Completeness::Complete if is_partly_known => Completeness::Partial,
            other => other,
        };
        let fleet = Fleet::read_by(parts, self.installed.project_reading);
        let enabled_field = self.installed.enabled_field;
        let mut inventory = Inventory::new(fleet, completeness, enabled_field, policy)
            .map_err(CommandError::new)?;
        // What is not said is not known, while namespaces are those of an Argo CD that is told of
        // none.
        inventory.application_set_controller = parameters
            .map(ParametersConfigMap::application_set_controller)
            .unwrap_or_default();
        if self.knows_parameters {
            let parameters = parameters.cloned().unwrap_or_default();
            let namespaces = Namespaces::new(self.namespace.clone(), &parameters);
            let is_own = |set: &Arc<ApplicationSet<'static>>| {
                namespaces.have_application_sets(&set.metadata.namespace)
            };
            application_sets.retain(is_own);
            inventory.namespaces = Some(Arc::new(namespaces));
        }
        inventory.application_sets = application_sets.into();
        Ok(inventory)
    }
}

fn unusable_policy(reference: &ObjectReference, problem: &Problem) -> CommandError {
    let error = CommandError::new(crate::error::chain(problem));
    if reference.name.as_deref() == Some(POLICY_NAME) {
        error
    } else {
        error.hinted("rename it, or add its terms to the one that is there")
    }
}
