//! Judging: all rules on one subject, in a stable order.

use argocd::application_set::Limits;
use argocd::cluster::ClusterSecret;
use argocd::names::IMAGE_UPDATER_IMAGE_LIST;
use argocd::{Application, ApplicationSet, Cluster};

use crate::application_sets::{Ask, Children};
use crate::environment::{Holds, Membership, has_placeholder};
use crate::fan_out::FanOut;
use crate::finding::{Finding, Level, shorten, without_user_info};
use crate::gitops_policy::Action;
use crate::inventory::Inventory;
use crate::registry::RULES;
use crate::rule::{Context, Findings, Rule};
use crate::rules::replicas_ignored::AUTOSCALED;
use crate::rules::{BlastRadius, CascadeDelete, ClusterCredentials};
use crate::subject::{Object, Operation, Propagation, Subject};

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
    let is_asked = |rule: &&dyn Rule| rule.metadata().is_about(subject);
    if changes == Changes::NOTHING || !RULES.iter().any(is_asked) {
        return Verdict::unchanged();
    }
    let findings = match &subject.object {
        Object::ApplicationSet(set) => judge_application_set(set, subject, inventory),
        Object::ClusterSecret(secret) => {
            let fan_out = changes
                .fan_out
                .then(|| fan_out_of_secret(secret, subject, inventory));
            judge(subject, fan_out.as_ref(), inventory)
        }
        _ => judge(subject, None, inventory),
    };
    let touched = findings
        .into_iter()
        .filter(|finding| finding.rule == BlastRadius::METADATA.id || changes.touch(&finding.field))
        .collect();
    Verdict::of(touched)
}

fn judge(subject: &Subject<'_>, fan_out: Option<&FanOut>, inventory: &Inventory) -> Vec<Finding> {
    RULES
        .iter()
        .flat_map(|rule| apply(*rule, subject, fan_out, inventory))
        .collect()
}

/// What the rules on consequences find in an ApplicationSet or a cluster Secret whose fan-out is known
/// already.
pub fn judge_fan_out(
    subject: &Subject<'_>,
    fan_out: &FanOut,
    inventory: &Inventory,
) -> Vec<Finding> {
    let rules: [&dyn Rule; 2] = [&CascadeDelete, &BlastRadius];
    rules
        .into_iter()
        .flat_map(|rule| apply(rule, subject, Some(fan_out), inventory))
        .collect()
}

/// Asks the rules about all that an ApplicationSet generates, and then about the ApplicationSet.
fn judge_application_set(
    set: &ApplicationSet<'_>,
    subject: &Subject<'_>,
    inventory: &Inventory,
) -> Vec<Finding> {
    if let Operation::Delete(propagation) = subject.operation {
        // Where its Applications stay, or go for another reason, nothing is deleted by this.
        let takes_along = propagation != Propagation::Orphan && !subject.requester.is_collector();
        let old = takes_along.then_some(set);
        let fan_out = FanOut::with_children(old, None, None, inventory);
        return judge(subject, Some(&fan_out), inventory);
    }
    let old = match &subject.old {
        Some(Object::ApplicationSet(old)) => Some(&**old),
        _ => None,
    };
    let children = Children::of(set, Ask::Rules, inventory, &Limits::default());
    let mut findings = match &children {
        Ok(children) => children.findings(set, inventory),
        Err(_) => Vec::new(),
    };
    let fan_out = FanOut::with_children(old, Some(set), Some(children), inventory);
    findings.extend(judge(subject, Some(&fan_out), inventory));
    findings
}

/// What becomes of Applications with the cluster as it would be.
fn fan_out_of_secret(
    secret: &ClusterSecret<'_>,
    subject: &Subject<'_>,
    inventory: &Inventory,
) -> FanOut {
    if let Operation::Delete(_) = subject.operation {
        return FanOut::of_cluster(cluster_of(secret).as_ref(), None, inventory);
    }
    let old = match &subject.old {
        Some(Object::ClusterSecret(old)) => cluster_of(old),
        _ => None,
    };
    FanOut::of_cluster(old.as_ref(), cluster_of(secret), inventory)
}

fn was_cluster(old: Option<&Object<'_>>) -> bool {
    matches!(old, Some(Object::ClusterSecret(old)) if old.is_cluster())
}

fn cluster_of(secret: &ClusterSecret<'_>) -> Option<Cluster> {
    secret.is_cluster().then(|| secret.cluster().ok()).flatten()
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
    /// What ApplicationSets generate for a cluster.
    fan_out: bool,
    /// Everything else.
    rest: bool,
}

/// The annotations of an Application that rules read.
const READ_ANNOTATIONS: [&str; 2] = [AUTOSCALED, IMAGE_UPDATER_IMAGE_LIST];

impl Changes {
    const NOTHING: Self = Changes {
        operation: false,
        operation_state: false,
        place: false,
        fan_out: false,
        rest: false,
    };
    const EVERYTHING: Self = Changes {
        operation: true,
        operation_state: true,
        place: true,
        fan_out: true,
        rest: true,
    };

    fn of(subject: &Subject<'_>, inventory: &Inventory) -> Self {
        match (subject.operation, &subject.object, &subject.old) {
            (Operation::Delete(_), Object::ClusterSecret(_), _) => Changes {
                fan_out: inventory.generates_by_clusters(),
                ..Changes::NOTHING
            },
            (Operation::Delete(_), ..) => Changes::EVERYTHING,
            // What was a cluster until now takes along what is generated for it.
            (_, Object::ClusterSecret(secret), old) if !secret.is_cluster() => Changes {
                fan_out: was_cluster(old.as_ref()) && inventory.generates_by_clusters(),
                ..Changes::NOTHING
            },
            (Operation::Update, Object::Application(new), Some(Object::Application(old))) => {
                let by_argo_cd = inventory.is_argo_cd(subject.requester);
                Changes::of_application(new, old, by_argo_cd)
            }
            (Operation::Update, Object::AppProject(new), Some(Object::AppProject(old))) => {
                let place = new.metadata.labels != old.metadata.labels;
                Changes {
                    place,
                    rest: place || new.spec != old.spec,
                    ..Changes::NOTHING
                }
            }
            (Operation::Update, Object::ClusterSecret(new), Some(Object::ClusterSecret(old))) => {
                Changes::of_secret(new, old, inventory)
            }
            (Operation::Update, Object::ApplicationSet(new), Some(Object::ApplicationSet(old)))
                if new.spec.same_meaning(&old.spec) =>
            {
                Changes::NOTHING
            }
            _ => Changes::EVERYTHING,
        }
    }

    fn of_application(new: &Application<'_>, old: &Application<'_>, by_argo_cd: bool) -> Self {
        let place = new.metadata.labels != old.metadata.labels
            || new.spec.destination != old.spec.destination
            || new.spec.project() != old.spec.project();
        let state = new.running_operation();
        let annotation_differs =
            |key: &str| new.metadata.annotations.get(key) != old.metadata.annotations.get(key);
        Changes {
            operation: new.operation.is_some() && new.operation != old.operation,
            operation_state: !by_argo_cd && state.is_some() && state != old.running_operation(),
            place,
            fan_out: false,
            rest: place
                || new.metadata.namespace != old.metadata.namespace
                || READ_ANNOTATIONS.into_iter().any(annotation_differs)
                || !new.spec.same_meaning(&old.spec),
        }
    }

    /// Labels are read as evidence of an environment: by `engine-isolation`, and wherever the policy
    /// limits what else a Secret must not hold to environments.
    fn of_secret(new: &ClusterSecret<'_>, old: &ClusterSecret<'_>, inventory: &Inventory) -> Self {
        let is_new = !old.is_cluster();
        let place = is_new || new.metadata.labels != old.metadata.labels;
        let everywhere = inventory
            .rules
            .of(ClusterCredentials::METADATA.id)
            .is_none_or(|policy| matches!(policy.holds, Holds::Everywhere));
        Changes {
            place: place && inventory.policy().engine.environment.is_some(),
            fan_out: inventory.generates_by_clusters() && cluster_of(new) != cluster_of(old),
            rest: is_new || !new.same_data(old) || (place && !everywhere),
            ..Changes::NOTHING
        }
    }

    fn touch(self, field: &str) -> bool {
        if field.starts_with("/status") {
            self.operation_state
        } else if field.starts_with("/metadata/labels") {
            self.place || self.rest
        } else if field.starts_with("/operation") {
            self.operation || self.place
        } else {
            self.rest
        }
    }
}

/// Asks one rule, then applies what the policy says about it.
pub(crate) fn apply(
    rule: &dyn Rule,
    subject: &Subject<'_>,
    fan_out: Option<&FanOut>,
    inventory: &Inventory,
) -> Vec<Finding> {
    let id = rule.metadata().id;
    let Some(policy) = inventory.rules.of(id) else {
        return Vec::new();
    };
    if policy.action == Action::Off || !rule.metadata().is_about(subject) {
        return Vec::new();
    }
    let membership = match (&subject.object, fan_out) {
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
        let destination = shorten(&without_user_info(destination), 40);
        let message = &finding.message;
        finding.message = if has_placeholder(&destination) {
            format!("if {destination} is {environments}, {message}")
        } else {
            format!(
                "cluster {destination} is not among the files: if it is {environments}, {message}"
            )
        };
    }
    if let Some(reason) = exemption {
        finding.level = Level::Warn;
        finding.message = format!("exempt ({}): {}", shorten(reason, 60), finding.message);
    }
}
