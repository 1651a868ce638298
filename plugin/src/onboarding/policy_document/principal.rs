//! `Principal` and `NotPrincipal` of a statement: who is meant.

use serde_json::Value;

use super::{Match, UnreadableDocument, strings};
use crate::onboarding::arn::{Arn, RoleArn, is_account};

/// Who asks for something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller<'c> {
    Role(&'c RoleArn),
    /// A service of AWS, `pods.eks.amazonaws.com`.
    Service(&'c str),
}

/// How somebody is meant.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Meant {
    /// Alone.
    Alone,
    /// With everybody of their account whom that lets.
    WithAccount,
    /// With everybody.
    WithEverybody,
}

/// Those who are meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Principals {
    /// `"*"`.
    Everybody,
    Some(Vec<Principal>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Principal {
    kind: Kind,
    /// As it is written.
    text: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Aws,
    Service,
    /// `Federated`, `CanonicalUser`.
    Other,
}

impl Principals {
    pub(super) fn read(written: &Value) -> Result<Self, UnreadableDocument> {
        let unreadable = || UnreadableDocument::Principal;
        let kinds = match written {
            Value::String(text) if text == "*" => return Ok(Principals::Everybody),
            Value::Object(kinds) if !kinds.is_empty() => kinds,
            _ => return Err(unreadable()),
        };
        let mut principals = Vec::new();
        for (kind, texts) in kinds {
            let kind = match kind.as_str() {
                "AWS" => Kind::Aws,
                "Service" => Kind::Service,
                "Federated" | "CanonicalUser" => Kind::Other,
                _ => return Err(unreadable()),
            };
            let texts = strings(texts).ok_or_else(unreadable)?;
            principals.extend(texts.into_iter().map(|text| Principal { kind, text }));
        }
        Ok(Principals::Some(principals))
    }

    /// How a caller is meant, or why not.
    pub(super) fn mean(&self, caller: Caller<'_>) -> Result<Meant, Match> {
        let principals = match self {
            Principals::Everybody => return everybody(caller),
            Principals::Some(principals) => principals,
        };
        let mut why_not = Match::No(NOT_NAMED.to_owned());
        let mut meant: Option<Meant> = None;
        for principal in principals {
            match principal.means(caller) {
                Ok(how) => meant = Some(meant.map_or(how, |other| other.max(how))),
                Err(Match::No(reason)) if reason == NOT_NAMED => {}
                Err(reason) => why_not = reason,
            }
        }
        meant.ok_or(why_not)
    }
}

/// That others are named, which is no news.
pub(super) const NOT_NAMED: &str = "it names others";

fn everybody(caller: Caller<'_>) -> Result<Meant, Match> {
    match caller {
        Caller::Role(_) => Ok(Meant::WithEverybody),
        Caller::Service(name) => Err(Match::Unknown(format!(
            "\"*\" may mean the service {name} or not"
        ))),
    }
}

impl Principal {
    fn means(&self, caller: Caller<'_>) -> Result<Meant, Match> {
        let Principal { kind, text } = self;
        match (kind, caller) {
            (Kind::Aws, _) if text == "*" => everybody(caller),
            (Kind::Aws, Caller::Role(role)) => means_role(text, role),
            (Kind::Service, Caller::Service(name)) if text == name => Ok(Meant::Alone),
            _ => Err(Match::No(NOT_NAMED.to_owned())),
        }
    }
}

fn means_role(text: &str, role: &RoleArn) -> Result<Meant, Match> {
    let no = |reason: String| Err(Match::No(reason));
    if is_dead(text) {
        return no(format!(
            "its principal {text} is the id of a user or role that was deleted; one that was made \
             anew under the same name has another id"
        ));
    }
    if is_account(text) {
        return by_account(text, role);
    }
    if text == role.to_string() {
        return Ok(Meant::Alone);
    }
    let Ok(arn) = text.parse::<Arn>() else {
        return no(NOT_NAMED.to_owned());
    };
    let session = format!("assumed-role/{}/", role.name());
    match arn.service.as_str() {
        "iam" if arn.resource == "root" => by_account(&arn.account, role),
        "sts" if arn.account == role.account() && arn.resource.starts_with(&session) => {
            no(format!(
                "its principal {text} is one session of the role, and Argo CD has another each time"
            ))
        }
        "iam" if text.contains(['*', '?']) => no(format!(
            "its principal {text} has a wildcard, which stands for itself there"
        )),
        "iam"
            if arn.account == role.account()
                && arn.resource.ends_with(&format!("/{}", role.name())) =>
        {
            no(format!(
                "its principal {text} has another path than the role {role}"
            ))
        }
        _ => no(NOT_NAMED.to_owned()),
    }
}

fn by_account(account: &str, role: &RoleArn) -> Result<Meant, Match> {
    if account == role.account() {
        Ok(Meant::WithAccount)
    } else {
        Err(Match::No(NOT_NAMED.to_owned()))
    }
}

/// Whether a principal is what IAM leaves of a user or role that is deleted: its id.
pub(crate) fn is_dead(principal: &str) -> bool {
    ["AIDA", "AROA"]
        .iter()
        .any(|prefix| principal.starts_with(prefix) && principal.len() >= 16)
        && principal.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meant(written: &Value) -> Result<Meant, Match> {
        let role: RoleArn = "arn:aws:iam::111122223333:role/argocd".parse().unwrap();
        Principals::read(written).unwrap().mean(Caller::Role(&role))
    }

    #[test]
    fn a_role_is_meant_by_its_arn_its_account_or_with_everybody() {
        for (written, how) in [
            (
                json!({"AWS": "arn:aws:iam::111122223333:role/argocd"}),
                Meant::Alone,
            ),
            (
                json!({"AWS": ["x", "arn:aws:iam::111122223333:role/argocd"]}),
                Meant::Alone,
            ),
            (json!({"AWS": "111122223333"}), Meant::WithAccount),
            (
                json!({"AWS": "arn:aws:iam::111122223333:root"}),
                Meant::WithAccount,
            ),
            (json!({"AWS": "*"}), Meant::WithEverybody),
            (json!("*"), Meant::WithEverybody),
        ] {
            assert_eq!(meant(&written), Ok(how), "{written}");
        }
    }

    #[test]
    fn what_means_others_says_why() {
        for (written, reason) in [
            (json!({"AWS": "arn:aws:iam::999999999999:root"}), NOT_NAMED),
            (json!({"Service": "pods.eks.amazonaws.com"}), NOT_NAMED),
            (
                json!({"Federated": "cognito-identity.amazonaws.com"}),
                NOT_NAMED,
            ),
            (json!({"AWS": "AROAEXAMPLEEXAMPLE123"}), "was deleted"),
            (json!({"AWS": "AIDAEXAMPLEEXAMPLE123"}), "was deleted"),
            (
                json!({"AWS": "arn:aws:sts::111122223333:assumed-role/argocd/1"}),
                "one session",
            ),
            (
                json!({"AWS": "arn:aws:iam::111122223333:role/*"}),
                "wildcard",
            ),
            (
                json!({"AWS": "arn:aws:iam::111122223333:role/a/argocd"}),
                "another path",
            ),
        ] {
            match meant(&written) {
                Err(Match::No(told)) => assert!(told.contains(reason), "{written}: {told}"),
                other => panic!("{written}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_service_is_meant_by_its_name_alone() {
        let of = |written: Value| {
            let service = Caller::Service("pods.eks.amazonaws.com");
            Principals::read(&written).unwrap().mean(service)
        };
        assert_eq!(
            of(json!({"Service": ["a", "pods.eks.amazonaws.com"]})),
            Ok(Meant::Alone)
        );
        assert!(matches!(
            of(json!({"Service": "eks.amazonaws.com"})),
            Err(Match::No(_))
        ));
        assert!(matches!(of(json!("*")), Err(Match::Unknown(_))));
    }

    #[test]
    fn what_is_not_a_principal_is_an_error() {
        for written in [
            json!("x"),
            json!({}),
            json!([]),
            json!({"AWS": 1}),
            json!({"Aws": "*"}),
            json!(null),
        ] {
            assert!(Principals::read(&written).is_err(), "{written}");
        }
    }
}
