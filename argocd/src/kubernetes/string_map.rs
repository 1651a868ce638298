//! Maps of strings that borrow from the document they were read from.

use std::collections::BTreeMap;
use std::fmt;

use golang::json::Text;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::names::LAST_APPLIED;

/// Labels or annotations.
///
/// Of `kubectl.kubernetes.io/last-applied-configuration` only that it is there is kept: no rule
/// reads its value, which is often larger than the rest of the object, and on a Secret repeats the
/// credentials in the clear.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StringMap<'a>(BTreeMap<Text<'a>, Text<'a>>);

impl StringMap<'_> {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(Text::as_str)
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The same entries, independent of the document.
    pub fn into_owned(self) -> StringMap<'static> {
        let owned = |(key, value): (Text<'_>, Text<'_>)| (key.into_owned(), value.into_owned());
        StringMap(self.0.into_iter().map(owned).collect())
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a, K: Into<Text<'a>>, V: Into<Text<'a>>> FromIterator<(K, V)> for StringMap<'a> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        StringMap(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .map(|(key, value): (Text<'a>, Text<'a>)| {
                    let value = if key == LAST_APPLIED {
                        Text::default()
                    } else {
                        value
                    };
                    (key, value)
                })
                .collect(),
        )
    }
}

struct StringMapVisitor;

impl<'de> Visitor<'de> for StringMapVisitor {
    type Value = StringMap<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of strings")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut entries = BTreeMap::new();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if key == LAST_APPLIED {
                map.next_value::<IgnoredAny>()?;
                entries.insert(key, Text::default());
            } else {
                entries.insert(key, map.next_value()?);
            }
        }
        Ok(StringMap(entries))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(StringMap::default())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for StringMap<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StringMapVisitor)
    }
}
