//! What a command that writes would do, step by step, and what became of it.
//!
//! A plan is made of what is there. What was done by an earlier run, or by somebody else, is a step
//! with nothing to do, so that a command that was cut off goes on when it is run again.

use std::fmt;

use serde::Serialize;

/// Steps in the order in which they are done.
#[derive(Clone, Debug)]
pub(crate) struct Plan<Action> {
    pub(crate) steps: Vec<Step<Action>>,
}

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
    /// The step that failed, and why. None was tried after it.
    pub(crate) failure: Option<(usize, Error)>,
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

    /// Does one step after the other, until one fails.
    pub(crate) async fn apply<Error>(
        &self,
        mut act: impl AsyncFnMut(&Step<Action>, &Action) -> Result<Outcome, Error>,
    ) -> Applied<Error> {
        let mut results = self.untried();
        let mut failure = None;
        for (index, step) in self.steps.iter().enumerate() {
            let Change::Make { action, .. } = &step.change else {
                continue;
            };
            match act(step, action).await {
                Ok(outcome) => results[index] = outcome.into(),
                Err(error) => {
                    results[index] = StepResult::Failed;
                    failure = Some((index, error));
                    break;
                }
            }
        }
        Applied { results, failure }
    }

    /// The commands that take back what was done, the last one first.
    pub(crate) fn undo(&self, results: &[StepResult]) -> Vec<&str> {
        let steps = self.steps.iter().zip(results).rev();
        let done = steps.filter(|(_, result)| **result == StepResult::Done);
        done.flat_map(|(step, _)| step.change.undo()).collect()
    }
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
        let mut done = Vec::new();
        let applied = plan
            .apply(async |_, action| {
                done.push(*action);
                Ok::<_, String>(Outcome::Done)
            })
            .await;
        assert_eq!(done, ["a", "b", "c"]);
        assert!(applied.failure.is_none());
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
            .apply(async |_, action| match *action {
                "b" => Err("denied"),
                _ => Ok(Outcome::Done),
            })
            .await;
        assert_eq!(applied.failure, Some((3, "denied")));
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
}
