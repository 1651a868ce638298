//! A resource that differs, as it is and as a sync would have it, with nothing secret in it.

use serde_json::{Map, Value};

use super::field::{FieldDrift, KEPT_BY_KUBERNETES, MASK, is_confidential};

/// What stands for a value of a Secret that a sync would change: kubectl's words (kubectl 1.36,
/// `diff.go`).
const MASK_BEFORE: &str = "*** (before)";
const MASK_AFTER: &str = "*** (after)";

/// Both sides, as JSON, which takes a tenth of a parsed value's memory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sides {
    live: Option<Box<str>>,
    desired: Option<Box<str>>,
}

impl Sides {
    /// Those of an object: what is there, and what a sync would make of it. None is an object that
    /// is not there, or is not to be.
    pub(super) fn new(live: Option<&Value>, desired: Option<&Value>, is_secret: bool) -> Self {
        let kept = |object: Option<&Value>| object.map(|object| without_kept(object.clone()));
        let (mut live, mut desired) = (kept(live), kept(desired));
        if is_secret {
            mask(&mut live, &mut desired);
        }
        let text = |object: Option<Value>| object.map(|object| object.to_string().into());
        Sides {
            live: text(live),
            desired: text(desired),
        }
    }

    /// What is there.
    pub(crate) fn live(&self) -> Option<Value> {
        read(self.live.as_deref())
    }

    /// What a sync would make of it.
    pub(crate) fn desired(&self) -> Option<Value> {
        read(self.desired.as_deref())
    }

    /// Leaves out a difference in a field that nobody asked for.
    pub(super) fn leave_out<'f>(&mut self, fields: impl Iterator<Item = &'f FieldDrift>) {
        let Some(mut desired) = self.desired() else {
            return;
        };
        for field in fields.filter(|field| !field.masked) {
            if desired.pointer(&field.pointer) == field.desired.as_ref() {
                put(&mut desired, &field.pointer, field.live.clone());
            }
        }
        self.desired = Some(desired.to_string().into());
    }
}

fn read(text: Option<&str>) -> Option<Value> {
    serde_json::from_str(text?).ok()
}

fn without_kept(mut object: Value) -> Value {
    for pointer in KEPT_BY_KUBERNETES {
        put(&mut object, pointer, None);
    }
    object
}

/// Puts a member at its place, or takes it away. Elements of lists are only replaced: where others
/// stand depends on them.
fn put(object: &mut Value, pointer: &str, value: Option<Value>) {
    let Some((parent, token)) = pointer.rsplit_once('/') else {
        return;
    };
    let name = token.replace("~1", "/").replace("~0", "~");
    match (object.pointer_mut(parent), value) {
        (Some(Value::Object(members)), Some(value)) => {
            members.insert(name, value);
        }
        (Some(Value::Object(members)), None) => {
            members.remove(&name);
        }
        (Some(Value::Array(elements)), Some(value)) => {
            let element = name.parse().ok().and_then(|at: usize| elements.get_mut(at));
            if let Some(element) = element {
                *element = value;
            }
        }
        _ => {}
    }
}

/// Puts a mask in the place of each value of a Secret that may be secret: another one on either
/// side where they differ.
fn mask(live: &mut Option<Value>, desired: &mut Option<Value>) {
    for top in ["/data", "/stringData", "/metadata/annotations"] {
        let of = |object: &Option<Value>| object.as_ref()?.pointer(top).cloned();
        let (before, after) = (of(live), of(desired));
        let masked = |own: &Option<Value>, other: &Option<Value>, changed: &str| {
            let own = own.as_ref()?;
            Some(masked_members(top, own, other.as_ref(), changed))
        };
        let masks = [
            (live.as_mut(), masked(&before, &after, MASK_BEFORE)),
            (desired.as_mut(), masked(&after, &before, MASK_AFTER)),
        ];
        for (object, value) in masks {
            if let (Some(object), Some(value)) = (object, value) {
                put(object, top, Some(value));
            }
        }
    }
    // Metadata of another type may be anything.
    for object in [live, desired].into_iter().flatten() {
        let is_object = object.get("metadata").is_none_or(Value::is_object);
        if !is_object {
            put(object, "/metadata", Some(MASK.into()));
        }
    }
}

fn masked_members(top: &str, own: &Value, other: Option<&Value>, changed: &str) -> Value {
    let Value::Object(members) = own else {
        return MASK.into();
    };
    let is_open = |name: &String| {
        let token = name.replace('~', "~0").replace('/', "~1");
        !is_confidential(&format!("{top}/{token}"))
    };
    let masked = members.iter().map(|(name, value)| {
        let other = other.and_then(|other| other.get(name));
        let shown = match other {
            _ if is_open(name) => value.clone(),
            Some(other) if other != value => changed.into(),
            _ => MASK.into(),
        };
        (name.clone(), shown)
    });
    masked.collect::<Map<String, Value>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_a_secret_are_masked_and_what_differs_is_told() {
        let secret = |value: &str| {
            json!({
                "metadata": {
                    "name": "cart",
                    "managedFields": [],
                    "annotations": {"a": "same", "b": value, "argocd.argoproj.io/sync-wave": "1"},
                },
                "data": {"same": "c2FtZQ==", "password": value},
            })
        };
        let (live, mut desired) = (secret("b2xk"), secret("bmV3"));
        desired["data"]["added"] = json!("YWRkZWQ=");
        let sides = Sides::new(Some(&live), Some(&desired), true);
        assert_eq!(
            sides.live().unwrap(),
            json!({
                "metadata": {
                    "name": "cart",
                    "annotations": {"a": "***", "b": "*** (before)", "argocd.argoproj.io/sync-wave": "1"},
                },
                "data": {"same": "***", "password": "*** (before)"},
            })
        );
        assert_eq!(
            sides.desired().unwrap()["data"],
            json!({"same": "***", "password": "*** (after)", "added": "***"})
        );
        for wrong in [
            json!({"data": "b2xk"}),
            json!({"metadata": "b2xk"}),
            json!({"metadata": {"annotations": "b2xk"}}),
            json!({"stringData": ["b2xk"]}),
        ] {
            let sides = Sides::new(Some(&wrong), None, true);
            let text = sides.live().unwrap().to_string();
            assert!(!text.contains("b2xk"), "{text}");
        }
    }

    #[test]
    fn a_difference_that_nobody_asked_for_is_left_out() {
        let live = json!({"spec": {"replicas": 5, "paused": true, "ports": [{"port": 1}]}});
        let desired = json!({"spec": {"replicas": 2, "ports": [{"port": 2}]}});
        let mut sides = Sides::new(Some(&live), Some(&desired), false);
        let field = |pointer: &str| FieldDrift {
            pointer: pointer.to_owned(),
            desired: desired.pointer(pointer).cloned(),
            live: live.pointer(pointer).cloned(),
            cause: crate::drift::Cause::Unknown,
            managers: Vec::new(),
            person: None,
            masked: false,
        };
        let fields = [field("/spec/replicas"), field("/spec/paused")];
        sides.leave_out(fields.iter());
        assert_eq!(
            sides.desired().unwrap(),
            json!({"spec": {"replicas": 5, "paused": true, "ports": [{"port": 2}]}})
        );
        sides.leave_out([field("/spec/ports/0/port")].iter());
        assert_eq!(sides.desired().unwrap(), live);
    }
}
