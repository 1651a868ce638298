//! JSON, which is nearly YAML but not quite: an escape may be half of a character.

use std::collections::HashSet;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Document, Error, ErrorKind, Lines, Marker};

/// The documents of a text that is JSON throughout and starts with an object or an array. They
/// end at the first one that has a key twice.
pub(super) fn documents(text: &str) -> Option<Vec<Result<Document, Error>>> {
    if !text.trim_ascii_start().starts_with(['{', '[']) {
        return None;
    }
    let values: Vec<Value> = serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect::<Result<_, _>>()
        .ok()?;
    let mut scanner = Scanner::new(text);
    let mut documents = Vec::with_capacity(values.len());
    for value in values {
        let document = scanner.lines().map(|lines| Document { value, lines });
        let last = document.is_err();
        documents.push(document);
        if last {
            break;
        }
    }
    Some(documents)
}

/// Whether a text is JSON throughout and starts with an object or an array.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_ascii_start().starts_with(['{', '['])
        && serde_json::Deserializer::from_str(text)
            .into_iter::<IgnoredAny>()
            .all(|value| value.is_ok())
}

/// Finds the lines of the nodes in a text that is known to be JSON.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    line_start: usize,
    lines: Lines,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str) -> Self {
        Scanner {
            text,
            at: 0,
            line: 1,
            line_start: 0,
            lines: Lines::default(),
        }
    }

    fn lines(&mut self) -> Result<Lines, Error> {
        self.skip_space();
        self.node(self.here(), None)?;
        Ok(std::mem::take(&mut self.lines))
    }

    fn node(&mut self, marker: Marker, key: Option<&str>) -> Result<(), Error> {
        let mark = self.lines.open(marker, key);
        match self.peek() {
            Some(b'{') => self.object()?,
            Some(b'[') => self.array()?,
            Some(b'"') => {
                self.string();
            }
            _ => self.literal(),
        }
        self.lines.close(mark);
        Ok(())
    }

    fn object(&mut self) -> Result<(), Error> {
        let mut keys = HashSet::new();
        while self.next_part(b'}') {
            let marker = self.here();
            let key: String = serde_json::from_str(self.string()).unwrap_or_default();
            self.skip_space();
            self.at += 1;
            self.skip_space();
            self.node(marker, Some(&key))?;
            if let Some(key) = keys.replace(key) {
                return Err(Error::new(marker, ErrorKind::DuplicateKey(key)));
            }
        }
        Ok(())
    }

    fn array(&mut self) -> Result<(), Error> {
        while self.next_part(b']') {
            self.node(self.here(), None)?;
        }
        Ok(())
    }

    /// Steps over a bracket or comma; false, and beyond it, where the collection ends.
    fn next_part(&mut self, end: u8) -> bool {
        self.skip_space();
        if self.peek().is_some_and(|byte| byte != end) {
            self.at += 1;
            self.skip_space();
        }
        match self.peek() {
            Some(byte) if byte != end => true,
            _ => {
                self.at += 1;
                false
            }
        }
    }

    fn string(&mut self) -> &'t str {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => break,
                _ => {}
            }
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn literal(&mut self) {
        let ends = |byte: u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
        while self.peek().is_some_and(|byte| !ends(byte)) {
            self.at += 1;
        }
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek().filter(u8::is_ascii_whitespace) {
            self.at += 1;
            if byte == b'\n' {
                self.line += 1;
                self.line_start = self.at;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn here(&self) -> Marker {
        // Columns are counted in bytes: counting characters would go over a minified line again for
        // each of its nodes.
        Marker::new(self.at, self.line, self.at - self.line_start)
    }
}
