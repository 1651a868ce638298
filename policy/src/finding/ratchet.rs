//! Ratchet: an update that makes nothing worse passes.
//!
//! The webhook comes to fleets that are full of old violations, and Argo CD rewrites its objects
//! all the time. So what an update would be denied for is compared with what the old object would
//! be denied for now: findings, not objects, as a rewrite changes text that means the same.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, Hasher};

use super::extent::{Extent, KEY};
use super::{BREAK_GLASS, Finding, Level, RuleId, Waiver};

/// How the findings of an update are compared with those of the old object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratchet<'o> {
    /// The override that was on the object, and the one that is afterwards.
    pub(crate) own: Kept<'o>,
    /// That of the ApplicationSet which generates it.
    pub(crate) of_owner: Kept<'o>,
    /// Whether the object is taken from the ApplicationSet that generates it, with what that one's
    /// override let pass.
    pub(crate) is_detached: bool,
}

/// An override before an update, and after it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept<'o> {
    /// The rules that the one before names.
    pub(crate) stood: &'o [RuleId],
    /// The rules that the one afterwards names.
    pub(crate) stands: &'o [RuleId],
    /// Whether the one before lets nothing pass any more.
    pub(crate) is_over: bool,
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
    /// What an override let pass is not an old violation: when it is over, whatever the rule reads
    /// must be put right or overruled anew with the next change to it.
    fn comparison(self, rule: RuleId) -> Comparison {
        match (self.stood.contains(&rule), self.stands.contains(&rule)) {
            (true, false) => Comparison::Nothing,
            (true, true) if self.is_over => Comparison::Same,
            (false, _) | (true, true) => Comparison::NoWorse,
        }
    }
}

impl Ratchet<'_> {
    /// Of objects on which there is no override.
    pub(crate) const PLAIN: Ratchet<'static> = Ratchet {
        own: Kept {
            stood: &[],
            stands: &[],
            is_over: false,
        },
        of_owner: Kept {
            stood: &[],
            stands: &[],
            is_over: false,
        },
        is_detached: false,
    };

    fn comparison(&self, rule: RuleId) -> Comparison {
        if self.is_detached {
            return Comparison::Nothing;
        }
        let own = self.own.comparison(rule);
        own.max(self.of_owner.comparison(rule))
    }
}

/// What denied the old object, as much of it as is compared.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Denial {
    rule: RuleId,
    path: u64,
    extent: Extent,
}

impl Denial {
    /// The denials of states among findings.
    pub(crate) fn all(findings: &[Finding]) -> Vec<Self> {
        let denials = findings.iter().filter(|finding| is_denied_state(finding));
        denials.map(Denial::of).collect()
    }

    fn of(finding: &Finding) -> Self {
        Denial {
            rule: finding.rule,
            path: path(finding),
            extent: finding.extent.clone(),
        }
    }
}

/// How many pairs of a denial and another one before are compared. More are never as before: an
/// object can hold tens of thousands on either side. The very same are not counted, as they need no
/// comparison.
const COMPARED: usize = 1_000_000;

/// Lets denials pass, with a warning, that the old object had as well. Each old one covers one.
pub(crate) fn let_pass_as_before(
    findings: &mut [Finding],
    before: &[Denial],
    ratchet: &Ratchet<'_>,
) {
    let mut left: HashMap<&Denial, usize> = HashMap::new();
    for denial in before {
        *left.entry(denial).or_default() += 1;
    }
    let mut others = Vec::new();
    for finding in findings.iter_mut().filter(|new| is_denied_state(new)) {
        let comparison = ratchet.comparison(finding.rule);
        if comparison == Comparison::Nothing || !finding.extent.may_be_as_before() {
            continue;
        }
        let denial = Denial::of(finding);
        match left.get_mut(&denial) {
            Some(left @ 1..) => {
                *left -= 1;
                finding.waive(Waiver::Ratchet, "as before");
            }
            _ if comparison == Comparison::NoWorse => others.push((denial, finding)),
            _ => {}
        }
    }
    if others.is_empty() {
        return;
    }
    let mut alike = Alike::new();
    for denial in before {
        if let Some(left @ 1..) = left.remove(denial) {
            let alike = alike.entry((denial.rule, denial.path)).or_default();
            alike.push((&denial.extent, left));
        }
    }
    let_pass_no_worse(others, alike);
}

/// By rule and field what is left of before, with how many of each.
type Alike<'b> = HashMap<(RuleId, u64), Vec<(&'b Extent, usize)>>;

/// Lets pass what goes no further than something of the same rule and field that is left of before.
fn let_pass_no_worse(findings: Vec<(Denial, &mut Finding)>, mut alike: Alike<'_>) {
    let mut compared = 0;
    for (denial, finding) in findings {
        let Some(alike) = alike.get_mut(&(denial.rule, denial.path)) else {
            continue;
        };
        let affordable = alike.len().min(COMPARED - compared);
        let no_worse = |(before, _): &(&Extent, usize)| denial.extent.is_no_worse_than(before);
        let place = alike[..affordable].iter().position(no_worse);
        compared += place.map_or(affordable, |place| place + 1);
        if let Some(place) = place {
            alike[place].1 -= 1;
            if alike[place].1 == 0 {
                alike.swap_remove(place);
            }
            finding.waive(Waiver::Ratchet, "as before");
        }
    }
}

/// Says of each undecided finding that the old object did not have whether somebody has to answer
/// for it.
pub(crate) fn mark_new(findings: &mut [Finding], before: &[Finding]) {
    for finding in findings {
        let path_of_it = path(finding);
        let is_no_worse = |old: &Finding| {
            old.level() == Level::Undecided
                && old.rule == finding.rule
                && path(old) == path_of_it
                && finding.extent.is_no_worse_than(&old.extent)
        };
        finding.extent.is_new =
            finding.level() == Level::Undecided && !before.iter().any(is_no_worse);
    }
}

/// At most as many findings of each rule in each place as `limit`. The last of them stands for what
/// is left out as well, when it is compared.
pub(crate) fn limit_findings(findings: Vec<Finding>, limit: usize) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    // How many of a kind are kept, and where the last of them is.
    let mut places: HashMap<(RuleId, Level, u64), (usize, usize)> = HashMap::new();
    let mut left_out: HashMap<usize, Vec<Extent>> = HashMap::new();
    for finding in findings {
        let kind = (finding.rule, finding.level(), path(&finding));
        let (count, last) = places.entry(kind).or_default();
        if *count < limit {
            *count += 1;
            *last = kept.len();
            kept.push(finding);
        } else {
            left_out.entry(*last).or_default().push(finding.extent);
        }
    }
    for (last, extents) in left_out {
        kept[last].extent.absorb(&extents);
    }
    kept
}

/// Whether a finding denies a state that an object is in. A claim to an override that is refused is
/// refused anew each time.
pub(crate) fn is_denied_state(finding: &Finding) -> bool {
    finding.level() == Level::Deny && finding.rule != BREAK_GLASS && !finding.is_about_action()
}

/// What a finding is about: its field. Where in a list that stands makes no difference, nor does it
/// whether an Application has one `source` or a list of them.
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
