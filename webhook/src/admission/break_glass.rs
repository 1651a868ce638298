//! Overrides: asks whether the writer may, and puts on record what came of it.
//!
//! Each override that is granted, lets a write pass, is ended early or refused can be found
//! afterwards in four places: the audit log of the API server (see
//! [`crate::admission_review::response`]), the log, a metric, and an Event on the object. A dry run
//! leaves nothing in any of them.

use futures::future::join_all;
use k8s_openapi::api::core::v1::ObjectReference;
use policy::break_glass::{Permission, Record, RecordKind};
use policy::{RuleId, Verdict};
use tokio::time::timeout_at;
use tracing::{info, warn};

use super::deadline::Deadline;
use crate::admission_review::decide::{Decision, Judged};
use crate::admission_review::request::Review;
use crate::admission_review::response::{expires, rules};
use crate::authorisation::{AuthorisationError, Authoriser, User};
use crate::events::{Event, Reason};
use crate::state::{BreakGlass, Webhook};

/// The decision on what has been judged. If something is claimed, somebody is asked; where nobody
/// can be asked, nobody may.
pub(crate) async fn settle(
    judged: Judged,
    review: &Review<'_>,
    webhook: &Webhook,
    deadline: Deadline,
) -> Decision {
    match (judged, &webhook.break_glass, review.user()) {
        (Judged::Claimed(mut verdict), Some(BreakGlass { authoriser, .. }), Some(user)) => {
            let permissions = ask(&verdict, authoriser, &user, deadline).await;
            verdict.settle(|rule| {
                let mut answers = permissions.iter();
                let answer = answers.find(|(asked, _)| *asked == rule);
                answer.map_or(Permission::Denied, |(_, permission)| permission.clone())
            });
            verdict.into()
        }
        (judged, ..) => judged.unanswered(),
    }
}

async fn ask(
    verdict: &Verdict,
    authoriser: &Authoriser,
    user: &User,
    deadline: Deadline,
) -> Vec<(RuleId, Permission)> {
    let rules = verdict.claim.iter().flat_map(|claim| &claim.rules);
    let asking =
        rules.map(|rule| async { (*rule, ask_for(authoriser, user, *rule, deadline).await) });
    join_all(asking).await
}

async fn ask_for(
    authoriser: &Authoriser,
    user: &User,
    rule: RuleId,
    deadline: Deadline,
) -> Permission {
    let answer = authoriser.may_break_glass(user, rule.as_str());
    let answer = timeout_at(deadline.waiting_ends(), answer).await;
    match answer.unwrap_or(Err(AuthorisationError::NoTime)) {
        Ok(true) => Permission::Given,
        Ok(false) => Permission::Denied,
        Err(error) => {
            let text = crate::chain(&error);
            warn!(
                rule = rule.as_str(),
                error = text,
                "cannot ask who may break glass"
            );
            if error.is_forbidden() {
                Permission::Unanswerable(text)
            } else {
                Permission::Unknown(text)
            }
        }
    }
}

/// Puts on record what happened to an override. That a write is allowed is all that is known:
/// another webhook may still refuse it, or the API server fail to store it.
pub(crate) fn record(record: &Record, review: &Review<'_>, webhook: &Webhook) {
    if review.dry_run {
        return;
    }
    log(record, review);
    webhook.metrics.break_glass.count(record);
    if let Some(BreakGlass { events, .. }) = &webhook.break_glass {
        events.publish(event(record, review));
    }
}

fn log(record: &Record, review: &Review<'_>) {
    macro_rules! break_glass {
        ($level:ident) => {
            $level!(
                uid = review.uid.as_str(),
                kind = review.kind.as_str(),
                namespace = review.namespace.as_str(),
                name = review.name.as_str(),
                user = review.username.as_str(),
                outcome = record.kind.as_str(),
                rules = rules(record),
                reason = record.reason,
                expires = expires(record),
                refusal = record.refusal,
                "break-glass"
            )
        };
    }
    match record.kind {
        RecordKind::Granted | RecordKind::Used | RecordKind::Revoked => break_glass!(info),
        RecordKind::Refused => break_glass!(warn),
    }
}

fn event(record: &Record, review: &Review<'_>) -> Event {
    let user = policy::finding::shorten(&review.username, 200);
    let rules = rules(record);
    let (until, why) = (expires(record), &record.reason);
    let (reason, note) = match record.kind {
        RecordKind::Granted => (
            Reason::BreakGlassAllowed,
            format!("{rules} may be overruled by {user} until {until}: {why}"),
        ),
        RecordKind::Used => (
            if record.is_written {
                Reason::BreakGlassAllowed
            } else {
                Reason::BreakGlassAllowedLater
            },
            format!("{rules} allowed to be overruled by {user} until {until}: {why}"),
        ),
        RecordKind::Revoked => (
            Reason::BreakGlassRevoked,
            format!("override of {rules} ended by {user} as of {until}"),
        ),
        RecordKind::Refused => {
            let of_rules = if rules.is_empty() {
                String::new()
            } else {
                format!(" of {rules}")
            };
            let refusal = record.refusal.as_deref().unwrap_or_default();
            (
                Reason::BreakGlassRefused,
                format!("override{of_rules} by {user} refused: {refusal}"),
            )
        }
    };
    Event {
        reason,
        object: ObjectReference {
            api_version: Some(review.kind.api_version()),
            kind: Some(review.kind.as_str().to_owned()),
            namespace: Some(review.namespace.to_string()),
            name: Some(review.name.to_string()),
            uid: Some(review.object_uid.to_string()).filter(|uid| !uid.is_empty()),
            ..ObjectReference::default()
        },
        note,
    }
}
