//! Judges the objects of a cluster by all that is known there, before anybody decides how to show
//! it.

use jiff::Timestamp;
use policy::Kind;
use policy::environment::ClustersByEnvironment;

use crate::break_glass::overruled::Judge;
use crate::check::missing::KnownFrom;
use crate::check::{Checked, Findings, Judged, Unread};
use crate::error::CommandError;
use crate::fleet::Facts;
use crate::fleet::live::refuse_flaw;
use crate::kubernetes::{ApiServer, LeftOut, Listed, Selection, reference_of, resource_of};
use crate::progress::Progress;
use crate::repository::problem::Problem;
use crate::text::counted;

/// What was found in a cluster.
#[derive(Debug)]
pub(crate) struct Audited {
    pub(crate) checked: Checked,
    /// What could not be listed.
    pub(crate) left_out: Vec<LeftOut>,
    /// How many objects this Argo CD has nothing to do with, which are not judged.
    pub(crate) others: usize,
}

/// Judges the objects of a selection by facts of the same cluster. `place` is where they are, for
/// people.
///
/// # Errors
/// The policy makes no sense, or the objects cannot be listed.
pub(crate) async fn audit(
    server: &ApiServer,
    mut facts: Facts,
    selection: Selection<'_>,
    place: &str,
    now: Timestamp,
    progress: Progress,
) -> Result<Audited, CommandError> {
    let judge = Judge::new(&facts, now)?;
    refuse_flaw(judge.inventory())?;
    let work = progress.begin("judging", None);
    let mut count = 0;
    let read = |kind, json: &str| {
        count += 1;
        work.reached(count);
        judged(&judge, kind, json)
    };
    let Listed { made, left_out } = selection.list(server, read).await?;
    let listed = made.len();
    let made: Vec<Judged> = made.into_iter().flatten().collect();
    let others = listed - made.len();
    let findings = Findings::in_cluster(made);
    let unread = facts.take_problems();
    let checked = Checked {
        // An object may be a fact and judged as well.
        problems: Unread::each_once(unread.iter().chain(&findings.problems)),
        is_complete: left_out.is_empty(),
        files: None,
        known_from: KnownFrom::Cluster,
        what: what(findings.counts.objects, place, &left_out),
        clusters: ClustersByEnvironment::of(judge.inventory()),
        findings,
    };
    Ok(Audited {
        checked,
        left_out,
        others,
    })
}

/// Nothing for an object of which this Argo CD makes nothing where it is.
fn judged(judge: &Judge, kind: Kind, json: &str) -> Option<Judged> {
    let object = reference_of(&resource_of(kind), json);
    let namespace = object.namespace.as_deref().unwrap_or_default();
    if !judge.inventory().concerns(kind, namespace) {
        return None;
    }
    let findings = judge.findings(kind, json).map_err(|reason| Problem::Live {
        object: object.short(),
        reason,
    });
    Some((object, findings))
}

fn what(objects: usize, place: &str, left_out: &[LeftOut]) -> String {
    let what = format!("{} in {place}", counted(objects, "object"));
    if left_out.is_empty() {
        return what;
    }
    let kinds: Vec<&str> = left_out.iter().map(|left_out| &*left_out.kind).collect();
    format!("{what} (not judged: {})", kinds.join(", "))
}
