//! The rules, and the page of each.

use policy::registry;
use policy::rule::RuleMetadata;
use serde::Serialize;

use super::{API_VERSION, Cell, Detail, Page, Report};

/// All rules.
pub(crate) struct RuleList;

/// One of them.
pub(crate) struct RulePage(pub(crate) &'static RuleMetadata);

impl Report for RuleList {
    fn document(&self) -> impl Serialize {
        ListDocument {
            api_version: API_VERSION,
            kind: "RuleList",
            rules: registry::all().map(Rule::new).collect(),
        }
    }

    fn page(&self, _: Detail) -> Page {
        let rows = registry::all()
            .map(|rule| vec![Cell::from(rule.id.as_str()), Cell::from(rule.summary)]);
        Page::of_table(["RULE", "SUMMARY"], rows)
    }
}

impl Report for RulePage {
    fn document(&self) -> impl Serialize {
        Document {
            api_version: API_VERSION,
            kind: "Rule",
            rule: Rule::new(self.0),
            page: self.0.page(),
        }
    }

    fn page(&self, _: Detail) -> Page {
        Page::of_text(self.0.page())
    }
}

/// `kind: RuleList`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListDocument {
    api_version: &'static str,
    kind: &'static str,
    rules: Vec<Rule>,
}

/// `kind: Rule`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    rule: Rule,
    /// In Markdown.
    page: String,
}

#[derive(Serialize)]
struct Rule {
    id: &'static str,
    summary: &'static str,
    judges: Vec<&'static str>,
    occasion: &'static str,
    scope: &'static str,
}

impl Rule {
    fn new(rule: &RuleMetadata) -> Self {
        Rule {
            id: rule.id.as_str(),
            summary: rule.summary,
            judges: rule.kind_names(),
            occasion: rule.judged_on.as_str(),
            scope: rule.scope.as_str(),
        }
    }
}
