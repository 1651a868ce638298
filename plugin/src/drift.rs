//! Drift: what differs between Git and the clusters, where, since when, who did it, and what a sync
//! would do about it.
//!
//! ```text
//!   overview (an Application) ───────────┐
//!   managed_resources (argocd-server) ───┼─> judge: a verdict, resources, fields ──> Drift
//!                                        │      cause · effect · manager · autoscaler
//!   audit_log (an API server's) ──> attribution───────────────────────────┘
//! ```
//!
//! Facts come in, and nothing is asked or printed here. Another source than argocd-server needs to
//! make [`ManagedResource`](managed_resources::ManagedResource)s only.

pub(crate) mod attribution;
pub(crate) mod audit_log;
pub(crate) mod autoscaler;
mod cause;
mod causes;
mod decode;
pub(crate) mod effect;
pub(crate) mod engine;
mod field;
pub(crate) mod filter;
pub(crate) mod fix;
mod judge;
pub(crate) mod local;
pub(crate) mod locate;
pub(crate) mod managed_resources;
pub(crate) mod manager;
pub(crate) mod merge;
pub(crate) mod overview;
pub(crate) mod person;
pub(crate) mod promotion;
pub(crate) mod refusal;
pub(crate) mod shard;
mod sides;

use jiff::Timestamp;
use serde::Deserialize;

use self::autoscaler::{Autoscalers, KnownAutoscaler};
pub(crate) use self::cause::Cause;
pub(crate) use self::effect::Effect;
pub(crate) use self::field::{FieldDrift, MASK};
pub(crate) use self::judge::{Collected, judge, judge_by_status, judge_found, unanswered};
pub(crate) use self::locate::{Place, Written};
pub(crate) use self::overview::{
    ControllerSettings, Destination, Overview, SourceFolder, Strategy, Sync, strategy_choice,
};
pub(crate) use self::sides::Sides;

/// Where what is desired and what is there come from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// Argo CD's own comparison, by argocd-server.
    ArgoCd,
    /// A checkout, and the clusters themselves.
    Local,
    /// Nothing but what Applications say of themselves.
    Status,
}

impl Source {
    /// As reports have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Source::ArgoCd => "argocd",
            Source::Local => "local",
            Source::Status => "status",
        }
    }
}

/// What drift was found.
#[derive(Debug)]
pub(crate) struct Drift {
    pub(crate) source: Source,
    pub(crate) applications: Vec<ApplicationDrift>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) autoscalers: Autoscalers,
}

/// Something that could not be seen.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Problem {
    /// `application/cart`, or what else it is.
    pub(crate) object: String,
    pub(crate) message: String,
}

/// What was found of an Application.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Clean,
    Drifted,
    /// It may be either: Argo CD's verdict is out of date.
    Stale,
    /// It may be either.
    Unknown,
}

impl Verdict {
    /// All that there are.
    pub(crate) const ALL: [Verdict; 4] = [
        Verdict::Clean,
        Verdict::Drifted,
        Verdict::Stale,
        Verdict::Unknown,
    ];

    /// As reports have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verdict::Clean => "clean",
            Verdict::Drifted => "drifted",
            Verdict::Stale => "stale",
            Verdict::Unknown => "unknown",
        }
    }
}

/// An Application, and what differs.
#[derive(Clone, Debug)]
pub(crate) struct ApplicationDrift {
    pub(crate) overview: Overview,
    pub(crate) verdict: Verdict,
    /// Why it is stale or unknown, or what is left out.
    pub(crate) reason: Option<String>,
    /// Those that differ.
    pub(crate) resources: Vec<ResourceDrift>,
}

/// A resource that differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResourceDrift {
    pub(crate) group: String,
    /// None where nothing tells it.
    pub(crate) version: Option<String>,
    pub(crate) kind: String,
    /// Empty for one of the whole cluster.
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) cause: Cause,
    /// None where nobody can tell.
    pub(crate) effect: Option<Effect>,
    /// By which rules the webhook refuses what a sync would do, and why.
    pub(crate) refusal: Option<String>,
    pub(crate) fields: Vec<FieldDrift>,
    /// None where nothing but its status is known.
    pub(crate) sides: Option<Sides>,
    /// Where a checkout has it; None where that is not known.
    pub(crate) written: Option<Written>,
}

impl ResourceDrift {
    /// `deployment/cart`.
    pub(crate) fn short(&self) -> String {
        format!("{}/{}", self.kind.to_lowercase(), self.name)
    }

    /// The line of a field in the checkout, or of what is nearest above it.
    pub(crate) fn place_of(&self, field: &str) -> Option<Place> {
        Some(self.written.as_ref()?.place_of(field, self.sides.as_ref()))
    }

    /// Since when it drifts at least, as far as that is known: when the fields that differ were
    /// last written by their owners.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.fields.iter().filter_map(FieldDrift::since).min()
    }
}

impl ApplicationDrift {
    /// The oldest drift.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        let resources = self.resources.iter();
        resources.filter_map(ResourceDrift::since).min()
    }

    /// Whether nothing else was found, whenever it was looked for.
    pub(crate) fn is_as(&self, other: &ApplicationDrift) -> bool {
        self.verdict == other.verdict
            && self.reason == other.reason
            && self.resources == other.resources
            && self.overview.sync == other.overview.sync
            && self.overview.health == other.overview.health
    }

    /// Why it is stale or unknown, what is left out, or what a sync would be refused.
    pub(crate) fn explanation(&self) -> Option<String> {
        let refusals = self.resources.iter().filter_map(|resource| {
            let refusal = resource.refusal.as_ref()?;
            Some(format!(
                "a sync of {} is refused: {refusal}",
                resource.short()
            ))
        });
        let refusals: Vec<String> = refusals.collect();
        let refused = (!refusals.is_empty()).then(|| refusals.join("; "));
        self.reason.clone().or(refused)
    }

    /// What a server is called by which autoscalers are found.
    pub(crate) fn cluster_key(&self) -> &str {
        self.overview.cluster.key()
    }
}

impl Drift {
    /// Production first, then other environments, then by age, the oldest first, then by name.
    pub(crate) fn sort(&mut self) {
        self.problems.sort();
        let age = |since: Option<Timestamp>| since.unwrap_or(Timestamp::MAX);
        for application in &mut self.applications {
            let key = |one: &ResourceDrift| {
                (
                    age(one.since()),
                    one.kind.clone(),
                    one.name.clone(),
                    one.namespace.clone(),
                    one.group.clone(),
                )
            };
            application.resources.sort_by_cached_key(key);
        }
        self.applications.sort_by_cached_key(|one| {
            let overview = &one.overview;
            let environment = overview.environments.first().cloned();
            (
                !overview.is_production,
                environment.is_none(),
                environment,
                age(one.since()),
                overview.namespace.clone(),
                overview.name.clone(),
            )
        });
    }

    /// Corrects what an autoscaler seemed to have set where there is none: the controller wrote
    /// it, but nothing there says so any more.
    pub(crate) fn settle_autoscaled(&mut self) {
        for application in &mut self.applications {
            let cluster = application.overview.cluster.key();
            for resource in &mut application.resources {
                let scaled_by = self.autoscalers.of(cluster, resource);
                for field in &mut resource.fields {
                    let is_absent = scaled_by.of_field(&field.pointer) == KnownAutoscaler::Absent;
                    if field.cause == Cause::Autoscaled && is_absent {
                        field.cause = Cause::ChangedByController;
                    }
                }
                if resource.cause == Cause::Autoscaled {
                    resource.cause = causes::of_resource(&resource.fields);
                }
            }
        }
    }

    /// How many Applications have a verdict.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        let all = self.applications.iter();
        all.filter(|one| one.verdict == verdict).count()
    }

    /// How many resources differ.
    pub(crate) fn resources(&self) -> usize {
        let all = self.applications.iter();
        all.map(|one| one.resources.len()).sum()
    }

    /// Whether something differs, whatever else could not be seen.
    pub(crate) fn has_drift(&self) -> bool {
        self.count(Verdict::Drifted) > 0 || self.resources() > 0
    }

    /// Whether all that was asked for could be seen.
    pub(crate) fn is_complete(&self) -> bool {
        self.problems.is_empty()
            && self.count(Verdict::Stale) == 0
            && self.count(Verdict::Unknown) == 0
    }
}
