use std::collections::HashSet;

use argocd::Application;
use argocd::application::revision::is_commit;
use argocd::application::{Sources, SyncOperation};

use crate::finding::shorten;
use crate::request::subject::Request;
use crate::rules::rule::{Context, Findings, JudgedOn, ObjectRule, Scope, declare_rule};

declare_rule! {
    /// ## What it does
    ///
    /// Denies an `operation` on a production Application that syncs something other than its spec:
    /// another source, only some of several sources, another revision, or literal manifests. A full
    /// commit, or the version of a chart, is fine where Argo CD's own components ask for it on an
    /// Application that is there, or where the status says that Argo CD resolved the spec to it at
    /// its last comparison: that is what an ordinary sync asks for. The status can be written by
    /// whoever may create or patch the Application, so this stops mistakes and short cuts, not
    /// somebody who is determined.
    ///
    /// Of several sources `source` alone would sync the first one, and with `prune` remove what the
    /// others deployed; it passes beside `sources` that equal the spec's. A running
    /// `status.operationState` that comes from anybody but Argo CD is denied, as Argo CD goes on
    /// with what it says in place of the spec. Literal manifests and such a status are refused
    /// outside of production as well, by `project-scope`; here they are whatever that is set to.
    ///
    /// An operation that waits on an Application is judged again when the Application moves to
    /// another destination, project or environment.
    ///
    /// ## Why
    ///
    /// Whoever may patch an Application may set its `operation`, and Argo CD deploys what it says:
    /// any branch, any repository. The spec never changes, so reviews, diffs and audits show
    /// nothing.
    ///
    /// ## How to fix
    ///
    /// Sync the Application as it is, with `argocd app sync` or an `operation` without `source`,
    /// `sources` and `revision`. To deploy another revision, change `spec.source.targetRevision`.
    ///
    /// ## Denied
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders-prod
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///   destination: { name: prod-eu, namespace: orders }
    /// operation:
    ///   sync: { revision: hotfix }
    /// ```
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders-prod
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///   destination: { name: prod-eu, namespace: orders }
    /// operation:
    ///   sync:
    ///     source: { repoURL: https://git.example.com/shop/orders.git, path: deploy/by-hand, targetRevision: v1.4.0 }
    /// ```
    ///
    /// ## Admitted
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders-prod
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///   destination: { name: prod-eu, namespace: orders }
    /// operation:
    ///   sync:
    ///     revision: v1.4.0
    ///     source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    /// ```
    pub struct OperationOverride {
        id: "operation-override",
        summary: "no operation on production that differs from the spec",
        judges: [WrittenApplication],
        judged_on: JudgedOn::Writing,
        scope: Scope::Production,
    }
}

impl ObjectRule<Application<'_>> for OperationOverride {
    fn check(
        &self,
        request: Request<&Application<'_>>,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        let application = *request.object();
        if context.resumes_what_others_wrote(request) {
            findings.deny(
                "/status/operationState",
                "Argo CD would go on with this operation in place of the spec",
                "leave it to Argo CD, and set operation instead",
            );
        }
        let Some(sync) = application.operation.as_ref().and_then(|o| o.sync.as_ref()) else {
            return;
        };
        if !sync.manifests.is_empty() {
            findings.deny(
                "/operation/sync/manifests",
                "applies literal manifests to production in place of the spec's source",
                "commit them, then sync the Application as it is",
            );
        }
        check_sources(application, sync, findings);
        check_revisions(request, sync, context, findings);
    }
}

fn check_sources(application: &Application<'_>, sync: &SyncOperation<'_>, findings: &mut Findings) {
    let spec = &application.spec;
    let differs = "syncs another source than the spec's to production";
    let fix = "sync the Application as it is, or change its spec";
    if let Some(source) = &sync.source {
        if spec.sync_source().is_none_or(|own| *own != *source) {
            findings.deny("/operation/sync/source", differs, fix);
        } else if spec.sync_sources().len() > 1 && sync.sources.is_empty() {
            findings.deny(
                "/operation/sync/source",
                "syncs the first of several sources alone to production",
                "leave it out, so that all of them are synced",
            );
        }
    }
    if !sync.sources.is_empty() && spec.sync_sources() != sync.sources {
        findings.deny("/operation/sync/sources", differs, fix);
    }
}

/// Whose word a resolved revision is.
enum Resolved<'s> {
    /// Nobody's. What Argo CD itself starts, it starts on an Application that is there; a new one
    /// comes from Git or from a person.
    Nothing,
    /// Argo CD itself asks.
    Anything,
    /// That of the status, as it was before this request: one that comes along with the operation
    /// is its writer's word.
    Compared(HashSet<&'s str>),
}

impl<'s> Resolved<'s> {
    fn of(request: Request<&'s Application<'_>>, context: &Context<'_>) -> Self {
        let Some(old) = request.old() else {
            return Resolved::Nothing;
        };
        if context.inventory.is_argo_cd(context.requester) {
            Resolved::Anything
        } else {
            Resolved::Compared(old.compared_revisions().collect())
        }
    }

    fn includes(&self, revision: &str) -> bool {
        match self {
            Resolved::Nothing => false,
            Resolved::Anything => true,
            Resolved::Compared(revisions) => revisions.contains(revision),
        }
    }
}

fn check_revisions(
    request: Request<&Application<'_>>,
    sync: &SyncOperation<'_>,
    context: &Context<'_>,
    findings: &mut Findings,
) {
    let application = request.object();
    let targets: Vec<&str> = match application.spec.effective_sources() {
        Sources::Hydrator(hydrator) => vec![&hydrator.sync_source.target_branch],
        Sources::Several(sources) => sources.iter().map(|s| s.target_revision.as_str()).collect(),
        Sources::Single(source) => source.iter().map(|s| s.target_revision.as_str()).collect(),
    };
    let resolved = Resolved::of(request, context);
    let single = [(
        "/operation/sync/revision".to_owned(),
        sync.revision.as_str(),
        0,
    )];
    let several = sync.revisions.iter().enumerate().map(|(index, revision)| {
        (
            format!("/operation/sync/revisions/{index}"),
            revision.as_str(),
            index,
        )
    });
    for (field, revision, index) in single.into_iter().chain(several) {
        let target = targets.get(index).copied().unwrap_or_default();
        let pinned = is_commit(revision) || is_chart(application, index);
        if names_same(revision, target)
            || revision.is_empty()
            || pinned && resolved.includes(revision)
        {
            continue;
        }
        findings.deny(
            field,
            format!(
                "syncs revision {} to production, the spec says {}",
                shorten(revision, 45),
                if target.is_empty() {
                    "HEAD".to_owned()
                } else {
                    shorten(target, 30)
                }
            ),
            "leave it out, or change targetRevision",
        );
    }
}

/// Whether two revisions are written alike; an empty one is `HEAD`.
fn names_same(one: &str, other: &str) -> bool {
    fn written(revision: &str) -> &str {
        if revision.is_empty() {
            "HEAD"
        } else {
            revision
        }
    }
    written(one) == written(other)
}

/// Whether a source is a chart or an OCI artifact, whose resolved revisions are versions or
/// digests.
fn is_chart(application: &Application<'_>, index: usize) -> bool {
    let source = match application.spec.effective_sources() {
        Sources::Hydrator(_) => None,
        Sources::Several(sources) => sources.get(index),
        Sources::Single(source) => source,
    };
    source.is_some_and(|source| !source.chart.is_empty() || source.repo_url.starts_with("oci://"))
}
