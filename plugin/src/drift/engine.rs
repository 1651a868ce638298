//! Argo CD's own objects: what a checkout and its ApplicationSets say of them, and what there is.
//!
//! Argo CD compares them, too, where an Application applies them, but by what was applied last: a
//! field that Git says nothing of never counts for it. Here it does.

mod counted;

use std::collections::BTreeMap;

use argocd::names::GROUP;
use policy::Kind;
use serde_json::Value;

use self::counted::counted;
use super::cause::Cause;
use super::causes;
use super::effect::Effect;
use super::field::{FieldDrift, fields, last_applied};
use super::sides::Sides;
use super::{ApplicationDrift, Overview, Problem, ResourceDrift, Verdict, Written};

/// What tells an object from all others on a control plane.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What an object is to be.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) object: Value,
    pub(crate) maker: Maker,
    /// Where a checkout has it.
    pub(crate) written: Option<Written>,
}

/// Who makes an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Maker {
    /// Whoever applies a manifest.
    Manifest,
    /// The controller of an ApplicationSet.
    ApplicationSet(Rewrites),
}

/// Whether the controller of an ApplicationSet writes over what others changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rewrites {
    Always,
    Never,
    /// But for fields that it is told to leave alone.
    Partly,
}

/// What is known of an object that is to be.
#[derive(Debug)]
pub(crate) enum Wanted {
    Known(Box<Wish>),
    /// Nobody can tell, for a reason.
    Unknown(String),
}

/// An object that is there.
#[derive(Debug)]
pub(crate) struct Present {
    pub(crate) object: Value,
    /// The Application that applies it, as an index.
    pub(crate) parent: Option<usize>,
    /// Whether it is known not to be in Git, where no manifest of it is found.
    pub(crate) is_extra: Result<(), String>,
    /// Whether whoever made it deletes it once it is not to be there.
    pub(crate) is_deleted: bool,
}

/// What there is to be and what there is.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    pub(crate) wanted: BTreeMap<Identity, Wanted>,
    pub(crate) present: BTreeMap<Identity, Present>,
    /// The Application that would apply what is missing, as an index.
    pub(crate) parents_of_missing: BTreeMap<Identity, usize>,
}

/// The objects that one Application applies, or none.
#[derive(Default)]
struct Group {
    resources: Vec<ResourceDrift>,
    unknown: Vec<(Identity, String)>,
    count: usize,
}

impl Engine {
    /// Compares. `parents` are the Applications that apply some of it, `nobody` stands for what none
    /// does.
    pub(crate) fn judge(
        mut self,
        parents: Vec<Overview>,
        nobody: Overview,
    ) -> (Vec<ApplicationDrift>, Vec<Problem>) {
        let mut groups: Vec<Group> = Vec::new();
        groups.resize_with(parents.len() + 1, Group::default);
        let none = parents.len();
        for (identity, wanted) in std::mem::take(&mut self.wanted) {
            let present = self.present.remove(&identity);
            let parent = match &present {
                Some(present) => present.parent,
                None => self.parents_of_missing.get(&identity).copied(),
            };
            let group = &mut groups[parent.unwrap_or(none)];
            group.count += 1;
            match wanted {
                Wanted::Unknown(reason) => group.unknown.push((identity, reason)),
                Wanted::Known(wish) => {
                    let found = of_wanted(&identity, &wish, present.as_ref(), parent.is_some());
                    group.resources.extend(found);
                }
            }
        }
        for (identity, present) in self.present {
            let parent = present.parent.and_then(|parent| parents.get(parent));
            let group = &mut groups[present.parent.unwrap_or(none)];
            group.count += 1;
            match &present.is_extra {
                Ok(()) => group.resources.push(extra(&identity, &present, parent)),
                Err(reason) => group.unknown.push((identity, reason.clone())),
            }
        }
        let overviews = parents.into_iter().chain([nobody]);
        let (mut applications, mut problems) = (Vec::new(), Vec::new());
        for (overview, group) in overviews.zip(groups).filter(|(_, group)| group.count > 0) {
            let told = group.unknown.iter().map(|(identity, reason)| Problem {
                object: identity.short(),
                message: reason.clone(),
            });
            problems.extend(told);
            applications.push(group.verdict(overview));
        }
        (applications, problems)
    }
}

impl Group {
    fn verdict(self, overview: Overview) -> ApplicationDrift {
        let first = self.unknown.first();
        let reason = first.map(|(identity, reason)| format!("{}: {reason}", identity.short()));
        let verdict = match (&reason, self.resources.is_empty()) {
            (Some(_), _) => Verdict::Unknown,
            (None, false) => Verdict::Drifted,
            (None, true) => Verdict::Clean,
        };
        ApplicationDrift {
            overview,
            verdict,
            reason,
            resources: self.resources,
        }
    }
}

impl Identity {
    /// `application/cart`.
    pub(crate) fn short(&self) -> String {
        format!("{}/{}", self.kind.as_str().to_lowercase(), self.name)
    }

    fn drift(
        &self,
        cause: Cause,
        effect: Option<Effect>,
        fields: Vec<FieldDrift>,
    ) -> ResourceDrift {
        ResourceDrift {
            group: GROUP.to_owned(),
            version: Some("v1alpha1".to_owned()),
            kind: self.kind.as_str().to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            cause,
            effect,
            refusal: None,
            fields,
            sides: None,
            written: None,
        }
    }
}

fn of_wanted(
    identity: &Identity,
    wish: &Wish,
    present: Option<&Present>,
    is_applied: bool,
) -> Vec<ResourceDrift> {
    let mut found = if let Some(present) = present {
        differing(identity, wish, &present.object, is_applied)
    } else {
        let creates = is_applied || matches!(wish.maker, Maker::ApplicationSet(_));
        let effect = if creates {
            Effect::Create
        } else {
            Effect::Nothing
        };
        let fields = vec![FieldDrift::of_object(None, Cause::Missing)];
        let mut missing = identity.drift(Cause::Missing, Some(effect), fields);
        missing.sides = Some(Sides::new(None, Some(&wish.object), false));
        vec![missing]
    };
    for resource in &mut found {
        resource.written.clone_from(&wish.written);
    }
    found
}

/// What a sync puts back, and what it leaves alone: two entries where there is both.
fn differing(
    identity: &Identity,
    wish: &Wish,
    live: &Value,
    is_applied: bool,
) -> Vec<ResourceDrift> {
    let (desired, counted_live) = (
        counted(&wish.object, &wish.object),
        counted(live, &wish.object),
    );
    let all = fields(&desired, &counted_live, live, false);
    let applied = last_applied(live);
    let mut by_effect: BTreeMap<Option<Effect>, Vec<FieldDrift>> = BTreeMap::new();
    for field in all {
        let effect = match wish.maker {
            Maker::ApplicationSet(Rewrites::Always) => Some(Effect::InPlace),
            Maker::ApplicationSet(Rewrites::Never) => Some(Effect::Nothing),
            Maker::ApplicationSet(Rewrites::Partly) => None,
            Maker::Manifest if !is_applied => Some(Effect::Nothing),
            Maker::Manifest => Some(of_field(&field, &counted_live, applied.as_ref())),
        };
        by_effect.entry(effect).or_default().push(field);
    }
    let parts: Vec<(Option<Effect>, Vec<FieldDrift>)> = by_effect.into_iter().collect();
    let found = parts.iter().map(|(effect, fields)| {
        let others = parts.iter().filter(|(other, _)| other != effect);
        let mut sides = Sides::new(Some(&counted_live), Some(&desired), false);
        sides.leave_out(others.flat_map(|(_, fields)| fields));
        let mut fields = fields.clone();
        let cause = causes::settle(&mut fields, live, true);
        let mut drift = identity.drift(cause, *effect, fields);
        drift.sides = Some(sides);
        drift
    });
    found.collect()
}

/// What a sync of the Application does about a field: Argo CD makes a JSON merge patch of a custom
/// resource by what was applied last, in which a list is one value (gitops-engine, `ThreeWayDiff`).
fn of_field(field: &FieldDrift, live: &Value, applied: Option<&Value>) -> Effect {
    let was_applied = || applied.is_some_and(|applied| applied.pointer(&field.pointer).is_some());
    let by_argo_cd = || {
        let mut managers = field.managers.iter();
        managers.any(|manager| manager.operation == "Apply" && manager.name == "argocd-controller")
    };
    if field.desired.is_some() || was_applied() || by_argo_cd() || is_in_list(&field.pointer, live)
    {
        Effect::InPlace
    } else {
        Effect::Nothing
    }
}

fn is_in_list(pointer: &str, object: &Value) -> bool {
    let ends = pointer.match_indices('/').map(|(end, _)| end);
    let mut above = ends.filter_map(|end| object.pointer(&pointer[..end]));
    above.any(Value::is_array)
}

fn extra(identity: &Identity, present: &Present, parent: Option<&Overview>) -> ResourceDrift {
    let deletes = present.is_deleted || parent.is_some_and(|parent| parent.prunes);
    let effect = if deletes {
        Effect::Delete
    } else {
        Effect::Nothing
    };
    let fields = vec![FieldDrift::of_object(Some(&present.object), Cause::Extra)];
    let mut extra = identity.drift(Cause::Extra, Some(effect), fields);
    let live = counted(&present.object, &Value::Null);
    extra.sides = Some(Sides::new(Some(&live), None, false));
    extra
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn application(spec: &Value, metadata: &Value) -> Value {
        let mut object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "shop", "namespace": "argocd"},
            "spec": {"project": "shop", "source": {"repoURL": "https://git.example.com/shop.git", "path": "a"}},
        });
        json_patch::merge(&mut object, &json!({"spec": spec, "metadata": metadata}));
        object
    }

    fn identity() -> Identity {
        Identity {
            kind: Kind::Application,
            namespace: "argocd".to_owned(),
            name: "shop".to_owned(),
        }
    }

    fn found(desired: &Value, live: &Value, maker: Maker, is_applied: bool) -> Vec<String> {
        let wish = Wish {
            object: desired.clone(),
            maker,
            written: None,
        };
        let found = differing(&identity(), &wish, live, is_applied).into_iter();
        let told = found.flat_map(|resource| {
            let effect = resource.effect.map_or("unknown", Effect::as_str);
            let cause = resource.cause.as_str();
            let fields = resource.fields.into_iter();
            let lines = fields.map(move |field| format!("{} {cause} {effect}", field.pointer));
            lines.collect::<Vec<_>>()
        });
        told.collect()
    }

    fn edited(spec: &Value) -> Value {
        let applied = application(&json!({}), &json!({})).to_string();
        let entry = json!({
            "manager": "kubectl-edit", "operation": "Update", "time": "2026-11-29T10:00:00Z",
            "fieldsV1": {"f:spec": {"f:syncPolicy": {"f:automated": {}}, "f:source": {"f:path": {}}, "f:info": {}}},
        });
        let metadata = json!({
            "managedFields": [entry],
            "annotations": {argocd::names::LAST_APPLIED: applied, "argocd.argoproj.io/tracking-id": "root:x"},
        });
        application(spec, &metadata)
    }

    /// Argo CD says of all of it that it is in sync, but for the path.
    #[test]
    fn what_git_says_nothing_of_differs_and_a_sync_leaves_it_alone() {
        let desired = application(&json!({}), &json!({}));
        let live = edited(&json!({"syncPolicy": {"automated": {}}, "source": {"path": "b"}}));
        assert_eq!(
            found(&desired, &live, Maker::Manifest, true),
            [
                "/spec/syncPolicy changed-by-hand nothing",
                "/spec/source/path changed-by-hand in-place",
            ]
        );
        assert_eq!(
            found(&desired, &live, Maker::Manifest, false),
            [
                "/spec/source/path changed-by-hand nothing",
                "/spec/syncPolicy changed-by-hand nothing",
            ]
        );
        // A list is one value.
        let listed = application(&json!({"info": [{"name": "a", "value": "1"}]}), &json!({}));
        let more = json!({"info": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]});
        assert_eq!(
            found(&listed, &edited(&more), Maker::Manifest, true),
            ["/spec/info/1 changed-by-hand in-place"]
        );
    }

    #[test]
    fn an_application_set_puts_back_what_it_is_not_told_to_leave_alone() {
        let desired = application(&json!({}), &json!({}));
        let live = edited(&json!({"syncPolicy": {"automated": {}}}));
        for (rewrites, effect) in [
            (Rewrites::Always, "in-place"),
            (Rewrites::Never, "nothing"),
            (Rewrites::Partly, "unknown"),
        ] {
            assert_eq!(
                found(&desired, &live, Maker::ApplicationSet(rewrites), false),
                [format!("/spec/syncPolicy changed-by-hand {effect}")]
            );
        }
    }

    #[test]
    fn what_argo_cd_writes_itself_is_not_drift() {
        let desired = application(
            &json!({"project": null, "source": {"directory": {"jsonnet": {}, "recurse": false}}}),
            &json!({}),
        );
        let live = application(
            &json!({"project": "default"}),
            &json!({
                "annotations": {
                    "argocd.argoproj.io/tracking-id": "root:x",
                    "argocd.argoproj.io/refresh": "normal",
                    "notified.notifications.argoproj.io": "{}",
                },
                "finalizers": ["post-delete-finalizer.argocd.argoproj.io"],
                "uid": "a", "generation": 7,
            }),
        );
        assert_eq!(found(&desired, &live, Maker::Manifest, true), [""; 0]);
        // What means something is not empty.
        for (spec, expected) in [
            (json!({"syncPolicy": {"automated": {}}}), "/spec/syncPolicy"),
            (
                json!({"syncPolicy": {"automated": {"enabled": false}}}),
                "/spec/syncPolicy",
            ),
            (
                json!({"revisionHistoryLimit": 0}),
                "/spec/revisionHistoryLimit",
            ),
        ] {
            let mut live = live.clone();
            json_patch::merge(&mut live, &json!({"spec": spec}));
            let found = found(&desired, &live, Maker::Manifest, true);
            assert!(
                found.len() == 1 && found[0].starts_with(expected),
                "{found:?}"
            );
        }
    }

    #[test]
    fn what_is_on_one_side_only_is_missing_or_extra_or_unknown() {
        let object = application(&json!({}), &json!({}));
        let of = |name: &str| Identity {
            name: name.to_owned(),
            ..identity()
        };
        let known = |written| {
            Wanted::Known(Box::new(Wish {
                object: object.clone(),
                maker: Maker::Manifest,
                written,
            }))
        };
        let present = |is_extra| Present {
            object: object.clone(),
            parent: None,
            is_extra,
            is_deleted: false,
        };
        let engine = Engine {
            wanted: BTreeMap::from([
                (of("missing"), known(None)),
                (of("same"), known(None)),
                (
                    of("unclear"),
                    Wanted::Unknown("it is in two files".to_owned()),
                ),
            ]),
            present: BTreeMap::from([
                (of("same"), present(Ok(()))),
                (of("extra"), present(Ok(()))),
                (of("rendered"), present(Err("Helm makes it".to_owned()))),
            ]),
            parents_of_missing: BTreeMap::new(),
        };
        let (applications, problems) = engine.judge(Vec::new(), Overview::of_nobody("argocd"));
        let [application] = applications.as_slice() else {
            panic!("{applications:?}");
        };
        let resources = application.resources.iter();
        let resources: Vec<_> = resources.map(|one| (one.short(), one.cause)).collect();
        assert_eq!(
            resources,
            [
                ("application/missing".to_owned(), Cause::Missing),
                ("application/extra".to_owned(), Cause::Extra),
            ]
        );
        assert_eq!(application.verdict, Verdict::Unknown);
        let told: Vec<_> = problems.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(told, ["it is in two files", "Helm makes it"]);
    }
}
