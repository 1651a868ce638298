//! jq's grammar, as gojq reads it.
//!
//! Follows gojq 0.12.19 (Argo CD 3.5 and 3.6), `lexer.go` and `parser.go.y`: what it refuses is
//! refused here, since Argo CD then compares nothing.

use super::JqError;
use super::lexer::{Lexer, Piece, Token};
use super::value::Number;

/// An expression.
#[derive(Debug)]
pub(super) enum Term {
    Identity,
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
    /// A whole number that is calculated with at any size; here it is not.
    HugeNumber,
    /// A text with expressions in it, and the format that these are put in.
    Interpolation(Option<Box<str>>, Vec<Part>),
    /// `@base64` and its like.
    Format(Box<str>),
    Index(Box<Term>, Box<Term>),
    Slice(Box<Term>, Option<Box<Term>>, Option<Box<Term>>),
    Iterate(Box<Term>),
    Try(Box<Term>, Option<Box<Term>>),
    Pipe(Box<Term>, Box<Term>),
    Comma(Box<Term>, Box<Term>),
    Alternative(Box<Term>, Box<Term>),
    And(Box<Term>, Box<Term>),
    Or(Box<Term>, Box<Term>),
    Binary(Operator, Box<Term>, Box<Term>),
    Update(Update, Box<Term>, Box<Term>),
    Plus(Box<Term>),
    Negate(Box<Term>),
    If(Box<Term>, Box<Term>, Option<Box<Term>>),
    Reduce(Box<Fold>),
    Foreach(Box<Fold>, Option<Box<Term>>),
    Bind(Box<Term>, Vec<Pattern>, Box<Term>),
    Label(Box<str>, Box<Term>),
    Break(Box<str>),
    Define(Box<Definition>, Box<Term>),
    Call(Box<str>, Vec<Term>),
    /// With the dollar sign.
    Variable(Box<str>),
    List(Option<Box<Term>>),
    Map(Vec<(Key, Option<Term>)>),
}

/// A part of a text.
#[derive(Debug)]
pub(super) enum Part {
    Text(Box<str>),
    Term(Term),
}

/// The key of a member of a map, or of a pattern for one.
#[derive(Debug)]
pub(super) enum Key {
    Name(Box<str>),
    Variable(Box<str>),
    Term(Term),
}

/// `reduce` and `foreach`.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) source: Term,
    pub(super) pattern: Pattern,
    pub(super) start: Term,
    pub(super) update: Term,
}

/// What variables are bound to.
#[derive(Debug)]
pub(super) enum Pattern {
    Variable(Box<str>),
    List(Vec<Pattern>),
    Map(Vec<(Key, Option<Pattern>)>),
}

/// A function.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: Box<str>,
    pub(super) parameters: Vec<Box<str>>,
    pub(super) body: Term,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Of `//=` only; `//` is [`Term::Alternative`].
    Otherwise,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Update {
    Assign,
    Modify,
    With(Operator),
}

/// How deeply expressions may stand in one another. The parser is recursive.
const DEPTH_LIMIT: usize = 160;

/// Why an expression is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SyntaxError {
    /// gojq refuses it too.
    Invalid,
    /// It is nested too deeply.
    TooDeep,
}

impl From<JqError> for SyntaxError {
    fn from(_: JqError) -> Self {
        SyntaxError::Invalid
    }
}

type Parsed<T> = Result<T, SyntaxError>;

/// Reads a whole program.
pub(super) fn parse(text: &str) -> Parsed<Term> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        peeked: None,
        depth: 0,
    };
    let term = parser.query(Level::Pipe)?;
    parser.expect(&Token::End)?;
    Ok(term)
}

/// Reads definitions that follow one another.
pub(super) fn parse_definitions(text: &str) -> Parsed<Vec<Definition>> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        peeked: None,
        depth: 0,
    };
    let mut definitions = Vec::new();
    while parser.accept(&Token::Word("def"))? {
        definitions.push(parser.definition()?);
    }
    parser.expect(&Token::End)?;
    Ok(definitions)
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    peeked: Option<Token<'t>>,
    depth: usize,
}

/// What an operand of `|` and `,` may hold without brackets.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Level {
    Pipe,
    Comma,
    Operand,
}

const KEYWORDS: [&str; 21] = [
    "or", "and", "module", "import", "include", "def", "as", "label", "break", "null", "true",
    "false", "if", "then", "elif", "else", "end", "try", "catch", "reduce", "foreach",
];

impl<'t> Parser<'t> {
    fn peek(&mut self) -> Parsed<&Token<'t>> {
        if self.peeked.is_none() {
            self.peeked = Some(self.lexer.next()?);
        }
        self.peeked.as_ref().ok_or(SyntaxError::Invalid)
    }

    fn next(&mut self) -> Parsed<Token<'t>> {
        match self.peeked.take() {
            Some(token) => Ok(token),
            None => Ok(self.lexer.next()?),
        }
    }

    fn accept(&mut self, token: &Token<'_>) -> Parsed<bool> {
        let found = self.peek()? == token;
        if found {
            self.peeked = None;
        }
        Ok(found)
    }

    fn expect(&mut self, token: &Token<'_>) -> Parsed<()> {
        if self.accept(token)? {
            Ok(())
        } else {
            Err(SyntaxError::Invalid)
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH_LIMIT {
            return Err(SyntaxError::TooDeep);
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn query(&mut self, level: Level) -> Parsed<Term> {
        self.deeper(|parser| parser.query_here(level))
    }

    fn query_here(&mut self, level: Level) -> Parsed<Term> {
        let mut left = self.query_operand()?;
        loop {
            if level <= Level::Pipe && self.accept(&Token::Sign("|"))? {
                left = Term::Pipe(Box::new(left), Box::new(self.query(Level::Pipe)?));
            } else if level <= Level::Comma && self.accept(&Token::Sign(","))? {
                left = Term::Comma(Box::new(left), Box::new(self.query(Level::Operand)?));
            } else {
                return Ok(left);
            }
        }
    }

    fn query_operand(&mut self) -> Parsed<Term> {
        if self.accept(&Token::Word("def"))? {
            let definition = self.definition()?;
            let rest = self.query(Level::Pipe)?;
            return Ok(Term::Define(Box::new(definition), Box::new(rest)));
        }
        if self.accept(&Token::Word("label"))? {
            let name = self.variable()?;
            self.expect(&Token::Sign("|"))?;
            return Ok(Term::Label(name, Box::new(self.query(Level::Pipe)?)));
        }
        let term = self.expression(0)?;
        if !self.accept(&Token::Word("as"))? {
            return Ok(term);
        }
        let mut patterns = vec![self.pattern()?];
        while self.accept(&Token::Sign("?//"))? {
            patterns.push(self.pattern()?);
        }
        self.expect(&Token::Sign("|"))?;
        let body = self.query(Level::Pipe)?;
        Ok(Term::Bind(Box::new(term), patterns, Box::new(body)))
    }

    /// What follows `def`.
    fn definition(&mut self) -> Parsed<Definition> {
        let name = self.name()?;
        let mut parameters = Vec::new();
        if self.accept(&Token::Sign("("))? {
            loop {
                let parameter = match self.peek()? {
                    Token::Variable(_) => self.variable()?,
                    _ => self.name()?,
                };
                parameters.push(parameter);
                if !self.accept(&Token::Sign(";"))? {
                    break;
                }
            }
            self.expect(&Token::Sign(")"))?;
        }
        self.expect(&Token::Sign(":"))?;
        let body = self.query(Level::Pipe)?;
        self.expect(&Token::Sign(";"))?;
        Ok(Definition {
            name,
            parameters,
            body,
        })
    }

    fn name(&mut self) -> Parsed<Box<str>> {
        match self.next()? {
            Token::Word(name) if !KEYWORDS.contains(&name) && !is_qualified(name) => {
                Ok(name.into())
            }
            _ => Err(SyntaxError::Invalid),
        }
    }

    fn variable(&mut self) -> Parsed<Box<str>> {
        match self.next()? {
            Token::Variable(name) if !is_qualified(name) => Ok(name.into()),
            _ => Err(SyntaxError::Invalid),
        }
    }

    fn pattern(&mut self) -> Parsed<Pattern> {
        self.deeper(Self::pattern_here)
    }

    fn pattern_here(&mut self) -> Parsed<Pattern> {
        if matches!(self.peek()?, Token::Variable(_)) {
            return Ok(Pattern::Variable(self.variable()?));
        }
        match self.next()? {
            Token::Sign("[") => {
                let mut items = vec![self.pattern()?];
                while self.accept(&Token::Sign(","))? {
                    items.push(self.pattern()?);
                }
                self.expect(&Token::Sign("]"))?;
                Ok(Pattern::List(items))
            }
            Token::Sign("{") => {
                let mut members = vec![self.pattern_member()?];
                while self.accept(&Token::Sign(","))? {
                    members.push(self.pattern_member()?);
                }
                self.expect(&Token::Sign("}"))?;
                Ok(Pattern::Map(members))
            }
            _ => Err(SyntaxError::Invalid),
        }
    }

    fn pattern_member(&mut self) -> Parsed<(Key, Option<Pattern>)> {
        let key = self.key()?;
        let pattern = if self.accept(&Token::Sign(":"))? {
            Some(self.pattern()?)
        } else if matches!(key, Key::Variable(_)) {
            None
        } else {
            return Err(SyntaxError::Invalid);
        };
        Ok((key, pattern))
    }

    fn key(&mut self) -> Parsed<Key> {
        if matches!(self.peek()?, Token::Variable(_)) {
            return Ok(Key::Variable(self.variable()?));
        }
        match self.next()? {
            Token::Word(name) if !is_qualified(name) => Ok(Key::Name(name.into())),
            Token::Quote => Ok(match self.text(None)? {
                Term::Text(name) => Key::Name(name),
                term => Key::Term(term),
            }),
            Token::Sign("(") => {
                let term = self.query(Level::Pipe)?;
                self.expect(&Token::Sign(")"))?;
                Ok(Key::Term(term))
            }
            _ => Err(SyntaxError::Invalid),
        }
    }

    /// Operators by how strongly they bind.
    fn expression(&mut self, weakest: u8) -> Parsed<Term> {
        self.deeper(|parser| parser.expression_here(weakest))
    }

    fn expression_here(&mut self, weakest: u8) -> Parsed<Term> {
        let mut left = self.postfix()?;
        // The binding of an operator that must not follow itself.
        let mut barred = None;
        loop {
            let Some((binding, infix)) = infix(self.peek()?) else {
                return Ok(left);
            };
            if binding < weakest {
                return Ok(left);
            }
            if barred == Some(binding) {
                return Err(SyntaxError::Invalid);
            }
            self.next()?;
            // `//` binds to the right, all others to the left.
            let right_binding = if binding == ALTERNATIVE {
                binding
            } else {
                binding + 1
            };
            let right = self.expression(right_binding)?;
            barred = matches!(binding, UPDATE | COMPARISON).then_some(binding);
            let (left_side, right) = (Box::new(left), Box::new(right));
            left = match infix {
                Infix::Alternative => Term::Alternative(left_side, right),
                Infix::Or => Term::Or(left_side, right),
                Infix::And => Term::And(left_side, right),
                Infix::Binary(operator) => Term::Binary(operator, left_side, right),
                Infix::Update(update) => Term::Update(update, left_side, right),
            };
        }
    }

    /// A term with what follows it.
    fn postfix(&mut self) -> Parsed<Term> {
        self.deeper(Self::postfix_here)
    }

    fn postfix_here(&mut self) -> Parsed<Term> {
        let (mut term, mut separate) = self.term()?;
        loop {
            let suffix = match self.peek()? {
                Token::Field(name) => Suffix::Index(Term::Text((*name).into())),
                Token::Sign("?") => {
                    self.next()?;
                    term = attempt(term, separate);
                    separate = false;
                    continue;
                }
                Token::Sign("[") => {
                    self.next()?;
                    let suffix = self.suffix()?;
                    term = suffix.after(term);
                    separate = true;
                    continue;
                }
                Token::Sign(".") => {
                    self.next()?;
                    let suffix = match self.next()? {
                        Token::Sign("[") => self.suffix()?,
                        Token::Quote => Suffix::Index(self.text(None)?),
                        _ => return Err(SyntaxError::Invalid),
                    };
                    term = suffix.after(term);
                    separate = true;
                    continue;
                }
                _ => return Ok(term),
            };
            self.next()?;
            term = suffix.after(term);
            separate = true;
        }
    }

    /// What follows an opening bracket.
    fn suffix(&mut self) -> Parsed<Suffix> {
        if self.accept(&Token::Sign("]"))? {
            return Ok(Suffix::Iterate);
        }
        if self.accept(&Token::Sign(":"))? {
            let end = self.query(Level::Pipe)?;
            self.expect(&Token::Sign("]"))?;
            return Ok(Suffix::Slice(None, Some(end)));
        }
        let start = self.query(Level::Pipe)?;
        if self.accept(&Token::Sign("]"))? {
            return Ok(Suffix::Index(start));
        }
        self.expect(&Token::Sign(":"))?;
        if self.accept(&Token::Sign("]"))? {
            return Ok(Suffix::Slice(Some(start), None));
        }
        let end = self.query(Level::Pipe)?;
        self.expect(&Token::Sign("]"))?;
        Ok(Suffix::Slice(Some(start), Some(end)))
    }

    /// A term, and whether its last step can be taken apart from the rest, as a suffix can.
    fn term(&mut self) -> Parsed<(Term, bool)> {
        let whole = |term| Ok((term, false));
        match self.next()? {
            Token::Sign(".") => match self.peek()? {
                Token::Sign("[") => {
                    self.next()?;
                    let suffix = self.suffix()?;
                    let separate = matches!(suffix, Suffix::Iterate);
                    Ok((suffix.after(Term::Identity), separate))
                }
                Token::Quote => {
                    self.next()?;
                    let name = self.text(None)?;
                    whole(Suffix::Index(name).after(Term::Identity))
                }
                _ => whole(Term::Identity),
            },
            Token::Sign("..") => whole(Term::Call("recurse".into(), Vec::new())),
            Token::Field(name) => {
                whole(Suffix::Index(Term::Text(name.into())).after(Term::Identity))
            }
            Token::Number(text) => whole(number(text)),
            Token::Quote => {
                let text = self.text(None)?;
                whole(text)
            }
            Token::Format(name) => {
                if self.accept(&Token::Quote)? {
                    let text = self.text(Some(name))?;
                    whole(text)
                } else {
                    whole(Term::Format(name.into()))
                }
            }
            Token::Variable(name) => whole(Term::Variable(name.into())),
            Token::Sign("(") => {
                let term = self.query(Level::Pipe)?;
                self.expect(&Token::Sign(")"))?;
                whole(term)
            }
            Token::Sign("[") => {
                if self.accept(&Token::Sign("]"))? {
                    return whole(Term::List(None));
                }
                let items = self.query(Level::Pipe)?;
                self.expect(&Token::Sign("]"))?;
                whole(Term::List(Some(Box::new(items))))
            }
            Token::Sign("{") => whole(self.map()?),
            Token::Sign("+") => whole(match self.postfix()? {
                number @ (Term::Number(_) | Term::HugeNumber) => number,
                term => Term::Plus(Box::new(term)),
            }),
            Token::Sign("-") => whole(match self.postfix()? {
                Term::Number(number) => Term::Number(number.negated()),
                Term::HugeNumber => Term::HugeNumber,
                term => Term::Negate(Box::new(term)),
            }),
            Token::Word(word) => whole(self.word(word)?),
            _ => Err(SyntaxError::Invalid),
        }
    }

    fn word(&mut self, word: &str) -> Parsed<Term> {
        match word {
            "null" => Ok(Term::Null),
            "true" => Ok(Term::Bool(true)),
            "false" => Ok(Term::Bool(false)),
            "if" => self.branches(),
            "try" => {
                let body = self.postfix()?;
                let handler = if self.accept(&Token::Word("catch"))? {
                    Some(Box::new(self.postfix()?))
                } else {
                    None
                };
                Ok(Term::Try(Box::new(body), handler))
            }
            "reduce" => {
                let (fold, extract) = self.fold(false)?;
                debug_assert!(extract.is_none(), "reduce has no third part");
                Ok(Term::Reduce(Box::new(fold)))
            }
            "foreach" => {
                let (fold, extract) = self.fold(true)?;
                Ok(Term::Foreach(Box::new(fold), extract))
            }
            "break" => Ok(Term::Break(self.variable()?)),
            keyword if KEYWORDS.contains(&keyword) => Err(SyntaxError::Invalid),
            name => {
                let mut arguments = Vec::new();
                if self.accept(&Token::Sign("("))? {
                    arguments.push(self.query(Level::Pipe)?);
                    while self.accept(&Token::Sign(";"))? {
                        arguments.push(self.query(Level::Pipe)?);
                    }
                    self.expect(&Token::Sign(")"))?;
                }
                Ok(Term::Call(name.into(), arguments))
            }
        }
    }

    /// What follows `if` or `elif`.
    fn branches(&mut self) -> Parsed<Term> {
        let condition = Box::new(self.query(Level::Pipe)?);
        self.expect(&Token::Word("then"))?;
        let then = Box::new(self.query(Level::Pipe)?);
        let otherwise = if self.accept(&Token::Word("elif"))? {
            Some(Box::new(self.deeper(Self::branches)?))
        } else if self.accept(&Token::Word("else"))? {
            let otherwise = self.query(Level::Pipe)?;
            self.expect(&Token::Word("end"))?;
            Some(Box::new(otherwise))
        } else {
            self.expect(&Token::Word("end"))?;
            None
        };
        Ok(Term::If(condition, then, otherwise))
    }

    fn fold(&mut self, may_extract: bool) -> Parsed<(Fold, Option<Box<Term>>)> {
        let source = self.expression(0)?;
        self.expect(&Token::Word("as"))?;
        let pattern = self.pattern()?;
        self.expect(&Token::Sign("("))?;
        let start = self.query(Level::Pipe)?;
        self.expect(&Token::Sign(";"))?;
        let update = self.query(Level::Pipe)?;
        let extract = if may_extract && self.accept(&Token::Sign(";"))? {
            Some(Box::new(self.query(Level::Pipe)?))
        } else {
            None
        };
        self.expect(&Token::Sign(")"))?;
        let fold = Fold {
            source,
            pattern,
            start,
            update,
        };
        Ok((fold, extract))
    }

    /// What follows an opening brace.
    fn map(&mut self) -> Parsed<Term> {
        let mut members = Vec::new();
        while !self.accept(&Token::Sign("}"))? {
            if !members.is_empty() {
                self.expect(&Token::Sign(","))?;
                if self.accept(&Token::Sign("}"))? {
                    break;
                }
            }
            let bracketed = *self.peek()? == Token::Sign("(");
            let key = self.key()?;
            let value = if self.accept(&Token::Sign(":"))? {
                Some(self.map_value()?)
            } else if bracketed {
                return Err(SyntaxError::Invalid);
            } else {
                None
            };
            members.push((key, value));
        }
        Ok(Term::Map(members))
    }

    fn map_value(&mut self) -> Parsed<Term> {
        let left = self.expression(0)?;
        if self.accept(&Token::Sign("|"))? {
            let right = self.deeper(Self::map_value)?;
            return Ok(Term::Pipe(Box::new(left), Box::new(right)));
        }
        Ok(left)
    }

    /// What follows an opening quote.
    fn text(&mut self, format: Option<&str>) -> Parsed<Term> {
        let mut parts = Vec::new();
        loop {
            match self.lexer.text()? {
                Piece::Text(text) => parts.push(Part::Text(text.into())),
                Piece::Term => {
                    parts.push(Part::Term(self.query(Level::Pipe)?));
                    self.expect(&Token::Sign(")"))?;
                }
                Piece::End => break,
            }
        }
        let is_plain = |part: &Part| matches!(part, Part::Text(_));
        if !parts.iter().all(is_plain) {
            return Ok(Term::Interpolation(format.map(Into::into), parts));
        }
        let texts = parts.iter().map(|part| match part {
            Part::Text(text) => &**text,
            Part::Term(_) => "",
        });
        Ok(Term::Text(texts.collect::<String>().into()))
    }
}

enum Suffix {
    Iterate,
    Index(Term),
    Slice(Option<Term>, Option<Term>),
}

impl Suffix {
    fn after(self, term: Term) -> Term {
        let term = Box::new(term);
        match self {
            Suffix::Iterate => Term::Iterate(term),
            Suffix::Index(key) => Term::Index(term, Box::new(key)),
            Suffix::Slice(start, end) => Term::Slice(term, start.map(Box::new), end.map(Box::new)),
        }
    }
}

/// `?`: of several steps only the last one may fail, and its index is asked of what it is a step
/// from (gojq, `compileTermSuffix`).
fn attempt(term: Term, separate: bool) -> Term {
    let alone = |step: Term| Box::new(Term::Try(Box::new(step), None));
    let here = || Box::new(Term::Identity);
    match term {
        Term::Iterate(way) if separate => Term::Pipe(way, alone(Term::Iterate(here()))),
        Term::Index(way, key) if separate => Term::Pipe(way, alone(Term::Index(here(), key))),
        Term::Slice(way, start, end) if separate => {
            Term::Pipe(way, alone(Term::Slice(here(), start, end)))
        }
        whole => Term::Try(Box::new(whole), None),
    }
}

enum Infix {
    Alternative,
    Or,
    And,
    Binary(Operator),
    Update(Update),
}

const ALTERNATIVE: u8 = 1;
const UPDATE: u8 = 2;
const COMPARISON: u8 = 5;

fn infix(token: &Token<'_>) -> Option<(u8, Infix)> {
    use Infix::Binary;
    let update = |operator| (UPDATE, Infix::Update(Update::With(operator)));
    Some(match token {
        Token::Word("or") => (3, Infix::Or),
        Token::Word("and") => (4, Infix::And),
        Token::Sign(sign) => match *sign {
            "//" => (ALTERNATIVE, Infix::Alternative),
            "=" => (UPDATE, Infix::Update(Update::Assign)),
            "|=" => (UPDATE, Infix::Update(Update::Modify)),
            "+=" => update(Operator::Add),
            "-=" => update(Operator::Subtract),
            "*=" => update(Operator::Multiply),
            "/=" => update(Operator::Divide),
            "%=" => update(Operator::Modulo),
            "//=" => update(Operator::Otherwise),
            "==" => (COMPARISON, Binary(Operator::Equal)),
            "!=" => (COMPARISON, Binary(Operator::NotEqual)),
            "<" => (COMPARISON, Binary(Operator::Less)),
            "<=" => (COMPARISON, Binary(Operator::LessOrEqual)),
            ">" => (COMPARISON, Binary(Operator::Greater)),
            ">=" => (COMPARISON, Binary(Operator::GreaterOrEqual)),
            "+" => (6, Binary(Operator::Add)),
            "-" => (6, Binary(Operator::Subtract)),
            "*" => (7, Binary(Operator::Multiply)),
            "/" => (7, Binary(Operator::Divide)),
            "%" => (7, Binary(Operator::Modulo)),
            _ => return None,
        },
        _ => return None,
    })
}

fn number(text: &str) -> Term {
    Number::parse(text).map_or(Term::HugeNumber, Term::Number)
}

/// Whether a name is one of a module. There are none.
fn is_qualified(name: &str) -> bool {
    name.contains(':')
}
