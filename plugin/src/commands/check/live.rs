//! What is in a cluster.

use jiff::Timestamp;
use policy::environment::ClustersByEnvironment;
use policy::gitops_policy::POLICY_NAME;

use super::{ARGOCD_NAMESPACE, CheckArgs, Checked, Scope};
use crate::break_glass::overruled::Judge;
use crate::cluster_access::block_on;
use crate::error::CommandError;
use crate::facts::Facts;
use crate::facts::live::{reference_of, resource_of};
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
        unread_facts,
        clusters,
    } = block_on(read(args))?;
    let report = Report::of_cluster(listed.made);
    // An object may be a fact and judged as well.
    let problems = Unread::each_once(unread_facts.iter().chain(&report.problems));
    Ok(Checked {
        problems,
        is_complete: listed.left_out.is_empty(),
        files: None,
        what: args.scope.what(report.counts.objects, &listed.left_out),
        clusters,
        report,
    })
}

struct Read {
    listed: Listed<Judged>,
    unread_facts: Vec<Problem>,
    clusters: ClustersByEnvironment,
}

async fn read(args: &CheckArgs) -> Result<Read, CommandError> {
    let server = args.cluster.connect().await?;
    let argocd_namespace = args.scope.argocd_namespace();
    let (mut facts, lacking) =
        Facts::of_cluster_as_far_as_permitted(&server, argocd_namespace).await?;
    for text in &lacking {
        output::warning(text);
    }
    args.version.apply(&mut facts);
    let judge = Judge::new(&facts, Timestamp::now())?;
    if let Some(flaw) = judge.inventory().policy().flaw() {
        let what = format!("gitopspolicy/{POLICY_NAME}: spec.environments: {flaw}");
        return Err(CommandError::new(what));
    }
    let progress = Progress::new("judging", None);
    let mut count = 0;
    let read = |kind, json: &str| {
        count += 1;
        progress.reached(count);
        judged(&judge, kind, json)
    };
    Ok(Read {
        listed: args.scope.selection().list(&server, read).await?,
        unread_facts: facts.take_problems(),
        clusters: ClustersByEnvironment::of(judge.inventory()),
    })
}

fn judged(judge: &Judge, kind: Kind, json: &str) -> Judged {
    let object = reference_of(&resource_of(kind), json);
    let findings = judge.findings(kind, json).map_err(|reason| Problem::Live {
        object: object.short(),
        reason,
    });
    (object, findings)
}

impl Scope {
    fn selection(&self) -> Selection<'_> {
        Selection {
            namespace: (!self.all_namespaces).then(|| self.namespace_of_objects()),
            argocd_namespace: self.argocd_namespace(),
            selector: self.selector.as_deref(),
        }
    }

    fn argocd_namespace(&self) -> &str {
        self.argocd_namespace.as_deref().unwrap_or(ARGOCD_NAMESPACE)
    }

    fn namespace_of_objects(&self) -> &str {
        let own = self.namespace.as_deref();
        own.unwrap_or_else(|| self.argocd_namespace())
    }

    fn what(&self, objects: usize, left_out: &[String]) -> String {
        let objects = counted(objects, "object");
        let what = if self.all_namespaces {
            format!("{objects} in all namespaces")
        } else {
            format!("{objects} in namespace {}", self.namespace_of_objects())
        };
        if left_out.is_empty() {
            what
        } else {
            format!("{what} (not judged: {})", left_out.join(", "))
        }
    }
}
