use argocd::known_fields::{Meant, UnknownField};
use argocd::names::RESPECT_IGNORE_DIFFERENCES;
use argocd::sync_options::{SYNC_OPTIONS, SetOn, Unknown, unknown};
use argocd::{AppProject, Application, ApplicationSet, ClusterSecret};

use crate::finding::shorten;
use crate::request::environment::environments_of_application;
use crate::request::subject::Request;
use crate::rules::rule::{Context, Findings, JudgedOn, ObjectRule, Reads, Scope, declare_rule};

declare_rule! {
    /// ## What it does
    ///
    /// Warns of what Argo CD does not know, and therefore ignores without a word:
    ///
    /// - fields that an Application, an ApplicationSet, an AppProject or a cluster Secret does not
    ///   have, as they are misspelt or stand at the wrong level. The known fields are those of Argo
    ///   CD 3.6;
    /// - sync options that it does not have, with values that they do not take, or with spaces: it
    ///   compares `spec.syncPolicy.syncOptions` as whole texts. Likewise in the annotation
    ///   `argocd.argoproj.io/sync-options`.
    ///
    /// Only `check` sees unknown fields, in files: the API server drops them before it asks the
    /// webhook, so that the webhook, `audit` and `preview` judge the sync options alone. Names of
    /// unknown fields are told, and their values are not.
    ///
    /// It warns unless the policy says `action: Deny`.
    ///
    /// ## Why
    ///
    /// `selfheal: true` heals nothing, `CreateNamespaces=true` creates no namespace, and
    /// `preserveResourcesOnDeletion` outside of `syncPolicy` preserves nothing: everything is
    /// deleted on the day on which somebody relies on it. No tool of Argo CD says a word before.
    ///
    /// ## How to fix
    ///
    /// Write what the message suggests. If the field is of a newer Argo CD than 3.6, or the
    /// definitions that are installed have it, switch the rule off or exempt the project.
    ///
    /// ## Denied
    ///
    /// ```yaml
    /// apiVersion: kubectl-gitops.io/v1alpha1
    /// kind: GitOpsPolicy
    /// metadata: { name: default }
    /// spec:
    ///   rules:
    ///     unknown-fields: { action: Deny }
    /// ---
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: main }
    ///   destination: { name: staging-eu, namespace: orders }
    ///   syncPolicy:
    ///     syncOptions: [CreateNamespaces=true]
    /// ```
    ///
    /// ## Admitted
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: main }
    ///   destination: { name: staging-eu, namespace: orders }
    ///   syncPolicy:
    ///     syncOptions: [CreateNamespace=true]
    /// ```
    pub struct UnknownFields {
        id: "unknown-fields",
        summary: "fields and sync options that Argo CD knows",
        judges: [Application, ApplicationSet, AppProject, ClusterSecret],
        judged_on: JudgedOn::Writing,
        scope: Scope::Everywhere,
        reads: [Reads::Annotation(SYNC_OPTIONS)],
    }
}

/// The most sync options that are told: whoever has more wrong ones has not read the first.
const LIMIT: usize = 8;

impl ObjectRule<Application<'_>> for UnknownFields {
    fn check(
        &self,
        request: Request<&Application<'_>>,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        let application = *request.object();
        report_fields(context, findings);
        let options = &application.spec.sync_policy().sync_options;
        let is_told = |option: &str| {
            is_told_by_replicas_ignored(option) && is_on_production(application, context)
        };
        let mut told = 0;
        for (index, option) in options.iter().enumerate() {
            if is_told(option) {
                continue;
            }
            if let Some(unknown) = unknown(option, SetOn::Application) {
                let field = format!("/spec/syncPolicy/syncOptions/{index}");
                report_option(field, option, unknown, SetOn::Application, findings);
                told += 1;
            }
            if told == LIMIT {
                return;
            }
        }
        let annotations = &application.metadata.annotations;
        check_annotation(annotations.get(SYNC_OPTIONS), LIMIT - told, findings);
    }
}

impl ObjectRule<ApplicationSet<'_>> for UnknownFields {
    fn check(
        &self,
        request: Request<&ApplicationSet<'_>>,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        report_fields(context, findings);
        let annotations = &request.object().metadata.annotations;
        check_annotation(annotations.get(SYNC_OPTIONS), LIMIT, findings);
    }
}

impl ObjectRule<AppProject> for UnknownFields {
    fn check(&self, request: Request<&AppProject>, context: &Context<'_>, findings: &mut Findings) {
        report_fields(context, findings);
        let annotations = &request.object().metadata.annotations;
        let options = annotations.get(SYNC_OPTIONS).map(String::as_str);
        check_annotation(options, LIMIT, findings);
    }
}

impl ObjectRule<ClusterSecret<'_>> for UnknownFields {
    fn check(
        &self,
        request: Request<&ClusterSecret<'_>>,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        report_fields(context, findings);
        let annotations = &request.object().metadata.annotations;
        check_annotation(annotations.get(SYNC_OPTIONS), LIMIT, findings);
    }
}

fn report_fields(context: &Context<'_>, findings: &mut Findings) {
    for unknown in context.unknown_fields {
        report_field(unknown, findings);
    }
}

/// Sync options in an annotation, of which at most so many are told.
fn check_annotation(options: Option<&str>, limit: usize, findings: &mut Findings) {
    let options = options.unwrap_or("").split(',').map(str::trim);
    let options = options.filter(|option| !option.is_empty());
    let wrong = options.filter_map(|option| Some((option, unknown(option, SetOn::Resource)?)));
    for (option, unknown) in wrong.take(limit) {
        let field = format!("/metadata/annotations/{}", SYNC_OPTIONS.replace('/', "~1"));
        report_option(field, option, unknown, SetOn::Resource, findings);
    }
}

/// Whether an option is meant to keep ignored fields as they are: on production `replicas-ignored`
/// looks at that, and says what comes of it.
fn is_told_by_replicas_ignored(option: &str) -> bool {
    let mut letters = option.chars().filter(char::is_ascii_alphabetic);
    let name = RESPECT_IGNORE_DIFFERENCES.chars();
    let mut name = name.take_while(char::is_ascii_alphabetic);
    name.all(|expected| {
        letters
            .next()
            .is_some_and(|c| c.eq_ignore_ascii_case(&expected))
    })
}

fn is_on_production(application: &Application<'_>, context: &Context<'_>) -> bool {
    let place = environments_of_application(application, context.inventory);
    let mut environments = place.environments.iter();
    environments.any(|found| found.production)
}

fn report_field(unknown: &UnknownField, findings: &mut Findings) {
    let fix = match &unknown.meant {
        Some(Meant::Name(name)) => format!("write {name}"),
        Some(Meant::Place(place)) => format!("write it in {place}"),
        None => "check how it is spelt and where it belongs".to_owned(),
    };
    let message = "Argo CD has no such field: the API server drops it, and what it says is lost";
    findings.deny(unknown.field.clone(), message, fix);
}

fn report_option(
    field: String,
    option: &str,
    unknown: Unknown,
    set_on: SetOn,
    findings: &mut Findings,
) {
    let written = shorten(option, 60);
    let (reason, fix) = match unknown {
        Unknown::Name(Some(meant)) => (String::new(), format!("write {meant}")),
        Unknown::Name(None) => (
            String::new(),
            "remove it, or check how it is spelt".to_owned(),
        ),
        Unknown::Spelling(right) => (", compared as a whole".to_owned(), format!("write {right}")),
        Unknown::Value(values) => (
            String::new(),
            format!("its value is one of {}", values.join(", ")),
        ),
        Unknown::Misplaced => match set_on {
            SetOn::Application => (
                " for a whole Application".to_owned(),
                format!("write it in the annotation {SYNC_OPTIONS} of a resource"),
            ),
            SetOn::Resource => (
                " for one resource".to_owned(),
                "write it in spec.syncPolicy.syncOptions".to_owned(),
            ),
        },
    };
    let message = format!("Argo CD knows no sync option {written:?}{reason}, and ignores it");
    findings.deny(field, message, fix).extend_to([option]);
}
