//! The execution of a tree, as Go's `text/template/exec.go` does it.

use std::sync::Arc;

use super::functions::{Argument, Body, Function};
use super::parser::{Branch, Command, Name, Node, Number, Operand, Pipe, Tree};
use super::value::{Map, Value};
use super::version::Version;
use super::{MissingKey, TemplateError, fails, format, undecided};
use crate::work::{STEP, Work};

/// Nodes, pipelines and templates may be this deep within each other: a template that calls
/// itself ends here, long before Go would end it.
const DEPTH_LIMIT: usize = 160;

/// Executes a tree and returns its output.
pub(super) fn execute(
    tree: &Tree,
    missing_key: MissingKey,
    work: &Work,
    parameters: &Map,
) -> Result<String, TemplateError> {
    let dot = Value::Map(parameters.clone());
    let mut execution = Execution {
        tree,
        missing_key,
        work,
        depth: 0,
        variables: vec![(Name::from("$"), dot.clone())],
        output: String::new(),
    };
    execution.walk(&dot, &tree.root)?;
    Ok(execution.output)
}

struct Execution<'e> {
    tree: &'e Tree,
    missing_key: MissingKey,
    work: &'e Work,
    depth: usize,
    variables: Vec<(Name, Value)>,
    output: String,
}

/// Where to go on after a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

type Outcome = Result<Value, TemplateError>;

impl<'e> Execution<'e> {
    fn enter(&mut self) -> Result<(), TemplateError> {
        self.work.spend(STEP)?;
        if self.depth == DEPTH_LIMIT {
            return Err(TemplateError::TooMuch(
                "its templates call each other too deeply",
            ));
        }
        self.depth += 1;
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), TemplateError> {
        self.work.bytes(text.len())?;
        self.output.push_str(text);
        Ok(())
    }

    fn walk(&mut self, dot: &Value, nodes: &'e [Node]) -> Result<Flow, TemplateError> {
        self.enter()?;
        for node in nodes {
            let flow = self.node(dot, node)?;
            if flow != Flow::Next {
                self.depth -= 1;
                return Ok(flow);
            }
        }
        self.depth -= 1;
        Ok(Flow::Next)
    }

    fn node(&mut self, dot: &Value, node: &'e Node) -> Result<Flow, TemplateError> {
        self.work.spend(STEP)?;
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.print(&value)?;
                }
            }
            Node::If(branch) => return self.branch(dot, branch, false),
            Node::With(branch) => return self.branch(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template(name, pipe) => self.template(dot, name, pipe.as_ref())?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, value: &Value) -> Result<(), TemplateError> {
        match value {
            Value::Missing | Value::Nil => self.write("<no value>"),
            Value::Text(text) => self.write(text),
            value => {
                let mut text = format::Text::new(self.work);
                text.print(value)?;
                self.write(&text.finish())
            }
        }
    }

    fn branch(
        &mut self,
        dot: &Value,
        branch: &'e Branch,
        is_with: bool,
    ) -> Result<Flow, TemplateError> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if !value.is_true() {
            self.walk(dot, &branch.otherwise)?
        } else if is_with {
            self.walk(&value, &branch.body)?
        } else {
            self.walk(dot, &branch.body)?
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn range(&mut self, dot: &Value, branch: &'e Branch) -> Result<Flow, TemplateError> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        value.ordered()?;
        let iterated = match &value {
            Value::List(list) => {
                let items = list.items().iter().cloned().enumerate();
                self.iterate(branch, items.map(|(index, item)| (integer(index), item)))?
            }
            Value::Map(map) => {
                let members = map.members();
                let members = members.iter();
                let members =
                    members.map(|(key, member)| (Value::Text(Arc::clone(key)), member.clone()));
                self.iterate(branch, members)?
            }
            Value::Int(count) | Value::Int64(count) => {
                if branch.pipe.variables.len() > 1 {
                    return Err(fails(format!(
                        "can't use {count} to iterate over more than one variable"
                    )));
                }
                let is_int = matches!(value, Value::Int(_));
                let number = if is_int { Value::Int } else { Value::Int64 };
                let numbers = (0..*count).map(|index| (Value::Missing, number(index)));
                self.iterate(branch, numbers)?
            }
            Value::Missing | Value::Nil => false,
            Value::Uint64(_) => return Err(undecided("`range` over a uint64")),
            value => {
                return Err(fails(format!(
                    "range can't iterate over a {}",
                    value.type_name()
                )));
            }
        };
        self.variables.truncate(mark);
        if iterated {
            return Ok(Flow::Next);
        }
        self.walk(dot, &branch.otherwise)
    }

    /// Walks the body for each item. Says whether there was one.
    fn iterate(
        &mut self,
        branch: &'e Branch,
        items: impl Iterator<Item = (Value, Value)>,
    ) -> Result<bool, TemplateError> {
        let mark = self.variables.len();
        let mut iterated = false;
        for (index, item) in items {
            iterated = true;
            self.work.spend(STEP)?;
            self.bind(branch, mark, index, &item)?;
            let flow = self.walk(&item, &branch.body)?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(iterated)
    }

    /// The pipeline of the range has pushed its variables; they take the item, and the index
    /// where there are two.
    fn bind(
        &mut self,
        branch: &Branch,
        mark: usize,
        index: Value,
        item: &Value,
    ) -> Result<(), TemplateError> {
        let values = match branch.pipe.variables.as_slice() {
            [] => return Ok(()),
            [name] => vec![(name, item.clone())],
            [first, second, ..] => vec![(first, index), (second, item.clone())],
        };
        if branch.pipe.assigns {
            for (name, value) in values {
                self.assign(name, value)?;
            }
            return Ok(());
        }
        let start = mark.saturating_sub(values.len());
        for (slot, (_, value)) in self.variables.iter_mut().skip(start).zip(values) {
            slot.1 = value;
        }
        Ok(())
    }

    fn assign(&mut self, name: &Name, value: Value) -> Result<(), TemplateError> {
        let mut variables = self.variables.iter_mut().rev();
        match variables.find(|(variable, _)| variable == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Err(fails(format!("undefined variable: {name}"))),
        }
    }

    fn template(
        &mut self,
        dot: &Value,
        name: &Name,
        pipe: Option<&'e Pipe>,
    ) -> Result<(), TemplateError> {
        let tree = self.tree;
        let Some(body) = tree.templates.get(name) else {
            return Err(fails(format!("template {name:?} not defined")));
        };
        let dot = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Missing,
        };
        self.enter()?;
        let variables = vec![(Name::from("$"), dot.clone())];
        let variables = std::mem::replace(&mut self.variables, variables);
        self.walk(&dot, body)?;
        self.variables = variables;
        self.depth -= 1;
        Ok(())
    }

    fn pipeline(&mut self, dot: &Value, pipe: &'e Pipe) -> Outcome {
        self.enter()?;
        let mut value = None;
        for command in &pipe.commands {
            value = Some(match self.command(dot, command, value)? {
                Value::Nil => Value::Missing,
                value => value,
            });
        }
        let value = value.unwrap_or(Value::Missing);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.work.spend(STEP)?;
                self.variables.push((Arc::clone(name), value.clone()));
            }
        }
        self.depth -= 1;
        Ok(value)
    }

    fn command(&mut self, dot: &Value, command: &'e Command, last: Option<Value>) -> Outcome {
        let has_arguments = !command.arguments.is_empty() || last.is_some();
        let not_a_function = || fails("can't give an argument to something that is not a function");
        match &command.first {
            Operand::Function(function) => self.call(dot, function, &command.arguments, last),
            Operand::Field(fields) => self.fields(dot.clone(), fields, has_arguments),
            Operand::Variable(name, fields) if fields.is_empty() => {
                if has_arguments {
                    return Err(not_a_function());
                }
                self.variable(name)
            }
            Operand::Variable(name, fields) => {
                let value = self.variable(name)?;
                self.fields(value, fields, has_arguments)
            }
            Operand::Chain(operand, fields) => {
                let value = self.chained(dot, operand)?;
                self.fields(value, fields, has_arguments)
            }
            _ if has_arguments => Err(not_a_function()),
            Operand::Pipe(pipe) => self.pipeline(dot, pipe),
            Operand::Nil => Err(fails("nil is not a command")),
            constant => Ok(constant_value(dot, constant)),
        }
    }

    /// What the fields of a chain are taken from.
    fn chained(&mut self, dot: &Value, operand: &'e Operand) -> Outcome {
        match operand {
            Operand::Pipe(pipe) => self.pipeline(dot, pipe),
            Operand::Function(function) => self.call(dot, function, &[], None),
            Operand::Nil => Err(fails("indirection through explicit nil")),
            other => Ok(constant_value(dot, other)),
        }
    }

    fn variable(&self, name: &Name) -> Outcome {
        let mut variables = self.variables.iter().rev();
        match variables.find(|(variable, _)| variable == name) {
            Some((_, value)) => Ok(value.clone()),
            None => Err(fails(format!("undefined variable: {name}"))),
        }
    }

    fn fields(&mut self, value: Value, fields: &[Name], has_arguments: bool) -> Outcome {
        let mut value = value;
        for (index, field) in fields.iter().enumerate() {
            self.work.spend(STEP)?;
            let has_arguments = has_arguments && index + 1 == fields.len();
            value = self.field(&value, field, has_arguments)?;
        }
        Ok(value)
    }

    fn field(&self, value: &Value, field: &str, has_arguments: bool) -> Outcome {
        let map = match value {
            Value::Missing if self.missing_key == MissingKey::Error => {
                return Err(fails(format!("nil data; no entry for key {field:?}")));
            }
            Value::Missing => return Ok(Value::Missing),
            Value::Nil => {
                return Err(fails(format!(
                    "nil pointer evaluating interface {{}}.{field}"
                )));
            }
            Value::Map(map) => map,
            Value::Version(version) => return method(version, field, has_arguments),
            other => {
                return Err(fails(format!(
                    "can't evaluate field {field} in type {}",
                    other.type_name()
                )));
            }
        };
        if has_arguments {
            return Err(fails(format!("{field} is not a method but has arguments")));
        }
        match (map.get(field), self.missing_key) {
            (Some(value), _) => Ok(value),
            (None, MissingKey::Invalid) => Ok(Value::Missing),
            (None, MissingKey::Zero) => Ok(Value::zero(map.element())),
            (None, MissingKey::Error) => Err(fails(format!("map has no entry for key {field:?}"))),
        }
    }

    /// Calls a function with its arguments, of which the last may come from the pipeline.
    fn call(
        &mut self,
        dot: &Value,
        function: &'static Function,
        arguments: &'e [Operand],
        last: Option<Value>,
    ) -> Outcome {
        let count = arguments.len() + usize::from(last.is_some());
        function.takes(count)?;
        match &function.body {
            Body::And => return self.short_circuit(dot, false, arguments, last),
            Body::Or => return self.short_circuit(dot, true, arguments, last),
            Body::Undecided => {
                return Err(undecided(&format!("the function {}", function.name)));
            }
            Body::Call(_) | Body::Plain(_) => {}
        }
        let mut values = Vec::with_capacity(count);
        for (index, operand) in arguments.iter().enumerate() {
            values.push(self.argument(dot, function.argument(index), operand)?);
        }
        if let Some(last) = last {
            values.push(validate(last, function.argument(count - 1))?);
        }
        function.call(self.work, &values)
    }

    fn short_circuit(
        &mut self,
        dot: &Value,
        stops_at: bool,
        arguments: &'e [Operand],
        last: Option<Value>,
    ) -> Outcome {
        let mut value = Value::Missing;
        for operand in arguments {
            value = self.argument(dot, Argument::Any, operand)?;
            if value.is_true() == stops_at {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn argument(&mut self, dot: &Value, argument: Argument, operand: &'e Operand) -> Outcome {
        let value = match operand {
            Operand::Dot => dot.clone(),
            Operand::Field(fields) => self.fields(dot.clone(), fields, false)?,
            Operand::Variable(name, fields) => {
                let value = self.variable(name)?;
                self.fields(value, fields, false)?
            }
            Operand::Pipe(pipe) => self.pipeline(dot, pipe)?,
            Operand::Function(function) => self.call(dot, function, &[], None)?,
            Operand::Chain(operand, fields) => {
                let value = self.chained(dot, operand)?;
                self.fields(value, fields, false)?
            }
            Operand::Nil if argument.can_be_nil() => Value::Missing,
            Operand::Nil => {
                return Err(fails(format!(
                    "cannot assign nil to {}",
                    argument.type_name()
                )));
            }
            Operand::Bool(_) | Operand::Number(_) | Operand::Text(_) => {
                return constant_as(argument, operand);
            }
        };
        validate(value, argument)
    }
}

/// Calls a method of a version that needs nothing else.
fn method(version: &Version, name: &str, has_arguments: bool) -> Outcome {
    let value = match name {
        "Major" => Value::Uint64(version.numbers()[0]),
        "Minor" => Value::Uint64(version.numbers()[1]),
        "Patch" => Value::Uint64(version.numbers()[2]),
        "Prerelease" => Value::from(version.prerelease()),
        "Metadata" => Value::from(version.metadata()),
        "Original" => Value::from(version.original()),
        "String" => Value::from(version.to_string()),
        "Compare" | "Equal" | "GreaterThan" | "GreaterThanEqual" | "IncMajor" | "IncMinor"
        | "IncPatch" | "LessThan" | "LessThanEqual" | "MarshalJSON" | "MarshalText" | "Scan"
        | "SetMetadata" | "SetPrerelease" | "UnmarshalJSON" | "UnmarshalText" | "Value" => {
            return Err(undecided(&format!("the method {name} of a version")));
        }
        _ => {
            return Err(fails(format!(
                "can't evaluate field {name} in type *semver.Version"
            )));
        }
    };
    if has_arguments {
        return Err(fails(format!("wrong number of args for {name}: want 0")));
    }
    Ok(value)
}

impl Number {
    /// Where nothing says which type it should have.
    fn value(self) -> Value {
        match self {
            Number {
                integer: Some(integer),
                is_float: false,
                ..
            } => Value::Int(integer),
            Number { float, .. } => Value::Float(float.unwrap_or_default()),
        }
    }
}

fn integer(index: usize) -> Value {
    Value::Int(i64::try_from(index).unwrap_or(i64::MAX))
}

/// An operand that says itself what it is.
fn constant_value(dot: &Value, operand: &Operand) -> Value {
    match operand {
        Operand::Dot => dot.clone(),
        Operand::Bool(value) => Value::Bool(*value),
        Operand::Text(text) => Value::Text(Arc::clone(text)),
        Operand::Number(number) => number.value(),
        _ => Value::Missing,
    }
}

/// A constant takes the type that is asked for.
fn constant_as(argument: Argument, operand: &Operand) -> Outcome {
    let value = match (argument, operand) {
        (Argument::Any | Argument::Bool, Operand::Bool(value)) => Some(Value::Bool(*value)),
        (Argument::Any | Argument::Text, Operand::Text(text)) => {
            Some(Value::Text(Arc::clone(text)))
        }
        (Argument::Any, Operand::Number(number)) => Some(number.value()),
        (Argument::Int, Operand::Number(number)) => number.integer.map(Value::Int),
        (Argument::Float, Operand::Number(number)) => number.float.map(Value::Float),
        _ => None,
    };
    value.ok_or_else(|| {
        fails(format!(
            "a constant of another type where a {} is expected",
            argument.type_name()
        ))
    })
}

/// Go's `validateType`.
fn validate(value: Value, argument: Argument) -> Outcome {
    let fits = match (&value, argument) {
        (Value::Missing, argument) if argument.can_be_nil() => {
            return Ok(Value::Nil);
        }
        (Value::Missing, argument) => {
            return Err(fails(format!(
                "invalid value; expected {}",
                argument.type_name()
            )));
        }
        (_, Argument::Any)
        | (Value::Text(_), Argument::Text)
        | (Value::Int(_), Argument::Int)
        | (Value::Bool(_), Argument::Bool)
        | (Value::Float(_), Argument::Float) => true,
        (Value::Map(map), Argument::Dictionary) => map.element() == super::value::Element::Any,
        _ => false,
    };
    if fits {
        return Ok(value);
    }
    Err(fails(format!(
        "wrong type for value; expected {}; got {}",
        argument.type_name(),
        value.type_name()
    )))
}
