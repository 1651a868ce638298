//! A tree of JSON whose strings are templates, compiled once and rendered for each set of
//! parameters.
//!
//! Follows Argo CD 3.5, `deeplyReplace` in `applicationset/utils/utils.go`: every string value and
//! every key is a template of its own; numbers and booleans are not touched.

use std::cell::OnceCell;

use serde_json::{Map, Value};

use golang::template::{Engine, GoTemplate, Parameters, TemplateError};
use golang::work::{TooMuchWork, Work};

use super::fast_template::{FastTemplate, Unclosed};
use super::functions::FUNCTIONS;
use super::parameters::{ParameterSet, StringMaps};

/// The language of an ApplicationSet's templates, and how much work is left.
pub(super) struct Language {
    /// `None` for the plain substitution.
    engine: Option<Engine>,
    /// The same with `missingkey=error`, to find out whether all keys are known.
    strict: Option<Engine>,
    work: Work,
}

/// A template that cannot be compiled or rendered, and where it stands.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct RenderError {
    /// JSON Pointer, relative to the tree.
    pub(super) field: String,
    #[source]
    pub(super) reason: RenderErrorReason,
}

/// What is the matter with a template.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum RenderErrorReason {
    #[error(transparent)]
    Go(#[from] TemplateError),
    #[error(transparent)]
    Fast(#[from] Unclosed),
}

impl From<TemplateError> for RenderError {
    fn from(error: TemplateError) -> Self {
        RenderError::new(error)
    }
}

impl From<TooMuchWork> for RenderError {
    fn from(error: TooMuchWork) -> Self {
        RenderError::new(TemplateError::from(error))
    }
}

impl RenderError {
    fn new(reason: impl Into<RenderErrorReason>) -> Self {
        RenderError {
            field: String::new(),
            reason: reason.into(),
        }
    }

    fn below(mut self, segment: &str) -> Self {
        let escaped = segment.replace('~', "~0").replace('/', "~1");
        self.field.insert_str(0, &escaped);
        self.field.insert(0, '/');
        self
    }
}

/// The parameters that one Application is rendered with.
pub(super) struct Bindings<'p> {
    set: &'p ParameterSet,
    /// Converted when a Go template asks for them first.
    converted: OnceCell<Parameters>,
}

impl<'p> Bindings<'p> {
    pub(super) fn new(set: &'p ParameterSet) -> Self {
        Bindings {
            set,
            converted: OnceCell::new(),
        }
    }

    fn converted(&self) -> &Parameters {
        self.converted.get_or_init(|| {
            let StringMaps {
                values,
                labels,
                annotations,
                flat_list,
            } = self.set.string_maps;
            Parameters::with_string_maps(&self.set.values, |path| match path {
                ["values"] => values,
                ["metadata", "labels"] => labels,
                ["metadata", "annotations"] => annotations,
                ["clusters", "*", "values"]
                | ["clusters", "*", "metadata", "labels" | "annotations"] => flat_list,
                _ => false,
            })
        })
    }
}

/// The part of a generator that a string is in.
#[derive(Clone, Copy, Eq, PartialEq)]
enum GeneratorPart {
    /// Among generators by their names.
    Generators,
    /// In a generator.
    Generator,
    /// In its `values`.
    Values,
    /// Anywhere else.
    Elsewhere,
}

impl GeneratorPart {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (GeneratorPart::Generators, "list" | "selector") => GeneratorPart::Elsewhere,
            (GeneratorPart::Generators, _) => GeneratorPart::Generator,
            (GeneratorPart::Generator, "values") | (GeneratorPart::Values, _) => {
                GeneratorPart::Values
            }
            (GeneratorPart::Generator, "generators") => GeneratorPart::Generators,
            _ => GeneratorPart::Elsewhere,
        }
    }
}

/// A compiled text.
pub(super) enum TextTemplate {
    Literal(String),
    Fast(FastTemplate),
    Go(GoTemplate),
}

/// A compiled tree.
pub(super) enum Tree {
    Constant(Value),
    Text(TextTemplate),
    /// A template that stays as it is written where not all of its keys are known.
    IfKnown(GoTemplate, String),
    List(Vec<Tree>),
    Map(Vec<(String, Key, Tree)>),
}

/// A key of an object; nearly all are literal.
pub(super) enum Key {
    Literal,
    Template(TextTemplate),
}

impl Language {
    /// The language that `goTemplate` and `goTemplateOptions` ask for.
    pub(super) fn new(
        go_template: bool,
        options: &[String],
        work: Work,
    ) -> Result<Self, TemplateError> {
        if !go_template {
            return Ok(Language {
                engine: None,
                strict: None,
                work,
            });
        }
        let strict: Vec<String> = options
            .iter()
            .cloned()
            .chain(["missingkey=error".to_owned()])
            .collect();
        Ok(Language {
            engine: Some(Engine::new(options, &FUNCTIONS, work.clone())?),
            strict: Some(Engine::new(&strict, &FUNCTIONS, work.clone())?),
            work,
        })
    }

    pub(super) fn is_go(&self) -> bool {
        self.engine.is_some()
    }

    /// The work that is left.
    pub(super) fn work(&self) -> &Work {
        &self.work
    }

    /// Compiles one text.
    pub(super) fn text(&self, text: &str) -> Result<TextTemplate, RenderError> {
        if !text.contains("{{") {
            return Ok(TextTemplate::Literal(text.to_owned()));
        }
        if let Some(engine) = &self.engine {
            let template = engine.parse(text).map_err(RenderError::new)?;
            return Ok(TextTemplate::Go(template));
        }
        let template = FastTemplate::parse(text).map_err(RenderError::new)?;
        Ok(if template.is_literal() {
            TextTemplate::Literal(text.to_owned())
        } else {
            TextTemplate::Fast(template)
        })
    }

    /// Compiles a tree.
    pub(super) fn tree(&self, value: &Value) -> Result<Tree, RenderError> {
        self.subtree(value, GeneratorPart::Elsewhere)
    }

    /// Compiles a generator that is a template for the parameters of another one. What its `values`
    /// do not find there may be a parameter of its own, and stays as it is written.
    pub(super) fn generator_tree(&self, value: &Value) -> Result<Tree, RenderError> {
        self.subtree(value, GeneratorPart::Generators)
    }

    fn subtree(&self, value: &Value, place: GeneratorPart) -> Result<Tree, RenderError> {
        Ok(match value {
            Value::String(text) => match (self.text(text)?, &self.strict) {
                (TextTemplate::Literal(text), _) => Tree::Constant(Value::String(text)),
                (TextTemplate::Go(_), Some(strict)) if place == GeneratorPart::Values => {
                    let template = strict.parse(text).map_err(RenderError::new)?;
                    Tree::IfKnown(template, text.clone())
                }
                (template, _) => Tree::Text(template),
            },
            Value::Array(items) => {
                let trees = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        self.subtree(item, place)
                            .map_err(|error| error.below(&index.to_string()))
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                if trees.iter().all(Tree::is_constant) {
                    Tree::Constant(value.clone())
                } else {
                    Tree::List(trees)
                }
            }
            Value::Object(members) => {
                let trees = members
                    .iter()
                    .map(|(key, member)| self.member(key, member, place.below(key)))
                    .collect::<Result<Vec<_>, _>>()?;
                let constant = |(_, key, tree): &(String, Key, Tree)| {
                    matches!(key, Key::Literal) && tree.is_constant()
                };
                if trees.iter().all(constant) {
                    Tree::Constant(value.clone())
                } else {
                    Tree::Map(trees)
                }
            }
            constant => Tree::Constant(constant.clone()),
        })
    }

    fn member(
        &self,
        key: &str,
        member: &Value,
        place: GeneratorPart,
    ) -> Result<(String, Key, Tree), RenderError> {
        let compiled = match self.text(key)? {
            TextTemplate::Literal(_) => Key::Literal,
            template => Key::Template(template),
        };
        let tree = self
            .subtree(member, place)
            .map_err(|error| error.below(key))?;
        Ok((key.to_owned(), compiled, tree))
    }

    /// Renders one text.
    pub(super) fn render_text(
        &self,
        template: &TextTemplate,
        bindings: &Bindings<'_>,
    ) -> Result<String, RenderError> {
        let text = match template {
            TextTemplate::Literal(text) => text.clone(),
            TextTemplate::Fast(template) => template.render(&bindings.set.values),
            TextTemplate::Go(template) => {
                return template
                    .execute(bindings.converted())
                    .map_err(RenderError::new);
            }
        };
        self.spend(text.len())?;
        Ok(text)
    }

    /// Renders a tree.
    pub(super) fn render(
        &self,
        tree: &Tree,
        bindings: &Bindings<'_>,
    ) -> Result<Value, RenderError> {
        Ok(match tree {
            Tree::Constant(value) => {
                self.spend(size(value))?;
                value.clone()
            }
            Tree::Text(template) => Value::String(self.render_text(template, bindings)?),
            Tree::IfKnown(template, written) => match template.execute(bindings.converted()) {
                Err(TemplateError::Fails(_)) => Value::String(written.clone()),
                rendered => Value::String(rendered.map_err(RenderError::new)?),
            },
            Tree::List(trees) => trees
                .iter()
                .enumerate()
                .map(|(index, tree)| {
                    self.render(tree, bindings)
                        .map_err(|error| error.below(&index.to_string()))
                })
                .collect::<Result<_, _>>()?,
            Tree::Map(trees) => {
                let mut members = Map::new();
                for (written, key, tree) in trees {
                    let value = self
                        .render(tree, bindings)
                        .map_err(|error| error.below(written))?;
                    let key = match key {
                        Key::Literal => written.clone(),
                        Key::Template(template) => self.render_text(template, bindings)?,
                    };
                    members.insert(key, value);
                }
                Value::Object(members)
            }
        })
    }

    fn spend(&self, amount: usize) -> Result<(), RenderError> {
        let amount = u64::try_from(amount).unwrap_or(u64::MAX);
        Ok(self.work.spend(amount.saturating_add(1))?)
    }
}

impl Tree {
    /// Whether nothing in it is a template.
    pub(super) fn is_constant(&self) -> bool {
        matches!(self, Tree::Constant(_))
    }
}

/// How much work it is to write or copy a value, roughly in bytes.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => PLACE + text.len(),
        Value::Array(items) => PLACE + items.iter().map(size).sum::<usize>(),
        Value::Object(members) => PLACE + size_of_members(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => PLACE,
    }
}

/// The same of the members of an object.
pub(super) fn size_of_members(members: &Map<String, Value>) -> usize {
    let member = |(key, value): (&String, &Value)| PLACE + key.len() + size(value);
    members.iter().map(member).sum()
}

/// What is counted for a value beside its text.
const PLACE: usize = 64;

/// How much memory a value takes, in bytes: at most, and what an allocator adds included.
pub(super) fn memory(value: &Value) -> usize {
    const PIECE: usize = 32;
    size_of::<Value>()
        + match value {
            Value::String(text) => PIECE + text.len(),
            Value::Array(items) => PIECE + items.iter().map(memory).sum::<usize>(),
            Value::Object(members) => memory_of_members(members),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

/// The same of the members of an object.
pub(super) fn memory_of_members(members: &Map<String, Value>) -> usize {
    /// A node of a `BTreeMap` has room for eleven entries. It has five at least, once there is
    /// another one.
    const NODE: usize = 16 + 11 * (size_of::<String>() + size_of::<Value>());
    let nodes = match members.len() {
        0 => 0,
        1..=11 => 1,
        entries => entries.div_ceil(5),
    };
    let member = |(key, value): (&String, &Value)| 32 + key.len() + memory(value);
    nodes * NODE + members.iter().map(member).sum::<usize>()
}
