//! What is desired and what is there, object by object.

use std::collections::{BTreeSet, HashMap};

use argocd::comparison::{
    CompareError, Comparison, NeedsDryRun, Pair, Rules, Strategy, Verdict as Compared, compare,
};
use argocd::tracking::Tracking;
use golang::work::Work;
use serde_json::Value;

use super::{Head, Key, hooks};
use crate::drift::managed_resources::{ManagedResource, State};

/// How much work the comparison of one resource may take.
const WORK: u64 = 1 << 28;

/// The Applications of one cluster: what is desired of each, and what was found of it.
pub(crate) struct Reconciliation<'a> {
    applications: Vec<Side<'a>>,
    /// Which Application desires an object, and which of its objects that is.
    desired: HashMap<Key, Vec<(usize, usize)>>,
    tracking: &'a Tracking,
}

/// A kind, by its group and its name.
pub(crate) type GroupKind = (String, String);

/// One Application.
pub(crate) struct Side<'a> {
    /// Its name, with its namespace and an underscore before it where that is not the control
    /// plane's.
    pub(crate) instance_name: String,
    /// None once it is found.
    pub(crate) desired: Vec<Option<Value>>,
    pub(crate) rules: Rules<'a>,
    pub(crate) strategy: Strategy<'a>,
    /// How Argo CD compares it, where the API server is asked all the same.
    pub(crate) own_strategy: Option<Strategy<'a>>,
    pub(crate) resources: Vec<ManagedResource>,
    /// What only a dry run can tell.
    pub(crate) undecided: Vec<Undecided>,
    /// Why nothing can be said of the whole Application.
    pub(crate) error: Option<CompareError>,
    /// Kinds of what is desired that could not be read.
    pub(crate) unread: BTreeSet<GroupKind>,
}

/// An object that a dry run is needed for.
#[derive(Debug)]
pub(crate) struct Undecided {
    pub(crate) key: Key,
    pub(crate) desired: Value,
    pub(crate) live: Value,
    /// None where a dry run would not help either.
    pub(crate) reason: Option<NeedsDryRun>,
}

/// Whether an answer to a dry run told what a sync would do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Settled {
    Yes,
    /// A jq path that is not worked out here decides.
    No,
    /// It says otherwise than Argo CD's own way to compare, as of what somebody added to a map that
    /// a server-side apply replaces as a whole.
    Disagrees,
}

impl<'a> Reconciliation<'a> {
    pub(crate) fn new(mut applications: Vec<Side<'a>>, tracking: &'a Tracking) -> Self {
        let mut desired: HashMap<Key, Vec<(usize, usize)>> = HashMap::new();
        for (index, side) in applications.iter_mut().enumerate() {
            let is_compared = |object: &Option<Value>| {
                object
                    .as_ref()
                    .is_some_and(|object| !hooks::is_left_out(object))
            };
            side.desired.retain(is_compared);
            for (place, object) in side.desired.iter().enumerate() {
                let keys = object.iter().map(Key::of);
                for key in keys {
                    desired.entry(key).or_default().push((index, place));
                }
            }
        }
        Reconciliation {
            applications,
            desired,
            tracking,
        }
    }

    /// The kinds of what is desired.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&str, &str)> {
        self.desired.keys().map(|key| (&*key.group, &*key.kind))
    }

    /// Takes in an object of a cluster, as JSON. Most are nobody's, and are not read further than
    /// their metadata.
    pub(crate) fn meet(&mut self, group: &str, version: &str, kind: &str, json: &str) {
        let Ok(mut head) = serde_json::from_str::<Head>(json) else {
            return;
        };
        let key = Key {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: std::mem::take(&mut head.metadata.namespace),
            name: std::mem::take(&mut head.metadata.name),
        };
        let is_owned = head.metadata.owner_references.as_ref();
        let is_owned = is_owned.is_some_and(|owners| !owners.is_empty());
        let marks = head.marks();
        let owner = self.tracking.application(&marks);
        let wanted = self.desired.get(&key).cloned().unwrap_or_default();
        let extra = owner.and_then(|owner| {
            let is_it = |side: &Side<'_>| side.instance_name == owner;
            self.applications.iter().position(is_it)
        });
        let extra = extra.filter(|index| {
            let is_desired = wanted.iter().any(|(wanting, _)| wanting == index);
            !is_desired && !is_owned && !hooks::is_left_out(&marks)
        });
        if wanted.is_empty() && extra.is_none() {
            return;
        }
        let Some(live) = read(group, version, kind, json) else {
            return;
        };
        if let Some(index) = extra {
            let live = live.clone();
            self.applications[index].found(key.clone(), State::Extra { live });
        }
        for (index, place) in wanted {
            self.applications[index].compare(key.clone(), place, live.clone());
        }
    }

    /// What was found. What is desired and was not met is missing, unless its kind could not be
    /// read.
    pub(crate) fn finish(mut self, unread: &BTreeSet<GroupKind>) -> Vec<Side<'a>> {
        for side in &mut self.applications {
            for target in std::mem::take(&mut side.desired).into_iter().flatten() {
                let key = Key::of(&target);
                let kind = (key.group.clone(), key.kind.clone());
                if unread.contains(&kind) {
                    side.unread.insert(kind);
                } else {
                    side.found(key, State::Missing { target });
                }
            }
        }
        self.applications
    }
}

/// Items of a list have neither version nor kind.
fn read(group: &str, version: &str, kind: &str, json: &str) -> Option<Value> {
    let mut live: Value = serde_json::from_str(json).ok()?;
    let members = live.as_object_mut()?;
    let api_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    members.insert("apiVersion".to_owned(), api_version.into());
    members.insert("kind".to_owned(), kind.into());
    Some(live)
}

impl<'a> Side<'a> {
    /// An Application of which nothing was found yet.
    pub(crate) fn new(
        instance_name: String,
        desired: Vec<Value>,
        rules: Rules<'a>,
        strategy: Strategy<'a>,
    ) -> Self {
        Side {
            instance_name,
            desired: desired.into_iter().map(Some).collect(),
            rules,
            strategy,
            own_strategy: None,
            resources: Vec::new(),
            undecided: Vec::new(),
            error: None,
            unread: BTreeSet::new(),
        }
    }

    /// Takes in what the API server answered to a dry run.
    pub(crate) fn settle(&mut self, undecided: Undecided, answer: &Value) -> Settled {
        let pair = Pair {
            desired: Some(undecided.desired.clone()),
            live: Some(undecided.live.clone()),
        };
        let mutation_webhooks = match self.strategy {
            Strategy::ServerSide {
                mutation_webhooks, ..
            } => mutation_webhooks,
            _ => false,
        };
        let strategy = Strategy::ServerSide {
            dry_run: Some(answer),
            mutation_webhooks,
        };
        let own = self.own_strategy;
        let own = own.map(|own| compare(pair.clone(), own, self.rules, &Work::new(WORK)));
        match compare(pair, strategy, self.rules, &Work::new(WORK)) {
            Ok(Compared::Compared(comparison)) => {
                if let Some(Ok(Compared::Compared(own))) = own
                    && own.modified != comparison.modified
                {
                    return Settled::Disagrees;
                }
                self.compared(undecided.key, *comparison, undecided.live);
            }
            Ok(_) => return Settled::No,
            Err(error) => self.error = Some(error),
        }
        Settled::Yes
    }

    fn compared(&mut self, key: Key, comparison: Comparison, live: Value) {
        let state = if comparison.modified {
            State::Modified {
                live,
                normalized: comparison.live,
                predicted: comparison.predicted,
            }
        } else {
            // Autoscalers are read of the cluster, whoever deploys them.
            State::Same { live: None }
        };
        self.found(key, state);
    }

    fn found(&mut self, key: Key, state: State) {
        let Key {
            group,
            kind,
            namespace,
            name,
        } = key;
        self.resources.push(ManagedResource {
            group,
            kind,
            namespace,
            name,
            state,
        });
    }

    fn compare(&mut self, key: Key, place: usize, live: Value) {
        let Some(desired) = self.desired[place].take() else {
            return;
        };
        let pair = Pair {
            desired: Some(desired.clone()),
            live: Some(live.clone()),
        };
        let compared = compare(pair, self.strategy, self.rules, &Work::new(WORK));
        let undecided = |reason| Undecided {
            key: key.clone(),
            desired,
            live: live.clone(),
            reason,
        };
        match compared {
            Ok(Compared::Compared(comparison)) => self.compared(key, *comparison, live),
            Ok(Compared::NeedsDryRun(reason)) => self.undecided.push(undecided(Some(reason))),
            Ok(Compared::Undecided) => self.undecided.push(undecided(None)),
            // As Argo CD, which says nothing of the Application then.
            Err(error) => self.error = Some(error),
        }
    }
}
