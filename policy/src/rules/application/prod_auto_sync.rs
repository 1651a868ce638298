use argocd::Application;
use argocd::application::{Automated, AutomatedSync, EnabledField, SyncPolicy};
use argocd::application_set::{ProgressiveSyncs, RollingSyncStep};
use argocd::names::PARAMETERS_CONFIG_MAP;
use serde_json::json;

use crate::finding::missing::MissingFact;
use crate::request::subject::Request;
use crate::rules::rule::{Context, Findings, JudgedOn, ObjectRule, Scope, declare_rule};
use crate::terms::environment::Membership;

declare_rule! {
    /// ## What it does
    ///
    /// Denies automated sync on production. What counts is Argo CD's own test: automated sync is
    /// on as soon as `spec.syncPolicy.automated` is there, even as `{}`, unless it says
    /// `enabled: false`. The values of `prune` and `selfHeal` play no part.
    ///
    /// The same for an ApplicationSet with `strategy.type: RollingSync`: its controller starts the
    /// syncs of a step's Applications by itself, with or without `automated`, unless the step has
    /// `maxUpdate: 0`. It does so only where progressive syncs are enabled. That is denied if
    /// `argocd-cmd-params-cm` enables them, `undecided` if it is not known, and warned of if it
    /// does not enable them.
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
    /// Sync production by hand or from a pipeline. In a `RollingSync` give production a step of its
    /// own with `maxUpdate: 0`.
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
        judges: [Application],
        judged_on: JudgedOn::Writing,
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

impl ObjectRule<Application<'_>> for ProdAutoSync {
    fn check(
        &self,
        request: Request<&Application<'_>>,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        check_automated(request.object(), context, findings);
        check_rolling_sync(request.object(), context, findings);
    }
}

fn place_of(context: &Context<'_>) -> String {
    match context.membership {
        Membership::In { evidence, .. } => format!(" ({evidence})"),
        _ => String::new(),
    }
}

/// Where an ApplicationSet says in which steps its Applications are synced.
const ROLLING_SYNC: &str = "/spec/strategy/rollingSync";

/// What the ApplicationSet controller syncs by itself.
fn check_rolling_sync(
    application: &Application<'_>,
    context: &Context<'_>,
    findings: &mut Findings,
) {
    let labels = &application.metadata.labels;
    let set = context.generated_by;
    let step = set.map(|set| set.spec.rolling_sync_step(labels));
    let (step, is_certain) = match step {
        None | Some(RollingSyncStep::None) => return,
        Some(RollingSyncStep::Step(step)) => (step, true),
        Some(RollingSyncStep::Perhaps(step)) => (step, false),
    };
    let field = format!("{ROLLING_SYNC}/steps/{step}");
    let syncs = format!("syncs production{} by itself", place_of(context));
    let fix = "set maxUpdate: 0 in it and sync production by hand";
    let progressive_syncs = context
        .inventory
        .application_set_controller
        .progressive_syncs;
    let finding = match progressive_syncs {
        ProgressiveSyncs::Enabled if is_certain => findings.deny(field, syncs, fix),
        ProgressiveSyncs::Enabled => {
            findings.undecided(field, format!("if it is in this step, {syncs}"), fix)
        }
        ProgressiveSyncs::Unknown => findings
            .undecided(
                field,
                format!("if progressive syncs are enabled, {syncs}"),
                fix,
            )
            .lack(MissingFact::Parameters(PARAMETERS_CONFIG_MAP)),
        ProgressiveSyncs::NotEnabled => findings.warn(
            field,
            format!("once progressive syncs are enabled, {syncs}"),
            fix,
        ),
    };
    finding.extend_to(["a step that syncs"]).is_of_set = true;
}

fn check_automated(application: &Application<'_>, context: &Context<'_>, findings: &mut Findings) {
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
        (false, false) if writes_false => "`prune: false` and `selfHeal: false` do not turn it off",
        // What was written as `enabled: false` may arrive here as `{}`.
        (false, false) if drops_enabled => {
            "`automated: {}` is on, and this Argo CD drops `enabled: false`"
        }
        (false, false) => "an empty `automated` is on, not off",
    };
    let place = place_of(context);
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
