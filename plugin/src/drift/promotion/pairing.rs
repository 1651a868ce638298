//! Which Application of one environment is which of another one.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{Words, words_of};

/// An Application, by what it is called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// What its environment is called: the values of labels that it was selected by, its cluster.
    pub(crate) words: Vec<String>,
}

impl Candidate {
    /// `argocd/shop-staging`.
    pub(crate) fn display_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The words that tell it from its counterpart.
    pub(super) fn words(&self, other: &Candidate) -> Words {
        let others: BTreeSet<&str> = words_of(&other.name).collect();
        let own = words_of(&self.name).filter(|word| !others.contains(word));
        let in_words = self.words.iter().filter(|word| !other.words.contains(word));
        Words::new(own.map(str::to_owned).chain(in_words.cloned()))
    }

    /// Its name without what its environment is called.
    fn neutral_name(&self) -> String {
        Words::new(self.words.clone()).neutral_text(&self.name)
    }
}

/// The keys of the labels by which Applications were selected.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Selected(BTreeSet<String>);

impl Selected {
    /// Those of some selectors, as kubectl reads them.
    pub(crate) fn by(selectors: &[&str]) -> Self {
        let keys = selectors.iter().flat_map(|selector| requirements(selector));
        Selected(keys.map(str::to_owned).collect())
    }

    /// What labels say of the environment: their values, without those of other keys.
    pub(crate) fn words(&self, labels: &BTreeMap<String, String>) -> Vec<String> {
        let of_selectors = labels.iter().filter(|(key, _)| self.0.contains(*key));
        of_selectors.map(|(_, value)| value.clone()).collect()
    }

    fn others(&self, labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let others = labels.iter().filter(|(key, _)| !self.0.contains(*key));
        others
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

/// The keys of a label selector: `a=b,c!=d,e in (f,g),!h,i`.
fn requirements(selector: &str) -> Vec<&str> {
    let mut keys = Vec::new();
    let (mut start, mut depth) = (0, 0usize);
    let ends = selector.char_indices().filter_map(|(at, c)| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => return Some(at),
            _ => {}
        }
        None
    });
    for end in ends.chain([selector.len()]) {
        let text = selector[start..end].trim().trim_start_matches('!').trim();
        let key = text.split([' ', '=', '!', '(']).next().unwrap_or_default();
        keys.extend((!key.is_empty()).then_some(key));
        start = (end + 1).min(selector.len());
    }
    keys
}

/// Which belong together, as indices.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Pairing {
    /// One may have several counterparts, as one staging for several regions.
    pub(crate) pairs: Vec<(usize, usize)>,
    pub(crate) alone_from: Vec<usize>,
    pub(crate) alone_to: Vec<usize>,
}

/// Pairs Applications: by their names without what their environments are called, then by all their
/// other labels, then as the only ones that are left. What several could be the counterpart of stays
/// alone.
pub(crate) fn pair(from: &[Candidate], to: &[Candidate], selected: &Selected) -> Pairing {
    let mut pairing = Pairing::default();
    let mut open: BTreeSet<usize> = (0..to.len()).collect();
    let by_name = |one: &Candidate| Some(one.neutral_name());
    let by_labels = |one: &Candidate| {
        let others = selected.others(&one.labels);
        (!others.is_empty()).then(|| format!("{others:?}"))
    };
    pairing.pair_by(from, to, &mut open, by_name);
    pairing.pair_by(from, to, &mut open, by_labels);
    let paired: BTreeSet<usize> = pairing.pairs.iter().map(|(from, _)| *from).collect();
    let left: Vec<usize> = (0..from.len()).filter(|at| !paired.contains(at)).collect();
    let open: Vec<usize> = open.into_iter().collect();
    if let ([from], [to]) = (left.as_slice(), open.as_slice()) {
        pairing.pairs.push((*from, *to));
    } else {
        pairing.alone_from = left;
        pairing.alone_to = open;
    }
    pairing.pairs.sort_unstable();
    pairing
}

impl Pairing {
    fn pair_by(
        &mut self,
        from: &[Candidate],
        to: &[Candidate],
        open: &mut BTreeSet<usize>,
        key: impl Fn(&Candidate) -> Option<String>,
    ) {
        let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, one) in from.iter().enumerate() {
            if let Some(key) = key(one) {
                by_key.entry(key).or_default().push(at);
            }
        }
        open.retain(|at| {
            let found = key(&to[*at]).and_then(|key| by_key.get(&key));
            match found.map(Vec::as_slice) {
                Some([only]) => {
                    self.pairs.push((*only, *at));
                    false
                }
                _ => true,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, labels: &[(&str, &str)]) -> Candidate {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let labels: BTreeMap<String, String> = labels.collect();
        Candidate {
            namespace: "argocd".to_owned(),
            name: name.to_owned(),
            words: Selected::by(&["env=x"]).words(&labels),
            labels,
        }
    }

    fn paired(from: &[Candidate], to: &[Candidate]) -> (Vec<(String, String)>, Vec<String>) {
        let pairing = pair(from, to, &Selected::by(&["env=x"]));
        let pairs = pairing.pairs.iter();
        let pairs = pairs.map(|(one, other)| (from[*one].name.clone(), to[*other].name.clone()));
        let alone = pairing.alone_from.iter().map(|at| from[*at].name.clone());
        let alone = alone.chain(pairing.alone_to.iter().map(|at| to[*at].name.clone()));
        (pairs.collect(), alone.collect())
    }

    fn text(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|(one, other)| ((*one).to_owned(), (*other).to_owned()))
            .collect()
    }

    #[test]
    fn applications_are_paired_by_their_names_without_the_environments() {
        let staging = |name: &str| candidate(name, &[("env", "staging")]);
        let production = |name: &str| candidate(name, &[("env", "prod")]);
        let from = ["shop-staging", "staging.cart", "search-staging"].map(staging);
        let to = ["prod.cart", "shop-prod", "orders-prod", "pay-prod"].map(production);
        let (pairs, alone) = paired(&from, &to);
        assert_eq!(
            pairs,
            text(&[("shop-staging", "shop-prod"), ("staging.cart", "prod.cart")])
        );
        assert_eq!(alone, ["search-staging", "orders-prod", "pay-prod"]);
    }

    #[test]
    fn one_staging_may_be_promoted_to_several_regions() {
        let from = [candidate(
            "shop-staging",
            &[("env", "staging"), ("app", "shop")],
        )];
        let to =
            ["shop-eu", "shop-us"].map(|name| candidate(name, &[("env", "prod"), ("app", "shop")]));
        let (pairs, alone) = paired(&from, &to);
        assert_eq!(
            pairs,
            text(&[("shop-staging", "shop-eu"), ("shop-staging", "shop-us")])
        );
        assert_eq!(alone, [""; 0]);
    }

    #[test]
    fn what_several_could_be_the_counterpart_of_stays_alone() {
        let from = ["a", "b"].map(|name| candidate(name, &[("env", "staging"), ("app", "shop")]));
        let to = [candidate("c", &[("env", "prod"), ("app", "shop")])];
        let (pairs, alone) = paired(&from, &to);
        assert_eq!((pairs, alone.len()), (Vec::new(), 3));
        let (pairs, _) = paired(&from[..1], &[candidate("other", &[])]);
        assert_eq!(pairs, text(&[("a", "other")]));
    }

    #[test]
    fn keys_are_read_out_of_selectors() {
        for (selector, keys) in [
            ("env=staging", &["env"][..]),
            ("env==a, tier in (b,c),!x,y", &["env", "tier", "x", "y"]),
            ("env!=a,t notin (b)", &["env", "t"]),
            ("", &[]),
        ] {
            assert_eq!(requirements(selector), keys, "{selector}");
        }
    }
}
