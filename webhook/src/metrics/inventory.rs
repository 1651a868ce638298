//! What the rules know: how much of what, by which policy, of which Argo CD.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::series::Series;
use crate::labels::{Feature, InventoryObject, PolicySource};

/// How much there is of each kind of object in the inventory.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct InventorySizes {
    /// AppProjects.
    pub projects: usize,
    /// ApplicationSets.
    pub application_sets: usize,
    /// Clusters of cluster Secrets.
    pub clusters: usize,
    /// Repositories that belong to a project.
    pub repositories: usize,
    /// Objects that were left out because they cannot be read.
    pub unreadable: usize,
}

impl InventorySizes {
    fn of(self, object: InventoryObject) -> usize {
        match object {
            InventoryObject::Project => self.projects,
            InventoryObject::ApplicationSet => self.application_sets,
            InventoryObject::Cluster => self.clusters,
            InventoryObject::Repository => self.repositories,
            InventoryObject::Unreadable => self.unreadable,
        }
    }
}

/// What the installed API has that older versions had not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Features {
    /// Application keeps `spec.syncPolicy.automated.enabled`.
    pub automated_enabled: bool,
    /// Application has `directory.disableExtensionFilter`: AppProjects are read as that version
    /// does.
    pub disable_extension_filter: bool,
    /// There is the kind `ImageUpdater`. Nothing while that is not known.
    pub image_updater: Option<bool>,
}

impl Features {
    /// Whether one is there for certain.
    fn has(self, feature: Feature) -> bool {
        match feature {
            Feature::AutomatedEnabled => self.automated_enabled,
            Feature::DisableExtensionFilter => self.disable_extension_filter,
            Feature::ImageUpdater => self.image_updater == Some(true),
        }
    }
}

/// Shows what the inventory is made of.
#[derive(Debug)]
pub struct InventoryMetrics {
    builds: Counter,
    objects: Series<InventoryObject, Gauge>,
    policy_source: Series<PolicySource, Gauge>,
    policy_lacks_production: Gauge,
    features: Series<Feature, Gauge>,
}

impl InventoryMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let builds = Counter::default();
        registry.register(
            "inventory_builds",
            "How often the inventory was put together anew",
            builds.clone(),
        );
        let objects = Family::default();
        registry.register(
            "inventory_objects",
            "Objects in the inventory by kind, and those left out because they cannot be read",
            objects.clone(),
        );
        let policy_source = Family::default();
        registry.register(
            "policy_source",
            "Where the policy that counts comes from: one source is 1, the others are 0",
            policy_source.clone(),
        );
        let policy_lacks_production = Gauge::default();
        registry.register(
            "policy_lacks_production",
            "1 while no environment of the policy is production, so that no rule for production holds anywhere",
            policy_lacks_production.clone(),
        );
        let features = Family::default();
        registry.register(
            "argo_cd_features",
            "What the installed API has that older versions had not: 1 if it is there, 0 if not or not known",
            features.clone(),
        );
        InventoryMetrics {
            builds,
            objects: Series::of_family(&objects, "kind"),
            policy_source: Series::of_family(&policy_source, "source"),
            policy_lacks_production,
            features: Series::of_family(&features, "feature"),
        }
    }

    /// Shows a new inventory.
    pub fn built(&self, sizes: InventorySizes, policy: PolicySource) {
        self.builds.inc();
        for (object, gauge) in self.objects.iter() {
            gauge.set(i64::try_from(sizes.of(object)).unwrap_or(i64::MAX));
        }
        for (source, gauge) in self.policy_source.iter() {
            gauge.set(i64::from(source == policy));
        }
    }

    /// Shows whether the policy has environments of which none is production.
    pub fn policy_lacks_production(&self, lacks: bool) {
        self.policy_lacks_production.set(i64::from(lacks));
    }

    /// Shows what the installed API has.
    pub fn features_detected(&self, features: Features) {
        for (feature, gauge) in self.features.iter() {
            gauge.set(i64::from(features.has(feature)));
        }
    }
}
