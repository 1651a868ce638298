use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(text: &str) -> Value {
    value(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn refusal(text: &str) -> String {
    match value(text) {
        Ok(value) => panic!("it was read as {value}\n{text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn plain_scalars_mean_what_yaml_1_1_says() {
    assert_eq!(
        read("[y, Y, yes, Yes, YES, on, On, ON, true, True, TRUE]"),
        json!([
            true, true, true, true, true, true, true, true, true, true, true
        ])
    );
    assert_eq!(
        read("[n, N, no, No, NO, off, Off, OFF, false, False, FALSE]"),
        json!([
            false, false, false, false, false, false, false, false, false, false, false
        ])
    );
    assert_eq!(read("[yEs, oFF, nULL]"), json!(["yEs", "oFF", "nULL"]));
    assert_eq!(read("[~, null, NULL, '']"), json!([null, null, null, ""]));
    assert_eq!(read("a:\n"), json!({ "a": null }));
}

#[test]
fn integers_are_read_in_every_base_that_go_knows() {
    assert_eq!(
        read("[017, 0o17, 0b101, -0b11, 0x1F, 1_000, +5, 0_, 0x_f]"),
        json!([15, 15, 5, -3, 31, 1000, 5, 0, 15])
    );
    assert_eq!(
        read("[18446744073709551615, -9223372036854775808]"),
        json!([u64::MAX, i64::MIN])
    );
    assert_eq!(
        read("[0x, 0o8, '-', 1:30, 0b12, 0x-1]"),
        json!(["0x", "0o8", "-", "1:30", "0b12", "0x-1"])
    );
}

#[test]
fn floats_without_a_fraction_are_integers_in_json() {
    assert_eq!(
        read("[3.0, 1e3, 08, 1., -1_0.5_0, .5, +.5, 1e-400]"),
        json!([3, 1000, 8, 1, -10.5, 0.5, 0.5, 0])
    );
    assert_eq!(
        read("[18446744073709551616, 1e21]"),
        json!([18_446_744_073_709_551_616.0_f64, 1e21])
    );
}

#[test]
fn a_digest_that_looks_like_a_huge_float_is_text() {
    assert_eq!(
        read("tag: 229105075e664652"),
        json!({ "tag": "229105075e664652" })
    );
    assert_eq!(read("[1e400, ._5]"), json!(["1e400", "._5"]));
}

#[test]
fn timestamps_quoted_and_block_scalars_are_text() {
    assert_eq!(
        read("[2001-12-14, 2001-12-14T21:59:43.10Z, 'yes', \"1\"]"),
        json!(["2001-12-14", "2001-12-14T21:59:43.10Z", "yes", "1"])
    );
    assert_eq!(
        read("a: |\n  1\n  2\nb: >-\n  yes\n"),
        json!({ "a": "1\n2\n", "b": "yes" })
    );
}

#[test]
fn tags_decide_the_type() {
    assert_eq!(
        read("[!!str 123, !!int \"3\", !!float 3, !!bool \"yes\", !!null \"\", ! 12, !Ref 12]"),
        json!(["123", 3, 3, true, null, "12", "12"])
    );
    assert_eq!(read("!!binary aGVsbG8="), json!("hello"));
    assert_eq!(
        refusal("a: !!int foo"),
        "line 1, column 4: `foo` is not !!int"
    );
    assert_eq!(
        refusal("a: .inf"),
        "line 1, column 4: `.inf` is not a number that JSON has"
    );
}

#[test]
fn keys_become_text() {
    assert_eq!(
        read(
            "{y: 1, no: 2, 017: 3, 1.5: 4, 1e10: 5, 1_000: 6, \"yes\": 7, 0.00001: 8, \
             123456789.5: 9, .inf: 10, -1: 11}"
        ),
        json!({
            "true": 1, "false": 2, "15": 3, "1.5": 4, "1e+10": 5, "1000": 6, "yes": 7,
            "1e-05": 8, "1.2345679e+08": 9, ".inf": 10, "-1": 11,
        })
    );
    assert_eq!(refusal("~: a"), "line 1, column 1: a null cannot be a key");
    assert_eq!(
        refusal("? [a]\n: b"),
        "line 1, column 3: a sequence cannot be a key"
    );
}

#[test]
fn a_key_that_is_there_twice_is_refused_where_it_comes_back() {
    assert_eq!(
        refusal("a: 1\nb:\n  c: 1\n  c: 2\n"),
        "line 4, column 3: the key `c` is there twice"
    );
    assert_eq!(
        refusal("yes: 1\ntrue: 2\n"),
        "line 2, column 1: the key `true` is there twice"
    );
}

#[test]
fn aliases_repeat_and_merges_happen_where_they_stand() {
    assert_eq!(
        read("a: &k foo\n*k : [*k]\n"),
        json!({ "a": "foo", "foo": ["foo"] })
    );
    let merges = "
a: &a {x: 1, z: 2}
b: {<<: *a, x: 3}
c: {x: 3, <<: *a}
d: {<<: [{x: 8}, {x: 9, z: 1}], q: 1}
e: {\"<<\": 1}
";
    assert_eq!(
        read(merges),
        json!({
            "a": { "x": 1, "z": 2 },
            "b": { "x": 3, "z": 2 },
            "c": { "x": 1, "z": 2 },
            "d": { "x": 8, "z": 1, "q": 1 },
            "e": { "<<": 1 },
        })
    );
    assert_eq!(
        refusal("a: {<<: {x: 1}, x: 2, x: 3}"),
        "line 1, column 23: the key `x` is there twice"
    );
    assert_eq!(
        refusal("<<: 1"),
        "line 1, column 1: only mappings can be merged"
    );
}

#[test]
fn an_alias_refers_to_what_is_complete_in_its_own_document() {
    let nothing = "the alias refers to nothing before it in this document";
    assert_eq!(
        refusal("a: &a [*a]"),
        format!("line 1, column 8: {nothing}")
    );
    let error = documents("a: &a 1\n---\nb: *a\n").nth(1);
    assert_eq!(
        error.unwrap().unwrap_err().to_string(),
        format!("line 3, column 4: {nothing}")
    );
}

#[test]
fn a_billion_laughs_are_not_told() {
    let repeats = |level: usize| {
        let before = format!("*a{}, ", level - 1).repeat(9);
        format!("a{level}: &a{level} [{before}]\n")
    };
    let text = format!(
        "a0: &a0 [lol, lol, lol]\n{}",
        (1..20).map(repeats).collect::<String>()
    );
    assert!(refusal(&text).ends_with("anchors and aliases make too much of it"));
}

#[test]
fn depth_is_bounded_also_through_aliases() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let deepest = read(&nested(DEPTH_LIMIT));
    assert_eq!(
        serde_json::from_str::<Value>(&deepest.to_string()).unwrap(),
        deepest
    );
    assert!(refusal(&nested(DEPTH_LIMIT + 1)).ends_with("nested deeper than 127 levels"));
    assert!(value(&nested(100_000)).is_err());
    assert!(value(&"- ".repeat(100_000)).is_err());
    assert!(value(&"{a: ".repeat(100_000)).is_err());
    let link = |level: usize| format!("a{level}: &a{level} [*a{}]\n", level - 1);
    let chain = format!("a0: &a0 [1]\n{}", (1..200).map(link).collect::<String>());
    assert!(refusal(&chain).ends_with("nested deeper than 127 levels"));
}

const STREAM: &str = "\
# a comment
---
apiVersion: v1
kind: List
items:
  - kind: First
    metadata:
      labels:
        a/b: c
        x~y: z
  -
    kind: Second
    empty:
---
b: &b {c: 1}
d: *b
e:
  <<: *b
f: [1, 2,
    3]
";

#[test]
fn every_node_knows_its_line() {
    let read: Vec<_> = documents(STREAM).map(Result::unwrap).collect();
    let [list, plain] = &read[..] else {
        panic!("two documents expected, not {}", read.len());
    };
    assert_eq!((list.line(), plain.line()), (3, 15));
    for (pointer, line) in [
        ("", 3),
        ("/kind", 4),
        ("/items", 5),
        ("/items/0", 6),
        ("/items/0/metadata/labels/a~1b", 9),
        ("/items/0/metadata/labels/x~0y", 10),
        ("/items/1", 12),
        ("/items/1/empty", 13),
        ("/items/1/empty/below", 13),
        ("/items/7/kind", 5),
        ("/items/0/metadata/annotations/kind", 7),
    ] {
        assert_eq!(list.line_of(pointer), line, "{pointer}");
    }
    for (pointer, line) in [("/b/c", 15), ("/d/c", 16), ("/e/c", 17), ("/f/2", 20)] {
        assert_eq!(plain.line_of(pointer), line, "{pointer}");
    }
}

#[test]
fn an_error_ends_the_stream_and_what_came_before_stays() {
    let mut read = documents("a: 1\n---\nb: [\n---\nc: 1\n");
    assert_eq!(read.next().unwrap().unwrap().value, json!({ "a": 1 }));
    let error = read.next().unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Syntax(_)), "{error}");
    assert_eq!((error.line(), error.column()), (4, 1));
    assert!(read.next().is_none());
}

#[test]
fn a_template_is_not_yaml() {
    assert!(value("{{- if .Values.enabled }}\na: b\n{{- end }}\n").is_err());
}

#[test]
fn a_text_without_a_document_is_null() {
    for text in ["", "\n", "# nothing\n", "\u{feff}"] {
        assert_eq!(read(text), Value::Null);
    }
    assert_eq!(read("\u{feff}a: 1\r\nb: 2\r\n"), json!({ "a": 1, "b": 2 }));
    assert_eq!(documents("---\n---\na: 1\n").count(), 2);
}

#[test]
fn json_is_read_as_json() {
    assert_eq!(
        read("{\n\t\"a\": [\n\t\t1,\n\t\t\"b\\/c\\ud83d\\ude00\"\n\t]\n}\n"),
        json!({ "a": [1, "b/c😀"] })
    );
    let stream = "{\"a\":1}\n{\n  \"b\": {\"c\": [1,\n  2]}}\n";
    let read: Vec<_> = documents(stream).map(Result::unwrap).collect();
    assert_eq!(read.len(), 2);
    assert_eq!(read[1].line(), 2);
    for (pointer, line) in [
        ("", 2),
        ("/b", 3),
        ("/b/c/0", 3),
        ("/b/c/1", 4),
        ("/b/d", 3),
    ] {
        assert_eq!(read[1].line_of(pointer), line, "{pointer}");
    }
    assert_eq!(
        refusal("{\"a\": {},\n \"b\": [[], 1.0], \"a\": 1}"),
        "line 2, column 18: the key `a` is there twice"
    );
    assert!(refusal("{\"a\": 1 \"b\": 2}").starts_with("line 1, column"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~]*".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn pointers(value: &Value, here: &str) -> Vec<String> {
    let parts: Vec<(String, &Value)> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), item))
            .collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, member)| (key.replace('~', "~0").replace('/', "~1"), member))
            .collect(),
        _ => Vec::new(),
    };
    let mut all = vec![here.to_owned()];
    for (token, part) in parts {
        all.extend(pointers(part, &format!("{here}/{token}")));
    }
    all
}

fn yaml_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "---\n",
            "...\n",
            "- ",
            "? ",
            ": ",
            ":",
            "\n",
            "\n  ",
            "\n    ",
            "&a ",
            "*a",
            "<<: ",
            "|\n",
            ">-\n",
            "|2+\n",
            "'",
            "\"",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "# c\n",
            "!!int ",
            "!x ",
            "!<",
            "%TAG ! x\n",
            "%YAML 1.1\n",
            "\t",
            "\r\n",
            "\\",
            "\u{0}",
            "\u{feff}",
            "ä",
            "1e9",
            "\\ud83d",
            "@",
            "`",
            "\u{85}",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9]{1,3}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in any::<String>()) {
        for document in documents(&text).flatten() {
            prop_assert!(document.line_of("/a/0/b") >= 1);
        }
    }

    #[test]
    fn nothing_that_looks_like_yaml_makes_it_panic(text in yaml_like()) {
        for document in documents(&text).flatten() {
            prop_assert!(document.line_of("/a/0/b") >= 1);
        }
    }

    #[test]
    fn json_comes_back(value in any_json()) {
        prop_assert_eq!(&read(&value.to_string()), &value);
        prop_assert_eq!(&read(&serde_json::to_string_pretty(&value).unwrap()), &value);
    }

    #[test]
    fn json_has_the_same_lines_as_yaml(value in any_json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let flow = format!("---\n{text}");
        let json = documents(&text).next().unwrap().unwrap();
        let yaml = documents(&flow).next().unwrap().unwrap();
        prop_assert_eq!(&json.value, &yaml.value);
        for pointer in pointers(&value, "") {
            prop_assert_eq!(json.line_of(&pointer) + 1, yaml.line_of(&pointer), "{}", pointer);
        }
    }
}
