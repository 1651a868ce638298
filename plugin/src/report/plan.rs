//! A plan, and what became of it.

use serde::Serialize;

use super::{API_VERSION, Cell, Detail, Page, Report, Row, Tone};
use crate::plan::{Change, Plan, Step, StepResult};

/// A plan before it is carried out, or afterwards.
pub(crate) struct PlanReport<'p, Action> {
    /// What kind of document it is: `ClusterMigration`.
    pub(crate) kind: &'static str,
    pub(crate) plan: &'p Plan<Action>,
    /// Of each step; None before anything was tried.
    pub(crate) results: Option<&'p [StepResult]>,
    /// Why it did not go on.
    pub(crate) failure: Option<&'p str>,
}

impl<Action> Report for PlanReport<'_, Action> {
    fn document(&self) -> impl Serialize {
        let steps: Vec<StepDocument<'_>> = self
            .steps()
            .map(|(step, result)| StepDocument::new(step, result))
            .collect();
        let count = |result| steps.iter().filter(|step| step.result == result).count();
        let summary = Summary {
            unchanged: count(StepResult::AsItWas),
            done: count(StepResult::Done),
            would_be_done: count(StepResult::WouldBeDone),
            not_asked: count(StepResult::NotAsked),
            by_hand: count(StepResult::ByHand),
            failed: count(StepResult::Failed),
            not_done: count(StepResult::NotTried),
        };
        Document {
            api_version: API_VERSION,
            kind: self.kind,
            steps,
            summary,
            error: self.failure,
        }
    }

    fn page(&self, detail: Detail) -> Page {
        let rows = self.steps().map(|(step, _)| row(step, detail));
        let mut page = Page::default();
        page.table.header = vec!["STEP", "IS", "SHOULD BE"];
        page.table.rows = rows.collect();
        page
    }
}

impl<Action> PlanReport<'_, Action> {
    fn steps(&self) -> impl Iterator<Item = (&Step<Action>, StepResult)> {
        let untried = self.plan.untried();
        let results = self.results.map_or(untried, <[StepResult]>::to_vec);
        self.plan.steps.iter().zip(results)
    }
}

/// The commands stand below a row where there is room for them.
fn row<Action>(step: &Step<Action>, detail: Detail) -> Row {
    let tone = match step.change {
        Change::None => Tone::Good,
        Change::Make { .. } => Tone::Attention,
        Change::ByHand { .. } => Tone::Bad,
    };
    let should_be = step.change.should_be().unwrap_or("the same");
    let cells = vec![
        Cell::from(step.what.as_str()),
        Cell::from(step.is.as_str()),
        Cell::new(should_be, tone),
    ];
    let paragraphs = match detail {
        Detail::Table => Vec::new(),
        Detail::Wide => step.change.how().into_iter().map(str::to_owned).collect(),
    };
    Row { cells, paragraphs }
}

/// A plan of any kind.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'p> {
    api_version: &'static str,
    kind: &'static str,
    steps: Vec<StepDocument<'p>>,
    summary: Summary,
    /// Null where nothing failed.
    error: Option<&'p str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StepDocument<'p> {
    step: &'p str,
    is: &'p str,
    /// Null where there is nothing to do.
    should_be: Option<&'p str>,
    how: Vec<&'p str>,
    undo: Vec<&'p str>,
    result: StepResult,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    unchanged: usize,
    done: usize,
    would_be_done: usize,
    not_asked: usize,
    by_hand: usize,
    failed: usize,
    not_done: usize,
}

impl<'p> StepDocument<'p> {
    fn new<Action>(step: &'p Step<Action>, result: StepResult) -> Self {
        StepDocument {
            step: &step.what,
            is: &step.is,
            should_be: step.change.should_be(),
            how: step.change.how(),
            undo: step.change.undo(),
            result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_all_steps_and_what_became_of_each() {
        let step = |what: &str, change| Step {
            what: what.to_owned(),
            is: "absent".to_owned(),
            change,
        };
        let make = Change::Make {
            should_be: "there".to_owned(),
            action: (),
            how: vec!["make it".to_owned()],
            undo: vec!["remove it".to_owned()],
        };
        let plan = Plan {
            steps: vec![step("first", make), step("second", Change::None)],
        };
        let report = PlanReport {
            kind: "ClusterMigration",
            plan: &plan,
            results: Some(&[StepResult::Failed, StepResult::AsItWas]),
            failure: Some("first: denied"),
        };
        let document = serde_json::to_value(report.document()).unwrap();
        insta::assert_json_snapshot!(document, @r#"
        {
          "apiVersion": "kubectl-gitops.io/v1alpha1",
          "error": "first: denied",
          "kind": "ClusterMigration",
          "steps": [
            {
              "how": [
                "make it"
              ],
              "is": "absent",
              "result": "failed",
              "shouldBe": "there",
              "step": "first",
              "undo": [
                "remove it"
              ]
            },
            {
              "how": [],
              "is": "absent",
              "result": "unchanged",
              "shouldBe": null,
              "step": "second",
              "undo": []
            }
          ],
          "summary": {
            "byHand": 0,
            "done": 0,
            "failed": 1,
            "notAsked": 0,
            "notDone": 0,
            "unchanged": 1,
            "wouldBeDone": 0
          }
        }
        "#);
    }
}
