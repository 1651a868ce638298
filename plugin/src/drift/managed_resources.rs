//! What argocd-server says of the resources of an Application: its answer to
//! `/api/v1/applications/NAME/managed-resources` (Argo CD 3.6, `ManagedResourcesResponse`).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::autoscaler::Autoscaler;
use super::decode::decode;

/// How large the JSON of an object may be, in bytes. What an API server stores is smaller by far.
const STATE_LIMIT: usize = 4 << 20;

/// One resource, as it is to be and as it is.
#[derive(Debug)]
pub(crate) struct ManagedResource {
    pub(crate) group: String,
    pub(crate) kind: String,
    /// Empty for one of the whole cluster.
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) state: State,
}

/// How a resource is.
#[derive(Debug)]
pub(crate) enum State {
    /// As it is to be. Nothing of it is kept but what scales others.
    Same {
        /// The object itself, where it may be an autoscaler.
        live: Option<Value>,
    },
    /// It is not there.
    Missing {
        /// What it is to be.
        target: Value,
    },
    /// It is there and not in Git.
    Extra {
        /// The object.
        live: Value,
    },
    /// It is otherwise.
    Modified {
        /// The object, with its `managedFields`.
        live: Value,
        /// What counts of it.
        normalized: Value,
        /// What would count of it after a sync.
        predicted: Value,
    },
}

/// What cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum UnreadableAnswer {
    /// The whole answer.
    #[error("argocd-server answered something else than managed resources: {0}")]
    Whole(String),
    /// One of its items.
    #[error("argocd-server: item {place}{name}: {reason}")]
    Item {
        /// Which of them, from 1.
        place: usize,
        /// `, Deployment cart,` where that much is known.
        name: String,
        /// Why.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow, default)]
    group: Option<Cow<'a, str>>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    target_state: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    live_state: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    normalized_live_state: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    predicted_live_state: Option<Cow<'a, str>>,
    #[serde(default)]
    modified: Option<bool>,
    #[serde(default)]
    hook: Option<bool>,
}

/// Reads an answer item by item, and says of which nothing can be made.
///
/// # Errors
/// The whole is not such an answer.
pub(crate) fn read(
    answer: &str,
    mut each: impl FnMut(ManagedResource),
) -> Result<Vec<UnreadableAnswer>, UnreadableAnswer> {
    let answer: Answer<'_> = decode(answer).map_err(UnreadableAnswer::Whole)?;
    let mut unreadable = Vec::new();
    for (place, item) in answer.items.unwrap_or_default().into_iter().enumerate() {
        let failed = |name, reason| UnreadableAnswer::Item {
            place: place + 1,
            name,
            reason,
        };
        match decode::<Item<'_>>(item.get()) {
            Err(reason) => unreadable.push(failed(String::new(), reason)),
            Ok(item) if item.hook == Some(true) => {}
            Ok(item) => match resource(&item) {
                Ok(resource) => each(resource),
                Err(reason) => {
                    let name = format!(", {},", object(&item));
                    unreadable.push(failed(name, reason));
                }
            },
        }
    }
    Ok(unreadable)
}

/// What an item is called, in so far as it is a name.
fn object(item: &Item<'_>) -> String {
    let part = |text: &str| policy::finding::shorten(text, 80);
    format!("{} {}", part(&item.kind), part(&item.name))
}

fn resource(item: &Item<'_>) -> Result<ManagedResource, String> {
    let group = item.group.as_deref().unwrap_or_default();
    let namespace = item.namespace.as_deref().unwrap_or_default();
    let names = [
        ("group", group),
        ("kind", &*item.kind),
        ("namespace", namespace),
        ("name", &*item.name),
    ];
    for (what, text) in names {
        let may_be_empty = matches!(what, "group" | "namespace");
        if !(is_name(text) || may_be_empty && text.is_empty()) {
            return Err(format!("its {what} is not a name of Kubernetes"));
        }
    }
    Ok(ManagedResource {
        group: group.to_owned(),
        kind: item.kind.to_string(),
        namespace: namespace.to_owned(),
        name: item.name.to_string(),
        state: state(item)?,
    })
}

/// Whether a text can be a name: RBAC's may have colons and more, but nothing that is not printed.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 253;
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn state(item: &Item<'_>) -> Result<State, String> {
    let target = text(item.target_state.as_deref());
    let live = text(item.live_state.as_deref());
    let object = |what, text| object_of(what, text);
    Ok(match (target, live) {
        (None, None) => State::Same { live: None },
        (Some(target), None) => State::Missing {
            target: object("targetState", target)?,
        },
        (None, Some(live)) => State::Extra {
            live: object("liveState", live)?,
        },
        (Some(_), Some(live)) if item.modified != Some(true) => State::Same {
            live: if is_autoscaler(item) {
                Some(object("liveState", live)?)
            } else {
                None
            },
        },
        (Some(_), Some(live)) => {
            let normalized = text(item.normalized_live_state.as_deref());
            let predicted = text(item.predicted_live_state.as_deref());
            let absent = |what| format!("it is modified, and has no {what}");
            State::Modified {
                live: object("liveState", live)?,
                normalized: object(
                    "normalizedLiveState",
                    normalized.ok_or_else(|| absent("normalizedLiveState"))?,
                )?,
                predicted: object(
                    "predictedLiveState",
                    predicted.ok_or_else(|| absent("predictedLiveState"))?,
                )?,
            }
        }
    })
}

/// A state that there is: none is the text `null`, or empty.
fn text(state: Option<&str>) -> Option<&str> {
    state.filter(|state| !matches!(state.trim(), "" | "null"))
}

fn object_of(what: &str, text: &str) -> Result<Value, String> {
    if text.len() > STATE_LIMIT {
        return Err(format!(
            "its {what} is larger than {} MiB, which no object is",
            STATE_LIMIT >> 20
        ));
    }
    match serde_json::from_str(text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        _ => Err(format!("its {what} is not an object in JSON")),
    }
}

fn is_autoscaler(item: &Item<'_>) -> bool {
    Autoscaler::of_kind(item.group.as_deref().unwrap_or_default(), &item.kind).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_all(answer: &str) -> (Vec<ManagedResource>, Vec<String>) {
        let mut all = Vec::new();
        let unreadable = read(answer, |resource| all.push(resource)).unwrap();
        (all, unreadable.iter().map(ToString::to_string).collect())
    }

    fn item(change: &Value) -> String {
        let state = json!({"kind": "ConfigMap", "data": {"a": "1"}}).to_string();
        let mut item = json!({
            "kind": "ConfigMap", "namespace": "shop", "name": "cart",
            "targetState": state, "liveState": state,
            "normalizedLiveState": state, "predictedLiveState": state,
        });
        json_patch::merge(&mut item, change);
        json!({"items": [item]}).to_string()
    }

    #[test]
    fn each_state_is_told_from_the_others() {
        let state = |change: Value| {
            let (mut all, unreadable) = read_all(&item(&change));
            assert_eq!(unreadable, [""; 0], "{change}");
            all.pop().map(|resource| resource.state)
        };
        assert!(matches!(state(json!({})), Some(State::Same { live: None })));
        assert!(matches!(
            state(json!({"modified": true})),
            Some(State::Modified { .. })
        ));
        assert!(matches!(
            state(json!({"liveState": "null", "normalizedLiveState": "null", "modified": true})),
            Some(State::Missing { .. })
        ));
        // `modified` is absent of what is to be pruned.
        assert!(matches!(
            state(json!({"targetState": "null", "predictedLiveState": "null"})),
            Some(State::Extra { .. })
        ));
        assert!(state(json!({"hook": true, "modified": true})).is_none());
    }

    #[test]
    fn an_answer_without_items_has_none() {
        assert!(read_all("{}").0.is_empty());
        assert!(read_all(r#"{"items": null}"#).0.is_empty());
    }

    #[test]
    fn garbage_is_told_and_the_rest_is_read() {
        for answer in ["", "<html>", "7", r#"{"items": 7}"#, "[]x"] {
            assert!(read(answer, |_| ()).is_err(), "{answer}");
        }
        let good: Value = serde_json::from_str(&item(&json!({"modified": true}))).unwrap();
        let good = &good["items"][0];
        let large = format!(r#"{{"data": "{}"}}"#, "x".repeat(STATE_LIMIT));
        for (bad, reason) in [
            (json!(7), "item 1: it is not what Argo CD writes there"),
            (
                json!({"kind": 7, "name": "cart"}),
                "item 1: kind is not what Argo CD writes there",
            ),
            (
                json!({"modified": "yes"}),
                "item 1: modified is not what Argo CD writes there",
            ),
            (
                json!({"liveState": "garbage"}),
                "item 1, ConfigMap cart,: its liveState is not an object in JSON",
            ),
            (
                json!({"predictedLiveState": "[1]"}),
                "item 1, ConfigMap cart,: its predictedLiveState is not an object in JSON",
            ),
            (
                json!({"normalizedLiveState": null}),
                "item 1, ConfigMap cart,: it is modified, and has no normalizedLiveState",
            ),
            (
                json!({"liveState": large}),
                "item 1, ConfigMap cart,: its liveState is larger than 4 MiB, which no object is",
            ),
            (
                json!({"name": "cart\u{1b}[2J"}),
                "item 1, ConfigMap cart [2J,: its name is not a name of Kubernetes",
            ),
        ] {
            let mut item = good.clone();
            json_patch::merge(&mut item, &bad);
            let answer = json!({"items": [item, good]}).to_string();
            let (all, unreadable) = read_all(&answer);
            assert_eq!(all.len(), 1, "{reason}");
            assert_eq!(unreadable, [format!("argocd-server: {reason}")]);
        }
    }
}
