//! Whatever a template does ends, in bounded time, memory and stack.

use super::*;

/// Fails unless the template, with this work, is too much.
fn assert_too_much(template: &str) {
    assert_too_much_with(
        template,
        &json!({"s": "x".repeat(1000), "deep": "[".repeat(100_000)}),
    );
}

fn assert_too_much_with(template: &str, given: &Json) {
    let engine = Engine::new(&[], &FUNCTIONS, Work::new(5_000_000)).unwrap();
    let answer = engine
        .parse(template)
        .and_then(|template| template.execute(&parameters(given)));
    let shown: String = template.chars().take(200).collect();
    assert!(
        matches!(answer, Err(TemplateError::TooMuch(_))),
        "{shown}: {:?}",
        answer.map(|output| output.len())
    );
}

#[test]
fn loops_end() {
    for template in [
        "{{range until 100000000}}{{end}}",
        "{{range 9000000000000000000}}{{end}}",
        "{{range 9000000000000000000}}{{continue}}{{end}}",
        "{{range 3000}}{{range 3000}}{{range 3000}}x{{end}}{{end}}{{end}}",
        "{{range $i := 1000000000}}{{$x := $i}}{{end}}",
        "{{range (seq 1 100000000)}}{{end}}",
        "{{untilStep 0 9223372036854775807 1}}",
        "{{untilStep -9223372036854775807 9223372036854775807 1}}",
        "{{seq -9223372036854775807 9223372036854775807}}",
    ] {
        assert_too_much(template);
    }
}

#[test]
fn templates_that_call_each_other_end() {
    assert_too_much("{{define \"a\"}}{{template \"a\" .}}{{end}}{{template \"a\" .}}");
    let mut doubling = "{{define \"t0\"}}x{{end}}".to_owned();
    for level in 1..40 {
        let call = format!("{{{{template \"t{}\" .}}}}", level - 1);
        doubling.extend([format!(
            "{{{{define \"t{level}\"}}}}{call}{call}{{{{end}}}}"
        )]);
    }
    doubling += "{{template \"t39\" .}}";
    assert_too_much(&doubling);
}

#[test]
fn texts_do_not_grow_without_end() {
    let growing =
        |step: &str| format!("{{{{$x := .s}}}}{{{{range 10000}}}}{{{{$x = {step}}}}}{{{{end}}}}");
    for step in [
        "print $x $x",
        "printf \"%s%s\" $x $x",
        "cat $x $x",
        "repeat 2 $x",
        "replace \"x\" \"xx\" $x",
        "replace \"\" \"xx\" $x",
        "indent 10 (replace \"x\" \"\\n\" $x)",
        "nindent 1000 $x",
        "join $x (list $x $x $x)",
        "quote $x $x",
        "squote $x $x",
        "toJson (list $x $x)",
        "toPrettyJson (list $x $x)",
        "toYaml (list $x $x)",
        "toString (list $x $x)",
        "b64enc $x",
        "b32enc $x",
        "html (printf \"%s&\" $x)",
        "js (printf \"%s'\" $x)",
        "urlquery (printf \"%s&\" $x)",
        "regexReplaceAll \"x\" $x \"xx\"",
        "regexReplaceAll \"(.*)\" $x \"$1$1$1\"",
        "regexQuoteMeta (printf \"%s.\" $x)",
        "wrapWith 1 $x $x",
    ] {
        assert_too_much(&growing(step));
    }
    for template in [
        "{{repeat 1000000000000 \"x\"}}",
        "{{repeat 9223372036854775807 .s}}",
        "{{indent 1000000000000 .s}}",
        "{{range 100000}}{{printf \"%4000d\" 1}}{{end}}",
        "{{range 100000}}{{$.s}}{{end}}",
        "{{range 100000}}{{sha512sum $.s}}{{end}}",
        "{{range 100000}}{{nospace $.s}}{{end}}",
        "{{range 100000}}{{title $.s}}{{end}}",
        "{{range 100000}}{{contains \"y\" $.s}}{{end}}",
    ] {
        assert_too_much(template);
    }
}

#[test]
fn a_width_of_a_printf_format_is_bounded() {
    let answer = render("{{printf \"%99999999999d\" 1}}");
    assert!(
        matches!(answer, Err(TemplateError::Undecided(_))),
        "{answer:?}"
    );
}

#[test]
fn lists_and_maps_do_not_grow_without_end() {
    for template in [
        "{{$x := list 1}}{{range 100000}}{{$x = concat $x $x}}{{end}}",
        "{{$x := list 1}}{{range 1000000}}{{$x = append $x 1}}{{end}}",
        "{{$x := list 1}}{{range 1000000}}{{$x = prepend $x 1}}{{end}}",
        "{{$d := dict}}{{range $i := 1000000}}{{$_ := set $d (toString $i) $i}}{{end}}",
        "{{range 1000000}}{{splitList \"\" $.s}}{{end}}",
        "{{$l := splitList \"\" (repeat 1000 .s)}}{{range 1000}}{{$_ := uniq $l}}{{end}}",
        "{{$l := until 30000}}{{uniq $l}}",
        "{{$l := until 30000}}{{without $l $l}}{{range 1000}}{{has \"x\" $l}}{{end}}",
        "{{$l := until 10000}}{{range 1000}}{{sortAlpha $l}}{{end}}",
        "{{$l := until 10000}}{{range 1000}}{{chunk 1 $l}}{{end}}",
        "{{$l := until 10000}}{{range 1000}}{{reverse $l}}{{end}}",
        "{{$l := until 10000}}{{range 1000}}{{rest $l}}{{end}}",
        "{{$l := until 10000}}{{range 1000}}{{$_ := deepCopy $l}}{{end}}",
    ] {
        assert_too_much(template);
    }
}

#[test]
fn small_graphs_that_are_large_trees_are_not_walked_to_the_end() {
    let nested = |end: &str| {
        format!("{{{{$x := list 1}}}}{{{{range 100}}}}{{{{$x = list $x $x}}}}{{{{end}}}}{end}")
    };
    for end in [
        "{{$x}}",
        "{{print $x}}",
        "{{printf \"%v\" $x}}",
        "{{toJson $x}}",
        "{{toPrettyJson $x}}",
        "{{toYaml $x}}",
        "{{toString $x}}",
        "{{quote $x}}",
        "{{cat $x}}",
        "{{join \",\" $x}}",
        "{{$y := deepCopy $x}}",
        "{{deepEqual $x (list $x $x)}}{{deepEqual $x $x}}",
        "{{has $x (list $x)}}",
        "{{html $x}}",
    ] {
        assert_too_much(&nested(end));
    }
    assert_too_much(
        "{{$x := dict}}{{range 100}}{{$x = dict \"a\" $x \"b\" $x}}{{end}}{{toYaml $x}}",
    );
    assert_too_much(
        "{{$x := dict}}{{range 100}}{{$x = dict \"a\" $x \"b\" $x}}{{end}}\
         {{$y := dict}}{{range 100}}{{$y = dict \"a\" $y \"b\" $y}}{{end}}{{merge $x $y}}",
    );
}

#[test]
fn values_nest_only_so_deep() {
    for template in [
        "{{$x := list}}{{range 100000}}{{$x = list $x}}{{end}}",
        "{{$x := dict}}{{range 100000}}{{$x = dict \"a\" $x}}{{end}}",
        "{{$x := dict}}{{range 100000}}{{$y := dict}}{{$_ := set $y \"a\" $x}}{{$x = $y}}{{end}}",
        "{{$x := list}}{{range 100000}}{{$x = append (list) $x}}{{end}}",
        "{{$x := list}}{{range 100000}}{{$x = chunk 1 (list $x)}}{{end}}",
        "{{fromJson .deep}}",
        "{{mustFromJson .deep}}",
        "{{fromYaml .deep}}",
        "{{fromYamlArray .deep}}",
    ] {
        assert_too_much(template);
    }
}

#[test]
fn parameters_nest_only_so_deep() {
    let mut deep = json!("x");
    for _ in 0..100_000 {
        deep = Json::Array(vec![deep]);
    }
    let mut members = serde_json::Map::new();
    members.insert("deep".to_owned(), deep);
    let given = Parameters::from(&members);
    let answer = render_with("{{.deep}}", &[], &given);
    // serde_json drops a value as deep as this with as much stack.
    let mut deep = members.remove("deep");
    while let Some(Json::Array(mut items)) = deep {
        deep = items.pop();
    }
    assert!(
        matches!(answer, Err(TemplateError::TooMuch(_))),
        "{answer:?}"
    );
}

#[test]
fn the_deepest_values_are_printed_within_a_small_stack() {
    let deepest = "{{$x := list}}{{range 150}}{{$x = list (dict \"a\" $x)}}{{end}}";
    let shallower = deepest.replace("150", "75");
    for end in [
        "{{$x}}",
        "{{toJson $x}}",
        "{{toPrettyJson $x}}",
        "{{toYaml $x}}",
        "{{deepCopy $x}}",
    ] {
        assert_too_much(&format!("{deepest}{end}"));
        assert!(render(&format!("{shallower}{end}")).is_ok());
    }
}

#[test]
fn templates_nest_only_so_deep() {
    let nested = |before: &str, middle: &str, after: &str, depth: usize| {
        format!("{}{middle}{}", before.repeat(depth), after.repeat(depth))
    };
    let parentheses = |depth| format!("{{{{{}}}}}", nested("(", "1", ")", depth));
    let ifs = |depth| nested("{{if true}}", "x", "{{end}}", depth);
    let ranges = |depth| nested("{{range 1}}", "x", "{{end}}", depth);
    let defines = |depth| nested("{{block \"a\" .}}", "x", "{{end}}", depth);
    let chain = |depth: usize| {
        format!(
            "{{{{if false}}}}{}{{{{end}}}}",
            "{{else if true}}".repeat(depth)
        )
    };
    for depth in [10, 60] {
        assert!(render(&parentheses(depth)).is_ok());
        assert!(render(&ifs(depth)).is_ok());
        assert!(render(&ranges(depth)).is_ok());
    }
    assert!(render(&chain(20)).is_ok());
    for depth in [100, 20_000] {
        assert_too_much(&parentheses(depth));
        assert_too_much(&ifs(depth));
        assert_too_much(&ranges(depth));
        assert_too_much(&defines(depth));
        assert_too_much(&chain(depth));
    }
}

#[test]
fn the_deepest_calls_need_little_stack() {
    let parentheses = format!("{}.{}", "(print ".repeat(50), ")".repeat(50));
    let recursive = format!(
        "{{{{define \"a\"}}}}{{{{if true}}}}{{{{with 1}}}}{{{{{parentheses}}}}}\
         {{{{template \"a\" {parentheses}}}}}{{{{end}}}}{{{{end}}}}{{{{end}}}}{{{{template \"a\" 1}}}}"
    );
    assert_too_much(&recursive);
}

#[test]
fn regular_expressions_are_bounded() {
    for template in [
        "{{regexMatch \"(((((a{100}){100}){100}){100}){100})\" .s}}",
        "{{range 100000}}{{regexMatch \"(x+x+)+y\" $.s}}{{end}}",
        "{{range 100000}}{{regexFindAll \"x\" $.s -1}}{{end}}",
        "{{range 100000}}{{regexSplit \"x\" $.s -1}}{{end}}",
        "{{$p := repeat 100 \"(x?)\"}}{{range 100000}}{{regexMatch $p $.s}}{{end}}",
    ] {
        assert_too_much(template);
    }
    let deep = format!(
        "{{{{regexMatch \"{}a{}\" .env}}}}",
        "(".repeat(1000),
        ")".repeat(1000)
    );
    assert!(render(&deep).is_err());
}

#[test]
fn compiling_costs_work_too() {
    let engine = Engine::new(&[], &FUNCTIONS, Work::new(1_000_000)).unwrap();
    let text = "{{.x}}".repeat(10_000);
    assert!(matches!(
        engine.parse(&text),
        Err(TemplateError::TooMuch(_))
    ));
}

#[test]
fn all_templates_of_an_engine_share_its_work() {
    let work = Work::new(100_000);
    let engine = Engine::new(&[], &FUNCTIONS, work.clone()).unwrap();
    let template = engine.parse("{{range 1000}}x{{end}}").unwrap();
    let given = parameters(&json!({}));
    let runs = std::iter::repeat_with(|| template.execute(&given));
    let successful = runs.take_while(Result::is_ok).count();
    assert!((1..100).contains(&successful), "{successful}");
    assert!(work.spend(1).is_err());
}

#[test]
fn the_same_templates_end_in_the_same_place() {
    let cost = || {
        let work = Work::new(1_000_000);
        let engine = Engine::new(&[], &FUNCTIONS, work.clone()).unwrap();
        let template = "{{range $i := 50}}{{toYaml (dict \"a\" $i \"b\" (list 1 \"x\"))}}{{end}}";
        engine
            .parse(template)
            .unwrap()
            .execute(&parameters(&json!({})))
            .unwrap();
        (0..20).rev().fold(0, |spent, bit| {
            let step = 1 << bit;
            if work.spend(step).is_ok() {
                spent + step
            } else {
                spent
            }
        })
    };
    assert_eq!(cost(), cost());
}
