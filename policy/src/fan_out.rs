//! What a change does to Applications: an ApplicationSet is written or deleted, or a cluster gets or
//! loses a label.
//!
//! The webhook warns with it, `kubectl gitops preview` prints it, and the rules on consequences judge
//! by it. What is compared is what ApplicationSets generate before and after the change.

use std::collections::BTreeMap;
use std::fmt;

use argocd::Cluster;
use argocd::application_set::{
    ApplicationSet, ApplicationsSync, ControllerParameters, ExpansionError, Limits,
};

pub use crate::application_sets::Belongs;
use crate::application_sets::{Child, Children, Generations, Judged, Side};
use crate::environment::{Evidence, Holds, Membership};
use crate::finding::Finding;
use crate::inventory::Inventory;
use crate::missing::{MissingFacts, text_of};
use crate::ratchet::Ratchet;
use crate::rule::Findings;
use crate::rules::GeneratedApplications;

/// What becomes of an Application.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Change {
    /// It is generated for the first time.
    Create,
    /// It is generated otherwise than before.
    Change,
    /// It is no longer generated, and goes.
    Delete,
    /// It is no longer generated, and stays: `applicationsSync` says so.
    Orphan,
}

impl Change {
    /// `create`, `change`, `delete` or `orphan`.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Create => "create",
            Change::Change => "change",
            Change::Delete => "delete",
            Change::Orphan => "orphan",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// An Application that comes, changes or goes.
#[derive(Clone, Debug)]
pub struct Affected {
    /// What becomes of it.
    pub change: Change,
    /// Its name.
    pub name: String,
    /// `namespace/name` of the ApplicationSet that generates it.
    pub application_set: String,
    /// The name of its destination's cluster, or what the destination says where it means none.
    pub cluster: String,
    /// Its project.
    pub project: String,
    /// The environments that it belongs to, in the order of the policy.
    pub environments: Vec<Belongs>,
    /// Whether its deletion takes along what it deploys, or may.
    pub cascades: bool,
    /// Whether it may be another one than is generated: its ApplicationSet did not update it, so that nobody
    /// knows where it is.
    pub may_differ: bool,
    /// What rules find in it; nothing in one that goes or is left behind.
    pub findings: Vec<Finding>,
}

/// An ApplicationSet on which Argo CD fails, or that is not worked out here.
#[derive(Clone, Debug)]
pub struct NotExpanded {
    /// `namespace/name`.
    pub application_set: String,
    /// Why.
    pub error: ExpansionError,
}

/// A part of an ApplicationSet whose Applications are not known here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotKnown {
    /// `namespace/name` of the ApplicationSet.
    pub application_set: String,
    /// The place in `spec.generators` of the entry.
    pub entry: usize,
    /// The generator, or the field whose template is not worked out.
    pub generator: String,
    /// What would be needed.
    pub lacks: String,
    /// Whether no generator of this name is known.
    pub perhaps_misspelt: bool,
    /// The same as data.
    pub missing: MissingFacts,
}

/// Applications that go with a change, of which nobody knows how many there are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Uncounted {
    /// `namespace/name` of the ApplicationSet.
    pub application_set: String,
    /// Why it is not known.
    pub reason: UncountedReason,
}

/// Why nobody knows how many Applications go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UncountedReason {
    /// `applicationsSync` let those stay that were no longer generated, and now they go.
    LeftBehind,
    /// What was generated before is not known here.
    NotKnown,
}

impl fmt::Display for UncountedReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            UncountedReason::LeftBehind => {
                "deletes what it generated earlier and left behind, and nobody knows here what that is"
            }
            UncountedReason::NotKnown => {
                "deletes what it generated before, and nobody knows here what that is"
            }
        })
    }
}

/// What a change does to Applications.
#[derive(Clone, Debug, Default)]
pub struct FanOut {
    /// The Applications that come, change or go, by ApplicationSet and name.
    pub affected: Vec<Affected>,
    /// How many stay as they are.
    pub unchanged: usize,
    /// ApplicationSets of which nothing can be said.
    pub not_expanded: Vec<NotExpanded>,
    /// Parts of ApplicationSets of which nothing can be said.
    pub not_known: Vec<NotKnown>,
    /// Applications that are no longer generated by what they were, and perhaps by something that is not
    /// known here.
    pub perhaps_deleted: Vec<Affected>,
    /// What goes beside the Applications that are known.
    pub uncounted: Vec<Uncounted>,
    /// Applications whose spec `templatePatch` takes away, by name: Argo CD leaves them alone.
    pub without_spec: Vec<String>,
    /// Whether there may be Applications now of which nothing is known.
    pub is_before_unknown: bool,
}

impl FanOut {
    /// What happens when an ApplicationSet is created, replaced or deleted.
    pub fn of_application_set(
        old: Option<&ApplicationSet<'_>>,
        new: Option<&ApplicationSet<'_>>,
        inventory: &Inventory,
    ) -> Self {
        let side = |set| Side { set, inventory };
        let generations = Generations::of(
            old.map(side),
            new.map(side),
            Judged::Changed,
            &Ratchet::PLAIN,
            &Limits::default(),
        );
        FanOut::of_generations(old, new, generations, inventory)
    }

    /// The same, with what is generated worked out already.
    pub(crate) fn of_generations(
        old: Option<&ApplicationSet<'_>>,
        new: Option<&ApplicationSet<'_>>,
        generations: Generations,
        inventory: &Inventory,
    ) -> Self {
        let mut fan_out = FanOut::default();
        fan_out.add(old, new, generations, inventory);
        fan_out
    }

    /// What happens to the Applications of all known ApplicationSets when a cluster's Secret is
    /// created, replaced or deleted. All of them together are worked out within one budget.
    pub fn of_cluster(old: Option<&Cluster>, new: Option<Cluster>, inventory: &Inventory) -> Self {
        let before = inventory.replacing_cluster(old, old.cloned());
        let after = inventory.replacing_cluster(old, new);
        let limits = Limits::default();
        let mut fan_out = FanOut::default();
        let concerned = inventory.application_sets.iter();
        for set in concerned.filter(|set| set.spec.reads_clusters()) {
            let side = |inventory| Some(Side { set, inventory });
            let generations = Generations::of(
                side(&before),
                side(&after),
                Judged::Changed,
                &Ratchet::PLAIN,
                &limits,
            );
            fan_out.add(Some(set), Some(set), generations, inventory);
        }
        fan_out
    }

    fn add(
        &mut self,
        old: Option<&ApplicationSet<'_>>,
        new: Option<&ApplicationSet<'_>>,
        Generations { before, after }: Generations,
        inventory: &Inventory,
    ) {
        let Some(set) = new.or(old) else {
            return;
        };
        let name = format!("{}/{}", set.metadata.namespace, set.metadata.name);
        let after = match after.transpose() {
            // Argo CD then leaves everything as it is.
            Err(error) => {
                return self.not_expanded.push(NotExpanded {
                    application_set: name,
                    error,
                });
            }
            Ok(after) => after.unwrap_or_default(),
        };
        // What there is was generated before Argo CD failed on it.
        let failed_before = matches!(before, Some(Err(_)));
        let before = before.and_then(Result::ok).unwrap_or_default();
        self.is_before_unknown |= failed_before || !before.undecided.is_empty();
        let keeping = Keeping::new(old, new, inventory.application_set_controller);
        let uncounted = if keeping.deletions == Deletions::WhatWasLeftAsWell {
            Some(UncountedReason::LeftBehind)
        } else if keeping.deletions != Deletions::None
            && (failed_before || before.has_more_undecided_than(&after))
        {
            Some(UncountedReason::NotKnown)
        } else {
            None
        };
        self.uncounted.extend(uncounted.map(|reason| Uncounted {
            application_set: name.clone(),
            reason,
        }));
        for undecided in &after.undecided {
            let not_known = NotKnown {
                application_set: name.clone(),
                entry: undecided.entry,
                generator: undecided.generator.clone(),
                lacks: text_of(&undecided.lacks),
                perhaps_misspelt: undecided.perhaps_misspelt,
                missing: MissingFacts::of(&undecided.lacks),
            };
            if !self.not_known.contains(&not_known) {
                self.not_known.push(not_known);
            }
        }
        let lacking = after.known.iter().filter(|child| child.lacks_spec);
        self.without_spec
            .extend(lacking.map(|child| child.name.clone()));
        self.compare(&name, keeping, before, after);
    }

    fn compare(&mut self, set: &str, keeping: Keeping, before: Children, after: Children) {
        // A generator that is not worked out may yield what another one did before.
        let may_come_from_elsewhere = after.has_more_undecided_than(&before);
        let mut gone: BTreeMap<String, Child> = before
            .known
            .into_iter()
            .map(|child| (child.name.clone(), child))
            .collect();
        let mut affected = Vec::new();
        for child in after.known {
            match gone.remove(&child.name) {
                None if child.lacks_spec => {}
                None => affected.push(Affected::new(Change::Create, set, child)),
                Some(old)
                    if keeping.updates
                        && !child.lacks_spec
                        && old.fingerprint != child.fingerprint =>
                {
                    affected.push(Affected::new(Change::Change, set, child));
                }
                Some(_) => self.unchanged += 1,
            }
        }
        let gone = gone.into_values();
        if keeping.deletions != Deletions::None {
            let gone = gone.map(|child| Affected {
                cascades: child.cascades || keeping.may_keep_finalizers,
                may_differ: keeping.may_differ,
                ..Affected::new(Change::Delete, set, child)
            });
            if may_come_from_elsewhere {
                self.perhaps_deleted.extend(gone);
            } else {
                affected.extend(gone);
            }
        } else if may_come_from_elsewhere {
            self.unchanged += gone.len();
        } else {
            affected.extend(gone.map(|child| Affected::new(Change::Orphan, set, child)));
        }
        affected.sort_by(|one, other| one.name.cmp(&other.name));
        self.affected.extend(affected);
    }

    /// The Applications that a change is about, by what becomes of them.
    pub fn of(&self, change: Change) -> impl Iterator<Item = &Affected> {
        self.affected
            .iter()
            .filter(move |affected| affected.change == change)
    }

    /// How many of one kind there are in each environment, by its name; those of none under `None`. One
    /// that belongs to several counts for the first.
    pub fn by_environment(&self, change: Change) -> BTreeMap<Option<&str>, usize> {
        let mut counts = BTreeMap::new();
        for affected in self.of(change) {
            let first = affected.environments.first();
            let environment = first.map(|belongs| belongs.environment.as_str());
            *counts.entry(environment).or_default() += 1;
        }
        counts
    }

    /// Whether any of them belongs to an environment that a rule holds in.
    pub(crate) fn membership(&self, holds: &Holds) -> Membership {
        if matches!(holds, Holds::Everywhere) {
            return Membership::Everywhere;
        }
        let all = || self.affected.iter().chain(&self.perhaps_deleted);
        for affected in all() {
            let environment = affected
                .environments
                .iter()
                .find(|belongs| holds.include(&belongs.environment, belongs.production));
            if let Some(belongs) = environment {
                return Membership::In {
                    environment: belongs.environment.clone(),
                    evidence: Evidence::Generated(affected.name.clone()),
                };
            }
        }
        if self.is_anything_unknown() {
            // It may be anywhere.
            return Membership::Everywhere;
        }
        Membership::NotIn
    }

    /// Whether there are Applications of which nobody knows where they are.
    pub(crate) fn is_anything_unknown(&self) -> bool {
        let mut all = self.affected.iter().chain(&self.perhaps_deleted);
        self.is_before_unknown
            || !self.not_expanded.is_empty()
            || !self.not_known.is_empty()
            || !self.uncounted.is_empty()
            || all.any(|affected| affected.may_differ)
    }
}

/// Where it is said what an Application belongs to.
const PLACES: [&str; 3] = ["/spec/destination", "/spec/project", "/metadata/labels"];

/// How an ApplicationSet keeps the Applications that it generated.
#[derive(Clone, Copy, Debug)]
struct Keeping {
    /// Whether those are changed that are generated otherwise now.
    updates: bool,
    deletions: Deletions,
    /// Whether those that there are may not be as they are generated.
    may_differ: bool,
    /// Whether those that are generated without Argo CD's finalizer may still have it.
    may_keep_finalizers: bool,
}

/// Which Applications go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Deletions {
    None,
    /// Those that are no longer generated.
    NoLongerGenerated,
    /// These, and those that were let stay until now.
    WhatWasLeftAsWell,
}

impl Keeping {
    fn new(
        old: Option<&ApplicationSet<'_>>,
        new: Option<&ApplicationSet<'_>>,
        controller: ControllerParameters,
    ) -> Self {
        let sync = |set: &ApplicationSet<'_>| controller.applications_sync(&set.spec);
        let before = old.map(sync);
        // Without its ApplicationSet an Application is garbage, whatever `applicationsSync` said.
        let after = new.map(sync);
        let deletions = match (after, before) {
            (Some(sync), _) if !sync.deletes() => Deletions::None,
            (_, Some(sync)) if !sync.deletes() => Deletions::WhatWasLeftAsWell,
            _ => Deletions::NoLongerGenerated,
        };
        let did_not_update = before.is_some_and(|sync| !sync.updates());
        let leaves_alone = |field| old.is_some_and(|set| set.spec.may_leave_alone(field));
        Keeping {
            updates: after.is_none_or(ApplicationsSync::updates),
            deletions,
            may_differ: did_not_update || PLACES.into_iter().any(leaves_alone),
            may_keep_finalizers: did_not_update || leaves_alone("/metadata/finalizers"),
        }
    }
}

impl Affected {
    /// Says that others make an Application of its name as well, so that nobody knows which of them there will be.
    pub fn is_made_by(&mut self, others: &str) {
        let mut findings = Findings::new(GeneratedApplications::METADATA.id);
        findings.undecided(
            "/metadata/name",
            format!("{others} as well: one of them owns it, and Argo CD fails on it in the others"),
            "give each of them a name of its own",
        );
        self.findings.extend(findings.into_inner());
    }

    fn new(change: Change, set: &str, child: Child) -> Self {
        Affected {
            change,
            name: child.name,
            application_set: set.to_owned(),
            cluster: child.cluster,
            project: child.project,
            environments: child.environments,
            cascades: child.cascades,
            may_differ: false,
            findings: match change {
                Change::Delete | Change::Orphan => Vec::new(),
                Change::Create | Change::Change => child.findings,
            },
        }
    }
}
