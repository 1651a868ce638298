//! The tree of a template, as Go's `text/template/parse/parse.go` builds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::functions::{Function, Functions};
use super::lexer::{self, Kind, Token};
use super::{TemplateError, fails, undecided};
use crate::strconv::{parse_integer, whole};

/// Actions and parentheses may nest this deep.
const DEPTH_LIMIT: usize = 64;

/// The name of a field, a variable or a template.
pub(super) type Name = Arc<str>;

/// A parsed text: its root, and the templates that it defines.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Vec<Node>,
    pub(super) templates: BTreeMap<Name, Vec<Node>>,
}

#[derive(Debug)]
pub(super) enum Node {
    Text(Arc<str>),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Name, Option<Pipe>),
    Break,
    Continue,
}

/// `{{if}}`, `{{with}}` or `{{range}}`.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) assigns: bool,
    pub(super) variables: Vec<Name>,
    pub(super) commands: Vec<Command>,
}

/// An operand and its arguments.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) first: Operand,
    pub(super) arguments: Vec<Operand>,
}

#[derive(Debug)]
pub(super) enum Operand {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Text(Arc<str>),
    Field(Vec<Name>),
    Variable(Name, Vec<Name>),
    Function(&'static Function),
    Pipe(Pipe),
    Chain(Box<Operand>, Vec<Name>),
}

/// A constant, and as what it may be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    pub(super) integer: Option<i64>,
    pub(super) float: Option<f64>,
    /// Written as a float: where nothing else is asked for, it is one.
    pub(super) is_float: bool,
}

/// How a list of nodes ended.
enum Ending {
    End,
    Else,
}

enum Item {
    Node(Node),
    Ending(Ending),
}

struct Parser<'t> {
    text: &'t str,
    functions: &'t Functions,
    tokens: Vec<Token<'t>>,
    at: usize,
    variables: Vec<Name>,
    ranges: usize,
    depth: usize,
    templates: BTreeMap<Name, Vec<Node>>,
}

/// Parses a text that may call these functions.
pub(super) fn parse(text: &str, functions: &Functions) -> Result<Tree, TemplateError> {
    let mut parser = Parser {
        text,
        functions,
        tokens: lexer::tokens(text)?,
        at: 0,
        variables: vec![Name::from("$")],
        ranges: 0,
        depth: 0,
        templates: BTreeMap::new(),
    };
    let root = parser.root()?;
    Ok(Tree {
        root,
        templates: parser.templates,
    })
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Token<'t> {
        let end = Token {
            kind: Kind::End0,
            text: "",
            at: self.text.len(),
        };
        self.tokens.get(self.at).copied().unwrap_or(end)
    }

    fn next(&mut self) -> Token<'t> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.at += 1;
        }
    }

    fn next_non_space(&mut self) -> Token<'t> {
        self.skip_space();
        self.next()
    }

    fn peek_non_space(&mut self) -> Token<'t> {
        self.skip_space();
        self.peek()
    }

    fn error(&self, message: impl std::fmt::Display) -> TemplateError {
        let at = self.peek().at;
        fails(format!("line {}: {message}", lexer::line_of(self.text, at)))
    }

    fn unexpected(&mut self, token: Token<'_>, context: &str) -> TemplateError {
        self.at = self.at.saturating_sub(1);
        if token.kind == Kind::End0 {
            return self.error(format_args!("unexpected end of the template in {context}"));
        }
        self.error(format_args!("unexpected {:?} in {context}", token.text))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token<'t>, TemplateError> {
        let token = self.next_non_space();
        if token.kind == kind {
            Ok(token)
        } else {
            Err(self.unexpected(token, context))
        }
    }

    fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        if self.depth == DEPTH_LIMIT {
            return Err(TemplateError::TooMuch("a template nests too deeply"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn root(&mut self) -> Result<Vec<Node>, TemplateError> {
        let mut root = Vec::new();
        while self.peek().kind != Kind::End0 {
            if self.is_definition() {
                self.definition()?;
                continue;
            }
            match self.text_or_action()? {
                Item::Node(node) => root.push(node),
                Item::Ending(Ending::End) => return Err(self.error("unexpected {{end}}")),
                Item::Ending(Ending::Else) => return Err(self.error("unexpected {{else}}")),
            }
        }
        Ok(root)
    }

    fn is_definition(&self) -> bool {
        let mut ahead = self.tokens.iter().skip(self.at);
        let opens = ahead.next().map(|token| token.kind) == Some(Kind::LeftDelimiter);
        let mut inside = ahead.skip_while(|token| token.kind == Kind::Space);
        opens && inside.next().map(|token| token.kind) == Some(Kind::Define)
    }

    fn definition(&mut self) -> Result<(), TemplateError> {
        self.next();
        self.next_non_space();
        let name = self.template_name("define clause")?;
        self.expect(Kind::RightDelimiter, "define clause")?;
        self.named_body(name, "define clause")
    }

    /// The body of a template of its own: it sees no variables and no range from outside.
    fn named_body(&mut self, name: Name, context: &str) -> Result<(), TemplateError> {
        let variables = std::mem::replace(&mut self.variables, vec![Name::from("$")]);
        let ranges = std::mem::take(&mut self.ranges);
        let (body, ending) = self.item_list()?;
        self.variables = variables;
        self.ranges = ranges;
        if matches!(ending, Ending::Else) {
            return Err(self.error(format_args!("unexpected {{{{else}}}} in {context}")));
        }
        let is_free = self.templates.get(&name).is_none_or(|tree| is_empty(tree));
        if is_free {
            self.templates.insert(name, body);
        } else if !is_empty(&body) {
            return Err(self.error(format_args!("multiple definition of template {name:?}")));
        }
        Ok(())
    }

    fn item_list(&mut self) -> Result<(Vec<Node>, Ending), TemplateError> {
        self.deeper(|parser| {
            let mut list = Vec::new();
            while parser.peek_non_space().kind != Kind::End0 {
                match parser.text_or_action()? {
                    Item::Node(node) => list.push(node),
                    Item::Ending(ending) => return Ok((list, ending)),
                }
            }
            Err(parser.error("unexpected end of the template, an {{end}} is missing"))
        })
    }

    fn text_or_action(&mut self) -> Result<Item, TemplateError> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(Arc::from(token.text)))),
            Kind::LeftDelimiter => self.action(),
            _ => Err(self.unexpected(token, "input")),
        }
    }

    fn action(&mut self) -> Result<Item, TemplateError> {
        let token = self.peek_non_space();
        let node = match token.kind {
            Kind::Block => self.block()?,
            Kind::Break => self.loop_control(Node::Break)?,
            Kind::Continue => self.loop_control(Node::Continue)?,
            Kind::Else => {
                self.next();
                if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
                    self.expect(Kind::RightDelimiter, "else")?;
                }
                return Ok(Item::Ending(Ending::Else));
            }
            Kind::End => {
                self.next();
                self.expect(Kind::RightDelimiter, "end")?;
                return Ok(Item::Ending(Ending::End));
            }
            Kind::If => self.control(Kind::If)?,
            Kind::Range => self.control(Kind::Range)?,
            Kind::With => self.control(Kind::With)?,
            Kind::Template => self.template()?,
            _ => Node::Action(self.pipeline("command", Kind::RightDelimiter)?),
        };
        Ok(Item::Node(node))
    }

    fn loop_control(&mut self, node: Node) -> Result<Node, TemplateError> {
        let token = self.next();
        self.expect(Kind::RightDelimiter, token.text)?;
        if self.ranges == 0 {
            return Err(self.error(format_args!("{{{{{}}}}} outside {{{{range}}}}", token.text)));
        }
        Ok(node)
    }

    /// `{{if}}`, `{{range}}` or `{{with}}`, whose keyword comes next.
    fn control(&mut self, kind: Kind) -> Result<Node, TemplateError> {
        let keyword = self.next();
        let scope = self.variables.len();
        let ranges = usize::from(kind == Kind::Range);
        let pipe = self.pipeline(keyword.text, Kind::RightDelimiter)?;
        self.ranges += ranges;
        let (body, ending) = self.item_list()?;
        self.ranges -= ranges;
        let mut otherwise = Vec::new();
        if matches!(ending, Ending::Else) {
            let chains = kind != Kind::Range && self.peek().kind == kind;
            if chains {
                otherwise.push(self.deeper(|parser| parser.control(kind))?);
            } else {
                let ending;
                (otherwise, ending) = self.item_list()?;
                if matches!(ending, Ending::Else) {
                    return Err(self.error("expected end; found {{else}}"));
                }
            }
        }
        self.variables.truncate(scope);
        let branch = Branch {
            pipe,
            body,
            otherwise,
        };
        Ok(match kind {
            Kind::If => Node::If(branch),
            Kind::With => Node::With(branch),
            _ => Node::Range(branch),
        })
    }

    fn block(&mut self) -> Result<Node, TemplateError> {
        self.next();
        let name = self.template_name("block clause")?;
        let pipe = self.pipeline("block clause", Kind::RightDelimiter)?;
        self.named_body(Arc::clone(&name), "block clause")?;
        Ok(Node::Template(name, Some(pipe)))
    }

    fn template(&mut self) -> Result<Node, TemplateError> {
        self.next();
        let name = self.template_name("template clause")?;
        if self.peek_non_space().kind == Kind::RightDelimiter {
            self.next();
            return Ok(Node::Template(name, None));
        }
        let pipe = self.pipeline("template clause", Kind::RightDelimiter)?;
        Ok(Node::Template(name, Some(pipe)))
    }

    fn template_name(&mut self, context: &str) -> Result<Name, TemplateError> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Quoted | Kind::RawQuoted => self.unquote(token).map(Name::from),
            _ => Err(self.unexpected(token, context)),
        }
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe, TemplateError> {
        let (variables, assigns) = self.declarations(context)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharacterConstant
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawQuoted
                | Kind::Quoted
                | Kind::Variable
                | Kind::LeftParenthesis => {
                    self.at -= 1;
                    let command = self.command()?;
                    if !commands.is_empty() && !is_executable(&command.first) {
                        return Err(self.error(format_args!(
                            "non executable command in pipeline stage {}",
                            commands.len() + 1
                        )));
                    }
                    commands.push(command);
                }
                _ => return Err(self.unexpected(token, context)),
            }
        }
        if commands.is_empty() {
            return Err(self.error(format_args!("missing value for {context}")));
        }
        Ok(Pipe {
            assigns,
            variables,
            commands,
        })
    }

    /// `$x :=`, `$x =` or, for a range, `$i, $x :=`.
    fn declarations(&mut self, context: &str) -> Result<(Vec<Name>, bool), TemplateError> {
        let mut variables = Vec::new();
        loop {
            let token = self.peek_non_space();
            if token.kind != Kind::Variable {
                return Ok((variables, false));
            }
            let start = self.at;
            self.next();
            let after = self.peek_non_space();
            match after.kind {
                Kind::Assign | Kind::Declare => {
                    self.next();
                    self.declare(token, &mut variables);
                    return Ok((variables, after.kind == Kind::Assign));
                }
                Kind::Character if after.text == "," => {
                    self.next();
                    self.declare(token, &mut variables);
                    if context != "range" || variables.len() > 1 {
                        return Err(self.error(format_args!("too many declarations in {context}")));
                    }
                    let next = self.peek_non_space().kind;
                    if !matches!(
                        next,
                        Kind::Variable | Kind::RightDelimiter | Kind::RightParenthesis
                    ) {
                        return Err(self.error("range can only initialize variables"));
                    }
                }
                _ => {
                    self.at = start;
                    return Ok((variables, false));
                }
            }
        }
    }

    fn declare(&mut self, token: Token<'_>, variables: &mut Vec<Name>) {
        let name = Name::from(token.text);
        variables.push(Arc::clone(&name));
        self.variables.push(name);
    }

    fn command(&mut self) -> Result<Command, TemplateError> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelimiter | Kind::RightParenthesis => self.at -= 1,
                Kind::Pipe => {}
                _ => return Err(self.unexpected(token, "operand")),
            }
            break;
        }
        if operands.is_empty() {
            return Err(self.error("empty command"));
        }
        Ok(Command {
            first: operands.remove(0),
            arguments: operands,
        })
    }

    fn operand(&mut self) -> Result<Option<Operand>, TemplateError> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(field_name(self.next()));
        }
        if fields.is_empty() {
            return Ok(Some(term));
        }
        Ok(Some(match term {
            Operand::Field(mut names) => {
                names.extend(fields);
                Operand::Field(names)
            }
            Operand::Variable(name, mut names) => {
                names.extend(fields);
                Operand::Variable(name, names)
            }
            Operand::Function(_) | Operand::Pipe(_) | Operand::Chain(..) => {
                Operand::Chain(Box::new(term), fields)
            }
            Operand::Bool(_)
            | Operand::Text(_)
            | Operand::Number(_)
            | Operand::Nil
            | Operand::Dot => return Err(self.error("unexpected . after a constant")),
        }))
    }

    fn term(&mut self) -> Result<Option<Operand>, TemplateError> {
        let token = self.peek_non_space();
        self.next();
        Ok(Some(match token.kind {
            Kind::Identifier => match self.functions.find(token.text) {
                Some(function) => Operand::Function(function),
                None => {
                    return Err(self.error(format_args!("function {:?} not defined", token.text)));
                }
            },
            Kind::Dot => Operand::Dot,
            Kind::Nil => Operand::Nil,
            Kind::Variable => {
                let name = self.variables.iter().find(|name| ***name == *token.text);
                let Some(name) = name else {
                    return Err(self.error(format_args!("undefined variable {:?}", token.text)));
                };
                Operand::Variable(Arc::clone(name), Vec::new())
            }
            Kind::Field => Operand::Field(vec![field_name(token)]),
            Kind::Bool => Operand::Bool(token.text == "true"),
            Kind::CharacterConstant => Operand::Number(self.character(token)?),
            Kind::Number => Operand::Number(self.number(token)?),
            Kind::LeftParenthesis => Operand::Pipe(self.deeper(|parser| {
                parser.pipeline("parenthesized pipeline", Kind::RightParenthesis)
            })?),
            Kind::Quoted | Kind::RawQuoted => Operand::Text(self.unquote(token)?.into()),
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        }))
    }

    /// Go's `strconv.Unquote`.
    fn unquote(&self, token: Token<'_>) -> Result<String, TemplateError> {
        let inner = token.text.get(1..token.text.len().saturating_sub(1));
        let inner = inner.unwrap_or_default();
        if token.kind == Kind::RawQuoted {
            return Ok(inner.replace('\r', ""));
        }
        let mut text = String::with_capacity(inner.len());
        let mut rest = inner.chars();
        while let Some(character) = rest.next() {
            let character = match character {
                '\\' => self.escape(&mut rest, '"')?,
                other => other,
            };
            text.push(character);
        }
        Ok(text)
    }

    fn character(&self, token: Token<'_>) -> Result<Number, TemplateError> {
        let inner = token.text.get(1..token.text.len().saturating_sub(1));
        let mut rest = inner.unwrap_or_default().chars();
        let character = match rest.next() {
            Some('\\') => self.escape(&mut rest, '\'')?,
            Some(other) => other,
            None => return Err(self.error("malformed character constant")),
        };
        if rest.next().is_some() {
            return Err(self.error("malformed character constant"));
        }
        let code = i64::from(u32::from(character));
        Ok(Number {
            integer: Some(code),
            float: Some(f64::from(u32::from(character))),
            is_float: false,
        })
    }

    /// What follows a backslash.
    fn escape(&self, rest: &mut std::str::Chars<'_>, quote: char) -> Result<char, TemplateError> {
        let invalid = || self.error("invalid escape in a quoted constant");
        let digits = match rest.next().ok_or_else(invalid)? {
            'a' => return Ok('\u{7}'),
            'b' => return Ok('\u{8}'),
            'f' => return Ok('\u{c}'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'v' => return Ok('\u{b}'),
            '\\' => return Ok('\\'),
            other if other == quote => return Ok(quote),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            first @ '0'..='7' => {
                let mut code = first.to_digit(8).unwrap_or_default();
                for _ in 0..2 {
                    let digit = rest.next().and_then(|digit| digit.to_digit(8));
                    code = code * 8 + digit.ok_or_else(invalid)?;
                }
                return byte(code, invalid);
            }
            _ => return Err(invalid()),
        };
        let mut code: u32 = 0;
        for _ in 0..digits {
            let digit = rest.next().and_then(|digit| digit.to_digit(16));
            let digit = digit.ok_or_else(invalid)?;
            code = code.checked_mul(16).ok_or_else(invalid)? + digit;
        }
        if digits == 2 {
            return byte(code, invalid);
        }
        char::from_u32(code).ok_or_else(invalid)
    }

    /// Go's `newNumber`.
    fn number(&self, token: Token<'_>) -> Result<Number, TemplateError> {
        let text = token.text;
        let is_float = !is_hexadecimal(text) && text.contains(['.', 'e', 'E', 'p', 'P']);
        if let Some(integer) = parse_integer(text) {
            let integer =
                i64::try_from(integer).map_err(|_| fails(format!("{text} overflows int")))?;
            #[expect(clippy::cast_precision_loss, reason = "as Go promotes it")]
            let float = integer as f64;
            return Ok(Number {
                integer: Some(integer),
                float: Some(float),
                is_float,
            });
        }
        if text.contains('_') || text.contains(['x', 'X', 'p', 'P']) {
            return Err(undecided("this way to write a number"));
        }
        let Ok(float) = text.parse::<f64>() else {
            return Err(self.error(format_args!("illegal number syntax: {text:?}")));
        };
        if float.is_infinite() {
            return Err(self.error(format_args!("number out of range: {text:?}")));
        }
        if !text.contains(['.', 'e', 'E']) {
            return Err(self.error(format_args!("integer overflow: {text:?}")));
        }
        Ok(Number {
            integer: whole(float),
            float: Some(float),
            is_float,
        })
    }
}

fn is_hexadecimal(text: &str) -> bool {
    text.starts_with("0x") || text.starts_with("0X")
}

fn byte(code: u32, invalid: impl FnOnce() -> TemplateError) -> Result<char, TemplateError> {
    match code {
        0..=0x7f => char::from_u32(code).ok_or_else(invalid),
        0x80..=0xff => Err(undecided("texts that are not UTF-8")),
        _ => Err(invalid()),
    }
}

fn field_name(token: Token<'_>) -> Name {
    Name::from(token.text.strip_prefix('.').unwrap_or(token.text))
}

fn is_executable(operand: &Operand) -> bool {
    !matches!(
        operand,
        Operand::Bool(_) | Operand::Dot | Operand::Nil | Operand::Number(_) | Operand::Text(_)
    )
}

/// Go's `IsEmptyTree`.
fn is_empty(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| match node {
        Node::Text(text) => text.chars().all(char::is_whitespace),
        _ => false,
    })
}
