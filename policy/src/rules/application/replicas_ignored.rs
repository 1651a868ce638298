use std::collections::BTreeSet;

use argocd::Application;
use argocd::comparison::{ComparisonError, Hidden, IgnoreRules};
use argocd::names::RESPECT_IGNORE_DIFFERENCES;
use golang::work::Work;
use serde_json::{Value, json};

use crate::finding::shorten;
use crate::request::subject::Request;
use crate::rules::rule::{Context, Findings, JudgedOn, ObjectRule, Reads, Scope, declare_rule};
use crate::terms::gitops_policy::Require;

declare_rule! {
    /// ## What it does
    ///
    /// Denies a production Application whose workloads an autoscaler may scale, unless Argo CD
    /// really ignores their `/spec/replicas`. Every way counts in which it would: a JSON pointer, a
    /// jq path, a field manager (`kube-controller-manager` is who the autoscaler writes as), a
    /// wildcard, a parent of the field, and the system-wide setting in `argocd-cm`. An entry that
    /// matches no such kind does not count, and an absent `group` means the core group, which has
    /// no Deployments. Each kind of workload that Argo CD has seen among the Application's
    /// resources should be ignored: it denies if none is, and warns of the others.
    ///
    /// A `name` is compared as it is written, so a pattern there ignores nothing. A jq path that
    /// looks at what is in an object, such as a label, may ignore the replicas of some workloads:
    /// that is undecided, and so is one that takes too much work.
    ///
    /// Where the ignore is there but the sync option `RespectIgnoreDifferences=true` is not, or is
    /// misspelt, it warns: the difference is hidden then, and the next sync still writes the
    /// replicas.
    ///
    /// An Application says that nothing scales it with the annotation
    /// `kubectl-gitops.io/autoscaled: "false"`. The policy requires the ignore always (the
    /// default), only where Argo CD has seen an autoscaler among the Application's resources
    /// (`require: WhenAutoscaled`), or never.
    ///
    /// ## Why
    ///
    /// Git says one replica, the autoscaler says thirty. Every sync sets one, and for the seconds
    /// until the autoscaler notices, production runs on it. With automated sync every commit does.
    ///
    /// ## How to fix
    ///
    /// Leave `replicas` out of Git where you can. Then ignore the field and have syncs respect it:
    ///
    /// ```text
    /// spec:
    ///   ignoreDifferences:
    ///     - { group: apps, kind: Deployment, jsonPointers: [/spec/replicas] }
    ///   syncPolicy:
    ///     syncOptions: [RespectIgnoreDifferences=true]
    /// ```
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
    ///   ignoreDifferences:
    ///     - { kind: Deployment, jsonPointers: [/spec/replicas] }
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
    ///   ignoreDifferences:
    ///     - { group: apps, kind: "*", managedFieldsManagers: [kube-controller-manager] }
    ///   syncPolicy:
    ///     syncOptions: [RespectIgnoreDifferences=true]
    /// ```
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata:
    ///   name: orders
    ///   namespace: argocd
    ///   annotations: { kubectl-gitops.io/autoscaled: "false" }
    /// spec:
    ///   project: orders-prod
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///   destination: { name: prod-eu, namespace: orders }
    /// ```
    pub struct ReplicasIgnored {
        id: "replicas-ignored",
        summary: "replicas left to the autoscaler on production",
        judges: [Application],
        judged_on: JudgedOn::Writing,
        scope: Scope::Production,
        reads: [Reads::Annotation(AUTOSCALED)],
    }
}

/// The annotation with which an Application says that nothing scales it.
const AUTOSCALED: &str = "kubectl-gitops.io/autoscaled";

/// A kind of workload that an autoscaler may scale through its `scale` subresource.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Workload {
    group: &'static str,
    api_version: &'static str,
    kind: &'static str,
}

const fn workload(group: &'static str, api_version: &'static str, kind: &'static str) -> Workload {
    Workload {
        group,
        api_version,
        kind,
    }
}

const WORKLOADS: [Workload; 5] = [
    workload("apps", "apps/v1", "Deployment"),
    workload("apps", "apps/v1", "StatefulSet"),
    workload("argoproj.io", "argoproj.io/v1alpha1", "Rollout"),
    workload("apps", "apps/v1", "ReplicaSet"),
    workload("", "v1", "ReplicationController"),
];

/// How many of them, from the first, are scaled in practice.
const USUALLY_SCALED: usize = 3;

/// Kinds that scale others.
const AUTOSCALERS: [(&str, &str); 2] = [
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("keda.sh", "ScaledObject"),
];

/// How many names of objects, given in `ignoreDifferences`, are tried.
const NAME_LIMIT: usize = 16;

impl ObjectRule<Application<'_>> for ReplicasIgnored {
    fn check(
        &self,
        request: Request<&Application<'_>>,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        let application = *request.object();
        if application.metadata.annotations.get(AUTOSCALED) == Some("false") {
            return;
        }
        let required = match context.inventory.policy().rules.replicas_ignored.require {
            Require::Always => true,
            Require::WhenAutoscaled => has_autoscaler(application),
            Require::Never => false,
        };
        if !required {
            return;
        }
        let spec = &application.spec;
        let customizations = &context.inventory.fleet.settings.ignore_differences;
        let limit = context.work.left().min(IgnoreRules::WORK);
        let work = Work::new(limit);
        let checked = IgnoreRules::new(&spec.ignore_differences, customizations, &work)
            .and_then(|ignored| check_workloads(application, &ignored, &work, findings));
        // That the request has no more left is told by whatever else is to be done for it.
        let _ = context.work.spend(limit - work.left());
        if let Err(error) = checked {
            tell_unreadable(&error, findings);
        }
    }
}

fn tell_unreadable(error: &ComparisonError, findings: &mut Findings) {
    let field = "/spec/ignoreDifferences";
    let fix = "write jsonPointers: [/spec/replicas]";
    match error {
        ComparisonError::TooMuch { .. } | ComparisonError::TooMuchWork => {
            findings.undecided(field, unreadable(error), fix);
        }
        ComparisonError::Settings(_)
        | ComparisonError::Jq { .. }
        | ComparisonError::NothingLeft => {
            findings.deny(field, unreadable(error), fix);
        }
    }
}

fn check_workloads(
    application: &Application<'_>,
    ignored: &IgnoreRules,
    work: &Work,
    findings: &mut Findings,
) -> Result<(), ComparisonError> {
    let namespace = &application.spec.destination.namespace;
    let hidden = |workload: &Workload| hides_replicas(*workload, namespace, ignored, work);
    let seen = seen_workloads(application);
    // Where none has been seen yet, the next commit may bring the first.
    let candidates = if seen.is_empty() {
        &WORKLOADS[..USUALLY_SCALED]
    } else {
        &seen[..]
    };
    let found: Vec<Hidden> = candidates.iter().map(hidden).collect::<Result<_, _>>()?;
    if !found.contains(&Hidden::Yes) {
        if found.contains(&Hidden::Undecided) {
            findings.undecided(
                "/spec/ignoreDifferences",
                "a jq path may hide /spec/replicas of some workloads, by what is in them",
                "write jsonPointers: [/spec/replicas] for those that are scaled",
            );
        } else {
            add_ignore(application, candidates[0], findings);
        }
        return Ok(());
    }
    // Which of several kinds is scaled is not known.
    let of_seen = seen.iter().zip(&found);
    for (workload, _) in of_seen.filter(|(_, hidden)| **hidden == Hidden::No) {
        let message = format!("the replicas of a {} are not ignored", workload.kind);
        let fix = "ignore them too, if an autoscaler scales it";
        findings.warn("/spec/ignoreDifferences", message, fix);
    }
    if !application.spec.sync_policy().respects_ignore_differences() {
        let (message, fix) = match misspelt_option(application) {
            Some((_, option)) => (
                format!(
                    "Argo CD knows no sync option {}, so syncs still write the replicas",
                    shorten(&format!("{option:?}"), 40)
                ),
                "write RespectIgnoreDifferences=true",
            ),
            None => (
                "the ignored replicas are still written by every sync".to_owned(),
                "add RespectIgnoreDifferences=true",
            ),
        };
        findings
            .warn("/spec/syncPolicy/syncOptions", message, fix)
            .patch_with(json!([respect_patch(application)]));
    }
    Ok(())
}

/// A sync option that is `RespectIgnoreDifferences=true` but for blanks, case or the value. Argo CD
/// compares them as a whole.
fn misspelt_option<'a>(application: &'a Application<'_>) -> Option<(usize, &'a str)> {
    let plain = |text: &str| {
        let letters = text.chars().filter(char::is_ascii_alphabetic);
        letters.collect::<String>().to_ascii_lowercase()
    };
    let wanted = plain(RESPECT_IGNORE_DIFFERENCES);
    let name = wanted.trim_end_matches("true");
    let options = &application.spec.sync_policy().sync_options;
    let mut options = options.iter().map(golang::json::Text::as_str).enumerate();
    options.find(|(_, option)| {
        let plain = plain(option);
        plain == wanted || plain == name
    })
}

fn has_autoscaler(application: &Application<'_>) -> bool {
    application
        .resource_kinds()
        .iter()
        .any(|found| AUTOSCALERS.contains(&(found.group.as_str(), found.kind.as_str())))
}

fn unreadable(error: &ComparisonError) -> String {
    match error {
        ComparisonError::Settings(error) => {
            format!(
                "{} of argocd-cm cannot be read, so nothing is compared",
                error.key
            )
        }
        ComparisonError::Jq { expression, source } => {
            format!("the jq path {} {source}", shorten(expression, 50))
        }
        ComparisonError::NothingLeft => {
            "a jq path deletes the whole object, so nothing is compared".to_owned()
        }
        ComparisonError::TooMuch { what, limit } => {
            format!("more than {limit} {what} are not judged")
        }
        ComparisonError::TooMuchWork => "they take more work than is spent on them".to_owned(),
    }
}

/// The kinds of workloads that Argo CD has seen among the Application's resources.
fn seen_workloads(application: &Application<'_>) -> Vec<Workload> {
    let known = application.resource_kinds();
    let is_known = |workload: &Workload| {
        known
            .iter()
            .any(|found| found.group == workload.group && found.kind == workload.kind)
    };
    WORKLOADS.into_iter().filter(is_known).collect()
}

/// Whether the replicas of a workload of this kind are ignored, under any name that an entry is
/// limited to.
fn hides_replicas(
    workload: Workload,
    namespace: &str,
    ignored: &IgnoreRules,
    work: &Work,
) -> Result<Hidden, ComparisonError> {
    let own = ("workload", namespace);
    let written_or = |written, default| {
        if str::is_empty(written) {
            default
        } else {
            written
        }
    };
    let limited: BTreeSet<(&str, &str)> = ignored
        .names(workload.group, workload.kind)
        .filter(|(name, namespace)| may_exist(name) && may_exist(namespace))
        .map(|(name, namespace)| (written_or(name, own.0), written_or(namespace, own.1)))
        .collect();
    let names = std::iter::once(&own).chain(limited.iter().take(NAME_LIMIT));
    let mut hidden = Hidden::No;
    for (name, namespace) in names {
        let desired = object(workload, name, namespace, 1);
        let live = object(workload, name, namespace, 3);
        match ignored.hides("/spec/replicas", &desired, &live, work)? {
            Hidden::Yes => return Ok(Hidden::Yes),
            Hidden::No if !ignored.may_hide("/spec/replicas", &live, work) => {}
            Hidden::No | Hidden::Undecided => hidden = Hidden::Undecided,
        }
    }
    Ok(hidden)
}

/// Whether an object may have such a name. A pattern is none, and is compared as it is.
fn may_exist(name: &str) -> bool {
    let may_stand = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
    };
    name.bytes().all(may_stand)
}

/// A workload as the autoscaler leaves it: it owns the replicas.
fn object(workload: Workload, name: &str, namespace: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": workload.api_version,
        "kind": workload.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "managedFields": [{
                "manager": "kube-controller-manager",
                "operation": "Update",
                "subresource": "scale",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:replicas": {}}},
            }],
        },
        "spec": {"replicas": replicas},
    })
}

fn add_ignore(application: &Application<'_>, workload: Workload, findings: &mut Findings) {
    let spec = &application.spec;
    let message = if spec.ignore_differences.is_empty() {
        "an autoscaler's replicas are overwritten by every sync".to_owned()
    } else {
        format!(
            "no entry hides /spec/replicas of a {} (group '{}')",
            workload.kind, workload.group
        )
    };
    let finding = findings.deny(
        "/spec/ignoreDifferences",
        message,
        "ignore /spec/replicas and set RespectIgnoreDifferences=true",
    );
    // Which kind is named depends on what has been deployed.
    finding.extend_to(["nothing is ignored"]);
    let entry = json!({
        "group": workload.group,
        "kind": workload.kind,
        "jsonPointers": ["/spec/replicas"],
    });
    let ignore = if spec.ignore_differences.is_empty() {
        json!({"op": "add", "path": "/spec/ignoreDifferences", "value": [entry]})
    } else {
        json!({"op": "add", "path": "/spec/ignoreDifferences/-", "value": entry})
    };
    let mut operations = vec![ignore];
    if !spec.sync_policy().respects_ignore_differences() {
        operations.push(respect_patch(application));
    }
    finding.patch_with(Value::Array(operations));
}

fn respect_patch(application: &Application<'_>) -> Value {
    let spec = &application.spec;
    let option = RESPECT_IGNORE_DIFFERENCES;
    if let Some((index, _)) = misspelt_option(application) {
        let path = format!("/spec/syncPolicy/syncOptions/{index}");
        json!({"op": "replace", "path": path, "value": option})
    } else if !spec.writes_sync_policy() {
        json!({"op": "add", "path": "/spec/syncPolicy", "value": {"syncOptions": [option]}})
    } else if spec.sync_policy().sync_options.is_empty() {
        json!({"op": "add", "path": "/spec/syncPolicy/syncOptions", "value": [option]})
    } else {
        json!({"op": "add", "path": "/spec/syncPolicy/syncOptions/-", "value": option})
    }
}
