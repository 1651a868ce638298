//! The little of Kubernetes' own types that is read.

use serde::Deserialize;

use crate::text::{StringMap, Text, null_as_default};

/// The part of an object's `metadata` that is read.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata<'a> {
    /// Empty in a manifest that relies on `generateName`.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Empty in a manifest that leaves it to the client.
    #[serde(borrow)]
    pub namespace: Text<'a>,
    /// Labels.
    #[serde(borrow)]
    pub labels: StringMap<'a>,
    /// Annotations, without the one that `kubectl apply` keeps.
    #[serde(borrow)]
    pub annotations: StringMap<'a>,
}

/// A selector on labels, as in `metav1.LabelSelector`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Each must be there with this value.
    #[serde(deserialize_with = "null_as_default")]
    pub match_labels: std::collections::BTreeMap<String, String>,
    /// Each must hold.
    #[serde(deserialize_with = "null_as_default")]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// One expression of a [`LabelSelector`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct LabelSelectorRequirement {
    /// The label's key.
    pub key: String,
    /// How the label is compared with the values.
    pub operator: LabelSelectorOperator,
    /// The values for `In` and `NotIn`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub values: Vec<String>,
}

/// How a [`LabelSelectorRequirement`] compares.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum LabelSelectorOperator {
    /// The label is there with one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether the labels satisfy the selector. An empty selector is satisfied by any labels, as
    /// `metav1.LabelSelectorAsSelector` has it.
    pub fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| label(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| {
                let found = label(&requirement.key);
                let listed = |value: &str| requirement.values.iter().any(|v| v == value);
                match requirement.operator {
                    LabelSelectorOperator::In => found.is_some_and(listed),
                    LabelSelectorOperator::NotIn => !found.is_some_and(listed),
                    LabelSelectorOperator::Exists => found.is_some(),
                    LabelSelectorOperator::DoesNotExist => found.is_none(),
                }
            })
    }
}
