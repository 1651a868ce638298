//! An object as a command line names it.

use std::fmt;
use std::str::FromStr;

use argocd::names::GROUP;
use policy::Kind;

/// An object on which an override can stand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

/// The kinds by all names that kubectl knows them by, the first of which we use.
const KINDS: [(Kind, &[&str]); 4] = [
    (
        Kind::Application,
        &["application", "applications", "app", "apps"],
    ),
    (
        Kind::ApplicationSet,
        &["applicationset", "applicationsets", "appset", "appsets"],
    ),
    (
        Kind::AppProject,
        &["appproject", "appprojects", "appproj", "appprojs"],
    ),
    (Kind::ClusterSecret, &["secret", "secrets"]),
];

/// Why a text names no object.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error(
        "there are no overrides on {0:?}: expected application, applicationset, appproject or secret"
    )]
    Kind(String),
    #[error("{0:?} is not the name of an object: expected lower-case letters, digits, '-' and '.'")]
    Name(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind_of(kind)?, name),
            None => (Kind::Application, text),
        };
        Ok(Target {
            kind,
            name: parse_name(name)?,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        let kind = known.map_or("object", |(_, names)| names[0]);
        write!(formatter, "{kind}/{}", self.name)
    }
}

/// The kinds by the names that we use.
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(_, names)| names[0])
}

/// The kind of a name that kubectl knows.
///
/// # Errors
/// There are no overrides on objects of such a kind.
pub(crate) fn kind_of(text: &str) -> Result<Kind, TargetError> {
    let lower = text.to_lowercase();
    // As `kubectl get -o name` prints it.
    let short = lower
        .strip_suffix(GROUP)
        .and_then(|kind| kind.strip_suffix('.'));
    let name = short.unwrap_or(&lower);
    let named = KINDS.iter().find(|(_, names)| names.contains(&name));
    named
        .map(|(kind, _)| *kind)
        .ok_or_else(|| TargetError::Kind(text.to_owned()))
}

/// Reads the name of an object or a namespace, which becomes part of a URL.
///
/// # Errors
/// Nothing has such a name.
pub(crate) fn parse_name(text: &str) -> Result<String, TargetError> {
    let is_allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let is_name =
        text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_allowed);
    if is_name {
        Ok(text.to_owned())
    } else {
        Err(TargetError::Name(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_as_for_kubectl() {
        for (text, kind, name) in [
            ("orders", Kind::Application, "orders"),
            ("app/orders", Kind::Application, "orders"),
            ("Application/orders", Kind::Application, "orders"),
            (
                "application.argoproj.io/orders",
                Kind::Application,
                "orders",
            ),
            ("appsets/orders", Kind::ApplicationSet, "orders"),
            ("appproj/orders.eu", Kind::AppProject, "orders.eu"),
            ("secret/cluster-1", Kind::ClusterSecret, "cluster-1"),
        ] {
            let target = text.parse();
            let name = name.to_owned();
            assert_eq!(target, Ok(Target { kind, name }), "{text}");
        }
        for text in ["pod/orders", "deployments.apps/orders", "secret.v1/x", "/x"] {
            let error = text.parse::<Target>();
            assert!(matches!(error, Err(TargetError::Kind(_))), "{text}");
        }
        for text in ["", "app/", "Orders", "app/a/b", "..", "a?b", "a b", "a%2fb"] {
            let error = text.parse::<Target>();
            assert!(matches!(error, Err(TargetError::Name(_))), "{text}");
        }
    }
}
