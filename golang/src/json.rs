//! JSON as Go's `encoding/json` reads it.
//!
//! Fields are read by serde, which has rules of its own. What is here makes a field follow Go's:
//! `null` leaves the zero value, a struct is read from an object only. [`members`] is for what is
//! read by hand, and [`Text`] for strings that borrow from the document.

pub mod members;
mod text;

pub use text::Text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A struct that is read from an object only, or from `null`, which is its zero value. What serde
/// derives would also take a list, as a tuple of the fields in their order, which Go and the API
/// server refuse.
struct StructFromObject<T>(T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for StructFromObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(StructVisitor(PhantomData))
    }
}

struct StructVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for StructVisitor<T> {
    type Value = StructFromObject<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(OBJECT)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        T::deserialize(ObjectOnly(deserializer)).map(StructFromObject)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(StructFromObject(T::default()))
    }
}

/// What is expected where an error says so.
const OBJECT: &str = "an object";

/// A deserializer that gives a struct its fields from an object only. The names of the fields reach
/// whatever is beneath it, so that what is read can be told from outside.
struct ObjectOnly<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ObjectOnly<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let Self(deserializer) = self;
        deserializer.deserialize_struct(name, fields, ObjectOnly(visitor))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(ObjectOnly(visitor))
    }

    /// The text of the value, for what keeps it as it is written and looks at it itself.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for ObjectOnly<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(OBJECT)
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
        self.0.visit_map(map)
    }
}

/// For a field that is a Go struct: an object, or `null` for its zero value.
pub fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    StructFromObject::deserialize(deserializer).map(|StructFromObject(object)| object)
}

/// For a field that is a pointer to a Go struct: an object, or `null` for none.
pub fn optional_object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    let object: Option<StructFromObject<T>> = Option::deserialize(deserializer)?;
    Ok(object.map(|StructFromObject(object)| object))
}

/// For a field that is a list of Go structs; `null` is an empty list.
pub fn objects<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(optional_objects(deserializer)?.unwrap_or_default())
}

/// For a list of Go structs that is read as a set, in which each has one place however often it
/// comes; `null` is an empty one.
pub fn object_set<'de, D, T>(deserializer: D) -> Result<BTreeSet<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default + Ord,
{
    deserializer.deserialize_option(ObjectSetVisitor(PhantomData))
}

struct ObjectSetVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default + Ord> Visitor<'de> for ObjectSetVisitor<T> {
    type Value = BTreeSet<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of objects")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut set = BTreeSet::new();
        while let Some(StructFromObject(item)) = items.next_element()? {
            set.insert(item);
        }
        Ok(set)
    }
}

/// For fields that Go leaves at their zero value when the document says `null`.
pub fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// For a list of Go structs of which it matters whether it is there; `null` is none.
pub fn optional_objects<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    let objects: Option<Vec<StructFromObject<T>>> = Option::deserialize(deserializer)?;
    Ok(objects.map(|objects| {
        objects
            .into_iter()
            .map(|StructFromObject(object)| object)
            .collect()
    }))
}

/// For a field of which it matters only that it is there; `null` is not.
pub fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<IgnoredAny>::deserialize(deserializer).map(|value| value.is_some())
}

/// For a list of strings. Go reads a `null` in it as an empty string.
pub fn strings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let strings: Option<Vec<Option<String>>> = Option::deserialize(deserializer)?;
    let strings = strings.unwrap_or_default().into_iter();
    Ok(strings.map(Option::unwrap_or_default).collect())
}

/// For a map of strings. Go reads a `null` in it as an empty string.
pub fn string_map<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_option(OwnedStringMapVisitor)
}

struct OwnedStringMapVisitor;

impl<'de> Visitor<'de> for OwnedStringMapVisitor {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of strings")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Option<String>>()? {
            entries.insert(key, value.unwrap_or_default());
        }
        Ok(entries)
    }
}
