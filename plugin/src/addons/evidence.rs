//! The evidence of a takeover: what was before, what is afterwards, and what became of it. It is
//! written before anything is done, so that it survives where the command is cut off.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::snapshot::{Row, Snapshot, instant};
use crate::text::printable;

/// What became of an addon on its clusters.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evidence {
    api_version: String,
    kind: String,
    pub(crate) addon: String,
    pub(crate) release: Release,
    /// When it was begun.
    #[serde(with = "instant")]
    started_at: Option<Timestamp>,
    pub(crate) clusters: Vec<OnCluster>,
}

/// The release that was taken over.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Release {
    pub(crate) name: String,
    pub(crate) namespace: String,
}

/// What became of it on a cluster.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OnCluster {
    /// Its name in Argo CD.
    pub(crate) name: String,
    pub(crate) application: String,
    /// The revision that it was synced to; null before.
    pub(crate) revision: Option<String>,
    /// When it was synced for the first time; null before.
    #[serde(with = "instant")]
    pub(crate) synced_at: Option<Timestamp>,
    /// Null where it was synced before anybody looked: what was made since then is known by its
    /// time.
    pub(crate) before: Option<Snapshot>,
    /// Null before the end.
    pub(crate) after: Option<Snapshot>,
    /// When that was read; null before the end.
    #[serde(with = "instant")]
    pub(crate) finished_at: Option<Timestamp>,
    /// What was replaced or restarted; null before the end, empty where nothing was.
    pub(crate) changes: Option<Vec<String>>,
}

const API_VERSION: &str = "kubectl-gitops.io/v1alpha1";
const KIND: &str = "AddonEvidence";

/// A file is not the evidence that is meant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EvidenceError {
    #[error("it is not what `addon enable` writes: {0}")]
    Form(serde_json::Error),
    #[error("it is of the addon {0}")]
    Another(String),
}

impl Evidence {
    /// That of an addon of which nothing was done yet.
    pub(crate) fn begun(addon: &str, release: Release, now: Timestamp) -> Self {
        Evidence {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            addon: addon.to_owned(),
            release,
            started_at: Some(now),
            clusters: Vec::new(),
        }
    }

    /// That of an earlier run.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn read(json: &str, addon: &str) -> Result<Self, EvidenceError> {
        let read: Evidence = serde_json::from_str(json).map_err(EvidenceError::Form)?;
        if read.addon != addon || read.kind != KIND {
            return Err(EvidenceError::Another(read.addon));
        }
        Ok(read)
    }

    /// What is known of a cluster.
    pub(crate) fn of(&self, cluster: &str) -> Option<&OnCluster> {
        self.clusters.iter().find(|one| one.name == cluster)
    }

    /// Puts something in the place of what was known of a cluster.
    pub(crate) fn set(&mut self, on: OnCluster) {
        match self.clusters.iter_mut().find(|one| one.name == on.name) {
            Some(place) => *place = on,
            None => self.clusters.push(on),
        }
    }

    /// As a document.
    pub(crate) fn json(&self) -> String {
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        json + "\n"
    }

    /// As a page for a ticket.
    pub(crate) fn markdown(&self) -> String {
        let Release { name, namespace } = &self.release;
        let mut page = format!(
            "# Takeover of {}\n\nRelease `{}` in namespace `{}`, begun at {}.\n",
            cell(&self.addon),
            cell(name),
            cell(namespace),
            at(self.started_at)
        );
        for one in &self.clusters {
            page += &one.markdown();
        }
        page
    }
}

impl OnCluster {
    /// Whether it was looked at to the end, and nothing was replaced or restarted.
    pub(crate) fn is_untouched(&self) -> bool {
        self.changes.as_ref().is_some_and(Vec::is_empty)
    }

    /// Compares what is now with what was before, or with the time of the sync.
    pub(crate) fn finish(&mut self, after: Snapshot, now: Timestamp) {
        self.changes = Some(match (&self.before, self.synced_at) {
            (Some(before), _) => before.changes(&after),
            (None, Some(since)) => after.changes_since(since),
            (None, None) => Vec::new(),
        });
        self.after = Some(after);
        self.finished_at = Some(now);
    }

    fn result(&self) -> String {
        match &self.changes {
            None => "not at its end".to_owned(),
            Some(changes) if changes.is_empty() => {
                "no object was replaced, and no Pod was restarted".to_owned()
            }
            Some(changes) => changes.join("; "),
        }
    }

    fn markdown(&self) -> String {
        let mut page = format!(
            "\n## {}\n\nApplication `{}`, revision `{}`, synced at {}, looked at at {}: **{}**\n\n",
            cell(&self.name),
            cell(&self.application),
            cell(self.revision.as_deref().unwrap_or("none")),
            at(self.synced_at),
            at(self.finished_at),
            cell(&self.result())
        );
        page += "| object | namespace | | uid | generation | template | restarts |\n";
        page += "|---|---|---|---|---|---|---|\n";
        for (when, snapshot) in [("before", &self.before), ("after", &self.after)] {
            let Some(snapshot) = snapshot else { continue };
            let objects = snapshot
                .objects
                .iter()
                .map(super::snapshot::ObjectState::row);
            let pods = snapshot.pods.iter().map(super::snapshot::PodState::row);
            for row in objects.chain(pods) {
                // Writing to a String cannot fail.
                let _ = writeln!(page, "{}", line(when, &row));
            }
        }
        page
    }
}

fn line(when: &str, row: &Row) -> String {
    let number = |of: Option<i64>| of.map(|of| of.to_string()).unwrap_or_default();
    format!(
        "| {} | {} | {when} | {} | {} | {} | {} |",
        cell(&row.what),
        cell(&row.namespace),
        cell(&row.uid),
        number(row.generation),
        cell(row.template.as_deref().unwrap_or_default()),
        number(row.restarts)
    )
}

fn at(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "no time".to_owned(), |time| time.to_string())
}

/// A text that stays in its cell.
fn cell(text: &str) -> String {
    printable(text).replace('|', "\\|").replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Evidence {
        let release = Release {
            name: "dns".to_owned(),
            namespace: "dns".to_owned(),
        };
        Evidence::begun("dns", release, "2026-12-01T10:00:00Z".parse().unwrap())
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut evidence = begun();
        evidence.set(OnCluster {
            name: "prod".to_owned(),
            application: "prod-dns".to_owned(),
            before: Some(Snapshot::default()),
            ..OnCluster::default()
        });
        let read = Evidence::read(&evidence.json(), "dns").unwrap();
        let prod = read.of("prod").unwrap();
        assert_eq!(prod.before, Some(Snapshot::default()));
        assert!(!prod.is_untouched());
        let other = Evidence::read(&evidence.json(), "cni").unwrap_err();
        assert_eq!(other.to_string(), "it is of the addon dns");
        assert!(Evidence::read("{}", "dns").is_err());
    }

    #[test]
    fn it_ends_with_what_was_changed() {
        let mut on = OnCluster {
            name: "prod".to_owned(),
            before: Some(Snapshot::default()),
            ..OnCluster::default()
        };
        on.finish(Snapshot::default(), "2026-12-01T10:00:00Z".parse().unwrap());
        assert!(on.is_untouched());
        let mut evidence = begun();
        evidence.set(on);
        let page = evidence.markdown();
        assert!(
            page.contains("**no object was replaced, and no Pod was restarted**"),
            "{page}"
        );
    }
}
