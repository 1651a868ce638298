//! From a review to a decision: asks the rules, or says why they are not asked.

use jiff::Timestamp;
use policy::break_glass::{Permission, Record};
use policy::{Finding, Inventory, Outcome, Requester, Subject, evaluate};

use super::request::{Content, Review};
use crate::labels::Verdict;

/// A [`Verdict`] and what it rests on.
#[derive(Debug, PartialEq)]
pub struct Decision {
    /// What becomes of the request.
    pub verdict: Verdict,
    /// What the rules found, in their stable order.
    pub findings: Vec<Finding>,
    /// Why the object cannot be read, where it cannot.
    pub unreadable: Option<String>,
    /// What happened to an override, if anything did.
    pub record: Option<Record>,
    /// That another override ended by this, if one did.
    pub ended: Option<Record>,
}

/// A decision, or what is needed for one.
#[derive(Debug)]
pub enum Judged {
    /// It is made.
    Decided(Decision),
    /// The writer claims to be allowed what is denied. Somebody has to be asked.
    Claimed(policy::Verdict),
}

impl Judged {
    /// The decision where nobody can be asked: what is claimed is refused.
    pub fn unanswered(self) -> Decision {
        match self {
            Judged::Decided(decision) => decision,
            Judged::Claimed(mut verdict) => {
                let nobody = || Permission::Unanswerable("there is nobody to ask".to_owned());
                verdict.settle(|_| nobody());
                verdict.into()
            }
        }
    }
}

impl From<policy::Verdict> for Decision {
    fn from(verdict: policy::Verdict) -> Self {
        Decision {
            verdict: match verdict.outcome {
                Outcome::Unchanged => Verdict::Unchanged,
                Outcome::Admitted => Verdict::Admitted,
                Outcome::Denied => Verdict::Denied,
            },
            findings: verdict.findings,
            unreadable: None,
            record: verdict.record,
            ended: verdict.ended,
        }
    }
}

impl Decision {
    fn without_findings(verdict: Verdict) -> Self {
        Decision {
            verdict,
            findings: Vec::new(),
            unreadable: None,
            record: None,
            ended: None,
        }
    }

    /// All that happened to overrides.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.ended.iter().chain(&self.record)
    }

    /// The rules that found something, each once, separated by commas.
    pub fn rules(&self) -> String {
        let mut rules: Vec<&str> = Vec::new();
        for finding in &self.findings {
            if !rules.contains(&finding.rule.as_str()) {
                rules.push(finding.rule.as_str());
            }
        }
        rules.join(",")
    }
}

/// Decides on the content of a review, which is used up; the rest of the review stays.
pub fn decide(review: &mut Review<'_>, inventory: &Inventory, now: Timestamp) -> Judged {
    let decided = |verdict| Judged::Decided(Decision::without_findings(verdict));
    let requester = Requester {
        username: &review.username,
    };
    review.for_others = inventory.writes_for_others(requester);
    let request = match std::mem::replace(&mut review.content, Content::NotJudged) {
        Content::NotJudged => return decided(Verdict::NotJudged),
        // It is another Argo CD's.
        _ if !inventory.concerns(review.kind.as_str(), &review.namespace) => {
            return decided(Verdict::NotJudged);
        }
        Content::Unreadable(reason) => {
            return Judged::Decided(Decision {
                unreadable: Some(reason),
                ..Decision::without_findings(Verdict::Unreadable)
            });
        }
        Content::Judged(request) => request,
    };
    let subject = Subject {
        request,
        requester: Requester {
            username: &review.username,
        },
        dry_run: review.dry_run,
        now,
        // The API server has dropped them.
        unknown_fields: &[],
    };
    let verdict = evaluate(&subject, inventory);
    match &verdict.claim {
        Some(_) => Judged::Claimed(verdict),
        None => Judged::Decided(verdict.into()),
    }
}
