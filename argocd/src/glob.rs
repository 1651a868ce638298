//! The globs of Argo CD.
//!
//! Argo CD matches most patterns with the Go library gobwas/glob: `*`, `**`, `?`, `[abc]`,
//! `[!abc]`, `[a-z]`, `{one,two}` and `\` escapes, against the whole string, case-sensitive. With
//! separators, `*` and `?` stop at them. A pattern that does not compile matches nothing.
//!
//! The grammar below is that library's (Argo CD 3.5 uses v0.2.3), with its corner cases: a
//! repeated `}` outside of braces is text, braces that never close are closed at the end, and an
//! empty or reversed range is an error.
//!
//! Patterns come from whoever may write an Application or a project, so matching is bounded by the
//! length of the pattern times that of the text: all ways through the pattern are followed at once.
//! A regular expression engine would do the same and needs a hundred times the memory for its
//! caches, for each of a fleet's few hundred patterns.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// A compiled pattern.
#[derive(Clone, Eq, PartialEq)]
pub struct Glob {
    /// The plain text that it starts with. Nearly all patterns are nothing else, or have a single
    /// `*` behind it.
    prefix: Box<str>,
    rest: Rest,
}

#[derive(Clone, Eq, PartialEq)]
enum Rest {
    /// Nothing may follow.
    End,
    /// Any number of these may follow.
    Star(Wildcard),
    /// Steps that end with [`Step::Match`].
    Steps(Box<[Step]>),
    /// The pattern does not compile.
    Malformed,
}

/// Which characters `*` and `?` do not match.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Separators {
    /// None: `*` matches anything.
    None,
    /// `/`, as in `sourceRepos`.
    Slash,
}

/// What a wildcard matches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wildcard {
    Anything,
    AnythingButSlash,
}

impl Wildcard {
    fn matches(self, character: char) -> bool {
        self == Wildcard::Anything || character != '/'
    }
}

/// One step on the way through a pattern; steps are referred to by their place.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    Literal(char),
    One(Wildcard),
    /// Any number of characters, then the next step.
    Many(Wildcard),
    /// A character within one of the ranges, or within none of them.
    Class {
        excludes: bool,
        ranges: Box<[(char, char)]>,
    },
    /// Goes on at any of these.
    Either(Vec<usize>),
    /// Goes on there.
    Jump(usize),
    Match,
}

impl Glob {
    /// Compiles a pattern.
    pub fn new(pattern: &str, separators: Separators) -> Self {
        let plain = pattern
            .find(['*', '?', '[', '{', '\\'])
            .unwrap_or(pattern.len());
        let (prefix, rest) = pattern.split_at(plain);
        let wildcard = match separators {
            Separators::None => Wildcard::Anything,
            Separators::Slash => Wildcard::AnythingButSlash,
        };
        Glob {
            prefix: prefix.into(),
            rest: match rest {
                "" => Rest::End,
                "*" => Rest::Star(wildcard),
                "**" => Rest::Star(Wildcard::Anything),
                _ => Compiler::new(wildcard)
                    .compile(rest)
                    .map_or(Rest::Malformed, |steps| Rest::Steps(steps.into())),
            },
        }
    }

    /// Whether the pattern does not compile, and so matches nothing.
    pub fn is_malformed(&self) -> bool {
        self.rest == Rest::Malformed
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let Some(text) = text.strip_prefix(&*self.prefix) else {
            return false;
        };
        match &self.rest {
            Rest::End => text.is_empty(),
            Rest::Star(wildcard) => text.chars().all(|character| wildcard.matches(character)),
            Rest::Steps(steps) => run(steps, text),
            Rest::Malformed => false,
        }
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = match &self.rest {
            Rest::End => "",
            Rest::Star(Wildcard::AnythingButSlash) => "*",
            Rest::Star(Wildcard::Anything) => "**",
            Rest::Steps(_) => "…",
            Rest::Malformed => "(malformed)",
        };
        write!(formatter, "Glob({}{rest})", self.prefix)
    }
}

struct Compiler {
    wildcard: Wildcard,
    steps: Vec<Step>,
    /// Braces that are open.
    braces: Vec<Braces>,
}

/// Braces that are open: where their `Either` is, and the jumps to behind them.
struct Braces {
    either: usize,
    alternatives: Vec<usize>,
    jumps: Vec<usize>,
}

impl Compiler {
    fn new(wildcard: Wildcard) -> Self {
        Compiler {
            wildcard,
            steps: Vec::new(),
            braces: Vec::new(),
        }
    }

    /// The steps for a pattern, or `None` if the pattern is malformed.
    fn compile(mut self, pattern: &str) -> Option<Vec<Step>> {
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '*' if characters.next_if_eq(&'*').is_some() => {
                    self.steps.push(Step::Many(Wildcard::Anything));
                }
                '*' => self.steps.push(Step::Many(self.wildcard)),
                '?' => self.steps.push(Step::One(self.wildcard)),
                '[' => self.steps.push(class(&mut characters)?),
                '{' => self.open(),
                ',' if !self.braces.is_empty() => self.next_alternative(),
                '}' if !self.braces.is_empty() => self.close(),
                // A trailing backslash escapes nothing and vanishes.
                '\\' => self.steps.extend(characters.next().map(Step::Literal)),
                literal => self.steps.push(Step::Literal(literal)),
            }
        }
        while !self.braces.is_empty() {
            self.close();
        }
        self.steps.push(Step::Match);
        Some(self.steps)
    }

    fn open(&mut self) {
        let either = self.steps.len();
        self.steps.push(Step::Either(Vec::new()));
        self.braces.push(Braces {
            either,
            alternatives: vec![either + 1],
            jumps: Vec::new(),
        });
    }

    fn next_alternative(&mut self) {
        let jump = self.steps.len();
        if let Some(braces) = self.braces.last_mut() {
            braces.jumps.push(jump);
            braces.alternatives.push(jump + 1);
            self.steps.push(Step::Jump(0));
        }
    }

    fn close(&mut self) {
        let behind = self.steps.len();
        if let Some(braces) = self.braces.pop() {
            self.steps[braces.either] = Step::Either(braces.alternatives);
            for jump in braces.jumps {
                self.steps[jump] = Step::Jump(behind);
            }
        }
    }
}

/// What follows `[`: an optional `!`, then either `lo-hi` or a list of characters, then `]`.
fn class(characters: &mut Peekable<Chars<'_>>) -> Option<Step> {
    let excludes = characters.next_if_eq(&'!').is_some();
    let first = characters.next()?;
    let ranges = if characters.next_if_eq(&'-').is_some() {
        let last = characters.next()?;
        if last < first || characters.next()? != ']' {
            return None;
        }
        vec![(first, last)]
    } else {
        let mut listed = Vec::new();
        let mut next = first;
        while next != ']' {
            let character = if next == '\\' {
                characters.next()?
            } else {
                next
            };
            listed.push((character, character));
            next = characters.next()?;
        }
        listed
    };
    (!ranges.is_empty()).then(|| Step::Class {
        excludes,
        ranges: ranges.into(),
    })
}

/// The steps that can be reached, each once.
struct Reached {
    places: Vec<usize>,
    flags: Vec<bool>,
    /// Places still to be looked at. A stack of our own: braces can be nested as deep as a pattern
    /// is long.
    pending: Vec<usize>,
}

impl Reached {
    fn new(steps: &[Step]) -> Self {
        Reached {
            places: Vec::new(),
            flags: vec![false; steps.len()],
            pending: Vec::new(),
        }
    }

    fn clear(&mut self) {
        for place in self.places.drain(..) {
            self.flags[place] = false;
        }
    }

    /// Adds a step and all that are reached from it without a character.
    fn add(&mut self, place: usize, steps: &[Step]) {
        self.pending.push(place);
        while let Some(place) = self.pending.pop() {
            if std::mem::replace(&mut self.flags[place], true) {
                continue;
            }
            self.places.push(place);
            match &steps[place] {
                Step::Either(places) => self.pending.extend(places),
                Step::Jump(to) => self.pending.push(*to),
                Step::Many(_) => self.pending.push(place + 1),
                Step::Literal(_) | Step::One(_) | Step::Class { .. } | Step::Match => {}
            }
        }
    }
}

/// Follows all ways through the steps at once, character by character.
fn run(steps: &[Step], text: &str) -> bool {
    let (mut reached, mut next) = (Reached::new(steps), Reached::new(steps));
    reached.add(0, steps);
    for character in text.chars() {
        for &place in &reached.places {
            match &steps[place] {
                Step::Literal(literal) if *literal == character => next.add(place + 1, steps),
                Step::One(wildcard) if wildcard.matches(character) => next.add(place + 1, steps),
                Step::Many(wildcard) if wildcard.matches(character) => next.add(place, steps),
                Step::Class { excludes, ranges } => {
                    let within = ranges
                        .iter()
                        .any(|&(from, to)| (from..=to).contains(&character));
                    if within != *excludes {
                        next.add(place + 1, steps);
                    }
                }
                _ => {}
            }
        }
        if next.places.is_empty() {
            return false;
        }
        reached.clear();
        std::mem::swap(&mut reached, &mut next);
    }
    reached
        .places
        .iter()
        .any(|&place| steps[place] == Step::Match)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::new(pattern, Separators::None).matches(text)
    }

    fn matches_path(pattern: &str, text: &str) -> bool {
        Glob::new(pattern, Separators::Slash).matches(text)
    }

    #[test]
    fn stars_stop_at_separators_only_where_there_are_any() {
        assert!(matches("https://*", "https://github.com/a/b"));
        assert!(!matches_path("https://*", "https://github.com/a/b"));
        assert!(matches_path("https://**", "https://github.com/a/b"));
        assert!(matches_path(
            "https://github.com/a/*",
            "https://github.com/a/b"
        ));
        assert!(!matches_path(
            "https://github.com/a/*",
            "https://github.com/a/b/c"
        ));
        assert!(!matches_path("a?b", "a/b"));
    }

    #[test]
    fn braces_ranges_and_escapes() {
        assert!(matches("{Deployment,StatefulSet}", "StatefulSet"));
        assert!(!matches("{Deployment,StatefulSet}", "DaemonSet"));
        assert!(matches("team-[a-c]", "team-b"));
        assert!(!matches("team-[!a-c]", "team-b"));
        assert!(matches("[ab]*", "bcd"));
        assert!(matches(r"a\*b", "a*b"));
        assert!(!matches(r"a\*b", "axb"));
        assert!(matches("[-a]", "-"));
        assert!(matches("é?", "éà"));
    }

    #[test]
    fn braces_nest_and_close_at_the_end() {
        for text in ["ad", "abd", "acd"] {
            assert!(matches("a{,b,{c,x}}d", text), "{text}");
        }
        assert!(!matches("a{,b,{c,x}}d", "abcd"));
        assert!(matches("{a,b", "b"));
        assert!(matches("a}", "a}"));
        assert!(matches("{a*,b}{c,d}", "axd"));
    }

    #[test]
    fn a_pattern_that_is_made_to_be_slow_is_not() {
        let text = "a".repeat(2_000);
        assert!(!matches(&format!("{}b", "*a".repeat(200)), &text));
        assert!(!matches(&"{".repeat(100_000), "Deployment"));
    }

    #[test]
    fn a_malformed_pattern_matches_nothing() {
        for pattern in ["[", "[]", "[a", "[z-a]", "[a-]", "[!"] {
            assert!(!matches(pattern, pattern), "{pattern}");
            assert!(!matches(pattern, "a"), "{pattern}");
        }
    }

    /// A second formulation of the simple patterns: recursive, character by character.
    fn naive(pattern: &[char], text: &[char], separators: Separators) -> bool {
        let crosses = |c: char| separators == Separators::None || c != '/';
        match (pattern, text) {
            ([], []) => true,
            (['*', '*', rest @ ..], _) => {
                (0..=text.len()).any(|skip| naive(rest, &text[skip..], separators))
            }
            (['*', rest @ ..], _) => (0..=text.len())
                .take_while(|&skip| skip == 0 || crosses(text[skip - 1]))
                .any(|skip| naive(rest, &text[skip..], separators)),
            (['?', rest @ ..], [first, tail @ ..]) => {
                crosses(*first) && naive(rest, tail, separators)
            }
            ([literal, rest @ ..], [first, tail @ ..]) => {
                literal == first && naive(rest, tail, separators)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_matcher(pattern in "[ab/*?]{0,7}", text in "[ab/]{0,7}") {
            let pattern_characters: Vec<char> = pattern.chars().collect();
            let text_characters: Vec<char> = text.chars().collect();
            for separators in [Separators::None, Separators::Slash] {
                prop_assert_eq!(
                    Glob::new(&pattern, separators).matches(&text),
                    naive(&pattern_characters, &text_characters, separators)
                );
            }
        }

        #[test]
        fn no_pattern_panics(pattern in "\\PC{0,40}", text in "\\PC{0,20}") {
            Glob::new(&pattern, Separators::Slash).matches(&text);
        }
    }
}
