//! What a command that writes would do, step by step, and what became of it.
//!
//! A plan is made of what is there. What was done by an earlier run, or by somebody else, is a step
//! with nothing to do, so that a command that was cut off goes on when it is run again.

use std::fmt;
use std::num::NonZero;
use std::ops::Range;

use futures::future::join_all;
use serde::Serialize;

/// Steps in the order in which they are done.
#[derive(Clone, Debug)]
pub(crate) struct Plan<Action> {
    pub(crate) steps: Vec<Step<Action>>,
}

/// Steps of a plan that are done one after the other, by their numbers.
pub(crate) type Part = Range<usize>;

/// One thing, as it is and as it should be.
#[derive(Clone, Debug)]
pub(crate) struct Step<Action> {
    /// The thing: `access entry of role/argocd on prod-eu`.
    pub(crate) what: String,
    /// What it is now.
    pub(crate) is: String,
    pub(crate) change: Change<Action>,
}

/// What has to become of a thing.
#[derive(Clone, Debug)]
pub(crate) enum Change<Action> {
    /// Nothing: it is as it should be.
    None,
    /// The action makes it so.
    Make {
        should_be: String,
        action: Action,
        /// Commands that do the same by hand.
        how: Vec<String>,
        /// Commands that take it back.
        undo: Vec<String>,
    },
    /// Only somebody else can make it so, before or after the rest.
    ByHand { should_be: String, how: String },
}

/// How an action went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It is done.
    Done,
    /// It was only asked whether that would be done, and it would.
    WouldBeDone,
    /// Nobody can be asked without doing it.
    NotAsked,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum StepResult {
    /// There was nothing to do.
    #[serde(rename = "unchanged")]
    AsItWas,
    /// It is for somebody else to do.
    ByHand,
    Done,
    WouldBeDone,
    /// It cannot be asked without doing it.
    NotAsked,
    Failed,
    /// A step before it failed, or nothing was tried.
    #[serde(rename = "notDone")]
    NotTried,
}

/// What became of a plan.
#[derive(Debug)]
pub(crate) struct Applied<Error> {
    /// Of each step, in their order.
    pub(crate) results: Vec<StepResult>,
    /// The steps that failed, and why: several only of parts that were done at the same time.
    pub(crate) failures: Vec<(usize, Error)>,
}

impl fmt::Display for StepResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            StepResult::AsItWas => "unchanged",
            StepResult::ByHand => "by hand",
            StepResult::Done => "done",
            StepResult::WouldBeDone => "would be done",
            StepResult::NotAsked => "cannot be asked",
            StepResult::Failed => "failed",
            StepResult::NotTried => "not done",
        })
    }
}

impl From<Outcome> for StepResult {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => StepResult::Done,
            Outcome::WouldBeDone => StepResult::WouldBeDone,
            Outcome::NotAsked => StepResult::NotAsked,
        }
    }
}

impl<Action> Plan<Action> {
    /// How many steps there are that this program does.
    pub(crate) fn to_do(&self) -> usize {
        let is_to_do = |step: &&Step<Action>| matches!(step.change, Change::Make { .. });
        self.steps.iter().filter(is_to_do).count()
    }

    /// What becomes of the steps where nothing is tried.
    pub(crate) fn untried(&self) -> Vec<StepResult> {
        self.steps.iter().map(Step::untried).collect()
    }

    /// All steps as one part.
    pub(crate) fn whole(&self) -> Part {
        0..self.steps.len()
    }

    /// Does one batch after the other. The parts of a batch are done at the same time, each until
    /// one of its steps fails. No batch is begun after a failure.
    pub(crate) async fn apply<Error>(
        &self,
        batches: &[Vec<Part>],
        act: impl AsyncFn(&Step<Action>, &Action) -> Result<Outcome, Error>,
    ) -> Applied<Error> {
        let mut applied = Applied {
            results: self.untried(),
            failures: Vec::new(),
        };
        for batch in batches {
            let parts = batch.iter().map(|part| self.apply_part(part.clone(), &act));
            for (tried, failure) in join_all(parts).await {
                for (index, result) in tried {
                    applied.results[index] = result;
                }
                applied.failures.extend(failure);
            }
            if !applied.failures.is_empty() {
                break;
            }
        }
        applied
    }

    /// What became of the steps that were tried, and which failed.
    async fn apply_part<Error>(
        &self,
        part: Part,
        act: &impl AsyncFn(&Step<Action>, &Action) -> Result<Outcome, Error>,
    ) -> (Vec<(usize, StepResult)>, Option<(usize, Error)>) {
        let mut tried = Vec::new();
        for index in part {
            let step = &self.steps[index];
            let Change::Make { action, .. } = &step.change else {
                continue;
            };
            match act(step, action).await {
                Ok(outcome) => tried.push((index, outcome.into())),
                Err(error) => {
                    tried.push((index, StepResult::Failed));
                    return (tried, Some((index, error)));
                }
            }
        }
        (tried, None)
    }

    /// The commands that take back what was done, the last one first.
    pub(crate) fn undo(&self, results: &[StepResult]) -> Vec<&str> {
        let steps = self.steps.iter().zip(results).rev();
        let done = steps.filter(|(_, result)| **result == StepResult::Done);
        done.flat_map(|(step, _)| step.change.undo()).collect()
    }
}

/// The first part by itself, and then so many at a time.
pub(crate) fn canary_first(
    parts: impl IntoIterator<Item = Part>,
    at_a_time: NonZero<usize>,
) -> Vec<Vec<Part>> {
    let mut parts = parts.into_iter();
    let canary = parts.next().map(|canary| vec![canary]);
    let rest: Vec<Part> = parts.collect();
    let rest = rest.chunks(at_a_time.get()).map(<[Part]>::to_vec);
    canary.into_iter().chain(rest).collect()
}

impl<Action> Step<Action> {
    /// The same step as a part of a plan that has other actions as well.
    pub(crate) fn map<Other>(self, of: impl FnOnce(Action) -> Other) -> Step<Other> {
        let Step { what, is, change } = self;
        let change = match change {
            Change::None => Change::None,
            Change::ByHand { should_be, how } => Change::ByHand { should_be, how },
            Change::Make {
                should_be,
                action,
                how,
                undo,
            } => Change::Make {
                should_be,
                action: of(action),
                how,
                undo,
            },
        };
        Step { what, is, change }
    }

    fn untried(&self) -> StepResult {
        match self.change {
            Change::None => StepResult::AsItWas,
            Change::Make { .. } => StepResult::NotTried,
            Change::ByHand { .. } => StepResult::ByHand,
        }
    }
}

impl<Action> Change<Action> {
    /// What a thing should be; None where it is.
    pub(crate) fn should_be(&self) -> Option<&str> {
        match self {
            Change::None => None,
            Change::Make { should_be, .. } | Change::ByHand { should_be, .. } => Some(should_be),
        }
    }

    /// The commands that make it so by hand, or what is to be done.
    pub(crate) fn how(&self) -> Vec<&str> {
        match self {
            Change::None => Vec::new(),
            Change::Make { how, .. } => how.iter().map(String::as_str).collect(),
            Change::ByHand { how, .. } => vec![how],
        }
    }

    /// The commands that take it back.
    pub(crate) fn undo(&self) -> Vec<&str> {
        match self {
            Change::None | Change::ByHand { .. } => Vec::new(),
            Change::Make { undo, .. } => undo.iter().map(String::as_str).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use tokio::sync::Barrier;

    use super::*;

    fn step(what: &str, change: Change<&'static str>) -> Step<&'static str> {
        Step {
            what: what.to_owned(),
            is: "absent".to_owned(),
            change,
        }
    }

    fn make(action: &'static str) -> Change<&'static str> {
        Change::Make {
            should_be: "there".to_owned(),
            action,
            how: vec![format!("make {action}")],
            undo: vec![format!("remove {action}")],
        }
    }

    fn plan() -> Plan<&'static str> {
        let by_hand = Change::ByHand {
            should_be: "reachable".to_owned(),
            how: "open the firewall".to_owned(),
        };
        Plan {
            steps: vec![
                step("first", make("a")),
                step("second", Change::None),
                step("third", by_hand),
                step("fourth", make("b")),
                step("fifth", make("c")),
            ],
        }
    }

    #[tokio::test]
    async fn what_has_to_be_done_is_done_in_order_and_the_rest_left_alone() {
        let plan = plan();
        assert_eq!(plan.to_do(), 3);
        let done = RefCell::new(Vec::new());
        let applied = plan
            .apply(&[vec![plan.whole()]], async |_, action| {
                done.borrow_mut().push(*action);
                Ok::<_, String>(Outcome::Done)
            })
            .await;
        assert_eq!(*done.borrow(), ["a", "b", "c"]);
        assert!(applied.failures.is_empty());
        assert_eq!(
            applied.results,
            [
                StepResult::Done,
                StepResult::AsItWas,
                StepResult::ByHand,
                StepResult::Done,
                StepResult::Done
            ]
        );
        let undo = plan.undo(&applied.results);
        assert_eq!(undo, ["remove c", "remove b", "remove a"]);
    }

    #[tokio::test]
    async fn nothing_is_tried_after_a_step_that_failed() {
        let plan = plan();
        let applied = plan
            .apply(&[vec![plan.whole()]], async |_, action| match *action {
                "b" => Err("denied"),
                _ => Ok(Outcome::Done),
            })
            .await;
        assert_eq!(applied.failures, [(3, "denied")]);
        assert_eq!(
            applied.results,
            [
                StepResult::Done,
                StepResult::AsItWas,
                StepResult::ByHand,
                StepResult::Failed,
                StepResult::NotTried
            ]
        );
        assert_eq!(plan.undo(&applied.results), ["remove a"]);
    }

    /// Two steps for each of six things.
    fn fleet() -> (Plan<&'static str>, Vec<Part>) {
        let actions = [
            "a1", "a2", "b1", "b2", "c1", "c2", "d1", "d2", "e1", "e2", "f1", "f2",
        ];
        let steps: Vec<_> = actions.map(|action| step(action, make(action))).into();
        let parts = (0..steps.len()).step_by(2).map(|first| first..first + 2);
        let parts = parts.collect();
        (Plan { steps }, parts)
    }

    #[test]
    fn one_goes_first_and_the_others_by_so_many() {
        let parts = |count| (0..count).map(|index| index..index + 1);
        let sizes = |count, at_a_time| {
            let batches = canary_first(parts(count), NonZero::new(at_a_time).unwrap());
            batches.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(6, 2), [1, 2, 2, 1]);
        assert_eq!(sizes(1, 5), [1]);
        assert_eq!(sizes(3, 5), [1, 2]);
        assert!(sizes(0, 5).is_empty());
    }

    #[tokio::test]
    async fn what_is_in_one_batch_is_done_at_the_same_time() {
        let (plan, parts) = fleet();
        let batches = canary_first(parts, NonZero::new(2).unwrap());
        let both = Barrier::new(2);
        let in_hand = Cell::new(0);
        let most = Cell::new(0);
        let applied = plan
            .apply(&batches, async |_, action| {
                in_hand.set(in_hand.get() + 1);
                most.set(most.get().max(in_hand.get()));
                // None of a pair goes on before the other has begun. The first and the last are
                // alone.
                if !["a", "f"].contains(&&action[..1]) {
                    both.wait().await;
                }
                in_hand.set(in_hand.get() - 1);
                Ok::<_, String>(Outcome::Done)
            })
            .await;
        assert!(applied.failures.is_empty());
        assert!(applied.results.iter().all(|one| *one == StepResult::Done));
        assert_eq!(most.get(), 2);
    }

    #[tokio::test]
    async fn no_batch_is_begun_after_one_in_which_something_failed() {
        use StepResult::{Done, Failed, NotTried};
        let results = async |failing: &[&str]| {
            let (plan, parts) = fleet();
            let batches = canary_first(parts, NonZero::new(2).unwrap());
            let applied = plan.apply(&batches, async |_, action| {
                if failing.contains(action) {
                    Err(*action)
                } else {
                    Ok(Outcome::Done)
                }
            });
            let applied = applied.await;
            let failed: Vec<&str> = applied.failures.iter().map(|(_, action)| *action).collect();
            assert_eq!(failed, failing);
            applied.results
        };
        let not_tried = [NotTried; 12];

        // The first one: nothing else is begun.
        let canary = results(&["a1"]).await;
        assert_eq!(canary[..1], [Failed]);
        assert_eq!(canary[1..], not_tried[1..]);
        // One of a batch: the other is brought to its end.
        let one = results(&["b1"]).await;
        assert_eq!(one[..6], [Done, Done, Failed, NotTried, Done, Done]);
        assert_eq!(one[6..], not_tried[6..]);
        // Both.
        let both = results(&["b2", "c1"]).await;
        assert_eq!(both[..6], [Done, Done, Done, Failed, Failed, NotTried]);
        assert_eq!(both[6..], not_tried[6..]);
    }
}
