//! YAML and JSON as Kubernetes' tools read them.
//!
//! The syntax is `saphyr-parser`'s. What plain scalars mean is YAML 1.1 as sigs.k8s.io/yaml 1.6
//! and the go-yaml v2 beneath it have it: `yes` and `on` are booleans, `017` is octal, keys that
//! are not strings become strings, timestamps stay text, and what is too large for a float is
//! text too. Merges follow go-yaml v2 as well: they happen where they stand, so that a merge
//! below a key overrides it.
//!
//! One thing is stricter: a key that is there twice is an error, as it is for an API server that
//! is asked to validate strictly.
//!
//! Each document remembers the line of each of its nodes.

mod json;
mod scalar;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use scalar::Scalar;

/// Collections may nest this deep: what `serde_json` still reads back.
const DEPTH_LIMIT: usize = 127;

/// What anchors and aliases may add to a stream beyond its own length, in nodes and bytes of text.
/// A node takes up to a hundred bytes of memory.
const ALIAS_LIMIT: usize = 256 * 1024;

/// A text that cannot be read, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct Error {
    line: usize,
    column: usize,
    kind: ErrorKind,
}

/// Why a text cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ErrorKind {
    /// It is neither YAML nor JSON.
    #[error("{0}")]
    Syntax(String),
    /// A mapping has a key twice.
    #[error("the key `{0}` is there twice")]
    DuplicateKey(String),
    /// A key that JSON cannot have.
    #[error("a {0} cannot be a key")]
    Key(&'static str),
    /// A scalar that does not fit its tag, or that JSON cannot have.
    #[error("`{text}` is not {expected}")]
    Scalar {
        /// The scalar.
        text: String,
        /// What was expected.
        expected: String,
    },
    /// The value of `<<` is something else than a mapping or mappings.
    #[error("only mappings can be merged")]
    Merge,
    /// An alias of an anchor that is not complete, or of another document.
    #[error("the alias refers to nothing before it in this document")]
    Alias,
    /// Anchors and aliases multiply beyond bounds.
    #[error("anchors and aliases make too much of it")]
    Aliases,
    /// Collections nest too deeply.
    #[error("nested deeper than {DEPTH_LIMIT} levels")]
    Depth,
}

impl Error {
    fn new(marker: Marker, kind: ErrorKind) -> Self {
        Error {
            line: marker.line(),
            column: marker.col() + 1,
            kind,
        }
    }

    /// The line, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column, counted in characters from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// Why.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Why, without where.
    pub fn into_kind(self) -> ErrorKind {
        self.kind
    }
}

impl From<ScanError> for Error {
    fn from(error: ScanError) -> Self {
        Error::new(*error.marker(), ErrorKind::Syntax(error.info().to_owned()))
    }
}

/// One document of a stream.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// Where it says so.
    pub lines: Lines,
}

impl Document {
    /// The line of its first node, counted from 1.
    pub fn line(&self) -> usize {
        self.line_of("")
    }

    /// As [`Lines::line_of`].
    pub fn line_of(&self, pointer: &str) -> usize {
        self.lines.line_of(pointer)
    }
}

/// The lines on which the nodes of a document stand.
///
/// They outlive its value, and they are asked by JSON Pointers from the document's root, also for
/// an item of a `List`: `/items/3` before the item's own pointer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lines {
    /// Parents before children. What an alias or a merge brings in stands elsewhere and is not
    /// among them.
    marks: Vec<Mark>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Mark {
    line: u32,
    /// The mark after the last one below this one.
    end: u32,
    /// None for an item of a sequence, and for the root.
    key: Option<Box<str>>,
}

impl Lines {
    /// The line of the node that a JSON Pointer names, counted from 1: that of its key, or of its
    /// first character where it has none. Where there is no such node it is the line of its
    /// nearest ancestor.
    pub fn line_of(&self, pointer: &str) -> usize {
        let mut at = 0;
        for token in pointer.split('/').skip(1) {
            match self.child(at, &token.replace("~1", "/").replace("~0", "~")) {
                Some(child) => at = child,
                None => break,
            }
        }
        self.marks.get(at).map_or(1, |mark| mark.line as usize)
    }

    fn child(&self, parent: usize, token: &str) -> Option<usize> {
        let mut at = parent + 1;
        let mut index = 0;
        while at < self.marks.get(parent)?.end as usize {
            let mark = self.marks.get(at)?;
            let found = match &mark.key {
                Some(key) => **key == *token,
                None => token.parse() == Ok(index),
            };
            if found {
                return Some(at);
            }
            at = mark.end as usize;
            index += 1;
        }
        None
    }

    fn open(&mut self, marker: Marker, key: Option<&str>) -> usize {
        self.marks.push(Mark {
            line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
            end: 0,
            key: key.map(Box::from),
        });
        self.marks.len() - 1
    }

    fn close(&mut self, mark: usize) {
        let end = u32::try_from(self.marks.len()).unwrap_or(u32::MAX);
        if let Some(mark) = self.marks.get_mut(mark) {
            mark.end = end;
        }
    }
}

/// Reads the documents of a stream one after the other. An error is the last item: what stands
/// after it cannot be told apart.
pub fn documents(text: &str) -> impl Iterator<Item = Result<Document, Error>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json = json::documents(text);
    let mut yaml = json.is_none().then(|| Stream::new(text));
    let yaml = std::iter::from_fn(move || yaml.as_mut()?.next_document().transpose());
    json.into_iter().flatten().chain(yaml)
}

/// Whether a text is YAML or JSON at all, whatever it says: keys may be there twice, and nothing is
/// kept of it.
///
/// # Errors
/// It is neither.
pub fn check_syntax(text: &str) -> Result<(), Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if json::is_json(text) {
        return Ok(());
    }
    let mut parser = Parser::new_from_str(text);
    parser
        .try_for_each(|event| event.map(drop))
        .map_err(Error::from)
}

/// Reads the first document of a text, as Kubernetes' tools do where they expect one value. A
/// text without any is `null`.
///
/// # Errors
/// The document cannot be read.
pub fn value(text: &str) -> Result<Value, Error> {
    value_within(text, ALIAS_LIMIT + text.len())
}

/// The same, where anchors and aliases may add no more than so many nodes and bytes of text.
///
/// # Errors
/// As [`value`].
pub fn value_within(text: &str, aliases: usize) -> Result<Value, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = if let Some(documents) = json::documents(text) {
        documents.into_iter().next().transpose()?
    } else {
        let mut yaml = Stream::new(text);
        yaml.allowance = aliases;
        yaml.next_document()?
    };
    Ok(first.map_or(Value::Null, |document| document.value))
}

/// Whether a plain scalar with this text is a string.
pub(crate) fn is_plain_text(text: &str) -> bool {
    let scalar = Scalar::resolve(Cow::Borrowed(text), ScalarStyle::Plain, None);
    matches!(scalar, Ok(Scalar::Text(_)))
}

struct Stream<'t> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Value>,
    lines: Lines,
    /// What anchors and aliases may still add.
    allowance: usize,
    failed: bool,
}

/// What a key turned out to be.
enum Key {
    Merge,
    Text(String),
}

impl<'t> Stream<'t> {
    fn new(text: &'t str) -> Self {
        Stream {
            parser: Parser::new_from_str(text),
            anchors: HashMap::new(),
            lines: Lines::default(),
            allowance: ALIAS_LIMIT + text.len(),
            failed: false,
        }
    }

    fn next_document(&mut self) -> Result<Option<Document>, Error> {
        if self.failed {
            return Ok(None);
        }
        let document = self.read_document();
        self.failed = document.is_err();
        document
    }

    fn read_document(&mut self) -> Result<Option<Document>, Error> {
        while let Some(event) = self.parser.next_event() {
            let (event, _) = event?;
            if let Event::DocumentStart(_) = event {
                self.anchors.clear();
                let (event, span) = self.event()?;
                let value = self.marked_node(event, span.start, span, None, 0)?;
                let lines = std::mem::take(&mut self.lines);
                return Ok(Some(Document { value, lines }));
            }
        }
        Ok(None)
    }

    fn event(&mut self) -> Result<(Event<'t>, Span), Error> {
        let end = Span::empty(Marker::new(0, 1, 0));
        Ok(self
            .parser
            .next_event()
            .transpose()?
            .unwrap_or((Event::StreamEnd, end)))
    }

    fn marked_node(
        &mut self,
        event: Event<'t>,
        marker: Marker,
        span: Span,
        key: Option<&str>,
        depth: usize,
    ) -> Result<Value, Error> {
        let mark = self.lines.open(marker, key);
        let value = self.node(event, span, depth);
        self.lines.close(mark);
        value
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Value, Error> {
        let (value, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span, depth),
            Event::Scalar(text, style, anchor, tag) => {
                let value = Scalar::resolve(text, style, tag_name(tag.as_deref()).as_deref())
                    .and_then(Scalar::into_json)
                    .map_err(|kind| Error::new(span.start, kind))?;
                (value, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.sequence(span, depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.mapping(span, depth)?, anchor),
            _ => return Err(unexpected_end(span.start)),
        };
        if anchor != 0 {
            self.remember(anchor, &value, span)?;
        }
        Ok(value)
    }

    fn remember(&mut self, anchor: usize, value: &Value, span: Span) -> Result<(), Error> {
        self.spend(size(value).nodes, span)?;
        self.anchors.insert(anchor, value.clone());
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span, depth: usize) -> Result<Value, Error> {
        let Some(value) = self.anchors.get(&anchor) else {
            return Err(Error::new(span.start, ErrorKind::Alias));
        };
        let size = size(value);
        if depth + size.depth > DEPTH_LIMIT {
            return Err(Error::new(span.start, ErrorKind::Depth));
        }
        let value = value.clone();
        self.spend(size.nodes, span)?;
        Ok(value)
    }

    fn spend(&mut self, nodes: usize, span: Span) -> Result<(), Error> {
        self.allowance = self
            .allowance
            .checked_sub(nodes)
            .ok_or_else(|| Error::new(span.start, ErrorKind::Aliases))?;
        Ok(())
    }

    fn sequence(&mut self, span: Span, depth: usize) -> Result<Value, Error> {
        let depth = deeper(depth, span)?;
        let mut items = Vec::new();
        loop {
            let (event, span) = self.event()?;
            if event == Event::SequenceEnd {
                return Ok(Value::Array(items));
            }
            items.push(self.marked_node(event, span.start, span, None, depth)?);
        }
    }

    fn mapping(&mut self, span: Span, depth: usize) -> Result<Value, Error> {
        let depth = deeper(depth, span)?;
        let mut members = Map::new();
        let mut merged = HashSet::new();
        loop {
            let (event, span) = self.event()?;
            if event == Event::MappingEnd {
                return Ok(Value::Object(members));
            }
            match self.key(event, span)? {
                Key::Merge => self.merge(span, depth, &mut members, &mut merged)?,
                Key::Text(key) => {
                    if !merged.remove(&key) && members.contains_key(&key) {
                        return Err(Error::new(span.start, ErrorKind::DuplicateKey(key)));
                    }
                    let (event, value) = self.event()?;
                    let value = self.marked_node(event, span.start, value, Some(&key), depth)?;
                    members.insert(key, value);
                }
            }
        }
    }

    fn key(&mut self, event: Event<'t>, span: Span) -> Result<Key, Error> {
        let at_key = |kind| Error::new(span.start, kind);
        let scalar = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag_name(tag.as_deref());
                if scalar::is_merge(&text, style, tag.as_deref()) {
                    return Ok(Key::Merge);
                }
                let scalar = Scalar::resolve(text, style, tag.as_deref()).map_err(at_key)?;
                if anchor != 0 {
                    let value = scalar.clone().into_json().map_err(at_key)?;
                    self.remember(anchor, &value, span)?;
                }
                scalar
            }
            Event::Alias(anchor) => {
                Scalar::from_json(self.alias(anchor, span, 0)?).map_err(at_key)?
            }
            Event::MappingStart(..) => return Err(at_key(ErrorKind::Key("mapping"))),
            Event::SequenceStart(..) => return Err(at_key(ErrorKind::Key("sequence"))),
            _ => return Err(unexpected_end(span.start)),
        };
        scalar.into_key().map(Key::Text).map_err(at_key)
    }

    /// Takes over the members of one mapping or several; of several the first one wins.
    fn merge(
        &mut self,
        key: Span,
        depth: usize,
        members: &mut Map<String, Value>,
        merged: &mut HashSet<String>,
    ) -> Result<(), Error> {
        let marks = self.lines.marks.len();
        let (event, span) = self.event()?;
        let value = self.node(event, span, depth)?;
        self.lines.marks.truncate(marks);
        let mappings = match value {
            Value::Object(_) => vec![value],
            Value::Array(items) => items,
            _ => return Err(Error::new(key.start, ErrorKind::Merge)),
        };
        for mapping in mappings.into_iter().rev() {
            let Value::Object(mapping) = mapping else {
                return Err(Error::new(key.start, ErrorKind::Merge));
            };
            merged.extend(mapping.keys().cloned());
            members.extend(mapping);
        }
        Ok(())
    }
}

fn deeper(depth: usize, span: Span) -> Result<usize, Error> {
    if depth < DEPTH_LIMIT {
        Ok(depth + 1)
    } else {
        Err(Error::new(span.start, ErrorKind::Depth))
    }
}

fn unexpected_end(marker: Marker) -> Error {
    Error::new(
        marker,
        ErrorKind::Syntax("the document ends too early".to_owned()),
    )
}

/// The full name of a tag, or None for a node without one.
fn tag_name(tag: Option<&Tag>) -> Option<String> {
    tag.map(|tag| format!("{}{}", tag.handle, tag.suffix))
}

struct Size {
    /// Nodes and bytes of text.
    nodes: usize,
    depth: usize,
}

fn size(value: &Value) -> Size {
    let collection = |parts: &mut dyn Iterator<Item = (usize, &Value)>| {
        let mut whole = Size { nodes: 1, depth: 0 };
        for (key, part) in parts {
            let part = size(part);
            whole.nodes += key + part.nodes;
            whole.depth = whole.depth.max(part.depth);
        }
        whole.depth += 1;
        whole
    };
    match value {
        Value::Array(items) => collection(&mut items.iter().map(|item| (0, item))),
        Value::Object(members) => {
            collection(&mut members.iter().map(|(key, member)| (key.len(), member)))
        }
        Value::String(text) => Size {
            nodes: 1 + text.len(),
            depth: 0,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => Size { nodes: 1, depth: 0 },
    }
}

#[cfg(test)]
mod tests;
