//! What was read of the cluster, and the inventory it makes.

use std::sync::Arc;

use argocd::application::EnabledField;
use argocd::fleet::Parts;
use argocd::project::ProjectReading;
use argocd::settings::InstalledApi;
use argocd::settings::ParametersConfigMap;
use argocd::{Fleet, Namespaces};
use policy::gitops_policy::{InvalidPolicy, POLICY_NAME};
use policy::{Completeness, GitOpsPolicySpec, Inventory};
use tracing::{error, info, warn};

use super::PolicyOrigin;
use super::watched::{
    ApplicationDefinition, ApplicationSetObject, ClusterObject, Content, ImageUpdaterDefinition,
    ParametersObject, PolicyObject, ProjectObject, RepositoryObject, SettingsObject, Watchable,
};
use crate::labels::PolicySource;
use crate::metrics::inventory::{Features, InventorySizes};
use crate::watch::{self, Key, Table};

/// What a watch of a kind told.
type Told<T> = watch::Change<Content<T>>;

/// One thing that a watch told.
pub enum Change {
    /// About AppProjects.
    Project(Told<ProjectObject>),
    /// About ApplicationSets.
    ApplicationSet(Told<ApplicationSetObject>),
    /// About cluster Secrets.
    Cluster(Told<ClusterObject>),
    /// About repository Secrets.
    Repository(Told<RepositoryObject>),
    /// About `argocd-cm`.
    Settings(Told<SettingsObject>),
    /// About `argocd-cmd-params-cm`.
    Parameters(Told<ParametersObject>),
    /// About the GitOpsPolicy.
    Policy(Told<PolicyObject>),
    /// About the definition of Application.
    ApplicationDefinition(Told<ApplicationDefinition>),
    /// About the definition of `ImageUpdater`.
    ImageUpdaterDefinition(Told<ImageUpdaterDefinition>),
}

/// The objects of one kind, those that cannot be read among them.
struct Objects<T: Watchable>(Table<Content<T>>);

impl<T: Watchable> Default for Objects<T> {
    fn default() -> Self {
        Objects(Table::default())
    }
}

impl<T: Watchable> Objects<T> {
    /// Takes in what a watch told, and says whether that changes anything.
    fn apply(&mut self, told: Told<T>) -> bool {
        match &told {
            watch::Change::Listed(objects) => {
                for (key, object) in objects {
                    self.warn_of(key, object);
                }
            }
            watch::Change::Applied(key, object) => self.warn_of(key, object),
            watch::Change::Deleted(_) | watch::Change::KindMissing => {}
        }
        self.0.apply(told)
    }

    /// Says that an object is left out, unless that was said of it already.
    fn warn_of(&self, key: &Key, object: &Content<T>) {
        if let Err(reason) = object
            && self.0.get(key) != Some(object)
        {
            warn!(kind = T::DESCRIPTION, name = key.name, %reason, "object left out");
        }
    }

    /// Whether all that there are are known.
    fn is_complete(&self) -> bool {
        self.0.is_listed()
    }

    /// The same, or there can be none.
    fn is_complete_or_unknown(&self) -> bool {
        self.0.is_listed() || self.0.is_kind_missing()
    }

    fn readable(&self) -> impl Iterator<Item = &T::Content> {
        self.0.values().filter_map(|object| object.as_ref().ok())
    }

    fn unreadable(&self) -> usize {
        self.0.values().filter(|object| object.is_err()).count()
    }
}

/// Where the policy comes from, and what is known of it.
enum Policy {
    File(Box<GitOpsPolicySpec>),
    Cluster {
        table: Objects<PolicyObject>,
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
        match table.0.get(&Key::without_namespace(POLICY_NAME)) {
            Some(Ok(spec)) => Stated::Given(spec.clone()),
            Some(Err(reason)) => Stated::Unreadable(reason.to_string()),
            None if table.0.is_kind_missing() => Stated::Nothing(PolicySource::KindMissing),
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
    projects: Objects<ProjectObject>,
    application_sets: Objects<ApplicationSetObject>,
    clusters: Objects<ClusterObject>,
    repositories: Objects<RepositoryObject>,
    settings: Objects<SettingsObject>,
    parameters: Objects<ParametersObject>,
    application_definition: Objects<ApplicationDefinition>,
    image_updater_definition: Objects<ImageUpdaterDefinition>,
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
            projects: Objects::default(),
            application_sets: Objects::default(),
            clusters: Objects::default(),
            repositories: Objects::default(),
            settings: Objects::default(),
            parameters: Objects::default(),
            application_definition: Objects::default(),
            image_updater_definition: Objects::default(),
            policy: match origin {
                PolicyOrigin::File(spec) => Policy::File(spec),
                PolicyOrigin::Cluster => Policy::Cluster {
                    table: Objects::default(),
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
            Change::Project(told) => self.projects.apply(told),
            Change::ApplicationSet(told) => self.application_sets.apply(told),
            Change::Cluster(told) => self.clusters.apply(told),
            Change::Repository(told) => self.repositories.apply(told),
            Change::Settings(told) => self.settings.apply(told),
            Change::ApplicationDefinition(told) => self.application_definition.apply(told),
            Change::ImageUpdaterDefinition(told) => self.image_updater_definition.apply(told),
            Change::Parameters(told) => self.parameters.apply(told),
            Change::Policy(told) => match &mut self.policy {
                Policy::Cluster { table, .. } => table.apply(told),
                Policy::File(_) => false,
            },
        }
    }

    /// The kinds whose first list is not complete. Without GitOpsPolicy's kind there is no policy,
    /// and the defaults count; without any other kind there is nothing to judge by. No verdict
    /// depends on the definition of `ImageUpdater`, so nothing waits for that.
    pub fn missing(&self) -> Vec<&'static str> {
        let policy_complete = match &self.policy {
            Policy::File(_) => true,
            Policy::Cluster { table, .. } => table.is_complete_or_unknown(),
        };
        [
            (self.projects.is_complete(), ProjectObject::DESCRIPTION),
            (
                self.application_sets.is_complete_or_unknown(),
                ApplicationSetObject::DESCRIPTION,
            ),
            (self.clusters.is_complete(), ClusterObject::DESCRIPTION),
            (
                self.repositories.is_complete(),
                RepositoryObject::DESCRIPTION,
            ),
            (self.settings.is_complete(), SettingsObject::DESCRIPTION),
            (
                self.parameters.is_complete_or_unknown(),
                ParametersObject::DESCRIPTION,
            ),
            (
                self.application_definition.is_complete(),
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
                .is_complete()
                .then(|| image_updater.0.values().len() > 0),
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
    use crate::index::watched::Watched;

    fn object<T: Watchable>(json: &Value) -> (Key, Content<T>) {
        let object: Watched<T> = serde_json::from_str(&json.to_string()).unwrap();
        let metadata = &json["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        (Key { namespace, name }, object.content)
    }

    fn listed<T: Watchable>(objects: &[Value]) -> Told<T> {
        watch::Change::Listed(objects.iter().map(object::<T>).collect())
    }

    fn applied<T: Watchable>(json: &Value) -> Told<T> {
        let (key, content) = object::<T>(json);
        watch::Change::Applied(key, content)
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
        store.apply(Change::Project(listed::<ProjectObject>(&[project("shop")])));
        store.apply(Change::ApplicationSet(listed::<ApplicationSetObject>(&[])));
        store.apply(Change::Cluster(listed::<ClusterObject>(&[])));
        store.apply(Change::Repository(listed::<RepositoryObject>(&[])));
        store.apply(Change::Settings(listed::<SettingsObject>(&[])));
        store.apply(Change::Parameters(listed::<ParametersObject>(&[])));
        store.apply(Change::ApplicationDefinition(
            listed::<ApplicationDefinition>(&[]),
        ));
        store
    }

    fn apply_policy(store: &mut Store, spec: &Value) {
        store.apply(Change::Policy(applied::<PolicyObject>(&policy(spec))));
    }

    #[test]
    fn nothing_is_complete_before_its_list_is() {
        let mut store = Store::new("argocd".to_owned(), PolicyOrigin::Cluster);
        assert_eq!(store.missing().len(), 8);
        store.apply(Change::Project(applied::<ProjectObject>(&project("shop"))));
        assert!(store.missing().contains(&"AppProject"));
        store.apply(Change::Project(listed::<ProjectObject>(&[project("shop")])));
        assert!(!store.missing().contains(&"AppProject"));
        assert_eq!(store.sizes().projects, 1);
    }

    #[test]
    fn what_a_new_list_lacks_is_gone() {
        let mut store = store();
        store.apply(Change::Policy(watch::Change::KindMissing));
        let (inventory, _) = store.inventory().unwrap();
        assert!(inventory.fleet.project("shop").is_some());
        assert!(store.missing().is_empty());
        store.apply(Change::Project(listed::<ProjectObject>(&[project(
            "other",
        )])));
        let (inventory, _) = store.inventory().unwrap();
        assert!(inventory.fleet.project("shop").is_none());
        assert!(inventory.fleet.project("other").is_some());
    }

    #[test]
    fn a_deleted_project_is_gone() {
        let mut store = store();
        let (key, _) = object::<ProjectObject>(&project("shop"));
        store.apply(Change::Project(watch::Change::Deleted(key)));
        assert_eq!(store.sizes().projects, 0);
    }

    #[test]
    fn an_unreadable_project_is_left_out_and_counted() {
        let mut store = store();
        let odd = json!({
            "metadata": {"name": "odd", "namespace": "argocd", "resourceVersion": "2"},
            "spec": {"sourceRepos": 5},
        });
        store.apply(Change::Project(applied::<ProjectObject>(&odd)));
        let sizes = store.sizes();
        assert_eq!((sizes.projects, sizes.unreadable), (1, 1));
    }

    #[test]
    fn what_the_definitions_say_is_known_once_they_are_listed() {
        let mut store = store();
        let before = store.features();
        let definition = json!({"metadata": {"name": "imageupdaters", "resourceVersion": "1"}});
        store.apply(Change::ImageUpdaterDefinition(listed::<
            ImageUpdaterDefinition,
        >(&[definition])));
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
        store.apply(Change::Policy(watch::Change::KindMissing));
        assert!(store.missing().is_empty());
        assert_eq!(store.inventory().unwrap().1, PolicySource::KindMissing);
        store.apply(Change::Policy(listed::<PolicyObject>(&[])));
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
