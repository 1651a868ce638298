use std::collections::{BTreeMap, BTreeSet};

use argocd::application_set::ExpansionError;
use argocd::{ApplicationSet, ClusterSecret};

use crate::finding::{Level, shorten};
use crate::request::fan_out::{Affected, Change, FanOut, NotExpanded, Uncounted, UncountedReason};
use crate::request::subject::Request;
use crate::rules::rule::{ConsequenceRule, Context, Findings, JudgedOn, Scope, declare_rule};

declare_rule! {
    /// ## What it does
    ///
    /// Counts the Applications that a change to an ApplicationSet, or to a cluster Secret, creates,
    /// changes and deletes, by environment, and warns with these numbers. `kubectl gitops preview`
    /// lists them.
    ///
    /// It denies a change that deletes more Applications of an environment than the policy allows:
    /// `rules.blast-radius.maxDeletions` has a number for each environment that is limited. Without
    /// it nothing is denied.
    ///
    /// Only what is known now counts: ApplicationSets with the clusters that there are, and what a
    /// generator yields that is worked out here. An Application that is no longer generated, and
    /// stays as `applicationsSync` or the controller's `--policy` says, is left behind and told as
    /// that.
    ///
    /// Where a change deletes Applications that cannot be counted, it says so, and any number in
    /// `maxDeletions` denies it: an ApplicationSet that deletes again what it had left behind,
    /// whose earlier Applications are not known because Argo CD failed on it, or that loses a
    /// generator which is not worked out. Where an ApplicationSet did not update what it generated
    /// (`create-delete`, or `ignoreApplicationDifferences` on the destination, the project or
    /// labels), nobody knows where its Applications are, and each that goes counts for every
    /// environment.
    ///
    /// ## Why
    ///
    /// Labels on a cluster Secret are a trigger. One that no longer matches a selector takes the
    /// cluster's Applications away within half a second, with everything that they deployed, and
    /// `argocd cluster set --label` replaces all labels when somebody only wants to add one. The
    /// same goes for a selector in an ApplicationSet, and for the deletion of either. Once the
    /// Applications are going it is too late to say no.
    ///
    /// ## How to fix
    ///
    /// Look at the list with `kubectl gitops preview -f FILE`. Delete in smaller steps, or raise
    /// the number in the policy for as long as it takes. `preserveResourcesOnDeletion: true` in the
    /// ApplicationSet lets the resources outlive their Applications.
    ///
    /// ## Denied
    ///
    /// ```yaml
    /// # The second of the two replaces the first.
    /// apiVersion: kubectl-gitops.io/v1alpha1
    /// kind: GitOpsPolicy
    /// metadata: { name: default }
    /// spec:
    ///   rules:
    ///     blast-radius: { maxDeletions: { prod: 0 } }
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: ApplicationSet
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   generators:
    ///     - list: { elements: [{ cluster: staging-eu }, { cluster: prod-eu }] }
    ///   template:
    ///     metadata: { name: "orders-{{cluster}}" }
    ///     spec:
    ///       project: orders
    ///       source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///       destination: { name: "{{cluster}}", namespace: orders }
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: ApplicationSet
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   generators:
    ///     - list: { elements: [{ cluster: staging-eu }] }
    ///   template:
    ///     metadata: { name: "orders-{{cluster}}" }
    ///     spec:
    ///       project: orders
    ///       source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///       destination: { name: "{{cluster}}", namespace: orders }
    /// ```
    ///
    /// ## Admitted
    ///
    /// ```yaml
    /// # The second of the two replaces the first.
    /// apiVersion: kubectl-gitops.io/v1alpha1
    /// kind: GitOpsPolicy
    /// metadata: { name: default }
    /// spec:
    ///   rules:
    ///     blast-radius: { maxDeletions: { prod: 0 } }
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: ApplicationSet
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   generators:
    ///     - list: { elements: [{ cluster: staging-eu }, { cluster: prod-eu }] }
    ///   template:
    ///     metadata: { name: "orders-{{cluster}}" }
    ///     spec:
    ///       project: orders
    ///       source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///       destination: { name: "{{cluster}}", namespace: orders }
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: ApplicationSet
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   generators:
    ///     - list: { elements: [{ cluster: prod-eu }] }
    ///   template:
    ///     metadata: { name: "orders-{{cluster}}" }
    ///     spec:
    ///       project: orders
    ///       source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///       destination: { name: "{{cluster}}", namespace: orders }
    /// ```
    pub struct BlastRadius {
        id: "blast-radius",
        summary: "no change that deletes more Applications than allowed",
        judges: [ApplicationSetConsequence, ClusterConsequence],
        judged_on: JudgedOn::Either,
        scope: Scope::Everywhere,
    }
}

impl ConsequenceRule<ApplicationSet<'_>> for BlastRadius {
    fn check(
        &self,
        _: Request<&ApplicationSet<'_>>,
        fan_out: &FanOut,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        check(fan_out, "/spec/generators", context, findings);
    }
}

impl ConsequenceRule<ClusterSecret<'_>> for BlastRadius {
    fn check(
        &self,
        _: Request<&ClusterSecret<'_>>,
        fan_out: &FanOut,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        let field = "/metadata/labels";
        check(fan_out, field, context, findings);
        // In files what is new to them may be there already.
        if context.inventory.completeness.has_all_projects() {
            warn_of_denials(fan_out, field, findings);
            report_not_expanded(fan_out, has_ceiling(context), field, findings);
        }
    }
}

fn has_ceiling(context: &Context<'_>) -> bool {
    !max_deletions(context).is_empty()
}

fn max_deletions<'c>(context: &Context<'c>) -> &'c BTreeMap<String, u32> {
    &context.inventory.policy().rules.blast_radius.max_deletions
}

fn check(fan_out: &FanOut, field: &'static str, context: &Context<'_>, findings: &mut Findings) {
    check_ceilings(fan_out, max_deletions(context), field, findings);
    report_uncounted(fan_out, has_ceiling(context), field, findings);
    // In files what is new to them may be there already.
    if !context.inventory.completeness.has_all_projects() {
        return;
    }
    if let Some(message) = summary(fan_out) {
        findings.warn(field, message, "see kubectl gitops preview");
    }
}

/// ApplicationSets that cannot be counted. One on which Argo CD fails keeps what it has; of one
/// that would take too much nobody can say that it keeps to the ceiling.
fn report_not_expanded(
    fan_out: &FanOut,
    has_ceiling: bool,
    field: &'static str,
    findings: &mut Findings,
) {
    if let Some(more) = fan_out.not_expanded.len().checked_sub(NAMED + 1) {
        let message = format!(
            "{} more ApplicationSets are not worked out either",
            more + 1
        );
        findings.warn(field, message, "correct them first");
    }
    let mut told = fan_out.not_expanded.iter().collect::<Vec<_>>();
    // What decides comes first.
    told.sort_by_key(|not_expanded| !takes_too_much(&not_expanded.error));
    for NotExpanded {
        application_set,
        error,
    } in told.into_iter().take(NAMED)
    {
        let message = format!(
            "ApplicationSet {}: {}",
            shorten(application_set, 40),
            shorten(&error.to_string(), 60)
        );
        if has_ceiling && takes_too_much(error) {
            findings.deny(field, message, "split the ApplicationSet first");
        } else {
            findings.warn(field, message, "correct it first");
        }
    }
}

/// How many ApplicationSets are told by name.
const NAMED: usize = 4;

fn takes_too_much(error: &ExpansionError) -> bool {
    matches!(
        error,
        ExpansionError::TooMuch { .. } | ExpansionError::TooMuchWork
    )
}

/// Deletions that cannot be counted, so that nobody can say that they keep to a ceiling.
fn report_uncounted(
    fan_out: &FanOut,
    has_ceiling: bool,
    field: &'static str,
    findings: &mut Findings,
) {
    for Uncounted {
        application_set,
        reason,
    } in fan_out.uncounted.iter().take(NAMED)
    {
        let field = match reason {
            UncountedReason::LeftBehind => "/spec/syncPolicy/applicationsSync",
            UncountedReason::NotKnown => field,
        };
        let message = format!("{}: {reason}", shorten(application_set, 40));
        let fix = "see which Applications it owns";
        if has_ceiling {
            findings.deny(field, message, fix);
        } else {
            findings.warn(field, message, fix);
        }
    }
}

fn check_ceilings(
    fan_out: &FanOut,
    ceilings: &BTreeMap<String, u32>,
    field: &'static str,
    findings: &mut Findings,
) {
    for (environment, ceiling) in ceilings {
        let is_in_environment = |affected: &&Affected| {
            let mut environments = affected.environments.iter();
            affected.may_differ || environments.any(|own| own.environment == *environment)
        };
        let deleted: Vec<&Affected> = fan_out
            .of(Change::Delete)
            .chain(&fan_out.perhaps_deleted)
            .filter(is_in_environment)
            .collect();
        let allowed = usize::try_from(*ceiling).unwrap_or(usize::MAX);
        if let Some(first) = deleted.first().filter(|_| deleted.len() > allowed) {
            findings.deny(
                field,
                format!(
                    "deletes {} ({} and so on) of {environment}, of which the policy allows {ceiling}",
                    applications(deleted.len()),
                    shorten(&first.name, 40),
                ),
                "delete fewer at a time",
            );
        }
    }
}

/// `creates 3 Applications (prod 1, staging 2), deletes 1 Application (prod 1)`; nothing if nothing
/// changes.
fn summary(fan_out: &FanOut) -> Option<String> {
    let parts: Vec<String> = [
        (Change::Create, "creates"),
        (Change::Change, "changes"),
        (Change::Delete, "deletes"),
        (Change::Orphan, "leaves behind"),
    ]
    .into_iter()
    .filter_map(|(change, verb)| {
        let by_environment = fan_out.by_environment(change);
        let total: usize = by_environment.values().sum();
        (total > 0).then(|| {
            let places: Vec<String> = by_environment
                .iter()
                .map(|(name, count)| format!("{} {count}", name.unwrap_or("no environment")))
                .collect();
            format!("{verb} {} ({})", applications(total), places.join(", "))
        })
    })
    .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn applications(count: usize) -> String {
    match count {
        1 => "1 Application".to_owned(),
        count => format!("{count} Applications"),
    }
}

/// A cluster Secret is admitted whatever comes of it; but what comes of it will be refused.
fn warn_of_denials(fan_out: &FanOut, field: &'static str, findings: &mut Findings) {
    let is_denied = |affected: &&Affected| {
        affected
            .findings
            .iter()
            .any(|finding| finding.level() == Level::Deny)
    };
    let denied: Vec<&Affected> = fan_out.affected.iter().filter(is_denied).collect();
    let Some(first) = denied.first() else {
        return;
    };
    let rules: BTreeSet<&str> = denied
        .iter()
        .flat_map(|affected| &affected.findings)
        .filter(|finding| finding.level() == Level::Deny)
        .map(|finding| finding.rule.as_str())
        .collect();
    let rules: Vec<&str> = rules.into_iter().collect();
    findings.warn(
        field,
        format!(
            "{} of them will be refused ({}), {} on {}",
            denied.len(),
            shorten(&rules.join(", "), 60),
            shorten(&first.name, 40),
            shorten(&first.cluster, 30),
        ),
        "correct the ApplicationSet first",
    );
}
