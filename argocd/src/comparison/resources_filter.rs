//! Which kinds Argo CD does not look at on a cluster.

use std::collections::BTreeMap;

use golang::json::members::fold;
use golang::yaml;
use serde_json::Value;

use crate::pattern::{Glob, Separators};

const EXCLUSIONS: &str = "resource.exclusions";
const INCLUSIONS: &str = "resource.inclusions";

/// The kinds that an installation of Argo CD looks at, by `resource.exclusions` and
/// `resource.inclusions` (Argo CD 3.6, `ResourcesFilter`).
#[derive(Clone, Debug, Default)]
pub struct ResourcesFilter {
    exclusions: Vec<FilteredResource>,
    inclusions: Vec<FilteredResource>,
}

/// A setting of `argocd-cm` is not a list of kinds. Argo CD then compares nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{key}: expected a list with apiGroups, kinds and clusters, each a list of texts")]
pub struct InvalidFilter {
    key: &'static str,
}

/// Kinds on clusters; whatever is not named is any.
#[derive(Clone, Debug, Default)]
struct FilteredResource {
    groups: Vec<Glob>,
    kinds: Vec<String>,
    clusters: Vec<Glob>,
}

impl ResourcesFilter {
    /// Reads the data of `argocd-cm` (Argo CD 3.6, `SettingsManager.GetResourcesFilter`).
    ///
    /// # Errors
    /// A setting is not of its type.
    pub fn from_config_map(data: &BTreeMap<String, String>) -> Result<Self, InvalidFilter> {
        let list = |key| read(key, data.get(key).map_or("", String::as_str));
        Ok(ResourcesFilter {
            exclusions: list(EXCLUSIONS)?,
            inclusions: list(INCLUSIONS)?,
        })
    }

    /// Whether a kind is not looked at on a cluster, by the URL of its API server (Argo CD 3.6,
    /// `ResourcesFilter.IsExcludedResource`).
    pub fn excludes(&self, group: &str, kind: &str, server: &str) -> bool {
        let listed = |list: &[FilteredResource]| {
            let mut list = list.iter();
            list.any(|item| item.is_about(group, kind) && item.is_on(server))
        };
        if is_never_looked_at(group, kind) || listed(&self.exclusions) {
            return true;
        }
        let mut inclusions = self.inclusions.iter();
        !listed(&self.inclusions) && inclusions.any(|item| item.is_on(server))
    }
}

/// What no setting brings back (Argo CD 3.6, `coreExcludedResources`).
fn is_never_looked_at(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        ("events.k8s.io" | "metrics.k8s.io", _) | ("", "Event") | ("coordination.k8s.io", "Lease")
    )
}

impl FilteredResource {
    fn is_about(&self, group: &str, kind: &str) -> bool {
        let is_kind = |own: &String| own == "*" || own == kind;
        matches_any(&self.groups, group)
            && (self.kinds.is_empty() || self.kinds.iter().any(is_kind))
    }

    fn is_on(&self, server: &str) -> bool {
        matches_any(&self.clusters, server)
    }
}

fn matches_any(patterns: &[Glob], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text))
}

fn read(key: &'static str, text: &str) -> Result<Vec<FilteredResource>, InvalidFilter> {
    let invalid = || InvalidFilter { key };
    match yaml::value(text).map_err(|_| invalid())? {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items
            .iter()
            .map(|item| filtered(item).ok_or_else(invalid))
            .collect(),
        _ => Err(invalid()),
    }
}

fn filtered(item: &Value) -> Option<FilteredResource> {
    let mut found = FilteredResource::default();
    let members = match item {
        Value::Null => return Some(found),
        item => item.as_object()?,
    };
    for (name, value) in members {
        let glob = |text: &String| Glob::new(text, Separators::None);
        match fold(name, &["apiGroups", "kinds", "clusters"]).map(|(field, _)| field) {
            Some("apiGroups") => found.groups = texts(value)?.iter().map(glob).collect(),
            Some("kinds") => found.kinds = texts(value)?,
            Some("clusters") => found.clusters = texts(value)?.iter().map(glob).collect(),
            _ => {}
        }
    }
    Some(found)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "https://prod.example.com";

    fn filter(exclusions: &str, inclusions: &str) -> Result<ResourcesFilter, InvalidFilter> {
        let data = [(EXCLUSIONS, exclusions), (INCLUSIONS, inclusions)];
        let data = data.map(|(key, text)| (key.to_owned(), text.to_owned()));
        ResourcesFilter::from_config_map(&data.into())
    }

    #[track_caller]
    fn assert_excluded(exclusions: &str, inclusions: &str, expected: [bool; 3]) {
        let filter = filter(exclusions, inclusions).unwrap();
        let kinds = [
            ("", "ConfigMap"),
            ("apps", "Deployment"),
            ("cilium.io", "CiliumIdentity"),
        ];
        let found = kinds.map(|(group, kind)| filter.excludes(group, kind, SERVER));
        assert_eq!(found, expected, "{exclusions} {inclusions}");
    }

    #[test]
    fn an_exclusion_counts_more_than_an_inclusion_and_inclusions_leave_out_the_rest() {
        assert_excluded("", "", [false; 3]);
        assert_excluded("[{kinds: [ConfigMap]}]", "", [true, false, false]);
        assert_excluded("[{apiGroups: ['']}]", "", [true, false, false]);
        assert_excluded("[{APIGroups: ['*.io', app*]}]", "", [false, true, true]);
        assert_excluded(
            "[{apiGroups: [apps], kinds: ['*']}]",
            "",
            [false, true, false],
        );
        assert_excluded("[{kinds: ['Config*']}]", "", [false; 3]);
        assert_excluded("[{}]", "", [true; 3]);
        assert_excluded("", "[{apiGroups: [apps]}]", [true, false, true]);
        assert_excluded(
            "[{kinds: [Deployment]}]",
            "[{apiGroups: [apps]}]",
            [true; 3],
        );
    }

    #[test]
    fn a_filter_is_of_the_clusters_that_it_names() {
        let excluded = |cluster: &str| format!("[{{kinds: [ConfigMap], clusters: ['{cluster}']}}]");
        assert_excluded(&excluded("https://prod*"), "", [true, false, false]);
        assert_excluded(&excluded("https://staging*"), "", [false; 3]);
        assert_excluded("", &excluded("*"), [false, true, true]);
        assert_excluded("", &excluded("https://staging*"), [false; 3]);
    }

    #[test]
    fn some_kinds_are_never_looked_at() {
        let filter = filter("", "[{apiGroups: ['*'], kinds: ['*']}]").unwrap();
        for (group, kind) in [
            ("", "Event"),
            ("events.k8s.io", "Event"),
            ("metrics.k8s.io", "PodMetrics"),
            ("coordination.k8s.io", "Lease"),
        ] {
            assert!(filter.excludes(group, kind, SERVER), "{kind}");
        }
    }

    #[test]
    fn what_is_not_a_list_is_told_by_its_key() {
        for text in [
            "a: b",
            "[a]",
            "[{kinds: ConfigMap}]",
            "[{clusters: [1]}]",
            "{",
        ] {
            let error = filter(text, "").unwrap_err().to_string();
            assert!(
                error.starts_with("resource.exclusions: expected"),
                "{error}"
            );
            assert!(filter("", text).is_err(), "{text}");
        }
        for text in ["", "null", "[]", "[null]", "[{kinds: null, other: 1}]"] {
            assert!(filter(text, "").is_ok(), "{text}");
        }
    }
}
