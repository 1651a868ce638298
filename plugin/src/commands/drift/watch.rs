//! `drift --watch`: what differs, and then what changes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::runtime::watcher::Event;
use serde::Deserialize;

use super::facts::{AT_ONCE, Asked, Reader, configuration, identities_of, reached, session};
use super::{DriftArgs, SourceArg};
use crate::args::Format;
use crate::context::Context;
use crate::drift::autoscaler::Autoscalers;
use crate::drift::{ApplicationDrift, Drift, Problem, Source};
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::kubernetes::AccessError;
use crate::report::drift::DriftReport;

/// How often it is looked at which verdicts are out of date by now. Nothing is read for that.
const BETWEEN_LOOKS: Duration = Duration::from_secs(15);

/// The formats that can be continued.
const FORMATS: [Format; 5] = [
    Format::Table,
    Format::Wide,
    Format::Json,
    Format::Yaml,
    Format::Name,
];

/// Tells what differs, and goes on with what changes.
///
/// # Errors
/// Applications may not be watched, or what is asked for cannot be watched.
pub(super) async fn run(args: &DriftArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let format = args.output.output;
    if args.source == SourceArg::Local {
        let text = "--watch: --source local cannot be watched; argocd and status can";
        return Err(CommandError::new(text));
    }
    if !FORMATS.contains(&format) {
        let text = format!("--watch has no -o {format}: as table, wide, json, yaml or name");
        return Err(CommandError::new(text));
    }
    let session = session(args, context)?;
    let cluster = context.connect().await?;
    let (argocd, _tunnel) = match session {
        Some(session) => reached(args, context, session, Some(&cluster)).await?,
        None => (None, None),
    };
    let configuration = configuration(&cluster, context.argocd_namespace()).await;
    let reader = Reader::of_cluster(args, context, &cluster, &configuration).await?;
    let known = match &argocd {
        None => None,
        Some(argocd) => identities_of(args, context, argocd).await?,
    };
    let events = cluster.watch(&reader.objects, args.scope.selector.as_deref());
    let watch = Watch {
        args,
        context,
        reader: &reader,
        asked: Asked::new(argocd.as_ref(), known, reader.webhook(context)),
        seen: BTreeMap::new(),
        autoscalers: Autoscalers::default(),
        listed: BTreeSet::new(),
        first: Some(Vec::new()),
    };
    watch.run(events).await
}

/// Namespace and name.
type Key = (String, String);

/// What is known of an Application.
struct Seen {
    json: String,
    judged: ApplicationDrift,
    problems: Vec<Problem>,
}

/// Applications while they are watched.
struct Watch<'w> {
    args: &'w DriftArgs,
    context: &'w Context,
    reader: &'w Reader,
    asked: Asked<'w>,
    seen: BTreeMap<Key, Seen>,
    autoscalers: Autoscalers,
    /// Those of a list that is being read again.
    listed: BTreeSet<Key>,
    /// The first list, until it is complete.
    first: Option<Vec<String>>,
}

/// Whether somebody reads on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Readers {
    Some,
    None,
}

impl Watch<'_> {
    /// Prints what changes, until it is interrupted or nobody reads on. The status is that of what
    /// was seen last.
    ///
    /// # Errors
    /// Applications may not be watched.
    async fn run(
        mut self,
        events: impl Stream<Item = Result<Event<String>, AccessError>>,
    ) -> Result<ExitStatus, CommandError> {
        tokio::select! {
            ended = self.follow(events) => ended?,
            () = interrupted() => {}
        }
        let problems = self.seen.values_mut();
        let problems = problems.flat_map(|seen| std::mem::take(&mut seen.problems));
        let problems = problems.collect();
        let seen = std::mem::take(&mut self.seen);
        let applications = seen.into_values().map(|seen| seen.judged).collect();
        let drift = self.drift(applications, problems);
        Ok(self.args.output.status(&drift))
    }

    async fn follow(
        &mut self,
        events: impl Stream<Item = Result<Event<String>, AccessError>>,
    ) -> Result<(), CommandError> {
        let mut events = std::pin::pin!(events);
        let mut looks = tokio::time::interval(BETWEEN_LOOKS);
        let mut is_interrupted = false;
        loop {
            let readers = tokio::select! {
                event = events.next() => match event {
                    None => return Ok(()),
                    Some(Ok(event)) => {
                        is_interrupted = false;
                        self.take(event).await?
                    }
                    Some(Err(error)) => {
                        self.interruption(error, &mut is_interrupted)?;
                        Readers::Some
                    }
                },
                _ = looks.tick() => self.look().await?,
            };
            if readers == Readers::None {
                return Ok(());
            }
        }
    }

    /// What may end by itself is told once; the rest ends the command.
    fn interruption(&self, error: AccessError, is_told: &mut bool) -> Result<(), CommandError> {
        if self.first.is_some() && !error.is_without_answer() {
            return Err(error.into());
        }
        if !*is_told {
            self.context
                .warn([format!("{}: it is tried again", chain(&error))]);
        }
        *is_told = true;
        Ok(())
    }

    async fn take(&mut self, event: Event<String>) -> Result<Readers, CommandError> {
        match event {
            Event::Init => {
                self.listed.clear();
                if let Some(first) = &mut self.first {
                    first.clear();
                }
                Ok(Readers::Some)
            }
            Event::InitApply(json) => {
                if let Some(first) = &mut self.first {
                    first.push(json);
                    return Ok(Readers::Some);
                }
                self.listed.extend(key_of(&json));
                self.change(json).await
            }
            Event::InitDone => {
                if let Some(first) = self.first.take() {
                    return self.begin(first).await;
                }
                let gone = self.seen.keys().filter(|key| !self.listed.contains(*key));
                let gone: Vec<_> = gone.cloned().collect();
                for key in &gone {
                    self.forget(key);
                }
                Ok(Readers::Some)
            }
            Event::Apply(json) => self.change(json).await,
            Event::Delete(json) => {
                if let Some(key) = key_of(&json) {
                    self.forget(&key);
                }
                Ok(Readers::Some)
            }
        }
    }

    /// Judges all that there are, and prints them.
    async fn begin(&mut self, all: Vec<String>) -> Result<Readers, CommandError> {
        let judged = futures::stream::iter(all)
            .map(|json| self.judge(json))
            .buffered(AT_ONCE);
        let judged: Vec<_> = judged.collect().await;
        let (mut applications, mut problems) = (Vec::new(), Vec::new());
        for (key, seen, autoscalers) in judged.into_iter().flatten() {
            self.autoscalers.extend(autoscalers);
            applications.push(seen.judged.clone());
            problems.extend(seen.problems.iter().cloned());
            self.seen.insert(key, seen);
        }
        self.print(applications, problems, false)
    }

    /// Judges one Application anew, and prints it if anything is otherwise than before.
    async fn change(&mut self, json: String) -> Result<Readers, CommandError> {
        let key = key_of(&json);
        let Some((key, seen, autoscalers)) = self.judge(json).await else {
            // It was asked for before, and is no longer.
            if let Some(key) = key {
                self.forget(&key);
            }
            return Ok(Readers::Some);
        };
        self.autoscalers.extend(autoscalers);
        let (judged, problems) = (seen.judged.clone(), seen.problems.clone());
        let before = self.seen.insert(key, seen);
        if before.is_some_and(|before| before.judged.is_as(&judged)) {
            return Ok(Readers::Some);
        }
        self.print(vec![judged], problems, true)
    }

    fn forget(&mut self, key: &Key) {
        if self.seen.remove(key).is_some() {
            let (namespace, name) = key;
            let text = format!("application {namespace}/{name} is no longer there");
            self.context.streams.note(&text);
        }
    }

    /// Judges those anew whose verdict is out of date by now.
    async fn look(&mut self) -> Result<Readers, CommandError> {
        let due: Vec<String> = self
            .seen
            .values()
            .filter(|seen| {
                let now = self.reader.overview(&seen.json, self.context.now());
                now.is_ok_and(|now| now.stale != seen.judged.overview.stale)
            })
            .map(|seen| seen.json.clone())
            .collect();
        for json in due {
            if self.change(json).await? == Readers::None {
                return Ok(Readers::None);
            }
        }
        Ok(Readers::Some)
    }

    /// None for an Application that is not asked for.
    async fn judge(&self, json: String) -> Option<(Key, Seen, Autoscalers)> {
        let key = key_of(&json)?;
        let overview = match self.reader.overview(&json, self.context.now()) {
            Ok(overview) => overview,
            Err(error) => {
                self.context
                    .streams
                    .error(&format!("{}: {}", error.object, error.reason));
                return None;
            }
        };
        if !self.args.wants(&overview) {
            return None;
        }
        let (judged, autoscalers, problems) = self.asked.judge(overview).await;
        let mut drift = self.drift(vec![judged], Vec::new());
        drift.autoscalers = autoscalers;
        self.args.filter(self.context).apply(&mut drift);
        let seen = Seen {
            json,
            judged: drift.applications.pop()?,
            problems,
        };
        Some((key, seen, drift.autoscalers))
    }

    fn drift(&self, applications: Vec<ApplicationDrift>, problems: Vec<Problem>) -> Drift {
        Drift {
            source: if self.asked.is_by_server() {
                Source::ArgoCd
            } else {
                Source::Status
            },
            applications,
            problems,
            autoscalers: Autoscalers::default(),
        }
    }

    fn print(
        &self,
        applications: Vec<ApplicationDrift>,
        problems: Vec<Problem>,
        is_change: bool,
    ) -> Result<Readers, CommandError> {
        let mut drift = self.drift(applications, problems);
        drift.autoscalers = self.autoscalers.clone();
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
        let is_read = self
            .context
            .continue_with(&report, self.args.output.output)?;
        Ok(if is_read {
            Readers::Some
        } else {
            Readers::None
        })
    }
}

fn key_of(json: &str) -> Option<Key> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        namespace: String,
        name: String,
    }
    let Object { metadata } = serde_json::from_str(json).ok()?;
    Some((metadata.namespace, metadata.name))
}

/// Returns when somebody wants it to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // Without a handler the process is simply ended.
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
