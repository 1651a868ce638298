//! Which of several patterns can match one and the same text.
//!
//! What one project permits and another does not, or what is left where one entry permits and
//! another excludes, follows from that alone: texts that the same patterns match are alike to a
//! project, and there are but finitely many such sets of patterns. They are found by following all
//! patterns at once through all texts, as when an automaton is made deterministic.

use std::collections::HashSet;

use golang::path::{Chunk, Item, PathGlob};

use super::glob::{Glob, Reached, Step, Wildcard};

/// A pattern of either flavour, taken apart.
pub(crate) struct Pattern {
    /// `None` if it is malformed and matches nothing.
    steps: Option<Vec<Step>>,
    matches_no_text: bool,
}

impl From<&Glob> for Pattern {
    fn from(glob: &Glob) -> Self {
        Pattern {
            steps: glob.steps(),
            matches_no_text: glob.matches(""),
        }
    }
}

impl From<&PathGlob> for Pattern {
    fn from(glob: &PathGlob) -> Self {
        Pattern {
            steps: glob.chunks().map(steps),
            matches_no_text: glob.matches(""),
        }
    }
}

/// The steps of a pattern of Go. On texts of ASCII characters without a slash they match what
/// [`PathGlob::matches`] does.
fn steps(chunks: &[Chunk]) -> Vec<Step> {
    let mut steps = Vec::new();
    for chunk in chunks {
        if chunk.star {
            steps.push(Step::Many(Wildcard::AnythingButSlash));
        }
        steps.extend(chunk.items.iter().map(step));
    }
    steps.push(Step::Match);
    steps
}

fn step(item: &Item) -> Step {
    match item {
        Item::Literal(literal) => Step::Literal(*literal),
        Item::One => Step::One(Wildcard::AnythingButSlash),
        Item::Class { excludes, ranges } => Step::Class {
            excludes: *excludes,
            ranges: ranges.as_slice().into(),
        },
    }
}

/// Which texts there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Texts {
    /// Anything, also nothing.
    All,
    /// Names and servers of clusters, which are not empty.
    Clusters,
    /// Names of namespaces, and none.
    Namespaces,
    /// Groups, kinds and names of resources: without a slash, and ASCII.
    Resources,
}

impl Texts {
    fn include(self, character: char) -> bool {
        match self {
            Texts::All | Texts::Clusters => true,
            Texts::Namespaces => {
                character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
            }
            Texts::Resources => character != '/' && character.is_ascii(),
        }
    }
}

/// Of each pattern, whether it matches some text; and of all of them that text is the same.
pub(crate) type Overlap = Box<[bool]>;

/// All that occur. `None` if there are more than `work` allows for, which counts steps of patterns.
pub(crate) fn overlaps(
    patterns: &[Pattern],
    texts: Texts,
    work: &mut usize,
) -> Option<HashSet<Overlap>> {
    let automaton = Automaton::new(patterns);
    let characters = automaton.characters(texts);
    let mut found = HashSet::new();
    if texts != Texts::Clusters {
        found.insert(patterns.iter().map(|one| one.matches_no_text).collect());
    }
    let mut reached = Reached::new(&automaton.steps);
    for &start in &automaton.starts {
        reached.add(start, &automaton.steps);
    }
    // It is seen only when some text leads back to it.
    let mut pending = vec![automaton.state(&reached)];
    let mut seen = HashSet::new();
    while let Some(state) = pending.pop() {
        for &character in &characters {
            *work = work.checked_sub(state.len() + 1)?;
            reached.clear();
            automaton.step(&state, character, &mut reached);
            let next = automaton.state(&reached);
            if !seen.contains(&next) {
                found.insert(automaton.matching(&next));
                pending.push(next.clone());
                seen.insert(next);
            }
        }
    }
    Some(found)
}

/// All patterns in one. A state is the places that are reached in it, in their order.
struct Automaton {
    steps: Vec<Step>,
    /// Where each pattern begins that is not malformed.
    starts: Vec<usize>,
    /// Where each pattern ends, in their order.
    ends: Vec<Option<usize>>,
}

type State = Box<[usize]>;

impl Automaton {
    fn new(patterns: &[Pattern]) -> Self {
        let mut automaton = Automaton {
            steps: Vec::new(),
            starts: Vec::new(),
            ends: Vec::new(),
        };
        for pattern in patterns {
            let start = automaton.steps.len();
            let Some(steps) = &pattern.steps else {
                automaton.ends.push(None);
                continue;
            };
            let moved = steps.iter().map(|step| step.moved_by(start));
            automaton.steps.extend(moved);
            automaton.starts.push(start);
            automaton.ends.push(automaton.steps.len().checked_sub(1));
        }
        automaton
    }

    /// One of each set of characters that no pattern tells apart.
    fn characters(&self, texts: Texts) -> Vec<char> {
        let behind = |character: char| u32::from(character) + 1;
        let mut borders: Vec<u32> = vec![u32::from('/'), behind('/')];
        for step in &self.steps {
            match step {
                Step::Literal(literal) => borders.extend([u32::from(*literal), behind(*literal)]),
                Step::Class { ranges, .. } => {
                    for &(from, to) in ranges {
                        borders.extend([u32::from(from), behind(to)]);
                    }
                }
                _ => {}
            }
        }
        borders.sort_unstable();
        borders.dedup();
        let of_ascii = (0..=0x7f_u32).filter_map(char::from_u32);
        let beyond = borders.iter().copied().filter_map(char::from_u32);
        let beyond = beyond.filter(|character| !character.is_ascii());
        let mut intervals = HashSet::new();
        of_ascii
            .chain(['\u{80}'])
            .chain(beyond)
            .filter(|character| texts.include(*character))
            .filter(|&character| {
                let interval = borders.partition_point(|&border| border <= u32::from(character));
                intervals.insert(interval)
            })
            .collect()
    }

    fn step(&self, state: &[usize], character: char, reached: &mut Reached) {
        for &place in state {
            match &self.steps[place] {
                Step::Many(wildcard) if wildcard.matches(character) => {
                    reached.add(place, &self.steps);
                }
                step if step.takes(character) => reached.add(place + 1, &self.steps),
                _ => {}
            }
        }
    }

    fn state(&self, reached: &Reached) -> State {
        let is_left =
            |place: &&usize| !matches!(self.steps[**place], Step::Either(_) | Step::Jump(_));
        let mut places: Vec<usize> = reached.places.iter().filter(is_left).copied().collect();
        places.sort_unstable();
        places.into()
    }

    fn matching(&self, state: &[usize]) -> Overlap {
        let ends = |end: &Option<usize>| end.is_some_and(|end| state.binary_search(&end).is_ok());
        self.ends.iter().map(ends).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::Separators;

    fn found(patterns: &[&str], texts: Texts) -> HashSet<Overlap> {
        let globs = patterns
            .iter()
            .map(|text| Glob::new(text, Separators::None));
        let patterns: Vec<Pattern> = globs.map(|glob| Pattern::from(&glob)).collect();
        overlaps(&patterns, texts, &mut 1_000_000).unwrap()
    }

    fn is_found(patterns: &[&str], texts: Texts, overlap: &[bool]) -> bool {
        found(patterns, texts).contains(overlap)
    }

    #[test]
    fn what_is_within_another_never_matches_alone() {
        let patterns = ["shop-*", "*"];
        assert!(is_found(&patterns, Texts::All, &[true, true]));
        assert!(is_found(&patterns, Texts::All, &[false, true]));
        assert!(!is_found(&patterns, Texts::All, &[true, false]));
        assert!(!is_found(&patterns, Texts::All, &[false, false]));
    }

    #[test]
    fn texts_are_those_that_there_are() {
        assert!(is_found(&["?*"], Texts::All, &[false]), "no text");
        assert!(!is_found(&["?*"], Texts::Clusters, &[false]));
        assert!(!is_found(
            &["[!_]*", ""],
            Texts::Namespaces,
            &[false, false]
        ));
        assert!(is_found(&["[!_]*"], Texts::All, &[false]));
    }

    #[test]
    fn a_malformed_pattern_matches_nothing() {
        assert_eq!(found(&["["], Texts::All).len(), 1);
        assert!(is_found(&["["], Texts::All, &[false]));
    }

    #[test]
    fn what_takes_too_much_work_is_not_told() {
        let many: Vec<String> = (0..40).map(|one| format!("*{one}*{one}*a")).collect();
        let globs = many.iter().map(|text| Glob::new(text, Separators::None));
        let patterns: Vec<Pattern> = globs.map(|glob| Pattern::from(&glob)).collect();
        let mut work = 100_000;
        assert!(overlaps(&patterns, Texts::All, &mut work).is_none());
    }

    proptest! {
        /// Each text belongs to one that is found, and each that is found has a text.
        #[test]
        fn all_of_short_texts_are_found(
            patterns in proptest::collection::vec("([ab*?]|\\*\\*|\\[!a\\]|\\{a,b\\*\\}|/){0,4}", 1..4),
        ) {
            let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
            let all = found(&patterns, Texts::All);
            let globs: Vec<Glob> = patterns.iter().map(|p| Glob::new(p, Separators::None)).collect();
            let mut seen: HashSet<Overlap> = HashSet::new();
            let mut texts = vec![String::new()];
            for _ in 0..6 {
                let longer = texts.iter().flat_map(|text| ['a', 'b', '/', 'c'].map(|c| format!("{text}{c}")));
                texts = std::iter::once(String::new()).chain(longer).collect();
            }
            for text in &texts {
                seen.insert(globs.iter().map(|glob| glob.matches(text)).collect());
            }
            prop_assert!(seen.is_subset(&all), "{:?}", patterns);
            // Longer texts than these are needed by few patterns as short as these.
            prop_assert!(all.len() <= seen.len() + 1, "{:?}", patterns);
        }
    }
}
