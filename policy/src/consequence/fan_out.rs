//! What a change does to Applications: an ApplicationSet is written or deleted, or a cluster gets
//! or loses a label.
//!
//! The webhook warns with it, `kubectl gitops preview` prints it, and the rules on consequences
//! judge by it. What is compared is what ApplicationSets generate before and after the change.

use std::collections::BTreeMap;

use argocd::Cluster;
use argocd::application_set::{ApplicationSet, ApplicationsSync, ControllerParameters, Limits};

use super::application_sets::{Child, Children, Generations, Judged, Side};
use crate::finding::missing::{MissingFacts, text_of};
use crate::finding::ratchet::Ratchet;
use crate::request::fan_out::{
    Affected, Change, FanOut, NotExpanded, NotKnown, Uncounted, UncountedReason,
};
use crate::request::inventory::Inventory;

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
