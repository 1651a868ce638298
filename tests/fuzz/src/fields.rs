//! Which fields a type reads, as it tells whoever lets it read.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::value::StrDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// A step from a value to one in it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Step {
    /// To a field of an object.
    Field(String),
    /// To an item of a list.
    Item,
    /// To an entry of a map.
    Entry,
}

/// What is read from a field.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Shape {
    Text,
    Scalar,
    List,
    Map,
    Object,
    /// Any JSON.
    Any,
}

/// Something that is read, and the way to it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Field {
    pub(crate) path: Vec<Step>,
    pub(crate) shape: Shape,
}

/// All that a type reads. It is asked itself, by letting it read a document that has whatever it
/// asks for.
pub(crate) fn fields<T: Deserialize<'static>>() -> BTreeSet<Field> {
    let found = RefCell::new(BTreeSet::new());
    let explorer = Explorer {
        path: Vec::new(),
        found: &found,
    };
    if let Err(error) = T::deserialize(explorer) {
        panic!("it does not read what it asks for: {error}");
    }
    found.into_inner()
}

/// A document that has whatever is asked for.
struct Explorer<'f> {
    path: Vec<Step>,
    found: &'f RefCell<BTreeSet<Field>>,
}

impl<'f> Explorer<'f> {
    fn find(&self, shape: Shape) {
        self.found.borrow_mut().insert(Field {
            path: self.path.clone(),
            shape,
        });
    }

    fn below(&self, step: Step) -> Explorer<'f> {
        let mut path = self.path.clone();
        path.push(step);
        Explorer {
            path,
            found: self.found,
        }
    }
}

macro_rules! scalars {
    ($($method:ident $visit:ident($($value:expr)?);)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            self.find(Shape::Scalar);
            visitor.$visit($($value)?)
        }
    )+};
}

impl<'de> Deserializer<'de> for Explorer<'_> {
    type Error = serde_json::Error;

    scalars! {
        deserialize_bool visit_bool(false);
        deserialize_i8 visit_i64(0);
        deserialize_i16 visit_i64(0);
        deserialize_i32 visit_i64(0);
        deserialize_i64 visit_i64(0);
        deserialize_u8 visit_u64(0);
        deserialize_u16 visit_u64(0);
        deserialize_u32 visit_u64(0);
        deserialize_u64 visit_u64(0);
        deserialize_f32 visit_f64(0.0);
        deserialize_f64 visit_f64(0.0);
        deserialize_unit visit_unit();
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        // What somebody asks for who takes anything is in what he expects.
        let expected: &dyn serde::de::Expected = &visitor;
        match expected.to_string().as_str() {
            "a string" => self.deserialize_str(visitor),
            "a map of strings" => self.deserialize_map(visitor),
            "any valid JSON value" => {
                self.find(Shape::Any);
                visitor.visit_unit()
            }
            other => panic!("{:?}: it is not known how to write {other}", self.path),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.find(Shape::Text);
        visitor.visit_borrowed_str("")
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.find(Shape::List);
        visitor.visit_seq(OneItem(Some(self.below(Step::Item))))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.find(Shape::Map);
        visitor.visit_map(Entries {
            names: [("key", self.below(Step::Entry))].into_iter(),
            value: None,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.find(Shape::Object);
        let fields = fields.iter();
        let below = fields.map(|name| (*name, self.below(Step::Field((*name).to_owned()))));
        visitor.visit_map(Entries {
            names: below,
            value: None,
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        // So `serde_json` asks for the text of a value.
        if !name.starts_with("$serde_json") {
            return visitor.visit_newtype_struct(self);
        }
        self.find(Shape::Any);
        let mut null = serde_json::Deserializer::from_str("null");
        null.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit_struct tuple tuple_struct enum identifier
    }
}

struct OneItem<'f>(Option<Explorer<'f>>);

impl<'de> SeqAccess<'de> for OneItem<'_> {
    type Error = serde_json::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Self::Error> {
        let item = self.0.take();
        item.map(|item| seed.deserialize(item)).transpose()
    }
}

struct Entries<'f, I> {
    names: I,
    value: Option<Explorer<'f>>,
}

impl<'de, 'f, I: Iterator<Item = (&'static str, Explorer<'f>)>> MapAccess<'de> for Entries<'f, I> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        let Some((name, value)) = self.names.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, Self::Error> {
        let value = self.value.take();
        seed.deserialize(value.expect("a key comes before its value"))
    }
}
