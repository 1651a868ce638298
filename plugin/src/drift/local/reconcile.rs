//! What is desired and what is there, object by object.
//!
//! A live object is read, compared and dropped; what is kept of it is what differs. What is desired
//! is kept as JSON, which takes a fraction of what it takes when it is read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use argocd::comparison::{
    CompareError, Comparison, NeedsDryRun, Pair, Rules, Strategy, Verdict as Compared, compare,
};
use argocd::tracking::Tracking;
use golang::work::Work;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::permitted::Permitted;
use super::{Head, Key, hooks};
use crate::drift::managed_resources::{ManagedResource, State};
use crate::drift::refusal::Webhook;
use crate::drift::{Collected, Overview};

/// How much work the comparison of one resource may take.
const WORK: u64 = 1 << 28;

/// Why a resource stays undecided.
pub(crate) const NOT_WORKED_OUT: &str = "a jq path of ignoreDifferences is not worked out";
/// Why a dry run does not settle it, as of what somebody added to a map that a server-side apply
/// replaces as a whole.
const DISAGREES: &str = "a dry run of a server-side apply says otherwise than what was applied last, by which Argo CD \
     compares";

/// The Applications of one cluster: what is desired of each, and what was found of it.
pub(crate) struct Reconciliation<'a> {
    applications: Vec<Side<'a>>,
    /// Which Application desires an object, and which of its objects that is.
    desired: HashMap<Key, Vec<(usize, usize)>>,
    /// Which Application a mark names.
    names: HashMap<String, usize>,
    tracking: &'a Tracking,
}

/// A kind, by its group and its name.
pub(crate) type GroupKind = (String, String);

/// One Application.
pub(crate) struct Side<'a> {
    pub(crate) overview: Overview,
    /// Its name, with its namespace and an underscore before it where that is not the control
    /// plane's.
    instance_name: String,
    desired: Vec<Desired>,
    permitted: Permitted<'a>,
    rules: Rules<'a>,
    strategy: Strategy<'a>,
    /// How Argo CD compares it, where the API server is asked all the same.
    own_strategy: Option<Strategy<'a>>,
    webhook: Option<&'a Webhook>,
    pub(crate) found: Collected,
    /// Why objects stay undecided.
    pub(crate) unsettled: Vec<String>,
    /// Why nothing can be said of the whole Application.
    pub(crate) error: Option<CompareError>,
    /// Kinds of what is desired that could not be read.
    pub(crate) unread: BTreeSet<GroupKind>,
}

/// What of a cluster counts for its Applications.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interest {
    /// The kinds that are read.
    pub(crate) kinds: BTreeSet<GroupKind>,
    /// What is desired.
    keys: HashSet<Key>,
    /// What marks name.
    names: HashSet<String>,
    tracking: Tracking,
}

impl Interest {
    /// The namespace and name of an object that counts, and what changes of it with anything but
    /// its status; None for one that does not count.
    pub(crate) fn fingerprint(&self, kind: &GroupKind, json: &str) -> Option<(String, String)> {
        #[derive(Deserialize)]
        struct Changing {
            metadata: ChangingMetadata,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ChangingMetadata {
            generation: Option<i64>,
            resource_version: Option<String>,
        }
        let mut head = serde_json::from_str::<Head>(json).ok()?;
        let Changing { metadata } = serde_json::from_str(json).ok()?;
        let (group, kind) = kind.clone();
        let key = Key {
            group,
            kind,
            namespace: std::mem::take(&mut head.metadata.namespace),
            name: std::mem::take(&mut head.metadata.name),
        };
        let marks = head.marks();
        let owner = self.tracking.application(&marks);
        if !(self.keys.contains(&key) || owner.is_some_and(|owner| self.names.contains(owner))) {
            return None;
        }
        let name = format!("{}/{}", key.namespace, key.name);
        Some((
            name,
            match metadata.generation {
                Some(generation) => format!("{generation} {marks}"),
                None => metadata.resource_version.unwrap_or_default(),
            },
        ))
    }
}

/// What is to be compared of an Application.
pub(crate) struct Plan<'a> {
    /// Its name, with its namespace and an underscore before it where that is not the control
    /// plane's.
    pub(crate) instance_name: String,
    pub(crate) desired: Vec<Desired>,
    pub(crate) permitted: Permitted<'a>,
    pub(crate) rules: Rules<'a>,
    pub(crate) strategy: Strategy<'a>,
    /// How Argo CD compares it, where the API server is asked all the same.
    pub(crate) own_strategy: Option<Strategy<'a>>,
    pub(crate) webhook: Option<&'a Webhook>,
}

/// An object that is desired.
pub(crate) struct Desired {
    key: Key,
    json: Box<str>,
    /// Whether it is compared only if it is marked as the Application's, and is not missed.
    is_optional: bool,
    /// Whether it is there.
    is_met: bool,
}

/// An object that a dry run is needed for.
#[derive(Debug)]
pub(crate) struct Undecided {
    /// Which Application it is of.
    application: usize,
    pub(crate) key: Key,
    pub(crate) desired: Value,
    live: Value,
    /// None where a dry run would not help either.
    pub(crate) reason: Option<NeedsDryRun>,
}

/// An object of a cluster, as JSON without its version and kind, which items of a list do not have.
#[derive(Clone, Copy)]
struct Live<'l> {
    group: &'l str,
    version: &'l str,
    kind: &'l str,
    json: &'l str,
}

impl<'a> Reconciliation<'a> {
    pub(crate) fn new(applications: Vec<Side<'a>>, tracking: &'a Tracking) -> Self {
        let mut desired: HashMap<Key, Vec<(usize, usize)>> = HashMap::new();
        let mut names = HashMap::new();
        for (index, side) in applications.iter().enumerate() {
            names.insert(side.instance_name.clone(), index);
            for (place, object) in side.desired.iter().enumerate() {
                let wanting = desired.entry(object.key.clone()).or_default();
                wanting.push((index, place));
            }
        }
        Reconciliation {
            applications,
            desired,
            names,
            tracking,
        }
    }

    /// The kinds of what is desired.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&str, &str)> {
        self.desired.keys().map(|key| (&*key.group, &*key.kind))
    }

    /// What of the cluster counts for the Applications, of these kinds.
    pub(crate) fn interest(&self, kinds: BTreeSet<GroupKind>) -> Interest {
        Interest {
            kinds,
            keys: self.desired.keys().cloned().collect(),
            names: self.names.keys().cloned().collect(),
            tracking: self.tracking.clone(),
        }
    }

    /// What Argo CD says that Applications have.
    pub(crate) fn overviews(&self) -> impl Iterator<Item = &Overview> {
        self.applications.iter().map(|side| &side.overview)
    }

    /// Takes in an object of a cluster, as JSON. Most are nobody's, and are not read further than
    /// their metadata. What only a dry run can tell comes back.
    pub(crate) fn meet(
        &mut self,
        group: &str,
        version: &str,
        kind: &str,
        json: &str,
    ) -> Vec<Undecided> {
        let Ok(mut head) = serde_json::from_str::<Head>(json) else {
            return Vec::new();
        };
        let key = Key {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: std::mem::take(&mut head.metadata.namespace),
            name: std::mem::take(&mut head.metadata.name),
        };
        let live = Live {
            group,
            version,
            kind,
            json,
        };
        let marks = head.marks();
        let owner = self.tracking.application(&marks);
        let owner = owner.and_then(|owner| self.names.get(owner).copied());
        let mut wanted = self.desired.get(&key).cloned().unwrap_or_default();
        wanted.retain(|(index, place)| {
            let side = &self.applications[*index];
            let counts = !side.desired[*place].is_optional || owner == Some(*index);
            counts && side.permitted.has(&key)
        });
        let is_owned = head.metadata.owner_references.as_ref();
        let is_owned = is_owned.is_some_and(|owners| !owners.is_empty());
        let extra = owner.filter(|index| {
            let is_desired = wanted.iter().any(|(wanting, _)| wanting == index);
            !(is_desired || is_owned || hooks::is_left_out(&marks))
                && self.applications[*index].permitted.has(&key)
        });
        if let Some(index) = extra
            && let Some(live) = live.read()
        {
            self.applications[index].found(key.clone(), State::Extra { live });
        }
        let mut undecided = Vec::new();
        for (index, place) in wanted {
            let found = self.applications[index].compare(index, &key, place, live);
            undecided.extend(found);
        }
        undecided
    }

    /// Takes in what the API server answered to a dry run.
    pub(crate) fn settle(&mut self, undecided: Undecided, answer: &Value) {
        self.applications[undecided.application].settle(undecided, answer);
    }

    /// Notes why an object stays undecided.
    pub(crate) fn leave(&mut self, undecided: &Undecided, reason: &str) {
        self.applications[undecided.application].leave(&undecided.key, reason);
    }

    /// What was found. What is desired and was not met is missing, unless its kind could not be
    /// read.
    pub(crate) fn finish(mut self, unread: &BTreeSet<GroupKind>) -> Vec<Side<'a>> {
        for side in &mut self.applications {
            side.finish(unread);
        }
        self.applications
    }
}

impl Live<'_> {
    fn read(self) -> Option<Value> {
        let Value::Object(members) = serde_json::from_str(self.json).ok()? else {
            return None;
        };
        Some(self.complete(members))
    }

    /// The same without `managedFields`, which are half of most objects.
    fn read_without_owners(self) -> Option<Value> {
        let mut members = Map::new();
        for (name, text) in serde_json::from_str::<Members<'_>>(self.json).ok()? {
            let value = match &*name {
                "metadata" => without_owners(text.get())?,
                _ => serde_json::from_str(text.get()).ok()?,
            };
            members.insert(name, value);
        }
        Some(self.complete(members))
    }

    fn complete(self, mut members: Map<String, Value>) -> Value {
        let api_version = if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        };
        members.insert("apiVersion".to_owned(), api_version.into());
        members.insert("kind".to_owned(), self.kind.into());
        Value::Object(members)
    }
}

/// The members of an object, as they are written.
type Members<'j> = BTreeMap<String, &'j RawValue>;

fn without_owners(metadata: &str) -> Option<Value> {
    let mut members = serde_json::from_str::<Members<'_>>(metadata).ok()?;
    members.remove("managedFields");
    let members = members.into_iter();
    let read = members.map(|(name, text)| Some((name, serde_json::from_str(text.get()).ok()?)));
    read.collect::<Option<Map<_, _>>>().map(Value::Object)
}

impl Desired {
    /// One that is missed if it is not there; None for a hook, which is not compared.
    pub(crate) fn of(object: &Value) -> Option<Self> {
        (!hooks::is_left_out(object)).then(|| Desired::new(object, false))
    }

    /// One that is compared only if it is marked as the Application's.
    pub(crate) fn if_marked(object: &Value) -> Self {
        Desired::new(object, true)
    }

    fn new(object: &Value, is_optional: bool) -> Self {
        Desired {
            key: Key::of(object),
            json: object.to_string().into_boxed_str(),
            is_optional,
            is_met: false,
        }
    }

    fn read(&self) -> Option<Value> {
        serde_json::from_str(&self.json).ok()
    }
}

impl<'a> Side<'a> {
    /// An Application of which nothing was found yet.
    pub(crate) fn new(overview: Overview, plan: Plan<'a>) -> Self {
        let Plan {
            instance_name,
            desired,
            permitted,
            rules,
            strategy,
            own_strategy,
            webhook,
        } = plan;
        Side {
            overview,
            instance_name,
            desired,
            permitted,
            rules,
            strategy,
            own_strategy,
            webhook,
            found: Collected::default(),
            unsettled: Vec::new(),
            error: None,
            unread: BTreeSet::new(),
        }
    }

    /// Compares a desired object with the one that is there. What is kept of both is only what a
    /// dry run must tell.
    fn compare(
        &mut self,
        application: usize,
        key: &Key,
        place: usize,
        live: Live<'_>,
    ) -> Option<Undecided> {
        let desired = self.desired.get_mut(place)?;
        desired.is_met = true;
        let read = |desired: &Desired| Some((desired.read()?, live.read()?));
        let undecided = |reason, (desired, live)| Undecided {
            application,
            key: key.clone(),
            desired,
            live,
            reason,
        };
        // Nothing but a dry run tells: it is not worth comparing.
        if let Strategy::ServerSide { dry_run: None, .. } = self.strategy {
            return Some(undecided(Some(NeedsDryRun::ServerSideDiff), read(desired)?));
        }
        let desired = desired.read()?;
        let pair = Pair {
            live: Some(if self.rules.need_owners(&desired, self.strategy) {
                live.read()?
            } else {
                live.read_without_owners()?
            }),
            desired: Some(desired),
        };
        let reason = match compare(pair, self.strategy, self.rules, &Work::new(WORK)) {
            Ok(Compared::Compared(comparison)) => {
                self.compared(key.clone(), *comparison, || live.read());
                return None;
            }
            Ok(Compared::NeedsDryRun(reason)) => Some(reason),
            Ok(Compared::Undecided) => None,
            // As Argo CD, which says nothing of the Application then.
            Err(error) => {
                self.error = Some(error);
                return None;
            }
        };
        Some(undecided(reason, read(&self.desired[place])?))
    }

    fn settle(&mut self, undecided: Undecided, answer: &Value) {
        let Undecided {
            key, desired, live, ..
        } = undecided;
        let pair = Pair {
            desired: Some(desired),
            live: Some(live.clone()),
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
                    return self.leave(&key, DISAGREES);
                }
                self.compared(key, *comparison, || Some(live));
            }
            Ok(_) => self.leave(&key, NOT_WORKED_OUT),
            Err(error) => self.error = Some(error),
        }
    }

    fn leave(&mut self, key: &Key, reason: &str) {
        let reason = format!("{} {}: {reason}", key.kind, key.name);
        self.unsettled.push(reason);
    }

    /// Keeps what differs. The live object is wanted only then.
    fn compared(&mut self, key: Key, comparison: Comparison, live: impl FnOnce() -> Option<Value>) {
        if !comparison.modified {
            return;
        }
        let Some(live) = live() else { return };
        let state = State::Modified {
            live,
            normalized: comparison.live,
            predicted: comparison.predicted,
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
        let resource = ManagedResource {
            group,
            kind,
            namespace,
            name,
            state,
        };
        self.found.add(resource, &self.overview, self.webhook);
    }

    fn finish(&mut self, unread: &BTreeSet<GroupKind>) {
        for desired in std::mem::take(&mut self.desired) {
            if desired.is_met || desired.is_optional {
                continue;
            }
            let Some(target) = desired.read() else {
                continue;
            };
            let key = desired.key;
            let kind = (key.group.clone(), key.kind.clone());
            if unread.contains(&kind) {
                self.unread.insert(kind);
            } else {
                self.found(key, State::Missing { target });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_the_same_without_the_owners_of_its_fields() {
        let object = json!({
            "metadata": {
                "name": "cart", "labels": {"managedFields": "x"},
                "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:data": {"f:a": {}}}}],
            },
            "data": {"a": "\u{e9}\n", "managedFields": "1"},
            "list": [1, 2.5, null, true],
        });
        let json = object.to_string();
        let live = Live {
            group: "apps",
            version: "v1",
            kind: "Deployment",
            json: &json,
        };
        let mut whole = live.read().unwrap();
        let without = live.read_without_owners().unwrap();
        assert_eq!(without["apiVersion"], "apps/v1");
        let metadata = whole["metadata"].as_object_mut().unwrap();
        assert!(metadata.remove("managedFields").is_some());
        assert_eq!(without, whole);
        for json in ["[]", "7", "{", r#"{"metadata": 7}"#] {
            assert_eq!(Live { json, ..live }.read_without_owners(), None, "{json}");
        }
    }
}
