//! What holds for every text and every parameter.

use super::*;
use proptest::prelude::*;

/// Texts that are often templates, and often nearly so.
fn template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~]{0,8}",
        "\\PC{0,4}",
        Just("{{".to_owned()),
        Just("}}".to_owned()),
        Just("{{- ".to_owned()),
        Just(" -}}".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just(" | ".to_owned()),
        Just("{{end}}".to_owned()),
        Just("{{else}}".to_owned()),
        Just("{{if .a}}".to_owned()),
        Just("{{range .b}}".to_owned()),
        Just("{{with $x := .c}}".to_owned()),
        Just("{{define \"t\"}}".to_owned()),
        Just("{{template \"t\" .}}".to_owned()),
        Just("{{$x := .a}}".to_owned()),
        Just("$x".to_owned()),
        Just(".a.b".to_owned()),
        Just("\"".to_owned()),
        call(),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A call of some function with some arguments.
fn call() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = FUNCTIONS.names().collect();
    let argument = prop_oneof![
        Just(".a".to_owned()),
        Just(".b".to_owned()),
        Just(".c".to_owned()),
        Just(".".to_owned()),
        Just("nil".to_owned()),
        Just("true".to_owned()),
        Just("1.5".to_owned()),
        Just("9223372036854775807".to_owned()),
        Just("-9223372036854775808".to_owned()),
        Just("(list 1 \"x\" .a)".to_owned()),
        Just("(dict \"k\" .b)".to_owned()),
        Just("(splitList \"/\" \"a/b\")".to_owned()),
        (-3..300_i32).prop_map(|number| number.to_string()),
        "[a-z0-9(){}\\[\\]*+?.^$|é\u{2028}/:@%#<>=!~, -]{0,10}"
            .prop_map(|text| format!("{text:?}").replace("\\'", "'")),
    ];
    let arguments = prop::collection::vec(argument, 0..4);
    (prop::sample::select(names), arguments)
        .prop_map(|(name, arguments)| format!("{{{{{name} {}}}}}", arguments.join(" ")))
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "\\PC{0,12}".prop_map(Json::from),
        "[a-z0-9:/.-]{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-z0-9.]{0,4}", inner, 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn given() -> impl Strategy<Value = Json> {
    (value(), value(), value()).prop_map(|(a, b, c)| json!({"a": a, "b": b, "c": c}))
}

fn run(template: &str, given: &Json) {
    let engine = Engine::new(&[], &FUNCTIONS, Work::new(200_000)).unwrap();
    if let Ok(template) = engine.parse(template) {
        let _ = template.execute(&parameters(given));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_template_and_no_parameters_panic(template in template(), given in given()) {
        run(&template, &given);
    }

    #[test]
    fn no_call_of_a_function_panics(call in call(), given in given()) {
        run(&call, &given);
    }

    #[test]
    fn texts_without_actions_come_back_unchanged(text in "\\PC{0,40}") {
        prop_assume!(!text.contains("{{"));
        prop_assert_eq!(rendered(&text), text);
    }

    #[test]
    fn quoted_texts_come_back_unchanged(text in "[^`\r{}]{0,40}") {
        prop_assert_eq!(rendered(&format!("{{{{`{text}`}}}}")), text);
    }

    #[test]
    fn json_that_is_written_reads_back_the_same(value in value()) {
        let given = parameters(&json!({"v": value}));
        let template = "{{ deepEqual .v (fromJson (toJson .v)) }}{{ toJson .v }}";
        let output = render_with(template, &[], &given).unwrap();
        prop_assert!(output.starts_with("true") || output.contains('e'), "{}", output);
    }

    #[test]
    fn yaml_that_is_written_reads_back_the_same(text in "\\PC{0,30}|[ -~\n]{0,120}") {
        let given = parameters(&json!({"v": text}));
        let template = "{{ (fromYaml (toYaml (dict \"v\" .v \"w\" 1))).v }}";
        match render_with(template, &[], &given) {
            Ok(output) => prop_assert_eq!(output, text),
            Err(TemplateError::Undecided(_)) => {}
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
