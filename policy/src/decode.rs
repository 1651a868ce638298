//! From the JSON of an object to a type: the one place where objects are read.
//!
//! An object is gone over once. Only where it cannot be read is it gone over again, slowly, to say
//! where. What a Secret holds is not told.

use std::error::Error;
use std::fmt;

use argocd::limited::Limited;
use argocd::settings::{ParametersConfigMap, SettingsConfigMap};
use argocd::{AppProject, Application, ApplicationSet, ClusterSecret, RepositorySecret};
use golang::work::Work;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_path_to_error::{Path, Segment, Track};

use crate::finding::dotted;
use crate::kind::Kind;
use crate::request::object::Object;
use crate::terms::gitops_policy::GitOpsPolicy;

/// A type that objects of one kind are read as.
pub trait Typed<'a>: Deserialize<'a> {
    /// The kind.
    const KIND: Kind;
}

macro_rules! typed {
    ($($type:ty => $kind:ident;)+) => {
        $(impl<'a> Typed<'a> for $type {
            const KIND: Kind = Kind::$kind;
        })+
    };
}
typed! {
    Application<'a> => Application;
    ApplicationSet<'a> => ApplicationSet;
    AppProject => AppProject;
    ClusterSecret<'a> => ClusterSecret;
    RepositorySecret<'a> => RepositorySecret;
    SettingsConfigMap => Settings;
    ParametersConfigMap => Parameters;
    GitOpsPolicy => Policy;
}

/// Why an object cannot be read. It says where; of a Secret it does not say what is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreadable {
    /// JSON Pointer to the field; empty for the object itself.
    pub field: String,
    reason: Reason,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Reason {
    /// As the field has another type than its kind says.
    Told(String),
    /// The same, of a Secret.
    Hidden,
    /// The same, or as the object takes too much memory.
    HiddenOrTooLarge,
}

impl Unreadable {
    /// Where, and what was expected there, but not what is there. Nobody who reads a log or an
    /// answer about the object needs to be told that, and whoever wrote it may have put a
    /// credential there.
    pub fn without_value(&self) -> String {
        let expected = match &self.reason {
            // What was expected is said by the type and comes last, whatever the value is.
            Reason::Told(reason) => reason.rsplit_once(", expected "),
            Reason::Hidden | Reason::HiddenOrTooLarge => None,
        };
        match expected {
            Some((_, expected)) => format!("{}: expected {expected}", path_of(&self.field)),
            None => format!("{} is not what it should be", path_of(&self.field)),
        }
    }

    /// The same where people know the field by another name.
    pub fn at(&self, field: &str) -> String {
        let path = path_of(field);
        match &self.reason {
            Reason::Told(reason) => format!("{path}: {reason}"),
            Reason::Hidden => format!("{path} is not what it should be"),
            Reason::HiddenOrTooLarge => {
                format!("{path} has a wrong type, is there twice, or has too many entries")
            }
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.at(&self.field))
    }
}

impl Error for Unreadable {}

fn path_of(field: &str) -> String {
    match field {
        "" => "the object".to_owned(),
        field => dotted(field),
    }
}

/// Reads an object.
///
/// # Errors
/// It is not JSON, or a field has another type than its kind says.
pub fn from_json<'a, T: Typed<'a>>(json: &'a str) -> Result<T, Unreadable> {
    part_from_json(T::KIND, json)
}

/// Reads a part of an object of any kind, such as its metadata.
///
/// # Errors
/// It is not JSON, or a field has another type.
pub fn part_from_json<'a, T: Deserialize<'a>>(kind: Kind, json: &'a str) -> Result<T, Unreadable> {
    serde_json::from_str(json).or_else(|_| {
        let hidden = Reason::Hidden;
        located(kind, json, hidden, |deserializer| {
            T::deserialize(deserializer)
        })
    })
}

impl<'a> Object<'a> {
    /// Reads an object that is judged.
    ///
    /// # Errors
    /// It is of a kind that is not judged, it is not JSON, or a field has another type than its
    /// kind says.
    pub fn from_json(kind: Kind, json: &'a str) -> Result<Self, Unreadable> {
        Ok(match kind {
            Kind::Application => Object::Application(Box::new(from_json(json)?)),
            Kind::ApplicationSet => Object::ApplicationSet(Box::new(from_json(json)?)),
            Kind::AppProject => Object::AppProject(Box::new(from_json(json)?)),
            Kind::ClusterSecret => Object::ClusterSecret(Box::new(from_json(json)?)),
            Kind::RepositorySecret | Kind::Settings | Kind::Parameters | Kind::Policy => {
                return Err(Unreadable {
                    field: String::new(),
                    reason: Reason::Told(NOT_JUDGED.to_owned()),
                });
            }
        })
    }

    /// Reads an object that is judged where it stands in another document; nothing if it is `null`.
    /// It may take so much memory, in bytes.
    ///
    /// # Errors
    /// As [`Object::from_json`], or it takes more memory. The error has no path, and may quote what
    /// a Secret holds.
    pub fn deserialize_within<D: Deserializer<'a>>(
        kind: Kind,
        memory: u64,
        deserializer: D,
    ) -> Result<Option<Self>, D::Error> {
        let memory = Work::new(memory);
        let deserializer = Limited::new(deserializer, &memory);
        Ok(match kind {
            Kind::Application => {
                Option::<Box<Application<'a>>>::deserialize(deserializer)?.map(Object::Application)
            }
            Kind::ApplicationSet => Option::<Box<ApplicationSet<'a>>>::deserialize(deserializer)?
                .map(Object::ApplicationSet),
            Kind::AppProject => {
                Option::<Box<AppProject>>::deserialize(deserializer)?.map(Object::AppProject)
            }
            Kind::ClusterSecret => Option::<Box<ClusterSecret<'a>>>::deserialize(deserializer)?
                .map(Object::ClusterSecret),
            Kind::RepositorySecret | Kind::Settings | Kind::Parameters | Kind::Policy => {
                return Err(D::Error::custom(NOT_JUDGED));
            }
        })
    }

    /// The same of a text, slowly, so that the error says where.
    ///
    /// # Errors
    /// As [`Object::deserialize_within`].
    pub fn from_json_within(
        kind: Kind,
        memory: u64,
        json: &'a str,
    ) -> Result<Option<Self>, Unreadable> {
        located(kind, json, Reason::HiddenOrTooLarge, |deserializer| {
            Object::deserialize_within(kind, memory, deserializer)
        })
    }
}

/// Why an object of another kind is not read as one that is judged.
const NOT_JUDGED: &str = "it is not judged by any rule";

type Json<'r, 'a> = &'r mut serde_json::Deserializer<serde_json::de::StrRead<'a>>;

/// Reads a text and keeps track of where it is, which costs too much to do for every object.
/// `hidden` is what is told of a Secret.
fn located<'a, T>(
    kind: Kind,
    json: &'a str,
    hidden: Reason,
    read: impl FnOnce(
        serde_path_to_error::Deserializer<'_, '_, Json<'_, 'a>>,
    ) -> Result<T, serde_json::Error>,
) -> Result<T, Unreadable> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    let read = read(tracked).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| Unreadable {
        field: pointer_of(&track.path()),
        reason: if kind.is_secret() {
            hidden
        } else {
            Reason::Told(without_position(&error))
        },
    })
}

fn pointer_of(path: &Path) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        })
        .collect()
}

/// The message without the position, which is one in a JSON that nobody has: as the API server sent
/// it, or as it was made of a file.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MEMORY: u64 = 8 << 20;

    /// Why an object cannot be read, by each way to read it from a text.
    fn errors(kind: Kind, json: &str) -> [Unreadable; 2] {
        [
            Object::from_json(kind, json).expect_err("it cannot be read"),
            Object::from_json_within(kind, MEMORY, json).expect_err("it cannot be read"),
        ]
    }

    #[test]
    fn an_error_says_where_and_what_was_expected() {
        let sources = json!({"spec": {"sources": [{}, {"repoURL": 5}]}}).to_string();
        for error in errors(Kind::Application, &sources) {
            assert_eq!(error.field, "/spec/sources/1/repoURL");
            let text = error.to_string();
            assert!(
                text.starts_with("spec.sources[1].repoURL: ") && text.contains("string"),
                "{text}"
            );
            assert!(!text.contains("column"), "{text}");
            assert!(error.at("/other").starts_with("other: "));
        }
        for (kind, json) in [
            (Kind::AppProject, json!({"spec": {"sourceRepos": "*"}})),
            (Kind::ApplicationSet, json!({"spec": {"generators": {}}})),
            (
                Kind::Policy,
                json!({"spec": {"rules": {"no-such-rule": {}}}}),
            ),
            (
                Kind::Settings,
                json!({"data": {"application.instanceLabelKey": 5}}),
            ),
        ] {
            let json = json.to_string();
            let error = part_of(kind, &json).expect("it cannot be read");
            let path = dotted(&error.field);
            assert!(!path.is_empty(), "{kind:?}: {error}");
            assert!(error.to_string().starts_with(&path), "{kind:?}: {error}");
        }
    }

    #[test]
    fn an_error_without_the_value_says_what_was_expected() {
        for (spec, expected) in [
            (json!({"project": 7}), "spec.project: expected "),
            (
                json!({"project": ["hunter2, expected hunter2"]}),
                "spec.project: expected ",
            ),
            (json!("hunter2, expected hunter2"), "spec: expected "),
            (
                json!({"destination": {"server": {"hunter2": "hunter2"}}}),
                "spec.destination.server: expected ",
            ),
        ] {
            let json = json!({"spec": spec}).to_string();
            for error in errors(Kind::Application, &json) {
                let text = error.without_value();
                assert!(text.starts_with(expected), "{text}");
                assert!(!text.contains("hunter2") && !text.contains('7'), "{text}");
            }
        }
    }

    fn part_of(kind: Kind, json: &str) -> Option<Unreadable> {
        match kind {
            Kind::Policy => from_json::<GitOpsPolicy>(json).err(),
            Kind::Settings => from_json::<SettingsConfigMap>(json).err(),
            kind => Object::from_json(kind, json).err(),
        }
    }

    #[test]
    fn what_a_secret_holds_is_not_told() {
        let texts = [
            json!({"data": {"server": ["hunter2"]}}).to_string(),
            json!({"data": "hunter2"}).to_string(),
            json!({"metadata": {"labels": {"token": 815}}}).to_string(),
            json!("hunter2").to_string(),
            r#"{"data": {"config": "hunter2", "config": "hunter2"}}"#.to_owned(),
            r#"{"data": {"config": "hunter2""#.to_owned(),
        ];
        for text in &texts {
            for error in errors(Kind::ClusterSecret, text) {
                let told = [
                    error.to_string(),
                    error.without_value(),
                    error.at("/elsewhere"),
                ];
                let told = format!("{told:?} {error:?}");
                assert!(!told.contains("hunter2") && !told.contains("815"), "{told}");
            }
        }
        let secret = json!({"data": {"url": ["hunter2"]}}).to_string();
        let error = from_json::<RepositorySecret<'_>>(&secret).expect_err("it cannot be read");
        assert_eq!(error.to_string(), "data.url is not what it should be");
    }

    #[test]
    fn an_object_that_is_not_there_is_none() {
        for kind in Kind::JUDGED {
            let nothing = Object::from_json_within(kind, MEMORY, "null");
            assert!(matches!(nothing, Ok(None)), "{kind:?}: {nothing:?}");
            let error = Object::from_json(kind, "null").expect_err("it is not an object");
            assert!(error.to_string().starts_with("the object"), "{error}");
            let read = Object::from_json(kind, "{}").expect("it is an object");
            assert_eq!(read.as_ref().kind(), kind);
        }
    }

    #[test]
    fn what_stands_behind_an_object_is_an_error() {
        for error in errors(Kind::Application, "{} {}") {
            assert!(error.to_string().contains("trailing"), "{error}");
        }
    }

    #[test]
    fn what_only_says_something_about_others_is_not_judged() {
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_judged()) {
            for error in errors(kind, "{}") {
                assert!(
                    error.to_string().contains("not judged") || kind.is_secret(),
                    "{error}"
                );
            }
        }
    }
}
