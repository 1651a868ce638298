//! jq paths against what gojq made of them.
//!
//! Each line of `jq_paths/expressions.jsonl` has an expression, and what is left of
//! `jq_paths/object.json` after gojq 0.12.19, which is Argo CD 3.5's and 3.6's, has run
//! `del(<expression>)` on it as `util/argo/normalizers` does: the object, `"unchanged"` where gojq
//! fails or has none or several results, and `"error"` where the expression does not compile.

use std::fs;
use std::path::Path;

use argocd::application::IgnoreDifference;
use argocd::comparison::Customizations;
use argocd::comparison::{ComparisonError, IgnoreRules};
use argocd::settings::Settings;
use golang::json::Text;
use golang::work::Work;
use serde_json::{Value, json};

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jq_paths");
    fs::read_to_string(folder.join(name)).expect("the file is there")
}

/// What is left, or how comparing fails.
fn left_by(expression: &str, object: &Value) -> Value {
    let entry = entry(&[expression]);
    let work = Work::new(16 << 20);
    let rules = match IgnoreRules::new(&[entry], &Customizations::default(), &work) {
        Ok(rules) => rules,
        Err(error) => {
            assert!(matches!(error, ComparisonError::Jq { .. }), "{error}");
            return json!("error");
        }
    };
    let (mut desired, mut live) = (object.clone(), object.clone());
    match rules.normalize(&mut desired, &mut live, &work) {
        Ok(true) if desired == *object => json!("unchanged"),
        Ok(true) => desired,
        Ok(false) => json!("undecided"),
        Err(_) => Value::Null,
    }
}

/// What is not worked out here. It may only become less.
const UNDECIDED: usize = 34;

#[test]
fn expressions_delete_what_they_do_in_gojq_or_are_undecided() {
    let object: Value = serde_json::from_str(&read("object.json")).expect("JSON");
    let mut undecided = Vec::new();
    let mut wrong = Vec::new();
    for line in read("expressions.jsonl").lines() {
        let case: Value = serde_json::from_str(line).expect("JSON");
        let expression = case["expression"].as_str().expect("a text");
        let left = left_by(expression, &object);
        if left == "undecided" {
            undecided.push(expression.to_owned());
        } else if left != case["left"] {
            wrong.push(format!(
                "{expression}\n  gojq: {}\n  ours: {left}",
                case["left"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        undecided.len() <= UNDECIDED,
        "{}: {undecided:#?}",
        undecided.len()
    );
}

/// An interpreter that could not be stopped had been believed to need expressions whose text bounds
/// their work. Here the work itself is bounded, and with it the memory.
#[test]
fn what_runs_away_is_stopped() {
    let object: Value = serde_json::from_str(&read("object.json")).expect("JSON");
    let nested = format!("{}.{}", "[".repeat(500), "]".repeat(500));
    let piped = ".|".repeat(1_500) + ".";
    let doubled = format!(".spec|select({}\"\"==\"\")", r#""\(.)\(.)"|"#.repeat(60));
    let mut known_to_fail = Vec::new();
    for expression in [
        "def f: f; f",
        "def f: f, f; f",
        "def f(x): f(x | x); f(.)",
        "repeat(.)",
        "repeat(.)[0]?",
        "range(1000000000000)",
        "[range(1000000000000)]",
        "last(range(100000000))",
        "until(false; .)",
        "until(false; [.])",
        "reduce range(1000000000) as $i (0; [.])",
        "reduce range(1000000000) as $i (\"x\"; . + .)",
        "reduce range(1000000000) as $i ({}; . * {\"a\": .})",
        "getpath([range(100000) | 0])",
        "..|..|..|..|..|..|..|..",
        "[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|tojson",
        r#""x" * 1000000000 | length"#,
        ".a[100000000] = 1",
        "[limit(100000000; repeat(1))]",
        "try repeat(.) catch .",
        "(.[]?, .)|(.[]?, .)|(.[]?, .)|(.[]?, .)|(.[]?, .)|(.[]?, .)|(.[]?, .)|(.[]?, .)|(.[]?, .)|(.[]?, .)",
        "label $f | repeat(.)",
        "foreach repeat(1) as $x (0; . + $x)",
        "[recurse(if true then [.] else empty end)]",
        nested.as_str(),
        piped.as_str(),
        doubled.as_str(),
    ] {
        let entry = entry(&[expression]);
        let work = Work::new(IgnoreRules::WORK);
        let rules = IgnoreRules::new(&[entry], &Customizations::default(), &work);
        let (mut desired, mut live) = (object.clone(), object.clone());
        let known = rules.and_then(|rules| rules.normalize(&mut desired, &mut live, &work));
        assert_eq!(live, object, "{expression}");
        if known != Ok(false) {
            known_to_fail.push(expression);
        }
    }
    // gojq ends these as well: what they make first has no path.
    assert_eq!(
        known_to_fail,
        [
            "range(1000000000000)",
            "foreach repeat(1) as $x (0; . + $x)"
        ]
    );
}

fn entry(expressions: &[&str]) -> IgnoreDifference<'static> {
    IgnoreDifference {
        group: Text::from("*"),
        kind: Text::from("*"),
        jq_path_expressions: expressions
            .iter()
            .map(|expression| Text::from((*expression).to_owned()))
            .collect(),
        ..IgnoreDifference::default()
    }
}

/// Each object that was judged had compiled them anew.
#[test]
fn jq_paths_of_all_applications_are_compiled_once_and_those_of_one_are_charged() {
    let path = |number| format!("- .spec | select(.number == {number}) | .replicas");
    let paths: Vec<String> = (0..1_000).map(path).collect();
    let paths = paths.join("\n");
    let data = [(
        "resource.customizations.ignoreDifferences.apps_Deployment".to_owned(),
        format!("jqPathExpressions:\n{paths}"),
    )];
    let settings = Settings::from_config_map(&data.into_iter().collect());
    let nothing = Work::new(0);
    let rules = IgnoreRules::new(&[], &settings.ignore_differences, &nothing);
    assert!(rules.is_ok(), "{rules:?}");
    let own = entry(&[".spec | select(.number == 1) | .replicas"]);
    let rules = IgnoreRules::new(
        std::slice::from_ref(&own),
        &Customizations::default(),
        &nothing,
    );
    assert!(
        matches!(rules, Err(ComparisonError::TooMuchWork)),
        "{rules:?}"
    );
    let work = Work::new(1 << 20);
    IgnoreRules::new(&[own.clone(), own], &Customizations::default(), &work).expect("it is enough");
    assert!(work.left() < 1 << 20);
}

/// Whoever compares in the background keeps them there.
#[test]
fn what_is_ignored_may_be_kept_and_sent_to_another_thread() {
    fn is_sent<T: Send + Sync + 'static>() {}
    is_sent::<IgnoreRules>();
}

proptest::proptest! {
    #[test]
    fn no_expression_panics(expression in "[.a-z0-9|()\\[\\]{},;\"$=<>!? :/@+*\\\\-]{0,60}") {
        left_by(&expression, &json!({"kind": "Deployment", "a": {"b": [1, "c", {"d": null}]}}));
    }
}
