//! How far a violation goes, so that it can be compared with what there was before.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

/// How far a violation goes. An update makes it no worse if everything that violates now did
/// before, at the same place.
///
/// Of the object's values only digests are kept, by a key that nobody knows: they can be compared,
/// but neither printed nor imitated, and thousands of them take little.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub(crate) struct Extent {
    violates: Violates,
    location: Location,
    pub(super) is_wherever: bool,
    /// Whether it is undecided, and was not before.
    pub(crate) is_new: bool,
}

/// In their order, each once. Many findings may share them.
type Digests = Arc<[u64]>;

#[derive(Clone, Default, Eq, Hash, PartialEq)]
enum Violates {
    /// The rule has not said so; what its message says counts.
    #[default]
    Unsaid,
    Said(Digests),
    /// The rule has compared it with the old object itself.
    Compared(Compared),
    /// It was not judged, so that it cannot be told.
    Unjudged,
}

/// What a rule says that has compared two objects itself. It is the very same as another that is
/// written alike.
#[derive(Clone, Eq)]
struct Compared {
    is_no_worse: bool,
    /// How it is written.
    written: Digests,
}

impl PartialEq for Compared {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Hash for Compared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.written.hash(state);
    }
}

/// Where a violation is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum Location {
    /// In the object itself.
    #[default]
    Object,
    /// Where the object deploys, or leads, to.
    Target(Target),
    /// Where that is does not exist any more, as after a cluster has been moved: what was there may
    /// be wherever it is put.
    Gone,
}

/// A cluster, and what in it is evidence of the environment that the rule holds in. Labels are not
/// among it: they say what is there, but move nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Target {
    server: u64,
    namespace: Option<u64>,
    project: Option<u64>,
}

impl Target {
    pub(crate) fn new(server: &str, namespace: Option<&str>, project: Option<&str>) -> Self {
        let digest = |part: &str| KEY.hash_one(part);
        Target {
            server: digest(server),
            namespace: namespace.map(digest),
            project: project.map(digest),
        }
    }

    /// On a cluster that environments share, another namespace is another place. A project that
    /// says by its name what was known anyway is not.
    fn is_covered_by(self, before: Self) -> bool {
        let projects = (self.project, before.project);
        self.server == before.server
            && self.namespace == before.namespace
            && !matches!(projects, (Some(own), Some(other)) if own != other)
    }
}

impl Location {
    fn is_covered_by(self, before: Self) -> bool {
        match (self, before) {
            (_, Location::Gone) => true,
            (Location::Target(own), Location::Target(before)) => own.is_covered_by(before),
            _ => self == before,
        }
    }
}

pub(super) static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

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

    /// Whether it goes no further than what the old object permits, by the rule's own comparison.
    /// How it is written counts only where nothing but the very same passes.
    pub(crate) fn compare<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        is_no_worse: bool,
        written: I,
    ) {
        self.violates = Violates::Compared(Compared {
            is_no_worse,
            written: digests(written),
        });
    }

    pub(crate) fn be_unjudged(&mut self) {
        self.violates = Violates::Unjudged;
    }

    /// It is one violation, whichever field shows it.
    pub(crate) fn be_wherever(&mut self) {
        self.is_wherever = true;
    }

    /// Completes what the rule has said.
    pub(crate) fn settle(&mut self, message: &str, location: Location) {
        if self.violates == Violates::Unsaid {
            self.violate([message]);
        }
        self.location = location;
    }

    /// Takes in what others of its kind say.
    pub(super) fn absorb(&mut self, others: &[Self]) {
        let Violates::Said(own) = &self.violates else {
            return;
        };
        let said = others.iter().filter_map(|other| match &other.violates {
            Violates::Said(digests) => Some(digests),
            Violates::Unsaid | Violates::Compared(_) | Violates::Unjudged => None,
        });
        let all = std::iter::once(own).chain(said);
        let all = all.flat_map(|digests| digests.iter().copied()).collect();
        self.violates = Violates::Said(in_order(all));
    }

    pub(super) fn is_no_worse_than(&self, before: &Self) -> bool {
        match (&self.violates, &before.violates) {
            (Violates::Said(own), Violates::Said(others)) => {
                is_within(own, others) && self.location.is_covered_by(before.location)
            }
            (Violates::Compared(compared), Violates::Compared(_)) => compared.is_no_worse,
            _ => false,
        }
    }

    /// Whether it can be told at all that it goes no further than something before.
    pub(super) fn may_be_as_before(&self) -> bool {
        match &self.violates {
            Violates::Unjudged => false,
            Violates::Compared(compared) => compared.is_no_worse,
            Violates::Unsaid | Violates::Said(_) => true,
        }
    }
}

impl fmt::Debug for Extent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Extent")
    }
}
