//! Decoding within bounds: what a document is made into may take no more memory than it is given.
//!
//! Whoever may write an object decides on what is in its lists and maps, and three bytes of JSON
//! can become hundreds in memory. [`Limited`] stands between a document and the types that it is
//! read into, and charges for every place in a list and every entry of a map, by the size of what
//! is put there, before it is read. Nothing has to be known of the types, so that a new field is
//! charged for as well.

use std::fmt;
use std::mem::size_of;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor,
};

use golang::work::Work;

/// Entries of a node of a `BTreeMap`, which are there as soon as the map has one.
const NODE: usize = 11;
/// Places of a `Vec` that are there as soon as it has an item.
const FIRST_PLACES: usize = 4;
/// How much more room a list or a map has than it needs, at most: both grow twofold.
const GROWTH: usize = 2;
/// What an allocator adds to a piece of memory, and the least that it hands out.
const PIECE: usize = 32;

/// The name under which `serde_json` asks for the text of a value instead of the value.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// A deserializer that charges for what is read from it, in bytes of memory.
///
/// Charged is the most that lists, maps and what they hold can take while they grow. Not charged
/// are the characters of strings, which together are never longer than the document.
pub struct Limited<'l, D> {
    inner: D,
    memory: &'l Work,
}

impl<'l, D> Limited<'l, D> {
    /// Charges `memory` for what is read from a deserializer.
    pub fn new(inner: D, memory: &'l Work) -> Self {
        Limited { inner, memory }
    }

    fn visitor<V>(&self, visitor: V, container: Container) -> LimitedVisitor<'l, V> {
        LimitedVisitor {
            inner: visitor,
            memory: self.memory,
            container,
        }
    }
}

/// Reads JSON within `memory` bytes.
///
/// # Errors
/// The text is not JSON, of another type, or takes more memory.
pub fn from_json<'de, T: Deserialize<'de>>(
    json: &'de str,
    memory: &Work,
) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = T::deserialize(Limited::new(&mut deserializer, memory))?;
    deserializer.end()?;
    Ok(value)
}

fn charge<E: Error>(memory: &Work, bytes: usize) -> Result<(), E> {
    memory
        .spend(u64::try_from(bytes).unwrap_or(u64::MAX))
        .map_err(|_| E::custom("expected fewer entries: they take too much memory"))
}

/// What is read from an object.
#[derive(Clone, Copy)]
enum Container {
    /// Its fields have their places in it.
    Struct,
    /// Its entries get places as they come.
    Map,
}

macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*) $container:ident;)+) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.visitor(visitor, Container::$container);
            self.inner.$method($($argument,)* visitor)
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Limited<'_, D> {
    type Error = D::Error;

    forward! {
        deserialize_any() Map;
        deserialize_bool() Map;
        deserialize_i8() Map;
        deserialize_i16() Map;
        deserialize_i32() Map;
        deserialize_i64() Map;
        deserialize_i128() Map;
        deserialize_u8() Map;
        deserialize_u16() Map;
        deserialize_u32() Map;
        deserialize_u64() Map;
        deserialize_u128() Map;
        deserialize_f32() Map;
        deserialize_f64() Map;
        deserialize_char() Map;
        deserialize_str() Map;
        deserialize_string() Map;
        deserialize_bytes() Map;
        deserialize_byte_buf() Map;
        deserialize_option() Map;
        deserialize_unit() Map;
        deserialize_unit_struct(name: &'static str) Map;
        deserialize_seq() Map;
        deserialize_tuple(length: usize) Map;
        deserialize_tuple_struct(name: &'static str, length: usize) Map;
        deserialize_map() Map;
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) Map;
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        // It may have a piece of memory of its own.
        charge(self.memory, size_of::<V::Value>())?;
        let visitor = self.visitor(visitor, Container::Struct);
        self.inner.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if name == RAW_VALUE {
            charge(self.memory, PIECE)?;
            return self.inner.deserialize_newtype_struct(name, visitor);
        }
        let visitor = self.visitor(visitor, Container::Map);
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    // Names of fields and what nobody reads are kept nowhere.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_identifier(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_ignored_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

struct LimitedVisitor<'l, V> {
    inner: V,
    memory: &'l Work,
    container: Container,
}

macro_rules! forward_scalar {
    ($($method:ident($type:ty);)+) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<Self::Value, E> {
            self.inner.$method(value)
        }
    )+};
}

macro_rules! forward_text {
    ($($method:ident($type:ty);)+) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<Self::Value, E> {
            charge(self.memory, if value.is_empty() { 0 } else { PIECE })?;
            self.inner.$method(value)
        }
    )+};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for LimitedVisitor<'_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    forward_scalar! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
    }

    forward_text! {
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.inner
            .visit_some(Limited::new(deserializer, self.memory))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        self.inner
            .visit_newtype_struct(Limited::new(deserializer, self.memory))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        self.inner.visit_seq(LimitedItems {
            inner: items,
            memory: self.memory,
            places: FIRST_PLACES,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        self.inner.visit_map(LimitedEntries {
            inner: entries,
            memory: self.memory,
            places: match self.container {
                Container::Struct => GROWTH,
                Container::Map => NODE,
            },
            key: 0,
        })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<Self::Value, A::Error> {
        self.inner.visit_enum(variant)
    }
}

struct LimitedItems<'l, A> {
    inner: A,
    memory: &'l Work,
    /// For how many places the next item is charged.
    places: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for LimitedItems<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        let places = std::mem::replace(&mut self.places, GROWTH);
        self.inner.next_element_seed(LimitedSeed {
            inner: seed,
            memory: self.memory,
            places,
            beside: 0,
        })
    }
}

struct LimitedEntries<'l, A> {
    inner: A,
    memory: &'l Work,
    /// For how many places the next entry is charged.
    places: usize,
    /// The size of its key.
    key: usize,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for LimitedEntries<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        self.key = size_of::<K::Value>();
        self.inner.next_key_seed(LimitedSeed {
            inner: seed,
            memory: self.memory,
            places: 0,
            beside: 0,
        })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        let places = std::mem::replace(&mut self.places, GROWTH);
        self.inner.next_value_seed(LimitedSeed {
            inner: seed,
            memory: self.memory,
            places,
            beside: self.key,
        })
    }
}

/// What is put into a list or a map.
struct LimitedSeed<'l, T> {
    inner: T,
    memory: &'l Work,
    /// How many places it is charged for.
    places: usize,
    /// What stands beside it in each of them, in bytes.
    beside: usize,
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for LimitedSeed<'_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        let place = size_of::<T::Value>() + self.beside;
        charge(self.memory, place.saturating_mul(self.places))?;
        self.inner
            .deserialize(Limited::new(deserializer, self.memory))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::de::IgnoredAny;
    use serde_json::Value;

    use super::*;

    /// What reading a text is charged.
    fn charged<'de, T: Deserialize<'de>>(json: &'de str) -> usize {
        let limit = 1 << 30;
        let memory = Work::new(limit);
        from_json::<T>(json, &memory).unwrap();
        usize::try_from(limit - memory.left()).unwrap()
    }

    #[test]
    fn every_place_of_a_list_is_charged_by_its_size() {
        assert_eq!(charged::<Vec<u64>>("[]"), 0);
        assert_eq!(charged::<Vec<u64>>("[1]"), 4 * 8);
        assert_eq!(charged::<Vec<u64>>("[1,2,3]"), (4 + 2 + 2) * 8);
        assert_eq!(charged::<Vec<[u64; 2]>>("[[1,2]]"), 4 * 16 + (4 + 2) * 8);
    }

    #[test]
    fn a_map_is_charged_for_a_node_at_once() {
        let entry = size_of::<String>() + 1;
        assert_eq!(charged::<BTreeMap<String, bool>>("{}"), 0);
        assert_eq!(
            charged::<BTreeMap<String, bool>>(r#"{"a":true,"b":true}"#),
            (11 + 2) * entry + 2 * PIECE
        );
    }

    #[test]
    fn what_nobody_reads_costs_nothing() {
        assert_eq!(charged::<IgnoredAny>(r#"[{"a":[1,2,"x"]},{}]"#), 0);
        assert_eq!(charged::<Vec<IgnoredAny>>(r#"[{"a":[1,2,"x"]},{}]"#), 0);
    }

    #[test]
    fn what_is_beyond_the_limit_is_not_read() {
        let memory = Work::new(1000);
        let error = from_json::<Value>(r#"[{"a":1},{"a":1}]"#, &memory).unwrap_err();
        assert!(error.to_string().starts_with("expected fewer entries"));
        let json = "[".repeat(100) + &"]".repeat(100);
        assert!(from_json::<Value>(&json, &Work::new(1000)).is_err());
        assert!(from_json::<Value>(&json, &Work::new(20_000)).is_ok());
    }
}
