//! What was told of a fleet that is watched, and what is new.

use std::collections::BTreeMap;

use super::DriftArgs;
use crate::context::Context;
use crate::drift::autoscaler::Autoscalers;
use crate::drift::{ApplicationDrift, Drift, Problem, Source};
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::report::drift::DriftReport;

/// Namespace and name.
pub(super) type Key = (String, String);

/// What was found of an Application.
pub(super) type Judged = (ApplicationDrift, Autoscalers, Vec<Problem>);

/// What was told of each Application last.
pub(super) struct Told<'t> {
    args: &'t DriftArgs,
    context: &'t Context,
    source: Source,
    seen: BTreeMap<Key, (ApplicationDrift, Vec<Problem>)>,
    autoscalers: Autoscalers,
    /// Whether the first report is printed.
    has_begun: bool,
}

/// Whether somebody reads on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Readers {
    Some,
    None,
}

impl<'t> Told<'t> {
    /// Nothing yet.
    pub(super) fn new(args: &'t DriftArgs, context: &'t Context, source: Source) -> Self {
        Told {
            args,
            context,
            source,
            seen: BTreeMap::new(),
            autoscalers: Autoscalers::default(),
            has_begun: false,
        }
    }

    /// Whether anything was told.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// What was told of an Application last.
    pub(super) fn of(&self, key: &Key) -> Option<&ApplicationDrift> {
        self.seen.get(key).map(|(application, _)| application)
    }

    /// The Applications that were told of.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.seen.keys()
    }

    /// Takes in what scales something on a cluster.
    pub(super) fn know(&mut self, autoscalers: Autoscalers) {
        self.autoscalers.extend(autoscalers);
    }

    /// Tells all at first, and then those of which something else is found than before.
    ///
    /// # Errors
    /// Standard output does not take it.
    pub(super) fn tell(&mut self, found: Vec<Judged>) -> Result<Readers, CommandError> {
        let (mut news, mut problems) = (Vec::new(), Vec::new());
        for (application, autoscalers, unseen) in found {
            let Some(application) = self.filtered(application, &autoscalers) else {
                continue;
            };
            self.autoscalers.extend(autoscalers);
            let overview = &application.overview;
            let key = (overview.namespace.clone(), overview.name.clone());
            let is_known = self
                .of(&key)
                .is_some_and(|before| before.is_as(&application));
            let now = (application.clone(), unseen.clone());
            self.seen.insert(key, now);
            if !is_known {
                news.push(application);
                problems.extend(unseen);
            }
        }
        let is_change = std::mem::replace(&mut self.has_begun, true);
        if is_change && news.is_empty() {
            return Ok(Readers::Some);
        }
        self.print(news, problems, is_change)
    }

    /// Tells that an Application is gone, if it was told of.
    pub(super) fn forget(&mut self, key: &Key) {
        if self.seen.remove(key).is_some() {
            let (namespace, name) = key;
            let text = format!("application {namespace}/{name} is no longer there");
            self.context.streams.note(&text);
        }
    }

    /// The status of what was told last.
    pub(super) fn status(self) -> ExitStatus {
        let (applications, problems): (Vec<_>, Vec<_>) = self.seen.into_values().unzip();
        let drift = Drift {
            source: self.source,
            applications,
            problems: problems.into_iter().flatten().collect(),
            autoscalers: Autoscalers::default(),
        };
        self.args.output.status(&drift)
    }

    fn filtered(
        &self,
        application: ApplicationDrift,
        autoscalers: &Autoscalers,
    ) -> Option<ApplicationDrift> {
        let mut known = self.autoscalers.clone();
        known.extend(autoscalers.clone());
        let mut drift = Drift {
            source: self.source,
            applications: vec![application],
            problems: Vec::new(),
            autoscalers: known,
        };
        if self.source == Source::Local {
            drift.settle_autoscaled();
        }
        self.args.filter(self.context).apply(&mut drift);
        drift.applications.pop()
    }

    fn print(
        &self,
        applications: Vec<ApplicationDrift>,
        problems: Vec<Problem>,
        is_change: bool,
    ) -> Result<Readers, CommandError> {
        let mut drift = Drift {
            source: self.source,
            applications,
            problems,
            autoscalers: self.autoscalers.clone(),
        };
        drift.sort();
        for problem in &drift.problems {
            let text = format!("{}: {}", problem.object, problem.message);
            self.context.streams.error(&text);
        }
        let report = DriftReport {
            drift: &drift,
            now: self.context.now(),
            shard: self.args.shard,
            is_change,
        };
        let format = self.args.output.output;
        let is_read = self.context.continue_with(&report, format)?;
        Ok(if is_read {
            Readers::Some
        } else {
            Readers::None
        })
    }
}
