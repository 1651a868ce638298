//! `clusters`: one parameter set a cluster Secret.

use std::collections::BTreeMap;

use golang::json::{null_as_default, object, string_map};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Known, Outside, Template, visit_values};
use crate::application_set::dialect::Visited;
use crate::application_set::error::ExpansionError;
use crate::application_set::functions::sanitize_name;
use crate::application_set::lack::Lack;
use crate::application_set::parameters::ParameterSet;
use crate::cluster::Cluster;
use crate::kubernetes::{LabelSelector, Selector};
use crate::names::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER, LABEL_SECRET_TYPE};

/// The `clusters` generator.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::application_set) struct ClusterGenerator {
    #[serde(deserialize_with = "object")]
    selector: LabelSelector,
    #[serde(deserialize_with = "string_map")]
    values: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_as_default")]
    flat_list: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) template: Template,
}

impl ClusterGenerator {
    /// Shows all that may have placeholders, with the fields where it stands.
    pub(super) fn visit_texts(&self, at: &str, visit: &mut dyn FnMut(&str, Visited<'_>)) {
        visit_values(&self.values, at, visit);
    }

    /// One set a cluster, or one set with all of them (Argo CD 3.5,
    /// `ClusterGenerator.GenerateParams`).
    ///
    /// The cluster that Argo CD runs in takes part without a Secret, if nothing is selected.
    pub(super) fn sets(&self, known: &Known<'_>) -> Result<Vec<ParameterSet>, ExpansionError> {
        let selector = self.compiled()?;
        let count = 1 + known.clusters.secrets().count();
        known.spend(count.saturating_mul(1 + selector.cost()).saturating_mul(16))?;
        // Of several with one name, the last one listed counts.
        let selected: BTreeMap<&str, &Cluster> = known
            .clusters
            .secrets()
            .filter(|cluster| cluster.unknown.is_none())
            .filter(|cluster| selector.matches(|key| label(cluster, key)))
            .map(|cluster| (cluster.name.as_str(), cluster))
            .collect();
        let described = selected
            .values()
            .any(|cluster| cluster.written_server() == IN_CLUSTER_SERVER);
        let mut sets = Vec::new();
        for cluster in selected.values() {
            let set = self.set(secret_values(cluster, known), true, known)?;
            known.admit(sets.len(), &set)?;
            sets.push(set);
        }
        if self.selector.is_empty() && !described {
            let set = self.set(local_values(), false, known)?;
            known.admit(sets.len(), &set)?;
            sets.push(set);
        }
        Ok(if self.flat_list {
            vec![flat_list(sets)]
        } else {
            sets
        })
    }

    /// Labels that each cluster has which is selected.
    pub(super) fn selected_labels(&self) -> impl Iterator<Item = (String, String)> {
        let pairs = self.selector.match_labels.iter();
        let labels = pairs.map(|(key, value)| (key.clone(), value.clone()));
        let only = self
            .selector
            .match_expressions
            .iter()
            .filter_map(|expression| {
                match (expression.operator.as_str(), expression.values.as_slice()) {
                    ("In", [value]) => Some((expression.key.clone(), value.clone())),
                    _ => None,
                }
            });
        labels.chain(only)
    }

    /// What is lacking where it selects clusters of which not everything is known, but their
    /// labels.
    pub(super) fn lacks(&self, known: &Known<'_>) -> Result<Option<Outside>, ExpansionError> {
        if known.clusters.unknown().next().is_none() {
            return Ok(None);
        }
        let selector = self.compiled()?;
        let is_selected = |cluster: &&Cluster| selector.matches(|key| label(cluster, key));
        let selected = known.clusters.unknown().filter(is_selected);
        let secrets: Vec<_> = selected
            .filter_map(|cluster| Some((cluster.secret_name.clone(), cluster.unknown?)))
            .collect();
        Ok((!secrets.is_empty()).then(|| Outside {
            generator: "clusters".to_owned(),
            lacks: Lack::ClusterSecrets(secrets),
            perhaps_misspelt: false,
        }))
    }

    pub(super) fn is_flat_list(&self) -> bool {
        self.flat_list
    }

    fn compiled(&self) -> Result<Selector, ExpansionError> {
        let mut selector = self.selector.clone();
        // Argo CD puts its own value there, which all that are listed have.
        selector.match_labels.remove(LABEL_SECRET_TYPE);
        selector
            .compile()
            .map_err(|error| ExpansionError::fails("/clusters/selector", error))
    }

    fn set(
        &self,
        values: Map<String, Value>,
        has_metadata: bool,
        known: &Known<'_>,
    ) -> Result<ParameterSet, ExpansionError> {
        let mut set = ParameterSet::new(values);
        set.string_maps.labels = has_metadata && known.language.is_go();
        set.string_maps.annotations = set.string_maps.labels;
        known.append_values("clusters", &self.values, &mut set)?;
        Ok(set)
    }
}

fn label<'c>(cluster: &'c Cluster, key: &str) -> Option<&'c str> {
    cluster.labels.get(key).map(String::as_str)
}

fn secret_values(cluster: &Cluster, known: &Known<'_>) -> Map<String, Value> {
    let mut values = text_values(&[
        ("name", &cluster.name),
        ("nameNormalized", &sanitize_name(&cluster.name)),
        ("server", cluster.written_server()),
        ("project", &cluster.project),
    ]);
    let maps = [
        ("labels", &cluster.labels),
        ("annotations", &cluster.annotations),
    ];
    if known.language.is_go() {
        let metadata: Map<String, Value> = maps
            .into_iter()
            .filter(|(_, map)| !map.is_empty())
            .map(|(name, map)| {
                let members = map
                    .iter()
                    .map(|(k, v)| (k.clone(), Value::from(v.as_str())));
                (name.to_owned(), Value::Object(members.collect()))
            })
            .collect();
        values.insert("metadata".to_owned(), Value::Object(metadata));
    } else {
        for (name, map) in maps {
            let flat = map.iter().map(|(key, value)| {
                (
                    format!("metadata.{name}.{key}"),
                    Value::from(value.as_str()),
                )
            });
            values.extend(flat);
        }
    }
    values
}

/// The cluster that Argo CD runs in has no metadata.
fn local_values() -> Map<String, Value> {
    text_values(&[
        ("name", IN_CLUSTER_NAME),
        ("nameNormalized", IN_CLUSTER_NAME),
        ("server", IN_CLUSTER_SERVER),
        ("project", ""),
    ])
}

fn text_values(values: &[(&str, &str)]) -> Map<String, Value> {
    values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
        .collect()
}

fn flat_list(sets: Vec<ParameterSet>) -> ParameterSet {
    let clusters = sets.into_iter().map(|set| Value::Object(set.values));
    let values = Map::from_iter([("clusters".to_owned(), clusters.collect())]);
    let mut set = ParameterSet::new(values);
    set.string_maps.flat_list = true;
    set
}
