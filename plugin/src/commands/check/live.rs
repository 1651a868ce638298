//! What is in a cluster.

use argocd::names::PARAMETERS_CONFIG_MAP;
use jiff::Timestamp;
use policy::environment::ClustersByEnvironment;

use super::{CheckArgs, Checked, Scope};
use crate::break_glass::overruled::Judge;
use crate::cluster_access::{ApiServer, block_on};
use crate::error::CommandError;
use crate::facts::Facts;
use crate::facts::live::{reference_of, refuse_flaw, resource_of};
use crate::output::{self, counted};
use crate::progress::Progress;
use crate::report::{Judged, Report, Unread};
use crate::repository::manifest::Kind;
use crate::repository::problem::Problem;
use crate::selection::{Listed, Selection};

/// Judges what is in it, by what is in it.
pub(super) fn check(args: &CheckArgs) -> Result<Checked, CommandError> {
    let Read {
        listed,
        place,
        unread_facts,
        clusters,
    } = block_on(read(args))?;
    let listed_count = listed.made.len();
    let judged: Vec<Judged> = listed.made.into_iter().flatten().collect();
    tell_others(listed_count - judged.len());
    let report = Report::of_cluster(judged);
    // An object may be a fact and judged as well.
    let problems = Unread::each_once(unread_facts.iter().chain(&report.problems));
    Ok(Checked {
        problems,
        is_complete: listed.left_out.is_empty(),
        files: None,
        what: what(report.counts.objects, &place, &listed.left_out),
        clusters,
        report,
    })
}

struct Read {
    listed: Listed<Option<Judged>>,
    /// Where they are, for people.
    place: String,
    unread_facts: Vec<Problem>,
    clusters: ClustersByEnvironment,
}

async fn read(args: &CheckArgs) -> Result<Read, CommandError> {
    let server = args.cluster.connect().await?;
    let argocd_namespace = args.scope.namespaces.argocd();
    let (mut facts, lacking) =
        Facts::of_cluster_as_far_as_permitted(&server, argocd_namespace).await?;
    for text in &lacking {
        output::warning(text);
    }
    args.version.apply(&mut facts);
    let judge = Judge::new(&facts, Timestamp::now())?;
    refuse_flaw(judge.inventory())?;
    let progress = Progress::new("judging", None);
    let mut count = 0;
    let read = |kind, json: &str| {
        count += 1;
        progress.reached(count);
        judged(&judge, kind, json)
    };
    Ok(Read {
        listed: args.scope.selection(&server).list(&server, read).await?,
        place: args.scope.place(&server),
        unread_facts: facts.take_problems(),
        clusters: ClustersByEnvironment::of(judge.inventory()),
    })
}

/// Says how many objects are not judged, as the webhook judges none of them either.
fn tell_others(count: usize) {
    if count > 0 {
        output::note(&format!(
            "not judged: {} in namespaces in which this Argo CD has none, by {PARAMETERS_CONFIG_MAP}",
            counted(count, "object")
        ));
    }
}

/// Nothing for an object of which this Argo CD makes nothing where it is.
fn judged(judge: &Judge, kind: Kind, json: &str) -> Option<Judged> {
    let object = reference_of(&resource_of(kind), json);
    let namespace = object.namespace.as_deref().unwrap_or_default();
    if !judge.inventory().concerns(&object.kind, namespace) {
        return None;
    }
    let findings = judge.findings(kind, json).map_err(|reason| Problem::Live {
        object: object.short(),
        reason,
    });
    Some((object, findings))
}

impl Scope {
    fn selection<'s>(&'s self, server: &'s ApiServer) -> Selection<'s> {
        Selection {
            namespace: (!self.all_namespaces).then(|| self.namespaces.of_objects(server)),
            argocd_namespace: self.namespaces.argocd(),
            selector: self.selector.as_deref(),
        }
    }

    fn place(&self, server: &ApiServer) -> String {
        if self.all_namespaces {
            "all namespaces".to_owned()
        } else {
            format!("namespace {}", self.namespaces.of_objects(server))
        }
    }
}

fn what(objects: usize, place: &str, left_out: &[String]) -> String {
    let what = format!("{} in {place}", counted(objects, "object"));
    if left_out.is_empty() {
        what
    } else {
        format!("{what} (not judged: {})", left_out.join(", "))
    }
}
