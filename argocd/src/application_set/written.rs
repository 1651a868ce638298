//! JSON that is kept as it is written until it is needed. As text it takes no more memory than the
//! document, and as a tree up to a hundred times as much.

use std::fmt;

use golang::work::Work;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, SeqAccess, Visitor,
};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::limited;

/// How deep JSON may be nested, as anywhere else.
const DEPTH_LIMIT: usize = 127;

/// Memory for a value that is compared with another one, in bytes.
const COMPARED_MEMORY: u64 = 4 << 20;

/// Any JSON, as its document has it.
#[derive(Clone, Debug)]
pub(super) struct Written(Box<RawValue>);

impl Default for Written {
    fn default() -> Self {
        Written(RawValue::NULL.to_owned())
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        if depth(text.get()) > DEPTH_LIMIT {
            return Err(D::Error::custom("recursion limit exceeded"));
        }
        Ok(Written(text))
    }
}

impl Written {
    /// The text.
    pub(super) fn text(&self) -> &str {
        self.0.get()
    }

    pub(super) fn is_null(&self) -> bool {
        self.text() == "null"
    }

    /// What is written, as any type.
    ///
    /// # Errors
    /// It is of another type, or takes more than `memory`.
    pub(super) fn read<'s, T: Deserialize<'s>>(
        &'s self,
        memory: &Work,
    ) -> Result<T, serde_json::Error> {
        limited::from_json(self.text(), memory)
    }

    /// The value, to be compared; none if it takes too much memory.
    pub(super) fn compared(&self) -> Option<Value> {
        self.read(&Work::new(COMPARED_MEMORY)).ok()
    }
}

/// A list of any JSON, as its document has it; `null` is an empty one.
#[derive(Clone, Debug, Default)]
pub(super) struct WrittenList(Written);

impl<'de> Deserialize<'de> for WrittenList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        if written.is_null() || written.text().starts_with('[') {
            return Ok(WrittenList(written));
        }
        Err(D::Error::custom("invalid type: expected a list"))
    }
}

impl WrittenList {
    /// The items; none if there are more of them than `limit`.
    pub(super) fn items(&self, limit: usize) -> Option<Vec<&RawValue>> {
        if self.0.is_null() {
            return Some(Vec::new());
        }
        let mut deserializer = serde_json::Deserializer::from_str(self.0.text());
        Items(limit).deserialize(&mut deserializer).ok()?
    }
}

impl PartialEq for WrittenList {
    /// Equal in meaning, unless it takes too much to find out.
    fn eq(&self, other: &Self) -> bool {
        const LIMIT: usize = 100_000;
        let same = |(one, other): (&&RawValue, &&RawValue)| {
            let read = |item: &RawValue| {
                limited::from_json::<Value>(item.get(), &Work::new(COMPARED_MEMORY)).ok()
            };
            one.get() == other.get()
                || matches!((read(one), read(other)), (Some(one), Some(other)) if one == other)
        };
        self.0.text() == other.0.text()
            || match (self.items(LIMIT), other.items(LIMIT)) {
                (Some(own), Some(others)) => {
                    own.len() == others.len() && own.iter().zip(&others).all(same)
                }
                _ => false,
            }
    }
}

/// Reads the items of a list, up to so many.
struct Items(usize);

impl<'de> DeserializeSeed<'de> for Items {
    type Value = Option<Vec<&'de RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            if items.len() == self.0 {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            items.push(item);
        }
        Ok(Some(items))
    }
}

/// How deep lists and objects are nested in valid JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut in_string = false;
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => drop(bytes.next()),
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(json: &str) -> WrittenList {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn lists_are_compared_by_what_they_mean() {
        assert_eq!(list(r#"[{"a": 1,"b":2}]"#), list(r#"[{"b":2, "a":1}]"#));
        assert_eq!(list("null"), list("[]"));
        assert_ne!(list("[1]"), list("[1,1]"));
        assert_ne!(list("[1]"), list("[2]"));
        assert!(serde_json::from_str::<WrittenList>("{}").is_err());
    }

    #[test]
    fn no_more_items_are_read_than_are_asked_for() {
        assert_eq!(list("[1,2]").items(2).unwrap().len(), 2);
        assert!(list("[1,2,3]").items(2).is_none());
    }

    #[test]
    fn what_is_nested_too_deeply_is_not_read() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        for depth in [1, DEPTH_LIMIT] {
            assert!(serde_json::from_str::<Written>(&nested(depth)).is_ok());
            assert!(serde_json::from_str::<Value>(&nested(depth)).is_ok());
        }
        assert!(serde_json::from_str::<Value>(&nested(DEPTH_LIMIT + 1)).is_err());
        for depth in [DEPTH_LIMIT + 1, 100_000] {
            assert!(serde_json::from_str::<Written>(&nested(depth)).is_err());
        }
        assert_eq!(depth(r#"{"a[{\"[":["]"]}"#), 2);
    }
}
