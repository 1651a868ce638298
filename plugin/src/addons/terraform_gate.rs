//! Whether Terraform may let go of a release, and whether it has: by states and plans, and by the
//! gate before.

use std::collections::BTreeSet;

use super::state::State as GateState;
use crate::terraform::{
    Action, FindError, HelmRelease, LettingGo, Objection, Plan, Referrer, ReferrerKind, Restoring,
    State, Tool,
};

/// The states and plans that were read.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) states: Vec<Source<State>>,
    pub(crate) plans: Vec<Source<Plan>>,
}

/// A state or a plan, and where it is from.
#[derive(Debug)]
pub(crate) struct Source<T> {
    /// The cluster that it is for; None where it is for all of them.
    pub(crate) cluster: Option<String>,
    /// As it is told: the name of the file.
    pub(crate) from: String,
    pub(crate) content: T,
}

/// A release, as the gate before it has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'s> {
    pub(crate) cluster: &'s str,
    pub(crate) release: &'s str,
    pub(crate) namespace: &'s str,
    /// The resources that are meant; all of the release where there are none.
    pub(crate) addresses: &'s [String],
    /// Whether Argo CD's takeover would change nothing.
    pub(crate) zero_diff: GateState,
}

/// A resource that manages a release.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Managing<'k> {
    pub(crate) source: &'k Source<State>,
    pub(crate) release: &'k HelmRelease,
}

/// What the states and plans say.
#[derive(Debug)]
pub(crate) struct Judgement<'k> {
    pub(crate) state: GateState,
    /// What is in the way.
    pub(crate) against: Vec<String>,
    /// What else was seen.
    pub(crate) seen: Vec<String>,
    /// The resources that are to let go.
    pub(crate) managing: Vec<Managing<'k>>,
    /// Who refers to them.
    pub(crate) referrers: BTreeSet<Referrer>,
    /// Why nobody can say which resource it is.
    pub(crate) unclear: Option<FindError>,
}

impl Judgement<'_> {
    /// All that tells so, what is in the way first.
    pub(crate) fn evidence(&self) -> Vec<String> {
        self.against.iter().chain(&self.seen).cloned().collect()
    }
}

impl<T> Source<T> {
    fn is_for(&self, cluster: &str) -> bool {
        self.cluster.as_deref().is_none_or(|own| own == cluster)
    }
}

impl Known {
    /// What they say of a release on a cluster.
    pub(crate) fn judge(&self, subject: &Subject<'_>) -> Judgement<'_> {
        let states = self.states.iter().filter(|one| one.is_for(subject.cluster));
        let plans = self.plans.iter().filter(|one| one.is_for(subject.cluster));
        let mut judging = Judging {
            subject,
            states: states.collect(),
            plans: plans.collect(),
            seen: Vec::new(),
            against: Vec::new(),
            managing: Vec::new(),
            unclear: None,
        };
        judging.judge()
    }
}

struct Judging<'k, 's> {
    subject: &'s Subject<'s>,
    states: Vec<&'k Source<State>>,
    plans: Vec<&'k Source<Plan>>,
    seen: Vec<String>,
    /// What is in the way.
    against: Vec<String>,
    managing: Vec<Managing<'k>>,
    unclear: Option<FindError>,
}

/// What a plan does with the release.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// It goes on to manage it: it was made before.
    Kept,
    /// It only forgets it.
    Forgotten,
    /// It knows nothing of it, or would destroy or create something.
    Other,
}

impl<'k> Judging<'k, '_> {
    fn judge(&mut self) -> Judgement<'k> {
        if self.states.is_empty() && self.plans.is_empty() {
            return self.judgement(GateState::Unknown, BTreeSet::new());
        }
        for source in self.states.clone() {
            self.read_state(source);
        }
        self.look_at_what_manages();
        let fates: Vec<Fate> = self
            .plans
            .clone()
            .into_iter()
            .map(|one| self.fate(one))
            .collect();
        let has_let_go = !fates.is_empty() && fates.iter().all(|fate| *fate == Fate::Other);
        if has_let_go && self.against.is_empty() {
            // A state that still has it is older than the plan.
            self.managing.clear();
        }
        let is_forgotten = fates.contains(&Fate::Forgotten);
        let referrers = if is_forgotten || self.managing.is_empty() {
            BTreeSet::new()
        } else {
            self.referrers()
        };
        let is_managed = !self.managing.is_empty() || is_forgotten || fates.contains(&Fate::Kept);
        if is_managed {
            self.ask_the_gate_before();
        }
        let state = match self.subject.zero_diff {
            _ if !self.against.is_empty() => GateState::Shut,
            _ if !is_managed => GateState::Done,
            GateState::Open | GateState::Done => GateState::Open,
            other => other,
        };
        self.judgement(state, referrers)
    }

    fn judgement(&mut self, state: GateState, referrers: BTreeSet<Referrer>) -> Judgement<'k> {
        Judgement {
            state,
            against: std::mem::take(&mut self.against),
            seen: std::mem::take(&mut self.seen),
            managing: std::mem::take(&mut self.managing),
            referrers,
            unclear: self.unclear.take(),
        }
    }

    fn is_it(&self, release: &HelmRelease) -> bool {
        let Subject {
            release: name,
            namespace,
            addresses,
            ..
        } = self.subject;
        release.name == *name
            && release.namespace == *namespace
            && (addresses.is_empty() || addresses.contains(&release.address))
    }

    fn read_state(&mut self, source: &'k Source<State>) {
        let Subject {
            release, namespace, ..
        } = self.subject;
        let all = source.content.releases.iter();
        let found: Vec<&'k HelmRelease> = all.filter(|one| self.is_it(one)).collect();
        if found.is_empty() {
            let from = &source.from;
            self.seen.push(format!(
                "{from} has no helm_release {release} in namespace {namespace}"
            ));
        }
        if self.subject.addresses.is_empty()
            && let Err(error @ FindError::Several { .. }) =
                source.content.release(release, namespace)
        {
            self.against.push(format!("{}: {error}", source.from));
            self.unclear = Some(error);
        }
        for release in found {
            let revision = release.revision.map_or_else(
                || "an unknown revision".to_owned(),
                |revision| format!("revision {revision}"),
            );
            self.seen.push(format!(
                "{}: {} manages the release, with {revision}",
                source.from, release.address
            ));
            self.managing.push(Managing { source, release });
        }
    }

    /// What of the resources themselves is in the way.
    fn look_at_what_manages(&mut self) {
        let sources: BTreeSet<&str> = self.managing.iter().map(|one| &*one.source.from).collect();
        if sources.len() > 1 {
            let sources: Vec<&str> = sources.into_iter().collect();
            let text = format!("several states manage the release: {}", sources.join(", "));
            self.against.push(text);
        }
        for Managing { release, .. } in &self.managing {
            let address = &release.address;
            if release.has_post_renderer {
                self.against.push(format!(
                    "{address} has a post-renderer, which Argo CD does not run"
                ));
            }
            if release.has_write_only_values {
                self.against.push(format!(
                    "{address} has values that are in no state (set_wo): nobody can compare them"
                ));
            }
            if release.is_tainted {
                self.against.push(format!(
                    "{address} is tainted: the next apply would replace the release"
                ));
            }
            match release.status.as_deref() {
                None | Some("deployed") => {}
                Some(other) => self
                    .against
                    .push(format!("{address} is {other}, not deployed")),
            }
        }
    }

    fn fate(&mut self, source: &'k Source<Plan>) -> Fate {
        let plan = &source.content;
        let from = &source.from;
        let own = plan.prior.releases.iter().filter(|one| self.is_it(one));
        let mut let_go: Vec<&HelmRelease> = self.managing.iter().map(|one| one.release).collect();
        let_go.extend(own);
        let objections = plan.objections(&let_go);
        let is_kept = |one: &Objection| matches!(one, Objection::StillManaged { .. });
        let is_of_it = |address: &str| let_go.iter().any(|one| one.address == address);
        if objections.iter().any(is_kept) {
            // It was made before, and says only what the next apply would do to the release.
            for objection in objections {
                match &objection {
                    Objection::Destroyed { address, .. } | Objection::Replaced { address }
                        if is_of_it(address) =>
                    {
                        self.against.push(format!("{from}: {objection}"));
                    }
                    Objection::StillManaged { .. } => {
                        self.seen.push(format!("{from}: {objection}"));
                    }
                    _ => {}
                }
            }
            return Fate::Kept;
        }
        if objections.is_empty() {
            let text = format!("{from}: nothing would be destroyed or created");
            self.seen.push(text);
        }
        for objection in objections {
            self.against.push(format!("{from}: {objection}"));
        }
        for address in plan.updated() {
            let text = format!("{from}: {address} would be changed in place");
            self.seen.push(text);
        }
        let mut changes = plan.changes.iter();
        if changes.any(|one| one.action == Action::Forget && is_of_it(&one.address)) {
            let text = format!("{from}: the release would be forgotten");
            self.seen.push(text);
            return Fate::Forgotten;
        }
        Fate::Other
    }

    /// Who would refer to what is no longer there.
    fn referrers(&mut self) -> BTreeSet<Referrer> {
        let mut all = BTreeSet::new();
        for one in &self.managing {
            let address = &one.release.address;
            all.append(&mut one.source.content.dependants(address));
            for plan in &self.plans {
                all.append(&mut plan.content.referrers(address));
            }
        }
        for referrer in &all {
            let who = name(referrer);
            self.against
                .push(format!("{who} refers to it: change that first"));
        }
        all
    }

    fn ask_the_gate_before(&mut self) {
        let cluster = self.subject.cluster;
        match self.subject.zero_diff {
            GateState::Shut => self.against.push(format!(
                "the zero-diff gate is shut on {cluster}: Argo CD's takeover would change something"
            )),
            GateState::Unknown => self.seen.push(format!(
                "nobody can tell whether Argo CD's takeover would change something on {cluster}"
            )),
            GateState::Open | GateState::Done => {}
        }
    }
}

/// How something that refers is called.
pub(crate) fn name(referrer: &Referrer) -> String {
    let address = &referrer.address;
    match referrer.kind {
        ReferrerKind::Resource | ReferrerKind::ModuleCall => address.clone(),
        ReferrerKind::Output => format!("output {address}"),
        ReferrerKind::Provider => format!("provider {address}"),
    }
}

/// How the resources of one state let go, and how it takes them back.
#[derive(Debug)]
pub(crate) struct OfState<'k> {
    /// Where the state is from.
    pub(crate) from: &'k str,
    pub(crate) letting_go: LettingGo,
    pub(crate) restoring: Vec<Restoring>,
}

/// How the resources of each state let go.
pub(crate) fn letting_go<'k>(managing: &[Managing<'k>], known: &Known) -> Vec<OfState<'k>> {
    let mut all: Vec<(&Source<State>, Vec<&HelmRelease>)> = Vec::new();
    for one in managing {
        let is_it = |(source, _): &&mut (&Source<State>, _)| std::ptr::eq(*source, one.source);
        match all.iter_mut().find(is_it) {
            Some((_, releases)) if releases.contains(&one.release) => {}
            Some((_, releases)) => releases.push(one.release),
            None => all.push((one.source, vec![one.release])),
        }
    }
    let of_states = all.into_iter().map(|(source, releases)| {
        let tool = tool(&source.content.tool, known);
        let restoring = releases.iter().map(|release| Restoring::of(release, &tool));
        OfState {
            from: &source.from,
            letting_go: LettingGo::of(&source.content, &releases, &tool),
            restoring: restoring.collect(),
        }
    });
    of_states.collect()
}

/// Which program it is, and in which version: a plan says it as well, and is newer.
pub(crate) fn tool(state: &Tool, known: &Known) -> Tool {
    let mut plans = known.plans.iter().map(|plan| &plan.content.tool);
    let version = plans.clone().find_map(|tool| tool.version.clone());
    Tool {
        program: state
            .program
            .or_else(|| plans.find_map(|tool| tool.program)),
        version: version.or_else(|| state.version.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn helm_release(address: &str, more: &Value) -> Value {
        let mut resource = json!({
            "address": address, "mode": "managed", "type": "helm_release", "name": "x",
            "provider_name": "registry.terraform.io/hashicorp/helm", "schema_version": 1,
            "values": {
                "name": "dns", "namespace": "dns", "status": "deployed",
                "metadata": [{"revision": 4}],
            },
            "sensitive_values": {},
        });
        json_patch::merge(&mut resource, more);
        resource
    }

    fn state(resources: &[Value]) -> Source<State> {
        let text = json!({
            "format_version": "1.0", "terraform_version": "1.9.0",
            "values": {"root_module": {"resources": resources}},
        });
        Source {
            cluster: None,
            from: "state.json".to_owned(),
            content: State::read(&text.to_string()).unwrap(),
        }
    }

    /// A plan that does something with `helm_release.dns`, and with more.
    fn plan(actions: &[&str], more: &Value) -> Source<Plan> {
        let values = json!({"name": "dns", "namespace": "dns"});
        let change = json!({
            "address": "helm_release.dns", "mode": "managed", "type": "helm_release", "name": "x",
            "provider_name": "registry.terraform.io/hashicorp/helm",
            "change": {
                "actions": actions, "before": values, "after": values,
                "before_sensitive": {}, "after_sensitive": {},
            },
        });
        let prior = state(&[helm_release("helm_release.dns", &json!({}))]);
        assert_eq!(prior.content.releases.len(), 1);
        let changes = if actions.is_empty() {
            json!([])
        } else {
            json!([change])
        };
        let mut text = json!({
            "format_version": "1.2", "terraform_version": "1.9.0", "planned_values": {},
            "resource_changes": changes, "errored": false,
        });
        json_patch::merge(&mut text, more);
        Source {
            cluster: None,
            from: "plan.json".to_owned(),
            content: Plan::read(&text.to_string()).unwrap(),
        }
    }

    fn judged(known: &Known, zero_diff: GateState) -> (&'static str, Vec<String>) {
        judged_of(known, zero_diff, &[])
    }

    fn judged_of(
        known: &Known,
        zero_diff: GateState,
        addresses: &[String],
    ) -> (&'static str, Vec<String>) {
        let judgement = known.judge(&Subject {
            cluster: "prod",
            release: "dns",
            namespace: "dns",
            addresses,
            zero_diff,
        });
        (judgement.state.as_str(), judgement.evidence())
    }

    fn of_states(states: Vec<Source<State>>) -> Known {
        Known {
            states,
            plans: Vec::new(),
        }
    }

    #[test]
    fn nothing_read_is_nothing_known() {
        assert_eq!(judged(&Known::default(), GateState::Open).0, "unknown");
        let mut other = state(&[]);
        other.cluster = Some("staging".to_owned());
        assert_eq!(
            judged(&of_states(vec![other]), GateState::Open).0,
            "unknown"
        );
    }

    #[test]
    fn a_state_opens_it_only_where_nothing_would_change() {
        let known = of_states(vec![state(&[helm_release("helm_release.dns", &json!({}))])]);
        for (zero_diff, expected) in [
            (GateState::Open, "open"),
            (GateState::Done, "open"),
            (GateState::Unknown, "unknown"),
            (GateState::Shut, "shut"),
        ] {
            assert_eq!(judged(&known, zero_diff).0, expected);
        }
        let (state, evidence) = judged(&of_states(vec![state(&[])]), GateState::Shut);
        assert_eq!(state, "done");
        assert_eq!(
            evidence,
            ["state.json has no helm_release dns in namespace dns"]
        );
    }

    #[test]
    fn what_is_wrong_with_the_resource_shuts_it() {
        for (more, reason) in [
            (
                json!({"values": {"postrender": [{"binary_path": "/bin/cat"}]}}),
                "helm_release.dns has a post-renderer, which Argo CD does not run",
            ),
            (
                json!({"values": {"set_wo_revision": 1}}),
                "helm_release.dns has values that are in no state (set_wo): nobody can compare them",
            ),
            (
                json!({"tainted": true}),
                "helm_release.dns is tainted: the next apply would replace the release",
            ),
            (
                json!({"values": {"status": "failed"}}),
                "helm_release.dns is failed, not deployed",
            ),
        ] {
            let known = of_states(vec![state(&[helm_release("helm_release.dns", &more)])]);
            let (state, evidence) = judged(&known, GateState::Open);
            assert_eq!((state, &*evidence[0]), ("shut", reason));
        }
    }

    #[test]
    fn several_that_manage_it_shut_it_unless_one_is_named() {
        let both = [
            helm_release(r#"helm_release.dns["eu"]"#, &json!({})),
            helm_release(r#"helm_release.dns["us"]"#, &json!({})),
        ];
        let known = of_states(vec![state(&both)]);
        let (shut, evidence) = judged(&known, GateState::Open);
        assert_eq!(shut, "shut");
        assert_eq!(
            evidence[0],
            r#"state.json: helm_release.dns["eu"] and helm_release.dns["us"] manage the release dns in namespace dns"#
        );
        let one = [r#"helm_release.dns["eu"]"#.to_owned()];
        assert_eq!(judged_of(&known, GateState::Open, &one).0, "open");
        let mut other = state(&both[..1]);
        other.from = "other.json".to_owned();
        let known = of_states(vec![state(&both[..1]), other]);
        let (shut, evidence) = judged(&known, GateState::Open);
        assert_eq!(shut, "shut");
        assert_eq!(
            evidence[0],
            "several states manage the release: other.json, state.json"
        );
    }

    #[test]
    fn who_refers_to_it_goes_first() {
        let pool = json!({
            "address": "kubernetes_manifest.pool", "mode": "managed", "type": "kubernetes_manifest",
            "name": "pool", "values": {}, "depends_on": ["helm_release.dns"],
        });
        let known = of_states(vec![state(&[
            helm_release("helm_release.dns", &json!({})),
            pool,
        ])]);
        let (shut, evidence) = judged(&known, GateState::Open);
        assert_eq!(shut, "shut");
        assert_eq!(
            evidence[0],
            "kubernetes_manifest.pool refers to it: change that first"
        );
        let configuration = json!({"configuration": {"root_module": {"outputs": {
            "dns": {"expression": {"references": ["helm_release.dns.name", "helm_release.dns"]}},
        }}}});
        let known = Known {
            states: vec![state(&[helm_release("helm_release.dns", &json!({}))])],
            plans: vec![plan(&["no-op"], &configuration)],
        };
        let (shut, evidence) = judged(&known, GateState::Open);
        assert_eq!(shut, "shut");
        assert_eq!(evidence[0], "output dns refers to it: change that first");
    }

    #[test]
    fn a_plan_proves_that_it_has_let_go_or_that_it_has_not() {
        let with_state = |plan| Known {
            states: vec![state(&[helm_release("helm_release.dns", &json!({}))])],
            plans: vec![plan],
        };
        let gone = json!({});
        for (actions, expected, seen) in [
            (
                &["no-op"][..],
                "open",
                "plan.json: helm_release.dns still manages",
            ),
            (
                &["forget"],
                "open",
                "plan.json: nothing would be destroyed or created",
            ),
            (
                &[],
                "done",
                "plan.json: nothing would be destroyed or created",
            ),
            (
                &["delete"],
                "shut",
                "plan.json: helm_release.dns would be destroyed, which uninstalls",
            ),
            (
                &["create"],
                "shut",
                "plan.json: helm_release.dns would be created",
            ),
            (
                &["delete", "create"],
                "shut",
                "plan.json: helm_release.dns would be replaced",
            ),
        ] {
            let known = with_state(plan(actions, &gone));
            let (state, evidence) = judged(&known, GateState::Open);
            assert_eq!(state, expected, "{actions:?}: {evidence:?}");
            assert!(
                evidence.iter().any(|one| one.starts_with(seen)),
                "{actions:?}: {evidence:?}"
            );
        }
    }

    #[test]
    fn a_plan_alone_is_enough() {
        let of_plan = |actions: &[&str], more: &Value| {
            let known = Known {
                states: Vec::new(),
                plans: vec![plan(actions, more)],
            };
            judged(&known, GateState::Open).0
        };
        assert_eq!(of_plan(&[], &json!({})), "done");
        assert_eq!(of_plan(&["delete"], &json!({})), "shut");
        assert_eq!(of_plan(&[], &json!({"errored": true})), "shut");
        let prior = json!({"prior_state": {"values": {"root_module": {
            "resources": [helm_release("helm_release.dns", &json!({}))],
        }}}});
        assert_eq!(of_plan(&["forget"], &prior), "open");
        assert_eq!(of_plan(&["no-op"], &prior), "open");
    }

    #[test]
    fn the_gate_before_shuts_what_a_plan_would_forget() {
        let known = Known {
            states: vec![state(&[helm_release("helm_release.dns", &json!({}))])],
            plans: vec![plan(&["forget"], &json!({}))],
        };
        assert_eq!(judged(&known, GateState::Shut).0, "shut");
    }
}
