//! From what is known of an Application to a verdict.

use serde_json::Value;

use super::autoscaler::Autoscalers;
use super::cause::Cause;
use super::causes;
use super::effect::Effect;
use super::field::{FieldDrift, fields};
use super::managed_resources::{ManagedResource, State, UnreadableAnswer, read};
use super::overview::{COMPARE_OPTIONS, ListedResource, Overview, Sync};
use super::refusal::{Intent, Webhook};
use super::sides::Sides;
use super::{ApplicationDrift, Problem, ResourceDrift, Verdict};

/// Annotation that says how to sync a resource.
const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";

/// What was made of the resources of an Application: as little as is told of them.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Those that differ.
    resources: Vec<ResourceDrift>,
    /// What scales something there.
    autoscalers: Autoscalers,
    /// Why the Application is out of sync, whatever its resources are.
    pub(crate) out_of_sync: Option<String>,
}

impl Collected {
    /// Takes in a resource, and drops what does not differ of it. The webhook may refuse what a
    /// sync would write.
    pub(crate) fn add(
        &mut self,
        resource: ManagedResource,
        overview: &Overview,
        webhook: Option<&Webhook>,
    ) {
        if let State::Same { live: Some(live) } | State::Modified { live, .. } = &resource.state {
            let ManagedResource { group, kind, .. } = &resource;
            self.autoscalers
                .add(overview.cluster.key(), group, kind, live);
        }
        self.resources.extend(drift_of(resource, overview, webhook));
    }
}

/// Judges an Application by what argocd-server says of its resources. The other values are what
/// scales something there, and what could not be read. The webhook may refuse what a sync would
/// write.
pub(crate) fn judge(
    overview: Overview,
    answer: &str,
    webhook: Option<&Webhook>,
) -> (ApplicationDrift, Autoscalers, Vec<Problem>) {
    let mut collected = Collected::default();
    let each = |resource| collected.add(resource, &overview, webhook);
    let unreadable = read(answer, each).unwrap_or_else(|whole| vec![whole]);
    let problems = unreadable.iter().map(UnreadableAnswer::to_string);
    let problems: Vec<_> = problems.map(|text| problem(&overview, text)).collect();
    let first = problems.first().map(|problem| problem.message.clone());
    let Collected {
        resources,
        autoscalers,
        ..
    } = collected;
    (verdict(overview, resources, first), autoscalers, problems)
}

/// Judges an Application by what was found of its resources, whatever Argo CD says of it. `unseen`
/// is what could not be seen.
pub(crate) fn judge_found(
    overview: Overview,
    found: Collected,
    unseen: Vec<String>,
) -> (ApplicationDrift, Autoscalers, Vec<Problem>) {
    let Collected {
        resources,
        autoscalers,
        out_of_sync,
    } = found;
    let is_as_desired = resources.is_empty() && out_of_sync.is_none();
    let verdict = match (unseen.is_empty(), is_as_desired) {
        (false, _) => Verdict::Unknown,
        (true, false) => Verdict::Drifted,
        (true, true) => Verdict::Clean,
    };
    let reason = unseen.first().cloned().or(out_of_sync);
    let problems = unseen.into_iter().map(|text| problem(&overview, text));
    let problems = problems.collect();
    let application = ApplicationDrift {
        overview,
        verdict,
        reason,
        resources,
    };
    (application, autoscalers, problems)
}

/// An Application of which argocd-server says nothing.
pub(crate) fn unanswered(overview: Overview, reason: String) -> (ApplicationDrift, Problem) {
    let problem = problem(&overview, reason.clone());
    let resources = listed(&overview);
    (verdict(overview, resources, Some(reason)), problem)
}

/// Judges an Application by its status alone.
pub(crate) fn judge_by_status(overview: Overview) -> ApplicationDrift {
    let resources = listed(&overview);
    verdict(overview, resources, None)
}

fn problem(overview: &Overview, message: String) -> Problem {
    Problem {
        object: format!("application/{}", overview.name),
        message,
    }
}

fn verdict(
    overview: Overview,
    resources: Vec<ResourceDrift>,
    unseen: Option<String>,
) -> ApplicationDrift {
    let (verdict, reason) = if let Some(reason) = &overview.stale {
        (Verdict::Stale, Some(reason.clone()))
    } else if overview.sync == Sync::Unknown {
        let reason = match overview.errors.as_slice() {
            [] if overview.reconciled_at.is_none() => "not compared yet".to_owned(),
            [] => "Argo CD does not say why".to_owned(),
            errors => errors.join("; "),
        };
        (Verdict::Unknown, Some(reason))
    } else if unseen.is_some() {
        (Verdict::Unknown, unseen)
    } else if !resources.is_empty() || overview.sync == Sync::OutOfSync {
        (Verdict::Drifted, None)
    } else {
        (Verdict::Clean, None)
    };
    ApplicationDrift {
        overview,
        verdict,
        reason,
        resources,
    }
}

/// What `status.resources` says is out of sync. Which fields that are it does not say.
fn listed(overview: &Overview) -> Vec<ResourceDrift> {
    let counts = |listed: &&ListedResource| listed.status() == Some(Sync::OutOfSync);
    let resources = overview.resources.iter().filter(counts);
    resources
        .map(|listed| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let (cause, effect) = if listed.is_extra() {
                (Cause::Extra, Some(pruning(overview.prunes)))
            } else if listed.is_missing() {
                (Cause::Missing, Some(Effect::Create))
            } else {
                (Cause::Unknown, None)
            };
            ResourceDrift {
                group: text(&listed.group),
                version: listed.version.clone(),
                kind: text(&listed.kind),
                namespace: text(&listed.namespace),
                name: text(&listed.name),
                cause,
                effect,
                refusal: None,
                fields: Vec::new(),
                sides: None,
                written: None,
            }
        })
        .collect()
}

fn pruning(prunes: bool) -> Effect {
    if prunes {
        Effect::Delete
    } else {
        Effect::Nothing
    }
}

/// What differs of a resource; None where nothing does that counts.
fn drift_of(
    resource: ManagedResource,
    overview: &Overview,
    webhook: Option<&Webhook>,
) -> Option<ResourceDrift> {
    let ManagedResource {
        group,
        kind,
        namespace,
        name,
        state,
    } = resource;
    // By far most of them.
    if matches!(state, State::Same { .. }) {
        return None;
    }
    let is_secret = group.is_empty() && kind == "Secret";
    let listed = overview.listed(&group, &kind, &namespace, &name);
    let (version, cause, effect, fields) = match &state {
        State::Same { .. } => return None,
        State::Missing { target } => (
            version_of(target),
            Cause::Missing,
            Effect::Create,
            vec![FieldDrift::of_object(None, Cause::Missing)],
        ),
        State::Extra { live } => {
            // It is there, but for Argo CD it does not count: a copy, or what is left alone.
            let counts = listed.is_none_or(|listed| listed.status() == Some(Sync::OutOfSync));
            if !counts || has_option(live, COMPARE_OPTIONS, "IgnoreExtraneous") {
                return None;
            }
            let prunes = overview.prunes && !has_option(live, SYNC_OPTIONS, "Prune=false");
            (
                version_of(live),
                Cause::Extra,
                pruning(prunes),
                vec![FieldDrift::of_object(Some(live), Cause::Extra)],
            )
        }
        State::Modified {
            live,
            normalized,
            predicted,
        } => {
            let mut fields = fields(predicted, normalized, live, is_secret);
            let pointers = fields.iter().map(|field| field.pointer.as_str());
            let effect = if is_immutable(live) && !is_only_metadata(&fields) {
                Effect::Replace
            } else {
                Effect::of_fields(&group, &kind, pointers, has_rollout(live))
            };
            let cause = causes::settle(&mut fields, live, overview.is_revision_synced);
            (version_of(live), cause, effect, fields)
        }
    };
    let refusal = intent_of(&state, effect).and_then(|intent| {
        let kind = (group.as_str(), kind.as_str());
        webhook?.refusal(&overview.cluster, kind, intent)
    });
    let effect = if refusal.is_some() {
        Effect::Refused
    } else {
        effect
    };
    let sides = match &state {
        State::Same { .. } => return None,
        State::Missing { target } => Sides::new(None, Some(target), is_secret),
        State::Extra { live } => Sides::new(Some(live), None, is_secret),
        State::Modified {
            normalized,
            predicted,
            ..
        } => Sides::new(Some(normalized), Some(predicted), is_secret),
    };
    Some(ResourceDrift {
        version: version.or_else(|| listed.and_then(|listed| listed.version.clone())),
        group,
        kind,
        namespace,
        name,
        cause,
        effect: Some(effect),
        refusal,
        fields,
        sides: Some(sides),
        written: None,
    })
}

/// What a sync would ask the API server for, if anything.
fn intent_of(state: &State, effect: Effect) -> Option<Intent<'_>> {
    match state {
        State::Same { .. } => None,
        State::Missing { target } => Some(Intent::Create(target)),
        State::Extra { live } => (effect == Effect::Delete).then_some(Intent::Delete(live)),
        State::Modified {
            live,
            normalized,
            predicted,
        } => Some(Intent::Update {
            live,
            normalized,
            predicted,
        }),
    }
}

fn version_of(object: &Value) -> Option<String> {
    let version = object.get("apiVersion")?.as_str()?;
    Some(version.rsplit('/').next().unwrap_or(version).to_owned())
}

/// Whether an annotation, which is a list with commas, has an option.
fn has_option(object: &Value, annotation: &str, option: &str) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    let text = annotations.and_then(|all| all.get(annotation));
    let text = text.and_then(Value::as_str).unwrap_or_default();
    text.split(',').any(|word| word.trim() == option)
}

/// A ConfigMap or Secret that nobody may change.
fn is_immutable(live: &Value) -> bool {
    live.get("immutable") == Some(&Value::Bool(true))
}

fn is_only_metadata(fields: &[FieldDrift]) -> bool {
    let mut fields = fields.iter();
    fields.all(|field| field.pointer.starts_with("/metadata/"))
}

/// Whether Pods follow the template by themselves.
fn has_rollout(live: &Value) -> bool {
    let strategy = live.pointer("/spec/updateStrategy/type");
    strategy.and_then(Value::as_str) != Some("OnDelete")
}
