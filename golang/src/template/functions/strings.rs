//! Sprig's functions on texts (`strings.go`, goutils and xstrings).

use super::{Argument, Function, Outcome, any, int, rest, text};
use crate::strings::{lower, to_lower};
use crate::template::format;
use crate::template::value::{Element, Entries, List, Map, Value, cut};
use crate::template::{TemplateError, fails, undecided};
use crate::work::Work;
use std::sync::Arc;

use Argument::{Any, Int, Text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("hello", &[], |_, _| Ok(Value::from("Hello!"))),
    Function::new("trim", &[Text], |_, given| {
        Ok(Value::from(text(given, 0).trim()))
    }),
    Function::new("upper", &[Text], upper),
    Function::new("lower", &[Text], |_, given| {
        Ok(Value::from(to_lower(text(given, 0))))
    }),
    Function::new("title", &[Text], title),
    Function::plain("untitle", &[Text], untitle),
    Function::new("substr", &[Int, Int, Text], substr),
    Function::new("repeat", &[Int, Text], repeat),
    Function::new("trunc", &[Int, Text], trunc),
    Function::new("abbrev", &[Int, Text], abbrev),
    Function::new("abbrevboth", &[Int, Int, Text], abbrevboth),
    Function::plain("trimall", &[Text, Text], trim_all),
    Function::plain("trimAll", &[Text, Text], trim_all),
    Function::new("trimSuffix", &[Text, Text], |_, given| {
        let whole = text(given, 1);
        Ok(Value::from(
            whole.strip_suffix(text(given, 0)).unwrap_or(whole),
        ))
    }),
    Function::new("trimPrefix", &[Text, Text], |_, given| {
        let whole = text(given, 1);
        Ok(Value::from(
            whole.strip_prefix(text(given, 0)).unwrap_or(whole),
        ))
    }),
    Function::plain("nospace", &[Text], nospace),
    Function::plain("initials", &[Text], initials),
    Function::new("swapcase", &[Text], swapcase),
    Function::new("snakecase", &[Text], |_, given| {
        to_lower_case_words(text(given, 0), '_')
    }),
    Function::new("kebabcase", &[Text], |_, given| {
        to_lower_case_words(text(given, 0), '-')
    }),
    Function::new("camelcase", &[Text], camelcase),
    Function::new("wrap", &[Int, Text], |work, given| {
        wrap(work, text(given, 1), int(given, 0), "\n", false)
    }),
    Function::new("wrapWith", &[Int, Text, Text], |work, given| {
        wrap(work, text(given, 2), int(given, 0), text(given, 1), true)
    }),
    Function::new("contains", &[Text, Text], |_, given| {
        Ok(Value::from(text(given, 1).contains(text(given, 0))))
    }),
    Function::new("hasPrefix", &[Text, Text], |_, given| {
        Ok(Value::from(text(given, 1).starts_with(text(given, 0))))
    }),
    Function::new("hasSuffix", &[Text, Text], |_, given| {
        Ok(Value::from(text(given, 1).ends_with(text(given, 0))))
    }),
    Function::new("quote", &[], quote)
        .variadic(Any)
        .takes_versions(),
    Function::new("squote", &[], squote)
        .variadic(Any)
        .takes_versions(),
    Function::new("cat", &[], cat).variadic(Any),
    Function::new("indent", &[Int, Text], |work, given| {
        indent(work, int(given, 0), text(given, 1), "").map(Value::from)
    }),
    Function::new("nindent", &[Int, Text], |work, given| {
        indent(work, int(given, 0), text(given, 1), "\n").map(Value::from)
    }),
    Function::new("replace", &[Text, Text, Text], replace),
    Function::new("plural", &[Text, Text, Int], |_, given| {
        let chosen = usize::from(int(given, 2) != 1);
        Ok(any(given, chosen).clone())
    }),
    Function::new("toString", &[Any], |work, given| {
        strval(work, any(given, 0)).map(Value::from)
    })
    .takes_versions(),
    Function::new("toStrings", &[Any], |work, given| {
        let texts = strslice(work, any(given, 0))?;
        Ok(Value::List(List::of_texts(
            texts.iter().map(String::as_str),
        )))
    }),
    Function::new("join", &[Text, Any], join),
    Function::new("split", &[Text, Text], |work, given| {
        numbered(work, &split(text(given, 1), text(given, 0)))
    }),
    Function::new("splitList", &[Text, Text], |work, given| {
        let parts = split(text(given, 1), text(given, 0));
        work.places(parts.len())?;
        Ok(Value::List(List::of_texts(parts)))
    }),
    Function::new("splitn", &[Text, Int, Text], splitn),
    Function::new("fail", &[Text], |_, given| Err(fails(text(given, 0)))),
];

fn upper_of(character: char) -> Result<char, TemplateError> {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => Ok(upper),
        // German's sharp s has no upper case of its own.
        _ if character == 'ß' => Ok('ß'),
        _ => Err(undecided("the upper case of a letter that has several")),
    }
}

fn upper(_: &Work, given: &[Value]) -> Outcome {
    let upper: Result<String, _> = text(given, 0).chars().map(upper_of).collect();
    upper.map(Value::from)
}

/// `strings.Title`: the first letter of each word in title case.
fn title(_: &Work, given: &[Value]) -> Outcome {
    let mut previous = ' ';
    let mut titled = String::new();
    for character in text(given, 0).chars() {
        let starts = is_separator(previous)?;
        titled.push(if starts {
            title_of(character)?
        } else {
            character
        });
        previous = character;
    }
    Ok(Value::from(titled))
}

fn title_of(character: char) -> Result<char, TemplateError> {
    match character {
        '\u{1c4}'..='\u{1cc}' | '\u{1f1}'..='\u{1f3}' | '\u{10d0}'..='\u{10ff}' => Err(undecided(
            "the title case of a letter that has one of its own",
        )),
        other => upper_of(other),
    }
}

fn is_separator(character: char) -> Result<bool, TemplateError> {
    if character.is_ascii() {
        return Ok(character != '_' && !character.is_ascii_alphanumeric());
    }
    if character.is_alphabetic() {
        return Ok(false);
    }
    if character.is_numeric() {
        return Err(undecided("title of a number outside of ASCII"));
    }
    Ok(character.is_whitespace())
}

fn untitle(given: &[Value]) -> Value {
    let mut next = true;
    let untitled: String = text(given, 0)
        .chars()
        .map(|character| {
            let first = next;
            next = character.is_whitespace();
            if first && !next {
                lower(character)
            } else {
                character
            }
        })
        .collect();
    Value::from(untitled)
}

fn substr(_: &Work, given: &[Value]) -> Outcome {
    let (start, end, whole) = (int(given, 0), int(given, 1), text(given, 2));
    let length = length(whole);
    let cut = if start < 0 {
        cut(whole, 0, end)
    } else if end < 0 || end > length {
        cut(whole, start, length)
    } else {
        cut(whole, start, end)
    };
    cut.map(Value::from)
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

/// `strings.Repeat`, paid for before it is done.
pub(super) fn repeated(work: &Work, text: &str, count: i64) -> Result<String, TemplateError> {
    let Ok(count) = usize::try_from(count) else {
        return Err(fails("strings: negative Repeat count"));
    };
    work.bytes(text.len().saturating_mul(count))?;
    Ok(text.repeat(count))
}

fn repeat(work: &Work, given: &[Value]) -> Outcome {
    repeated(work, text(given, 1), int(given, 0)).map(Value::from)
}

fn trunc(_: &Work, given: &[Value]) -> Outcome {
    let (count, whole) = (int(given, 0), text(given, 1));
    let length = length(whole);
    let cut = if count < 0 && length + count > 0 {
        cut(whole, length + count, length)?
    } else if count >= 0 && length > count {
        cut(whole, 0, count)?
    } else {
        whole
    };
    Ok(Value::from(cut))
}

fn abbrev(_: &Work, given: &[Value]) -> Outcome {
    let (width, whole) = (int(given, 0), text(given, 1));
    if width < 4 {
        return Ok(Value::from(whole));
    }
    abbreviate(whole, 0, width).map(Value::from)
}

fn abbrevboth(_: &Work, given: &[Value]) -> Outcome {
    let (left, right, whole) = (int(given, 0), int(given, 1), text(given, 2));
    if right < 4 || left > 0 && right < 7 {
        return Ok(Value::from(whole));
    }
    abbreviate(whole, left, right).map(Value::from)
}

/// goutils' `AbbreviateFull`; its errors are swallowed and leave nothing.
fn abbreviate(text: &str, offset: i64, width: i64) -> Result<String, TemplateError> {
    let length = length(text);
    if width < 4 || length <= width {
        return Ok(if width < 4 {
            String::new()
        } else {
            text.to_owned()
        });
    }
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    if offset <= 4 {
        return Ok(format!("{}...", cut(text, 0, width - 3)?));
    }
    if width < 7 {
        return Ok(String::new());
    }
    if offset + width - 3 < length {
        let rest = cut(text, offset, length)?;
        return Ok(format!("...{}", abbreviate(rest, 0, width - 3)?));
    }
    Ok(format!("...{}", cut(text, length - (width - 3), length)?))
}

fn trim_all(given: &[Value]) -> Value {
    let cutset: Vec<char> = text(given, 0).chars().collect();
    Value::from(text(given, 1).trim_matches(cutset.as_slice()))
}

/// goutils goes through bytes, each of which it takes for a character.
fn nospace(given: &[Value]) -> Value {
    let whole = text(given, 0);
    let characters = || whole.bytes().map(char::from);
    if !characters().any(char::is_whitespace) {
        return Value::from(whole);
    }
    let rest: String = characters().filter(|one| !one.is_whitespace()).collect();
    Value::from(rest)
}

fn initials(given: &[Value]) -> Value {
    let mut initials = String::new();
    let mut after_gap = true;
    for character in text(given, 0).bytes().map(char::from) {
        let gap = character.is_whitespace();
        if after_gap && !gap {
            initials.push(character);
        }
        after_gap = gap;
    }
    Value::from(initials)
}

fn swapcase(_: &Work, given: &[Value]) -> Outcome {
    let whole = text(given, 0);
    only_ascii(whole)?;
    let swapped: String = whole
        .chars()
        .map(|character| {
            if character.is_ascii_uppercase() {
                character.to_ascii_lowercase()
            } else {
                character.to_ascii_uppercase()
            }
        })
        .collect();
    Ok(Value::from(swapped))
}

fn only_ascii(text: &str) -> Result<(), TemplateError> {
    if text.is_ascii() {
        Ok(())
    } else {
        Err(undecided("this function for letters outside of ASCII"))
    }
}

/// xstrings' kinds of words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Word {
    None,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punctuation,
    Other,
}

fn is_connector(character: char) -> bool {
    matches!(character, '-' | '_') || character.is_whitespace()
}

/// `unicode.IsPunct`, in ASCII.
fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation()
        && !matches!(
            character,
            '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~'
        )
}

/// The first word of a text, and what follows.
fn next_word(text: &str) -> (Word, &str, &str) {
    let Some(first) = text.chars().next() else {
        return (Word::None, "", "");
    };
    let while_true = |test: fn(char) -> bool| {
        let end = text.find(|character| !test(character));
        end.unwrap_or(text.len())
    };
    let (word, end) = if is_connector(first) {
        (Word::Connector, while_true(is_connector))
    } else if is_punctuation(first) {
        (Word::Punctuation, while_true(is_punctuation))
    } else if first.is_ascii_uppercase() {
        (Word::Upper, upper_word(text))
    } else if first.is_ascii_lowercase() {
        (Word::Alphabet, while_true(|one| one.is_ascii_lowercase()))
    } else if first.is_ascii_digit() {
        (Word::Number, while_true(|one| one.is_ascii_digit()))
    } else {
        let is_other =
            |one: char| !is_connector(one) && !one.is_ascii_alphanumeric() && !is_punctuation(one);
        (Word::Other, while_true(is_other))
    };
    let (word_text, rest) = text.split_at(end);
    (word, word_text, rest)
}

/// `HTTP` of `HTTPStatus`, `Status` of `Status200`.
fn upper_word(text: &str) -> usize {
    let uppers = text.find(|one: char| !one.is_ascii_uppercase());
    let uppers = uppers.unwrap_or(text.len());
    let rest = text.get(uppers..).unwrap_or_default();
    let followed = rest.starts_with(|one: char| one.is_ascii_lowercase());
    if uppers > 1 {
        return if followed { uppers - 1 } else { uppers };
    }
    let lowers = rest.find(|one: char| !one.is_ascii_lowercase());
    uppers + lowers.unwrap_or(rest.len())
}

/// xstrings' `camelCaseToLowerCase`.
fn to_lower_case_words(text: &str, connector: char) -> Outcome {
    only_ascii(text)?;
    let mut out = String::with_capacity(text.len() * 2);
    let write = |out: &mut String, word: Word, text: &str| match word {
        Word::Upper | Word::Connector => out.extend(text.chars().map(|one| {
            if is_connector(one) {
                connector
            } else {
                one.to_ascii_lowercase()
            }
        })),
        _ => out.push_str(text),
    };
    let joins = |word: Word| !matches!(word, Word::None | Word::Punctuation | Word::Connector);
    let letters = |word: Word| matches!(word, Word::Alphabet | Word::Number);
    let (mut kind, mut word, mut rest) = next_word(text);
    while !rest.is_empty() {
        if kind != Word::Connector {
            write(&mut out, kind, word);
        }
        let (previous, last) = (kind, word);
        (kind, word, rest) = next_word(rest);
        match previous {
            Word::Number => {
                while letters(kind) {
                    write(&mut out, kind, word);
                    (kind, word, rest) = next_word(rest);
                }
                if joins(kind) {
                    out.push(connector);
                }
            }
            Word::Connector => write(&mut out, previous, last),
            Word::Punctuation => {}
            _ if kind != Word::Number => {
                if !matches!(kind, Word::Connector | Word::Punctuation) {
                    out.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = word;
                (kind, word, rest) = next_word(rest);
                if kind == Word::Alphabet {
                    out.push(connector);
                    write(&mut out, Word::Number, number);
                    while letters(kind) {
                        write(&mut out, kind, word);
                        (kind, word, rest) = next_word(rest);
                    }
                    if joins(kind) {
                        out.push(connector);
                    }
                } else {
                    write(&mut out, Word::Number, number);
                    if !matches!(kind, Word::Connector | Word::Punctuation) {
                        out.push(connector);
                    }
                }
            }
        }
    }
    write(&mut out, kind, word);
    Ok(Value::from(out))
}

/// xstrings' `ToPascalCase`.
fn camelcase(_: &Work, given: &[Value]) -> Outcome {
    let whole = text(given, 0);
    only_ascii(whole)?;
    let leading = whole.find(|one| !is_connector(one)).unwrap_or(whole.len());
    let (connectors, rest) = whole.split_at(leading);
    let mut rest = rest.chars();
    let mut out = connectors.to_owned();
    let Some(first) = rest.next() else {
        // Its last character comes twice where there are only connectors.
        out.extend(connectors.chars().last());
        return Ok(Value::from(out));
    };
    let mut upper_first = first.is_ascii_uppercase();
    let mut current = first.to_ascii_uppercase();
    for next in rest {
        let previous = std::mem::replace(&mut current, next);
        if is_connector(current) && is_connector(previous) {
            out.push(previous);
            continue;
        }
        if is_connector(previous) {
            upper_first = current.is_ascii_uppercase();
            current = current.to_ascii_uppercase();
            continue;
        }
        if upper_first {
            if current.is_ascii_uppercase() {
                current = current.to_ascii_lowercase();
            } else {
                upper_first = false;
            }
        }
        out.push(previous);
    }
    out.push(current);
    Ok(Value::from(out))
}

/// goutils' `WrapCustom`.
fn wrap(work: &Work, text: &str, width: i64, line_break: &str, cuts_words: bool) -> Outcome {
    only_ascii(text)?;
    let line_break = if line_break.is_empty() {
        "\n"
    } else {
        line_break
    };
    let width = usize::try_from(width.max(1)).unwrap_or(usize::MAX);
    let mut wrapped = format::Text::new(work);
    let mut rest = text;
    while rest.len() > width {
        if let Some(after) = rest.strip_prefix(' ') {
            rest = after;
            work.bytes(1)?;
            continue;
        }
        let (line, after) = rest.split_at(width);
        let up_to_next = rest.get(..=width).unwrap_or(rest);
        if let Some(space) = up_to_next.rfind(' ') {
            wrapped.push(rest.get(..space).unwrap_or_default())?;
            rest = rest.get(space + 1..).unwrap_or_default();
        } else if cuts_words {
            wrapped.push(line)?;
            rest = after;
        } else if let Some((word, after)) = after.split_once(' ') {
            wrapped.push(line)?;
            wrapped.push(word)?;
            rest = after;
        } else {
            wrapped.push(rest)?;
            rest = "";
            break;
        }
        wrapped.push(line_break)?;
    }
    wrapped.push(rest)?;
    Ok(Value::from(wrapped.finish()))
}

/// Sprig's `strval`.
pub(super) fn strval(work: &Work, value: &Value) -> Result<String, TemplateError> {
    let mut text = format::Text::new(work);
    text.print(value)?;
    Ok(text.finish())
}

/// Sprig's `strslice`: the items that are not nil, as texts.
pub(super) fn strslice(work: &Work, value: &Value) -> Result<Vec<String>, TemplateError> {
    match value {
        Value::List(list) => {
            work.places(list.items().len())?;
            let items = list.items().iter().filter(|item| !is_nil(item));
            items.map(|item| strval(work, item)).collect()
        }
        Value::Nil | Value::Missing => Ok(Vec::new()),
        other => Ok(vec![strval(work, other)?]),
    }
}

fn is_nil(value: &Value) -> bool {
    matches!(value, Value::Nil | Value::Missing)
}

fn quote(work: &Work, given: &[Value]) -> Outcome {
    joined(work, given, |work, value| {
        format::quote(&strval(work, value)?)
    })
}

fn squote(work: &Work, given: &[Value]) -> Outcome {
    joined(work, given, |work, value| {
        Ok(format!("'{}'", strval(work, value)?))
    })
}

fn cat(work: &Work, given: &[Value]) -> Outcome {
    joined(work, given, strval)
}

/// What is made of the values that are not nil, with spaces between.
fn joined(
    work: &Work,
    given: &[Value],
    make: fn(&Work, &Value) -> Result<String, TemplateError>,
) -> Outcome {
    let mut text = format::Text::new(work);
    for (index, value) in given.iter().filter(|value| !is_nil(value)).enumerate() {
        if index > 0 {
            text.push(" ")?;
        }
        text.push(&make(work, value)?)?;
    }
    Ok(Value::from(text.finish()))
}

fn indent(work: &Work, spaces: i64, text: &str, before: &str) -> Result<String, TemplateError> {
    let padding = repeated(work, " ", spaces)?;
    let mut indented = format::Text::new(work);
    indented.push(before)?;
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            indented.push("\n")?;
        }
        indented.push(&padding)?;
        indented.push(line)?;
    }
    Ok(indented.finish())
}

fn replace(work: &Work, given: &[Value]) -> Outcome {
    let (old, new, source) = (text(given, 0), text(given, 1), text(given, 2));
    let count = source.matches(old).count();
    work.bytes(source.len().saturating_add(count.saturating_mul(new.len())))?;
    Ok(Value::from(source.replace(old, new)))
}

fn join(work: &Work, given: &[Value]) -> Outcome {
    let texts = strslice(work, any(given, 1))?;
    let separator = text(given, 0);
    let length: usize = texts.iter().map(String::len).sum();
    work.bytes(length.saturating_add(separator.len().saturating_mul(texts.len())))?;
    Ok(Value::from(texts.join(separator)))
}

/// Go's `strings.Split`: an empty separator parts the characters.
fn split<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    if separator.is_empty() {
        return text.split("").filter(|part| !part.is_empty()).collect();
    }
    text.split(separator).collect()
}

fn splitn(work: &Work, given: &[Value]) -> Outcome {
    let (separator, count, whole) = (text(given, 0), int(given, 1), text(given, 2));
    let parts = match usize::try_from(count) {
        Err(_) => split(whole, separator),
        Ok(_) if separator.is_empty() => {
            return Err(undecided("splitn with an empty separator"));
        }
        Ok(count) => whole.splitn(count, separator).collect(),
    };
    numbered(work, &parts)
}

/// A map of `_0`, `_1` and so on.
fn numbered(work: &Work, parts: &[&str]) -> Outcome {
    work.places(parts.len())?;
    let members: Entries = parts
        .iter()
        .enumerate()
        .map(|(index, part)| (Arc::from(format!("_{index}")), Value::from(*part)))
        .collect();
    Map::open(Element::Text, members).map(Value::Map)
}

/// For the other groups: the arguments from one on, as texts.
pub(super) fn texts(given: &[Value], start: usize) -> impl Iterator<Item = &str> {
    rest(given, start).iter().filter_map(|value| match value {
        Value::Text(text) => Some(&**text),
        _ => None,
    })
}
