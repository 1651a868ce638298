//! jq's tokens, as gojq cuts them (0.12.19, `lexer.go`).

use super::JqError;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Token<'t> {
    /// A name or keyword, with the module that it is of, if any.
    Word(&'t str),
    /// `$name`, with the dollar sign.
    Variable(&'t str),
    /// `.name`, without the dot.
    Field(&'t str),
    /// `@name`.
    Format(&'t str),
    Number(&'t str),
    /// The quote that opens a text. What follows is read by [`Lexer::text`].
    Quote,
    Sign(&'static str),
    End,
}

/// A part of a text.
pub(super) enum Piece {
    Text(String),
    /// An expression follows, and a closing bracket.
    Term,
    End,
}

pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

/// The longer ones first.
const SIGNS: [&str; 35] = [
    "?//", "//=", "..", "|=", "+=", "-=", "*=", "/=", "//", "%=", "==", "!=", ">=", "<=", "=", ">",
    "<", "|", "?", "+", "-", "*", "/", "%", ".", ",", ";", ":", "(", ")", "[", "]", "{", "}", "!",
];

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Lexer { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn take(&mut self, length: usize) -> &'t str {
        let taken = self.text.get(self.at..self.at + length).unwrap_or_default();
        self.at += length;
        taken
    }

    pub(super) fn next(&mut self) -> Result<Token<'t>, JqError> {
        self.skip_space();
        let Some(first) = self.byte(0) else {
            return Ok(Token::End);
        };
        match first {
            b'"' => {
                self.at += 1;
                return Ok(Token::Quote);
            }
            b'.' if self.byte(1).is_some_and(starts_name) => {
                self.at += 1;
                let length = name_length(self.rest());
                return Ok(Token::Field(self.take(length)));
            }
            b'.' if self.byte(1).is_some_and(|byte| byte.is_ascii_digit()) => {
                return self.number();
            }
            b'$' if self.byte(1).is_some_and(starts_name) => {
                let length = 1 + qualified_length(self.rest().get(1..).unwrap_or_default());
                return Ok(Token::Variable(self.take(length)));
            }
            b'@' if self.byte(1).is_some_and(in_name) => {
                let length = 1 + name_length(self.rest().get(1..).unwrap_or_default());
                return Ok(Token::Format(self.take(length)));
            }
            byte if starts_name(byte) => {
                let length = qualified_length(self.rest());
                return Ok(Token::Word(self.take(length)));
            }
            byte if byte.is_ascii_digit() => return self.number(),
            _ => {}
        }
        let sign = SIGNS.iter().find(|sign| self.rest().starts_with(**sign));
        let sign = sign.ok_or(JqError)?;
        self.at += sign.len();
        Ok(Token::Sign(sign))
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.byte(0) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b'#' => self.skip_comment(),
                _ => return,
            }
        }
    }

    /// A comment goes on behind a line break that a backslash stands before.
    fn skip_comment(&mut self) {
        while let Some(byte) = self.byte(0) {
            match (byte, self.byte(1)) {
                (0, _) => self.at = self.text.len(),
                (b'\\', Some(b'\\' | b'\n')) => self.at += 2,
                (b'\\', Some(b'\r')) => {
                    self.at += 2 + usize::from(self.byte(2) == Some(b'\n'));
                }
                (b'\n' | b'\r', _) => return,
                _ => self.at += 1,
            }
        }
    }

    fn number(&mut self) -> Result<Token<'t>, JqError> {
        let bytes = self.rest().as_bytes();
        let digits = |from: usize| {
            let rest = bytes.get(from..).unwrap_or_default();
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let mut length = digits(0);
        if bytes.get(length) == Some(&b'.') {
            length += 1 + digits(length + 1);
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            length += 1 + usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length);
            if exponent == 0 {
                return Err(JqError);
            }
            length += exponent;
        } else if bytes.get(length) == Some(&b'.') {
            return Err(JqError);
        }
        if bytes.get(length).copied().is_some_and(starts_name) {
            return Err(JqError);
        }
        Ok(Token::Number(self.take(length)))
    }

    /// The next piece of a text whose opening quote has been read.
    pub(super) fn text(&mut self) -> Result<Piece, JqError> {
        let mut text = String::new();
        loop {
            let mut characters = self.rest().chars();
            match characters.next().ok_or(JqError)? {
                '"' if text.is_empty() => {
                    self.at += 1;
                    return Ok(Piece::End);
                }
                '"' => return Ok(Piece::Text(text)),
                '\\' if characters.next() == Some('(') => {
                    if !text.is_empty() {
                        return Ok(Piece::Text(text));
                    }
                    self.at += 2;
                    return Ok(Piece::Term);
                }
                '\\' => text.push(self.escaped()?),
                character => {
                    self.at += character.len_utf8();
                    text.push(character);
                }
            }
        }
    }

    fn escaped(&mut self) -> Result<char, JqError> {
        let character = match self.byte(1).ok_or(JqError)? {
            b'u' => return self.unicode(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            byte @ (b'"' | b'/' | b'\\') => char::from(byte),
            _ => return Err(JqError),
        };
        self.at += 2;
        Ok(character)
    }

    /// As Go's `encoding/json` reads it: half of a pair by itself is U+FFFD.
    fn unicode(&mut self) -> Result<char, JqError> {
        let high = self.code(0).ok_or(JqError)?;
        self.at += 6;
        if let Some(character) = char::from_u32(high) {
            return Ok(character);
        }
        let low = (self.byte(0) == Some(b'\\') && self.byte(1) == Some(b'u'))
            .then(|| self.code(0))
            .flatten();
        let pair = low
            .filter(|low| (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(low))
            .and_then(|low| char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)));
        if pair.is_some() {
            self.at += 6;
        }
        Ok(pair.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// The four digits of an escape that starts so many bytes ahead.
    fn code(&self, ahead: usize) -> Option<u32> {
        let start = self.at + ahead + 2;
        let digits = self.text.get(start..start + 4)?;
        let valid = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid
            .then(|| u32::from_str_radix(digits, 16).ok())
            .flatten()
    }
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn in_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit()
}

fn name_length(text: &str) -> usize {
    text.bytes().take_while(|byte| in_name(*byte)).count()
}

/// The length of a name that may be a module's: `module::name`.
fn qualified_length(text: &str) -> usize {
    let length = name_length(text);
    let rest = text.get(length..).unwrap_or_default();
    match rest.strip_prefix("::") {
        Some(name) if name.bytes().next().is_some_and(starts_name) => {
            length + 2 + name_length(name)
        }
        _ => length,
    }
}
