//! Judging: all rules on one subject, in a stable order.

use argocd::Application;
use argocd::cluster::ClusterSecret;

use crate::environment::{Holds, Membership};
use crate::finding::{Finding, Level, shorten, without_user_info};
use crate::gitops_policy::Action;
use crate::inventory::Inventory;
use crate::registry::RULES;
use crate::rule::{Context, Findings, Rule};
use crate::rules::ClusterCredentials;
use crate::rules::replicas_ignored::AUTOSCALED;
use crate::subject::{Object, Operation, Subject};

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
    /// In the order of the registry, and within a rule in the order of the object.
    pub findings: Vec<Finding>,
    /// What follows.
    pub outcome: Outcome,
}

impl Verdict {
    fn unchanged() -> Self {
        Verdict {
            findings: Vec::new(),
            outcome: Outcome::Unchanged,
        }
    }

    fn of(findings: Vec<Finding>) -> Self {
        let denied = findings.iter().any(|finding| finding.level == Level::Deny);
        Verdict {
            findings,
            outcome: if denied {
                Outcome::Denied
            } else {
                Outcome::Admitted
            },
        }
    }

    /// The findings of a level.
    pub fn of_level(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.level == level)
    }
}

/// Judges a subject by all rules.
pub fn evaluate(subject: &Subject<'_>, inventory: &Inventory) -> Verdict {
    let changes = Changes::of(subject, inventory);
    if changes == Changes::NOTHING {
        return Verdict::unchanged();
    }
    let findings = RULES
        .iter()
        .flat_map(|rule| apply(*rule, subject, inventory))
        .filter(|finding| changes.touch(&finding.field))
        .collect();
    Verdict::of(findings)
}

/// The parts of an object that rules read, and whether an update changes them.
///
/// Argo CD writes to its own objects all the time. What such a write does not change is not
/// judged again: an operation that starts a sync says nothing about the spec, and the other way
/// round.
#[expect(clippy::struct_excessive_bools, reason = "each part changes by itself")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Changes {
    /// `operation`.
    operation: bool,
    /// `status.operationState`, by somebody else than Argo CD.
    operation_state: bool,
    /// Where to, in which project, with which labels. A pending operation is taken along.
    place: bool,
    /// Everything else.
    rest: bool,
}

impl Changes {
    const NOTHING: Self = Changes {
        operation: false,
        operation_state: false,
        place: false,
        rest: false,
    };
    const EVERYTHING: Self = Changes {
        operation: true,
        operation_state: true,
        place: true,
        rest: true,
    };

    fn of(subject: &Subject<'_>, inventory: &Inventory) -> Self {
        match (subject.operation, &subject.object, &subject.old) {
            // No rule is about the deletion of something.
            (Operation::Delete, ..) => Changes::NOTHING,
            (_, Object::ClusterSecret(secret), _) if !secret.is_cluster() => Changes::NOTHING,
            (Operation::Update, Object::Application(new), Some(Object::Application(old))) => {
                let by_argo_cd = inventory.is_argo_cd(subject.requester);
                Changes::of_application(new, old, by_argo_cd)
            }
            (Operation::Update, Object::ClusterSecret(new), Some(Object::ClusterSecret(old))) => {
                Changes {
                    rest: !same_to_rules(new, old, inventory),
                    ..Changes::NOTHING
                }
            }
            _ => Changes::EVERYTHING,
        }
    }

    fn of_application(new: &Application<'_>, old: &Application<'_>, by_argo_cd: bool) -> Self {
        let place = new.metadata.labels != old.metadata.labels
            || new.spec.destination != old.spec.destination
            || new.spec.project() != old.spec.project();
        let state = new.running_operation();
        Changes {
            operation: new.operation.is_some() && new.operation != old.operation,
            operation_state: !by_argo_cd && state.is_some() && state != old.running_operation(),
            place,
            rest: place
                || new.metadata.namespace != old.metadata.namespace
                || new.metadata.annotations.get(AUTOSCALED)
                    != old.metadata.annotations.get(AUTOSCALED)
                || !new.spec.same_meaning(&old.spec),
        }
    }

    fn touch(self, field: &str) -> bool {
        if field.starts_with("/status") {
            self.operation_state
        } else if field.starts_with("/operation") {
            self.operation || self.place
        } else {
            self.rest
        }
    }
}

/// Whether nothing differs that a rule reads of a cluster Secret. Its labels are read only where
/// the policy limits the rule to environments, as evidence.
fn same_to_rules(new: &ClusterSecret<'_>, old: &ClusterSecret<'_>, inventory: &Inventory) -> bool {
    let everywhere = inventory
        .rules
        .of(ClusterCredentials::METADATA.id)
        .is_none_or(|policy| matches!(policy.holds, Holds::Everywhere));
    old.is_cluster()
        && new.same_data(old)
        && (everywhere || new.metadata.labels == old.metadata.labels)
}

/// Asks one rule, then applies what the policy says about it.
pub(crate) fn apply(rule: &dyn Rule, subject: &Subject<'_>, inventory: &Inventory) -> Vec<Finding> {
    let id = rule.metadata().id;
    let Some(policy) = inventory.rules.of(id) else {
        return Vec::new();
    };
    if policy.action == Action::Off {
        return Vec::new();
    }
    let membership = inventory
        .environments
        .membership(subject, &policy.holds, inventory);
    if membership == Membership::NotIn {
        return Vec::new();
    }
    let mut findings = Findings::new(id);
    let context = Context {
        subject,
        inventory,
        membership: &membership,
    };
    rule.check(&context, &mut findings);
    let mut findings = findings.into_inner();
    if findings.is_empty() {
        return findings;
    }
    let exemption = policy.exemption(subject, inventory);
    for finding in &mut findings {
        temper(finding, policy.action, &membership, exemption);
    }
    findings
}

/// Lowers the level of a finding to what the policy, the missing facts and exemptions leave of it.
fn temper(finding: &mut Finding, action: Action, membership: &Membership, exemption: Option<&str>) {
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
        finding.message = format!(
            "cluster {} is not among the files: if it is {environments}, {}",
            shorten(&without_user_info(destination), 40),
            finding.message
        );
    }
    if let Some(reason) = exemption {
        finding.level = Level::Warn;
        finding.message = format!("exempt ({}): {}", shorten(reason, 60), finding.message);
    }
}
