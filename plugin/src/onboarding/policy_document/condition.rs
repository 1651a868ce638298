//! `Condition` of a statement.

use std::collections::BTreeMap;

use serde_json::Value;

use super::pattern;
use super::{Match, UnreadableDocument, texts};

/// What is known of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestContext(BTreeMap<String, Option<String>>);

/// One operator on one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Condition {
    /// As it is written.
    operator: String,
    key: String,
    values: Vec<String>,
}

impl RequestContext {
    /// A key and its value in the request.
    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.insert(key.to_lowercase(), Some(value.into()));
        self
    }

    /// A key that the request does not have.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.0.insert(key.to_lowercase(), None);
        self
    }

    /// What the request has under a key; None where that is not known.
    fn get(&self, key: &str) -> Option<RequestValue<'_>> {
        let value = self.0.get(&key.to_lowercase())?;
        Some(match value {
            Some(value) => RequestValue::Is(value),
            None => RequestValue::Absent,
        })
    }
}

/// What a request has under a key.
#[derive(Clone, Copy)]
enum RequestValue<'v> {
    Absent,
    Is(&'v str),
}

/// How a value of a request is compared with one of a policy.
#[derive(Clone, Copy)]
struct Comparison {
    is_same: fn(&str, &str) -> bool,
    /// Whether none may be the same.
    is_negated: bool,
}

impl Comparison {
    /// The comparison of an operator's name; None for one that is not known here.
    fn of(operator: &str) -> Option<Self> {
        let equals: fn(&str, &str) -> bool = |written, value| written == value;
        let ignoring_case: fn(&str, &str) -> bool =
            |written, value| written.eq_ignore_ascii_case(value);
        let (is_same, is_negated) = match operator.to_ascii_lowercase().as_str() {
            "stringequals" => (equals, false),
            "stringnotequals" => (equals, true),
            "stringequalsignorecase" | "bool" => (ignoring_case, false),
            "stringnotequalsignorecase" => (ignoring_case, true),
            "stringlike" => (pattern::matches as fn(&str, &str) -> bool, false),
            "stringnotlike" => (pattern::matches as fn(&str, &str) -> bool, true),
            // Both take wildcards.
            "arnequals" | "arnlike" => (pattern::matches_arn as fn(&str, &str) -> bool, false),
            "arnnotequals" | "arnnotlike" => (pattern::matches_arn as fn(&str, &str) -> bool, true),
            _ => return None,
        };
        Some(Comparison {
            is_same,
            is_negated,
        })
    }
}

/// A value as a text: a number and a boolean need no quotes.
fn value(written: &Value) -> Option<String> {
    match written {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(written.to_string()),
        _ => None,
    }
}

impl Condition {
    /// The conditions of a `Condition`.
    pub(super) fn read_all(written: &Value) -> Result<Vec<Self>, UnreadableDocument> {
        let unreadable = || UnreadableDocument::Condition;
        let operators = written.as_object().ok_or_else(unreadable)?;
        let mut conditions = Vec::new();
        for (operator, keys) in operators {
            for (key, values) in keys.as_object().ok_or_else(unreadable)? {
                conditions.push(Condition {
                    operator: operator.clone(),
                    key: key.clone(),
                    values: texts(values, value).ok_or_else(unreadable)?,
                });
            }
        }
        Ok(conditions)
    }

    /// Whether a request meets it.
    pub(super) fn is_met_by(&self, context: &RequestContext) -> Match {
        let unknown = |what: &str| Match::Unknown(format!("{what} ({self})"));
        let (set, operator) = match self.operator.split_once(':') {
            Some((set, operator)) => (Some(set.to_ascii_lowercase()), operator),
            None => (None, self.operator.as_str()),
        };
        if !matches!(set.as_deref(), None | Some("forallvalues" | "foranyvalue")) {
            return unknown("a condition by an operator that is not known here");
        }
        let lower = operator.to_ascii_lowercase();
        let (operator, is_if_exists) = match lower.strip_suffix("ifexists") {
            Some(operator) => (operator, true),
            None => (lower.as_str(), false),
        };
        let Some(value) = context.get(&self.key) else {
            return unknown("a condition on what is not known of the request");
        };
        if operator == "null" {
            let is_null = matches!(value, RequestValue::Absent);
            let is_met = self.values.iter().any(|written| match written.as_str() {
                "true" => is_null,
                "false" => !is_null,
                _ => false,
            });
            return self.met(is_met, value);
        }
        let Some(comparison) = Comparison::of(operator) else {
            return unknown("a condition by an operator that is not known here");
        };
        let RequestValue::Is(present) = value else {
            let is_met = is_if_exists
                || match set.as_deref() {
                    Some("forallvalues") => true,
                    Some(_) => false,
                    None => comparison.is_negated,
                };
            return self.met(is_met, value);
        };
        if self.values.iter().any(|written| written.contains("${")) {
            return unknown("a condition with a variable");
        }
        let mut written = self.values.iter();
        let is_any = written.any(|written| (comparison.is_same)(written, present));
        self.met(is_any != comparison.is_negated, value)
    }

    fn met(&self, is_met: bool, value: RequestValue<'_>) -> Match {
        if is_met {
            return Match::Yes;
        }
        let has = match value {
            RequestValue::Is(value) => format!("it is {value}"),
            RequestValue::Absent => "the request has none".to_owned(),
        };
        Match::No(format!("its condition is not met: {self}, and {has}"))
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Condition {
            operator,
            key,
            values,
        } = self;
        write!(formatter, "{operator} {key} [{}]", values.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn context() -> RequestContext {
        RequestContext::default()
            .with("aws:PrincipalArn", "arn:aws:iam::111122223333:role/argocd")
            .with("aws:RequestTag/kubernetes-namespace", "argocd")
            .with("aws:SecureTransport", "true")
            .without("sts:ExternalId")
    }

    fn is_met(condition: &Value) -> Match {
        let conditions = Condition::read_all(condition).unwrap();
        Match::all(conditions.iter().map(|one| one.is_met_by(&context())))
    }

    #[test]
    fn conditions_are_met_as_iam_has_it() {
        for met in [
            json!({}),
            json!({"StringEquals": {"aws:requesttag/kubernetes-namespace": "argocd"}}),
            json!({"StringEquals": {"aws:RequestTag/kubernetes-namespace": ["x", "argocd"]}}),
            json!({"StringLike": {"aws:PrincipalArn": "*:role/arg?cd"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}),
            json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/argocd"}}),
            json!({"StringEqualsIgnoreCase": {"aws:RequestTag/kubernetes-namespace": "ArgoCD"}}),
            json!({"Bool": {"aws:SecureTransport": true}}),
            json!({"Null": {"sts:ExternalId": "true"}}),
            json!({"Null": {"aws:PrincipalArn": false}}),
            json!({"StringNotEquals": {"sts:ExternalId": "x"}}),
            json!({"StringEqualsIfExists": {"sts:ExternalId": "x"}}),
            json!({"ForAllValues:StringEquals": {"sts:ExternalId": "x"}}),
            json!({"ForAnyValue:StringEquals": {"aws:RequestTag/kubernetes-namespace": "argocd"}}),
            json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/other"}}),
        ] {
            assert_eq!(is_met(&met), Match::Yes, "{met}");
        }
        for unmet in [
            json!({"StringEquals": {"sts:ExternalId": "x"}}),
            json!({"ForAnyValue:StringEquals": {"sts:ExternalId": "x"}}),
            json!({"StringEquals": {"aws:RequestTag/kubernetes-namespace": "Argocd"}}),
            json!({"StringEquals": {"aws:PrincipalArn": "*"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "*"}}),
            json!({"StringNotLike": {"aws:PrincipalArn": "*argocd"}}),
            json!({"Null": {"sts:ExternalId": false}}),
            json!({"StringEquals": {"aws:RequestTag/kubernetes-namespace": []}}),
            // Each must be met.
            json!({
                "StringEquals": {"aws:RequestTag/kubernetes-namespace": "argocd"},
                "Bool": {"aws:SecureTransport": "false"},
            }),
        ] {
            assert!(matches!(is_met(&unmet), Match::No(_)), "{unmet}");
        }
    }

    #[test]
    fn what_is_not_known_is_neither_met_nor_unmet() {
        for unknown in [
            json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
            json!({"IpAddress": {"aws:PrincipalArn": "10.0.0.0/8"}}),
            json!({"NumericLessThan": {"aws:SecureTransport": 3}}),
            json!({"StringEquals": {"aws:PrincipalArn": "${aws:PrincipalTag/role}"}}),
            json!({"ForSomeValues:StringEquals": {"aws:PrincipalArn": "x"}}),
        ] {
            assert!(matches!(is_met(&unknown), Match::Unknown(_)), "{unknown}");
        }
    }

    #[test]
    fn what_is_not_a_condition_is_an_error() {
        for written in [
            json!([]),
            json!("x"),
            json!({"StringEquals": "x"}),
            json!({"Bool": {"a": {}}}),
        ] {
            assert!(Condition::read_all(&written).is_err(), "{written}");
        }
    }
}
