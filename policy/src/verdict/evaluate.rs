//! Judging: all rules on one subject, in a stable order.

use argocd::ApplicationSet;
use argocd::application_set::Limits;
use argocd::cluster::ClusterSecret;
use argocd::comparison::IgnoreRules;
use golang::work::Work;

use super::break_glass::claim::{Assessment, Generated, Overrides, settle};
use super::break_glass::{Claim, Permission, Record, RecordKind};
use crate::consequence::application_sets::{Generations, Judged, Side};
use crate::finding::ratchet::{Ratchet, is_denied_state};
use crate::finding::{About, Finding, Findings, GITOPS_POLICY, Level, RuleId, Waiver};
use crate::request::changes::{Changes, declared_cluster};
use crate::request::fan_out::FanOut;
use crate::request::inventory::Inventory;
use crate::request::subject::{Propagation, Request, RequestRef, Subject, SubjectRef};
use crate::rules::registry::RULES;
use crate::rules::run::{
    JudgedRequest, State, ask_about_consequences, ask_all, compare_with_before,
};

/// What came out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Nothing that a rule reads changed, so no rule was asked.
    Unchanged,
    /// No finding denies it.
    Admitted,
    /// At least one finding denies it.
    Denied,
}

/// The findings on one subject and what follows from them.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// In the order of the registry, and within a rule in the order of the object; those on an
    /// override last.
    pub findings: Vec<Finding>,
    /// What follows. Until a claim is settled it is not made.
    pub outcome: Outcome,
    /// What is to be asked before anything that an override names passes; see [`Verdict::settle`].
    pub claim: Option<Claim>,
    /// What happened to an override, if anything did.
    pub record: Option<Record>,
    /// That another override ended, which stood on the object until then.
    pub ended: Option<Record>,
    /// Whether the writer is only told what would be denied.
    tells_only: bool,
}

impl Verdict {
    fn unchanged() -> Self {
        Verdict {
            findings: Vec::new(),
            outcome: Outcome::Unchanged,
            claim: None,
            record: None,
            ended: None,
            tells_only: false,
        }
    }

    fn of(findings: Vec<Finding>, assessment: Assessment, tells_only: bool) -> Self {
        let Assessment {
            claim,
            record,
            ended,
        } = assessment;
        let mut verdict = Verdict {
            findings,
            outcome: Outcome::Admitted,
            claim,
            record,
            ended,
            tells_only,
        };
        verdict.conclude();
        verdict
    }

    /// Answers the claim, if there is one: for each rule, whether the writer may overrule it.
    pub fn settle(&mut self, permission: impl Fn(RuleId) -> Permission) {
        if let Some(claim) = self.claim.take() {
            let record = settle(&claim, &mut self.findings, permission);
            self.record = record.or_else(|| self.ended.take());
            self.conclude();
        }
    }

    fn conclude(&mut self) {
        if self.tells_only && self.claim.is_none() {
            tell_only(&mut self.findings);
        }
        let denies = |finding: &Finding| finding.level() == Level::Deny;
        self.outcome = if self.findings.iter().any(denies) {
            Outcome::Denied
        } else {
            Outcome::Admitted
        };
        if self.claim.is_some() {
            return;
        }
        // Nothing is granted, used or revoked by what is not written.
        if self.outcome == Outcome::Denied {
            self.ended = None;
        }
        if let (Outcome::Denied, Some(record)) = (self.outcome, &mut self.record)
            && record.kind != RecordKind::Refused
        {
            record.kind = RecordKind::Refused;
            record.refusal = Some("what it came with is refused".to_owned());
        }
    }

    /// The findings of a level.
    pub fn of_level(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.level() == level)
    }
}

/// Judges a subject by all rules. That the policy cannot mean what it says is told with every
/// verdict.
pub fn evaluate(subject: &Subject<'_>, inventory: &Inventory) -> Verdict {
    evaluate_with_fan_out(subject, inventory).0
}

/// The same, with what it does to Applications, where that was worked out for the verdict.
pub fn evaluate_with_fan_out(
    subject: &Subject<'_>,
    inventory: &Inventory,
) -> (Verdict, Option<FanOut>) {
    let (mut verdict, fan_out) = judge_by_policy(subject, inventory);
    if let Some(flaw) = inventory.policy().flaw() {
        let mut told = Findings::new(GITOPS_POLICY, About::State);
        told.warn(
            "/spec/environments",
            flaw,
            "say which of them are production",
        );
        verdict.findings.extend(told.into_inner());
    }
    (verdict, fan_out)
}

fn judge_by_policy(subject: &Subject<'_>, inventory: &Inventory) -> (Verdict, Option<FanOut>) {
    let Subject { dry_run, now, .. } = *subject;
    let subject = subject.as_ref();
    let overrides = Overrides::of(subject, inventory, now);
    let mut changes = Changes::of(subject, inventory);
    changes.rest |= overrides.differ() && subject.object().counts();
    if changes == Changes::NOTHING || !RULES.iter().any(|rule| rule.is_asked(subject.request)) {
        return (Verdict::unchanged(), None);
    }
    let mut generated = Generated::default();
    if overrides.asks_what_is_left()
        && let RequestRef::ApplicationSet(request) = subject.request
    {
        let request = request.as_written();
        let left = judge_what_is_generated(request, subject, &Ratchet::PLAIN, inventory);
        generated.left = left.findings;
    }
    let (mut findings, before, fan_out) = match subject.request {
        RequestRef::ApplicationSet(request) => {
            let judged = judge_application_set(request, subject, &overrides.ratchet(), inventory);
            generated.is_unknown = judged.is_unknown;
            // What it was generating is compared one by one, where it is generated.
            (judged.findings, None, Some(judged.fan_out))
        }
        RequestRef::ClusterSecret(request) => {
            let fan_out = changes
                .fan_out
                .then(|| fan_out_of_secret(request, inventory));
            let asked = JudgedRequest::ClusterSecret(request, fan_out.as_ref());
            let findings = judge(subject.with(asked), inventory);
            // A Secret that was no cluster was nothing to Argo CD.
            let before = request
                .before()
                .filter(|before| before.object().is_cluster());
            let before = before.map(|before| JudgedRequest::ClusterSecret(before, None));
            (findings, before, fan_out)
        }
        RequestRef::Application(request) => {
            let findings = judge(subject.with(JudgedRequest::Application(request)), inventory);
            (
                findings,
                request.before().map(JudgedRequest::Application),
                None,
            )
        }
        RequestRef::AppProject(request) => {
            let findings = judge(subject.with(JudgedRequest::AppProject(request)), inventory);
            (
                findings,
                request.before().map(JudgedRequest::AppProject),
                None,
            )
        }
    };
    findings.retain(|finding| finding.about == About::Action || changes.touch(&finding.field));
    if let Some(before) = before {
        let before = subject.with_before(before);
        compare_with_before(&mut findings, before, &overrides.ratchet(), inventory);
    }
    let assessment = overrides.assess(subject, &mut findings, &generated, inventory);
    let tells_only = dry_run && inventory.tells_only(subject.requester);
    (Verdict::of(findings, assessment, tells_only), fan_out)
}

fn judge(state: State<'_>, inventory: &Inventory) -> Vec<Finding> {
    ask_all(state, inventory, &Work::new(IgnoreRules::WORK))
}

/// A dry run that is denied would hold up more than what it is about: with server-side diff Argo CD
/// then compares nothing of the whole parent any more.
fn tell_only(findings: &mut [Finding]) {
    for finding in findings
        .iter_mut()
        .filter(|finding| finding.level() == Level::Deny)
    {
        finding.waive(Waiver::DryRun, "will be denied");
    }
}

/// What the rules on consequences, and on what is generated, find in an ApplicationSet or a cluster
/// Secret whose fan-out is known already.
pub fn judge_fan_out(
    subject: &Subject<'_>,
    fan_out: &FanOut,
    inventory: &Inventory,
) -> Vec<Finding> {
    let subject = subject.as_ref();
    let asked = match subject.request {
        RequestRef::ApplicationSet(request) => JudgedRequest::ApplicationSet(request, fan_out),
        RequestRef::ClusterSecret(request) => JudgedRequest::ClusterSecret(request, Some(fan_out)),
        RequestRef::Application(_) | RequestRef::AppProject(_) => return Vec::new(),
    };
    ask_about_consequences(
        subject.with(asked),
        inventory,
        &Work::new(IgnoreRules::WORK),
    )
}

/// Asks the rules about all that an ApplicationSet generates, and then about the ApplicationSet.
fn judge_application_set(
    request: Request<&ApplicationSet<'_>>,
    subject: SubjectRef<'_>,
    ratchet: &Ratchet<'_>,
    inventory: &Inventory,
) -> JudgedSet {
    if let Request::Delete(set, propagation) = request {
        // Where its Applications stay, or go for another reason, nothing is deleted by this.
        let takes_along = propagation != Propagation::Orphan && !subject.requester.is_collector();
        let old = takes_along.then_some(set);
        let fan_out = FanOut::of_application_set(old, None, inventory);
        return JudgedSet {
            findings: judge(
                subject.with(JudgedRequest::ApplicationSet(request, &fan_out)),
                inventory,
            ),
            is_unknown: false,
            fan_out,
        };
    }
    judge_what_is_generated(request, subject, ratchet, inventory)
}

/// What rules find in an ApplicationSet.
struct JudgedSet {
    findings: Vec<Finding>,
    /// Whether Applications come otherwise than before that are not known here.
    is_unknown: bool,
    /// What becomes of them.
    fan_out: FanOut,
}

/// Asks the rules about all that an ApplicationSet generates as it is written, and then about the
/// ApplicationSet.
fn judge_what_is_generated(
    request: Request<&ApplicationSet<'_>>,
    subject: SubjectRef<'_>,
    ratchet: &Ratchet<'_>,
    inventory: &Inventory,
) -> JudgedSet {
    let (set, old) = (*request.object(), request.old().copied());
    let side = |set| Side { set, inventory };
    let limits = Limits::default();
    let generate = |old, new| Generations::of(old, new, Judged::All, ratchet, &limits);
    let generations = generate(old.map(side), Some(side(set)));
    let fills_in_alike = old.is_some_and(|old| set.spec.fills_in_alike(&old.spec));
    let is_unknown = generations.has_unknown() && !fills_in_alike;
    let mut findings = generations.findings(set, ratchet, inventory);
    let fan_out = FanOut::of_generations(old, Some(set), generations, inventory);
    let asked = JudgedRequest::ApplicationSet(request, &fan_out);
    let mut own = judge(subject.with(asked), inventory);
    if own.iter().any(is_denied_state)
        && let Some(before) = request.before()
    {
        let generations = generate(None, old.map(side));
        let fan_out_before = FanOut::of_generations(None, old, generations, inventory);
        let before = subject.with_before(JudgedRequest::ApplicationSet(before, &fan_out_before));
        compare_with_before(&mut own, before, ratchet, inventory);
    }
    findings.extend(own);
    JudgedSet {
        findings,
        is_unknown,
        fan_out,
    }
}

/// What becomes of Applications with the cluster as it would be.
fn fan_out_of_secret(request: Request<&ClusterSecret<'_>>, inventory: &Inventory) -> FanOut {
    let (old, new) = match request {
        Request::Delete(old, _) => (declared_cluster(old), None),
        Request::Update { new, old } => (declared_cluster(old), declared_cluster(new)),
        Request::Create(new) | Request::UpdateOfUnknown(new) => (None, declared_cluster(new)),
    };
    FanOut::of_cluster(old.as_ref(), new, inventory)
}
