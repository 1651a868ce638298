//! Ratchet: an update that makes nothing worse passes.
//!
//! The webhook comes to fleets that are full of old violations, and Argo CD rewrites its objects all the
//! time. So what an update would be denied for is compared with what the old object would be denied
//! for now: findings, not objects, as a rewrite changes text that means the same.

use std::fmt;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::sync::LazyLock;

use jiff::Timestamp;

use crate::break_glass::{BREAK_GLASS, Override};
use crate::finding::{Finding, Level, Waiver};
use crate::rule::RuleId;

/// How far a violation goes. An update makes it no worse if everything that violates now did before, at the
/// same place.
///
/// Of the object's values only digests are kept, by a key that nobody knows: they can be compared, but
/// neither printed nor imitated, and thousands of them take little.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Extent {
    violates: Violates,
    place: Place,
    is_wherever: bool,
}

/// In their order, each once.
type Digests = Box<[u64]>;

#[derive(Clone, Default, PartialEq)]
enum Violates {
    /// The rule has not said so; what its message says counts.
    #[default]
    Unsaid,
    Said(Digests),
    /// The rule has compared it with the old object itself.
    Compared {
        is_no_worse: bool,
        /// How it is written.
        written: Digests,
    },
    /// It was not judged, so that it cannot be told.
    Unjudged,
}

/// Where a violation is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Place {
    /// In the object itself.
    #[default]
    Object,
    /// Where the object deploys, or leads, to.
    Target(u64),
    /// Where that is does not exist any more, as after a cluster has been moved: what was there may be
    /// wherever it is put.
    Gone,
}

impl Place {
    pub(crate) fn target<'t>(parts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut hasher = KEY.build_hasher();
        parts.into_iter().for_each(|part| part.hash(&mut hasher));
        Place::Target(hasher.finish())
    }

    fn is_covered_by(self, before: Self) -> bool {
        self == before || before == Place::Gone
    }
}

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

fn digests<I: IntoIterator<Item: AsRef<str>>>(parts: I) -> Digests {
    let digests = parts.into_iter().map(|part| KEY.hash_one(part.as_ref()));
    in_order(digests.collect())
}

fn in_order(mut digests: Vec<u64>) -> Digests {
    digests.sort_unstable();
    digests.dedup();
    digests.into()
}

fn is_within(some: &[u64], all: &[u64]) -> bool {
    some.iter().all(|digest| all.binary_search(digest).is_ok())
}

impl Extent {
    pub(crate) fn violate<I: IntoIterator<Item: AsRef<str>>>(&mut self, parts: I) {
        self.violates = Violates::Said(digests(parts));
    }

    /// Whether it goes no further than what the old object permits, by the rule's own comparison. How it is
    /// written counts only where nothing but the very same passes.
    pub(crate) fn compare<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        is_no_worse: bool,
        written: I,
    ) {
        self.violates = Violates::Compared {
            is_no_worse,
            written: digests(written),
        };
    }

    pub(crate) fn be_unjudged(&mut self) {
        self.violates = Violates::Unjudged;
    }

    /// It is one violation, whichever field shows it.
    pub(crate) fn be_wherever(&mut self) {
        self.is_wherever = true;
    }

    /// Completes what the rule has said.
    pub(crate) fn settle(&mut self, message: &str, place: Place) {
        if self.violates == Violates::Unsaid {
            self.violate([message]);
        }
        self.place = place;
    }

    /// Takes in what another one of its kind says.
    pub(crate) fn absorb(&mut self, other: &Self) {
        if let (Violates::Said(own), Violates::Said(others)) = (&self.violates, &other.violates) {
            let all = own.iter().chain(others).copied();
            self.violates = Violates::Said(in_order(all.collect()));
        }
    }

    fn is_no_worse_than(&self, before: &Self) -> bool {
        match (&self.violates, &before.violates) {
            (Violates::Said(own), Violates::Said(others)) => {
                is_within(own, others) && self.place.is_covered_by(before.place)
            }
            (Violates::Compared { is_no_worse, .. }, Violates::Compared { .. }) => *is_no_worse,
            _ => false,
        }
    }

    fn is_the_same_as(&self, before: &Self) -> bool {
        match (&self.violates, &before.violates) {
            (
                Violates::Compared {
                    is_no_worse,
                    written,
                },
                Violates::Compared {
                    written: before, ..
                },
            ) => *is_no_worse && written == before,
            (violates, _) => self == before && *violates != Violates::Unjudged,
        }
    }
}

impl fmt::Debug for Extent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Extent")
    }
}

/// How the findings of an update are compared with those of the old object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratchet<'o> {
    /// The override that was on the object, and the one that is afterwards.
    pub(crate) own: Kept<'o>,
    /// That of the ApplicationSet which generates it.
    pub(crate) of_owner: Kept<'o>,
    pub(crate) now: Timestamp,
}

/// An override before an update, and after it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept<'o> {
    pub(crate) stood: Option<&'o Override>,
    pub(crate) stands: Option<&'o Override>,
}

/// What lets a denial pass that was one before, the strictest last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Comparison {
    /// It goes no further.
    NoWorse,
    /// It is the very same.
    Same,
    /// Nothing does.
    Nothing,
}

impl Kept<'_> {
    /// What an override let pass is no old violation: when it is over, whatever the rule reads must be put
    /// right or overruled anew with the next change to it.
    fn comparison(self, rule: RuleId, now: Timestamp) -> Comparison {
        let names = |on: Option<&Override>| on.is_some_and(|on| on.names(rule));
        let is_over = self.stood.is_some_and(|stood| stood.is_expired(now));
        match (names(self.stood), names(self.stands)) {
            (true, false) => Comparison::Nothing,
            (true, true) if is_over => Comparison::Same,
            (false, _) | (true, true) => Comparison::NoWorse,
        }
    }
}

impl Ratchet<'_> {
    /// Of objects on which there is no override.
    pub(crate) const PLAIN: Ratchet<'static> = Ratchet {
        own: Kept {
            stood: None,
            stands: None,
        },
        of_owner: Kept {
            stood: None,
            stands: None,
        },
        now: Timestamp::MAX,
    };

    fn comparison(&self, rule: RuleId) -> Comparison {
        let own = self.own.comparison(rule, self.now);
        own.max(self.of_owner.comparison(rule, self.now))
    }
}

/// What denied the old object, as much of it as is compared.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    rule: RuleId,
    path: u64,
    extent: Extent,
}

impl Denial {
    /// The denials of states among findings.
    pub(crate) fn all(findings: Vec<Finding>) -> Vec<Self> {
        let denials = findings.into_iter().filter(is_denied_state);
        denials
            .map(|finding| Denial {
                rule: finding.rule,
                path: path(&finding),
                extent: finding.extent,
            })
            .collect()
    }
}

/// Lets denials pass, with a warning, that the old object had as well. Each old one covers one.
pub(crate) fn let_pass_as_before(
    findings: &mut [Finding],
    mut before: Vec<Denial>,
    ratchet: &Ratchet<'_>,
) {
    for finding in findings.iter_mut().filter(|new| is_denied_state(new)) {
        let path = path(finding);
        let is_about_it = |old: &Denial| old.rule == finding.rule && old.path == path;
        let same = |old: &Denial| is_about_it(old) && finding.extent.is_the_same_as(&old.extent);
        let no_worse =
            |old: &Denial| is_about_it(old) && finding.extent.is_no_worse_than(&old.extent);
        let place = match ratchet.comparison(finding.rule) {
            Comparison::NoWorse => {
                let place = before.iter().position(same);
                place.or_else(|| before.iter().position(no_worse))
            }
            Comparison::Same => before.iter().position(same),
            Comparison::Nothing => None,
        };
        if let Some(place) = place {
            before.swap_remove(place);
            finding.waive(Waiver::Ratchet, "as before");
        }
    }
}

/// At most as many findings of each rule in each place as `limit`. The last of them stands for what is left
/// out as well, when it is compared.
pub(crate) fn condense(findings: Vec<Finding>, limit: usize) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        let key = |finding: &Finding| (finding.rule, finding.level, path(finding));
        let wanted = key(&finding);
        let mut alike = kept.iter_mut().filter(|kept| key(kept) == wanted);
        match alike.nth(limit - 1) {
            Some(last) => last.extent.absorb(&finding.extent),
            None => kept.push(finding),
        }
    }
    kept
}

/// Whether a finding denies a state that an object is in. A claim to an override that is refused is refused
/// anew each time.
pub(crate) fn is_denied_state(finding: &Finding) -> bool {
    finding.level == Level::Deny && finding.rule != BREAK_GLASS && !finding.is_deed()
}

/// What a finding is about: its field. Where in a list that stands makes no difference, nor does it whether
/// an Application has one `source` or a list of them.
fn path(finding: &Finding) -> u64 {
    let mut hasher = KEY.build_hasher();
    if !finding.extent.is_wherever {
        let is_index = |segment: &&str| segment.bytes().all(|byte| byte.is_ascii_digit());
        for segment in finding
            .field
            .split('/')
            .filter(|segment| !is_index(segment))
        {
            let segment = match segment {
                "source" => "sources",
                segment => segment,
            };
            segment.hash(&mut hasher);
        }
    }
    hasher.finish()
}
