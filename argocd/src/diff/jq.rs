//! jq paths: what `del(<expression>)` takes out of an object.
//!
//! Argo CD runs gojq and gives an expression one second. Whoever may write an Application may
//! write the expression, and an interpreter that loops, or builds a value that fills the memory,
//! cannot be stopped from outside. So only expressions whose work is bounded by their text are run
//! here: no definitions, no recursion, no arithmetic, nothing that makes a value larger than its
//! input, and a bounded number of results. Others are left out, as if they deleted nothing. Nearly
//! all real ones are plain paths, which need no interpreter at all.

use std::fmt;
use std::rc::Rc;

use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::load::{Arena, File, Loader, lex::StrPart, parse};
use jaq_core::path::{Part, Path};
use jaq_core::{Compiler, Ctx, Vars, data::JustLut, unwrap_valr};
use jaq_json::{Num, Val};
use serde_json::Value;

use super::paths::{Deletion, Step};

/// A compiled expression.
#[derive(Clone)]
pub(super) struct JqPath(Kind);

#[derive(Clone)]
enum Kind {
    /// `.spec.replicas`: the names on the way.
    Plain(Vec<String>),
    Program(Rc<Filter>),
    /// Not run: its work is not bounded by its text.
    LeftOut,
}

type Filter = jaq_core::compile::Filter<jaq_core::Native<JustLut<Val>>>;

/// An expression that does not compile. Argo CD fails the whole comparison then.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is not valid jq")]
pub struct JqError;

/// Longest expression, in bytes, and deepest nesting of brackets. The parser is recursive.
const LENGTH_LIMIT: usize = 512;
const NESTING_LIMIT: usize = 24;
/// Most results that an expression may have on its way.
const RESULT_LIMIT: u64 = 1_024;
/// Most places that an expression may name in an object.
const PLACE_LIMIT: usize = 16 * 1_024;
/// How many results one iteration is counted for: more than the fields of an object that is
/// iterated over in practice.
const ITERATION: u64 = 32;

/// Functions whose work and result are bounded by their input, and whether they iterate over it.
const FUNCTIONS: [(&str, usize, bool); 43] = [
    ("all", 0, true),
    ("all", 1, true),
    ("any", 0, true),
    ("any", 1, true),
    ("arrays", 0, false),
    ("ascii_downcase", 0, false),
    ("ascii_upcase", 0, false),
    ("booleans", 0, false),
    ("contains", 1, false),
    ("empty", 0, false),
    ("endswith", 1, false),
    ("false", 0, false),
    ("first", 0, false),
    ("from_entries", 0, true),
    ("has", 1, false),
    ("in", 1, false),
    ("index", 1, false),
    ("inside", 1, false),
    ("iterables", 0, false),
    ("keys", 0, true),
    ("last", 0, false),
    ("length", 0, false),
    ("ltrimstr", 1, false),
    ("map", 1, true),
    ("max", 0, false),
    ("min", 0, false),
    ("not", 0, false),
    ("null", 0, false),
    ("nulls", 0, false),
    ("numbers", 0, false),
    ("objects", 0, false),
    ("recurse", 0, true),
    ("rtrimstr", 1, false),
    ("scalars", 0, false),
    ("select", 1, false),
    ("startswith", 1, false),
    ("strings", 0, false),
    ("test", 1, false),
    ("to_entries", 0, true),
    ("true", 0, false),
    ("type", 0, false),
    ("values", 0, false),
    ("with_entries", 1, true),
];

/// Functions that gojq has and that are not run here.
const OTHER_FUNCTIONS: &[&str] = &[
    "IN",
    "INDEX",
    "GROUP_BY",
    "abs",
    "add",
    "ascii",
    "bsearch",
    "builtins",
    "capture",
    "ceil",
    "combinations",
    "debug",
    "del",
    "delpaths",
    "env",
    "error",
    "explode",
    "finites",
    "flatten",
    "floor",
    "format",
    "fromdate",
    "fromdateiso8601",
    "fromjson",
    "fromstream",
    "getpath",
    "gmtime",
    "group_by",
    "gsub",
    "halt",
    "halt_error",
    "implode",
    "indices",
    "infinite",
    "input",
    "input_filename",
    "input_line_number",
    "inputs",
    "isempty",
    "isinfinite",
    "isnan",
    "isnormal",
    "isvalid",
    "join",
    "keys_unsorted",
    "leaf_paths",
    "limit",
    "localtime",
    "log",
    "ltrim",
    "map_values",
    "match",
    "max_by",
    "min_by",
    "mktime",
    "modulemeta",
    "nan",
    "normals",
    "now",
    "nth",
    "path",
    "paths",
    "pick",
    "pow",
    "range",
    "recurse_down",
    "repeat",
    "reverse",
    "rindex",
    "round",
    "rtrim",
    "scan",
    "setpath",
    "skip",
    "sort",
    "sort_by",
    "split",
    "splits",
    "sqrt",
    "strftime",
    "strptime",
    "sub",
    "toarray",
    "todate",
    "tojson",
    "tonumber",
    "tostream",
    "tostring",
    "transpose",
    "trim",
    "trimstr",
    "truncate_stream",
    "unique",
    "unique_by",
    "until",
    "utf8bytelength",
    "walk",
    "while",
];

impl fmt::Debug for JqPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Plain(names) => write!(formatter, "JqPath(.{})", names.join(".")),
            Kind::Program(_) => formatter.write_str("JqPath(program)"),
            Kind::LeftOut => formatter.write_str("JqPath(left out)"),
        }
    }
}

impl JqPath {
    /// An expression that is not looked at.
    const LEFT_OUT: Self = JqPath(Kind::LeftOut);

    /// Compiles an expression; where it must not be run it is only read, which takes a fraction of
    /// the time.
    pub(super) fn compile(expression: &str, may_run: bool) -> Result<Self, JqError> {
        if expression.len() > LENGTH_LIMIT || nesting(expression) > NESTING_LIMIT {
            return Ok(Self::LEFT_OUT);
        }
        let code = format!("path({expression})");
        let term = parse(expression, |parser| parser.term()).ok_or(JqError)?;
        // A comment would swallow the bracket that Argo CD puts behind the expression.
        parse(&code, |parser| parser.term()).ok_or(JqError)?;
        if let Some(names) = plain_path(&term) {
            return Ok(JqPath(Kind::Plain(names)));
        }
        match results(&term) {
            Ok(results) if results <= RESULT_LIMIT && may_run => {
                compile_program(&code).map(|program| JqPath(Kind::Program(Rc::new(program))))
            }
            Err(Unbounded::Unknown) => Err(JqError),
            Ok(_) | Err(Unbounded::Known) => Ok(Self::LEFT_OUT),
        }
    }

    /// Whether an interpreter has to run it.
    pub(super) fn is_program(&self) -> bool {
        matches!(self.0, Kind::Program(_))
    }

    /// Deletes from an object what the expression selects. An expression that fails on this
    /// object deletes nothing.
    pub(super) fn delete_from(&self, object: &mut Value) {
        match &self.0 {
            Kind::Plain(names) => delete_plain(object, names),
            Kind::Program(program) => {
                if let Some(rest) = delete_places(program, object) {
                    *object = rest;
                }
            }
            Kind::LeftOut => {}
        }
    }
}

fn nesting(expression: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in expression.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn plain_path(term: &Term<&str>) -> Option<Vec<String>> {
    let Term::Path(start, Path(parts)) = term else {
        return None;
    };
    if !matches!(**start, Term::Id) {
        return None;
    }
    let name = |part: &Part<Term<&str>>| match part {
        Part::Index(Term::Str(None, text)) => match &text[..] {
            [StrPart::Str(name)] => Some((*name).to_owned()),
            _ => None,
        },
        _ => None,
    };
    parts.iter().map(|(part, _)| name(part)).collect()
}

fn delete_plain(object: &mut Value, names: &[String]) {
    let Some((last, way)) = names.split_last() else {
        return;
    };
    let parent = way
        .iter()
        .try_fold(object, |value, name| value.get_mut(name.as_str()));
    if let Some(Value::Object(members)) = parent {
        members.remove(last);
    }
}

fn compile_program(code: &str) -> Result<Filter, JqError> {
    let definitions = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let functions = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(definitions)
        .load(&arena, File { code, path: () })
        .map_err(|_| JqError)?;
    Compiler::default()
        .with_funs(functions)
        .compile(modules)
        .map_err(|_| JqError)
}

/// The interpreter only says which places are meant: deleting them is another thing in gojq than
/// in jaq. `None` if gojq, or we, would not delete anything.
fn delete_places(program: &Filter, object: &Value) -> Option<Value> {
    let input: Val = serde_json::from_value(object.clone()).ok()?;
    let context = Ctx::<JustLut<Val>>::new(&program.lut, Vars::new([]));
    let mut deletion = Deletion::from(object);
    for (count, path) in program.id.run((context, input)).enumerate() {
        if count == PLACE_LIMIT {
            return None;
        }
        let path = unwrap_valr(path).ok()?;
        deletion.add(&steps(&path)?).ok()?;
    }
    Some(deletion.rest())
}

/// A path as jq writes it. `None` if a step of it is none: any value may stand behind something
/// that is not there, and may be as large as the object.
fn steps(path: &Val) -> Option<Vec<Step<'_>>> {
    let Val::Arr(path) = path else {
        return None;
    };
    path.iter().map(step).collect()
}

fn step(step: &Val) -> Option<Step<'_>> {
    match step {
        Val::TStr(name) => str::from_utf8(name).ok().map(Step::Member),
        Val::Num(number) => Some(Step::Item(index(number))),
        Val::Obj(part) => {
            let bound = |name: &'static str, default| match part.get(&Val::utf8_str(name)) {
                None | Some(Val::Null) => Some(default),
                Some(Val::Num(number)) => Some(index(number)),
                Some(_) => None,
            };
            Some(Step::Part {
                start: bound("start", 0)?,
                end: bound("end", isize::MAX)?,
            })
        }
        _ => None,
    }
}

/// An index; the farthest one for a number that no list reaches. The interpreter takes no fraction.
fn index(number: &Num) -> isize {
    match number {
        Num::Int(index) => *index,
        other if other.to_string().starts_with('-') => isize::MIN,
        _ => isize::MAX,
    }
}

/// Why nothing is known of the work of a term.
#[derive(Debug)]
enum Unbounded {
    /// It uses a part of the language that is not bounded by its text.
    Known,
    /// It uses a function or variable that gojq does not have either.
    Unknown,
}

/// At most how many results a term has.
fn results(term: &Term<&str>) -> Result<u64, Unbounded> {
    match term {
        Term::Id | Term::Num(_) | Term::Arr(None) => Ok(1),
        Term::Recurse => Ok(ITERATION),
        Term::Str(_, parts) => match parts.iter().find(|part| matches!(part, StrPart::Term(_))) {
            // Interpolation can double a text again and again.
            Some(_) => Err(Unbounded::Known),
            None => Ok(1),
        },
        Term::Arr(Some(inner)) | Term::Neg(inner) => results(inner),
        Term::BinOp(left, operator, right) => {
            let (left, right) = (results(left)?, results(right)?);
            match operator {
                BinaryOp::Comma | BinaryOp::Alt => Ok(left.saturating_add(right)),
                BinaryOp::Pipe(None) | BinaryOp::Or | BinaryOp::And | BinaryOp::Cmp(_) => {
                    Ok(left.saturating_mul(right))
                }
                _ => Err(Unbounded::Known),
            }
        }
        Term::TryCatch(inner, handler) => {
            product(std::iter::once(&**inner).chain(handler.as_deref()))
        }
        Term::IfThenElse(branches, otherwise) => product(
            branches
                .iter()
                .flat_map(|(condition, then)| [condition, then])
                .chain(otherwise.as_deref()),
        ),
        Term::Call(name, arguments) => {
            let arguments_results = product(arguments.iter())?;
            let own = if calls_iterate(name, arguments.len())? {
                ITERATION
            } else {
                1
            };
            Ok(own.saturating_mul(arguments_results))
        }
        Term::Path(start, Path(parts)) => {
            let parts = parts.iter().map(|(part, _)| part_results(part));
            std::iter::once(results(start))
                .chain(parts)
                .try_fold(1, multiply)
        }
        // Nothing is bound here, so a variable is gojq's own or none at all.
        Term::Var("$ENV" | "$__loc__") => Err(Unbounded::Known),
        Term::Var(_) => Err(Unbounded::Unknown),
        _ => Err(Unbounded::Known),
    }
}

fn multiply(all: u64, one: Result<u64, Unbounded>) -> Result<u64, Unbounded> {
    Ok(all.saturating_mul(one?))
}

fn product<'t>(mut terms: impl Iterator<Item = &'t Term<&'t str>>) -> Result<u64, Unbounded> {
    terms.try_fold(1, |all, term| multiply(all, results(term)))
}

fn part_results(part: &Part<Term<&str>>) -> Result<u64, Unbounded> {
    match part {
        Part::Index(index) => results(index),
        Part::Range(None, None) => Ok(ITERATION),
        Part::Range(from, to) => product(from.iter().chain(to)),
    }
}

/// Whether a function iterates over its input.
fn calls_iterate(name: &str, arity: usize) -> Result<bool, Unbounded> {
    let known = |(function, own, _): &&(&str, usize, bool)| *function == name && *own == arity;
    match FUNCTIONS.iter().find(known) {
        Some((_, _, iterates)) => Ok(*iterates),
        None if OTHER_FUNCTIONS.contains(&name) || name.starts_with('@') => Err(Unbounded::Known),
        // A function of that name with another number of arguments may be gojq's.
        None if FUNCTIONS.iter().any(|(function, ..)| *function == name) => Err(Unbounded::Known),
        None => Err(Unbounded::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compile(expression: &str) -> Result<JqPath, JqError> {
        JqPath::compile(expression, true)
    }

    fn deployment() -> Value {
        json!({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "app", "image": "a"}]}}}})
    }

    fn hides_replicas(expression: &str) -> bool {
        let mut object = deployment();
        compile(expression).unwrap().delete_from(&mut object);
        object.pointer("/spec/replicas").is_none()
    }

    #[test]
    fn plain_paths_and_programs_delete() {
        for expression in [
            ".spec.replicas",
            ".spec",
            r#".["spec"]["replicas"]"#,
            ".spec?.replicas?",
            ".spec.template.spec.containers[].image, .spec.replicas",
            r#"select(.metadata.name == "web").spec.replicas"#,
            r#".. | select(type == "object" and has("replicas")) | .replicas"#,
        ] {
            assert!(hides_replicas(expression), "{expression}");
        }
        for expression in [
            ".spec.template",
            "empty",
            ".spec.replicas | select(. > 100)",
            ".spec[0]",
        ] {
            assert!(!hides_replicas(expression), "{expression}");
        }
    }

    /// The interpreter's own `del` had been believed to do what gojq's does. It fails on, or fills
    /// with `null`, what is not there, and cuts texts.
    #[test]
    fn what_is_not_there_stays_away_and_hinders_nothing() {
        for expression in [
            ".missing.field, .spec.replicas",
            ".metadata.annotations[]?, .spec.replicas",
            ".spec.template.spec.volumes[]?.name, .spec.replicas",
            ".spec.template.spec.containers[5].image, .spec.replicas",
            ".metadata.labels.app | ., empty",
        ] {
            let mut object = deployment();
            compile(expression).unwrap().delete_from(&mut object);
            let mut expected = deployment();
            if expression.contains("replicas") {
                delete_plain(&mut expected, &["spec".to_owned(), "replicas".to_owned()]);
            }
            assert_eq!(object, expected, "{expression}");
        }
    }

    #[test]
    fn lists_are_counted_before_anything_is_deleted() {
        let delete = |expression: &str| {
            let mut object = json!({"list": [0, 1, [2, 20], 3], "text": "abc"});
            compile(expression).unwrap().delete_from(&mut object);
            object
        };
        let left = |list: Value| json!({"list": list, "text": "abc"});
        assert_eq!(delete(".list[0], .list[1]"), left(json!([[2, 20], 3])));
        assert_eq!(delete(".list[1:3]"), left(json!([0, 3])));
        assert_eq!(delete(".list[-2:][0][-1]"), left(json!([0, 1, [2], 3])));
        assert_eq!(delete(".list[1:] | .[1:]"), left(json!([0, 1])));
        assert_eq!(delete(".list[:-9]"), left(json!([0, 1, [2, 20], 3])));
        let many = Value::from(vec![0; PLACE_LIMIT + 1]);
        let mut object = json!({"list": many});
        let path = compile(".list[] | select(. == 0)").unwrap();
        path.delete_from(&mut object);
        assert_eq!(object["list"], many, "there are too many");
        // What is no place is none even where nothing is.
        assert_eq!(
            delete(".none[..], .list[0]"),
            left(json!([0, 1, [2, 20], 3]))
        );
        // Of a text nothing can be deleted, and then nothing is.
        assert_eq!(delete(".list, .text[0:1]"), left(json!([0, 1, [2, 20], 3])));
    }

    #[test]
    fn what_does_not_compile_is_an_error() {
        for expression in [
            ".[",
            "/spec/replicas",
            "foo(.spec)",
            "$spec.replicas",
            "",
            ".a #",
        ] {
            assert!(compile(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn what_must_not_run_is_still_read() {
        let read = |expression| JqPath::compile(expression, false);
        assert!(matches!(read(".a.b").unwrap().0, Kind::Plain(_)));
        assert!(matches!(read(".a[].b").unwrap().0, Kind::LeftOut));
        for expression in [".a[] |", ".a[] | nothing", ".a[] # b"] {
            assert!(read(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn what_could_run_away_is_left_out() {
        let doubled = format!(".spec|select({}\"\"==\"\")", r#""\(.)\(.)"|"#.repeat(28));
        for expression in [
            "range(1000000000000)",
            "def f: f; f",
            "repeat(.)",
            "..|..|..|..|..",
            "[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]",
            "reduce .[] as $x (0; . + 1)",
            r#""x" * 1000000000"#,
            "last(range(100000000))",
            "until(false; .)",
            "[.]|tostring|[.]|tostring",
            "{a:.,b:.}|{a:.,b:.}",
            ".a = [.,.]",
            doubled.as_str(),
            ".webhooks[].rules[].resources[]",
            "leaf_paths",
            "$ENV.X",
            "first(.a)",
        ] {
            let path = compile(expression).unwrap();
            assert!(matches!(path.0, Kind::LeftOut), "{expression}");
        }
        assert!(matches!(
            compile(&"(".repeat(500)).unwrap().0,
            Kind::LeftOut
        ));
    }

    proptest::proptest! {
        #[test]
        fn no_expression_panics(expression in "[.a-z0-9|()\\[\\]{},\"$=<>! :\\\\-]{0,40}") {
            if let Ok(path) = compile(&expression) {
                path.delete_from(&mut deployment());
            }
        }
    }
}
