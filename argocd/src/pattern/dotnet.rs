//! Regular expressions of .NET, which Argo CD takes for `sourceNamespaces`, in the words of the
//! engine that is used here.
//!
//! Most is the same in both. What differs is rewritten: what counts as an operator within a class,
//! classes less others (`[a-z-[aeiou]]`), `\G`, and braces that are not a repetition. What .NET
//! refuses and the engine would take is refused: repetitions of nothing or of repetitions, and
//! escapes that mean nothing. Follows regexp2 1.12.

use std::iter::Peekable;
use std::str::Chars;

/// How deep classes may be within others.
const DEPTH_LIMIT: usize = 16;

/// The same expression for the engine, or `None` if .NET refuses it.
pub(crate) fn translate(expression: &str) -> Option<String> {
    let mut translator = Translator {
        characters: expression.chars().peekable(),
        translated: String::with_capacity(expression.len()),
        previous: Previous::Nothing,
    };
    while let Some(character) = translator.characters.next() {
        translator.translate(character)?;
    }
    Some(translator.translated)
}

struct Translator<'e> {
    characters: Peekable<Chars<'e>>,
    translated: String,
    previous: Previous,
}

/// What a repetition would repeat.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Previous {
    Nothing,
    Atom,
    Repetition,
    LazyRepetition,
}

impl Translator<'_> {
    fn translate(&mut self, character: char) -> Option<()> {
        match character {
            '*' | '+' | '?' => self.repetition(&character.to_string())?,
            '{' => match repetition_count(&self.characters) {
                Some(count) => {
                    self.characters.nth(count.len() - 1);
                    self.repetition(&format!("{{{count}"))?;
                }
                None => self.atom("\\{"),
            },
            '}' => self.atom("\\}"),
            ']' => self.atom("\\]"),
            '\\' => self.escape()?,
            '[' => {
                let class = class(&mut self.characters, 0)?;
                self.atom(&class);
            }
            '(' => self.group()?,
            '|' => {
                self.translated.push('|');
                self.previous = Previous::Nothing;
            }
            other => self.atom(other.encode_utf8(&mut [0; 4])),
        }
        Some(())
    }

    fn atom(&mut self, text: &str) {
        self.translated.push_str(text);
        self.previous = Previous::Atom;
    }

    fn repetition(&mut self, text: &str) -> Option<()> {
        self.previous = match (self.previous, text) {
            (Previous::Atom, _) => Previous::Repetition,
            (Previous::Repetition, "?") => Previous::LazyRepetition,
            _ => return None,
        };
        self.translated.push_str(text);
        Some(())
    }

    fn escape(&mut self) -> Option<()> {
        let text = match self.characters.next()? {
            // Where the search starts, which here is always the start of the text.
            'G' => "\\A".to_owned(),
            escaped @ ('p' | 'P') => property(escaped, &mut self.characters)?,
            escaped if is_known(escaped, "bBAZzdDsSwWkxucafnrtve") => format!("\\{escaped}"),
            _ => return None,
        };
        self.atom(&text);
        Some(())
    }

    /// What follows `(`. A `?` there starts no repetition, and a comment is left out.
    fn group(&mut self) -> Option<()> {
        if self.characters.next_if_eq(&'?').is_none() {
            self.translated.push('(');
        } else if self.characters.next_if_eq(&'#').is_some() {
            return self.characters.find(|&c| c == ')').map(drop);
        } else {
            self.translated.push_str("(?");
            self.translated.push(self.characters.next()?);
        }
        self.previous = Previous::Nothing;
        Some(())
    }
}

/// Whether an escaped character means something: a sign means itself, a letter must be known.
fn is_known(escaped: char, letters: &str) -> bool {
    let word = escaped.is_alphanumeric() || escaped == '_';
    !word || escaped.is_ascii_digit() || letters.contains(escaped)
}

/// `1}`, `1,}` or `1,2}`, if that is what follows.
fn repetition_count(characters: &Peekable<Chars<'_>>) -> Option<String> {
    let ahead = characters.clone();
    let mut count: String = ahead
        .take_while(|c| c.is_ascii_digit() || *c == ',')
        .collect();
    let closes = characters.clone().nth(count.len()) == Some('}');
    let (first, last) = count.split_once(',').unwrap_or((&count, ""));
    let counts = !first.is_empty() && !last.contains(',');
    (closes && counts).then(|| {
        count.push('}');
        count
    })
}

/// `\p{L}`.
fn property(escaped: char, characters: &mut Peekable<Chars<'_>>) -> Option<String> {
    characters.next_if_eq(&'{')?;
    let mut name = String::new();
    loop {
        match characters.next()? {
            '}' => return Some(format!("\\{escaped}{{{name}}}")),
            character => name.push(character),
        }
    }
}

/// What follows `[`, with the bracket.
fn class(characters: &mut Peekable<Chars<'_>>, depth: usize) -> Option<String> {
    if depth == DEPTH_LIMIT {
        return None;
    }
    let mut class = String::from("[");
    if characters.next_if_eq(&'^').is_some() {
        class.push('^');
    }
    let mut first = true;
    loop {
        let character = characters.next()?;
        if character == ']' && !first {
            class.push(']');
            return Some(class);
        }
        if character == '-' && !first && characters.next_if_eq(&'[').is_some() {
            return less(&class, characters, depth);
        }
        first = false;
        let (from, set) = class_item(character, characters)?;
        class.push_str(&from);
        let mut ahead = characters.clone();
        if set || ahead.next() != Some('-') {
            continue;
        }
        match ahead.next()? {
            ']' => {}
            '[' => {
                characters.next();
                characters.next();
                return less(&class, characters, depth);
            }
            _ => {
                characters.next();
                let character = characters.next()?;
                let (to, set) = class_item(character, characters)?;
                if set {
                    return None;
                }
                class.push('-');
                class.push_str(&to);
            }
        }
    }
}

/// A class less another, which must be the last of it.
fn less(class: &str, characters: &mut Peekable<Chars<'_>>, depth: usize) -> Option<String> {
    let other = self::class(characters, depth + 1)?;
    characters.next_if_eq(&']')?;
    Some(format!("[{class}]--{other}]"))
}

/// A character of a class, and whether it stands for several.
fn class_item(character: char, characters: &mut Peekable<Chars<'_>>) -> Option<(String, bool)> {
    if character != '\\' {
        let operator = "[]&~-^".contains(character);
        let escape = if operator { "\\" } else { "" };
        return Some((format!("{escape}{character}"), false));
    }
    match characters.next()? {
        escaped @ ('p' | 'P') => Some((property(escaped, characters)?, true)),
        escaped @ ('d' | 'D' | 's' | 'S' | 'w' | 'W') => Some((format!("\\{escaped}"), true)),
        escaped if is_known(escaped, "bxucafnrtve") => Some((format!("\\{escaped}"), false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn operators_within_classes_are_plain_characters() {
        for (expression, translated) in [
            ("[a&&b]", r"[a\&\&b]"),
            ("[[]", r"[\[]"),
            ("[]a]", r"[\]a]"),
            ("[--a]", r"[\--a]"),
            ("[a-]", r"[a\-]"),
            ("[^~~]", r"[^\~\~]"),
            (r"[\w-]", r"[\w\-]"),
        ] {
            assert_eq!(translate(expression).as_deref(), Some(translated));
        }
    }

    #[test]
    fn a_class_may_be_taken_from_another() {
        let translated = translate("[a-z-[aeiou]]").unwrap();
        assert_eq!(translated, "[[a-z]--[aeiou]]");
        assert_eq!(translate("[^a-[b]]").unwrap(), "[[^a]--[b]]");
        assert_eq!(translate("[a-z-[b]c]"), None, "only as the last");
    }

    #[test]
    fn braces_repeat_only_with_a_count() {
        for same in ["a{2}", "a{2,}", "a{2,3}?"] {
            assert_eq!(translate(same).as_deref(), Some(same));
        }
        assert_eq!(translate("a{,2}").unwrap(), r"a\{,2\}");
        assert_eq!(translate("{a}").unwrap(), r"\{a\}");
    }

    #[test]
    fn what_dotnet_refuses_is_refused() {
        for expression in [
            "*a", "a|+", "(?:*)", "{2}", "a*+", "a++", "a*??", "a{2}{3}", r"\_", r"\y", r"a\",
            "[a", "[]", r"[a-\d]", "(?#",
        ] {
            assert_eq!(translate(expression), None, "{expression}");
        }
    }

    #[test]
    fn groups_and_escapes_stay() {
        for same in [
            r"^(?!kube-)(?:a|b)*?$",
            r"(?<n>a)\k<n>\1(?<=b)",
            r"\d\p{Lu}\.\-",
            "(?i)a",
        ] {
            assert_eq!(translate(same).as_deref(), Some(same));
        }
        assert_eq!(translate(r"\Ga(?#*)*").unwrap(), r"\Aa*");
    }

    proptest! {
        #[test]
        fn no_expression_panics(expression in "[\\[\\](){}?*+|^$.,&~\\\\a-cdwpP0-9-]{0,30}") {
            translate(&expression);
        }
    }

    #[test]
    fn deep_and_long_expressions_are_refused_or_read_in_no_time() {
        assert_eq!(translate(&"[a-".repeat(100_000)), None);
        assert!(translate(&"(".repeat(100_000)).is_some());
        assert!(translate(&"{1".repeat(100_000)).is_some());
    }
}
