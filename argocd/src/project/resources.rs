//! Which kinds of resources a project permits.

use golang::path::PathGlob;

use super::spec::{AppProjectSpec, ClusterResourceRestrictionItem, GroupKind};

/// The scope of a resource. Only what is cluster-scoped is also judged by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResourceScope<'r> {
    /// It lives in a namespace.
    Namespaced,
    /// It does not. `Namespace` itself is one of these.
    Cluster {
        /// `metadata.name`.
        name: &'r str,
    },
}

/// The lists of a project, compiled.
#[derive(Clone, Debug)]
pub(super) struct ResourceLists {
    /// `None` is every kind, an empty list is none.
    namespace_whitelist: Option<Vec<KindPattern>>,
    namespace_blacklist: Vec<KindPattern>,
    pub(super) cluster_whitelist: Vec<ClusterPattern>,
    pub(super) cluster_blacklist: Vec<ClusterPattern>,
}

impl ResourceLists {
    pub(super) fn new(spec: &AppProjectSpec) -> Self {
        let kinds = |list: &[GroupKind]| {
            let pattern = |item: &GroupKind| KindPattern::new(&item.group, &item.kind);
            list.iter().map(pattern).collect()
        };
        let items = |list: &[ClusterResourceRestrictionItem]| {
            list.iter().map(ClusterPattern::new).collect()
        };
        ResourceLists {
            namespace_whitelist: spec.namespace_resource_whitelist.as_deref().map(kinds),
            namespace_blacklist: kinds(&spec.namespace_resource_blacklist),
            cluster_whitelist: items(&spec.cluster_resource_whitelist),
            cluster_blacklist: items(&spec.cluster_resource_blacklist),
        }
    }

    pub(super) fn permit(&self, group: &str, kind: &str, scope: ResourceScope<'_>) -> bool {
        match scope {
            ResourceScope::Namespaced => {
                let listed =
                    |list: &[KindPattern]| list.iter().any(|item| item.matches(group, kind));
                self.namespace_whitelist.as_deref().is_none_or(listed)
                    && !listed(&self.namespace_blacklist)
            }
            ResourceScope::Cluster { name } => {
                let listed = |list: &[ClusterPattern]| {
                    list.iter().any(|item| item.matches(group, kind, name))
                };
                listed(&self.cluster_whitelist) && !listed(&self.cluster_blacklist)
            }
        }
    }
}

/// A group and a kind, compiled.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct KindPattern {
    pub(super) group: PathGlob,
    pub(super) kind: PathGlob,
}

impl KindPattern {
    fn new(group: &str, kind: &str) -> Self {
        KindPattern {
            group: PathGlob::new(group),
            kind: PathGlob::new(kind),
        }
    }

    pub(super) fn matches(&self, group: &str, kind: &str) -> bool {
        self.kind.matches(kind) && self.group.matches(group)
    }
}

/// A cluster-scoped kind and a name, compiled.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ClusterPattern {
    pub(super) kind: KindPattern,
    /// `None` is any name.
    pub(super) name: Option<PathGlob>,
}

impl ClusterPattern {
    fn new(item: &ClusterResourceRestrictionItem) -> Self {
        ClusterPattern {
            kind: KindPattern::new(&item.group, &item.kind),
            name: (!item.name.is_empty()).then(|| PathGlob::new(&item.name)),
        }
    }

    /// Whether it is one of these.
    pub fn matches(&self, group: &str, kind: &str, name: &str) -> bool {
        self.kind.matches(group, kind) && self.name.as_ref().is_none_or(|glob| glob.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(spec: &str) -> ResourceLists {
        ResourceLists::new(&serde_json::from_str(spec).unwrap())
    }

    fn permits_namespaced(spec: &str, group: &str, kind: &str) -> bool {
        lists(spec).permit(group, kind, ResourceScope::Namespaced)
    }

    fn permits_cluster(spec: &str, group: &str, kind: &str, name: &str) -> bool {
        lists(spec).permit(group, kind, ResourceScope::Cluster { name })
    }

    #[test]
    fn an_absent_namespace_whitelist_is_everything_and_an_empty_one_nothing() {
        for absent in ["{}", r#"{"namespaceResourceWhitelist":null}"#] {
            assert!(permits_namespaced(absent, "apps", "Deployment"));
        }
        let empty = r#"{"namespaceResourceWhitelist":[]}"#;
        assert!(!permits_namespaced(empty, "apps", "Deployment"));
    }

    #[test]
    fn an_absent_or_empty_cluster_whitelist_is_nothing() {
        for spec in ["{}", r#"{"clusterResourceWhitelist":[]}"#] {
            assert!(!permits_cluster(spec, "", "Namespace", "web"));
        }
    }

    #[test]
    fn what_is_on_both_lists_is_denied() {
        let namespaced = r#"{"namespaceResourceWhitelist":[{"group":"*","kind":"*"}],"namespaceResourceBlacklist":[{"group":"","kind":"ResourceQuota"}]}"#;
        assert!(permits_namespaced(namespaced, "apps", "Deployment"));
        assert!(!permits_namespaced(namespaced, "", "ResourceQuota"));
        let cluster = r#"{"clusterResourceWhitelist":[{"group":"*","kind":"*"}],"clusterResourceBlacklist":[{"group":"rbac.*","kind":"*"}]}"#;
        assert!(permits_cluster(cluster, "", "Namespace", "web"));
        assert!(!permits_cluster(
            cluster,
            "rbac.authorization.k8s.io",
            "ClusterRole",
            "x"
        ));
    }

    #[test]
    fn each_scope_has_its_own_lists() {
        let spec = r#"{"namespaceResourceWhitelist":[{"group":"","kind":"Namespace"}],"clusterResourceWhitelist":[{"group":"apps","kind":"Deployment"}]}"#;
        assert!(!permits_cluster(spec, "", "Namespace", "web"));
        assert!(!permits_namespaced(spec, "apps", "Deployment"));
    }

    #[test]
    fn a_cluster_item_may_ask_for_a_name() {
        let spec = r#"{"clusterResourceWhitelist":[{"group":"","kind":"Namespace","name":"team-*"}],"clusterResourceBlacklist":[{"group":"*","kind":"*","name":"team-root"}]}"#;
        assert!(permits_cluster(spec, "", "Namespace", "team-web"));
        assert!(!permits_cluster(spec, "", "Namespace", "kube-system"));
        assert!(!permits_cluster(spec, "", "Namespace", "team-root"));
    }

    #[test]
    fn an_absent_group_is_the_core_group_and_an_absent_kind_is_none() {
        let spec = r#"{"namespaceResourceWhitelist":[{"kind":"Secret"},{"group":"apps"}]}"#;
        assert!(permits_namespaced(spec, "", "Secret"));
        assert!(!permits_namespaced(spec, "example.org", "Secret"));
        assert!(!permits_namespaced(spec, "apps", "Deployment"));
    }

    #[test]
    fn a_malformed_pattern_neither_permits_nor_denies() {
        let white = r#"{"namespaceResourceWhitelist":[{"group":"[","kind":"*"}]}"#;
        assert!(!permits_namespaced(white, "[", "Secret"));
        let black = r#"{"namespaceResourceBlacklist":[{"group":"*","kind":"["}]}"#;
        assert!(permits_namespaced(black, "", "Secret"));
    }
}
