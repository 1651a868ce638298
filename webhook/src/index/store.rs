//! What was read of the cluster, and the inventory it makes.

use std::collections::BTreeMap;
use std::sync::Arc;

use argocd::application::EnabledField;
use argocd::fleet::Parts;
use argocd::project::ProjectReading;
use argocd::settings::InstalledApi;
use argocd::settings::ParametersConfigMap;
use argocd::{Fleet, Namespaces};
use kube::runtime::watcher::Event;
use policy::gitops_policy::{InvalidPolicy, POLICY_NAME};
use policy::{Completeness, GitOpsPolicySpec, Inventory};
use tracing::{error, info, warn};

use super::watched::{
    ApplicationDefinition, ApplicationSetObject, ClusterObject, ImageUpdaterDefinition,
    ParametersObject, PolicyObject, ProjectObject, RepositoryObject, SettingsObject, Unreadable,
    Watchable, Watched,
};
use super::{Observed, PolicyOrigin};
use crate::labels::PolicySource;
use crate::metrics::inventory::{Features, InventorySizes};

/// One thing that a watch told.
#[derive(Debug)]
pub enum Change {
    /// About AppProjects.
    Project(Observed<ProjectObject>),
    /// About ApplicationSets.
    ApplicationSet(Observed<ApplicationSetObject>),
    /// About cluster Secrets.
    Cluster(Observed<ClusterObject>),
    /// About repository Secrets.
    Repository(Observed<RepositoryObject>),
    /// About `argocd-cm`.
    Settings(Observed<SettingsObject>),
    /// About `argocd-cmd-params-cm`.
    Parameters(Observed<ParametersObject>),
    /// About the GitOpsPolicy.
    Policy(Observed<PolicyObject>),
    /// About the definition of Application.
    ApplicationDefinition(Observed<ApplicationDefinition>),
    /// About the definition of `ImageUpdater`.
    ImageUpdaterDefinition(Observed<ImageUpdaterDefinition>),
}

/// All objects of one kind, by name.
struct Table<T: Watchable> {
    objects: BTreeMap<String, Result<T::Content, Unreadable>>,
    /// The objects of a list that is not complete yet.
    listing: BTreeMap<String, Result<T::Content, Unreadable>>,
    complete: bool,
    kind_missing: bool,
}

impl<T: Watchable> Default for Table<T> {
    fn default() -> Self {
        Table {
            objects: BTreeMap::new(),
            listing: BTreeMap::new(),
            complete: false,
            kind_missing: false,
        }
    }
}

impl<T: Watchable> Table<T> {
    /// Takes in what a watch told, and says whether that changes anything.
    fn apply(&mut self, observed: Observed<T>) -> bool {
        let Observed::Event(event) = observed else {
            // It is asked for again and again; that it is missing is said once.
            if !self.kind_missing {
                warn!(
                    kind = T::DESCRIPTION,
                    "the API server does not know the kind"
                );
            }
            return !std::mem::replace(&mut self.kind_missing, true);
        };
        match *event {
            Event::Init => {
                self.listing.clear();
                false
            }
            Event::InitApply(object) => {
                insert(&mut self.listing, object);
                false
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listing);
                let is_news = !self.complete || self.kind_missing || self.objects != listed;
                self.objects = listed;
                self.complete = true;
                self.kind_missing = false;
                is_news
            }
            Event::Apply(object) => insert(&mut self.objects, object),
            Event::Delete(object) => self.objects.remove(&object.key()).is_some(),
        }
    }

    fn readable(&self) -> impl Iterator<Item = &T::Content> {
        self.objects
            .values()
            .filter_map(|object| object.as_ref().ok())
    }

    fn unreadable(&self) -> usize {
        self.objects.len() - self.readable().count()
    }
}

/// Adds or replaces an object, and says whether that changes anything.
fn insert<T: Watchable>(
    objects: &mut BTreeMap<String, Result<T::Content, Unreadable>>,
    object: Watched<T>,
) -> bool {
    let key = object.key();
    if objects.get(&key) == Some(&object.content) {
        return false;
    }
    if let Err(reason) = &object.content {
        warn!(kind = T::DESCRIPTION, name = object.name(), %reason, "object left out");
    }
    objects.insert(key, object.content);
    true
}

/// Where the policy comes from, and what is known of it.
enum Policy {
    File(Box<GitOpsPolicySpec>),
    Cluster {
        table: Table<PolicyObject>,
        /// What an invalid policy is replaced by.
        last_good: Option<Box<GitOpsPolicySpec>>,
    },
}

/// What the policy says.
enum Stated {
    /// Nothing, and so the defaults count.
    Nothing(PolicySource),
    /// This.
    Given(Box<GitOpsPolicySpec>),
    /// Something that cannot be read.
    Unreadable(String),
}

impl Policy {
    fn stated(&self) -> Stated {
        let table = match self {
            Policy::File(spec) => return Stated::Given(spec.clone()),
            Policy::Cluster { table, .. } => table,
        };
        match table.objects.get(POLICY_NAME) {
            Some(Ok(spec)) => Stated::Given(spec.clone()),
            Some(Err(reason)) => Stated::Unreadable(reason.to_string()),
            None if table.kind_missing => Stated::Nothing(PolicySource::KindMissing),
            None => Stated::Nothing(PolicySource::Defaults),
        }
    }

    fn set_last_good(&mut self, spec: Option<Box<GitOpsPolicySpec>>) {
        if let Policy::Cluster { last_good, .. } = self {
            *last_good = spec;
        }
    }

    fn last_good(&self) -> GitOpsPolicySpec {
        match self {
            Policy::File(spec) => (**spec).clone(),
            Policy::Cluster { last_good, .. } => last_good.as_deref().cloned().unwrap_or_default(),
        }
    }
}

/// All that was read.
pub struct Store {
    argocd_namespace: String,
    projects: Table<ProjectObject>,
    application_sets: Table<ApplicationSetObject>,
    clusters: Table<ClusterObject>,
    repositories: Table<RepositoryObject>,
    settings: Table<SettingsObject>,
    parameters: Table<ParametersObject>,
    application_definition: Table<ApplicationDefinition>,
    image_updater_definition: Table<ImageUpdaterDefinition>,
    policy: Policy,
    /// What was last said about the policy.
    told: Option<(PolicySource, String)>,
    /// What was last said about features.
    told_features: Option<Features>,
    /// What was last said about namespaces.
    told_parameters: Option<ParametersConfigMap>,
}

impl Store {
    /// Nothing read yet.
    pub fn new(argocd_namespace: String, origin: PolicyOrigin) -> Self {
        Store {
            argocd_namespace,
            projects: Table::default(),
            application_sets: Table::default(),
            clusters: Table::default(),
            repositories: Table::default(),
            settings: Table::default(),
            parameters: Table::default(),
            application_definition: Table::default(),
            image_updater_definition: Table::default(),
            policy: match origin {
                PolicyOrigin::File(spec) => Policy::File(spec),
                PolicyOrigin::Cluster => Policy::Cluster {
                    table: Table::default(),
                    last_good: None,
                },
            },
            told: None,
            told_features: None,
            told_parameters: None,
        }
    }

    /// Takes in what a watch told, and says whether the inventory may be another one by it.
    pub fn apply(&mut self, change: Change) -> bool {
        match change {
            Change::Project(observed) => self.projects.apply(observed),
            Change::ApplicationSet(observed) => self.application_sets.apply(observed),
            Change::Cluster(observed) => self.clusters.apply(observed),
            Change::Repository(observed) => self.repositories.apply(observed),
            Change::Settings(observed) => self.settings.apply(observed),
            Change::ApplicationDefinition(observed) => self.application_definition.apply(observed),
            Change::ImageUpdaterDefinition(observed) => {
                self.image_updater_definition.apply(observed)
            }
            Change::Parameters(observed) => self.parameters.apply(observed),
            Change::Policy(observed) => match &mut self.policy {
                Policy::Cluster { table, .. } => table.apply(observed),
                Policy::File(_) => false,
            },
        }
    }

    /// The kinds whose first list is not complete. Without GitOpsPolicy's kind there is no policy, and
    /// the defaults count; without any other kind there is nothing to judge by. No verdict depends on
    /// the definition of `ImageUpdater`, so nothing waits for that.
    pub fn missing(&self) -> Vec<&'static str> {
        let policy_complete = match &self.policy {
            Policy::File(_) => true,
            Policy::Cluster { table, .. } => table.complete || table.kind_missing,
        };
        [
            (self.projects.complete, ProjectObject::DESCRIPTION),
            (
                self.application_sets.complete || self.application_sets.kind_missing,
                ApplicationSetObject::DESCRIPTION,
            ),
            (self.clusters.complete, ClusterObject::DESCRIPTION),
            (self.repositories.complete, RepositoryObject::DESCRIPTION),
            (self.settings.complete, SettingsObject::DESCRIPTION),
            (
                self.parameters.complete || self.parameters.kind_missing,
                ParametersObject::DESCRIPTION,
            ),
            (
                self.application_definition.complete,
                ApplicationDefinition::DESCRIPTION,
            ),
            (policy_complete, PolicyObject::DESCRIPTION),
        ]
        .into_iter()
        .filter_map(|(complete, description)| (!complete).then_some(description))
        .collect()
    }

    /// How much there is.
    pub fn sizes(&self) -> InventorySizes {
        InventorySizes {
            projects: self.projects.readable().count(),
            application_sets: self.application_sets.readable().count(),
            clusters: self.clusters.readable().count(),
            repositories: self.repositories.readable().flatten().count(),
            unreadable: self.projects.unreadable()
                + self.application_sets.unreadable()
                + self.clusters.unreadable()
                + self.repositories.unreadable()
                + self.settings.unreadable()
                + self.parameters.unreadable()
                + self.application_definition.unreadable(),
        }
    }

    /// The inventory, and where its policy comes from.
    ///
    /// A policy that is invalid, by its schema or by itself, does not count: the last one that was
    /// good does, or else the defaults, which deny. Refusing to judge would stop all deployments
    /// for a typo, and judging by no rule at all would be worse.
    ///
    /// # Errors
    /// Not even the policy that was good before makes an inventory.
    pub fn inventory(&mut self) -> Result<(Inventory, PolicySource), InvalidPolicy> {
        let (source, reason) = match self.policy.stated() {
            Stated::Nothing(source) => {
                self.policy.set_last_good(None);
                (source, String::new())
            }
            Stated::Unreadable(reason) => (PolicySource::Invalid, reason),
            Stated::Given(spec) => match self.with_policy((*spec).clone()) {
                Ok(inventory) => {
                    self.policy.set_last_good(Some(spec));
                    let flaw = inventory.policy().flaw().unwrap_or_default();
                    self.tell(PolicySource::Given, flaw.to_owned());
                    return Ok((inventory, PolicySource::Given));
                }
                Err(error) => (PolicySource::Invalid, crate::chain(&error)),
            },
        };
        self.tell(source, reason);
        let inventory = self.with_policy(self.policy.last_good())?;
        Ok((inventory, source))
    }

    fn with_policy(&self, policy: GitOpsPolicySpec) -> Result<Inventory, InvalidPolicy> {
        let installed = self.installed_api();
        let parts = Parts {
            control_plane_namespace: self.argocd_namespace.clone(),
            projects: self.projects.readable().cloned().collect(),
            clusters: self.clusters.readable().cloned().collect(),
            repositories: self.repositories.readable().flatten().cloned().collect(),
            settings: self
                .settings
                .readable()
                .next()
                .map(|written| written.settings.clone())
                .unwrap_or_default(),
        };
        let fleet = Fleet::read_by(parts, installed.project_reading);
        let mut inventory = Inventory::new(
            fleet,
            Completeness::Complete,
            installed.enabled_field,
            policy,
        )?;
        let parameters = self.parameters.readable().next().cloned();
        let parameters = parameters.unwrap_or_default();
        inventory.application_set_controller = parameters.application_set_controller();
        let namespaces = Namespaces::new(self.argocd_namespace.clone(), &parameters);
        let sets = self.application_sets.readable();
        let ours = sets.filter(|set| namespaces.have_application_sets(&set.metadata.namespace));
        inventory.application_sets = ours.cloned().collect();
        inventory.namespaces = Some(Arc::new(namespaces));
        Ok(inventory)
    }

    /// Says where objects are judged, whenever that changes.
    pub fn tell_namespaces(&mut self) {
        let parameters = self.parameters.readable().next();
        let parameters = parameters.cloned().unwrap_or_default();
        if self.told_parameters.as_ref() != Some(&parameters) {
            info!(
                own = self.argocd_namespace,
                application_namespaces = parameters.application_namespaces(),
                application_set_namespaces = parameters.application_set_namespaces(),
                "namespaces that are judged"
            );
            self.told_parameters = Some(parameters);
        }
    }

    fn installed_api(&self) -> InstalledApi {
        let read = self.application_definition.readable().next();
        read.copied().unwrap_or_default()
    }

    /// What the installed API has. That is said once all of it is known, and whenever it changes.
    pub fn features(&mut self) -> Features {
        let image_updater = &self.image_updater_definition;
        let installed = self.installed_api();
        let features = Features {
            automated_enabled: installed.enabled_field == EnabledField::Supported,
            disable_extension_filter: installed.project_reading == ProjectReading::Since36,
            image_updater: image_updater
                .complete
                .then_some(!image_updater.objects.is_empty()),
        };
        // Without a definition there is no Argo CD of which anything could be said.
        let is_installed = self.application_definition.readable().next().is_some();
        if let Some(image_updater) = features.image_updater
            && is_installed
            && self.told_features.replace(features) != Some(features)
        {
            info!(
                automated_enabled = features.automated_enabled,
                disable_extension_filter = features.disable_extension_filter,
                image_updater,
                "features of the installed API"
            );
        }
        features
    }

    /// Says once what counts, whenever that changes.
    fn tell(&mut self, source: PolicySource, reason: String) {
        let now = Some((source, reason));
        if self.told == now {
            return;
        }
        let policy = source.as_str();
        if let Some((PolicySource::Invalid, reason)) = &now {
            error!(
                policy,
                reason, "the GitOpsPolicy is invalid: the last good one counts, or the defaults"
            );
        } else {
            info!(policy, "policy");
        }
        if let Some((PolicySource::Given, flaw)) = &now
            && !flaw.is_empty()
        {
            error!(
                policy,
                flaw, "the GitOpsPolicy counts, but cannot mean what it says"
            );
        }
        self.told = now;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object<T: Watchable>(json: &Value) -> Watched<T> {
        serde_json::from_str(&json.to_string()).unwrap()
    }

    fn listed<T: Watchable>(objects: &[Value]) -> Vec<Observed<T>> {
        let mut events = vec![Event::Init];
        events.extend(objects.iter().map(|json| Event::InitApply(object(json))));
        events.push(Event::InitDone);
        events.into_iter().map(observed).collect()
    }

    fn observed<T: Watchable>(event: Event<Watched<T>>) -> Observed<T> {
        Observed::Event(Box::new(event))
    }

    fn project(name: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "argocd", "resourceVersion": "1"}, "spec": {}})
    }

    fn policy(spec: &Value) -> Value {
        json!({
            "apiVersion": "kubectl-gitops.io/v1alpha1", "kind": "GitOpsPolicy",
            "metadata": {"name": "default", "resourceVersion": "1"}, "spec": spec,
        })
    }

    /// A store that lacks nothing but the policy.
    fn store() -> Store {
        let mut store = Store::new("argocd".to_owned(), PolicyOrigin::Cluster);
        for observed in listed(&[project("shop")]) {
            store.apply(Change::Project(observed));
        }
        for observed in listed(&[]) {
            store.apply(Change::ApplicationSet(observed));
        }
        for observed in listed(&[]) {
            store.apply(Change::Cluster(observed));
        }
        for observed in listed(&[]) {
            store.apply(Change::Repository(observed));
        }
        for observed in listed(&[]) {
            store.apply(Change::Settings(observed));
        }
        for observed in listed(&[]) {
            store.apply(Change::Parameters(observed));
        }
        for observed in listed(&[]) {
            store.apply(Change::ApplicationDefinition(observed));
        }
        store
    }

    fn apply_policy(store: &mut Store, spec: &Value) {
        let event = Event::Apply(object(&policy(spec)));
        store.apply(Change::Policy(observed(event)));
    }

    #[test]
    fn nothing_is_complete_before_its_list_is() {
        let mut store = Store::new("argocd".to_owned(), PolicyOrigin::Cluster);
        assert_eq!(store.missing().len(), 8);
        store.apply(Change::Project(observed(Event::Init)));
        let first = Event::InitApply(object(&project("shop")));
        store.apply(Change::Project(observed(first)));
        assert!(store.missing().contains(&"AppProject"));
        assert_eq!(store.sizes().projects, 0, "half a list is no list");
        store.apply(Change::Project(observed(Event::InitDone)));
        assert!(!store.missing().contains(&"AppProject"));
        assert_eq!(store.sizes().projects, 1);
    }

    #[test]
    fn what_a_new_list_lacks_is_gone_once_the_list_is_complete() {
        let mut store = store();
        let mut events = listed(&[project("other")]);
        let done = events.pop().unwrap();
        for observed in events {
            store.apply(Change::Project(observed));
        }
        let (inventory, _) = {
            store.apply(Change::Policy(Observed::KindMissing));
            store.inventory().unwrap()
        };
        assert!(inventory.fleet.project("shop").is_some());
        assert!(store.missing().is_empty());
        store.apply(Change::Project(done));
        let (inventory, _) = store.inventory().unwrap();
        assert!(inventory.fleet.project("shop").is_none());
        assert!(inventory.fleet.project("other").is_some());
    }

    #[test]
    fn a_deleted_project_is_gone() {
        let mut store = store();
        let deleted = Event::Delete(object(&project("shop")));
        store.apply(Change::Project(observed(deleted)));
        assert_eq!(store.sizes().projects, 0);
    }

    #[test]
    fn an_unreadable_project_is_left_out_and_counted() {
        let mut store = store();
        let odd = json!({
            "metadata": {"name": "odd", "namespace": "argocd", "resourceVersion": "2"},
            "spec": {"sourceRepos": 5},
        });
        store.apply(Change::Project(observed(Event::Apply(object(&odd)))));
        let sizes = store.sizes();
        assert_eq!((sizes.projects, sizes.unreadable), (1, 1));
    }

    #[test]
    fn what_the_definitions_say_is_known_once_they_are_listed() {
        let mut store = store();
        let before = store.features();
        for observed in
            listed(&[json!({"metadata": {"name": "imageupdaters", "resourceVersion": "1"}})])
        {
            store.apply(Change::ImageUpdaterDefinition(observed));
        }
        let after = store.features();
        assert_eq!(
            (before.image_updater, after.image_updater),
            (None, Some(true))
        );
        assert!(before.automated_enabled, "there is no older definition");
    }

    #[test]
    fn without_the_kind_or_a_policy_the_defaults_count() {
        let mut store = store();
        assert_eq!(store.missing(), ["GitOpsPolicy"]);
        store.apply(Change::Policy(Observed::KindMissing));
        assert!(store.missing().is_empty());
        assert_eq!(store.inventory().unwrap().1, PolicySource::KindMissing);
        for observed in listed(&[]) {
            store.apply(Change::Policy(observed));
        }
        assert_eq!(store.inventory().unwrap().1, PolicySource::Defaults);
    }

    #[test]
    fn an_invalid_policy_leaves_the_last_good_one_in_force() {
        let mut store = store();
        apply_policy(
            &mut store,
            &json!({"rules": {"prod-auto-sync": {"action": "Warn"}}}),
        );
        let (good, source) = store.inventory().unwrap();
        assert_eq!(source, PolicySource::Given);
        apply_policy(
            &mut store,
            &json!({"rules": {"prod-auto-sync": {"action": "Perhaps"}}}),
        );
        let (kept, source) = store.inventory().unwrap();
        assert_eq!(source, PolicySource::Invalid);
        assert_eq!(
            format!("{:?}", kept.policy()),
            format!("{:?}", good.policy())
        );
        assert_ne!(
            format!("{:?}", kept.policy()),
            format!("{:?}", GitOpsPolicySpec::default())
        );
    }

    #[test]
    fn an_invalid_first_policy_leaves_the_defaults_in_force() {
        let mut store = store();
        apply_policy(&mut store, &json!({"rules": {"no-such-rule": {}}}));
        let (inventory, source) = store.inventory().unwrap();
        assert_eq!(source, PolicySource::Invalid);
        assert_eq!(
            format!("{:?}", inventory.policy()),
            format!("{:?}", GitOpsPolicySpec::default())
        );
    }
}
