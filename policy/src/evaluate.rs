//! Judging: all rules on one subject, in a stable order.

use argocd::ApplicationSet;
use argocd::application_set::Limits;
use argocd::cluster::ClusterSecret;
use argocd::diff::IgnoreRules;
use argocd::go_template::Work;
use argocd::names::DEFAULT_PROJECT;

use crate::application_sets::{Generations, Judged, Side};
use crate::break_glass::claim::{Assessment, Generated, Overrides, settle};
use crate::break_glass::{Claim, Permission, Record, RecordKind};
use crate::changes::{Changes, cluster_of};
use crate::environment::{Holds, Membership, has_placeholder};
use crate::fan_out::FanOut;
use crate::finding::{Finding, Level, Waiver, shorten, without_user_info};
use crate::gitops_policy::{Action, GITOPS_POLICY};
use crate::inventory::Inventory;
use crate::missing::MissingFact;
use crate::ratchet::{Denial, Place, Ratchet, Target, is_denied_state, let_pass_as_before};
use crate::registry::RULES;
use crate::rule::{Context, Findings, Rule, RuleId};
use crate::rules::{BlastRadius, CascadeDelete, DefaultProject, GeneratedApplications};
use crate::subject::{Object, Operation, Propagation, Subject, SubjectRef};

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
    /// In the order of the registry, and within a rule in the order of the object; those on an override
    /// last.
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
        let denies = |finding: &Finding| finding.level == Level::Deny;
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
            .filter(move |finding| finding.level == level)
    }
}

/// Judges a subject by all rules. That the policy cannot mean what it says is told with every verdict.
pub fn evaluate(subject: &Subject<'_>, inventory: &Inventory) -> Verdict {
    let mut verdict = judge_by_policy(subject, inventory);
    if let Some(flaw) = inventory.policy().flaw() {
        let mut told = Findings::new(GITOPS_POLICY);
        told.warn(
            "/spec/environments",
            flaw,
            "say which of them are production",
        );
        verdict.findings.extend(told.into_inner());
    }
    verdict
}

fn judge_by_policy(subject: &Subject<'_>, inventory: &Inventory) -> Verdict {
    let Subject { dry_run, now, .. } = *subject;
    let subject = subject.as_ref();
    let overrides = Overrides::of(subject, inventory, now);
    let mut changes = Changes::of(subject, inventory);
    changes.rest |= overrides.differ() && subject.object.counts();
    let is_asked = |rule: &&dyn Rule| rule.metadata().is_about(subject);
    if changes == Changes::NOTHING || !RULES.iter().any(is_asked) {
        return Verdict::unchanged();
    }
    let mut generated = Generated::default();
    if overrides.asks_what_is_left()
        && let Object::ApplicationSet(set) = subject.object
    {
        let left = judge_what_is_generated(set, subject, &Ratchet::PLAIN, inventory);
        generated.left = left.findings;
    }
    let mut findings = match subject.object {
        Object::ApplicationSet(set) => {
            let judged = judge_application_set(set, subject, &overrides.ratchet(), inventory);
            generated.is_unknown = judged.is_unknown;
            judged.findings
        }
        Object::ClusterSecret(secret) => {
            let fan_out = changes
                .fan_out
                .then(|| fan_out_of_secret(secret, subject, inventory));
            judge(subject, fan_out.as_ref(), inventory)
        }
        Object::Application(_) | Object::AppProject(_) => judge(subject, None, inventory),
    };
    findings.retain(|finding| {
        finding.rule == BlastRadius::METADATA.id || changes.touch(&finding.field)
    });
    // What an ApplicationSet was generating is compared one by one, where it is generated.
    if !matches!(subject.object, Object::ApplicationSet(_)) {
        let ratchet = overrides.ratchet();
        compare_with_before(&mut findings, subject, None, &ratchet, inventory);
    }
    let assessment = overrides.assess(subject, &mut findings, &generated, inventory);
    let tells_only = dry_run && inventory.tells_only(subject.requester);
    Verdict::of(findings, assessment, tells_only)
}

fn judge(subject: SubjectRef<'_>, fan_out: Option<&FanOut>, inventory: &Inventory) -> Vec<Finding> {
    ask_all(subject, fan_out, inventory, &Work::new(IgnoreRules::WORK))
}

/// Asks all rules.
pub(crate) fn ask_all(
    subject: SubjectRef<'_>,
    fan_out: Option<&FanOut>,
    inventory: &Inventory,
    work: &Work,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES
        .iter()
        .flat_map(|rule| apply(*rule, subject, fan_out, inventory, work))
        .collect();
    let denies_project = |finding: &Finding| {
        finding.rule == DefaultProject::METADATA.id && finding.level == Level::Deny
    };
    if findings.iter().any(denies_project) {
        // What another project permits is the question then.
        findings.retain(|finding| !lacks_default_project(finding));
    }
    findings
}

fn lacks_default_project(finding: &Finding) -> bool {
    let is_default =
        |fact: &MissingFact| matches!(fact, MissingFact::Project(name) if name == DEFAULT_PROJECT);
    finding.level == Level::Undecided && finding.missing.iter().any(is_default)
}

/// Lets pass what the old object would be denied for now as well. `fan_out_before` is what it would do
/// if it were new.
fn compare_with_before(
    findings: &mut [Finding],
    subject: SubjectRef<'_>,
    fan_out_before: Option<&FanOut>,
    ratchet: &Ratchet<'_>,
    inventory: &Inventory,
) {
    let Some(before) = subject.before() else {
        return;
    };
    let denies = |rule: &&&dyn Rule| {
        let id = rule.metadata().id;
        let mut denied = findings.iter().filter(|finding| is_denied_state(finding));
        denied.any(|finding| finding.rule == id)
    };
    let work = Work::new(IgnoreRules::WORK);
    let found: Vec<Finding> = RULES
        .iter()
        .filter(denies)
        .flat_map(|rule| apply(*rule, before, fan_out_before, inventory, &work))
        .collect();
    let_pass_as_before(findings, &Denial::all(&found), ratchet);
}

/// A dry run that is denied would hold up more than what it is about: with server-side diff Argo CD then
/// compares nothing of the whole parent any more.
fn tell_only(findings: &mut [Finding]) {
    for finding in findings
        .iter_mut()
        .filter(|finding| finding.level == Level::Deny)
    {
        finding.waive(Waiver::DryRun, "will be denied");
    }
}

/// What the rules on consequences, and on what is generated, find in an ApplicationSet or a cluster Secret whose
/// fan-out is known already.
pub fn judge_fan_out(
    subject: &Subject<'_>,
    fan_out: &FanOut,
    inventory: &Inventory,
) -> Vec<Finding> {
    let rules: [&dyn Rule; 3] = [&CascadeDelete, &BlastRadius, &GeneratedApplications];
    let work = Work::new(IgnoreRules::WORK);
    rules
        .into_iter()
        .flat_map(|rule| apply(rule, subject.as_ref(), Some(fan_out), inventory, &work))
        .collect()
}

/// Asks the rules about all that an ApplicationSet generates, and then about the ApplicationSet.
fn judge_application_set(
    set: &ApplicationSet<'_>,
    subject: SubjectRef<'_>,
    ratchet: &Ratchet<'_>,
    inventory: &Inventory,
) -> JudgedSet {
    if let Operation::Delete(propagation) = subject.operation {
        // Where its Applications stay, or go for another reason, nothing is deleted by this.
        let takes_along = propagation != Propagation::Orphan && !subject.requester.is_collector();
        let old = takes_along.then_some(set);
        let fan_out = FanOut::of_application_set(old, None, inventory);
        return JudgedSet {
            findings: judge(subject, Some(&fan_out), inventory),
            is_unknown: false,
        };
    }
    judge_what_is_generated(set, subject, ratchet, inventory)
}

/// What rules find in an ApplicationSet.
struct JudgedSet {
    findings: Vec<Finding>,
    /// Whether Applications come otherwise than before that are not known here.
    is_unknown: bool,
}

/// Asks the rules about all that an ApplicationSet generates as it is written, and then about the ApplicationSet.
fn judge_what_is_generated(
    set: &ApplicationSet<'_>,
    subject: SubjectRef<'_>,
    ratchet: &Ratchet<'_>,
    inventory: &Inventory,
) -> JudgedSet {
    let subject = SubjectRef {
        operation: match subject.old {
            Some(_) => Operation::Update,
            None => Operation::Create,
        },
        ..subject
    };
    let old = match subject.old {
        Some(Object::ApplicationSet(old)) => Some(&**old),
        _ => None,
    };
    let side = |set| Side { set, inventory };
    let limits = Limits::default();
    let generate = |old, new| Generations::of(old, new, Judged::All, ratchet, &limits);
    let generations = generate(old.map(side), Some(side(set)));
    let fills_in_alike = old.is_some_and(|old| set.spec.fills_in_alike(&old.spec));
    let is_unknown = generations.has_unknown() && !fills_in_alike;
    let mut findings = generations.findings(set, ratchet, inventory);
    let fan_out = FanOut::of_generations(old, Some(set), generations, inventory);
    let mut own = judge(subject, Some(&fan_out), inventory);
    if own.iter().any(is_denied_state) {
        let before = generate(None, old.map(side));
        let fan_out_before = FanOut::of_generations(None, old, before, inventory);
        compare_with_before(&mut own, subject, Some(&fan_out_before), ratchet, inventory);
    }
    findings.extend(own);
    JudgedSet {
        findings,
        is_unknown,
    }
}

/// What becomes of Applications with the cluster as it would be.
fn fan_out_of_secret(
    secret: &ClusterSecret<'_>,
    subject: SubjectRef<'_>,
    inventory: &Inventory,
) -> FanOut {
    if let Operation::Delete(_) = subject.operation {
        return FanOut::of_cluster(cluster_of(secret).as_ref(), None, inventory);
    }
    let old = match subject.old {
        Some(Object::ClusterSecret(old)) => cluster_of(old),
        _ => None,
    };
    FanOut::of_cluster(old.as_ref(), cluster_of(secret), inventory)
}

/// Asks one rule, then applies what the policy says about it.
pub(crate) fn apply(
    rule: &dyn Rule,
    subject: SubjectRef<'_>,
    fan_out: Option<&FanOut>,
    inventory: &Inventory,
    work: &Work,
) -> Vec<Finding> {
    let id = rule.metadata().id;
    let Some(policy) = inventory.rules.of(id) else {
        return Vec::new();
    };
    if policy.action == Action::Off || !rule.metadata().is_about(subject) {
        return Vec::new();
    }
    let membership = match (subject.object, fan_out) {
        (Object::ApplicationSet(_), Some(fan_out)) => fan_out.membership(&policy.holds),
        // It is about the Applications that go, wherever the cluster is counted from now on.
        (Object::ClusterSecret(_), Some(fan_out)) if id == BlastRadius::METADATA.id => {
            fan_out.membership(&policy.holds)
        }
        _ => inventory
            .environments
            .membership(subject, &policy.holds, inventory),
    };
    if membership == Membership::NotIn {
        return Vec::new();
    }
    let mut findings = Findings::new(id);
    let context = Context {
        subject,
        inventory,
        fan_out,
        membership: &membership,
        work,
    };
    rule.check(&context, &mut findings);
    let mut findings = findings.into_inner();
    if findings.is_empty() {
        return findings;
    }
    let place = place_of(subject.object, &policy.holds, inventory);
    let exemption = policy.exemption(subject, inventory);
    for finding in &mut findings {
        finding.extent.settle(&finding.message, place);
        if let Some(name) = membership.missing_cluster() {
            finding.lack(MissingFact::Cluster(without_user_info(name)));
        }
        temper(finding, policy.action, &membership, exemption, inventory);
    }
    findings
}

/// Where what violates a rule is, which is part of it: nothing bad may be moved elsewhere as it is.
fn place_of(object: &Object<'_>, holds: &Holds, inventory: &Inventory) -> Place {
    match object {
        Object::Application(application) => {
            let destination = &application.spec.destination;
            let Ok(cluster) = inventory.fleet.clusters.resolve(destination) else {
                return Place::Gone;
            };
            let environments = &inventory.environments;
            let (namespace, project) = (&*destination.namespace, application.spec.project());
            Place::Target(Target::new(
                &cluster.server,
                Some(namespace).filter(|name| environments.know_namespace(name, holds)),
                Some(project).filter(|name| environments.know_project(name, holds)),
            ))
        }
        Object::ClusterSecret(secret) => match secret.cluster() {
            Ok(cluster) => Place::Target(Target::new(&cluster.server, None, None)),
            Err(_) => Place::Object,
        },
        Object::ApplicationSet(_) | Object::AppProject(_) => Place::Object,
    }
}

/// Lowers the level of a finding to what the policy, the missing facts and exemptions leave of it.
fn temper(
    finding: &mut Finding,
    action: Action,
    membership: &Membership,
    exemption: Option<&str>,
    inventory: &Inventory,
) {
    if action == Action::Warn && finding.level == Level::Deny {
        finding.level = Level::Warn;
    }
    if let Membership::Unknown {
        destination,
        environments,
    } = membership
    {
        if finding.level == Level::Deny {
            finding.level = Level::Undecided;
        }
        let message = &finding.message;
        finding.message = if has_placeholder(destination) {
            let destination = shorten(&without_user_info(destination), 40);
            format!("if {destination} is {environments}, {message}")
        } else {
            let absence = inventory.absence(destination);
            let message = format!("{}: if it is {environments}, {message}", absence.message);
            finding.lack(absence.fact);
            message
        };
    }
    if let Some(reason) = exemption {
        let why = format!("exempt ({})", shorten(reason, 60));
        finding.waive(Waiver::Exemption, &why);
    }
}
