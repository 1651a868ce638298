//! `merge`: the first generator's sets, with the values of the others where their keys are equal.

use std::collections::{BTreeMap, BTreeSet};

use golang::json::{null_as_default, strings};
use serde::Deserialize;
use serde_json::Value;

use super::matrix::Child;
use super::{Known, Level, Parameters, Template};
use crate::application_set::error::ExpansionError;
use crate::application_set::parameters::ParameterSet;

/// The `merge` generator.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::application_set) struct MergeGenerator {
    #[serde(deserialize_with = "null_as_default")]
    pub(super) generators: Vec<Child>,
    #[serde(deserialize_with = "strings")]
    merge_keys: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) template: Template,
}

impl MergeGenerator {
    /// Follows Argo CD 3.5, `MergeGenerator.GenerateParams`.
    pub(super) fn parameters(
        &self,
        known: &Known<'_>,
        level: Level,
    ) -> Result<Parameters, ExpansionError> {
        if self.generators.len() < 2 {
            return Err(ExpansionError::fails(
                "/merge/generators",
                format!(
                    "expected two or more generators, found {}",
                    self.generators.len()
                ),
            ));
        }
        if self.merge_keys.is_empty() {
            return Err(ExpansionError::fails(
                "/merge/mergeKeys",
                "no merge key is given",
            ));
        }
        let mut children = Vec::with_capacity(self.generators.len());
        for (index, written) in self.generators.iter().enumerate() {
            let parameters = written
                .entry(known)
                .and_then(|entry| entry.child_parameters(known, level.below()))
                .map_err(|error| error.below(&format!("/merge/generators/{index}")))?;
            match parameters {
                Parameters::Sets(sets) => children.push(sets),
                undecided @ Parameters::Undecided(_) => return Ok(undecided),
            }
        }
        let mut children = children.into_iter();
        let mut base = self.by_key(children.next().unwrap_or_default(), known)?;
        for overriding in children {
            for (key, other) in self.by_key(overriding, known)? {
                if let Some(set) = base.get_mut(&key) {
                    *set = combine(set, &other, known)?;
                    known.admit(0, set)?;
                }
            }
        }
        Ok(Parameters::Sets(base.into_values().collect()))
    }

    /// The sets by the values of the merge keys. A missing key counts as null, and no two sets of
    /// one generator may have the same values.
    fn by_key(
        &self,
        sets: Vec<ParameterSet>,
        known: &Known<'_>,
    ) -> Result<BTreeMap<String, ParameterSet>, ExpansionError> {
        let names: BTreeSet<&String> = self.merge_keys.iter().collect();
        // Each set is looked up, and kept, by all of them.
        let of_one = names.iter().map(|name| name.len() + 8).sum::<usize>();
        known.spend(of_one.saturating_mul(sets.len()))?;
        let mut by_key = BTreeMap::new();
        for set in sets {
            let key: BTreeMap<&String, &Value> = names
                .iter()
                .map(|name| (*name, set.values.get(*name).unwrap_or(&Value::Null)))
                .collect();
            let key = serde_json::to_string(&key)
                .map_err(|error| ExpansionError::fails("/merge/mergeKeys", error))?;
            if by_key.contains_key(&key) {
                return Err(ExpansionError::fails(
                    "/merge",
                    format!("the parameters of a generator are not unique by merge keys: {key}"),
                ));
            }
            by_key.insert(key, set);
        }
        Ok(by_key)
    }
}

fn combine(
    base: &ParameterSet,
    other: &ParameterSet,
    known: &Known<'_>,
) -> Result<ParameterSet, ExpansionError> {
    let combined = if known.language.is_go() {
        base.merged(other)
    } else {
        base.overridden(other)
    };
    combined.map_err(|error| ExpansionError::fails("/merge", error))
}
