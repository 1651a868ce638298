//! jq paths: what `del(<expression>)` takes out of an object.
//!
//! Argo CD runs gojq and gives an expression one second. Whoever may write an Application may write
//! the expression, so here its work is counted and not its time, and the memory that it may take is
//! bounded by its work. What goes beyond that, or uses a part of jq that is not worked out here, is
//! [`Undecided`]. Nearly all real ones are plain paths, which need no interpreter at all.

mod lexer;
mod names;
mod prelude;
mod run;
mod syntax;
mod value;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

pub(super) use self::run::Conditions;
use self::run::{Run, apart};
use self::syntax::{SyntaxError, Term};
use self::value::{Stop, Val};

/// A compiled expression.
#[derive(Clone)]
pub(super) struct JqPath(Kind);

#[derive(Clone)]
enum Kind {
    /// `.spec.replicas`: the names on the way.
    Plain(Arc<[Box<str>]>),
    Program(Arc<Term>),
    /// Too long or nested too deeply to be read.
    Unread,
}

/// An expression that does not compile. Argo CD fails the whole comparison then.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is not valid jq")]
pub struct JqError;

/// What an expression deletes is not known here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Undecided;

/// Longest expression, in bytes.
const LENGTH_LIMIT: usize = 4 * 1024;

impl fmt::Debug for JqPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Plain(names) => write!(formatter, "JqPath(.{})", names.join(".")),
            Kind::Program(_) => formatter.write_str("JqPath(program)"),
            Kind::Unread => formatter.write_str("JqPath(unread)"),
        }
    }
}

impl JqPath {
    /// Compiles an expression, which takes time in proportion to its length.
    ///
    /// # Errors
    /// gojq would not compile it.
    pub(super) fn compile(expression: &str) -> Result<Self, JqError> {
        if expression.len() > LENGTH_LIMIT {
            return Ok(JqPath(Kind::Unread));
        }
        // As Argo CD writes it: a comment swallows the bracket, and an expression may close it.
        match syntax::parse(&format!("del({expression})")) {
            Ok(program) => {
                names::check(&program)?;
                let plain = plain_path(&program).map(Kind::Plain);
                Ok(JqPath(
                    plain.unwrap_or_else(|| Kind::Program(Arc::new(program))),
                ))
            }
            Err(SyntaxError::TooDeep) => Ok(JqPath(Kind::Unread)),
            Err(SyntaxError::Invalid) => Err(JqError),
        }
    }

    /// Deletes from an object what the expression selects, and takes what that needs off the work
    /// that is left. An expression that fails on this object deletes nothing.
    pub(super) fn delete_from(
        &self,
        object: &mut Value,
        conditions: Conditions,
        work: &mut u64,
    ) -> Result<(), Undecided> {
        match &self.0 {
            Kind::Plain(names) => {
                delete_plain(object, names);
                Ok(())
            }
            Kind::Program(program) => {
                let run = Run::new(conditions, *work);
                let outcome = result(&run, program, object);
                *work = run.left();
                match outcome {
                    Ok(result) => *object = result,
                    Err(Stop::Unknown) => return Err(Undecided),
                    Err(_) => {}
                }
                Ok(())
            }
            Kind::Unread => Err(Undecided),
        }
    }
}

/// The one result of a program. Argo CD leaves an object as it is if there is none, or several.
fn result(run: &Run, program: &Term, object: &Value) -> Result<Value, Stop> {
    let input = Val::from_json(object)?;
    run.read_whole(&input)?;
    let mut only = None;
    run.term(program, &None, apart(input), &mut |state| {
        if only.is_some() {
            return Err(Stop::Halts);
        }
        only = Some(state.value);
        Ok(())
    })
    .map_err(|stop| match stop {
        // A failure behind the first result is a second one.
        Stop::Unknown => Stop::Unknown,
        _ => Stop::Halts,
    })?;
    let result = only.ok_or(Stop::Halts)?;
    run.read_whole(&result)?;
    result.to_json().ok_or(Stop::Halts)
}

fn plain_path(program: &Term) -> Option<Arc<[Box<str>]>> {
    let Term::Call(_, arguments) = program else {
        return None;
    };
    let mut term = arguments.first()?;
    let mut names = Vec::new();
    while let Term::Index(way, key) = term {
        let Term::Text(name) = &**key else {
            return None;
        };
        names.push(name.clone());
        term = way;
    }
    names.reverse();
    (matches!(term, Term::Identity) && !names.is_empty()).then(|| names.into())
}

fn delete_plain(object: &mut Value, names: &[Box<str>]) {
    let Some((last, way)) = names.split_last() else {
        return;
    };
    let parent = way
        .iter()
        .try_fold(object, |value, name| value.get_mut(&**name));
    if let Some(Value::Object(members)) = parent {
        Map::remove(members, &**last);
    }
}
