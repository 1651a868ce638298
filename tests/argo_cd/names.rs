//! The names of Argo CD's own labels, annotations and finalizers: each version brings new ones, and
//! an annotation that Argo CD writes to its own objects all the time must be kept away from the
//! webhook.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use harness::argo_cd::Release;
use harness::path;
use serde_json::Value;
use tokio::task::spawn_blocking;

/// What becomes of a write that changes nothing else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// An annotation that Argo CD writes to its own objects, and that no rule reads: it does not
    /// reach the webhook.
    HeldBack,
    /// An annotation that people write, or that Argo CD writes to what it deploys, be it an
    /// Application: the webhook is asked.
    Asked,
    /// No annotation: a label, a finalizer, a value, or a part of Kubernetes' API.
    Other,
}

/// Where a name ends with `/`, people complete it.
const NAMES: &[(&str, Class)] = &[
    ("argocd.argoproj.io/refresh", Class::HeldBack),
    ("argocd.argoproj.io/refresh-timestamp", Class::HeldBack),
    ("argocd.argoproj.io/hydrate", Class::HeldBack),
    ("argocd.argoproj.io/hydrate-timestamp", Class::HeldBack),
    (
        "argocd.argoproj.io/application-set-refresh",
        Class::HeldBack,
    ),
    // `argocd app confirm-deletion`, and the button of that name.
    ("argocd.argoproj.io/deletion-approved", Class::HeldBack),
    ("notified.notifications.argoproj.io", Class::HeldBack),
    // Not Argo CD's own, but kubectl's and that of its syncs.
    (LAST_APPLIED, Class::HeldBack),
    // What people say to Argo CD of an Application.
    ("argocd.argoproj.io/compare-options", Class::Asked),
    ("argocd.argoproj.io/managed-by-url", Class::Asked),
    ("argocd.argoproj.io/manifest-generate-paths", Class::Asked),
    ("argocd.argoproj.io/skip-reconcile", Class::Asked),
    ("notifications.argoproj.io", Class::Asked),
    // The form that went before it.
    ("recipients.argocd-notifications.argoproj.io", Class::Asked),
    // What they say of anything that it deploys.
    (
        "argocd.argoproj.io/client-side-apply-migration-manager",
        Class::Asked,
    ),
    ("argocd.argoproj.io/hook", Class::Asked),
    ("argocd.argoproj.io/hook-delete-policy", Class::Asked),
    ("argocd.argoproj.io/ignore-default-links", Class::Asked),
    ("argocd.argoproj.io/ignore-differences", Class::Asked),
    ("argocd.argoproj.io/ignore-healthcheck", Class::Asked),
    ("argocd.argoproj.io/ignore-resource-updates", Class::Asked),
    ("argocd.argoproj.io/ignore-restart-policy", Class::Asked),
    ("argocd.argoproj.io/sync-options", Class::Asked),
    ("argocd.argoproj.io/sync-wave", Class::Asked),
    ("link.argocd.argoproj.io/", Class::Asked),
    // What Argo CD puts on that as it deploys it, together with everything else.
    ("argocd.argoproj.io/installation-id", Class::Asked),
    ("argocd.argoproj.io/tracking-id", Class::Asked),
    ("gitops-agent.argoproj.io/gc-mark", Class::Asked),
    ("rollout.argoproj.io/revision", Class::Asked),
    // Labels.
    ("applications.argoproj.io/app-name", Class::Other),
    ("argocd.argoproj.io/auto-label-cluster-info", Class::Other),
    ("argocd.argoproj.io/kubernetes-version", Class::Other),
    ("argocd.argoproj.io/secret-type", Class::Other),
    // Finalizers.
    ("argocd.argoproj.io/hook-finalizer", Class::Other),
    ("post-delete-finalizer.argocd.argoproj.io", Class::Other),
    ("pre-delete-finalizer.argocd.argoproj.io", Class::Other),
    ("resources-finalizer.argocd.argoproj.io", Class::Other),
    (
        "resources-finalizer.argocd.argoproj.io/background",
        Class::Other,
    ),
    (
        "resources-finalizer.argocd.argoproj.io/foreground",
        Class::Other,
    ),
    // The value of the annotation `managed-by`; the group of Argo CD's kinds, and what they and a
    // Lease are called.
    ("argocd.argoproj.io", Class::Other),
    ("58ac56fa.applicationsets.argoproj.io", Class::Other),
    ("applicationsets.argoproj.io", Class::Other),
    ("appprojects.argoproj.io", Class::Other),
    ("argoproj.io", Class::Other),
    ("argoproj.io/v1alpha1", Class::Other),
];
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const DOMAIN: &str = "argoproj.io";

/// The modules in whose source such names are, by the start of their paths in go.mod.
const MODULES: [&str; 4] = [
    "github.com/argoproj/argo-cd/v3",
    "github.com/argoproj/argo-cd/gitops-engine/v3",
    "github.com/argoproj/gitops-engine",
    "github.com/argoproj/notifications-engine",
];

/// What is known of a name, if anything is.
pub(crate) fn class_of(name: &str) -> Option<Class> {
    let known = NAMES.iter().find(|(known, _)| *known == name);
    known.map(|(_, class)| *class)
}

#[tokio::test]
async fn each_name_in_the_source_of_this_argo_cd_is_classified() -> Result<()> {
    let release = Release::chosen()?;
    let names = spawn_blocking(|| names_in_source(release)).await??;

    for expected in ["argocd.argoproj.io/refresh", "argocd.argoproj.io/sync-wave"] {
        assert!(names.contains(expected), "{expected} in {names:#?}");
    }
    let unknown: Vec<_> = names
        .iter()
        .filter(|name| class_of(name).is_none())
        .collect();
    assert!(
        unknown.is_empty(),
        "Argo CD {} has names that are not classified: {unknown:#?}",
        release.version()
    );
    Ok(())
}

#[test]
fn what_is_held_back_is_what_the_webhook_configuration_holds_back() -> Result<()> {
    let text = fs::read_to_string(path("../manifests/base/webhook-configuration.yaml"))?;
    let configuration: Value = serde_saphyr::from_str(&text)?;
    let held_back = NAMES
        .iter()
        .filter(|(_, class)| *class == Class::HeldBack)
        .map(|(name, _)| *name);
    let held_back: BTreeSet<_> = held_back.collect();

    for kind in ["applications", "applicationsets", "projects"] {
        let expression = expression(&configuration, kind)?;
        let (_, list) = expression.split_once("!(k in [").context("has no list")?;
        let (list, _) = list.split_once(']').context("the list has no end")?;
        let names = list.split(',').map(|name| name.trim().trim_matches('\''));
        assert_eq!(names.collect::<BTreeSet<_>>(), held_back, "{kind}");
    }
    Ok(())
}

/// By which the API server asks about an update.
fn expression<'a>(configuration: &'a Value, kind: &str) -> Result<&'a str> {
    let named = |list: &'a Value, name: &str| {
        let mut items = list.as_array().into_iter().flatten();
        items.find(|item| item["name"] == name)
    };
    let webhook = named(
        &configuration["webhooks"],
        &format!("{kind}.kubectl-gitops.io"),
    )
    .context("there is no such webhook")?;
    let condition = named(&webhook["matchConditions"], "changes-what-a-rule-reads");
    let condition = condition.context("it has no such condition")?;
    condition["expression"]
        .as_str()
        .context("it has no expression")
}

/// The string constants that are names of Argo CD's, in all of its source but tests.
fn names_in_source(release: &Release) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for module in MODULES {
        if release.requires(module) {
            names_below(&release.module(module)?, &mut names)?;
        }
    }
    Ok(names)
}

fn names_below(folder: &Path, names: &mut BTreeSet<String>) -> Result<()> {
    let cannot_read = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(cannot_read)? {
        let entry = entry.with_context(cannot_read)?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type().with_context(cannot_read)?.is_dir() {
            // Argo CD's own tests are in folders of this name.
            if name != "test" && name != "testdata" {
                names_below(&path, names)?;
            }
        } else if name.ends_with(".go") && !name.ends_with("_test.go") {
            names_in(&fs::read_to_string(&path)?, names);
        }
    }
    Ok(())
}

/// All `"…argoproj.io…"` that have the form of a name.
fn names_in(text: &str, names: &mut BTreeSet<String>) {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || ".-_/".contains(c);
    for (start, _) in text.match_indices(DOMAIN) {
        let before = text[..start].trim_end_matches(is_of_name);
        let after = text[start..].trim_start_matches(is_of_name);
        let name = &text[before.len()..text.len() - after.len()];
        let is_of_argo_cd = name
            .split('/')
            .next()
            .is_some_and(|domain| domain.ends_with(DOMAIN));
        if before.ends_with('"') && after.starts_with('"') && is_of_argo_cd {
            names.insert(name.to_owned());
        }
    }
}

#[test]
fn a_name_is_a_whole_string() {
    let mut names = BTreeSet::new();

    names_in(
        r#"A = "a.argoproj.io/x-y" // https://argoproj.io/docs, "see argoproj.io"
           B, C, D = "argoproj.io", "crds/argoproj.io_applications.yaml", "argoproj.io.example.com""#,
        &mut names,
    );

    assert_eq!(
        names,
        ["a.argoproj.io/x-y", "argoproj.io"]
            .map(String::from)
            .into()
    );
}
