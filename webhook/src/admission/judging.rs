//! From a body to a decision: what is quick is done where the request is, everything else in its
//! turn and out of the way.
//!
//! What a body is decoded to can be many times as large as the body. It is never held while
//! something is waited for, so that there is no more of it at a time than threads that decode and
//! turns that are taken.

use policy::Level;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::timeout_at;

use super::break_glass;
use super::deadline::Deadline;
use super::unanswered::{Failed, Unanswered};
use crate::admission_review::decide::{Decision, Judged, decide};
use crate::admission_review::request::Review;
use crate::failure::Failure;
use crate::state::{Caches, Webhook};

/// A review, of which nothing is left to judge, and what was decided.
pub(crate) type Answered<'b> = (Review<'b>, Decision);

/// Judges a request, and again when the rules know what it lacks.
pub(crate) async fn judge<'b>(
    webhook: &Webhook,
    body: &'b [u8],
    deadline: Deadline,
    unanswered: &Unanswered<'_>,
) -> Result<Answered<'b>, Failed> {
    let first = judge_once(webhook, body, deadline, unanswered).await?;
    if !lacks_news(&first.1) {
        return Ok(first);
    }
    let Some(_permit) = webhook.patience() else {
        return Ok(first);
    };
    let until = deadline.within(webhook.limits.news_timeout);
    let mut news = webhook.published();
    let mut last = first;
    // At once as well: there may have been news since the first time.
    loop {
        // What cannot be judged again was judged before.
        let Ok(judged) = judge_once(webhook, body, deadline, unanswered).await else {
            return Ok(last);
        };
        last = judged;
        if !lacks_news(&last.1) || !matches!(timeout_at(until, news.changed()).await, Ok(Ok(()))) {
            return Ok(last);
        }
    }
}

/// Whether all that denies it is an AppProject or a cluster that may have been created a moment
/// ago.
fn lacks_news(decision: &Decision) -> bool {
    let mut denials = decision
        .findings
        .iter()
        .filter(|finding| finding.level() == Level::Deny)
        .peekable();
    denials.peek().is_some() && denials.all(|finding| finding.missing.may_be_news())
}

async fn judge_once<'b>(
    webhook: &Webhook,
    body: &'b [u8],
    deadline: Deadline,
    unanswered: &Unanswered<'_>,
) -> Result<Answered<'b>, Failed> {
    let (review, judged) = match judge_at_once(webhook, body)? {
        Some(judged) => judged,
        None => judge_in_turn(webhook, body, deadline).await?,
    };
    let decision = match judged {
        Judged::Decided(decision) => decision,
        claimed @ Judged::Claimed(_) => {
            unanswered.concerns(&review);
            break_glass::settle(claimed, &review, webhook, deadline).await
        }
    };
    Ok((review, decision))
}

/// Judges what is small, if it needs no long work or can have a turn for that without waiting. Of
/// everything else nothing is kept.
fn judge_at_once<'b>(
    webhook: &Webhook,
    body: &'b [u8],
) -> Result<Option<(Review<'b>, Judged)>, Failed> {
    if body.len() > webhook.limits.small_body {
        return Ok(None);
    }
    let review = Review::from_json(body).map_err(Failure::from)?;
    if !review.content.takes_long() {
        return decide_by_caches(webhook, review).map(Some);
    }
    let Some(_turn) = webhook.turn_at_once(body.len()) else {
        return Ok(None);
    };
    out_of_the_way(|| decide_by_caches(webhook, review)).map(Some)
}

/// Judges what is large or may need long work, when it is its turn.
async fn judge_in_turn<'b>(
    webhook: &Webhook,
    body: &'b [u8],
    deadline: Deadline,
) -> Result<(Review<'b>, Judged), Failed> {
    let turn = timeout_at(deadline.waiting_ends(), webhook.turn(body.len())).await;
    let Ok(Ok(_turn)) = turn else {
        return Err(Failure::Overloaded.into());
    };
    out_of_the_way(|| {
        let review = Review::from_json(body).map_err(Failure::from)?;
        decide_by_caches(webhook, review)
    })
}

fn decide_by_caches<'b>(
    webhook: &Webhook,
    mut review: Review<'b>,
) -> Result<(Review<'b>, Judged), Failed> {
    match &**webhook.caches.load() {
        Caches::Synced(inventory) => {
            let judged = decide(&mut review, inventory, webhook.clock.now());
            Ok((review, judged))
        }
        Caches::Syncing(missing) => Err(Failed {
            failure: Failure::NotSynced(missing.join(", ")),
            uid: review.uid.to_string(),
        }),
    }
}

/// Does what can take a second so that other requests go on meanwhile. Where there is one thread
/// only, nobody else could go on anyway.
pub(crate) fn out_of_the_way<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => block_in_place(work),
        _ => work(),
    }
}
