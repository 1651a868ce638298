//! Random edits that a seed brings about again.

use serde_json::{Map, Value, json};

/// Numbers that follow from a seed (Marsaglia's xorshift).
pub(crate) struct Random(u64);

/// What nobody edits: what an object is, and what the API server writes.
const FIXED: [&str; 5] = [
    "/apiVersion",
    "/kind",
    "/metadata",
    "/status",
    "/spec/selector",
];

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        // Small seeds are alike at first.
        for _ in 0..8 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below another one, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        usize::try_from(self.next() % limit).unwrap_or_default()
    }

    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        (!all.is_empty()).then(|| &all[self.below(all.len())])
    }

    /// Edits a random place of an object, and says where and how.
    pub(crate) fn edit(&mut self, object: &mut Value) -> Option<String> {
        if self.below(6) == 0 {
            return Some(self.edit_metadata(object));
        }
        let mut places = Vec::new();
        collect(object, String::new(), &mut places);
        let place = self.one_of(&places)?.clone();
        let how = self.change(object.pointer_mut(&place)?);
        if how == "remove" {
            remove(object, &place);
        }
        Some(format!("{how} {place}"))
    }

    /// Labels and annotations, some of which are as Argo CD wants them.
    fn edit_metadata(&mut self, object: &mut Value) -> String {
        let (map, name) = match self.below(4) {
            0 => ("labels", "team"),
            1 => ("labels", "other"),
            2 => ("annotations", "example.com/owner"),
            _ => ("annotations", "example.com/other"),
        };
        let members = object["metadata"][map].as_object_mut();
        if self.below(2) == 0
            && let Some(members) = members
            && members.remove(name).is_some()
        {
            return format!("remove {map} {name}");
        }
        object["metadata"][map][name] = json!("edited");
        format!("set {map} {name}")
    }

    fn change(&mut self, value: &mut Value) -> &'static str {
        if self.below(4) == 0 {
            return "remove";
        }
        match value {
            Value::Bool(is) => *value = json!(!*is),
            Value::Number(number) => *value = json!(number.as_i64().unwrap_or_default() + 1),
            Value::String(text) => return Self::change_text(text),
            Value::Array(values) => return self.change_list(values),
            Value::Object(members) => return self.change_map(members),
            Value::Null => *value = json!("edited"),
        }
        "change"
    }

    fn change_text(text: &mut String) -> &'static str {
        let other = match text.as_str() {
            "64Mi" => "65536Ki",
            "65536Ki" | "1Gi" => "64Mi",
            "100m" => "0.1",
            "1" => "1000m",
            "TCP" => "UDP",
            "Always" => "IfNotPresent",
            "IfNotPresent" => "Never",
            "RollingUpdate" => "OnDelete",
            _ => "",
        };
        if other.is_empty() {
            text.push('x');
            return "append to";
        }
        other.clone_into(text);
        "write otherwise"
    }

    fn change_list(&mut self, values: &mut Vec<Value>) -> &'static str {
        match self.below(4) {
            0 if values.len() > 1 => {
                values.reverse();
                "reverse"
            }
            1 if values.len() > 1 => {
                let at = self.below(values.len());
                values.remove(at);
                "remove an element of"
            }
            2 => {
                let at = self.below(values.len() + 1);
                if let Some(new) = self.element(values) {
                    values.insert(at, new);
                }
                "insert an element into"
            }
            _ => {
                let new = self.element(values);
                values.extend(new);
                "append an element to"
            }
        }
    }

    /// One like another, by another name.
    fn element(&mut self, values: &[Value]) -> Option<Value> {
        let mut new = self.one_of(values)?.clone();
        match &mut new {
            Value::String(text) => text.push('y'),
            Value::Number(number) => new = json!(number.as_i64().unwrap_or_default() + 1000),
            Value::Object(members) => {
                for name in ["name", "mountPath"] {
                    if let Some(Value::String(text)) = members.get_mut(name) {
                        text.push('y');
                    }
                }
                for name in ["containerPort", "port", "nodePort"] {
                    if let Some(port) = members.get(name).and_then(Value::as_i64) {
                        members.insert(name.to_owned(), json!(port + 1000));
                    }
                }
            }
            _ => {}
        }
        Some(new)
    }

    fn change_map(&mut self, members: &mut Map<String, Value>) -> &'static str {
        let is_of_texts = !members.is_empty() && members.values().all(Value::is_string);
        if is_of_texts && self.below(2) == 0 {
            members.insert("added".to_owned(), json!("ZWRpdGVk"));
            return "add to";
        }
        let names: Vec<String> = members.keys().cloned().collect();
        if let Some(name) = self.one_of(&names) {
            members.remove(name);
        }
        "remove a member of"
    }
}

/// All places that may be edited.
fn collect(value: &Value, pointer: String, places: &mut Vec<String>) {
    if FIXED.contains(&pointer.as_str()) {
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(value, format!("{pointer}/{name}"), places);
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                collect(value, format!("{pointer}/{at}"), places);
            }
        }
        _ => {}
    }
    if !pointer.is_empty() {
        places.push(pointer);
    }
}

fn remove(object: &mut Value, pointer: &str) {
    let Some((above, name)) = pointer.rsplit_once('/') else {
        return;
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(above) {
        Some(Value::Object(members)) => {
            members.remove(&name);
        }
        Some(Value::Array(values)) => {
            if let Ok(at) = name.parse::<usize>()
                && at < values.len()
            {
                values.remove(at);
            }
        }
        _ => {}
    }
}
