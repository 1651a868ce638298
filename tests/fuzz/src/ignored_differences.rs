//! What jq paths and JSON Pointers take out of an object.

use argocd::application::IgnoreDifference;
use argocd::diff::{ComparisonError, IgnoredDifferences};
use argocd::settings::Customizations;
use argocd::text::Text;
use serde_json::Value;

/// The object where the input brings none.
const DEPLOYMENT: &str = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"app":"web"}},"spec":{"replicas":3,"paused":false,"template":{"spec":{"containers":[{"name":"app","image":"a","env":[{"name":"A","value":"1"}]},{"name":"sidecar","image":"b"}]}}}}"#;

/// The longest expression that is tried in another form, in bytes.
const LENGTH_LIMIT: usize = 500;

/// The first line is an expression, the rest an object.
pub fn ignored_differences(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let (expression, object) = text.split_once('\n').unwrap_or((text, DEPLOYMENT));
    let Ok(object) = serde_json::from_str::<Value>(object) else {
        return;
    };
    let by_pointer = IgnoreDifference {
        json_pointers: vec![Text::from(expression)],
        ..everything()
    };
    if let Ok(rest) = normalized(by_pointer, &object) {
        assert!(is_rest(&rest, &object), "{rest} is no rest of {object}");
    }
    let rest = by_jq(expression, &object);
    assert_eq!(by_jq(expression, &object), rest);
    if let Ok(rest) = &rest {
        assert!(is_rest(rest, &object), "{rest} is no rest of {object}");
    }
    // A plain path is taken by a way of its own, this one by the interpreter. A longer expression may be too long then.
    if !expression.contains('#') && expression.len() < LENGTH_LIMIT {
        let piped = format!("{expression} | .");
        assert_eq!(by_jq(&piped, &object).ok(), rest.ok(), "{piped}");
    }
}

fn everything() -> IgnoreDifference<'static> {
    IgnoreDifference {
        group: Text::from("*"),
        kind: Text::from("*"),
        ..IgnoreDifference::default()
    }
}

fn by_jq(expression: &str, object: &Value) -> Result<Value, ComparisonError> {
    let entry = IgnoreDifference {
        jq_path_expressions: vec![Text::from(expression)],
        ..everything()
    };
    normalized(entry, object)
}

fn normalized(entry: IgnoreDifference<'_>, object: &Value) -> Result<Value, ComparisonError> {
    let entries = [entry];
    let customizations = Customizations::default();
    let ignored = IgnoredDifferences::new(&entries, &customizations)?;
    let (mut desired, mut live) = (object.clone(), object.clone());
    ignored.normalize(&mut desired, &mut live);
    assert_eq!(desired, live);
    Ok(live)
}

/// Whether a value is what remains of another if parts of it are taken out.
fn is_rest(rest: &Value, whole: &Value) -> bool {
    match (rest, whole) {
        (Value::Object(rest), Value::Object(whole)) => rest
            .iter()
            .all(|(name, member)| whole.get(name).is_some_and(|whole| is_rest(member, whole))),
        (Value::Array(rest), Value::Array(whole)) => {
            let mut whole = whole.iter();
            rest.iter()
                .all(|item| whole.any(|whole| is_rest(item, whole)))
        }
        _ => rest == whole,
    }
}
