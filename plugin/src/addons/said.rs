//! What Argo CD itself says of an Application, beside what was worked out.

use std::collections::BTreeMap;

use golang::json::null_as_default;
use serde::Deserialize;
use serde_json::Value;

use super::gate::{Class, Takeover};
use crate::drift::local::Key;

/// An Application, as far as it is known.
#[derive(Debug)]
pub(crate) enum Live {
    /// Nobody can tell whether it is there.
    Unread,
    /// It is not there yet.
    Absent,
    There(Said),
}

impl Live {
    /// What it says of itself, if it is there.
    pub(crate) fn said(&self) -> Option<&Said> {
        match self {
            Live::There(said) => Some(said),
            Live::Unread | Live::Absent => None,
        }
    }
}

/// What an Application says of itself (Argo CD 3.6, `ApplicationStatus`).
#[derive(Debug, Default)]
pub(crate) struct Said {
    sync: String,
    revision: String,
    /// When it was compared; empty where it never was.
    compared: String,
    was_synced: bool,
    resources: BTreeMap<Key, Resource>,
}

/// What it says of an object.
#[derive(Debug)]
struct Resource {
    status: String,
    is_hook: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(deserialize_with = "null_as_default")]
    sync: Sync,
    #[serde(deserialize_with = "null_as_default")]
    reconciled_at: String,
    #[serde(deserialize_with = "null_as_default")]
    resources: Vec<WrittenResource>,
    #[serde(deserialize_with = "null_as_default")]
    history: Vec<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sync {
    #[serde(deserialize_with = "null_as_default")]
    status: String,
    #[serde(deserialize_with = "null_as_default")]
    revision: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WrittenResource {
    #[serde(deserialize_with = "null_as_default")]
    group: String,
    #[serde(deserialize_with = "null_as_default")]
    kind: String,
    #[serde(deserialize_with = "null_as_default")]
    namespace: String,
    #[serde(deserialize_with = "null_as_default")]
    name: String,
    #[serde(deserialize_with = "null_as_default")]
    status: String,
    #[serde(deserialize_with = "null_as_default")]
    hook: bool,
}

impl Said {
    /// Reads an Application. What is not as Argo CD writes it says nothing.
    pub(crate) fn read(application: &Value) -> Self {
        let status = application.get("status").unwrap_or(&Value::Null);
        let status = Option::<Status>::deserialize(status);
        let status = status.ok().flatten().unwrap_or_default();
        let resources = status.resources.into_iter().map(|one| {
            let key = Key {
                group: one.group,
                kind: one.kind,
                namespace: one.namespace,
                name: one.name,
            };
            let resource = Resource {
                status: one.status,
                is_hook: one.hook,
            };
            (key, resource)
        });
        Said {
            sync: status.sync.status,
            revision: status.sync.revision,
            compared: status.reconciled_at,
            was_synced: !status.history.is_empty(),
            resources: resources.collect(),
        }
    }

    /// Whether Argo CD has synced it: from then on a release that Helm still keeps is of the past.
    pub(crate) fn was_synced(&self) -> bool {
        self.was_synced
    }

    /// The objects that Argo CD compares for it, without hooks.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Key> {
        let compared = self.resources.iter().filter(|(_, one)| !one.is_hook);
        compared.map(|(key, _)| key)
    }

    /// Where Argo CD says otherwise than what was worked out, one sentence each.
    pub(crate) fn disagreements(&self, objects: &[Takeover]) -> Vec<String> {
        if self.compared.is_empty() {
            return Vec::new();
        }
        if self.sync == "Unknown" {
            return vec![
                "Argo CD could not compare the Application: its conditions say why".into(),
            ];
        }
        let otherwise = objects.iter().filter_map(|one| {
            let is_modified = match one.class {
                Class::Create => true,
                _ => one.is_modified?,
            };
            let said = match self.resources.get(&one.key) {
                Some(resource) if resource.is_hook => return None,
                Some(resource) => &*resource.status,
                None => "nothing",
            };
            let agrees = match said {
                "Synced" => !is_modified,
                "OutOfSync" => is_modified,
                "nothing" => false,
                // Of a kind that it does not compare it says neither.
                _ => true,
            };
            let here = if is_modified { "OutOfSync" } else { "Synced" };
            (!agrees).then(|| self.otherwise(&one.key, said, here))
        });
        otherwise.collect()
    }

    fn otherwise(&self, key: &Key, said: &str, here: &str) -> String {
        let kind = key.kind.to_lowercase();
        let revision = match &*self.revision {
            "" => String::new(),
            revision => format!(" of revision {revision}"),
        };
        format!(
            "{kind}/{}: Argo CD said {said} at {}{revision}, and by these files it is {here}",
            key.name, self.compared
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(class: Class, is_modified: Option<bool>) -> Takeover {
        let key = Key {
            group: String::new(),
            kind: "Service".to_owned(),
            namespace: "dns".to_owned(),
            name: "dns".to_owned(),
        };
        Takeover {
            is_modified,
            ..Takeover::of(key, class, "")
        }
    }

    fn said(status: &str, of_service: &Value) -> Said {
        Said::read(&json!({"status": {
            "sync": {"status": status, "revision": "abc"},
            "reconciledAt": "2026-01-01T10:00:00Z",
            "resources": [of_service],
        }}))
    }

    fn dns(status: &str) -> Value {
        json!({"kind": "Service", "namespace": "dns", "name": "dns", "version": "v1", "status": status})
    }

    #[test]
    fn argo_cd_agrees_or_not_object_by_object() {
        let marked = service(Class::TrackingOnly, Some(true));
        let same = service(Class::Nothing, Some(false));
        let missing = service(Class::Create, None);
        let unknown = service(Class::Unknown, None);
        for (status, object, agrees) in [
            ("OutOfSync", &marked, true),
            ("Synced", &marked, false),
            ("Synced", &same, true),
            ("OutOfSync", &same, false),
            ("OutOfSync", &missing, true),
            ("Synced", &missing, false),
            ("Synced", &unknown, true),
        ] {
            let told = said("OutOfSync", &dns(status)).disagreements(std::slice::from_ref(object));
            assert_eq!(told.is_empty(), agrees, "{status} {object:?}");
        }
        let told = said("OutOfSync", &dns("OutOfSync")).disagreements(&[same]);
        assert_eq!(
            told,
            [
                "service/dns: Argo CD said OutOfSync at 2026-01-01T10:00:00Z of revision abc, and by \
              these files it is Synced"
            ]
        );
    }

    #[test]
    fn what_argo_cd_has_not_compared_it_says_nothing_of() {
        let same = [service(Class::Nothing, Some(false))];
        assert!(Said::default().disagreements(&same).is_empty());
        let never = Said::read(&json!({"status": {"sync": {"status": "Unknown"}}}));
        assert!(never.disagreements(&same).is_empty());
        let failed = said("Unknown", &dns("Unknown")).disagreements(&same);
        assert_eq!(failed.len(), 1);
        let other = said("Synced", &json!({"kind": "Pod"})).disagreements(&same);
        assert!(other[0].contains("Argo CD said nothing"), "{other:?}");
        let hook = json!({"kind": "Job", "name": "a", "hook": true});
        assert_eq!(said("Synced", &hook).objects().count(), 0);
    }

    #[test]
    fn what_it_has_synced_it_remembers() {
        assert!(!said("Synced", &dns("Synced")).was_synced());
        let synced = Said::read(&json!({"status": {"history": [{"id": 1}], "resources": null}}));
        assert!(synced.was_synced());
        assert!(!Said::read(&json!({"status": "hunter2"})).was_synced());
        assert!(!Said::read(&json!({})).was_synced());
    }
}
