//! What jq paths and JSON Pointers take out of an object.

use argocd::application::IgnoreDifference;
use argocd::comparison::Customizations;
use argocd::comparison::{ComparisonError, IgnoreRules};
use golang::json::Text;
use golang::work::Work;
use serde_json::Value;

/// The object where the input brings none.
const DEPLOYMENT: &str = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"app":"web"}},"spec":{"replicas":3,"paused":false,"template":{"spec":{"containers":[{"name":"app","image":"a","env":[{"name":"A","value":"1"}]},{"name":"sidecar","image":"b"}]}}}}"#;

/// The longest expression that is tried in another form, in bytes.
const LENGTH_LIMIT: usize = 500;

/// The work that may be done for one expression.
const WORK: u64 = 4 << 20;

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
        assert!(is_rest(&rest, &object), "{rest} is not a rest of {object}");
    }
    let rest = by_jq(expression, &object);
    assert_eq!(by_jq(expression, &object), rest);
    // An expression may close the bracket that Argo CD puts before it, and is a program then that
    // makes anything of the object.
    if closes_bracket(expression) {
        return;
    }
    if let Ok(rest) = &rest {
        assert!(is_rest(rest, &object), "{rest} is not a rest of {object}");
    }
    // A plain path is taken by a way of its own, this one by the interpreter. A longer expression
    // may be too long then.
    if !expression.contains('#') && expression.len() < LENGTH_LIMIT {
        let piped = format!("{expression} | .");
        assert_eq!(by_jq(&piped, &object).ok(), rest.ok(), "{piped}");
    }
}

fn closes_bracket(expression: &str) -> bool {
    let mut open = 0_usize;
    expression.bytes().any(|byte| match byte {
        b'(' => {
            open += 1;
            false
        }
        b')' => match open.checked_sub(1) {
            Some(left) => {
                open = left;
                false
            }
            None => true,
        },
        _ => false,
    })
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
    let work = Work::new(WORK);
    let ignored = IgnoreRules::new(&entries, &customizations, &work)?;
    let (mut desired, mut live) = (object.clone(), object.clone());
    if !ignored.normalize(&mut desired, &mut live, &work)? {
        return Err(ComparisonError::TooMuchWork);
    }
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
        // Whether a number is written as an integer does not survive Argo CD either.
        (Value::Number(rest), Value::Number(whole)) => {
            rest == whole || rest.as_f64() == whole.as_f64()
        }
        _ => rest == whole,
    }
}
