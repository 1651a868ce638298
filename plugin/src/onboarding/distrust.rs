//! What becomes of a trust policy that is to let a role in no longer.

use serde_json::Value;

use super::arn::RoleArn;
use super::policy_document::{Document, UnreadableDocument};

/// What is left of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Distrusted {
    /// It lets in nobody else.
    Nobody,
    /// It lets in these others, by this policy.
    Others { who: Vec<String>, policy: String },
    /// It does not name the role, and lets in these others.
    Unchanged { who: Vec<String> },
}

/// A trust policy without a role.
///
/// # Errors
/// It cannot be read.
pub(crate) fn without(policy: &str, role: &RoleArn) -> Result<Distrusted, UnreadableDocument> {
    let mut json = Document::read(policy)?.json;
    let mut statements = match json.get_mut("Statement").map(Value::take) {
        Some(Value::Array(statements)) => statements,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let role = role.to_string();
    let mut who = Vec::new();
    let mut is_named = false;
    statements.retain_mut(|statement| {
        if statement["Effect"] != "Allow" {
            return true;
        }
        is_named |= forget(statement, &role);
        let left = principals(statement);
        let is_left = !left.is_empty();
        who.extend(left);
        is_left
    });
    who.sort();
    who.dedup();
    json["Statement"] = Value::Array(statements);
    Ok(match (who.is_empty(), is_named) {
        (true, _) => Distrusted::Nobody,
        (false, true) => Distrusted::Others {
            who,
            policy: json.to_string(),
        },
        (false, false) => Distrusted::Unchanged { who },
    })
}

/// Takes a principal out of a statement, and says whether it was there.
fn forget(statement: &mut Value, role: &str) -> bool {
    let principals = statement
        .get_mut("Principal")
        .and_then(Value::as_object_mut);
    let Some(principals) = principals else {
        return false;
    };
    let Some(named) = principals.get_mut("AWS") else {
        return false;
    };
    let was_there = match named {
        Value::Array(texts) => {
            let before = texts.len();
            texts.retain(|text| text != role);
            texts.len() < before
        }
        Value::String(one) => one == role,
        _ => false,
    };
    let is_empty = match named {
        Value::Array(texts) => texts.is_empty(),
        _ => was_there,
    };
    if is_empty {
        principals.remove("AWS");
    }
    was_there
}

/// Who is let in by a statement, in words.
fn principals(statement: &Value) -> Vec<String> {
    if !statement["NotPrincipal"].is_null() {
        return vec!["all but some (NotPrincipal)".to_owned()];
    }
    match &statement["Principal"] {
        Value::Object(kinds) => kinds.values().flat_map(texts).collect(),
        one => texts(one),
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        Value::String(text) if text == "*" => vec!["everybody".to_owned()],
        Value::String(text) => vec![text.clone()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ENGINE: &str = "arn:aws:iam::111122223333:role/team/argocd";
    const CI: &str = "arn:aws:iam::111122223333:role/ci";

    fn left(statements: &Value) -> Distrusted {
        let policy = json!({"Version": "2012-10-17", "Statement": statements});
        without(&policy.to_string(), &ENGINE.parse().unwrap()).unwrap()
    }

    fn allow(principal: &Value) -> Value {
        json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
    }

    #[test]
    fn a_role_that_lets_in_nobody_else_serves_nobody() {
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:TagSession"});
        for statements in [
            json!([allow(&json!({"AWS": ENGINE}))]),
            json!([allow(&json!({"AWS": [ENGINE]})), deny]),
            allow(&json!({"AWS": ENGINE})),
            json!([]),
        ] {
            assert_eq!(left(&statements), Distrusted::Nobody, "{statements}");
        }
    }

    #[test]
    fn others_keep_what_they_have() {
        let statements = json!([
            allow(&json!({"AWS": [CI, ENGINE]})),
            allow(&json!({"AWS": ENGINE})),
            allow(&json!({"Service": "ec2.amazonaws.com"})),
        ]);
        let Distrusted::Others { who, policy } = left(&statements) else {
            panic!("they are others")
        };
        assert_eq!(who, [CI, "ec2.amazonaws.com"]);
        let policy: Value = serde_json::from_str(&policy).unwrap();
        assert_eq!(
            policy["Statement"],
            json!([
                allow(&json!({"AWS": [CI]})),
                allow(&json!({"Service": "ec2.amazonaws.com"})),
            ])
        );
    }

    #[test]
    fn who_is_not_named_is_told_with_all_others() {
        for (principal, who) in [
            (json!("*"), "everybody"),
            (json!({"AWS": "*"}), "everybody"),
            (
                json!({"AWS": "arn:aws:iam::111122223333:root"}),
                "arn:aws:iam::111122223333:root",
            ),
            // A role of this name without the path is another one.
            (
                json!({"AWS": "arn:aws:iam::111122223333:role/argocd"}),
                "arn:aws:iam::111122223333:role/argocd",
            ),
        ] {
            let who = vec![who.to_owned()];
            assert_eq!(
                left(&json!([allow(&principal)])),
                Distrusted::Unchanged { who },
                "{principal}"
            );
        }
    }
}
