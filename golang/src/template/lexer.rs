//! The tokens of a template, as Go's `text/template/parse/lex.go` cuts them.

use super::{TemplateError, fails, undecided};

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Text,
    LeftDelimiter,
    RightDelimiter,
    Space,
    Assign,
    Declare,
    Pipe,
    Character,
    Quoted,
    RawQuoted,
    Variable,
    Field,
    Dot,
    Number,
    CharacterConstant,
    Identifier,
    Bool,
    LeftParenthesis,
    RightParenthesis,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
    /// The end of the text.
    End0,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    pub(super) at: usize,
}

/// Cuts a text into tokens; the last one is its end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, TemplateError> {
    let mut lexer = Lexer {
        text,
        at: 0,
        start: 0,
        parentheses: 0,
        tokens: Vec::new(),
    };
    while lexer.text_up_to_action()? {
        while lexer.inside_action()? {}
    }
    lexer.emit(Kind::End0);
    Ok(lexer.tokens)
}

/// The line of a place in a text, counted from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    1 + before.matches('\n').count()
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    start: usize,
    parentheses: usize,
    tokens: Vec<Token<'t>>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn accept(&mut self, accepted: &str) -> bool {
        let is_there = self.peek().is_some_and(|next| accepted.contains(next));
        if is_there {
            self.next();
        }
        is_there
    }

    fn accept_run(&mut self, accepted: &str) {
        while self.accept(accepted) {}
    }

    fn current(&self) -> &'t str {
        self.text.get(self.start..self.at).unwrap_or_default()
    }

    fn emit(&mut self, kind: Kind) {
        self.tokens.push(Token {
            kind,
            text: self.current(),
            at: self.start,
        });
        self.start = self.at;
    }

    fn error(&self, message: &str) -> TemplateError {
        fails(format!(
            "line {}: {message}",
            line_of(self.text, self.start)
        ))
    }

    /// Text, comments and the delimiter that opens an action. False at the end of the text.
    fn text_up_to_action(&mut self) -> Result<bool, TemplateError> {
        loop {
            let Some(length) = self.rest().find(LEFT) else {
                self.at = self.text.len();
                if self.at > self.start {
                    self.emit(Kind::Text);
                }
                return Ok(false);
            };
            let delimiter = self.at + length;
            let after = self.text.get(delimiter + LEFT.len()..).unwrap_or_default();
            let trims = has_left_trim_marker(after);
            let before = self.text.get(self.start..delimiter).unwrap_or_default();
            let kept = if trims {
                before.trim_end_matches(SPACES)
            } else {
                before
            };
            self.at = self.start + kept.len();
            if !kept.is_empty() {
                self.emit(Kind::Text);
            }
            self.start = delimiter;
            self.at = delimiter + LEFT.len();
            let marker = if trims { 2 } else { 0 };
            let body = self.text.get(self.at + marker..).unwrap_or_default();
            if body.starts_with("/*") {
                self.at += marker;
                self.comment()?;
            } else {
                self.emit(Kind::LeftDelimiter);
                self.at += marker;
                self.start = self.at;
                self.parentheses = 0;
                return Ok(true);
            }
        }
    }

    fn comment(&mut self) -> Result<(), TemplateError> {
        self.at += "/*".len();
        let Some(length) = self.rest().find("*/") else {
            return Err(self.error("unclosed comment"));
        };
        self.at += length + "*/".len();
        let Some(trims) = self.at_right_delimiter() else {
            return Err(self.error("comment ends before closing delimiter"));
        };
        self.skip_right_delimiter(trims);
        self.start = self.at;
        Ok(())
    }

    /// Whether an action ends here, and then whether it trims the spaces after it.
    fn at_right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with(RIGHT) {
            return Some(false);
        }
        let trims = has_right_trim_marker(rest)
            && rest.get(2..).is_some_and(|rest| rest.starts_with(RIGHT));
        trims.then_some(true)
    }

    fn skip_right_delimiter(&mut self, trims: bool) {
        if trims {
            self.at += 2;
        }
        self.at += RIGHT.len();
        if trims {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(SPACES).len();
        }
    }

    /// One token. False once the action is closed.
    fn inside_action(&mut self) -> Result<bool, TemplateError> {
        if let Some(trims) = self.at_right_delimiter() {
            if self.parentheses > 0 {
                return Err(self.error("unclosed left paren"));
            }
            self.emit(Kind::RightDelimiter);
            self.skip_right_delimiter(trims);
            self.start = self.at;
            return Ok(false);
        }
        let Some(next) = self.next() else {
            return Err(self.error("unclosed action"));
        };
        match next {
            ' ' | '\t' | '\r' | '\n' => self.space(),
            '=' => self.emit(Kind::Assign),
            ':' => {
                if self.next() != Some('=') {
                    return Err(self.error("expected :="));
                }
                self.emit(Kind::Declare);
            }
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', "unterminated quoted string", Kind::Quoted)?,
            '\'' => self.quoted(
                '\'',
                "unterminated character constant",
                Kind::CharacterConstant,
            )?,
            '`' => {
                let Some(length) = self.rest().find('`') else {
                    return Err(self.error("unterminated raw quoted string"));
                };
                self.at += length + 1;
                self.emit(Kind::RawQuoted);
            }
            '$' => self.name(Kind::Variable, Kind::Variable)?,
            '.' if !self.peek().is_some_and(|next| next.is_ascii_digit())
                && self.at < self.text.len() =>
            {
                self.name(Kind::Field, Kind::Dot)?;
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.at = self.start;
                self.number()?;
            }
            '(' => {
                self.parentheses += 1;
                self.emit(Kind::LeftParenthesis);
            }
            ')' => {
                if self.parentheses == 0 {
                    return Err(self.error("unexpected right paren"));
                }
                self.parentheses -= 1;
                self.emit(Kind::RightParenthesis);
            }
            _ if is_alphanumeric(next)? => self.identifier()?,
            ' '..='~' => self.emit(Kind::Character),
            _ => return Err(self.error("unrecognized character in action")),
        }
        Ok(true)
    }

    /// Spaces, but not the one before a marker that trims.
    fn space(&mut self) {
        loop {
            let before_last = self.at - 1;
            if !self.peek().is_some_and(|next| SPACES.contains(&next)) {
                let rest = self.text.get(before_last..).unwrap_or_default();
                let closes = has_right_trim_marker(rest)
                    && rest.get(2..).is_some_and(|rest| rest.starts_with(RIGHT));
                if closes {
                    self.at = before_last;
                }
                break;
            }
            self.next();
        }
        if self.at > self.start {
            self.emit(Kind::Space);
        }
    }

    fn quoted(&mut self, quote: char, error: &str, kind: Kind) -> Result<(), TemplateError> {
        loop {
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return Err(self.error(error));
                    }
                }
                None | Some('\n') => return Err(self.error(error)),
                Some(next) if next == quote => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    /// A field or a variable, whose first character has been read.
    fn name(&mut self, kind: Kind, alone: Kind) -> Result<(), TemplateError> {
        if self.at_terminator() {
            self.emit(alone);
            return Ok(());
        }
        self.alphanumerics()?;
        self.emit(kind);
        Ok(())
    }

    fn alphanumerics(&mut self) -> Result<(), TemplateError> {
        while let Some(next) = self.peek() {
            if !is_alphanumeric(next)? {
                break;
            }
            self.next();
        }
        if self.at_terminator() {
            Ok(())
        } else {
            Err(self.error("bad character after a name"))
        }
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None => true,
            Some(next) => {
                SPACES.contains(&next)
                    || matches!(next, '.' | ',' | '|' | ':' | ')' | '(')
                    || self.rest().starts_with(RIGHT)
            }
        }
    }

    fn identifier(&mut self) -> Result<(), TemplateError> {
        self.alphanumerics()?;
        let kind = match self.current() {
            "block" => Kind::Block,
            "break" => Kind::Break,
            "continue" => Kind::Continue,
            "define" => Kind::Define,
            "else" => Kind::Else,
            "end" => Kind::End,
            "if" => Kind::If,
            "nil" => Kind::Nil,
            "range" => Kind::Range,
            "template" => Kind::Template,
            "with" => Kind::With,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    fn number(&mut self) -> Result<(), TemplateError> {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        if self.accept("i") || self.peek().is_some_and(|next| next == '+' || next == '-') {
            return Err(undecided("complex numbers"));
        }
        if self.peek().map(is_alphanumeric).transpose()? == Some(true) {
            return Err(self.error("bad number syntax"));
        }
        self.emit(Kind::Number);
        Ok(())
    }
}

fn has_left_trim_marker(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(SPACES))
}

fn has_right_trim_marker(text: &str) -> bool {
    text.strip_prefix(SPACES)
        .is_some_and(|rest| rest.starts_with('-'))
}

/// Letters are what Unicode says; beyond the usual European ones Rust and Go might not agree.
fn is_alphanumeric(character: char) -> Result<bool, TemplateError> {
    if character.is_ascii() {
        return Ok(character == '_' || character.is_ascii_alphanumeric());
    }
    let is_usual = ('\u{c0}'..='\u{24f}').contains(&character) && character.is_alphabetic();
    if is_usual || !character.is_alphanumeric() {
        Ok(is_usual)
    } else {
        Err(undecided("names with letters other than European ones"))
    }
}
