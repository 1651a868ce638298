//! Go's `path.Match`, and `filepath.Match`, which is the same but on Windows.
//!
//! `*`, `?`, `[abc]`, `[^a-z]` and `\` escapes against the whole string, case-sensitive; no `**`
//! and no braces, and `!` excludes nothing. `*` and `?` do not match `/`, a class does. A pattern
//! that is malformed matches nothing.
//!
//! Matching follows Go 1.26 step by step, since what it gives is not always what the pattern says:
//! behind a `*` the first place that fits is taken for good, and a `*` may end within a character,
//! whose other bytes then count as a character each. It is bounded by the length of the pattern
//! times that of the text.

use std::iter::Peekable;
use std::str::Chars;

/// A compiled pattern.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PathGlob {
    /// `None` if the pattern is malformed.
    chunks: Option<Box<[Chunk]>>,
}

/// What stands between two stars.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Chunk {
    /// Whether there is a star before it.
    pub star: bool,
    /// What it matches, character by character.
    pub items: Vec<Item>,
}

/// What one character matches.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Item {
    /// This one.
    Literal(char),
    /// Anything but a slash.
    One,
    /// A character within one of the ranges, or within none of them.
    Class {
        /// Whether it is within none of them.
        excludes: bool,
        /// From the first to the last, both of them.
        ranges: Vec<(char, char)>,
    },
}

impl PathGlob {
    /// Compiles a pattern.
    pub fn new(pattern: &str) -> Self {
        PathGlob {
            chunks: compile(pattern).map(Vec::into_boxed_slice),
        }
    }

    /// Whether the pattern is malformed, and so matches nothing.
    pub fn is_malformed(&self) -> bool {
        self.chunks.is_none()
    }

    /// What the pattern is made of, or `None` if it is malformed.
    pub fn chunks(&self) -> Option<&[Chunk]> {
        self.chunks.as_deref()
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let Some(chunks) = &self.chunks else {
            return false;
        };
        let Some((last, others)) = chunks.split_last() else {
            return text.is_empty();
        };
        let mut at = 0;
        for chunk in others {
            let Some(end) = chunk.find(text, at, |_| true) else {
                return false;
            };
            at = end;
        }
        if last.star && last.items.is_empty() {
            return !text.as_bytes()[at..].contains(&b'/');
        }
        last.find(text, at, |end| end == text.len()).is_some()
    }
}

impl Chunk {
    /// Where the chunk ends if it is put at the first place that fits.
    fn find(&self, text: &str, mut at: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
        loop {
            if let Some(end) = self.match_at(text, at)
                && fits(end)
            {
                return Some(end);
            }
            let next = text.as_bytes().get(at)?;
            if !self.star || *next == b'/' {
                return None;
            }
            at += 1;
        }
    }

    /// Where the chunk ends if it starts at a byte.
    fn match_at(&self, text: &str, mut at: usize) -> Option<usize> {
        for item in &self.items {
            at = item.match_at(text, at)?;
        }
        Some(at)
    }
}

impl Item {
    /// Where what it matches ends, if it matches at a byte.
    fn match_at(&self, text: &str, at: usize) -> Option<usize> {
        // A byte within a character counts as a character that is none.
        let (character, length) = match text.get(at..) {
            Some(rest) => {
                let character = rest.chars().next()?;
                (character, character.len_utf8())
            }
            None if matches!(self, Item::Literal(_)) => return None,
            None => (char::REPLACEMENT_CHARACTER, 1),
        };
        let matches = match self {
            Item::Literal(literal) => *literal == character,
            Item::One => character != '/',
            Item::Class { excludes, ranges } => {
                let within = |&(from, to): &(char, char)| from <= character && character <= to;
                ranges.iter().any(within) != *excludes
            }
        };
        matches.then_some(at + length)
    }
}

fn compile(pattern: &str) -> Option<Vec<Chunk>> {
    let mut chunks = Vec::new();
    let mut chunk = Chunk::default();
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        let item = match character {
            '*' => {
                // Stars in a row are one.
                if !chunk.items.is_empty() {
                    chunks.push(std::mem::take(&mut chunk));
                }
                chunk.star = true;
                continue;
            }
            '?' => Item::One,
            '[' => class(&mut characters)?,
            '\\' => Item::Literal(characters.next()?),
            literal => Item::Literal(literal),
        };
        chunk.items.push(item);
    }
    if chunk != Chunk::default() {
        chunks.push(chunk);
    }
    Some(chunks)
}

/// What follows `[`: an optional `^`, then at least one character or range, then `]`.
fn class(characters: &mut Peekable<Chars<'_>>) -> Option<Item> {
    let excludes = characters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || characters.next_if_eq(&']').is_none() {
        let first = class_character(characters)?;
        let last = match characters.next_if_eq(&'-') {
            Some(_) => class_character(characters)?,
            None => first,
        };
        ranges.push((first, last));
    }
    Some(Item::Class { excludes, ranges })
}

fn class_character(characters: &mut Peekable<Chars<'_>>) -> Option<char> {
    match characters.next()? {
        '-' | ']' => None,
        '\\' => characters.next(),
        character => Some(character),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        PathGlob::new(pattern).matches(text)
    }

    #[test]
    fn stars_and_question_marks_stop_at_slashes() {
        assert!(matches("*", "Deployment"));
        assert!(matches("*", ""));
        assert!(!matches("*", "apps/v1"));
        assert!(matches("*/*", "apps/v1"));
        assert!(!matches("apps?v1", "apps/v1"));
        assert!(matches("**", "Deployment"));
        assert!(!matches("**", "apps/v1"), "two stars are one");
    }

    #[test]
    fn the_whole_text_matches_and_case_counts() {
        assert!(matches("*.k8s.io", "networking.k8s.io"));
        assert!(!matches("*.k8s.io", "networking.k8s.io.example.org"));
        assert!(!matches("Role", "ClusterRole"));
        assert!(!matches("secret", "Secret"));
        assert!(matches("", ""));
        assert!(!matches("", "apps"));
    }

    #[test]
    fn a_class_excludes_with_a_circumflex_only() {
        assert!(matches("[A-D]*", "ConfigMap"));
        assert!(!matches("[^A-D]*", "ConfigMap"));
        assert!(matches("[!S]*", "Secret"), "`!` is one of two characters");
        assert!(!matches("[!S]*", "ConfigMap"));
        assert!(matches("[^a]", "/"), "a class matches a slash");
        assert!(!matches("[z-a]", "b"), "a reversed range is empty");
        assert!(matches("[^z-a]", "b"));
        assert!(matches("[a\\]]", "]"));
        assert!(matches("[*?[]", "["));
    }

    #[test]
    fn other_flavours_mean_nothing() {
        assert!(!matches("{Secret,ConfigMap}", "Secret"));
        assert!(matches("{Secret,ConfigMap}", "{Secret,ConfigMap}"));
        assert!(!matches("!Secret", "ConfigMap"));
        assert!(matches("Resource\\Quota", "ResourceQuota"));
        assert!(matches("\\*", "*"));
        assert!(!matches("\\*", "Secret"));
    }

    #[test]
    fn a_malformed_pattern_matches_nothing() {
        for pattern in [
            "[", "[]", "[^]", "[a", "[^", "[-a]", "[a-]", "[a-", "[]a]", "a\\", "[\\", "a[", "*[",
            "[a-b-c]", "[]*]",
        ] {
            let glob = PathGlob::new(pattern);
            assert!(glob.is_malformed(), "{pattern}");
            for text in ["", "a", "]", pattern] {
                assert!(!glob.matches(text), "{pattern}");
            }
        }
    }

    /// As Go has it, though the patterns as such say otherwise.
    #[test]
    fn quirks_of_go_are_kept() {
        assert!(
            !matches("*[a/]*b", "a/b"),
            "the first place is taken for good"
        );
        assert!(matches("*??", "€"), "a star ends within a character");
        assert!(!matches("??", "€"));
        assert!(matches("*[\u{fffd}]", "é"));
        assert!(!matches("*\u{fffd}", "é"));
    }

    #[test]
    fn a_pattern_that_is_made_to_be_slow_is_not() {
        let text = "a".repeat(20_000);
        assert!(!matches(&format!("{}b", "*a".repeat(10_000)), &text));
        assert!(!matches(&format!("*{}b", "a".repeat(2_000)), &text));
        assert!(!matches(&"[".repeat(100_000), "["));
    }

    /// A second formulation: an item at a time, each way through a star tried.
    fn naive(pattern: &[Piece], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([Piece::Star, rest @ ..], _) => {
                naive(rest, text)
                    || matches!(text, [first, tail @ ..] if *first != '/' && naive(pattern, tail))
            }
            ([piece, rest @ ..], [first, tail @ ..]) => piece.takes(*first) && naive(rest, tail),
            _ => false,
        }
    }

    #[derive(Clone, Debug)]
    enum Piece {
        Star,
        One,
        Plain(char),
        Escaped(char),
        Class(bool, Vec<(char, char)>),
    }

    impl Piece {
        fn takes(&self, character: char) -> bool {
            match self {
                Piece::Star => false,
                Piece::One => character != '/',
                Piece::Plain(plain) | Piece::Escaped(plain) => *plain == character,
                Piece::Class(false, ranges) => {
                    ranges.iter().any(|r| (r.0..=r.1).contains(&character))
                }
                Piece::Class(true, ranges) => {
                    ranges.iter().all(|r| !(r.0..=r.1).contains(&character))
                }
            }
        }

        fn written(&self) -> String {
            match self {
                Piece::Star => "*".to_owned(),
                Piece::One => "?".to_owned(),
                Piece::Plain(plain) => plain.to_string(),
                Piece::Escaped(escaped) => format!("\\{escaped}"),
                Piece::Class(excludes, ranges) => {
                    let ranges = ranges.iter().map(|(from, to)| {
                        if from == to {
                            from.to_string()
                        } else {
                            format!("{from}-{to}")
                        }
                    });
                    let circumflex = if *excludes { "^" } else { "" };
                    format!("[{circumflex}{}]", ranges.collect::<String>())
                }
            }
        }
    }

    fn pieces(
        plain: &'static [char],
        excludes: &'static [bool],
    ) -> impl Strategy<Value = Vec<Piece>> {
        use proptest::collection::vec;
        use proptest::sample::select;
        let letters = select(&['a', 'b', 'c'][..]);
        let piece = prop_oneof![
            3 => Just(Piece::Star),
            1 => Just(Piece::One),
            4 => select(plain).prop_map(Piece::Plain),
            1 => select(&['a', '*', '[', '\\'][..]).prop_map(Piece::Escaped),
            2 => (select(excludes), vec((letters.clone(), letters), 1..3))
                .prop_map(|(excludes, ranges)| Piece::Class(excludes, ranges)),
        ];
        vec(piece, 0..8)
    }

    fn agrees(pattern: &[Piece], text: &str) -> Result<(), TestCaseError> {
        let written: String = pattern.iter().map(Piece::written).collect();
        let characters: Vec<char> = text.chars().collect();
        prop_assert_eq!(
            matches(&written, text),
            naive(pattern, &characters),
            "{}",
            written
        );
        Ok(())
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_matcher(
            pattern in pieces(&['a', 'b', 'c'], &[false, true]),
            text in "[abc*\\[\\\\]{0,8}",
        ) {
            agrees(&pattern, &text)?;
        }

        /// Without classes that match a slash, there is but one place for what is behind a star.
        #[test]
        fn agrees_with_a_naive_matcher_on_paths(
            pattern in pieces(&['a', 'b', '/'], &[false]),
            text in "[ab/]{0,8}",
        ) {
            agrees(&pattern, &text)?;
        }

        #[test]
        fn no_pattern_panics(pattern in "[\\PC*?\\[\\]^\\\\-]{0,30}", text in "\\PC{0,20}") {
            matches(&pattern, &text);
        }
    }
}
