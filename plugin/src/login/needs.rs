//! What Argo CD needs on a cluster, by the projects that lead there.

use std::collections::BTreeSet;

use argocd::Cluster;
use argocd::project::{AppProjectSpec, Permissions};
use kube::api::ApiResource;
use kube::core::GroupVersionKind;

/// What Argo CD does to what it manages.
pub(super) const VERBS: [&str; 7] = [
    "get", "list", "watch", "create", "update", "patch", "delete",
];

/// A kind of resources that a project permits there.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Need {
    /// `*` is any.
    pub(crate) group: String,
    /// The resource, such as `deployments`; `*` is any.
    pub(crate) resource: String,
    /// None is all of them, or none where the kind is in no namespace.
    pub(crate) namespace: Option<String>,
}

impl Need {
    /// `deployments.apps`, or `*` where it is any.
    pub(super) fn qualified(&self) -> String {
        match (&*self.group, &*self.resource) {
            ("" | "*", resource) => resource.to_owned(),
            (group, resource) => format!("{resource}.{group}"),
        }
    }

    pub(super) fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("namespace {namespace}"),
            None => "the whole cluster".to_owned(),
        }
    }
}

/// All that these projects permit on a cluster.
pub(crate) fn needs<'p>(
    projects: impl Iterator<Item = &'p AppProjectSpec>,
    cluster: &Cluster,
) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    for spec in projects {
        let permissions = Permissions::new(spec);
        let about = (0..spec.destinations.len())
            .filter(|index| permissions.entry_is_about(*index, cluster))
            .map(|index| &spec.destinations[index]);
        let namespaces: BTreeSet<Option<String>> = about
            .filter(|destination| !destination.namespace.starts_with('!'))
            .map(|destination| literal(&destination.namespace))
            .collect();
        if namespaces.is_empty() {
            continue;
        }
        let namespaces = narrowed(namespaces, &cluster.namespaces);
        for (group, resource) in namespaced_kinds(spec) {
            needs.extend(namespaces.iter().map(|namespace| Need {
                group: group.clone(),
                resource: resource.clone(),
                namespace: namespace.clone(),
            }));
        }
        if cluster.namespaces.is_empty() || cluster.cluster_resources {
            let kinds = spec.cluster_resource_whitelist.iter();
            needs.extend(kinds.map(|item| {
                let (group, resource) = resource(&item.group, &item.kind);
                Need {
                    group,
                    resource,
                    namespace: None,
                }
            }));
        }
    }
    needs
}

/// A namespace that is named, or all of them where it is a pattern.
fn literal(pattern: &str) -> Option<String> {
    let is_pattern = pattern.is_empty() || pattern.contains(['*', '?', '[', '{', '\\']);
    (!is_pattern).then(|| pattern.to_owned())
}

/// Where Argo CD goes to some namespaces only, all of them are these.
fn narrowed(permitted: BTreeSet<Option<String>>, managed: &[String]) -> BTreeSet<Option<String>> {
    if managed.is_empty() {
        return permitted;
    }
    let is_permitted = |namespace: &&String| {
        permitted.contains(&None) || permitted.contains(&Some((*namespace).clone()))
    };
    managed
        .iter()
        .filter(is_permitted)
        .cloned()
        .map(Some)
        .collect()
}

fn namespaced_kinds(spec: &AppProjectSpec) -> Vec<(String, String)> {
    match &spec.namespace_resource_whitelist {
        None => vec![("*".to_owned(), "*".to_owned())],
        Some(kinds) => kinds
            .iter()
            .map(|kind| resource(&kind.group, &kind.kind))
            .collect(),
    }
}

/// As the API server names it. A pattern is any.
fn resource(group: &str, kind: &str) -> (String, String) {
    let group = literal_or_any(group);
    if kind.is_empty() || literal(kind).is_none() {
        return (group, "*".to_owned());
    }
    let kind = GroupVersionKind::gvk(&group, "", kind);
    (group, ApiResource::from_gvk(&kind).plural)
}

fn literal_or_any(group: &str) -> String {
    if group.is_empty() {
        return String::new();
    }
    literal(group).unwrap_or_else(|| "*".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(spec: serde_json::Value, cluster: &Cluster) -> Vec<String> {
        let spec: AppProjectSpec = serde_json::from_value(spec).unwrap();
        let needs = needs([spec].iter(), cluster);
        let told = needs
            .iter()
            .map(|need| format!("{} in {}", need.qualified(), need.place()));
        told.collect()
    }

    fn cluster() -> Cluster {
        Cluster {
            name: "orders".to_owned(),
            server: "https://orders.example.com".to_owned(),
            ..Cluster::default()
        }
    }

    #[test]
    fn a_project_needs_what_it_permits_where_it_leads() {
        let spec = json!({
            "destinations": [
                {"name": "orders", "namespace": "shop"},
                {"server": "https://elsewhere.example.com", "namespace": "other"},
            ],
            "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
            "namespaceResourceWhitelist": [
                {"group": "apps", "kind": "Deployment"},
                {"group": "networking.k8s.io", "kind": "*"},
            ],
        });

        assert_eq!(
            of(spec, &cluster()),
            [
                "namespaces in the whole cluster",
                "deployments.apps in namespace shop",
                "*.networking.k8s.io in namespace shop",
            ]
        );
    }

    #[test]
    fn without_a_whitelist_it_is_everything_in_its_namespaces() {
        let spec = json!({"destinations": [{"server": "*", "namespace": "*"}]});

        assert_eq!(of(spec, &cluster()), ["* in the whole cluster"]);
    }

    #[test]
    fn where_argo_cd_manages_some_namespaces_it_needs_no_others() {
        let spec = json!({
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        });
        let mut cluster = cluster();
        cluster.namespaces = vec!["shop".to_owned()];

        assert_eq!(of(spec, &cluster), ["* in namespace shop"]);
    }

    #[test]
    fn a_project_that_does_not_lead_there_needs_nothing() {
        let spec = json!({
            "destinations": [{"name": "another", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        });

        assert!(of(spec, &cluster()).is_empty());
    }
}
