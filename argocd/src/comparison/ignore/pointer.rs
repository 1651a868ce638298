//! JSON Pointers as Argo CD removes them: with its JSON Patch library's `remove`.

use serde_json::Value;

/// Removes what a pointer points at. Whatever does not exist is ignored in silence, and so is a
/// pointer without a slash. What stands before the first slash is not looked at (json-patch,
/// `findObject`).
pub(in crate::comparison) fn remove(object: &mut Value, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        return;
    };
    let parent = parent
        .split('/')
        .skip(1)
        .try_fold(object, |value, segment| child(value, &unescape(segment)));
    let last = unescape(last);
    match parent {
        Some(Value::Object(members)) => {
            members.remove(&last);
        }
        Some(Value::Array(items)) => {
            if let Some(index) = index(&last, items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

fn child<'v>(value: &'v mut Value, segment: &str) -> Option<&'v mut Value> {
    match value {
        Value::Object(members) => members.get_mut(segment),
        Value::Array(items) => {
            let index = index(segment, items.len())?;
            items.get_mut(index)
        }
        _ => None,
    }
}

/// An index into a list, as Go's `strconv.Atoi` reads it; a negative one counts from its end.
fn index(segment: &str, length: usize) -> Option<usize> {
    let index: isize = segment.parse().ok()?;
    let index = match usize::try_from(index) {
        Ok(index) => index,
        Err(_) => length.checked_sub(index.unsigned_abs())?,
    };
    (index < length).then_some(index)
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn without(pointer: &str) -> Value {
        let mut object = json!({"spec": {"replicas": 1, "list": [1, 2, 3], "a/b": 1}});
        remove(&mut object, pointer);
        object
    }

    #[test]
    fn removes_members_and_items() {
        assert_eq!(without("/spec"), json!({}));
        assert_eq!(without("/spec/list/-1")["spec"]["list"], json!([1, 2]));
        assert_eq!(without("/spec/list/0")["spec"]["list"], json!([2, 3]));
        assert_eq!(without("/spec/list/-0")["spec"]["list"], json!([2, 3]));
        assert_eq!(without("/spec/list/+01")["spec"]["list"], json!([1, 3]));
        assert!(without("/spec/a~1b")["spec"].get("a/b").is_none());
    }

    /// A pointer with a leading space had been believed to point at nothing.
    #[test]
    fn what_stands_before_the_first_slash_does_not_matter() {
        for pointer in [" /spec", "\t/spec", "#/spec", "x~1y/spec"] {
            assert_eq!(without(pointer), json!({}), "{pointer}");
        }
    }

    #[test]
    fn ignores_what_is_not_there_or_not_a_pointer() {
        let untouched = without("");
        for pointer in [
            "spec/replicas",
            "/spec/missing",
            "/spec/list/9",
            "/spec/list/-9",
            "/spec/list/-+1",
            "/spec/list/1_0",
            "/spec/list/0/x",
            "/spec/replicas/",
            "//spec",
            "/spec ",
            "/",
            "/spec/-",
        ] {
            assert_eq!(without(pointer), untouched, "{pointer}");
        }
    }
}
