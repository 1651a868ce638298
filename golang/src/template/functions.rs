//! The functions of a template: Go's own, Sprig's, and those that a program adds.
//!
//! Each stands in one table with the types of its Go parameters. Arguments are checked against
//! them before the function is called, as Go's reflection does, so that a function sees what it
//! asked for.

mod builtins;
mod dictionaries;
mod encoding;
mod lists;
mod numbers;
mod paths;
mod reflection;
mod regular_expressions;
mod strings;
mod undecided;
mod urls;
mod versions;
mod yaml;

use std::collections::{BTreeSet, HashMap};

pub use yaml::FUNCTIONS as YAML_FUNCTIONS;

use super::value::Value;
use super::{TemplateError, fails, undecided as not_known};
use crate::work::{PLACE, STEP, Work};

/// What a function returns.
pub type Outcome = Result<Value, TemplateError>;

/// The type of a parameter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Argument {
    /// `interface {}`, or `reflect.Value`.
    Any,
    /// `string`.
    Text,
    /// `int`.
    Int,
    /// `bool`.
    Bool,
    /// `float64`.
    Float,
    /// `map[string]interface {}`.
    Dictionary,
}

impl Argument {
    pub(super) fn can_be_nil(self) -> bool {
        matches!(self, Argument::Any | Argument::Dictionary)
    }

    pub(super) fn type_name(self) -> &'static str {
        match self {
            Argument::Any => "interface {}",
            Argument::Text => "string",
            Argument::Int => "int",
            Argument::Bool => "bool",
            Argument::Float => "float64",
            Argument::Dictionary => "map[string]interface {}",
        }
    }
}

/// A function and its Go signature.
#[derive(Debug)]
pub struct Function {
    pub(super) name: &'static str,
    parameters: &'static [Argument],
    variadic: Option<Argument>,
    /// Its result does not depend on the order of the list that it is given.
    ignores_order: bool,
    /// What it makes of a version is known here.
    takes_versions: bool,
    pub(super) body: Body,
}

/// What a function does.
#[derive(Debug)]
pub(super) enum Body {
    /// `and`, which evaluates its arguments only as far as it needs.
    And,
    /// `or`, which does the same.
    Or,
    /// Anything that can be computed from its arguments.
    Call(fn(&Work, &[Value]) -> Outcome),
    /// The same where nothing can go wrong.
    Plain(fn(&[Value]) -> Value),
    /// It exists, but what it returns is not known here.
    Undecided,
}

impl Function {
    /// A function of as many arguments, which are of these types when it is called.
    pub const fn new(
        name: &'static str,
        parameters: &'static [Argument],
        call: fn(&Work, &[Value]) -> Outcome,
    ) -> Self {
        Function {
            name,
            parameters,
            variadic: None,
            ignores_order: false,
            takes_versions: false,
            body: Body::Call(call),
        }
    }

    const fn plain(
        name: &'static str,
        parameters: &'static [Argument],
        call: fn(&[Value]) -> Value,
    ) -> Self {
        Function {
            name,
            parameters,
            variadic: None,
            ignores_order: false,
            takes_versions: false,
            body: Body::Plain(call),
        }
    }

    /// The same, with any number of further arguments of this type.
    #[must_use]
    pub const fn variadic(mut self, argument: Argument) -> Self {
        self.variadic = Some(argument);
        self
    }

    const fn takes_versions(mut self) -> Self {
        self.takes_versions = true;
        self
    }

    const fn ignores_order(mut self) -> Self {
        self.ignores_order = true;
        self
    }

    /// A function that exists, but of which nobody here knows what it returns.
    pub const fn undecided(name: &'static str) -> Self {
        Function::with_body(name, Body::Undecided)
    }

    const fn with_body(name: &'static str, body: Body) -> Self {
        Function {
            name,
            parameters: &[],
            variadic: Some(Argument::Any),
            ignores_order: false,
            takes_versions: false,
            body,
        }
    }

    const fn at_least_one(mut self) -> Self {
        self.parameters = &[Argument::Any];
        self
    }

    /// Whether it may be called with so many arguments.
    pub(super) fn takes(&self, count: usize) -> Result<(), TemplateError> {
        let expected = self.parameters.len();
        let fits = match self.variadic {
            Some(_) => count >= expected,
            None => count == expected,
        };
        if fits {
            return Ok(());
        }
        let least = if self.variadic.is_some() {
            "at least "
        } else {
            ""
        };
        Err(fails(format!(
            "wrong number of args for {}: want {least}{expected} got {count}",
            self.name
        )))
    }

    /// The type of an argument.
    pub(super) fn argument(&self, index: usize) -> Argument {
        let parameter = self.parameters.get(index).copied();
        parameter.or(self.variadic).unwrap_or(Argument::Any)
    }

    /// Calls the function with arguments of the right types. A call costs the size of its
    /// arguments; functions that look deeper into them, or return something larger, pay for that
    /// themselves.
    pub(super) fn call(&self, work: &Work, arguments: &[Value]) -> Outcome {
        let mut cost = STEP;
        for argument in arguments {
            if !self.ignores_order {
                argument.ordered()?;
            }
            if !self.takes_versions && matches!(argument, Value::Version(_)) {
                return Err(not_known("a version as an argument"));
            }
            cost += match argument {
                Value::Text(text) => text.len() as u64,
                Value::List(list) => list.items().len() as u64,
                _ => PLACE,
            };
        }
        work.spend(cost)?;
        let outcome = match &self.body {
            Body::Call(call) => call(work, arguments),
            Body::Plain(call) => Ok(call(arguments)),
            Body::And | Body::Or | Body::Undecided => {
                Err(not_known(&format!("the function {}", self.name)))
            }
        };
        outcome.map_err(|error| match error {
            TemplateError::Fails(message) => {
                fails(format!("error calling {}: {message}", self.name))
            }
            other => other,
        })
    }
}

/// The functions that templates may call, by their names.
#[derive(Debug)]
pub struct Functions(HashMap<&'static str, &'static Function>);

impl Functions {
    /// Go's own functions and Sprig's, without `env`, `expandenv` and `getHostByName`, which ask
    /// the machine that they run on.
    pub fn sprig() -> Self {
        let groups = [
            builtins::FUNCTIONS,
            dictionaries::FUNCTIONS,
            encoding::FUNCTIONS,
            lists::FUNCTIONS,
            numbers::FUNCTIONS,
            paths::FUNCTIONS,
            reflection::FUNCTIONS,
            regular_expressions::FUNCTIONS,
            strings::FUNCTIONS,
            undecided::FUNCTIONS,
            urls::FUNCTIONS,
            versions::FUNCTIONS,
        ];
        let none = Functions(HashMap::new());
        groups.into_iter().fold(none, Functions::with)
    }

    /// The same and these, which replace what has their names.
    #[must_use]
    pub fn with(mut self, functions: &'static [Function]) -> Self {
        let named = functions.iter().map(|function| (function.name, function));
        self.0.extend(named);
        self
    }

    /// The names of all of them, in their order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let names: BTreeSet<_> = self.0.keys().copied().collect();
        names.into_iter()
    }

    /// The function of this name.
    pub(super) fn find(&self, name: &str) -> Option<&'static Function> {
        self.0.get(name).copied()
    }
}

// What a function was given. The types have been checked.

fn any(arguments: &[Value], index: usize) -> &Value {
    arguments.get(index).unwrap_or(&Value::Nil)
}

fn text(arguments: &[Value], index: usize) -> &str {
    match arguments.get(index) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

fn int(arguments: &[Value], index: usize) -> i64 {
    match arguments.get(index) {
        Some(Value::Int(value)) => *value,
        _ => 0,
    }
}

fn boolean(arguments: &[Value], index: usize) -> bool {
    matches!(arguments.get(index), Some(Value::Bool(true)))
}

/// The arguments from this one on.
fn rest(arguments: &[Value], start: usize) -> &[Value] {
    arguments.get(start..).unwrap_or_default()
}
