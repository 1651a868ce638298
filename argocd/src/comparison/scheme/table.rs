//! The generated types.

use std::collections::HashMap;
use std::sync::LazyLock;

use golang::json::members::folds_to;

const GENERATED: &str = include_str!("types.txt");

static SCHEME: LazyLock<Scheme> = LazyLock::new(|| Scheme::read(GENERATED));

/// All kinds and types.
#[derive(Debug, Default)]
pub(in crate::comparison) struct Scheme {
    kinds: HashMap<(&'static str, &'static str), usize>,
    names: HashMap<&'static str, usize>,
    types: Vec<Struct>,
}

/// A struct of Go. What it embeds is among its own fields.
#[derive(Debug)]
pub(in crate::comparison) struct Struct {
    /// The package, without what all have in common, and the name: `core/v1.PodSpec`.
    pub(in crate::comparison) name: &'static str,
    /// In the order in which Go declares them.
    pub(in crate::comparison) fields: Vec<Field>,
    /// Whether it is owned as a whole.
    pub(in crate::comparison) atomic: bool,
    /// Whether a field in it replaces the other one whatever it has (`patchStrategy:"replace"`).
    pub(in crate::comparison) replaces: bool,
    /// Whether the API server's OpenAPI document has it, which says how its lists are owned.
    pub(in crate::comparison) served: bool,
}

/// A field of a struct.
#[derive(Debug)]
pub(in crate::comparison) struct Field {
    /// Its name in JSON.
    pub(in crate::comparison) name: &'static str,
    /// Its type.
    pub(in crate::comparison) of: Type,
    /// Whether it is not written where it is empty.
    pub(in crate::comparison) omit_empty: bool,
    /// Whether it is not written where it is zero.
    pub(in crate::comparison) omit_zero: bool,
    /// How a strategic merge patch changes it.
    pub(in crate::comparison) patch: PatchMeta,
    /// How server-side apply owns what is in it.
    pub(in crate::comparison) list: ListType,
}

/// The tags `patchStrategy` and `patchMergeKey` of a field.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::comparison) struct PatchMeta {
    /// Whether lists are merged.
    pub(in crate::comparison) merge: bool,
    /// Whether a map replaces the other.
    pub(in crate::comparison) replace: bool,
    /// Whether only the fields of the new map are kept.
    pub(in crate::comparison) retain_keys: bool,
    /// By which field the items of a list are told apart; empty for scalars.
    pub(in crate::comparison) merge_key: &'static str,
}

/// How the items of a list, or the members of a map, are owned.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::comparison) enum ListType {
    /// A list as a whole, a map by its members.
    #[default]
    Default,
    /// As a whole, though it is a map.
    Atomic,
    /// Each item of a list, by its value.
    Set,
    /// Each item of a list, by these fields.
    Map(Vec<&'static str>),
}

/// A type of Go.
#[derive(Clone, Debug)]
pub(in crate::comparison) enum Type {
    String,
    Bool,
    Int32,
    Int64,
    Float,
    Bytes,
    Quantity,
    Time,
    MicroTime,
    Duration,
    IntOrString,
    /// Any JSON.
    Raw,
    Pointer(Box<Type>),
    List(Box<Type>),
    Map(Box<Type>),
    /// `ResourceList`, whose quantities are rounded.
    ResourceList,
    Struct(usize),
}

impl Scheme {
    /// The scheme of Kubernetes.
    pub(in crate::comparison) fn kubernetes() -> &'static Self {
        &SCHEME
    }

    /// The type of a kind.
    pub(in crate::comparison) fn kind(&self, api_version: &str, kind: &str) -> Option<usize> {
        self.kinds.get(&(api_version, kind)).copied()
    }

    /// The type of a name, such as `core/v1.PodSpec`.
    pub(in crate::comparison) fn named(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// A type.
    pub(in crate::comparison) fn get(&self, number: usize) -> &Struct {
        &self.types[number]
    }

    fn read(text: &'static str) -> Self {
        let mut scheme = Scheme::default();
        let lines = || text.lines().filter(|line| !line.starts_with('#'));
        for line in lines().filter(|line| !line.starts_with("kind ")) {
            let name = line.split(' ').next().unwrap_or(line);
            scheme.names.insert(name, scheme.types.len());
            scheme.types.push(Struct {
                name,
                fields: Vec::new(),
                atomic: false,
                replaces: false,
                served: true,
            });
        }
        let mut next = 0;
        for line in lines() {
            let mut words = line.split(' ').filter(|word| !word.is_empty());
            if line.starts_with("kind ") {
                if let [_, api_version, kind, name] = words.collect::<Vec<_>>()[..]
                    && let Some(&number) = scheme.names.get(name)
                {
                    scheme.kinds.insert((api_version, kind), number);
                }
                continue;
            }
            words.next();
            for word in words {
                match word {
                    "=atomic" => scheme.types[next].atomic = true,
                    "=unserved" => scheme.types[next].served = false,
                    word => {
                        if let Some(field) = scheme.field(word) {
                            scheme.types[next].fields.push(field);
                        }
                    }
                }
            }
            next += 1;
        }
        scheme.spread_replaces();
        scheme
    }

    /// What holds a struct that replaces replaces as well.
    fn spread_replaces(&mut self) {
        loop {
            let more: Vec<usize> = (0..self.types.len())
                .filter(|number| {
                    let of = &self.types[*number];
                    let replaces = |field: &Field| {
                        field.patch.replace
                            || field
                                .of
                                .innermost()
                                .is_some_and(|below| self.types[below].replaces)
                    };
                    !of.replaces && of.fields.iter().any(replaces)
                })
                .collect();
            if more.is_empty() {
                return;
            }
            for number in more {
                self.types[number].replaces = true;
            }
        }
    }

    /// `name:TYPE?~!strategy/key=list`, of which all but name and type may be missing.
    fn field(&self, word: &'static str) -> Option<Field> {
        let (name, rest) = word.split_once(':')?;
        let (rest, list) = rest.split_once('=').unwrap_or((rest, ""));
        let (rest, patch) = rest.split_once('!').unwrap_or((rest, ""));
        let (strategy, merge_key) = patch.split_once('/').unwrap_or((patch, ""));
        let of = rest.trim_end_matches(['?', '~']);
        let has = |wanted: &str| strategy.split(',').any(|one| one == wanted);
        Some(Field {
            name,
            of: self.of(of)?,
            omit_empty: rest[of.len()..].contains('?'),
            omit_zero: rest[of.len()..].contains('~'),
            patch: PatchMeta {
                merge: has("merge"),
                replace: has("replace"),
                retain_keys: has("retainKeys"),
                merge_key,
            },
            list: match list {
                "" => ListType::Default,
                "atomic" => ListType::Atomic,
                "set" => ListType::Set,
                keys => ListType::Map(keys.split('/').collect()),
            },
        })
    }

    fn of(&self, text: &str) -> Option<Type> {
        let inner = |prefix: char, suffix: &str| {
            let inner = text.strip_prefix(prefix)?.strip_suffix(suffix)?;
            self.of(inner).map(Box::new)
        };
        Some(match text {
            "string" => Type::String,
            "bool" => Type::Bool,
            "int32" => Type::Int32,
            "int64" | "int" => Type::Int64,
            "float64" => Type::Float,
            "bytes" => Type::Bytes,
            "Quantity" => Type::Quantity,
            "Time" => Type::Time,
            "MicroTime" => Type::MicroTime,
            "Duration" => Type::Duration,
            "IntOrString" => Type::IntOrString,
            "Raw" => Type::Raw,
            "{Quantity}ResourceList" => Type::ResourceList,
            _ if text.starts_with('*') => Type::Pointer(inner('*', "")?),
            _ if text.starts_with('[') => Type::List(inner('[', "]")?),
            _ if text.starts_with('{') => Type::Map(inner('{', "}")?),
            _ => Type::Struct(self.named(text)?),
        })
    }
}

impl Type {
    /// The struct in pointers, lists and maps.
    fn innermost(&self) -> Option<usize> {
        match self {
            Type::Struct(number) => Some(*number),
            Type::Pointer(of) | Type::List(of) | Type::Map(of) => of.innermost(),
            _ => None,
        }
    }
}

impl Struct {
    /// The field that Go's JSON takes a name for: the one of that name, or else the first of that
    /// name in other letter case.
    pub(in crate::comparison) fn field(&self, name: &str) -> Option<&Field> {
        let exact = self.exact_field(name);
        exact.or_else(|| self.fields.iter().find(|field| folds_to(name, field.name)))
    }

    /// The field of exactly that name.
    pub(in crate::comparison) fn exact_field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of the generated file that cannot be read would be a field that is not known.
    #[test]
    fn every_word_of_the_generated_file_is_read() {
        let scheme = Scheme::kubernetes();
        let mut kinds = 0;
        for line in GENERATED.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ').filter(|word| !word.is_empty());
            let first = words.next().unwrap();
            if first == "kind" {
                kinds += 1;
                continue;
            }
            let found = scheme.get(scheme.named(first).unwrap());
            let fields: Vec<&str> = words.filter(|word| !word.starts_with('=')).collect();
            assert_eq!(found.fields.len(), fields.len(), "{line}");
            for (field, word) in found.fields.iter().zip(fields) {
                assert!(word.starts_with(&format!("{}:", field.name)), "{word}");
            }
        }
        assert_eq!(scheme.kinds.len(), kinds);
        assert!(kinds > 100);
    }

    #[test]
    fn fields_have_what_their_tags_say() {
        let scheme = Scheme::kubernetes();
        let container = scheme.get(scheme.named("core/v1.Container").unwrap());
        let ports = container.field("ports").unwrap();
        assert!(ports.patch.merge && ports.omit_empty && !ports.patch.retain_keys);
        assert_eq!(ports.patch.merge_key, "containerPort");
        assert_eq!(ports.list, ListType::Map(vec!["containerPort", "protocol"]));
        let pod = scheme.get(scheme.named("core/v1.PodSpec").unwrap());
        assert!(pod.field("volumes").unwrap().patch.retain_keys);
        assert!(pod.field("VOLUMES").is_some() && pod.exact_field("VOLUMES").is_none());
        assert!(!pod.field("containers").unwrap().omit_empty);
        assert!(matches!(
            pod.field("overhead").unwrap().of,
            Type::ResourceList
        ));
    }
}
