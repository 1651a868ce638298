//! Whether Argo CD's takeover would change anything: object by object, what a first sync would do.
//!
//! ```text
//!   manifest, marked as the Application's ─┐
//!   live object ───────────────────────────┼─> Argo CD's comparison ─> fields ─> Class
//!   what a dry run as Argo CD answers ─────┘
//! ```

use argocd::comparison::{
    CompareError, Comparison, Ownership, Pair, Rules, Strategy, Verdict, compare, differences,
};
use argocd::tracking::Tracking;
use golang::work::Work;
use serde_json::Value;

use crate::drift::local::Key;
use crate::drift::{Effect, MASK};

/// How much work the comparison of one object may take.
const WORK: u64 = 1 << 28;

/// What a first sync would do to an object, the worst last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Class {
    /// It is left as it is.
    Nothing,
    /// It is marked as the Application's, and nothing else.
    TrackingOnly,
    /// It is changed in place.
    InPlace,
    /// It is created.
    Create,
    /// It is run as a hook.
    HookRun,
    /// A Pod template changes, so that Pods are replaced.
    Restart,
    /// A field cannot be changed unless the object is replaced.
    Replace,
    /// Nobody can tell.
    Unknown,
}

impl Class {
    /// As reports have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Class::Nothing => "nothing",
            Class::TrackingOnly => "tracking-only",
            Class::InPlace => "in-place",
            Class::Create => "create",
            Class::HookRun => "hook-run",
            Class::Restart => "restart",
            Class::Replace => "replace",
            Class::Unknown => "unknown",
        }
    }

    /// Whether nothing but tracking metadata would change.
    pub(crate) fn is_open(self) -> bool {
        self <= Class::TrackingOnly
    }
}

/// An object, and what a first sync would do to it.
#[derive(Clone, Debug)]
pub(crate) struct Takeover {
    pub(crate) key: Key,
    pub(crate) class: Class,
    /// Why, where fields do not say it.
    pub(crate) reason: Option<String>,
    /// The fields that would change, without tracking metadata.
    pub(crate) fields: Vec<Field>,
}

/// A field that would change.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Where it is (RFC 6901).
    pub(crate) pointer: String,
    /// What it is now, or [`MASK`]; None where it is absent.
    pub(crate) live: Option<Value>,
    /// What it would be, or [`MASK`]; None where it would be absent.
    pub(crate) desired: Option<Value>,
    /// The field managers that own it now.
    pub(crate) owners: Vec<String>,
}

impl Takeover {
    /// One of which the class is known without a comparison.
    pub(crate) fn of(key: Key, class: Class, reason: impl Into<String>) -> Self {
        Takeover {
            key,
            class,
            reason: Some(reason.into()),
            fields: Vec::new(),
        }
    }

    /// Compares an object as Argo CD does, with what a dry run of its apply answered.
    ///
    /// # Errors
    /// Argo CD could not compare it either.
    pub(crate) fn compared(
        key: Key,
        desired: Value,
        live: &Value,
        answer: &Value,
        rules: Rules<'_>,
    ) -> Result<Self, CompareError> {
        let pair = Pair {
            desired: Some(desired),
            live: Some(live.clone()),
        };
        let strategy = Strategy::ServerSide {
            dry_run: Some(answer),
            mutation_webhooks: false,
        };
        let verdict = compare(pair, strategy, rules, &Work::new(WORK))?;
        let Verdict::Compared(comparison) = verdict else {
            return Ok(Takeover::of(
                key,
                Class::Unknown,
                "a jq path of ignoreDifferences is not worked out",
            ));
        };
        Ok(Takeover::judged(key, live, &comparison))
    }

    fn judged(key: Key, live: &Value, comparison: &Comparison) -> Self {
        let all = differences(&comparison.predicted, &comparison.live);
        let is_secret = key.group.is_empty() && key.kind == "Secret";
        let ownership = Ownership::of(live);
        let fields = all
            .into_iter()
            .filter(|difference| !is_tracking(&difference.pointer));
        let fields: Vec<Field> = fields
            .map(|difference| {
                let is_hidden = is_secret && !difference.pointer.starts_with("/metadata/labels");
                let shown = |value: Option<Value>| {
                    value.map(|value| if is_hidden { MASK.into() } else { value })
                };
                let owners = ownership.owners(&difference.pointer);
                Field {
                    owners: owners.iter().map(|one| one.manager.to_owned()).collect(),
                    live: shown(difference.live),
                    desired: shown(difference.desired),
                    pointer: difference.pointer,
                }
            })
            .collect();
        let class = if !comparison.modified {
            Class::Nothing
        } else if fields.is_empty() {
            Class::TrackingOnly
        } else {
            let pointers = fields.iter().map(|field| &*field.pointer);
            match Effect::of_fields(&key.group, &key.kind, pointers, true) {
                Effect::Restart => Class::Restart,
                Effect::Replace => Class::Replace,
                _ => Class::InPlace,
            }
        };
        Takeover {
            key,
            class,
            reason: None,
            fields: if comparison.modified {
                fields
            } else {
                Vec::new()
            },
        }
    }
}

/// What a first sync would do on a cluster.
#[derive(Debug)]
pub(crate) struct OnCluster {
    /// Its name in Argo CD.
    pub(crate) name: String,
    /// The Application that the ApplicationSet generates.
    pub(crate) application: String,
    pub(crate) objects: Vec<Takeover>,
    /// What could not be seen.
    pub(crate) problems: Vec<String>,
}

/// Whether Argo CD may take over on a cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// Nothing but tracking metadata would change.
    Open,
    /// Something would.
    Shut,
    /// Something could not be seen.
    Unknown,
}

impl State {
    /// As reports have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Shut => "shut",
            State::Unknown => "unknown",
        }
    }
}

impl OnCluster {
    /// Whether a sync would leave all objects as they are.
    pub(crate) fn is_taken_over(&self) -> bool {
        let is_left = |one: &Takeover| one.class == Class::Nothing;
        self.problems.is_empty() && !self.objects.is_empty() && self.objects.iter().all(is_left)
    }

    /// Whether Argo CD may take over.
    pub(crate) fn state(&self) -> State {
        if self.objects.iter().any(|one| !one.class.is_open()) {
            State::Shut
        } else if self.problems.is_empty() {
            State::Open
        } else {
            State::Unknown
        }
    }
}

/// Whether a field is one by which Argo CD marks what is an Application's.
fn is_tracking(pointer: &str) -> bool {
    const MARKS: [&str; 2] = [
        "/metadata/annotations/argocd.argoproj.io~1tracking-id",
        "/metadata/annotations/argocd.argoproj.io~1installation-id",
    ];
    MARKS.contains(&pointer)
}

/// The other Application that a live object is marked as belonging to.
pub(crate) fn other_application<'o>(
    live: &'o Value,
    tracking: &Tracking,
    application: &str,
) -> Option<&'o str> {
    // The label is Helm's own as well, with the name of the release.
    let owner = tracking
        .application(live)
        .filter(|_| !tracking.is_by_label());
    owner.filter(|owner| *owner != application)
}

/// The events of Helm's hooks that Argo CD runs at every sync.
const RUN: [&str; 4] = ["pre-install", "pre-upgrade", "post-install", "post-upgrade"];

/// What Argo CD makes of a hook: whether it runs it. None where it is an object as any other.
pub(crate) fn hook(object: &Value) -> Option<bool> {
    let annotations = object.pointer("/metadata/annotations")?;
    let annotation = |name: &str| annotations.get(name)?.as_str();
    if let Some(phases) = annotation("argocd.argoproj.io/hook") {
        return Some(phases.split(',').any(|phase| phase.trim() != "Skip"));
    }
    let events = annotation("helm.sh/hook")?;
    let mut events = events.split(',').map(str::trim);
    if events.clone().any(|event| event == "crd-install") {
        return None;
    }
    Some(events.any(|event| RUN.contains(&event)))
}

#[cfg(test)]
mod tests {
    use argocd::comparison::Method;
    use serde_json::json;

    use super::*;

    fn judged(kind: (&str, &str), predicted: Value, live: &Value) -> Takeover {
        let key = Key {
            group: kind.0.to_owned(),
            kind: kind.1.to_owned(),
            namespace: "dns".to_owned(),
            name: "dns".to_owned(),
        };
        let comparison = Comparison {
            modified: predicted != *live,
            predicted,
            live: live.clone(),
            method: Method::ServerSide,
        };
        Takeover::judged(key, live, &comparison)
    }

    #[test]
    fn the_class_follows_from_the_fields() {
        let mark = json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "a"}}});
        let plain = json!({"metadata": {"annotations": {}}});
        let deployment = ("apps", "Deployment");
        for (predicted, live, class) in [
            (json!({}), json!({}), Class::Nothing),
            (mark, plain, Class::TrackingOnly),
            (
                json!({"spec": {"replicas": 2}}),
                json!({"spec": {"replicas": 1}}),
                Class::InPlace,
            ),
            (
                json!({"spec": {"template": {"a": 2}, "replicas": 2}}),
                json!({"spec": {"template": {"a": 1}, "replicas": 1}}),
                Class::Restart,
            ),
            (
                json!({"spec": {"selector": {"a": "2"}, "template": {"a": 2}}}),
                json!({"spec": {"selector": {"a": "1"}, "template": {"a": 1}}}),
                Class::Replace,
            ),
        ] {
            assert_eq!(judged(deployment, predicted, &live).class, class);
        }
    }

    #[test]
    fn only_what_changes_nothing_opens_the_gate() {
        assert!(Class::Nothing.is_open());
        assert!(Class::TrackingOnly.is_open());
        for class in [
            Class::InPlace,
            Class::Create,
            Class::HookRun,
            Class::Restart,
            Class::Replace,
            Class::Unknown,
        ] {
            assert!(!class.is_open());
        }
    }

    #[test]
    fn values_of_secrets_are_not_told() {
        let found = judged(
            ("", "Secret"),
            json!({"data": {"a": "aHVudGVyMg=="}}),
            &json!({"data": {"a": "aHVudGVyMw=="}}),
        );
        assert_eq!(found.class, Class::InPlace);
        assert_eq!(found.fields[0].pointer, "/data/a");
        assert!(!format!("{found:?}").contains("aHVudGVy"));
    }

    #[test]
    fn hooks_are_run_or_dropped() {
        let with = |name: &str, value: &str| json!({"metadata": {"annotations": {name: value}}});
        for (object, runs) in [
            (with("helm.sh/hook", "pre-install,pre-upgrade"), Some(true)),
            (with("helm.sh/hook", "test"), Some(false)),
            (with("helm.sh/hook", "pre-delete"), Some(false)),
            (with("helm.sh/hook", "crd-install"), None),
            (with("argocd.argoproj.io/hook", "PreSync"), Some(true)),
            (with("argocd.argoproj.io/hook", "Skip"), Some(false)),
            (json!({"metadata": {}}), None),
        ] {
            assert_eq!(hook(&object), runs, "{object}");
        }
    }

    #[test]
    fn what_another_application_has_is_not_taken_over() {
        let tracking = Tracking::default();
        let live = json!({"metadata": {"annotations": {
            "argocd.argoproj.io/tracking-id": "other:/Service:dns/dns",
        }}});
        assert_eq!(
            other_application(&live, &tracking, "prod-dns"),
            Some("other")
        );
        assert_eq!(other_application(&live, &tracking, "other"), None);
        assert_eq!(other_application(&json!({}), &tracking, "other"), None);
    }
}
