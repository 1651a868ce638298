//! Running the rules on one state: what each finds, and what the policy makes of that.

use argocd::cluster::ClusterSecret;
use argocd::comparison::IgnoreRules;
use argocd::{AppProject, Application, ApplicationSet};
use golang::work::Work;

use super::registry::RULES;
use super::rule::{Context, Findings, Judge, JudgedOn, Rule};
use crate::finding::extent::{Location, Target};
use crate::finding::missing::MissingFact;
use crate::finding::ratchet::{Denial, Ratchet, is_denied_state, let_pass_as_before};
use crate::finding::{Finding, Level, Waiver, shorten, without_user_info};
use crate::request::environment::membership;
use crate::request::fan_out::FanOut;
use crate::request::inventory::Inventory;
use crate::request::object::ObjectRef;
use crate::request::subject::{Request, RequestRef, SubjectRef};
use crate::terms::environment::{Holds, Membership, has_placeholder};
use crate::terms::gitops_policy::Action;
use crate::terms::rule_policy::RulePolicy;

/// A request as rules are asked about it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum JudgedRequest<'s> {
    /// An Application, written or generated.
    Application(Request<&'s Application<'s>>),
    /// An Application in what only its generation decides.
    GeneratedApplication(Request<&'s Application<'s>>),
    /// An AppProject.
    AppProject(Request<&'s AppProject>),
    /// An ApplicationSet, with what becomes of its Applications.
    ApplicationSet(Request<&'s ApplicationSet<'s>>, &'s FanOut),
    /// A cluster Secret, with what becomes of the Applications that are generated for it, if
    /// anything does.
    ClusterSecret(Request<&'s ClusterSecret<'s>>, Option<&'s FanOut>),
}

impl<'s> JudgedRequest<'s> {
    fn request(self) -> RequestRef<'s> {
        match self {
            JudgedRequest::Application(request) | JudgedRequest::GeneratedApplication(request) => {
                RequestRef::Application(request)
            }
            JudgedRequest::AppProject(request) => RequestRef::AppProject(request),
            JudgedRequest::ApplicationSet(request, _) => RequestRef::ApplicationSet(request),
            JudgedRequest::ClusterSecret(request, _) => RequestRef::ClusterSecret(request),
        }
    }
}

/// What rules are asked about.
pub(crate) type State<'s> = SubjectRef<'s, JudgedRequest<'s>>;

impl Judge {
    /// Whether it is about what becomes of Applications.
    pub(crate) fn is_about_consequences(self) -> bool {
        match self {
            Judge::ApplicationSetConsequence(_) | Judge::ClusterConsequence(_) => true,
            Judge::Application(_)
            | Judge::WrittenApplication(_)
            | Judge::GeneratedApplication(_)
            | Judge::AppProject(_)
            | Judge::ApplicationSet(_)
            | Judge::ClusterSecret(_) => false,
        }
    }

    /// Whether it may have anything to say about an object of this kind.
    fn is_about(self, request: RequestRef<'_>) -> bool {
        match self {
            Judge::Application(_) | Judge::WrittenApplication(_) => {
                matches!(request, RequestRef::Application(_))
            }
            Judge::AppProject(_) => matches!(request, RequestRef::AppProject(_)),
            Judge::ApplicationSet(_) | Judge::ApplicationSetConsequence(_) => {
                matches!(request, RequestRef::ApplicationSet(_))
            }
            Judge::ClusterSecret(_) | Judge::ClusterConsequence(_) => {
                matches!(request, RequestRef::ClusterSecret(_))
            }
            Judge::GeneratedApplication(_) => false,
        }
    }
}

impl Rule {
    /// Whether it has anything to say about an object of this kind, and what is done to it.
    pub(crate) fn is_asked(&self, request: RequestRef<'_>) -> bool {
        self.is_judged_on(request) && self.judges.iter().any(|judge| judge.is_about(request))
    }

    fn is_judged_on(&self, request: RequestRef<'_>) -> bool {
        if request.is_deletion() {
            self.metadata.judged_on != JudgedOn::Writing
        } else {
            self.metadata.judged_on != JudgedOn::Deletion
        }
    }
}

/// Asks all rules.
pub(crate) fn ask_all(state: State<'_>, inventory: &Inventory, work: &Work) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES
        .into_iter()
        .flat_map(|rule| ask(rule, |_| true, state, inventory, work))
        .collect();
    drop_moot(&mut findings);
    findings
}

/// Asks the rules that are about what becomes of Applications, and about that alone.
pub(crate) fn ask_about_consequences(
    state: State<'_>,
    inventory: &Inventory,
    work: &Work,
) -> Vec<Finding> {
    RULES
        .into_iter()
        .flat_map(|rule| ask(rule, Judge::is_about_consequences, state, inventory, work))
        .collect()
}

/// Drops what only rests on facts that decide nothing any more.
fn drop_moot(findings: &mut Vec<Finding>) {
    let denials = findings
        .iter()
        .filter(|finding| finding.level() == Level::Deny);
    let moot: Vec<MissingFact> = denials
        .filter_map(|finding| finding.makes_moot.clone())
        .collect();
    if moot.is_empty() {
        return;
    }
    let is_moot = |finding: &Finding| {
        let mut facts = finding.missing.iter();
        finding.level() == Level::Undecided && facts.any(|fact| moot.contains(fact))
    };
    findings.retain(|finding| !is_moot(finding));
}

/// Lets pass what the old object would be denied for now as well. `before` is that object, as if it
/// were new.
pub(crate) fn compare_with_before(
    findings: &mut [Finding],
    before: State<'_>,
    ratchet: &Ratchet<'_>,
    inventory: &Inventory,
) {
    let denies = |rule: &&Rule| {
        let id = rule.metadata.id;
        let mut denied = findings.iter().filter(|finding| is_denied_state(finding));
        denied.any(|finding| finding.rule == id)
    };
    let work = Work::new(IgnoreRules::WORK);
    let found: Vec<Finding> = RULES
        .into_iter()
        .filter(denies)
        .flat_map(|rule| ask(rule, |_| true, before, inventory, &work))
        .collect();
    let_pass_as_before(findings, &Denial::all(&found), ratchet);
}

/// Asks one rule about what it judges of a state, then applies what the policy says about it.
fn ask<'a>(
    rule: &'a Rule,
    is_meant: fn(Judge) -> bool,
    state: State<'a>,
    inventory: &'a Inventory,
    work: &'a Work,
) -> impl Iterator<Item = Finding> + 'a {
    let is_asked = |policy: &&RulePolicy| {
        policy.action != Action::Off && rule.is_judged_on(state.request.request())
    };
    let policy = inventory.rules.of(rule.metadata.id).filter(is_asked);
    policy.into_iter().flat_map(move |policy| {
        let asking = Asking {
            rule,
            policy,
            state,
            inventory,
            work,
        };
        let judges = rule.judges.iter().copied();
        let judges = judges.filter(move |judge| is_meant(*judge));
        judges.flat_map(move |judge| asking.ask(judge))
    })
}

/// A rule that is asked, and what the policy says about it.
#[derive(Clone, Copy)]
struct Asking<'a> {
    rule: &'a Rule,
    policy: &'a RulePolicy,
    state: State<'a>,
    inventory: &'a Inventory,
    work: &'a Work,
}

impl Asking<'_> {
    /// What is found, if it is about the state at all.
    fn ask(self, judge: Judge) -> Vec<Finding> {
        match (judge, self.state.request) {
            (Judge::Application(rule), JudgedRequest::Application(request))
            | (Judge::GeneratedApplication(rule), JudgedRequest::GeneratedApplication(request)) => {
                self.about_object(|context, findings| rule.check(request, context, findings))
            }
            (Judge::WrittenApplication(rule), JudgedRequest::Application(request))
                if self.state.generated_by.is_none() =>
            {
                self.about_object(|context, findings| rule.check(request, context, findings))
            }
            (Judge::AppProject(rule), JudgedRequest::AppProject(request)) => {
                self.about_object(|context, findings| rule.check(request, context, findings))
            }
            (Judge::ClusterSecret(rule), JudgedRequest::ClusterSecret(request, _)) => {
                self.about_object(|context, findings| rule.check(request, context, findings))
            }
            // Where an ApplicationSet is depends on what it generates.
            (Judge::ApplicationSet(rule), JudgedRequest::ApplicationSet(request, fan_out)) => self
                .about_fan_out(fan_out, |context, findings| {
                    rule.check(request, context, findings);
                }),
            (
                Judge::ApplicationSetConsequence(rule),
                JudgedRequest::ApplicationSet(request, fan_out),
            ) => self.about_fan_out(fan_out, |context, findings| {
                rule.check(request, fan_out, context, findings);
            }),
            // It is about the Applications that go, wherever the cluster is counted from now on.
            (
                Judge::ClusterConsequence(rule),
                JudgedRequest::ClusterSecret(request, Some(fan_out)),
            ) => self.about_fan_out(fan_out, |context, findings| {
                rule.check(request, fan_out, context, findings);
            }),
            _ => Vec::new(),
        }
    }

    fn about_object(self, check: impl FnOnce(&Context<'_>, &mut Findings)) -> Vec<Finding> {
        let request = self.state.request.request();
        let membership = membership(request, &self.policy.holds, self.inventory);
        self.about(&membership, check)
    }

    fn about_fan_out(
        self,
        fan_out: &FanOut,
        check: impl FnOnce(&Context<'_>, &mut Findings),
    ) -> Vec<Finding> {
        let membership = fan_out.membership(&self.policy.holds);
        self.about(&membership, check)
    }

    fn about(
        self,
        membership: &Membership,
        check: impl FnOnce(&Context<'_>, &mut Findings),
    ) -> Vec<Finding> {
        let Asking {
            rule,
            policy,
            state,
            inventory,
            work,
        } = self;
        if *membership == Membership::NotIn {
            return Vec::new();
        }
        let mut findings = rule.metadata.findings();
        let context = Context {
            requester: state.requester,
            generated_by: state.generated_by,
            unknown_fields: state.unknown_fields,
            inventory,
            holds: &policy.holds,
            membership,
            work,
        };
        check(&context, &mut findings);
        let mut findings = findings.into_inner();
        if findings.is_empty() {
            return findings;
        }
        let object = state.request.request().object();
        let location = location_of(object, &policy.holds, inventory);
        let exemption = policy.exemption(|| inventory.names_of(object));
        for finding in &mut findings {
            finding.extent.settle(&finding.message, location);
            if let Some(name) = membership.missing_cluster() {
                finding.lack(MissingFact::Cluster(without_user_info(name)));
            }
            apply_policy(finding, policy.action, membership, exemption, inventory);
        }
        findings
    }
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
    if action == Action::Warn {
        finding.only_warn();
    }
    if let Membership::Unknown {
        destination,
        environments,
    } = membership
    {
        finding.leave_undecided();
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
