//! Which value of which file would leave a field as it is.
//!
//! A value is a candidate where what is rendered has it, as a whole or as a part. Whether it is the
//! one is found by rendering with another in its place.

use serde_json::{Map, Value};

use super::author::split::Values;

/// How many candidates for a field are worth a rendering.
const CANDIDATES: usize = 4;
/// What is shorter is a part of anything.
const SHORTEST_PART: usize = 3;

/// A value that may decide what a field is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    /// Where it is in the values.
    pub(crate) path: Vec<String>,
    /// What it would have to be.
    pub(crate) value: Value,
}

impl Candidate {
    /// As Helm's `--set` names it.
    pub(crate) fn name(&self) -> String {
        let keys = self.path.iter().map(|key| key.replace('.', "\\."));
        keys.collect::<Vec<_>>().join(".")
    }

    /// The value alone, as values.
    pub(crate) fn values(&self) -> Value {
        let inner = self.value.clone();
        let keys = self.path.iter().rev();
        keys.fold(inner, |inner, key| {
            Value::Object(Map::from_iter([(key.clone(), inner)]))
        })
    }
}

/// Values as Helm has them of several files, of which later ones win.
pub(crate) fn merged(files: &[Values]) -> Values {
    let mut all = Values::new();
    for values in files {
        merge(&mut all, values);
    }
    all
}

fn merge(under: &mut Values, over: &Values) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The values that may make a field what is rendered, each with what would make it what is live;
/// the likeliest first.
pub(crate) fn candidates(values: &Values, rendered: &Value, live: &Value) -> Vec<Candidate> {
    let (Some(rendered), Some(wanted)) = (scalar(rendered), scalar(live)) else {
        return Vec::new();
    };
    let search = Search {
        rendered: &rendered,
        wanted: &wanted,
    };
    let mut found = Vec::new();
    search.below(&mut Vec::new(), values, &mut found);
    // A whole value before a part, and a long part before a short one.
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    let found = found.into_iter().take(CANDIDATES);
    found.map(|(_, candidate)| candidate).collect()
}

struct Search<'s> {
    rendered: &'s str,
    wanted: &'s str,
}

impl Search<'_> {
    fn below(&self, path: &mut Vec<String>, values: &Values, found: &mut Vec<(usize, Candidate)>) {
        for (key, value) in values {
            path.push(key.clone());
            if let Value::Object(inner) = value {
                self.below(path, inner, found);
            } else if let Some(text) = scalar(value)
                && let Some(value) = self.instead(value, &text)
            {
                let path = path.clone();
                found.push((text.len(), Candidate { path, value }));
            }
            path.pop();
        }
    }

    /// What a value would have to be.
    fn instead(&self, value: &Value, text: &str) -> Option<Value> {
        if text == self.rendered {
            let typed = serde_json::from_str(self.wanted);
            return Some(match typed {
                Ok(typed) if !value.is_string() => typed,
                _ => self.wanted.into(),
            });
        }
        if text.len() < SHORTEST_PART {
            return None;
        }
        let (before, after) = self.rendered.split_once(text)?;
        let part = self.wanted.strip_prefix(before)?.strip_suffix(after)?;
        (!part.is_empty()).then(|| part.into())
    }
}

/// The text of what is neither a list nor a mapping.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(values: &Value, rendered: &Value, live: &Value) -> Vec<(String, Value)> {
        let found = candidates(values.as_object().unwrap(), rendered, live);
        let told = found.into_iter().map(|one| (one.name(), one.value));
        told.collect()
    }

    #[test]
    fn a_value_is_found_as_a_whole_and_as_a_part() {
        let values = json!({
            "image": {"repository": "example.com/dns", "tag": "1.2", "pull.policy": "Always"},
            "replicas": 2,
            "port": "2",
        });
        let one = |path: &str, value: Value| (path.to_owned(), value);
        assert_eq!(
            told(
                &values,
                &json!("example.com/dns:1.2"),
                &json!("example.com/dns:1.1")
            ),
            [one("image.tag", json!("1.1"))]
        );
        assert_eq!(
            told(&values, &json!("Always"), &json!("IfNotPresent")),
            [one("image.pull\\.policy", json!("IfNotPresent"))]
        );
        assert_eq!(
            told(&values, &json!(2), &json!(3)),
            [one("port", json!("3")), one("replicas", json!(3))]
        );
        assert!(told(&values, &json!("other"), &json!("x")).is_empty());
        assert!(told(&values, &json!([2]), &json!([3])).is_empty());
        assert!(told(&values, &json!("Always"), &json!("")).is_empty());
    }

    #[test]
    fn a_candidate_stands_alone() {
        let candidate = Candidate {
            path: vec!["image".to_owned(), "tag".to_owned()],
            value: json!("1.1"),
        };
        assert_eq!(candidate.values(), json!({"image": {"tag": "1.1"}}));
    }

    #[test]
    fn later_files_win() {
        let of = |value: Value| value.as_object().unwrap().clone();
        let all = merged(&[
            of(json!({"a": {"b": 1, "c": 1}})),
            of(json!({"a": {"b": 2}})),
        ]);
        assert_eq!(Value::Object(all), json!({"a": {"b": 2, "c": 1}}));
    }
}
