//! What a request wants to overrule, and what becomes of that.

use jiff::Timestamp;

use super::annotations::{RULES, Written};
use super::terms::{Unacceptable, Writer};
use super::{BREAK_GLASS, Override};
use crate::finding::{Finding, Level, Waiver, shorten};
use crate::inventory::Inventory;
use crate::ratchet::{Kept, Ratchet};
use crate::rule::{Findings, RuleId};
use crate::subject::{Object, Operation, SubjectRef};

/// Somebody who can ask the API server is to say whether the writer may overrule these rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The override on the object.
    pub written: Override,
    /// The rules in question: all that a new override names, or those that a standing one is needed for.
    pub rules: Vec<RuleId>,
    /// Whether the override is new, or changed.
    pub kind: Claimed,
}

/// What a claim is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claimed {
    /// The request writes the override.
    Grant,
    /// The request needs the override that is there.
    Use,
}

/// The answer to a [`Claim`], for one rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Permission {
    /// The writer may.
    Given,
    /// The writer may not.
    Denied,
    /// Nobody could be asked, and why; so the writer may not.
    Unknown(String),
}

/// That an override was written, used or refused: for the record, wherever that is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Which of these.
    pub kind: RecordKind,
    /// The rules; none where what is written names none.
    pub rules: Vec<RuleId>,
    /// The reason that was given, on one line; empty where none can be read.
    pub reason: String,
    /// The end that was given, where it can be read.
    pub expires: Option<Timestamp>,
    /// Why it was refused.
    pub refusal: Option<String>,
}

/// What happened to an override.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RecordKind {
    /// It was written, and let nothing pass in the same request.
    Granted,
    /// It let something pass.
    Used,
    /// It was taken off or cut short.
    Revoked,
    /// It was not accepted, or what it was for was refused for another reason.
    Refused,
}

impl RecordKind {
    /// All of them.
    pub const ALL: [RecordKind; 4] = [
        RecordKind::Granted,
        RecordKind::Used,
        RecordKind::Revoked,
        RecordKind::Refused,
    ];

    /// `granted`, `used`, `revoked` or `refused`.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordKind::Granted => "granted",
            RecordKind::Used => "allowed",
            RecordKind::Revoked => "revoked",
            RecordKind::Refused => "refused",
        }
    }
}

/// The overrides on an object before and after a request.
#[derive(Debug)]
pub(crate) struct Overrides<'s> {
    old: Written<'s>,
    new: Written<'s>,
    /// The old one, if it is valid.
    stood: Option<Override>,
    /// The new one, if it is valid.
    stands: Option<Override>,
    /// That of the ApplicationSet which generates the object.
    of_owner: Option<Override>,
    now: Timestamp,
}

/// What comes of the overrides on an object.
#[derive(Debug, Default)]
pub(crate) struct Assessment {
    pub(crate) claim: Option<Claim>,
    pub(crate) record: Option<Record>,
}

impl<'s> Overrides<'s> {
    pub(crate) fn of(subject: SubjectRef<'s>, inventory: &Inventory, now: Timestamp) -> Self {
        let new = Written::on(subject.object);
        let old = match subject.operation {
            // What is deleted has what it has.
            Operation::Delete(_) => new,
            Operation::Create | Operation::Update => {
                subject.old.map(Written::on).unwrap_or_default()
            }
        };
        let of_owner = match subject.object {
            Object::Application(application) => inventory
                .application_set_of(application)
                .and_then(|set| Override::among(|key| set.metadata.annotations.get(key)).ok()?),
            _ => None,
        };
        Overrides {
            stood: old.read().ok(),
            stands: new.read().ok(),
            old,
            new,
            of_owner,
            now,
        }
    }

    /// Whether the annotations change at all.
    pub(crate) fn differ(&self) -> bool {
        self.old != self.new
    }

    /// How violations are compared with those of the old object: what was let pass by an override counts
    /// as a violation again when that is over, and must not be kept by taking it off.
    pub(crate) fn ratchet(&self) -> Ratchet<'_> {
        Ratchet {
            own: Kept {
                stood: self.stood.as_ref(),
                stands: self.stands.as_ref(),
            },
            of_owner: Kept {
                stood: self.of_owner.as_ref(),
                stands: self.of_owner.as_ref(),
            },
            now: self.now,
        }
    }

    /// Whether somebody has to answer for the annotations: they are new, or say more than before.
    fn are_claimed(&self) -> bool {
        let are_shorter = match (&self.stands, &self.stood) {
            (Some(stands), Some(stood)) => stands.shortens(stood),
            _ => false,
        };
        !self.new.is_empty() && self.differ() && !are_shorter
    }

    /// Says what the overrides let pass, or who is to be asked about that.
    pub(crate) fn assess(
        &self,
        subject: SubjectRef<'_>,
        findings: &mut Vec<Finding>,
        inventory: &Inventory,
    ) -> Assessment {
        self.judge_removal(findings);
        if self.are_claimed() {
            return self.assess_grant(subject, findings, inventory);
        }
        let mut assessment = match (&self.of_owner, &self.stands) {
            (Some(written), _) => self.assess_use_of_owner(written, subject, findings, inventory),
            (None, Some(written)) => self.assess_use(written, subject, findings, inventory),
            (None, None) => Assessment::default(),
        };
        if assessment.claim.is_none() && assessment.record.is_none() {
            assessment.record = self.revocation();
        }
        assessment
    }

    /// That an override ends before its time.
    fn revocation(&self) -> Option<Record> {
        let stood = self
            .stood
            .as_ref()
            .filter(|stood| !stood.is_expired(self.now))?;
        let ends = match &self.stands {
            Some(stands) => stands.expires < stood.expires,
            None => true,
        };
        ends.then(|| Record {
            kind: RecordKind::Revoked,
            rules: stood.rules.clone(),
            reason: one_line(&stood.reason),
            expires: Some(
                self.stands
                    .as_ref()
                    .map_or(self.now, |stands| stands.expires),
            ),
            refusal: None,
        })
    }

    /// What an ApplicationSet's own override lets pass of what it generates. Nobody is asked again: its
    /// writer was, and its controller writes what follows from it.
    fn assess_use_of_owner(
        &self,
        written: &Override,
        subject: SubjectRef<'_>,
        findings: &mut Vec<Finding>,
        inventory: &Inventory,
    ) -> Assessment {
        let rules = denied_among(findings, written);
        if rules.is_empty() || inventory.terms().accept(written, self.now).is_err() {
            return Assessment::default();
        }
        if !inventory.writes_for_sets(subject.requester) {
            let message = "stands on the ApplicationSet, which generates this";
            tell(findings, RULES, message, "make the change there");
            return Assessment::default();
        }
        Assessment {
            record: Some(let_pass(findings, written, &rules, Claimed::Use, REVOKE)),
            claim: None,
        }
    }

    fn assess_grant(
        &self,
        subject: SubjectRef<'_>,
        findings: &mut Vec<Finding>,
        inventory: &Inventory,
    ) -> Assessment {
        let refused = |findings: &mut Vec<Finding>, refusal: Refusal| Assessment {
            record: Some(refuse(findings, self.stands.as_ref(), refusal)),
            claim: None,
        };
        if let Object::Application(application) = subject.object
            && let Some(owner) = application.metadata.application_set()
        {
            let refusal = Refusal::new(
                RULES,
                format!(
                    "ApplicationSet {} generates this and overwrites it",
                    shorten(&owner.name, 60)
                ),
                "put it on the ApplicationSet",
            );
            return refused(findings, refusal);
        }
        let written = match self.new.read() {
            Ok(written) => written,
            Err(error) => {
                let field = error.annotation();
                let message = shorten(&error.to_string(), 100);
                let fix = "write all three, see kubectl gitops break-glass grant";
                return refused(findings, Refusal::new(field, message, fix));
            }
        };
        if let Err(error) = inventory.terms().accept(&written, self.now) {
            return refused(findings, Refusal::of(&error));
        }
        match inventory.writer(subject.requester) {
            Writer::Asked => Assessment {
                claim: Some(Claim {
                    rules: written.rules.clone(),
                    written,
                    kind: Claimed::Grant,
                }),
                record: None,
            },
            Writer::Git => {
                let rules = written.rules.clone();
                Assessment {
                    record: Some(let_pass(
                        findings,
                        &written,
                        &rules,
                        Claimed::Grant,
                        "take it off when it is over",
                    )),
                    claim: None,
                }
            }
            Writer::GitWithoutLeave => refused(findings, Refusal::from_git()),
            Writer::ServiceAccountWithoutLeave => {
                refused(findings, Refusal::of_account(subject.requester.username))
            }
        }
    }

    fn assess_use(
        &self,
        written: &Override,
        subject: SubjectRef<'_>,
        findings: &mut Vec<Finding>,
        inventory: &Inventory,
    ) -> Assessment {
        let rules = denied_among(findings, written);
        if rules.is_empty() {
            return Assessment::default();
        }
        // What stood before there was anybody to ask about it is worth no more than what is written now.
        if let Err(error) = inventory.terms().accept(written, self.now) {
            let fix = "put right what it overruled, or grant it anew";
            tell(findings, error.annotation(), error.to_string(), fix);
            return Assessment::default();
        }
        match inventory.writer(subject.requester) {
            Writer::Asked => Assessment {
                claim: Some(Claim {
                    written: written.clone(),
                    rules,
                    kind: Claimed::Use,
                }),
                record: None,
            },
            Writer::Git | Writer::GitWithoutLeave => Assessment::default(),
            Writer::ServiceAccountWithoutLeave => {
                let refusal = Refusal::of_account(subject.requester.username);
                Assessment {
                    record: Some(refuse(findings, Some(written), refusal)),
                    claim: None,
                }
            }
        }
    }

    /// What an override let pass must not look like an old violation when it has been taken off. Of an
    /// ApplicationSet that cannot be told where its Applications are not known.
    fn judge_removal(&self, findings: &mut Vec<Finding>) {
        let Some(stood) = &self.stood else {
            return;
        };
        let stands = |rule| self.stands.as_ref().is_some_and(|own| own.names(rule));
        let dropped = stood.rules.iter().copied().filter(|rule| !stands(*rule));
        let level = |rule| {
            let of_rule = findings.iter().filter(|finding| finding.rule == rule);
            of_rule.map(|finding| finding.level).min()
        };
        let dropped: Vec<(RuleId, Option<Level>)> =
            dropped.map(|rule| (rule, level(rule))).collect();
        let fix = "put that right first, or let it expire: kubectl gitops break-glass revoke";
        for (rule, level) in dropped {
            match level {
                Some(Level::Deny) => {
                    let message = format!("is taken off while {rule} is violated");
                    tell(findings, RULES, message, fix);
                    return;
                }
                Some(Level::Undecided) => {
                    let message = format!("is taken off while {rule} may be violated");
                    let mut told = Findings::new(BREAK_GLASS);
                    told.deny(field(RULES), message, fix);
                    findings.extend(told.into_inner());
                    return;
                }
                Some(Level::Warn) | None => {}
            }
        }
    }
}

/// That an override stands in the template of an ApplicationSet, where it would be copied to everything
/// that is generated.
pub(crate) fn inherited(generated: &Object<'_>) -> Vec<Finding> {
    let mut found = Findings::new(BREAK_GLASS);
    if !Written::on(generated).is_empty() {
        found.deny(
            field(RULES),
            "an override is not inherited",
            "put it on the ApplicationSet itself",
        );
    }
    found.into_inner()
}

/// Applies the answers to a claim.
pub(crate) fn settle(
    claim: &Claim,
    findings: &mut Vec<Finding>,
    permission: impl Fn(RuleId) -> Permission,
) -> Record {
    let mut allowed = Vec::new();
    let mut refused = Vec::new();
    for rule in &claim.rules {
        match permission(*rule) {
            Permission::Given => allowed.push(*rule),
            Permission::Denied => refused.push((*rule, None)),
            Permission::Unknown(why) => refused.push((*rule, Some(why))),
        }
    }
    let Some((rule, why)) = refused.into_iter().next() else {
        return let_pass(findings, &claim.written, &allowed, claim.kind, REVOKE);
    };
    let message = match (&why, claim.kind) {
        (Some(_), _) => "the API server could not be asked about its writer".to_owned(),
        (None, Claimed::Grant) => format!("its writer may not overrule {rule}"),
        (None, Claimed::Use) => {
            format!("does not cover what somebody who may not overrule {rule} writes")
        }
    };
    let fix = match why {
        Some(_) => "try again".to_owned(),
        None => format!("needs the verb {} on gitopspolicies/{rule}", super::VERB),
    };
    let mut record = refuse(
        findings,
        Some(&claim.written),
        Refusal::new(RULES, message, fix),
    );
    if let (Some(refusal), Some(why)) = (&mut record.refusal, why) {
        refusal.push_str(": ");
        refusal.push_str(&shorten(&why, 200));
    }
    record
}

/// The rules that deny and are named, each once.
fn denied_among(findings: &[Finding], written: &Override) -> Vec<RuleId> {
    let denies = |rule: &RuleId| {
        let mut denials = findings
            .iter()
            .filter(|finding| finding.level == Level::Deny);
        denials.any(|finding| finding.rule == *rule)
    };
    written.rules.iter().copied().filter(denies).collect()
}

/// Lets the denials of these rules pass, and tells the writer of it.
fn let_pass(
    findings: &mut Vec<Finding>,
    written: &Override,
    rules: &[RuleId],
    kind: Claimed,
    end: &'static str,
) -> Record {
    let until = format!("overruled until {}", written.expires);
    let mut used = false;
    for finding in findings.iter_mut() {
        if finding.level == Level::Deny && rules.contains(&finding.rule) {
            finding.waive(Waiver::BreakGlass, &until);
            used = true;
        }
    }
    let message = format!("{} {until}: {}", names(rules), shorten(&written.reason, 80));
    tell(findings, RULES, message, end);
    Record {
        kind: match (used, kind) {
            (false, Claimed::Grant) => RecordKind::Granted,
            _ => RecordKind::Used,
        },
        rules: rules.to_vec(),
        reason: one_line(&written.reason),
        expires: Some(written.expires),
        refusal: None,
    }
}

/// How to end an override on a live object.
const REVOKE: &str = "end it with kubectl gitops break-glass revoke";

/// Why an override is not accepted, and by which of its annotations.
struct Refusal {
    annotation: &'static str,
    message: String,
    fix: String,
}

impl Refusal {
    fn new(annotation: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Refusal {
            annotation,
            message: message.into(),
            fix: fix.into(),
        }
    }

    fn of(error: &Unacceptable) -> Self {
        Refusal::new(error.annotation(), error.to_string(), error.fix())
    }

    fn from_git() -> Self {
        Refusal::new(
            RULES,
            "has no effect in Git, the policy does not allow it (breakGlass.fromGit)",
            "annotate the live object instead",
        )
    }

    fn of_account(username: &str) -> Self {
        Refusal::new(
            RULES,
            format!(
                "nobody knows on whose behalf {} writes",
                shorten(username, 80)
            ),
            "write it yourself, with kubectl",
        )
    }
}

fn refuse(findings: &mut Vec<Finding>, written: Option<&Override>, refusal: Refusal) -> Record {
    let mut told = Findings::new(BREAK_GLASS);
    let Refusal {
        annotation,
        message,
        fix,
    } = refusal;
    told.deny(field(annotation), message.clone(), fix);
    findings.extend(told.into_inner());
    Record {
        kind: RecordKind::Refused,
        rules: written.map_or_else(Vec::new, |written| written.rules.clone()),
        reason: written.map_or_else(String::new, |written| one_line(&written.reason)),
        expires: written.map(|written| written.expires),
        refusal: Some(message),
    }
}

/// Says something about an override that decides nothing.
fn tell(
    findings: &mut Vec<Finding>,
    annotation: &str,
    message: impl Into<String>,
    fix: &'static str,
) {
    let mut told = Findings::new(BREAK_GLASS);
    told.warn(field(annotation), message, fix);
    findings.extend(told.into_inner());
}

fn one_line(reason: &str) -> String {
    shorten(reason, super::annotations::REASON_LIMIT)
}

fn names(rules: &[RuleId]) -> String {
    let names: Vec<&str> = rules.iter().map(|rule| rule.as_str()).collect();
    names.join(", ")
}

/// The pointer to an annotation.
fn field(annotation: &str) -> String {
    format!("/metadata/annotations/{}", annotation.replace('/', "~1"))
}
