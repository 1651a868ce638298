//! Go's `text/template`, with Sprig's functions and those that a program adds.
//!
//! ```text
//!   text ──lexer──> tokens ──parser──> Tree ──execute──> output
//!                                        │       │
//!                                 Functions   Parameters, Work
//! ```
//!
//! It follows Go 1.26 and Sprig 3.3, down to the Go types of values: they decide what an argument
//! may be, what a missing key gives and how a number prints. Where what Go would do cannot be
//! known from the template and its parameters, or not with certainty, the answer is
//! [`TemplateError::Undecided`], never a guess.
//!
//! Templates come from people who are not trusted, so everything that they do is counted as
//! [`Work`] before it is done, and nothing nests deeper than a fixed limit.

mod execute;
mod format;
mod functions;
mod lexer;
mod parser;
mod value;
mod version;

pub use functions::{Argument, Function, Functions, Outcome, YAML_FUNCTIONS};
pub use value::{List, Map, Value};
pub use version::Version;

use crate::work::{TooMuchWork, Work};
use value::{Element, Typed};

/// Why a template has no output.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TemplateError {
    /// Go fails on it too, for this reason.
    #[error("{0}")]
    Fails(String),
    /// What Go makes of it is not known here, because of this.
    #[error("it depends on {0}")]
    Undecided(String),
    /// It asks for more than is done here, in this way.
    #[error("{0}")]
    TooMuch(&'static str),
}

impl From<TooMuchWork> for TemplateError {
    fn from(_: TooMuchWork) -> Self {
        TemplateError::TooMuch("its templates do too much work")
    }
}

fn fails(message: impl Into<String>) -> TemplateError {
    TemplateError::Fails(message.into())
}

fn undecided(what: &str) -> TemplateError {
    TemplateError::Undecided(what.to_owned())
}

/// What a key gives that a map does not have: the option `missingkey`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum MissingKey {
    /// No value, which prints as `<no value>`.
    #[default]
    Invalid,
    /// The zero value of the map's type.
    Zero,
    /// An error.
    Error,
}

/// What several templates share: their options, the functions that they may call, and the work
/// that remains for them.
#[derive(Clone, Debug)]
pub struct Engine {
    missing_key: MissingKey,
    functions: &'static Functions,
    work: Work,
}

impl Engine {
    /// An engine with options (`Template.Option`) and functions (`Template.Funcs`).
    ///
    /// # Errors
    /// [`TemplateError::Fails`] for an option that Go does not know: it panics on it.
    pub fn new(
        options: &[String],
        functions: &'static Functions,
        work: Work,
    ) -> Result<Engine, TemplateError> {
        let mut missing_key = MissingKey::default();
        for option in options {
            missing_key = match option.as_str() {
                "missingkey=default" | "missingkey=invalid" => MissingKey::Invalid,
                "missingkey=zero" => MissingKey::Zero,
                "missingkey=error" => MissingKey::Error,
                _ => {
                    return Err(fails(format!(
                        "unrecognized option {option:?}, expected missingkey=default, \
                         missingkey=zero or missingkey=error"
                    )));
                }
            };
        }
        Ok(Engine {
            missing_key,
            functions,
            work,
        })
    }

    /// Compiles a template. A text without an action becomes one that costs nothing to execute.
    ///
    /// # Errors
    /// The text is not a template, or nests too deeply.
    pub fn parse(&self, text: &str) -> Result<GoTemplate, TemplateError> {
        if !text.contains("{{") {
            return Ok(GoTemplate(Form::Literal(text.to_owned())));
        }
        self.work.places(text.len())?;
        Ok(GoTemplate(Form::Actions {
            tree: Box::new(parser::parse(text, self.functions)?),
            engine: self.clone(),
        }))
    }
}

/// A compiled template.
#[derive(Debug)]
pub struct GoTemplate(Form);

#[derive(Debug)]
enum Form {
    Literal(String),
    Actions {
        tree: Box<parser::Tree>,
        engine: Engine,
    },
}

impl GoTemplate {
    /// Executes the template with these parameters.
    ///
    /// # Errors
    /// Go would fail, what it would do is not known, or the work is used up.
    pub fn execute(&self, parameters: &Parameters) -> Result<String, TemplateError> {
        match &self.0 {
            Form::Literal(text) => Ok(text.clone()),
            Form::Actions { tree, engine } => {
                let parameters = parameters.0.as_ref().map_err(TemplateError::clone)?;
                execute::execute(tree, engine.missing_key, &engine.work, parameters)
            }
        }
    }

    /// Whether the template is plain text, the same for all parameters.
    pub fn is_literal(&self) -> bool {
        matches!(self.0, Form::Literal(_))
    }
}

/// The parameters of a template, converted once for all templates.
///
/// Numbers are `float64`, as `encoding/json` reads them into an `any`. What cannot be converted,
/// because it nests too deeply, shows when a template is executed.
#[derive(Clone, Debug)]
pub struct Parameters(Result<Map, TemplateError>);

impl From<&serde_json::Map<String, serde_json::Value>> for Parameters {
    fn from(parameters: &serde_json::Map<String, serde_json::Value>) -> Self {
        let members = value::members_from_json(parameters);
        Parameters(members.and_then(|members| Map::fixed(Element::Any, members)))
    }
}

impl Parameters {
    /// Parameters of which some maps are `map[string]string`.
    ///
    /// It makes a difference: what such a map does not have is `""` to `index`, and to a missing
    /// key with `missingkey=zero`, and functions that take a `map[string]any` refuse it.
    /// `is_string_map` is asked for each map of strings, with the keys that lead to it; items of
    /// a list have the key `*`.
    pub fn with_string_maps(
        parameters: &serde_json::Map<String, serde_json::Value>,
        is_string_map: impl Fn(&[&str]) -> bool,
    ) -> Self {
        let mut typed = Typed {
            is_string_map,
            path: Vec::new(),
        };
        let members = typed.members(parameters);
        Parameters(members.and_then(|members| Map::fixed(Element::Any, members)))
    }
}

#[cfg(test)]
mod tests;
