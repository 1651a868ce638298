//! The globs of Argo CD.
//!
//! Argo CD matches most patterns with the Go library gobwas/glob: `*`, `**`, `?`, `[abc]`,
//! `[!abc]`, `[a-z]`, `{one,two}` and `\` escapes, against the whole string, case-sensitive. With
//! separators, `*` and `?` stop at them. A pattern that does not compile matches nothing.
//!
//! The grammar below is that library's (Argo CD 3.5 uses v0.2.3), with its corner cases: a
//! repeated `}` outside of braces is text, braces that never close are closed at the end, and an
//! empty or reversed range is an error. What is not followed are its oversights: it misses some
//! texts where an alternative is empty, or where one that holds a `*` stands beside a `?` or a
//! class, as in `?{a*,b}`.
//!
//! Patterns come from whoever may write an Application or a project, so matching is bounded by the
//! length of the pattern times that of the text: all ways through the pattern are followed at once.
//! A regular expression engine would do the same and needs a hundred times the memory for its
//! caches, for each of a fleet's few hundred patterns.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// A compiled pattern.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Glob {
    /// The plain text that it starts with. Nearly all patterns are nothing else, or have a single
    /// `*` behind it.
    prefix: Box<str>,
    rest: Rest,
}

#[derive(Clone, Eq, Hash, PartialEq)]
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
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Wildcard {
    Anything,
    AnythingButSlash,
}

impl Wildcard {
    pub(crate) fn matches(self, character: char) -> bool {
        self == Wildcard::Anything || character != '/'
    }
}

/// One step on the way through a pattern; steps are referred to by their place.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Step {
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

    /// The whole pattern as steps, or `None` if it does not compile.
    pub(crate) fn steps(&self) -> Option<Vec<Step>> {
        let mut steps: Vec<Step> = self.prefix.chars().map(Step::Literal).collect();
        let behind = steps.len();
        match &self.rest {
            Rest::End => steps.push(Step::Match),
            Rest::Star(wildcard) => steps.extend([Step::Many(*wildcard), Step::Match]),
            Rest::Steps(rest) => steps.extend(rest.iter().map(|step| step.moved_by(behind))),
            Rest::Malformed => return None,
        }
        Some(steps)
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let Some(text) = text.strip_prefix(&*self.prefix) else {
            return false;
        };
        match &self.rest {
            Rest::End => text.is_empty(),
            Rest::Star(wildcard) => text.chars().all(|character| wildcard.matches(character)),
            Rest::Steps(steps) => {
                run(steps, text) || (self.prefix.is_empty() && text.is_empty() && is_lone(steps))
            }
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
pub(crate) struct Reached {
    pub(crate) places: Vec<usize>,
    flags: Vec<bool>,
    /// Places still to be looked at. A stack of our own: braces can be nested as deep as a pattern
    /// is long.
    pending: Vec<usize>,
}

impl Reached {
    pub(crate) fn new(steps: &[Step]) -> Self {
        Reached {
            places: Vec::new(),
            flags: vec![false; steps.len()],
            pending: Vec::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        for place in self.places.drain(..) {
            self.flags[place] = false;
        }
    }

    /// Adds a step and all that are reached from it without a character.
    pub(crate) fn add(&mut self, place: usize, steps: &[Step]) {
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

impl Step {
    /// The same where all places are further on by so many steps.
    pub(crate) fn moved_by(&self, distance: usize) -> Self {
        match self {
            Step::Either(places) => {
                Step::Either(places.iter().map(|place| place + distance).collect())
            }
            Step::Jump(place) => Step::Jump(place + distance),
            step => step.clone(),
        }
    }

    /// Whether it is a step over just this character.
    pub(crate) fn takes(&self, character: char) -> bool {
        match self {
            Step::Literal(literal) => *literal == character,
            Step::One(wildcard) => wildcard.matches(character),
            Step::Class { excludes, ranges } => {
                let within = |&(from, to): &(char, char)| from <= character && character <= to;
                ranges.iter().any(within) != *excludes
            }
            Step::Many(_) | Step::Either(_) | Step::Jump(_) | Step::Match => false,
        }
    }
}

/// Whether the pattern is a single wildcard or class that also matches no character at all: the
/// library takes the end of the text for a character that could not be decoded.
fn is_lone(steps: &[Step]) -> bool {
    matches!(steps, [lone, Step::Match] if lone.takes(char::REPLACEMENT_CHARACTER))
}

/// Follows all ways through the steps at once, character by character.
fn run(steps: &[Step], text: &str) -> bool {
    let (mut reached, mut next) = (Reached::new(steps), Reached::new(steps));
    reached.add(0, steps);
    for character in text.chars() {
        for &place in &reached.places {
            match &steps[place] {
                Step::Many(wildcard) if wildcard.matches(character) => next.add(place, steps),
                step if step.takes(character) => next.add(place + 1, steps),
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

    #[test]
    fn a_lone_wildcard_matches_no_character_at_all() {
        for lone in ["?", "[!a]", "[!a-c]"] {
            assert!(matches(lone, ""), "{lone}");
        }
        for other in ["[a]", "[a-c]", "a?", "?*", "??"] {
            assert!(!matches(other, ""), "{other}");
        }
    }

    #[test]
    fn thousands_of_alternatives_and_deep_braces_are_no_trouble() {
        let many: Vec<String> = (0..5_000).map(|n| format!("{n}*")).collect();
        let many = format!("{{{}}}", many.join(","));
        assert!(matches(&many, "4999x"));
        assert!(!matches(&many, &"x".repeat(500)));
        let stars = format!("*{many}*{many}b");
        assert!(!matches(&stars, &"1".repeat(100)));
        let deep = format!("{}a{}", "{".repeat(50_000), "}".repeat(50_000));
        assert!(matches(&deep, "a"));
        assert!(!matches(&deep, "b"));
        assert!(matches(&format!("[{}]", "ab".repeat(50_000)), "b"));
    }

    #[derive(Clone, Debug)]
    enum Piece {
        Star,
        Stars,
        One,
        Plain(char),
        Escaped(char),
        List(bool, Vec<char>),
        Range(bool, char, char),
        Either(Vec<Vec<Piece>>),
    }

    impl Piece {
        fn is_star(&self) -> bool {
            matches!(self, Piece::Star | Piece::Stars)
        }

        fn takes(&self, character: char, separators: Separators) -> bool {
            match self {
                Piece::One => crosses(character, separators),
                Piece::Plain(plain) | Piece::Escaped(plain) => *plain == character,
                Piece::List(excludes, list) => list.contains(&character) != *excludes,
                Piece::Range(excludes, from, to) => (from..=to).contains(&&character) != *excludes,
                Piece::Star | Piece::Stars | Piece::Either(_) => false,
            }
        }

        fn written(&self) -> String {
            let mark = |excludes: &bool| if *excludes { "!" } else { "" };
            match self {
                Piece::Star => "*".to_owned(),
                Piece::Stars => "**".to_owned(),
                Piece::One => "?".to_owned(),
                Piece::Plain(plain) => plain.to_string(),
                Piece::Escaped(escaped) => format!("\\{escaped}"),
                Piece::List(excludes, list) => {
                    format!("[{}{}]", mark(excludes), list.iter().collect::<String>())
                }
                Piece::Range(excludes, from, to) => format!("[{}{from}-{to}]", mark(excludes)),
                Piece::Either(alternatives) => {
                    let alternatives = alternatives.iter().map(|pieces| written(pieces));
                    format!("{{{}}}", alternatives.collect::<Vec<_>>().join(","))
                }
            }
        }
    }

    fn written(pieces: &[Piece]) -> String {
        pieces.iter().map(Piece::written).collect()
    }

    fn crosses(character: char, separators: Separators) -> bool {
        separators == Separators::None || character != '/'
    }

    /// A second formulation: piece by piece, each way tried, `then` for what comes after them.
    fn naive(
        pieces: &[Piece],
        text: &[char],
        separators: Separators,
        then: &dyn Fn(&[char]) -> bool,
    ) -> bool {
        let Some((piece, rest)) = pieces.split_first() else {
            return then(text);
        };
        let go_on = |tail: &[char]| naive(rest, tail, separators, then);
        match (piece, text) {
            (Piece::Either(alternatives), _) => alternatives
                .iter()
                .any(|pieces| naive(pieces, text, separators, &go_on)),
            (star, _) if star.is_star() => (0..=text.len())
                .take_while(|&taken| {
                    let crosses = |&c| matches!(star, Piece::Stars) || crosses(c, separators);
                    text[..taken].iter().all(crosses)
                })
                .any(|taken| go_on(&text[taken..])),
            (one, [first, tail @ ..]) => one.takes(*first, separators) && go_on(tail),
            _ => false,
        }
    }

    fn pieces() -> impl Strategy<Value = Vec<Piece>> {
        use proptest::collection::vec;
        use proptest::sample::select;
        let letter = || select(&['a', 'b', 'c', '/'][..]);
        let simple = prop_oneof![
            2 => Just(Piece::Star),
            1 => Just(Piece::Stars),
            1 => Just(Piece::One),
            4 => letter().prop_map(Piece::Plain),
            1 => select(&['a', '*', '{', ',', '\\'][..]).prop_map(Piece::Escaped),
            1 => (any::<bool>(), vec(letter(), 1..4)).prop_map(|(not, list)| Piece::List(not, list)),
            1 => (any::<bool>(), letter(), letter())
                .prop_map(|(not, a, b)| Piece::Range(not, a.min(b), a.max(b))),
        ];
        let piece = simple.prop_recursive(2, 12, 3, |piece| {
            vec(vec(piece, 0..3).prop_map(apart), 1..4).prop_map(Piece::Either)
        });
        vec(piece, 0..6).prop_map(apart)
    }

    /// Without stars in a row, which would be read as other stars.
    fn apart(mut pieces: Vec<Piece>) -> Vec<Piece> {
        pieces.dedup_by(|next, piece| next.is_star() && piece.is_star());
        pieces
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_matcher(pieces in pieces(), text in "[abc/*,{\\\\]{0,6}") {
            let pattern = written(&pieces);
            let characters: Vec<char> = text.chars().collect();
            for separators in [Separators::None, Separators::Slash] {
                let lone = match &pieces[..] {
                    [piece] => text.is_empty() && piece.takes(char::REPLACEMENT_CHARACTER, separators),
                    _ => false,
                };
                let end = |tail: &[char]| tail.is_empty();
                prop_assert_eq!(
                    Glob::new(&pattern, separators).matches(&text),
                    lone || naive(&pieces, &characters, separators, &end),
                    "{}", pattern
                );
            }
        }

        #[test]
        fn no_pattern_panics(pattern in "[\\PC*?\\[\\]{},!\\\\-]{0,40}", text in "\\PC{0,20}") {
            for separators in [Separators::None, Separators::Slash] {
                Glob::new(&pattern, separators).matches(&text);
            }
        }
    }
}
