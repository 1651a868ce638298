//! Applications as Argo CD compares them, while they are watched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::runtime::watcher::Event;
use serde::Deserialize;

use super::until_interrupted;
use crate::commands::drift::DriftArgs;
use crate::commands::drift::facts::{
    AT_ONCE, Asked, Reader, configuration, identities_of, reached, session,
};
use crate::commands::drift::told::{Judged, Key, Readers, Told};
use crate::context::Context;
use crate::drift::Source;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::kubernetes::AccessError;

/// How often it is looked at which verdicts are out of date by now. Nothing is read for that.
const BETWEEN_LOOKS: Duration = Duration::from_secs(15);

/// Tells what differs by argocd-server or by what Applications say, and goes on.
///
/// # Errors
/// Applications may not be watched.
pub(super) async fn run(args: &DriftArgs, context: &Context) -> Result<ExitStatus, CommandError> {
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
    let asked = Asked::new(argocd.as_ref(), known, reader.webhook(context));
    let source = if asked.is_by_server() {
        Source::ArgoCd
    } else {
        Source::Status
    };
    let events = cluster.watch(&reader.objects, args.scope.selector.as_deref());
    let told = Told::new(args, context, source);
    until_interrupted(told, async |told| {
        let watch = Watch {
            args,
            context,
            reader: &reader,
            asked,
            told,
            written: BTreeMap::new(),
            listed: BTreeSet::new(),
            first: Some(Vec::new()),
        };
        watch.follow(events).await
    })
    .await
}

/// Applications while they are watched.
struct Watch<'w, 't> {
    args: &'w DriftArgs,
    context: &'w Context,
    reader: &'w Reader,
    asked: Asked<'w>,
    told: &'w mut Told<'t>,
    /// Each as it was written last.
    written: BTreeMap<Key, String>,
    /// Those of a list that is being read again.
    listed: BTreeSet<Key>,
    /// The first list, until it is complete.
    first: Option<Vec<String>>,
}

impl Watch<'_, '_> {
    async fn follow(
        mut self,
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
            let text = format!("{}: it is tried again", chain(&error));
            self.context.warn([text]);
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
                let gone = self.told.keys().filter(|key| !self.listed.contains(*key));
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

    /// Judges all that there are, and tells of them.
    async fn begin(&mut self, all: Vec<String>) -> Result<Readers, CommandError> {
        let judged = futures::stream::iter(&all)
            .map(|json| self.judge(json))
            .buffered(AT_ONCE);
        let judged: Vec<_> = judged.collect().await;
        let keyed = all
            .into_iter()
            .filter_map(|json| Some((key_of(&json)?, json)));
        self.written = keyed.collect();
        self.told.tell(judged.into_iter().flatten().collect())
    }

    /// Judges one Application anew.
    async fn change(&mut self, json: String) -> Result<Readers, CommandError> {
        let judged = self.judge(&json).await;
        let Some(key) = key_of(&json) else {
            return Ok(Readers::Some);
        };
        let Some(judged) = judged else {
            // It was asked for before, and is no longer.
            self.forget(&key);
            return Ok(Readers::Some);
        };
        self.written.insert(key, json);
        self.told.tell(vec![judged])
    }

    fn forget(&mut self, key: &Key) {
        self.written.remove(key);
        self.told.forget(key);
    }

    /// Judges those anew whose verdict is out of date by now.
    async fn look(&mut self) -> Result<Readers, CommandError> {
        let is_due = |(key, json): &(&Key, &String)| {
            let now = self.reader.overview(json, self.context.now());
            let before = self.told.of(key);
            now.is_ok_and(|now| before.is_some_and(|before| before.overview.stale != now.stale))
        };
        let due: Vec<String> = self
            .written
            .iter()
            .filter(is_due)
            .map(|(_, json)| json.clone())
            .collect();
        for json in due {
            if self.change(json).await? == Readers::None {
                return Ok(Readers::None);
            }
        }
        Ok(Readers::Some)
    }

    /// None for an Application that is not asked for.
    async fn judge(&self, json: &str) -> Option<Judged> {
        match self.reader.overview(json, self.context.now()) {
            Ok(overview) if self.args.wants(&overview) => Some(self.asked.judge(overview).await),
            Ok(_) => None,
            Err(error) => {
                let text = format!("{}: {}", error.object, error.reason);
                self.context.streams.error(&text);
                None
            }
        }
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
