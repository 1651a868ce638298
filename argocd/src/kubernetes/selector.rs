//! Label selectors: what an object says, and what can be asked once it proved to be valid.
//!
//! The schema of a custom resource lets through selectors that Kubernetes' own code refuses, and
//! `argocd-cm` has no schema at all. So decoding takes any text for an operator, and
//! [`LabelSelector::compile`] says what is wrong.

use std::collections::BTreeMap;

use serde::Deserialize;

use golang::json::{null_as_default, objects, string_map, strings};

/// A selector on labels as it is written, `metav1.LabelSelector`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Each must be there with this value.
    #[serde(deserialize_with = "string_map")]
    pub match_labels: BTreeMap<String, String>,
    /// Each must hold.
    #[serde(deserialize_with = "objects")]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// One expression of a [`LabelSelector`].
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct LabelSelectorRequirement {
    /// The label's key.
    #[serde(deserialize_with = "null_as_default")]
    pub key: String,
    /// How the label is compared with the values: `In`, `NotIn`, `Exists` or `DoesNotExist`.
    #[serde(deserialize_with = "null_as_default")]
    pub operator: String,
    /// The values for `In` and `NotIn`.
    #[serde(deserialize_with = "strings")]
    pub values: Vec<String>,
}

/// A valid selector, ready to be asked. Without requirements any labels satisfy it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Requirement {
    key: String,
    condition: Condition,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Condition {
    /// The label is there with one of the values.
    In(Vec<String>),
    /// The label is absent or has none of the values.
    NotIn(Vec<String>),
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

/// A selector that Kubernetes refuses. `field` is the path within the selector.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSelector {
    /// The key of a label is not one.
    #[error(
        "{field}: {key:?} is not a label key; expected at most 63 of A-Z, a-z, 0-9, '-', '_' and '.', starting and ending with a letter or digit, behind an optional DNS name and '/'"
    )]
    Key {
        /// Where.
        field: String,
        /// What is written.
        key: String,
    },
    /// There is no such operator.
    #[error("{field}: the operator {operator:?} is none of In, NotIn, Exists, DoesNotExist")]
    Operator {
        /// Where.
        field: String,
        /// What is written.
        operator: String,
    },
    /// `In` or `NotIn` of nothing.
    #[error("{field}: the operator {operator} needs at least one value")]
    NoValues {
        /// Where.
        field: String,
        /// `In` or `NotIn`.
        operator: String,
    },
    /// `Exists` or `DoesNotExist` of something.
    #[error("{field}: the operator {operator} takes no values")]
    Values {
        /// Where.
        field: String,
        /// `Exists` or `DoesNotExist`.
        operator: String,
    },
    /// No label can have the value.
    #[error(
        "{field}: {value:?} is not a label value; expected at most 63 of A-Z, a-z, 0-9, '-', '_' and '.', starting and ending with a letter or digit"
    )]
    Value {
        /// Where.
        field: String,
        /// What is written.
        value: String,
    },
}

/// What may be compared with.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Values {
    /// What a label can have.
    OfLabels,
    /// Anything.
    Any,
}

impl LabelSelector {
    /// Whether nothing is required.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// The selector on labels, as Kubernetes' `metav1.LabelSelectorAsSelector` has it.
    ///
    /// # Errors
    /// A key, operator or value that Kubernetes refuses.
    pub fn compile(&self) -> Result<Selector, InvalidSelector> {
        self.compile_with(Values::OfLabels)
    }

    /// The selector on the parameters of an ApplicationSet's generator: values need not be what a
    /// label can have, so that it can ask for a URL (Argo CD 3.5, `LabelSelectorAsSelector` of
    /// `applicationset/utils`). Keys are still those of labels.
    ///
    /// # Errors
    /// A key, operator or number of values that Argo CD refuses.
    pub fn compile_for_parameters(&self) -> Result<Selector, InvalidSelector> {
        self.compile_with(Values::Any)
    }

    fn compile_with(&self, allowed: Values) -> Result<Selector, InvalidSelector> {
        let labels = self.match_labels.iter().map(|(key, value)| {
            check_key("matchLabels", key)?;
            check_value(allowed, || format!("matchLabels[{key:?}]"), value)?;
            Ok(Requirement {
                key: key.clone(),
                condition: Condition::In(vec![value.clone()]),
            })
        });
        let expressions = self.match_expressions.iter().enumerate();
        let expressions = expressions.map(|(index, requirement)| {
            requirement.compile(&format!("matchExpressions[{index}]"), allowed)
        });
        labels
            .chain(expressions)
            .collect::<Result<_, _>>()
            .map(Selector)
    }
}

impl LabelSelectorRequirement {
    fn compile(&self, field: &str, allowed: Values) -> Result<Requirement, InvalidSelector> {
        let values = self.values.clone();
        let condition = match self.operator.as_str() {
            "In" => Condition::In(values),
            "NotIn" => Condition::NotIn(values),
            "Exists" => Condition::Exists,
            "DoesNotExist" => Condition::DoesNotExist,
            _ => {
                return Err(InvalidSelector::Operator {
                    field: format!("{field}.operator"),
                    operator: self.operator.clone(),
                });
            }
        };
        check_key(&format!("{field}.key"), &self.key)?;
        let (field, operator) = (format!("{field}.values"), self.operator.clone());
        match &condition {
            Condition::In(values) | Condition::NotIn(values) if values.is_empty() => {
                return Err(InvalidSelector::NoValues { field, operator });
            }
            Condition::Exists | Condition::DoesNotExist if !self.values.is_empty() => {
                return Err(InvalidSelector::Values { field, operator });
            }
            _ => {}
        }
        for (index, value) in self.values.iter().enumerate() {
            check_value(allowed, || format!("{field}[{index}]"), value)?;
        }
        Ok(Requirement {
            key: self.key.clone(),
            condition,
        })
    }
}

impl Selector {
    /// How much there is to compare: requirements and their values.
    pub(crate) fn cost(&self) -> usize {
        let values = |requirement: &Requirement| match &requirement.condition {
            Condition::In(values) | Condition::NotIn(values) => values.len(),
            Condition::Exists | Condition::DoesNotExist => 0,
        };
        self.0
            .iter()
            .map(|requirement| 1 + values(requirement))
            .sum()
    }

    /// The keys that are asked for.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|requirement| requirement.key.as_str())
    }

    /// Whether the labels, asked for by key, satisfy the selector.
    pub fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.0.iter().all(|requirement| {
            let found = label(&requirement.key);
            let is_one_of =
                |values: &[String]| found.is_some_and(|found| values.iter().any(|v| v == found));
            match &requirement.condition {
                Condition::In(values) => is_one_of(values),
                Condition::NotIn(values) => !is_one_of(values),
                Condition::Exists => found.is_some(),
                Condition::DoesNotExist => found.is_none(),
            }
        })
    }
}

fn check_key(field: &str, key: &str) -> Result<(), InvalidSelector> {
    if is_label_key(key) {
        return Ok(());
    }
    Err(InvalidSelector::Key {
        field: field.to_owned(),
        key: key.to_owned(),
    })
}

fn check_value(
    allowed: Values,
    field: impl FnOnce() -> String,
    value: &str,
) -> Result<(), InvalidSelector> {
    if allowed == Values::Any || value.is_empty() || is_name(value) {
        return Ok(());
    }
    Err(InvalidSelector::Value {
        field: field(),
        value: value.to_owned(),
    })
}

/// A name, behind an optional DNS subdomain and a slash (Kubernetes' `IsQualifiedName`).
fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
        None => is_name(key),
    }
}

fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.len() <= 63
        && text.bytes().all(inner)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_subdomain(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(|&byte| alphanumeric(byte) || byte == b'-')
            && bytes.first().is_some_and(|&byte| alphanumeric(byte))
            && bytes.last().is_some_and(|&byte| alphanumeric(byte))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(json: &str) -> LabelSelector {
        serde_json::from_str(json).unwrap()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_expressions: vec![LabelSelectorRequirement {
                key: key.to_owned(),
                operator: operator.to_owned(),
                values: values.iter().map(|&value| value.to_owned()).collect(),
            }],
            ..LabelSelector::default()
        }
    }

    fn matches(selector: &LabelSelector, labels: &[(&str, &'static str)]) -> bool {
        selector.compile().unwrap().matches(|key| {
            let found = labels.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| *value)
        })
    }

    #[test]
    fn an_empty_selector_selects_everything() {
        for json in [
            "{}",
            r#"{"matchLabels":null,"matchExpressions":null}"#,
            r#"{"matchLabels":{},"matchExpressions":[]}"#,
        ] {
            let selector = selector(json);
            assert!(selector.is_empty());
            assert!(matches(&selector, &[]));
            assert!(matches(&selector, &[("env", "prod")]));
        }
    }

    #[test]
    fn every_requirement_must_hold() {
        let both = selector(
            r#"{"matchLabels":{"env":"prod"},"matchExpressions":[{"key":"tier","operator":"Exists"}]}"#,
        );
        assert!(matches(&both, &[("env", "prod"), ("tier", "")]));
        assert!(!matches(&both, &[("env", "prod")]));
        assert!(!matches(&both, &[("env", "dev"), ("tier", "")]));
    }

    #[test]
    fn an_absent_label_is_not_in_anything() {
        let expression = |operator, values| expression("env", operator, values);
        assert!(!matches(&expression("In", &["", "prod"]), &[]));
        assert!(matches(&expression("NotIn", &["prod"]), &[]));
        assert!(!matches(
            &expression("NotIn", &["prod"]),
            &[("env", "prod")]
        ));
        assert!(!matches(&expression("Exists", &[]), &[]));
        assert!(matches(&expression("DoesNotExist", &[]), &[]));
        assert!(!matches(&expression("DoesNotExist", &[]), &[("env", "")]));
    }

    #[test]
    fn an_unknown_operator_decodes_and_does_not_compile() {
        for operator in ["Is", "in", "Gt", ""] {
            assert_eq!(
                expression("env", operator, &["a"]).compile(),
                Err(InvalidSelector::Operator {
                    field: "matchExpressions[0].operator".to_owned(),
                    operator: operator.to_owned()
                })
            );
        }
    }

    #[test]
    fn an_operator_takes_its_number_of_values() {
        for operator in ["In", "NotIn"] {
            let error = expression("env", operator, &[]).compile().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "matchExpressions[0].values: the operator {operator} needs at least one value"
                )
            );
        }
        for operator in ["Exists", "DoesNotExist"] {
            let error = expression("env", operator, &[""]).compile().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("matchExpressions[0].values: the operator {operator} takes no values")
            );
        }
    }

    #[test]
    fn keys_are_those_of_labels() {
        let long = |length| "a".repeat(length);
        let subdomain = format!("{}.{}/a", long(63), long(63));
        for key in [
            "a",
            "A_b.c-9",
            "example.com/a",
            "1/a",
            &long(63),
            &subdomain,
        ] {
            assert!(expression(key, "Exists", &[]).compile().is_ok(), "{key}");
        }
        let too_long = format!("{}/a", long(254));
        for key in [
            "",
            "/a",
            "a/",
            "a/b/c",
            "Example.com/a",
            "a..b/a",
            "-.b/a",
            "-a",
            "a_",
            "ä",
            "a b",
            "a\n",
            &long(64),
            &too_long,
        ] {
            assert!(
                matches!(
                    expression(key, "Exists", &[]).compile_for_parameters(),
                    Err(InvalidSelector::Key { .. })
                ),
                "{key}"
            );
        }
    }

    #[test]
    fn only_parameters_have_any_value() {
        for value in [
            "https://kubernetes.default.svc",
            "a b",
            "-",
            &"a".repeat(64),
        ] {
            let expression = expression("server", "In", &["a", value]);
            let error = expression.compile().unwrap_err();
            let field = "matchExpressions[0].values[1]".to_owned();
            let value = value.to_owned();
            assert_eq!(
                error,
                InvalidSelector::Value {
                    field,
                    value: value.clone()
                }
            );
            assert!(
                expression
                    .compile_for_parameters()
                    .unwrap()
                    .matches(|_| Some("a"))
            );

            let labels = LabelSelector {
                match_labels: [("server".to_owned(), value)].into(),
                ..LabelSelector::default()
            };
            let error = labels.compile().unwrap_err().to_string();
            assert!(error.starts_with(r#"matchLabels["server"]: "#), "{error}");
            assert!(labels.compile_for_parameters().is_ok());
        }
    }

    #[test]
    fn null_is_a_zero_value_as_in_go() {
        assert_eq!(
            selector(
                r#"{"matchLabels":{"a":null},"matchExpressions":[{"key":"b","operator":"In","values":[null]}]}"#
            ),
            LabelSelector {
                match_labels: [("a".to_owned(), String::new())].into(),
                ..expression("b", "In", &[""])
            }
        );
        assert!(
            selector(r#"{"matchExpressions":[null]}"#)
                .compile()
                .is_err()
        );
    }
}
