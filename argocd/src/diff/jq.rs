//! jq paths: what `del(<expression>)` takes out of an object.
//!
//! Argo CD runs gojq and gives an expression one second. Whoever may write an Application may
//! write the expression, and an interpreter that loops cannot be stopped from outside, so only
//! expressions whose work is bounded by their text are run here: no definitions, no recursion, no
//! arithmetic, and a bounded number of results. Nearly all real ones are plain paths, which need
//! no interpreter at all.

use std::fmt;

use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::load::{Arena, File, Loader, lex::StrPart, parse};
use jaq_core::path::{Part, Path};
use jaq_core::{Compiler, Ctx, Vars, data::JustLut, unwrap_valr};
use jaq_json::Val;
use serde_json::Value;

/// A compiled expression.
pub(super) struct JqPath(Kind);

enum Kind {
    /// `.spec.replicas`: the names on the way.
    Plain(Vec<String>),
    Program(Filter),
}

type Filter = jaq_core::compile::Filter<jaq_core::Native<JustLut<Val>>>;

/// What is the matter with an expression.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JqError {
    /// It does not compile. Argo CD fails the whole comparison.
    #[error("is not valid jq")]
    Syntax,
    /// It may be valid, but its work is not bounded by its text.
    #[error("is too complex to be judged")]
    TooComplex,
}

/// Longest expression, in bytes, and deepest nesting of brackets. The parser is recursive.
const LENGTH_LIMIT: usize = 512;
const NESTING_LIMIT: usize = 24;
/// Most results that an expression may have on its way.
const RESULT_LIMIT: u64 = 20_000;
/// How many results one iteration is counted for: more than the fields of an object that is
/// iterated over in practice.
const ITERATION: u64 = 32;

/// Functions whose work is bounded by their input, and whether they iterate over it.
const FUNCTIONS: [(&str, usize, bool); 44] = [
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
    ("tostring", 0, false),
    ("true", 0, false),
    ("type", 0, false),
    ("values", 0, false),
    ("with_entries", 1, true),
];

impl fmt::Debug for JqPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Plain(names) => write!(formatter, "JqPath(.{})", names.join(".")),
            Kind::Program(_) => formatter.write_str("JqPath(program)"),
        }
    }
}

impl JqPath {
    /// Compiles an expression.
    pub(super) fn compile(expression: &str) -> Result<Self, JqError> {
        if expression.len() > LENGTH_LIMIT || nesting(expression) > NESTING_LIMIT {
            return Err(JqError::TooComplex);
        }
        let term = parse(expression, |parser| parser.term()).ok_or(JqError::Syntax)?;
        // A comment would swallow the bracket that Argo CD puts behind the expression.
        let comment = expression.contains('#');
        if let (Some(names), false) = (plain_path(&term), comment) {
            return Ok(JqPath(Kind::Plain(names)));
        }
        let program = compile_deletion(expression)?;
        if results(&term).is_none_or(|results| results > RESULT_LIMIT) {
            return Err(JqError::TooComplex);
        }
        Ok(JqPath(Kind::Program(program)))
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
                if let Some(result) = run(program, object) {
                    *object = result;
                }
            }
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

fn compile_deletion(expression: &str) -> Result<Filter, JqError> {
    let definitions = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let functions = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs());
    let code = format!("del({expression})");
    let arena = Arena::default();
    let modules = Loader::new(definitions)
        .load(
            &arena,
            File {
                code: code.as_str(),
                path: (),
            },
        )
        .map_err(|_| JqError::Syntax)?;
    Compiler::default()
        .with_funs(functions)
        .compile(modules)
        .map_err(|_| JqError::Syntax)
}

fn run(program: &Filter, object: &Value) -> Option<Value> {
    let input: Val = serde_json::from_value(object.clone()).ok()?;
    let context = Ctx::<JustLut<Val>>::new(&program.lut, Vars::new([]));
    let output = program.id.run((context, input)).map(unwrap_valr).next()?;
    serde_json::from_str(&output.ok()?.to_string()).ok()
}

/// At most how many results a term has, or `None` if it uses what is not bounded.
fn results(term: &Term<&str>) -> Option<u64> {
    let product = |terms: &mut dyn Iterator<Item = &Term<&str>>| {
        let mut all = 1_u64;
        for term in terms {
            all = all.saturating_mul(results(term)?);
        }
        Some(all)
    };
    match term {
        Term::Id | Term::Num(_) | Term::Arr(None) => Some(1),
        Term::Recurse => Some(ITERATION),
        Term::Str(_, parts) => product(&mut parts.iter().filter_map(|part| match part {
            StrPart::Term(term) => Some(term),
            _ => None,
        })),
        Term::Arr(Some(inner)) | Term::Neg(inner) => results(inner),
        Term::Obj(members) => product(
            &mut members
                .iter()
                .flat_map(|(key, value)| std::iter::once(key).chain(value)),
        ),
        Term::BinOp(left, operator, right) => {
            let (left, right) = (results(left)?, results(right)?);
            match operator {
                BinaryOp::Comma | BinaryOp::Alt => Some(left.saturating_add(right)),
                BinaryOp::Pipe(None) | BinaryOp::Or | BinaryOp::And | BinaryOp::Cmp(_) => {
                    Some(left.saturating_mul(right))
                }
                // An assignment selects no path; gojq refuses it when it runs.
                BinaryOp::Assign => Some(left.saturating_mul(right)),
                _ => None,
            }
        }
        Term::TryCatch(inner, handler) => {
            product(&mut std::iter::once(&**inner).chain(handler.as_deref()))
        }
        Term::IfThenElse(branches, otherwise) => product(
            &mut branches
                .iter()
                .flat_map(|(condition, then)| [condition, then])
                .chain(otherwise.as_deref()),
        ),
        Term::Call(name, arguments) => {
            let (_, _, iterates) = FUNCTIONS
                .iter()
                .find(|(function, arity, _)| function == name && *arity == arguments.len())?;
            let own = if *iterates { ITERATION } else { 1 };
            Some(own.saturating_mul(product(&mut arguments.iter())?))
        }
        Term::Path(start, Path(parts)) => {
            let mut all = results(start)?;
            for (part, _) in parts {
                let own = match part {
                    Part::Index(index) => results(index)?,
                    Part::Range(from, to) => {
                        let bounds = product(&mut from.iter().chain(to))?;
                        let iterated = if from.is_none() && to.is_none() {
                            ITERATION
                        } else {
                            1
                        };
                        bounds.saturating_mul(iterated)
                    }
                };
                all = all.saturating_mul(own);
            }
            Some(all)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Value {
        json!({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "app", "image": "a"}]}}}})
    }

    fn hides_replicas(expression: &str) -> bool {
        let mut object = deployment();
        JqPath::compile(expression)
            .unwrap()
            .delete_from(&mut object);
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
            assert_eq!(
                JqPath::compile(expression).unwrap_err(),
                JqError::Syntax,
                "{expression}"
            );
        }
    }

    #[test]
    fn what_could_run_away_is_not_run() {
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
        ] {
            assert_eq!(
                JqPath::compile(expression).unwrap_err(),
                JqError::TooComplex,
                "{expression}"
            );
        }
        assert_eq!(
            JqPath::compile(&"(".repeat(500)).unwrap_err(),
            JqError::TooComplex
        );
    }

    proptest::proptest! {
        #[test]
        fn no_expression_panics(expression in "[.a-z|()\\[\\]{},\"$=<>! ]{0,40}") {
            if let Ok(path) = JqPath::compile(&expression) {
                path.delete_from(&mut deployment());
            }
        }
    }
}
