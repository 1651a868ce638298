//! Who owns which fields, as `managedFields` has it.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::scheme::{ListType, Scheme, Type};

/// Fields, by the names that `FieldsV1` has for them: `f:` a member, `k:` and `v:` an item.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct FieldSet {
    /// Whether the field itself is one of them, and not only something in it.
    pub(super) itself: bool,
    below: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// Reads `fieldsV1`. What is not a field is passed over.
    fn read(fields: &Value) -> Self {
        let mut set = FieldSet::default();
        if let Some(members) = fields.as_object() {
            set.itself = members.is_empty() || members.contains_key(".");
            for (name, below) in members.iter().filter(|(name, _)| *name != ".") {
                set.below.insert(canonical(name), FieldSet::read(below));
            }
        }
        set
    }

    /// What the entries of an object's `managedFields` own together that are wanted.
    pub(super) fn of(object: &Value, wanted: impl Fn(&Value) -> bool) -> Self {
        let entries = object
            .pointer("/metadata/managedFields")
            .and_then(Value::as_array);
        let mut all = FieldSet::default();
        for entry in entries.into_iter().flatten().filter(|entry| wanted(entry)) {
            if let Some(fields) = entry.get("fieldsV1") {
                all.merge(FieldSet::read(fields));
            }
        }
        all.itself = false;
        all
    }

    /// Adds the fields of another.
    pub(super) fn merge(&mut self, other: FieldSet) {
        self.itself |= other.itself;
        for (name, below) in other.below {
            self.below.entry(name).or_default().merge(below);
        }
    }

    /// Whether there is no field in it.
    pub(super) fn is_empty(&self) -> bool {
        !self.itself && self.below.values().all(FieldSet::is_empty)
    }

    /// What is in a member or an item.
    pub(super) fn below(&self, name: &str) -> Option<&FieldSet> {
        self.below.get(name)
    }
}

/// A name whose JSON is written in one way.
fn canonical(name: &str) -> String {
    match name.get(..2) {
        Some(prefix @ ("k:" | "v:")) => match serde_json::from_str::<Value>(&name[2..]) {
            Ok(value) => format!("{prefix}{value}"),
            Err(_) => name.to_owned(),
        },
        _ => name.to_owned(),
    }
}

/// The name of a member.
pub(super) fn member(name: &str) -> String {
    format!("f:{name}")
}

/// How a value is owned: as a whole or by its parts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout<'s> {
    /// By the type of a built-in kind.
    Known(&'s Type, &'s ListType),
    /// As its owners have it.
    Owned(&'s FieldSet),
    /// Maps by their members, lists as a whole.
    Deduced,
    /// As a whole.
    Atomic,
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Items {
    /// They are not.
    Atomic,
    /// By their value.
    Set,
    /// By some of their fields.
    Map(Vec<String>),
}

const PLAIN: &ListType = &ListType::Default;

impl<'s> Layout<'s> {
    /// The layout of a type.
    pub(super) fn of(of: &'s Type) -> Self {
        Layout::Known(of, PLAIN)
    }

    fn resolved(self) -> Self {
        match self {
            Layout::Known(Type::Pointer(of), list) => Layout::Known(of, list).resolved(),
            Layout::Known(Type::Raw, _) => Layout::Deduced,
            other => other,
        }
    }

    /// Whether a map is owned by its members.
    pub(super) fn has_members(self) -> bool {
        match self.resolved() {
            Layout::Known(_, ListType::Atomic) | Layout::Atomic => false,
            Layout::Known(Type::Struct(number), _) => !Scheme::kubernetes().get(*number).atomic,
            Layout::Known(of, _) => matches!(of, Type::Map(_) | Type::ResourceList),
            Layout::Owned(fields) => !fields.below.is_empty(),
            Layout::Deduced => true,
        }
    }

    /// The layout of a member.
    pub(super) fn member(self, name: &str) -> Self {
        match self.resolved() {
            Layout::Known(Type::Struct(number), _) => {
                let field = Scheme::kubernetes().get(*number).exact_field(name);
                field.map_or(Layout::Atomic, |field| {
                    Layout::Known(&field.of, &field.list)
                })
            }
            Layout::Known(Type::Map(of), _) => Layout::Known(of, PLAIN),
            Layout::Known(..) | Layout::Atomic => Layout::Atomic,
            Layout::Owned(fields) => fields
                .below(&member(name))
                .map_or(Layout::Deduced, Layout::Owned),
            Layout::Deduced => Layout::Deduced,
        }
    }

    /// How the items of a list are told apart.
    pub(super) fn items(self) -> Items {
        match self.resolved() {
            Layout::Known(Type::List(_), ListType::Set) => Items::Set,
            Layout::Known(Type::List(_), ListType::Map(keys)) => {
                Items::Map(keys.iter().map(|key| (*key).to_owned()).collect())
            }
            Layout::Owned(fields) => {
                let mut names = fields.below.keys();
                names
                    .find_map(|name| match name.get(..2)? {
                        "v:" => Some(Items::Set),
                        "k:" => {
                            let key: Map<String, Value> = serde_json::from_str(&name[2..]).ok()?;
                            Some(Items::Map(key.keys().cloned().collect()))
                        }
                        _ => None,
                    })
                    .unwrap_or(Items::Atomic)
            }
            _ => Items::Atomic,
        }
    }

    /// The layout of an item.
    pub(super) fn item(self, name: &str) -> Self {
        match self.resolved() {
            Layout::Known(Type::List(of), _) => Layout::Known(of, PLAIN),
            Layout::Owned(fields) => fields.below(name).map_or(Layout::Deduced, Layout::Owned),
            _ => Layout::Deduced,
        }
    }
}

/// The name of an item; `None` if it lacks every field by which it is told apart.
pub(super) fn item(items: &Items, item: &Value) -> Option<String> {
    match items {
        Items::Atomic => None,
        Items::Set => Some(format!("v:{item}")),
        Items::Map(keys) => {
            let value = |name: &String| match item.get(name) {
                Some(value) => Some((name.clone(), value.clone())),
                // The one field of a key that has a default.
                None if name == "protocol" => Some((name.clone(), "TCP".into())),
                None => None,
            };
            let key: Map<String, Value> = keys.iter().filter_map(value).collect();
            (!key.is_empty()).then(|| format!("k:{}", Value::Object(key)))
        }
    }
}

/// What is wrong with a value of a type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Invalid {
    /// It has another type, or a field that its type does not have.
    Type,
    /// Two items of a list cannot be told apart.
    Duplicate,
}

/// Checks a value as structured-merge-diff does before it works with it.
pub(super) fn validate(value: &Value, layout: Layout<'_>) -> Result<(), Invalid> {
    let Layout::Known(of, _) = layout.resolved() else {
        return Ok(());
    };
    match (of, value) {
        (Type::Struct(number), Value::Object(members)) => {
            let of = Scheme::kubernetes().get(*number);
            members.iter().try_for_each(|(name, value)| {
                of.exact_field(name).ok_or(Invalid::Type)?;
                validate(value, layout.member(name))
            })
        }
        (Type::Map(_) | Type::ResourceList, Value::Object(members)) => members
            .iter()
            .try_for_each(|(name, value)| validate(value, layout.member(name))),
        (Type::List(_), Value::Array(values)) => {
            let items = layout.items();
            let mut names = HashSet::new();
            values.iter().try_for_each(|value| {
                if items != Items::Atomic {
                    let name = item(&items, value).ok_or(Invalid::Type)?;
                    if !names.insert(name) {
                        return Err(Invalid::Duplicate);
                    }
                }
                validate(value, layout.item(""))
            })
        }
        (Type::String | Type::Bytes, Value::String(_))
        | (Type::Bool, Value::Bool(_))
        | (Type::Int32 | Type::Int64 | Type::Float, Value::Number(_))
        | (_, Value::Null)
        | (
            Type::Quantity | Type::Time | Type::MicroTime | Type::Duration | Type::IntOrString,
            Value::String(_) | Value::Number(_) | Value::Bool(_),
        ) => Ok(()),
        _ => Err(Invalid::Type),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_read_with_their_keys_in_one_form() {
        let fields = json!({"f:spec": {
            "f:ports": {"k:{\"protocol\":\"TCP\", \"port\":80}": {".": {}, "f:port": {}}},
            "f:selector": {},
        }});
        let object = json!({"metadata": {"managedFields": [{"manager": "a", "fieldsV1": fields}]}});
        let set = FieldSet::of(&object, |entry| entry["manager"] == "a");
        let spec = set.below("f:spec").unwrap();
        assert!(!spec.itself && spec.below("f:selector").unwrap().itself);
        let ports = Layout::Owned(spec.below("f:ports").unwrap());
        let items = ports.items();
        let name = item(&items, &json!({"port": 80})).unwrap();
        assert_eq!(name, r#"k:{"port":80,"protocol":"TCP"}"#);
        assert!(spec.below("f:ports").unwrap().below(&name).unwrap().itself);
        assert!(FieldSet::of(&object, |entry| entry["manager"] == "b").is_empty());
    }

    #[test]
    fn a_type_says_how_its_lists_and_maps_are_owned() {
        let of = Type::Struct(Scheme::kubernetes().named("core/v1.ServiceSpec").unwrap());
        let spec = Layout::of(&of);
        assert!(!spec.member("selector").has_members());
        let keys = ["port", "protocol"].map(str::to_owned).to_vec();
        assert_eq!(spec.member("ports").items(), Items::Map(keys));
        assert_eq!(spec.member("externalIPs").items(), Items::Atomic);
    }

    #[test]
    fn items_that_cannot_be_told_apart_are_refused() {
        let of = Type::Struct(Scheme::kubernetes().named("core/v1.Container").unwrap());
        let check = |container: Value| validate(&container, Layout::of(&of));
        assert_eq!(
            check(json!({"env": [{"name": "A"}, {"name": "B"}]})),
            Ok(())
        );
        let twice = json!({"env": [{"name": "A"}, {"name": "A"}]});
        assert_eq!(check(twice), Err(Invalid::Duplicate));
        assert_eq!(check(json!({"unknown": 1})), Err(Invalid::Type));
        assert_eq!(check(json!({"image": 1})), Err(Invalid::Type));
        assert_eq!(check(json!({"resources": {"limits": {"cpu": 1}}})), Ok(()));
    }
}
