//! Running the rules on one state: what each finds, and what the policy makes of that.

use argocd::comparison::IgnoreRules;
use golang::work::Work;

use super::registry::RULES;
use super::rule::{Context, JudgedOn, Rule};
use crate::finding::extent::{Location, Target};
use crate::finding::missing::MissingFact;
use crate::finding::ratchet::{Denial, Ratchet, is_denied_state, let_pass_as_before};
use crate::finding::{About, Finding, Level, Waiver, shorten, without_user_info};
use crate::request::environment::membership;
use crate::request::fan_out::FanOut;
use crate::request::inventory::Inventory;
use crate::request::object::ObjectRef;
use crate::request::subject::{RequestRef, SubjectRef};
use crate::terms::environment::{Holds, Membership, has_placeholder};
use crate::terms::gitops_policy::Action;

/// Whether a rule has anything to say about a subject of this kind, and what is done to it.
pub(crate) fn is_asked(rule: &dyn Rule, subject: SubjectRef<'_>) -> bool {
    let metadata = rule.metadata();
    let is_judged_on = if subject.request.is_deletion() {
        metadata.judged_on != JudgedOn::Writing
    } else {
        metadata.judged_on != JudgedOn::Deletion
    };
    is_judged_on && metadata.judges.contains(&subject.object().kind())
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
    drop_moot(&mut findings);
    findings
}

/// Drops what only rests on facts that decide nothing any more.
fn drop_moot(findings: &mut Vec<Finding>) {
    let denials = findings
        .iter()
        .filter(|finding| finding.level == Level::Deny);
    let moot: Vec<MissingFact> = denials
        .filter_map(|finding| finding.makes_moot.clone())
        .collect();
    if moot.is_empty() {
        return;
    }
    let is_moot = |finding: &Finding| {
        let mut facts = finding.missing.iter();
        finding.level == Level::Undecided && facts.any(|fact| moot.contains(fact))
    };
    findings.retain(|finding| !is_moot(finding));
}

/// Lets pass what the old object would be denied for now as well. `fan_out_before` is what it would do
/// if it were new.
pub(crate) fn compare_with_before(
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
    if policy.action == Action::Off || !is_asked(rule, subject) {
        return Vec::new();
    }
    let in_environments = match (subject.request, fan_out) {
        (RequestRef::ApplicationSet(_), Some(fan_out)) => fan_out.membership(&policy.holds),
        // It is about the Applications that go, wherever the cluster is counted from now on.
        (RequestRef::ClusterSecret(_), Some(fan_out))
            if rule.metadata().about() == About::Action =>
        {
            fan_out.membership(&policy.holds)
        }
        _ => membership(subject, &policy.holds, inventory),
    };
    if in_environments == Membership::NotIn {
        return Vec::new();
    }
    let mut findings = rule.metadata().findings();
    let context = Context {
        subject,
        inventory,
        fan_out,
        membership: &in_environments,
        work,
    };
    rule.check(&context, &mut findings);
    let mut findings = findings.into_inner();
    if findings.is_empty() {
        return findings;
    }
    let location = location_of(subject.object(), &policy.holds, inventory);
    let exemption = policy.exemption(|| inventory.names_of(subject.object()));
    for finding in &mut findings {
        finding.extent.settle(&finding.message, location);
        if let Some(name) = in_environments.missing_cluster() {
            finding.lack(MissingFact::Cluster(without_user_info(name)));
        }
        apply_policy(
            finding,
            policy.action,
            &in_environments,
            exemption,
            inventory,
        );
    }
    findings
}

/// Where what violates a rule is, which is part of it: nothing bad may be moved elsewhere as it is.
fn location_of(object: ObjectRef<'_>, holds: &Holds, inventory: &Inventory) -> Location {
    match object {
        ObjectRef::Application(application) => {
            let destination = &application.spec.destination;
            let Ok(cluster) = inventory.fleet.clusters.resolve(destination) else {
                return Location::Gone;
            };
            let environments = &inventory.environments;
            let (namespace, project) = (&*destination.namespace, application.spec.project());
            Location::Target(Target::new(
                &cluster.server,
                Some(namespace).filter(|name| environments.know_namespace(name, holds)),
                Some(project).filter(|name| environments.know_project(name, holds)),
            ))
        }
        ObjectRef::ClusterSecret(secret) => match secret.cluster() {
            Ok(cluster) => Location::Target(Target::new(&cluster.server, None, None)),
            Err(_) => Location::Object,
        },
        ObjectRef::ApplicationSet(_) | ObjectRef::AppProject(_) => Location::Object,
    }
}

/// Lowers the level of a finding to what the policy, the missing facts and exemptions leave of it.
fn apply_policy(
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
