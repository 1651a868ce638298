//! Whether Argo CD's takeover would change anything: object by object, what a first sync would do.
//!
//! ```text
//!   manifest, marked as the Application's ─┐
//!   live object ───────────────────────────┼─> Argo CD's comparison ─> fields ─> Class
//!   what a dry run as Argo CD answers ─────┘
//! ```
//!
//! Argo CD's comparison leaves out what admission webhooks change, and what `ignoreDifferences`
//! names. A sync writes it all the same. So the whole answer to the dry run counts as well.

use argocd::comparison::{
    CompareError, Comparison, ComparisonSettings, IgnoreRules, Ownership, Pair, Rules, Strategy,
    Verdict, compare, differences,
};
use argocd::tracking::Tracking;
use golang::work::Work;
use serde_json::Value;

use crate::drift::local::Key;
use crate::drift::{Effect, MASK};

/// The annotation of an Application that names hooks that somebody has looked at, and that may run
/// at every sync: `KIND/NAME`, separated by commas.
pub(crate) const RUN_HOOKS: &str = "kubectl-gitops.io/run-hooks";

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
    /// It is not rendered any more: it is pruned, or left to nobody.
    Delete,
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
            Class::Delete => "delete",
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
    /// Whether Argo CD's own comparison calls it out of sync; None where it was not compared.
    pub(crate) is_modified: Option<bool>,
}

/// By what an object is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judging<'r> {
    /// How Argo CD compares.
    pub(crate) settings: &'r ComparisonSettings,
    /// What the Application ignores.
    pub(crate) ignored: &'r IgnoreRules,
    /// Nothing, where a sync writes what is ignored all the same: without
    /// `RespectIgnoreDifferences=true`.
    pub(crate) written_anyway: Option<&'r IgnoreRules>,
    /// Whether Argo CD compares what webhooks change as well (`IncludeMutationWebhook=true`).
    pub(crate) mutation_webhooks: bool,
}

/// Why a field would change that Argo CD's own comparison does not show.
const BY_ADMISSION: &str = "an admission webhook or policy would change it at the sync, which Argo \
                            CD's own comparison leaves out";
const IGNORED_AND_WRITTEN: &str = "ignoreDifferences hides it, and a sync writes it all the same: \
                                   syncOptions lacks RespectIgnoreDifferences=true";

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
    /// What would leave it as it is, where that was worked out.
    pub(crate) remedy: Option<Remedy>,
}

/// A value with which what is rendered has a field as it is in the cluster. That was rendered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Remedy {
    /// From the top of the repository.
    pub(crate) file: String,
    /// As Helm's `--set` names it.
    pub(crate) path: String,
    pub(crate) value: Value,
}

impl Takeover {
    /// One of which the class is known without a comparison.
    pub(crate) fn of(key: Key, class: Class, reason: impl Into<String>) -> Self {
        Takeover {
            key,
            class,
            reason: Some(reason.into()),
            fields: Vec::new(),
            is_modified: None,
        }
    }

    /// Compares an object as Argo CD does, with what a dry run of its apply answered, and then with
    /// all that the answer says.
    ///
    /// # Errors
    /// Argo CD could not compare it either.
    pub(crate) fn compared(
        key: Key,
        desired: &Value,
        live: &Value,
        answer: &Value,
        judging: Judging<'_>,
    ) -> Result<Self, CompareError> {
        let compare = |desired: &Value, ignored, mutation_webhooks| {
            let pair = Pair {
                desired: Some(desired.clone()),
                live: Some(live.clone()),
            };
            let strategy = Strategy::ServerSide {
                dry_run: Some(answer),
                mutation_webhooks,
            };
            let rules = Rules {
                settings: judging.settings,
                ignore: ignored,
            };
            compare(pair, strategy, rules, &Work::new(WORK))
        };
        let own = compare(desired, judging.ignored, judging.mutation_webhooks)?;
        let Verdict::Compared(own) = own else {
            return Ok(Takeover::of(
                key,
                Class::Unknown,
                "a jq path of ignoreDifferences is not worked out",
            ));
        };
        let mut found = Takeover::judged(key, live, &own);
        if let Verdict::Compared(all) = compare(desired, judging.ignored, true)? {
            found.add_hidden(live, &all, BY_ADMISSION);
        }
        if let Some(rules) = judging.written_anyway
            && let Verdict::Compared(all) = compare(&without_own_rules(desired), rules, true)?
        {
            found.add_hidden(live, &all, IGNORED_AND_WRITTEN);
        }
        Ok(found)
    }

    fn judged(key: Key, live: &Value, comparison: &Comparison) -> Self {
        let fields = if comparison.modified {
            fields(&key, live, comparison)
        } else {
            Vec::new()
        };
        let class = match (comparison.modified, fields.as_slice()) {
            (false, _) => Class::Nothing,
            (true, []) => Class::TrackingOnly,
            (true, fields) => class_of(&key, fields),
        };
        Takeover {
            key,
            class,
            reason: None,
            fields,
            is_modified: Some(comparison.modified),
        }
    }

    /// Adds the fields that would change beside those of Argo CD's own comparison.
    fn add_hidden(&mut self, live: &Value, all: &Comparison, reason: &str) {
        let is_known = |pointer: &str| {
            let mut known = self.fields.iter();
            known.any(|field| {
                let rest = pointer.strip_prefix(&*field.pointer);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let hidden = fields(&self.key, live, all).into_iter();
        let hidden: Vec<Field> = hidden.filter(|field| !is_known(&field.pointer)).collect();
        if hidden.is_empty() {
            return;
        }
        self.class = self.class.max(class_of(&self.key, &hidden));
        let pointers: Vec<&str> = hidden.iter().map(|field| &*field.pointer).collect();
        let told = format!("{}: {reason}", pointers.join(", "));
        self.reason = Some(match self.reason.take() {
            Some(before) => format!("{before}; {told}"),
            None => told,
        });
        self.fields.extend(hidden);
    }
}

/// A manifest that does not say itself which of its differences are ignored.
fn without_own_rules(desired: &Value) -> Value {
    let mut desired = desired.clone();
    if let Some(Value::Object(annotations)) = desired.pointer_mut("/metadata/annotations") {
        annotations.remove("argocd.argoproj.io/ignore-differences");
    }
    desired
}

/// The fields that would change, without those by which Argo CD marks an object, and those that
/// Kubernetes keeps about it.
fn fields(key: &Key, live: &Value, comparison: &Comparison) -> Vec<Field> {
    let is_secret = key.group.is_empty() && key.kind == "Secret";
    let ownership = Ownership::of(live);
    let all = differences(&comparison.predicted, &comparison.live).into_iter();
    let counted = all.filter(|one| !is_tracking(&one.pointer) && !is_kept(&one.pointer));
    let fields = counted.map(|difference| {
        let is_hidden = is_secret && !difference.pointer.starts_with("/metadata/labels");
        let shown =
            |value: Option<Value>| value.map(|value| if is_hidden { MASK.into() } else { value });
        let owners = difference.owners(&ownership);
        Field {
            owners: owners.iter().map(|one| one.manager.to_owned()).collect(),
            live: shown(difference.live),
            desired: shown(difference.desired),
            pointer: difference.pointer,
            remedy: None,
        }
    });
    fields.collect()
}

fn class_of(key: &Key, fields: &[Field]) -> Class {
    let pointers = fields.iter().map(|field| &*field.pointer);
    match Effect::of_fields(&key.group, &key.kind, pointers, true) {
        Effect::Restart => Class::Restart,
        Effect::Replace => Class::Replace,
        _ => Class::InPlace,
    }
}

/// What a first sync would do on a cluster.
#[derive(Debug, Default)]
pub(crate) struct OnCluster {
    /// Its name in Argo CD.
    pub(crate) name: String,
    /// The Application that the ApplicationSet generates.
    pub(crate) application: String,
    pub(crate) objects: Vec<Takeover>,
    /// What shuts the gate beside objects, as a release that Helm has not deployed.
    pub(crate) obstacles: Vec<String>,
    /// Where Argo CD itself says otherwise of the Application.
    pub(crate) disagreements: Vec<String>,
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
        let is_shut = self.objects.iter().any(|one| !one.class.is_open());
        if is_shut || !self.obstacles.is_empty() {
            State::Shut
        } else if self.problems.is_empty() && self.disagreements.is_empty() {
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

/// Whether a field is one that Kubernetes counts up with each change of another.
fn is_kept(pointer: &str) -> bool {
    matches!(
        pointer,
        "/metadata/generation" | "/metadata/resourceVersion"
    )
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

/// The phases of a sync in which Argo CD runs hooks. `SyncFail` is run where one has failed.
const PHASES: [&str; 3] = ["PreSync", "Sync", "PostSync"];
/// The events of Helm's hooks that Argo CD runs at every sync.
const RUN: [&str; 4] = ["pre-install", "pre-upgrade", "post-install", "post-upgrade"];

/// What Argo CD makes of a hook: whether it runs it. None where it is an object as any other.
pub(crate) fn hook(object: &Value) -> Option<bool> {
    let annotations = object.pointer("/metadata/annotations")?;
    let annotation = |name: &str| annotations.get(name)?.as_str();
    if let Some(phases) = annotation("argocd.argoproj.io/hook") {
        return Some(
            phases
                .split(',')
                .any(|phase| PHASES.contains(&phase.trim())),
        );
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
    use argocd::Application;
    use argocd::comparison::{Customizations, Generation, Method};
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

    /// A Deployment, and what a dry run answers that takes nothing but Argo CD's mark from it, with
    /// a change.
    fn live_and_answer(pointer: &str, value: Value) -> [Value; 2] {
        let live = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "dns", "namespace": "dns"},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "dns"}},
                "template": {
                    "metadata": {"labels": {"app": "dns"}},
                    "spec": {"containers": [{"name": "dns", "image": "dns:1"}]},
                },
            },
        });
        let mut answer = live.clone();
        answer["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": "a"});
        let owned = json!({"f:annotations": {"f:argocd.argoproj.io/tracking-id": {}}});
        answer["metadata"]["managedFields"] = json!([{
            "manager": "argocd-controller",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": owned, "f:spec": {"f:replicas": {}}},
        }]);
        *answer.pointer_mut(pointer).unwrap() = value;
        [live, answer]
    }

    fn compared(
        [live, answer]: &[Value; 2],
        ignored: &IgnoreRules,
        written_anyway: Option<&IgnoreRules>,
    ) -> Takeover {
        let settings = ComparisonSettings {
            generation: Generation::Since36,
            ..ComparisonSettings::default()
        };
        let judging = Judging {
            settings: &settings,
            ignored,
            written_anyway,
            mutation_webhooks: false,
        };
        let key = Key::of(live);
        Takeover::compared(key, live, live, answer, judging).unwrap()
    }

    fn ignored(differences: &Value) -> IgnoreRules {
        let spec = json!({"ignoreDifferences": differences});
        let text = json!({"metadata": {"name": "dns"}, "spec": spec}).to_string();
        let application = Application::from_json(&text).unwrap();
        let own = &application.spec.ignore_differences;
        IgnoreRules::new(own, &Customizations::default(), &Work::new(WORK)).unwrap()
    }

    #[test]
    fn what_an_admission_webhook_would_change_counts() {
        let nothing = ignored(&json!([]));
        let image = "/spec/template/spec/containers/0/image";
        let found = compared(
            &live_and_answer(image, "mirror/dns:1".into()),
            &nothing,
            None,
        );
        assert_eq!(found.class, Class::Restart);
        assert_eq!(found.is_modified, Some(true), "by its mark alone");
        assert_eq!(found.fields[0].pointer, image);
        assert_eq!(found.reason.unwrap(), format!("{image}: {BY_ADMISSION}"));
        let same = live_and_answer(image, "dns:1".into());
        assert_eq!(compared(&same, &nothing, None).class, Class::TrackingOnly);
    }

    #[test]
    fn what_is_ignored_and_written_all_the_same_counts() {
        let nothing = ignored(&json!([]));
        let replicas = ignored(&json!([{
            "group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"],
        }]));
        let scaled = live_and_answer("/spec/replicas", 1.into());
        let respected = compared(&scaled, &replicas, None);
        assert_eq!(respected.class, Class::TrackingOnly);
        let written = compared(&scaled, &replicas, Some(&nothing));
        assert_eq!(written.class, Class::InPlace);
        let reason = format!("/spec/replicas: {IGNORED_AND_WRITTEN}");
        assert_eq!(written.reason.unwrap(), reason);
        let [mut live, mut answer] = scaled.clone();
        let own =
            json!({"argocd.argoproj.io/ignore-differences": "jsonPointers: [/spec/replicas]"});
        for object in [&mut live, &mut answer] {
            json_patch::merge(object, &json!({"metadata": {"annotations": own}}));
        }
        let by_itself = compared(&[live.clone(), answer.clone()], &nothing, None);
        assert_eq!(by_itself.class, Class::TrackingOnly);
        let written = compared(&[live, answer], &nothing, Some(&nothing));
        assert_eq!(written.reason.unwrap(), reason);
        let plain = compared(&scaled, &nothing, None);
        assert_eq!((plain.class, plain.reason), (Class::InPlace, None));
        assert_eq!(plain.fields.len(), 1, "no field is told twice");
    }

    #[test]
    fn a_gate_is_shut_by_an_obstacle_and_unknown_where_argo_cd_says_otherwise() {
        let mut on = OnCluster::default();
        assert_eq!(on.state(), State::Open);
        on.disagreements.push("configmap/dns".to_owned());
        assert_eq!(on.state(), State::Unknown);
        on.obstacles.push("revision 2 is failed".to_owned());
        assert_eq!(on.state(), State::Shut);
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
            Class::Delete,
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
            (with("argocd.argoproj.io/hook", "PreDelete"), Some(false)),
            (
                with("argocd.argoproj.io/hook", "PostSync, Skip"),
                Some(true),
            ),
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
