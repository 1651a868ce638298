//! What objects would do to Applications once they are applied or deleted, before anybody decides
//! how to show it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use argocd::ApplicationSet;
use argocd::application_set::Checkouts;
use policy::evaluate::judge_fan_out;
use policy::fan_out::{Affected, Change, NotExpanded, NotKnown, Uncounted};
use policy::rules::{BlastRadius, GeneratedApplications};
use policy::{
    AnyRequest, FanOut, Finding, Inventory, Level, Object, Propagation, Subject, generated_names,
};

use crate::error::CommandError;
use crate::fleet::{Fact, Facts, Identity};
use crate::repository::manifest::{Kind, Manifest};
use crate::repository::problem::Problem;

/// What is done with the objects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Intent {
    Apply,
    Delete,
}

/// What the rules find in an object for what it generates or deletes.
#[derive(Debug)]
pub(crate) struct OnObject {
    /// `kind/name`.
    pub(crate) object: String,
    pub(crate) finding: Finding,
}

/// What would happen.
#[derive(Debug, Default)]
pub(crate) struct Preview {
    /// By the name of the Application.
    pub(crate) affected: Vec<Affected>,
    /// Parts of ApplicationSets of which nothing can be said.
    pub(crate) not_known: Vec<NotKnown>,
    /// ApplicationSets with which Applications go that are not known.
    pub(crate) uncounted: Vec<Uncounted>,
    /// ApplicationSets on which Argo CD fails, or that are beyond what is worked out here.
    pub(crate) not_expanded: Vec<NotExpanded>,
    /// What the webhook would refuse objects for, as they delete too much or generate what cannot
    /// be.
    pub(crate) refused: Vec<OnObject>,
    /// What the webhook would warn of.
    pub(crate) warned: Vec<OnObject>,
    /// Objects that could not be read, or are not there to be deleted.
    pub(crate) problems: Vec<Problem>,
}

/// What a rule decides on an Application.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Admitted,
    Denied,
    /// A fact is missing that decides.
    Undecided,
}

impl Verdict {
    /// What becomes of an Application when it is written.
    pub(crate) fn of(affected: &Affected) -> Self {
        let has = |level| {
            affected
                .findings
                .iter()
                .any(|finding| finding.level == level)
        };
        if has(Level::Deny) {
            Verdict::Denied
        } else if has(Level::Undecided) {
            Verdict::Undecided
        } else {
            Verdict::Admitted
        }
    }

    /// `admitted`, `denied` or `undecided`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verdict::Admitted => "admitted",
            Verdict::Denied => "denied",
            Verdict::Undecided => "undecided",
        }
    }

    /// The level of the findings that it rests on.
    pub(crate) fn level(self) -> Option<Level> {
        match self {
            Verdict::Admitted => None,
            Verdict::Denied => Some(Level::Deny),
            Verdict::Undecided => Some(Level::Undecided),
        }
    }
}

impl Preview {
    /// Works out what happens when objects are applied to, or deleted from, what there is, one
    /// after the other. What else is among them counts as applied before.
    ///
    /// # Errors
    /// The policy cannot be used.
    pub(crate) fn of(
        manifests: &[Manifest],
        intent: Intent,
        mut facts: Facts,
        checkouts: &Arc<dyn Checkouts + Send + Sync>,
    ) -> Result<Self, CommandError> {
        let mut preview = Gathering::default();
        let (subjects, others): (Vec<&Manifest>, Vec<&Manifest>) = manifests
            .iter()
            .partition(|manifest| manifest.kind.fans_out());
        if intent == Intent::Apply {
            for manifest in others {
                preview.apply(manifest, &mut facts);
            }
        }
        for manifest in subjects {
            let mut inventory = facts.inventory()?;
            inventory.checkouts = Arc::clone(checkouts);
            match preview.add(manifest, intent, &mut facts, &inventory) {
                Ok(()) => {}
                Err(problem) => preview.rest.problems.push(problem),
            }
        }
        let mut preview = preview.finish();
        if intent == Intent::Apply {
            preview.tell_repeated(manifests, &facts, checkouts)?;
        }
        Ok(preview)
    }

    /// Says of each Application that is generated whether something else makes one of its name.
    fn tell_repeated(
        &mut self,
        manifests: &[Manifest],
        facts: &Facts,
        checkouts: &Arc<dyn Checkouts + Send + Sync>,
    ) -> Result<(), CommandError> {
        let written = self
            .affected
            .iter_mut()
            .filter(|affected| matches!(affected.change, Change::Create | Change::Change));
        let mut written = written.peekable();
        if written.peek().is_none() {
            return Ok(());
        }
        let mut inventory = facts.inventory()?;
        inventory.checkouts = Arc::clone(checkouts);
        // By namespace and name.
        let mut makers: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for set in inventory.application_sets.iter() {
            let namespace = &set.metadata.namespace;
            for name in generated_names(set, &inventory) {
                let makers = makers.entry((namespace.to_string(), name)).or_default();
                makers.insert(format!("{namespace}/{}", set.metadata.name));
            }
        }
        let declared = manifests
            .iter()
            .filter(|manifest| manifest.kind == Kind::Application);
        for manifest in declared {
            let (_, reference) = manifest.identity();
            let key = (reference.namespace, reference.name);
            if let (Some(namespace), Some(name)) = key {
                let makers = makers.entry((namespace, name)).or_default();
                makers.insert(manifest.place());
            }
        }
        for affected in written {
            let (namespace, _) = affected.application_set.split_once('/').unwrap_or_default();
            let key = (namespace.to_owned(), affected.name.clone());
            let makers = makers.get(&key).into_iter().flatten();
            let others: Vec<&str> = makers
                .filter(|maker| **maker != affected.application_set)
                .map(String::as_str)
                .collect();
            match others.as_slice() {
                [] => {}
                [one] => affected.is_made_by(&format!("{one} makes it")),
                [first, more @ ..] => {
                    affected.is_made_by(&format!("{first} and {} more make it", more.len()));
                }
            }
        }
        Ok(())
    }

    /// Whether it is certain that nothing happens.
    pub(crate) fn is_nothing(&self) -> bool {
        self.affected.is_empty() && self.not_known.is_empty() && self.uncounted.is_empty()
    }

    /// Whether the webhook would refuse anything of it.
    pub(crate) fn is_denied(&self) -> bool {
        !self.refused.is_empty() || self.count(Verdict::Denied) > 0
    }

    /// How many Applications there are of a verdict.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        let affected = self.affected.iter();
        affected
            .filter(|affected| Verdict::of(affected) == verdict)
            .count()
    }

    /// How many Applications one thing happens to.
    pub(crate) fn changes(&self, change: Change) -> usize {
        let affected = self.affected.iter();
        affected
            .filter(|affected| affected.change == change)
            .count()
    }
}

/// The preview so far.
#[derive(Default)]
struct Gathering {
    /// By name and ApplicationSet.
    affected: BTreeMap<(String, String), Affected>,
    rest: Preview,
}

impl Gathering {
    /// Makes a fact of an object on which no Applications depend by themselves.
    fn apply(&mut self, manifest: &Manifest, facts: &mut Facts) {
        match manifest.fact() {
            Ok(Some(fact)) => facts.apply(manifest, fact),
            Ok(None) => {}
            Err(problem) => self.rest.problems.push(problem),
        }
    }

    fn add(
        &mut self,
        manifest: &Manifest,
        intent: Intent,
        facts: &mut Facts,
        inventory: &Inventory,
    ) -> Result<(), Problem> {
        let new = match intent {
            Intent::Apply => manifest.fact()?,
            Intent::Delete => None,
        };
        let identity = manifest.identity();
        let fan_out = fan_out(&identity, new.as_ref(), facts, inventory)
            .ok_or_else(|| manifest.problem("it is not there to be deleted"))?;
        self.judge(manifest, intent, &fan_out, inventory)?;
        self.forget(&identity);
        self.merge(fan_out);
        facts.set(identity, new);
        Ok(())
    }

    /// Asks the rules about the object itself. On what Argo CD fails, and what is not known, is
    /// told elsewhere.
    fn judge(
        &mut self,
        manifest: &Manifest,
        intent: Intent,
        fan_out: &FanOut,
        inventory: &Inventory,
    ) -> Result<(), Problem> {
        let object = if manifest.kind == Kind::ApplicationSet {
            let set: ApplicationSet<'_> = manifest.decode()?;
            Object::ApplicationSet(Box::new(set))
        } else {
            Object::ClusterSecret(Box::new(manifest.cluster_secret()?))
        };
        let subject = Subject::of(match intent {
            // What there is now has gone into the fan-out.
            Intent::Apply => AnyRequest::update_of_unknown(object),
            Intent::Delete => AnyRequest::delete(object, Propagation::Background),
        });
        let fails = |finding: &Finding| {
            let mut errors = fan_out.not_expanded.iter().map(|failing| &failing.error);
            finding.rule == GeneratedApplications::METADATA.id
                && errors.any(|error| finding.field == error.field())
        };
        for finding in judge_fan_out(&subject, fan_out, inventory) {
            let told = match finding.level {
                Level::Deny if fails(&finding) => continue,
                Level::Deny => &mut self.rest.refused,
                // How many Applications change is what the whole preview tells.
                Level::Warn if finding.rule == BlastRadius::METADATA.id => continue,
                Level::Warn => &mut self.rest.warned,
                Level::Undecided => continue,
            };
            told.push(OnObject {
                object: manifest.reference.short(),
                finding,
            });
        }
        Ok(())
    }

    /// Forgets what could not be said of an ApplicationSet that is replaced now.
    fn forget(&mut self, (kind, reference): &Identity) {
        if *kind != Kind::ApplicationSet {
            return;
        }
        let [namespace, name] =
            [&reference.namespace, &reference.name].map(|part| part.as_deref().unwrap_or_default());
        let name = format!("{namespace}/{name}");
        self.rest
            .not_expanded
            .retain(|not_expanded| not_expanded.application_set != name);
        self.rest
            .not_known
            .retain(|not_known| not_known.application_set != name);
    }

    fn merge(&mut self, fan_out: FanOut) {
        for affected in fan_out.affected {
            let key = (affected.name.clone(), affected.application_set.clone());
            let merged = match self.affected.remove(&key) {
                Some(earlier) => after(earlier.change, affected),
                None => Some(affected),
            };
            if let Some(affected) = merged {
                self.affected.insert(key, affected);
            }
        }
        for not_expanded in fan_out.not_expanded {
            let known = self.rest.not_expanded.iter();
            if !known
                .map(|known| (&known.application_set, &known.error))
                .any(|known| known == (&not_expanded.application_set, &not_expanded.error))
            {
                self.rest.not_expanded.push(not_expanded);
            }
        }
        for uncounted in fan_out.uncounted {
            if !self.rest.uncounted.contains(&uncounted) {
                self.rest.uncounted.push(uncounted);
            }
        }
        for not_known in fan_out.not_known {
            if !self.rest.not_known.contains(&not_known) {
                self.rest.not_known.push(not_known);
            }
        }
    }

    fn finish(self) -> Preview {
        Preview {
            affected: self.affected.into_values().collect(),
            ..self.rest
        }
    }
}

/// What happens when one object becomes another; None for the deletion of what is not there.
fn fan_out(
    identity: &Identity,
    new: Option<&Fact>,
    facts: &Facts,
    inventory: &Inventory,
) -> Option<FanOut> {
    if identity.0 == Kind::ApplicationSet {
        let old = facts.application_set(identity).map(|set| &**set);
        let new = match new {
            Some(Fact::ApplicationSet(set)) => Some(&**set),
            _ => None,
        };
        (old.is_some() || new.is_some()).then(|| FanOut::of_application_set(old, new, inventory))
    } else {
        let old = facts.cluster(identity);
        let new = match new {
            Some(Fact::Cluster(cluster)) => Some((**cluster).clone()),
            _ => None,
        };
        (old.is_some() || new.is_some()).then(|| FanOut::of_cluster(old, new, inventory))
    }
}

/// What becomes of an Application to which one thing happens after another.
fn after(earlier: Change, later: Affected) -> Option<Affected> {
    let change = match (earlier, later.change) {
        (Change::Create, Change::Delete) => return None,
        (Change::Create, _) => Change::Create,
        (Change::Delete | Change::Orphan, Change::Create) => Change::Change,
        (_, change) => change,
    };
    Some(Affected { change, ..later })
}
