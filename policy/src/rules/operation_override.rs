use argocd::Application;
use argocd::application::{Sources, SyncOperation};

use crate::finding::shorten;
use crate::rule::{Context, Findings, Rule, RuleMetadata, Scope, declare_rule};
use crate::subject::Object;

declare_rule! {
    /// ## What it does
    ///
    /// Denies an `operation` on a production Application that syncs something other than its spec:
    /// another source, literal manifests, or, where it was not set by Argo CD's own components,
    /// another revision. A full commit is fine if Argo CD itself resolved the spec to it at its
    /// last comparison: that is what an ordinary sync asks for.
    ///
    /// ## Why
    ///
    /// Whoever may patch an Application may set its `operation`, and Argo CD deploys what it says:
    /// any branch, any repository, even manifests that are in no repository. The spec never
    /// changes, so reviews, diffs and audits show nothing.
    ///
    /// ## How to fix
    ///
    /// Sync the Application as it is, with `argocd app sync` or an `operation` without `source`,
    /// `sources`, `manifests` and `revision`. To deploy another revision, change
    /// `spec.source.targetRevision`.
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
    ///   sync: { manifests: ['{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"by-hand"}}'] }
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
        judges: ["Application"],
        scope: Scope::Production,
    }
}

impl Rule for OperationOverride {
    fn metadata(&self) -> &'static RuleMetadata {
        &Self::METADATA
    }

    fn check(&self, context: &Context<'_>, findings: &mut Findings) {
        let Object::Application(application) = &context.subject.object else {
            return;
        };
        let Some(sync) = application.operation.as_ref().and_then(|o| o.sync.as_ref()) else {
            return;
        };
        if !sync.manifests.is_empty() {
            findings.deny(
                "/operation/sync/manifests",
                "syncs literal manifests to production, from no repository",
                "commit them, then sync the Application as it is",
            );
        }
        check_sources(application, sync, findings);
        let inventory = context.inventory;
        let by_argo_cd = inventory.policy().argocd.service_accounts.include(
            context.subject.requester.username,
            &inventory.fleet.control_plane_namespace,
        );
        if !by_argo_cd {
            check_revisions(context, application, sync, findings);
        }
    }
}

fn check_sources(application: &Application<'_>, sync: &SyncOperation<'_>, findings: &mut Findings) {
    let spec = &application.spec;
    let differs = "syncs another source than the spec's to production";
    let fix = "sync the Application as it is, or change its spec";
    if sync.source.is_some() && sync.source != spec.source {
        findings.deny("/operation/sync/source", differs, fix);
    }
    if !sync.sources.is_empty() && sync.sources != spec.sources {
        findings.deny("/operation/sync/sources", differs, fix);
    }
}

fn check_revisions(
    context: &Context<'_>,
    application: &Application<'_>,
    sync: &SyncOperation<'_>,
    findings: &mut Findings,
) {
    let targets: Vec<&str> = match application.spec.effective_sources() {
        Sources::Hydrator(hydrator) => vec![&hydrator.sync_source.target_branch],
        Sources::Several(sources) => sources.iter().map(|s| s.target_revision.as_str()).collect(),
        Sources::Single(source) => source.iter().map(|s| s.target_revision.as_str()).collect(),
    };
    // Only what the object said before this request counts: a status that comes along with the
    // operation is its writer's word.
    let compared = |revision: &str| match &context.subject.old {
        Some(Object::Application(old)) => is_commit(revision) && old.has_compared(revision),
        _ => false,
    };
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
        if revision.is_empty() || revision == target || compared(revision) {
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

/// Whether a revision is a full commit: a branch of that name would not be what was compared.
fn is_commit(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}
