//! What a request wants to overrule, and what becomes of that.

use jiff::Timestamp;

use crate::finding::ratchet::{Kept, Ratchet};
use crate::finding::{About, BREAK_GLASS, Finding, Findings, Level, RuleId, Waiver, shorten};
use crate::request::changes::is_detached;
use crate::request::inventory::Inventory;
use crate::request::subject::{Propagation, Request, RequestRef, SubjectRef};
use crate::terms::annotations::{OVERRULED, Override, REASON_LIMIT, Written, field};
use crate::terms::break_glass::{Unacceptable, VERB, Writer};

/// Somebody who can ask the API server is to say whether the writer may overrule these rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The override on the object.
    pub written: Override,
    /// The rules in question: those that a new override names and nobody has answered for yet,
    /// those that an existing one is needed for, or those that are taken off.
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
    /// The request takes the override off an ApplicationSet, and with it what tells of its
    /// Applications what was let pass.
    Removal,
}

/// The answer to a [`Claim`], for one rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Permission {
    /// The writer may.
    Given,
    /// The writer may not.
    Denied,
    /// There was no answer this time, and why; so the writer may not.
    Unknown(String),
    /// Nobody can be asked, and why; so the writer may not.
    Unanswerable(String),
}

/// That an override was written, used or refused: for the record, wherever that is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Which of these.
    pub kind: RecordKind,
    /// Whether the override was written by this request, rather than used or ended.
    pub is_written: bool,
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
    of_owner: Option<OfOwner>,
    /// Whether the object is being deleted, so that its own counts for nothing.
    is_void: bool,
    is_detached: bool,
    /// Whether the override goes with the object while what it let pass stays: an ApplicationSet
    /// that is deleted alone.
    is_left_behind: bool,
    now: Timestamp,
}

/// The override on the ApplicationSet which generates an object.
#[derive(Debug)]
struct OfOwner {
    written: Override,
    /// Whether that is being deleted, so that it counts for nothing. Argo CD goes on with what it
    /// had begun to generate.
    is_void: bool,
}

/// What comes of the overrides on an object.
#[derive(Debug, Default)]
pub(crate) struct Assessment {
    pub(crate) claim: Option<Claim>,
    pub(crate) record: Option<Record>,
    /// That another override ends by this.
    pub(crate) ended: Option<Record>,
}

/// What an ApplicationSet generates, as far as an override on it has to do with that.
#[derive(Debug, Default)]
pub(crate) struct Generated {
    /// Whether Applications come otherwise that are not known here, and may violate any rule.
    pub(crate) is_unknown: bool,
    /// What would be denied, or may be, of the Applications that stay when the ApplicationSet is
    /// deleted alone.
    pub(crate) left: Vec<Finding>,
}

impl<'s> Overrides<'s> {
    pub(crate) fn of(subject: SubjectRef<'s>, inventory: &Inventory, now: Timestamp) -> Self {
        let new = Written::on(subject.object());
        let old = if subject.request.is_deletion() {
            // What is deleted has what it has.
            new
        } else {
            // A Secret that was not a cluster was put to nobody.
            let old = subject.request.old().filter(|old| old.counts());
            old.map(Written::on).unwrap_or_default()
        };
        let owner = match subject.request {
            RequestRef::Application(request) => inventory.application_set_of(request.object()),
            _ => None,
        };
        let of_owner = owner.and_then(|set| {
            let written = Override::among(|key| set.metadata.annotations.get(key)).ok()??;
            let is_void = !set.metadata.deletion_timestamp.is_empty();
            Some(OfOwner { written, is_void })
        });
        Overrides {
            stood: old.read().ok(),
            stands: new.read().ok(),
            old,
            new,
            of_owner,
            is_void: subject.object().is_being_deleted(),
            is_detached: is_detached(subject),
            is_left_behind: is_left_behind(subject),
            now,
        }
    }

    /// Whether what an ApplicationSet generates is to be judged although only the ApplicationSet is
    /// deleted.
    pub(crate) fn asks_what_is_left(&self) -> bool {
        self.is_left_behind && self.stood.is_some()
    }

    /// Whether the annotations change at all.
    pub(crate) fn differ(&self) -> bool {
        self.old != self.new
    }

    /// How violations are compared with those of the old object: what was let pass by an override
    /// counts as a violation again when that is over, and must not be kept by taking it off.
    pub(crate) fn ratchet(&self) -> Ratchet<'_> {
        let of_owner = self.of_owner.as_ref();
        Ratchet {
            own: Kept {
                stood: rules_of(self.stood.as_ref()),
                stands: rules_of(self.stands.as_ref()),
                is_over: self.is_void
                    || self
                        .stood
                        .as_ref()
                        .is_some_and(|stood| stood.is_expired(self.now)),
            },
            of_owner: Kept {
                stood: rules_of(of_owner.map(|owner| &owner.written)),
                stands: rules_of(of_owner.map(|owner| &owner.written)),
                is_over: of_owner
                    .is_some_and(|owner| owner.is_void || owner.written.is_expired(self.now)),
            },
            is_detached: self.is_detached,
        }
    }

    /// Whether somebody has to answer for the annotations: they are new, or say more than before.
    fn are_claimed(&self) -> bool {
        if self.new.is_empty() || !self.differ() {
            return false;
        }
        match (&self.stands, &self.stood) {
            (Some(stands), Some(stood)) if stands.shortens(stood) => false,
            (Some(stands), _) => !self.claimed(stands).is_empty(),
            (None, _) => true,
        }
    }

    /// The rules of an override for which nobody has answered yet.
    fn claimed(&self, written: &Override) -> Vec<RuleId> {
        let stood = self.stood.as_ref();
        let goes_on =
            stood.filter(|stood| !stood.is_expired(self.now) && written.goes_on_with(stood));
        let is_new = |rule: &RuleId| !goes_on.is_some_and(|stood| stood.names(*rule));
        written.rules.iter().copied().filter(is_new).collect()
    }

    /// The rules that it named and does not name any more.
    fn dropped(&self) -> Vec<RuleId> {
        let stands = |rule| self.stands.as_ref().is_some_and(|own| own.names(rule));
        let rules = self
            .stood
            .iter()
            .flat_map(|stood| stood.rules.iter().copied());
        rules
            .filter(|rule| self.is_left_behind || !stands(*rule))
            .collect()
    }

    /// Says what the overrides let pass, or who is to be asked about that.
    pub(crate) fn assess(
        &self,
        subject: SubjectRef<'_>,
        findings: &mut Vec<Finding>,
        generated: &Generated,
        inventory: &Inventory,
    ) -> Assessment {
        let needed = |written: &Override, findings: &[Finding]| {
            needed_among(findings, written, generated.is_unknown)
        };
        let is_refused = self.judge_removal(findings, &generated.left);
        let mut assessment = if self.are_claimed() {
            self.assess_grant(subject, findings, needed, inventory)
        } else {
            match (&self.of_owner, &self.stands) {
                (Some(written), _) => {
                    self.assess_use_of_owner(written, subject, findings, inventory)
                }
                (None, Some(written)) => {
                    let needed = needed(written, findings);
                    self.assess_use(written, needed, subject, findings, inventory)
                }
                (None, None) => Assessment::default(),
            }
        };
        if !is_refused && matches!(subject.request, RequestRef::ApplicationSet(_)) {
            self.assess_removal(&mut assessment, subject, findings, inventory);
        }
        if assessment.claim.is_none() && assessment.record.is_none() {
            assessment.record = self.revocation();
        } else {
            assessment.ended = self.revocation();
        }
        assessment
    }

    /// That an override ends before its time, or another one takes the place of it.
    fn revocation(&self) -> Option<Record> {
        let stood = self
            .stood
            .as_ref()
            .filter(|stood| !stood.is_expired(self.now))?;
        let (rules, end) = match &self.stands {
            Some(_) if self.is_left_behind => (stood.rules.clone(), self.now),
            Some(stands) if stands.shortens(stood) => {
                let ends = stands.expires < stood.expires;
                let rules = if ends { &*stood.rules } else { &[] };
                (rules.to_vec(), stands.expires)
            }
            // The same, and longer, or of more rules.
            Some(stands) if stands.reason == stood.reason || stands.goes_on_with(stood) => {
                if stands.expires < stood.expires {
                    (stood.rules.clone(), stands.expires)
                } else {
                    (self.dropped(), self.now)
                }
            }
            Some(_) | None => (stood.rules.clone(), self.now),
        };
        (!rules.is_empty()).then(|| Record {
            kind: RecordKind::Revoked,
            is_written: false,
            rules,
            reason: one_line(&stood.reason),
            expires: Some(end),
            refusal: None,
        })
    }

    /// Has somebody answer for it that an override is taken off an ApplicationSet: what it let pass
    /// there was put right in the template, and perhaps not yet in the Applications, of which
    /// nothing is known here.
    fn assess_removal(
        &self,
        assessment: &mut Assessment,
        subject: SubjectRef<'_>,
        findings: &mut Vec<Finding>,
        inventory: &Inventory,
    ) {
        let dropped = self.dropped();
        let Some(stood) = self.stood.as_ref().filter(|_| !dropped.is_empty()) else {
            return;
        };
        match (&mut assessment.claim, inventory.writer(subject.requester)) {
            (Some(claim), _) => claim.rules.extend(dropped),
            (None, Writer::Asked) if assessment.record.is_none() => {
                assessment.claim = Some(Claim {
                    written: stood.clone(),
                    rules: dropped,
                    kind: Claimed::Removal,
                });
            }
            (None, Writer::ServiceAccountWithoutLeave) if assessment.record.is_none() => {
                let refusal = Refusal::of_account(subject.requester.username);
                assessment.record = Some(refuse(findings, Some(stood), refusal));
            }
            // It is refused already, or nothing is stored.
            (None, _) => {}
        }
    }

    /// What an ApplicationSet's own override lets pass of what it generates. Nobody is asked again:
    /// its writer was, and its controller writes what follows from it.
    fn assess_use_of_owner(
        &self,
        OfOwner { written, is_void }: &OfOwner,
        subject: SubjectRef<'_>,
        findings: &mut Vec<Finding>,
        inventory: &Inventory,
    ) -> Assessment {
        let rules = denied_among(findings, written);
        let counts = !is_void && inventory.terms().accept(written, self.now).is_ok();
        if rules.is_empty() || !counts {
            return Assessment::default();
        }
        if !inventory.writes_for_sets(subject.requester) {
            let message = "stands on the ApplicationSet, which generates this";
            tell(findings, OVERRULED, message, "make the change there");
            return Assessment::default();
        }
        Assessment {
            record: Some(let_pass(findings, written, &rules, Claimed::Use, REVOKE)),
            ..Assessment::default()
        }
    }

    fn assess_grant(
        &self,
        subject: SubjectRef<'_>,
        findings: &mut Vec<Finding>,
        needed: impl Fn(&Override, &[Finding]) -> Vec<RuleId>,
        inventory: &Inventory,
    ) -> Assessment {
        let refused = |findings: &mut Vec<Finding>, refusal: Refusal| Assessment {
            record: Some(refuse(findings, self.stands.as_ref(), refusal)),
            ..Assessment::default()
        };
        if self.is_void {
            return refused(findings, Refusal::of_what_goes());
        }
        if let RequestRef::Application(request) = subject.request
            && let Some(owner) = request.object().metadata.application_set()
        {
            let refusal = Refusal::new(
                OVERRULED,
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
                let fix = if self.new.lacks_one() {
                    WRITE_ALL.into()
                } else {
                    error.fix()
                };
                return refused(findings, Refusal::new(field, message, fix));
            }
        };
        if let Err(error) = inventory.terms().accept(&written, self.now) {
            return refused(findings, Refusal::of(&error));
        }
        match inventory.writer(subject.requester) {
            Writer::Asked => {
                let mut rules = self.claimed(&written);
                let needed = needed(&written, findings).into_iter();
                rules.extend(
                    needed
                        .filter(|rule| !rules.contains(rule))
                        .collect::<Vec<_>>(),
                );
                Assessment {
                    claim: Some(Claim {
                        rules,
                        written,
                        kind: Claimed::Grant,
                    }),
                    ..Assessment::default()
                }
            }
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
                    ..Assessment::default()
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
        rules: Vec<RuleId>,
        subject: SubjectRef<'_>,
        findings: &mut Vec<Finding>,
        inventory: &Inventory,
    ) -> Assessment {
        if rules.is_empty() {
            return Assessment::default();
        }
        let is_denied = !denied_among(findings, written).is_empty();
        if self.is_void {
            if is_denied {
                let Refusal {
                    annotation,
                    message,
                    ..
                } = Refusal::of_what_goes();
                tell(findings, annotation, message, "put right what it names");
            }
            return Assessment::default();
        }
        // What stood before there was anybody to ask about it is worth no more than what is written
        // now.
        if let Err(error) = inventory.terms().accept(written, self.now) {
            if is_denied {
                let fix = "put right what it overruled, or grant it anew";
                tell(findings, error.annotation(), error.to_string(), fix);
            }
            return Assessment::default();
        }
        match inventory.writer(subject.requester) {
            Writer::Asked => Assessment {
                claim: Some(Claim {
                    written: written.clone(),
                    rules,
                    kind: Claimed::Use,
                }),
                ..Assessment::default()
            },
            Writer::Git | Writer::GitWithoutLeave => Assessment::default(),
            Writer::ServiceAccountWithoutLeave => {
                let refusal = Refusal::of_account(subject.requester.username);
                Assessment {
                    record: Some(refuse(findings, Some(written), refusal)),
                    ..Assessment::default()
                }
            }
        }
    }

    /// What an override let pass must not look like an old violation when it has been taken off. Of
    /// an ApplicationSet that cannot be told where its Applications are not known. Says whether it
    /// is refused.
    fn judge_removal(&self, findings: &mut Vec<Finding>, left: &[Finding]) -> bool {
        let judged = if self.is_left_behind {
            left
        } else {
            findings.as_slice()
        };
        let is_found = |rule: RuleId, level: Level| {
            let mut judged = judged.iter();
            judged.any(|finding| finding.rule == rule && finding.level() == level)
        };
        let found = self.dropped().into_iter().find_map(|rule| {
            let levels = [(Level::Deny, "is"), (Level::Undecided, "may be")];
            let mut levels = levels.into_iter();
            let (level, verb) = levels.find(|(level, _)| is_found(rule, *level))?;
            Some((rule, level, verb))
        });
        let Some((rule, level, verb)) = found else {
            return false;
        };
        let (message, fix) = if self.is_left_behind {
            (
                format!("goes, its Applications stay, and {rule} {verb} violated"),
                "put that right first, or delete without --cascade=orphan",
            )
        } else {
            (format!("is taken off while {rule} {verb} violated"), END)
        };
        if level == Level::Deny && !self.is_left_behind {
            // The violation itself denies.
            tell(findings, OVERRULED, message, fix);
        } else {
            let mut told = Findings::new(BREAK_GLASS, About::State);
            told.deny(field(OVERRULED), message, fix);
            findings.extend(told.into_inner());
        }
        true
    }
}

/// The rules that an override names, if there is one.
fn rules_of(written: Option<&Override>) -> &[RuleId] {
    written.map_or(&[], |written| &written.rules)
}

/// Whether an ApplicationSet is deleted and its Applications stay: as asked, or, where the API
/// server was asked for nothing else, because of the finalizer that says so.
fn is_left_behind(subject: SubjectRef<'_>) -> bool {
    match subject.request {
        RequestRef::ApplicationSet(Request::Delete(set, propagation))
            if !subject.requester.is_collector() =>
        {
            let says_so = || set.metadata.finalizers.iter().any(|own| own == "orphan");
            propagation == Propagation::Orphan
                || propagation == Propagation::Background && says_so()
        }
        _ => false,
    }
}

/// What to do instead of taking an override off.
const END: &str = "put that right first, or let it expire: kubectl gitops break-glass revoke";

/// What to do about an override of which something is missing.
const WRITE_ALL: &str = "write all three, see kubectl gitops break-glass grant";

/// Applies the answers to a claim. That an override is taken off is not a record of its own.
pub(crate) fn settle(
    claim: &Claim,
    findings: &mut Vec<Finding>,
    permission: impl Fn(RuleId) -> Permission,
) -> Option<Record> {
    let mut allowed = Vec::new();
    let mut refused = None;
    for rule in &claim.rules {
        match permission(*rule) {
            Permission::Given => allowed.push(*rule),
            refusal => {
                refused.get_or_insert((*rule, refusal));
            }
        }
    }
    // Those that are taken off are not used.
    allowed.retain(|rule| claim.written.names(*rule));
    let Some((rule, refusal)) = refused else {
        return (claim.kind != Claimed::Removal)
            .then(|| let_pass(findings, &claim.written, &allowed, claim.kind, REVOKE));
    };
    let (message, fix, why) = match refusal {
        Permission::Unknown(why) => (NOT_ASKED.to_owned(), "try again".to_owned(), Some(why)),
        Permission::Unanswerable(why) => {
            let fix = "the webhook needs the verb create on subjectaccessreviews";
            (NOT_ASKED.to_owned(), fix.to_owned(), Some(why))
        }
        Permission::Given | Permission::Denied => {
            let verb = format!("needs the verb {VERB} on gitopspolicies/{rule}");
            let (message, fix) = match claim.kind {
                _ if !claim.written.names(rule) => (taken_off(rule), END_ELSEWHERE.to_owned()),
                Claimed::Grant => (format!("its writer may not overrule {rule}"), verb),
                Claimed::Use => (
                    format!("does not cover what somebody who may not overrule {rule} writes"),
                    verb,
                ),
                Claimed::Removal => (taken_off(rule), END_ELSEWHERE.to_owned()),
            };
            (message, fix, None)
        }
    };
    let mut record = refuse(
        findings,
        Some(&claim.written),
        Refusal::new(OVERRULED, message, fix),
    );
    if let (Some(refusal), Some(why)) = (&mut record.refusal, why) {
        refusal.push_str(": ");
        refusal.push_str(&shorten(&why, 200));
    }
    Some(record)
}

fn taken_off(rule: RuleId) -> String {
    format!("is taken off by somebody who may not overrule {rule}")
}

/// That there was no answer.
const NOT_ASKED: &str = "the API server could not be asked about its writer";

/// What those do who may not take an override off an ApplicationSet.
const END_ELSEWHERE: &str =
    "what it let pass may still be there; end it: kubectl gitops break-glass revoke";

/// The rules that are named and that a change needs overruled, each once: those that deny, those of
/// which that is not known and was not open before, and all where Applications come that are not
/// known.
fn needed_among(findings: &[Finding], written: &Override, is_unknown: bool) -> Vec<RuleId> {
    let needs = |rule: &RuleId| {
        let mut of_rule = findings.iter().filter(|finding| finding.rule == *rule);
        is_unknown || of_rule.any(|finding| finding.level() == Level::Deny || finding.extent.is_new)
    };
    written.rules.iter().copied().filter(needs).collect()
}

/// The rules that deny and are named, each once.
fn denied_among(findings: &[Finding], written: &Override) -> Vec<RuleId> {
    let denies = |rule: &RuleId| {
        let mut denials = findings
            .iter()
            .filter(|finding| finding.level() == Level::Deny);
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
        if finding.level() == Level::Deny && rules.contains(&finding.rule) {
            finding.waive(Waiver::BreakGlass, &until);
            used = true;
        }
    }
    tell_what_passes(findings, written, rules, &until, end);
    Record {
        kind: match (used, kind) {
            (false, Claimed::Grant) => RecordKind::Granted,
            _ => RecordKind::Used,
        },
        is_written: kind == Claimed::Grant,
        rules: rules.to_vec(),
        reason: one_line(&written.reason),
        expires: Some(written.expires),
        refusal: None,
    }
}

/// Tells the rules, the end and the reason, all of it.
fn tell_what_passes(
    findings: &mut Vec<Finding>,
    written: &Override,
    rules: &[RuleId],
    until: &str,
    end: &'static str,
) {
    let rules = names(rules);
    if written.reason.chars().count() <= SHORT_REASON {
        let message = format!("{rules} {until}: {}", written.reason);
        return tell(findings, OVERRULED, message, end);
    }
    tell(findings, OVERRULED, format!("{rules} {until}"), end);
    let mut told = Findings::new(BREAK_GLASS, About::State);
    told.warn("/metadata/annotations", written.reason.clone(), "");
    findings.extend(told.into_inner());
}

/// The longest reason that is told beside the rules, in characters.
const SHORT_REASON: usize = 80;

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

    fn of_what_goes() -> Self {
        Refusal::new(
            OVERRULED,
            "counts for nothing on what is being deleted",
            "let it go, or put right what is denied",
        )
    }

    fn of(error: &Unacceptable) -> Self {
        Refusal::new(error.annotation(), error.to_string(), error.fix())
    }

    fn from_git() -> Self {
        Refusal::new(
            OVERRULED,
            "has no effect in Git, the policy does not allow it (breakGlass.fromGit)",
            "annotate the live object instead",
        )
    }

    fn of_account(username: &str) -> Self {
        Refusal::new(
            OVERRULED,
            format!(
                "nobody knows on whose behalf {} writes",
                shorten(username, 80)
            ),
            "write it yourself, with kubectl",
        )
    }
}

fn refuse(findings: &mut Vec<Finding>, written: Option<&Override>, refusal: Refusal) -> Record {
    let mut told = Findings::new(BREAK_GLASS, About::State);
    let Refusal {
        annotation,
        message,
        fix,
    } = refusal;
    told.deny(field(annotation), message.clone(), fix);
    findings.extend(told.into_inner());
    Record {
        kind: RecordKind::Refused,
        is_written: false,
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
    let mut told = Findings::new(BREAK_GLASS, About::State);
    told.warn(field(annotation), message, fix);
    findings.extend(told.into_inner());
}

fn one_line(reason: &str) -> String {
    shorten(reason, REASON_LIMIT)
}

fn names(rules: &[RuleId]) -> String {
    let names: Vec<&str> = rules.iter().map(|rule| rule.as_str()).collect();
    names.join(", ")
}
