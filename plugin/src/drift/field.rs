//! A field that differs, and what may be shown of it.

use argocd::comparison::{Difference, FieldManager, Ownership, differences, remarshalled};
use argocd::names::LAST_APPLIED;
use jiff::Timestamp;
use serde_json::Value;

use super::cause::Cause;
use super::manager::Manager;
use super::person::Person;

/// What stands for a value of a Secret.
pub(crate) const MASK: &str = "***";

/// Fields that Kubernetes keeps about an object: what others see in them is told elsewhere. The API
/// server counts the templates of a `DaemonSet` in an annotation, and so does a dry run (Kubernetes
/// 1.36, `daemonset.daemonSetStrategy.PrepareForUpdate`).
pub(super) const KEPT_BY_KUBERNETES: [&str; 5] = [
    "/metadata/annotations/deprecated.daemonset.template.generation",
    "/metadata/managedFields",
    "/metadata/resourceVersion",
    "/metadata/generation",
    "/metadata/creationTimestamp",
];

/// A field that differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldDrift {
    /// Where it is (RFC 6901), in the live object; empty for the whole object.
    pub(crate) pointer: String,
    /// What is desired, or [`MASK`]; None where it is to be absent.
    pub(crate) desired: Option<Value>,
    /// What is there, or [`MASK`]; None where it is absent.
    pub(crate) live: Option<Value>,
    /// Why it differs.
    pub(crate) cause: Cause,
    /// Its owners, who wrote last first.
    pub(crate) managers: Vec<Manager>,
    /// Who did it, by an audit log.
    pub(crate) person: Option<Person>,
    /// Whether its values are hidden.
    pub(crate) masked: bool,
}

impl FieldDrift {
    /// When its owners last wrote.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        let by_person = self.person.as_ref().and_then(|person| person.time);
        let times = self.managers.iter().filter_map(|manager| manager.time);
        by_person.or(times.max())
    }

    /// An object as a whole, with those who write to it. Who only says how it is did not make it.
    pub(super) fn of_object(live: Option<&Value>, cause: Cause) -> Self {
        let managers = live.map(|live| managers(Ownership::of(live).managers()));
        let mut managers = managers.unwrap_or_default();
        if !managers.iter().all(Manager::is_of_status) {
            managers.retain(|manager| !manager.is_of_status());
        }
        FieldDrift {
            pointer: String::new(),
            desired: None,
            live: None,
            cause,
            managers,
            person: None,
            masked: false,
        }
    }
}

/// The fields in which what counts of an object differs from what would count of it after a sync,
/// with their owners in the object itself.
pub(super) fn fields(
    predicted: &Value,
    normalized: &Value,
    live: &Value,
    is_secret: bool,
) -> Vec<FieldDrift> {
    let ownership = Ownership::of(live);
    let counts = |difference: &Difference| {
        let mut kept = KEPT_BY_KUBERNETES.iter();
        !kept.any(|kept| is_at_or_below(&difference.pointer, kept))
    };
    let found = differences(predicted, normalized).into_iter();
    let fields = found.filter(counts).map(|difference| {
        let masked = is_secret && is_confidential(&difference.pointer);
        let shown = |value: Option<Value>| match value {
            Some(_) if masked => Some(Value::from(MASK)),
            other => other,
        };
        let owners = difference.owners(&ownership);
        FieldDrift {
            managers: managers(owners.into_iter()),
            desired: shown(difference.desired),
            live: shown(difference.live),
            pointer: difference.pointer,
            cause: Cause::Unknown,
            person: None,
            masked,
        }
    });
    fields.collect()
}

fn managers<'o>(entries: impl Iterator<Item = FieldManager<'o>>) -> Vec<Manager> {
    let mut managers: Vec<Manager> = entries.map(Manager::of).collect();
    managers.sort_by_key(|manager| std::cmp::Reverse(manager.time));
    managers
}

/// Whether a field of a Secret may hold what is secret. All annotations may: which of them do is a
/// setting of Argo CD's, and what was applied last is among them.
pub(super) fn is_confidential(pointer: &str) -> bool {
    const TOPS: [&str; 3] = ["/data", "/stringData", "/metadata/annotations"];
    const ARGO_CDS: &str = "/metadata/annotations/argocd.argoproj.io~1";
    let is_within = TOPS.iter().any(|top| is_at_or_below(pointer, top));
    let has_it_below = TOPS.iter().any(|top| is_at_or_below(top, pointer));
    (is_within || has_it_below) && !pointer.starts_with(ARGO_CDS)
}

pub(super) fn is_at_or_below(pointer: &str, top: &str) -> bool {
    let rest = pointer.strip_prefix(top);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What was applied last by a client, as a live object remembers it, and as Argo CD writes it.
pub(super) fn last_applied(live: &Value) -> Option<Value> {
    let annotations = live.pointer("/metadata/annotations")?;
    let text = annotations.get(LAST_APPLIED)?.as_str()?;
    serde_json::from_str(text).ok().map(remarshalled)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_value_of_a_secret_is_kept() {
        let secret = |value: &str| {
            json!({
                "kind": "Secret",
                "type": "Opaque",
                "metadata": {
                    "labels": {"team": value},
                    "annotations": {LAST_APPLIED: value, "example.com/token": value},
                },
                "data": {"password": value},
                "stringData": {"other": value},
            })
        };
        let (desired, live) = (secret("c3VwZXI="), secret("c2VjcmV0"));
        let found = fields(&desired, &live, &live, true);
        let masked: Vec<_> = found
            .iter()
            .map(|field| (field.pointer.as_str(), field.masked))
            .collect();
        assert_eq!(
            masked,
            [
                ("/data/password", true),
                ("/metadata/annotations/example.com~1token", true),
                (
                    "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
                    true
                ),
                ("/metadata/labels/team", false),
                ("/stringData/other", true),
            ]
        );
        for field in found.iter().filter(|field| field.masked) {
            assert_eq!(field.desired, Some(json!(MASK)));
            assert_eq!(field.live, Some(json!(MASK)));
        }
        let gone = fields(&json!({}), &json!({"data": {"a": "c2VjcmV0"}}), &live, true);
        assert_eq!(gone[0].live, Some(json!(MASK)));
        assert_eq!(gone[0].desired, None);
        // An object of another type.
        let whole = fields(&json!({}), &json!({"data": "c2VjcmV0"}), &live, true);
        assert_eq!(whole[0].live, Some(json!(MASK)));
        let metadata = fields(&json!({}), &json!({"metadata": "c2VjcmV0"}), &live, true);
        assert_eq!(metadata[0].live, Some(json!(MASK)));
    }

    #[test]
    fn who_says_how_an_object_is_did_not_make_it() {
        let entry = |manager: &str, subresource: &str| {
            json!({
                "manager": manager, "operation": "Update", "subresource": subresource,
                "fieldsV1": {"f:x": {}},
            })
        };
        let names = |entries: &[Value]| {
            let live = json!({"metadata": {"managedFields": entries}});
            let whole = FieldDrift::of_object(Some(&live), Cause::Extra);
            let names = whole.managers.into_iter().map(|manager| manager.name);
            names.collect::<Vec<_>>()
        };
        let status = entry("kube-controller-manager", "status");
        let scale = entry("kubectl", "scale");
        let made = entry("kubectl-create", "");
        assert_eq!(
            names(&[status.clone(), made, scale]),
            ["kubectl-create", "kubectl"]
        );
        assert_eq!(names(&[status]), ["kube-controller-manager"]);
    }

    #[test]
    fn what_kubernetes_keeps_is_not_drift() {
        let object =
            |generation| json!({"metadata": {"generation": generation, "resourceVersion": "x"}});
        let found = fields(&object(1), &object(2), &json!({}), false);
        assert!(found.is_empty());
        let count = "deprecated.daemonset.template.generation";
        let object =
            |number: &str| json!({"metadata": {"annotations": {count: number, "a": number}}});
        let found = fields(&object("2"), &object("1"), &json!({}), false);
        let pointers: Vec<&str> = found.iter().map(|field| &*field.pointer).collect();
        assert_eq!(pointers, ["/metadata/annotations/a"]);
    }
}
