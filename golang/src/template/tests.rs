//! `tests/vectors.jsonl` holds what Go's `text/template` with Sprig's functions and those on YAML
//! gives for each template: its output or its error. The first line holds the parameters.

mod limits;
mod properties;

use std::sync::LazyLock;

use super::*;
use serde_json::{Value as Json, json};

static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| Functions::sprig().with(YAML_FUNCTIONS));

fn options(options: &[&str]) -> Vec<String> {
    options.iter().map(|option| (*option).to_owned()).collect()
}

fn parameters(json: &Json) -> Parameters {
    Parameters::from(json.as_object().unwrap())
}

fn render_with(
    template: &str,
    given: &[&str],
    parameters: &Parameters,
) -> Result<String, TemplateError> {
    let engine = Engine::new(&options(given), &FUNCTIONS, Work::new(10_000_000))?;
    engine.parse(template)?.execute(parameters)
}

fn render(template: &str) -> Result<String, TemplateError> {
    render_with(
        template,
        &[],
        &parameters(&json!({"env": "prod", "n": null})),
    )
}

fn rendered(template: &str) -> String {
    render(template).unwrap()
}

#[test]
fn every_vector_comes_out_as_in_go_or_is_known_to_be_undecided() {
    let mut lines = include_str!("tests/vectors.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap());
    let parameters = parameters(&lines.next().unwrap()["parameters"]);
    let mut wrong = Vec::new();
    let mut count = 0;
    for vector in lines {
        count += 1;
        let template = vector["template"].as_str().unwrap();
        let options: Vec<&str> = vector["options"]
            .as_array()
            .map_or_else(Vec::new, |options| {
                options.iter().filter_map(Json::as_str).collect()
            });
        let answer = render_with(template, &options, &parameters);
        let is_right = match &answer {
            Err(TemplateError::Undecided(_)) => vector["undecided"] == true,
            _ if vector["undecided"] == true => false,
            Ok(output) => vector["output"] == output.as_str(),
            Err(TemplateError::Fails(_)) => vector["error"].is_string(),
            Err(TemplateError::TooMuch(_)) => false,
        };
        if !is_right {
            wrong.push(format!("{vector}\n  ours: {answer:?}"));
        }
    }
    assert!(count > 1000, "only {count} vectors");
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn numbers_print_as_float64() {
    let given = parameters(&json!({"replicas": 1_000_000, "port": 8080, "ratio": 0.5}));
    let template = "{{.replicas}} {{.port}} {{.ratio}} {{.replicas | int}} {{toJson .replicas}}";
    let output = render_with(template, &[], &given).unwrap();
    assert_eq!(output, "1e+06 8080 0.5 1000000 1000000");
}

#[test]
fn a_number_of_the_parameters_is_no_integer() {
    let given = parameters(&json!({"count": 3}));
    for template in ["{{eq .count 3}}", "{{until .count}}", "{{lt .count 4}}"] {
        let answer = render_with(template, &[], &given);
        assert!(
            matches!(answer, Err(TemplateError::Fails(_))),
            "{template}: {answer:?}"
        );
    }
    assert_eq!(
        render_with("{{printf \"%d\" .count}}", &[], &given).unwrap(),
        "%!d(float64=3)"
    );
    assert_eq!(
        render_with("{{eq (int .count) 3}}", &[], &given).unwrap(),
        "true"
    );
}

#[test]
fn a_missing_key_is_no_value_unless_the_options_say_otherwise() {
    let given = parameters(&json!({"env": "prod"}));
    assert_eq!(render_with("{{.team}}", &[], &given).unwrap(), "<no value>");
    assert_eq!(
        render_with("{{.team}}", &["missingkey=zero"], &given).unwrap(),
        "<no value>"
    );
    assert_eq!(
        render_with("{{.team}}", &["missingkey=error"], &given),
        Err(fails("map has no entry for key \"team\""))
    );
}

#[test]
fn default_does_not_help_where_a_missing_key_is_an_error() {
    let given = parameters(&json!({"env": "prod"}));
    let template = "{{ .branch | default \"main\" }}";
    assert_eq!(render_with(template, &[], &given).unwrap(), "main");
    assert!(render_with(template, &["missingkey=error"], &given).is_err());
}

#[test]
fn an_unknown_option_fails() {
    for option in ["missingkey=nonsense", "missingkey", "", "delims=<<"] {
        let engine = Engine::new(&options(&[option]), &FUNCTIONS, Work::new(1));
        assert!(matches!(engine, Err(TemplateError::Fails(_))), "{option}");
    }
}

#[test]
fn the_last_option_counts() {
    let given = parameters(&json!({}));
    let both = ["missingkey=error", "missingkey=default"];
    assert_eq!(render_with("{{.x}}", &both, &given).unwrap(), "<no value>");
}

#[test]
fn a_key_of_null_is_not_a_missing_key() {
    assert_eq!(rendered("{{.n}}"), "<no value>");
    assert_eq!(rendered("{{.missing.deeper}}"), "<no value>");
    assert_eq!(
        render("{{.n.deeper}}"),
        Err(fails("nil pointer evaluating interface {}.deeper"))
    );
}

#[test]
fn labels_of_a_cluster_that_has_none_stop_the_application_set() {
    let error = render("{{ index .metadata.labels \"env\" }}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "error calling index: index of untyped nil"
    );
}

#[test]
fn a_map_of_strings_has_empty_strings_for_what_it_has_not() {
    let json =
        json!({"metadata": {"labels": {"env": "prod"}}, "clusters": [{"values": {"a": "b"}}]});
    let is_string_map =
        |path: &[&str]| matches!(path, ["metadata", "labels"] | ["clusters", "*", "values"]);
    let typed = Parameters::with_string_maps(json.as_object().unwrap(), is_string_map);
    let untyped = parameters(&json);
    let template = "[{{ index .metadata.labels \"team\" }}]";
    assert_eq!(render_with(template, &[], &typed).unwrap(), "[]");
    assert_eq!(
        render_with(template, &[], &untyped).unwrap(),
        "[<no value>]"
    );
    let template = "[{{ .metadata.labels.team }}]";
    assert_eq!(render_with(template, &[], &typed).unwrap(), "[<no value>]");
    assert_eq!(
        render_with(template, &["missingkey=zero"], &typed).unwrap(),
        "[]"
    );
    let template = "{{ range .clusters }}{{ typeOf .values }}{{ end }}";
    assert_eq!(
        render_with(template, &[], &typed).unwrap(),
        "map[string]string"
    );
    let template = "{{ hasKey .metadata.labels \"env\" }}";
    assert_eq!(
        render_with(template, &[], &typed),
        Err(fails(
            "wrong type for value; expected map[string]interface {}; got map[string]string"
        ))
    );
    assert_eq!(render_with(template, &[], &untyped).unwrap(), "true");
}

#[test]
fn functions_that_ask_the_machine_are_not_defined() {
    for function in ["env", "expandenv", "getHostByName", "include", "required"] {
        assert_eq!(
            render(&format!("{{{{ {function} \"HOME\" }}}}")),
            Err(fails(format!(
                "line 1: function \"{function}\" not defined"
            )))
        );
    }
}

#[test]
fn what_depends_on_chance_or_time_is_undecided_and_named() {
    let undecided = [
        ("{{ now }}", "now"),
        ("{{ randAlphaNum 5 }}", "randAlphaNum"),
        ("{{ uuidv4 }}", "uuidv4"),
        ("{{ genCA \"ca\" 365 }}", "genCA"),
        ("{{ date \"2006\" 0 }}", "date"),
    ];
    for (template, name) in undecided {
        let expected = TemplateError::Undecided(format!("the function {name}"));
        assert_eq!(render(template), Err(expected));
    }
}

#[test]
fn what_is_not_reached_does_not_matter() {
    assert_eq!(rendered("{{ if eq .env \"dev\" }}{{ now }}{{ end }}x"), "x");
}

#[test]
fn templates_of_one_text_do_not_cross_into_another() {
    assert_eq!(rendered("{{define \"a\"}}x{{end}}{{template \"a\"}}"), "x");
    assert!(matches!(
        render("{{template \"a\"}}"),
        Err(TemplateError::Fails(_))
    ));
}

#[test]
fn changes_of_a_map_show_wherever_it_is_held() {
    let template = "{{$d := dict}}{{$e := $d}}{{$_ := set $d \"a\" 1}}{{$e.a}}";
    assert_eq!(rendered(template), "1");
}

#[test]
fn a_map_of_the_parameters_is_not_changed() {
    let given = parameters(&json!({"map": {"a": "b"}}));
    let answer = render_with("{{ set .map \"a\" \"c\" }}", &[], &given);
    assert!(
        matches!(answer, Err(TemplateError::Undecided(_))),
        "{answer:?}"
    );
    assert_eq!(render_with("{{ .map.a }}", &[], &given).unwrap(), "b");
}

#[test]
fn a_map_cannot_be_made_to_contain_itself() {
    for template in [
        "{{$d := dict}}{{$_ := set $d \"a\" $d}}",
        "{{$d := dict}}{{$l := list $d}}{{$_ := set $d \"a\" $l}}",
        "{{$d := dict}}{{$e := dict \"d\" $d}}{{$_ := set $d \"e\" $e}}",
        "{{$d := dict}}{{$_ := merge $d (dict \"a\" $d)}}",
    ] {
        let answer = render(template);
        assert!(
            matches!(answer, Err(TemplateError::Undecided(_))),
            "{template}: {answer:?}"
        );
    }
}

#[test]
fn errors_say_where_the_template_is_wrong() {
    let errors = [
        ("a\n{{ .env ", "line 2: unclosed action"),
        (
            "{{ if .env }}",
            "line 1: unexpected end of the template, an {{end}} is missing",
        ),
        ("{{ env }}", "line 1: function \"env\" not defined"),
        (
            "{{ index .env }}\n\n{{ $x }}",
            "line 3: undefined variable \"$x\"",
        ),
        ("{{ end }}", "line 1: unexpected {{end}}"),
    ];
    for (template, message) in errors {
        assert_eq!(render(template), Err(fails(message)));
    }
}

#[test]
fn engines_and_templates_can_be_shared_between_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Engine>();
    is_shared::<GoTemplate>();
    is_shared::<Parameters>();
}

#[test]
fn a_text_without_actions_costs_nothing() {
    let engine = Engine::new(&[], &FUNCTIONS, Work::new(0)).unwrap();
    let template = engine.parse("apps/{env}/}}").unwrap();
    assert!(template.is_literal());
    assert_eq!(
        template.execute(&parameters(&json!({}))).unwrap(),
        "apps/{env}/}}"
    );
}
