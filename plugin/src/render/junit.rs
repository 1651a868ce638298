//! `-o junit`: what build servers show as tests (the XML of `JUnit`, as Jenkins reads it).

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::error::CommandError;
use crate::report::{Outcome, Suite};

/// Suites of one report.
///
/// # Errors
/// They cannot be written.
pub(super) fn document(suites: Vec<Suite>) -> Result<String, CommandError> {
    let mut report = Report::new("kubectl-gitops");
    for suite in suites {
        let mut cases = TestSuite::new(suite.name);
        cases.add_test_cases(
            suite
                .cases
                .into_iter()
                .map(|case| TestCase::new(case.name, status(case.outcome))),
        );
        report.add_test_suite(cases);
    }
    report
        .to_string()
        .map_err(|error: SerializeError| CommandError::new(error))
}

fn status(outcome: Outcome) -> TestCaseStatus {
    match outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Failed { message, text } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(message).set_description(text);
            status
        }
        Outcome::Error { message } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(message);
            status
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Case;

    #[test]
    fn what_others_wrote_is_text_and_no_xml() {
        let case = |name: &str, outcome| Case {
            name: name.to_owned(),
            outcome,
        };
        let failed = Outcome::Failed {
            message: "1 resource \"differs\"".to_owned(),
            text: "</failure>]]>\u{1b}[31m & <b>".to_owned(),
        };
        let error = Outcome::Error {
            message: "nobody can tell".to_owned(),
        };
        let suite = Suite {
            name: "prod".to_owned(),
            cases: vec![
                case("a", Outcome::Passed),
                case("b<c", failed),
                case("d", error),
            ],
        };
        let xml = document(vec![suite]).unwrap();
        assert_eq!(
            xml,
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="kubectl-gitops" tests="3" skipped="0" failures="1" errors="1">
    <testsuite name="prod" tests="3" skipped="0" errors="1" failures="1">
        <testcase name="a"/>
        <testcase name="b&lt;c">
            <failure message="1 resource &quot;differs&quot;">&lt;/failure&gt;]]&gt; &amp; &lt;b&gt;</failure>
        </testcase>
        <testcase name="d">
            <error message="nobody can tell"/>
        </testcase>
    </testsuite>
</testsuites>
"#
        );
    }
}
