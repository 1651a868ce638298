//! Lists and maps that have something many times.

use allocation_counter::measure;
use gitops_webhook::admission_review::request::Review;
use serde_json::{Map, Value};

use crate::hostile::{DECODED_RATIO, JUDGED_MEMORY, judge};

/// How many of the lists and maps of one input are tried.
const PLACES: usize = 12;

/// How large an input is made, in bytes.
const SIZE: usize = 8 << 10;

/// The input is a review. Each list and each map in its object gets its first entry again and
/// again, and what that takes must be bounded by its length.
pub fn repeated_entries(input: &[u8]) {
    let Ok(review) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    let Some(object) = review.pointer("/request/object") else {
        return;
    };
    let mut places = Vec::new();
    find_places("/request/object", object, &mut places);
    for place in places {
        let mut repeated = review.clone();
        if let Some(value) = repeated.pointer_mut(&place) {
            repeat(value);
        }
        let body = repeated.to_string().into_bytes();
        let length = body.len() as u64;
        let decoded = measure(|| drop(Review::from_json(&body))).bytes_max;
        assert!(
            decoded <= DECODED_RATIO * length,
            "{decoded} bytes are decoded from {length}: {place}"
        );
        let judged = measure(|| judge(&body)).bytes_max;
        assert!(judged <= JUDGED_MEMORY, "{judged} bytes: {place}");
    }
}

fn find_places(pointer: &str, value: &Value, places: &mut Vec<String>) {
    if places.len() >= PLACES {
        return;
    }
    match value {
        Value::Array(items) if !items.is_empty() => {
            places.push(pointer.to_owned());
            find_places(&format!("{pointer}/0"), &items[0], places);
        }
        Value::Object(members) => {
            places.push(pointer.to_owned());
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                find_places(&format!("{pointer}/{name}"), member, places);
            }
        }
        _ => {}
    }
}

fn repeat(value: &mut Value) {
    match value {
        Value::Array(items) => {
            let Some(item) = items.first().cloned() else {
                return;
            };
            let times = SIZE / (1 + item.to_string().len());
            items.extend(vec![item; times]);
        }
        Value::Object(members) => {
            let member = members.values().next().cloned().unwrap_or_default();
            let times = SIZE / (8 + member.to_string().len());
            let more: Map<String, Value> = (0..times)
                .map(|index| (format!("{index:x}"), member.clone()))
                .collect();
            members.extend(more);
        }
        _ => {}
    }
}
