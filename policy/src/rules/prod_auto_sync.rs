use argocd::application::{Automated, AutomatedSync, EnabledField, SyncPolicy};
use serde_json::json;

use crate::environment::Membership;
use crate::rule::{Context, Findings, Occasion, Rule, RuleMetadata, Scope, declare_rule};
use crate::subject::Object;

declare_rule! {
    /// ## What it does
    ///
    /// Denies automated sync on production. What counts is Argo CD's own test: automated sync is
    /// on as soon as `spec.syncPolicy.automated` is there, even as `{}`, unless it says
    /// `enabled: false`. The values of `prune` and `selfHeal` play no part.
    ///
    /// ## Why
    ///
    /// With automated sync every commit reaches production within minutes, whoever merged it and
    /// whatever else goes on. `prune: false, selfHeal: false` looks like off and is not: it still
    /// applies each new commit. During an incident it also undoes what people put right by hand.
    ///
    /// ## How to fix
    ///
    /// Remove `spec.syncPolicy.automated`, or set `automated.enabled: false`, which needs Argo CD
    /// 3.1 or newer: older ones drop the field when the object is stored, and what remains is on.
    /// Sync production by hand or from a pipeline.
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
    ///   syncPolicy:
    ///     automated: { prune: false, selfHeal: false }
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
    ///   syncPolicy:
    ///     automated: { enabled: false, prune: true }
    /// ```
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders-staging
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: main }
    ///   destination: { name: staging-eu, namespace: orders }
    ///   syncPolicy:
    ///     automated: { prune: true, selfHeal: true }
    /// ```
    pub struct ProdAutoSync {
        id: "prod-auto-sync",
        summary: "no automated sync on production",
        judges: ["Application", "ApplicationSet"],
        occasion: Occasion::Writing,
        scope: Scope::Production,
    }
}

/// What automated sync does: pruning is more than none.
fn extent(policy: &SyncPolicy<'_>) -> impl Iterator<Item = &'static str> {
    let automated = policy.automated.as_ref();
    let does = |does: fn(&Automated) -> bool, what| automated.is_some_and(does).then_some(what);
    [
        does(Automated::prune, "prunes"),
        does(Automated::self_heal, "heals"),
        does(Automated::allow_empty, "prunes everything"),
    ]
    .into_iter()
    .flatten()
}

impl Rule for ProdAutoSync {
    fn metadata(&self) -> &'static RuleMetadata {
        &Self::METADATA
    }

    fn check(&self, context: &Context<'_>, findings: &mut Findings) {
        let Object::Application(application) = context.subject.object else {
            return;
        };
        let policy = application.spec.sync_policy();
        let state = policy.automated_sync(context.inventory.enabled_field);
        let AutomatedSync::On { prune, self_heal } = state else {
            return;
        };
        let writes_false = policy
            .automated
            .as_ref()
            .is_some_and(Automated::writes_prune_or_self_heal);
        let drops_enabled = context.inventory.enabled_field == EnabledField::Dropped;
        let belief = match (prune, self_heal) {
            (true, true) => "every commit is applied, pruned and healed at once",
            (true, false) => "every commit is applied and pruned at once",
            (false, true) => "every commit is applied and healed at once",
            (false, false) if writes_false => {
                "`prune: false` and `selfHeal: false` do not turn it off"
            }
            // What was written as `enabled: false` may arrive here as `{}`.
            (false, false) if drops_enabled => {
                "`automated: {}` is on, and this Argo CD drops `enabled: false`"
            }
            (false, false) => "an empty `automated` is on, not off",
        };
        let place = match context.membership {
            Membership::In { evidence, .. } => format!(" ({evidence})"),
            _ => String::new(),
        };
        let fix = if drops_enabled {
            "remove `automated`"
        } else {
            "remove `automated` or set `enabled: false` in it"
        };
        findings
            .deny(
                "/spec/syncPolicy/automated",
                format!("auto-syncs production{place}: {belief}"),
                fix,
            )
            .extend_to(extent(policy))
            .patch_with(json!([{"op": "remove", "path": "/spec/syncPolicy/automated"}]));
    }
}
