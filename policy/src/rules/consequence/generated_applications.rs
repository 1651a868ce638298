use argocd::application_set::{Dialect, ExpansionError, ForeignPlaceholder};
use argocd::kubernetes::names::{
    Refused, check_annotation_key, check_key, check_label_value, check_name,
};
use argocd::{Application, ApplicationSet};

use crate::finding::missing::MissingFact;
use crate::finding::{and_more, shorten};
use crate::request::fan_out::{Affected, FanOut, NotExpanded, NotKnown};
use crate::request::subject::Request;
use crate::rules::rule::{
    ConsequenceRule, Context, Findings, JudgedOn, ObjectRule, Scope, declare_rule,
};

declare_rule! {
    /// ## What it does
    ///
    /// Denies an ApplicationSet on which Argo CD fails with the clusters that there are now: a
    /// template that does not compile, a missing key under `missingkey=error`, a parameter that is
    /// not a string without `goTemplate`, two Applications of one name, a matrix of three
    /// generators; and one that generates names, labels, annotations or finalizers which the API
    /// server refuses, as a URL, a line break at the end, a misspelt parameter or more than 63
    /// characters in a label are, or whose `templatePatch` takes the whole spec of an Application
    /// away, as `spec:` with nothing below it does. Also one that would generate more than 10,000
    /// Applications, or whose templates take more work than is spent on an answer: nobody can say
    /// what is in it.
    ///
    /// It warns of an entry without any generator, which is also what the API server makes of a
    /// misspelt one, and of placeholders that are none in the language of the ApplicationSet:
    /// `{{.name}}` without `goTemplate: true`, `{{name}}` with it, `{name}` and `[[name]]`
    /// anywhere.
    ///
    /// What depends on something that is not known is `undecided`: pull requests, an SCM provider,
    /// a plugin, a Git repository that is not at hand, a function with another result each time, a
    /// generator that a later Argo CD has or that is misspelt in a file. The template is then
    /// judged by the other rules as far as it has no placeholders, and each Application when it is
    /// created. Where not all clusters are known (`check` without `--all-clusters-known`), so is
    /// the template of a `clusters` generator, unless its selector has a label by which no
    /// production cluster is selected.
    ///
    /// ## Why
    ///
    /// One error anywhere stops the whole ApplicationSet: nothing is created, changed or deleted
    /// any more, for no cluster, and nobody is told but by a condition on the ApplicationSet.
    /// Rollouts that seem to be done are not.
    ///
    /// ## How to fix
    ///
    /// The message has Argo CD's reason and the field. Common ones: the cluster that Argo CD runs
    /// in has no labels, and takes part wherever the selector is empty; YAML reads an unquoted `n`
    /// or `on` as a boolean.
    ///
    /// ## Denied
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: ApplicationSet
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   goTemplate: true
    ///   goTemplateOptions: ["missingkey=error"]
    ///   generators:
    ///     - list:
    ///         elements:
    ///           - { cluster: staging-eu }
    ///   template:
    ///     metadata: { name: "orders-{{ .clustr }}" }
    ///     spec:
    ///       project: orders
    ///       source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: main }
    ///       destination: { name: "{{ .cluster }}", namespace: orders }
    /// ```
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: ApplicationSet
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   generators:
    ///     - list:
    ///         elements:
    ///           - { cluster: staging-eu, region: eu }
    ///           - { cluster: staging-us, region: us }
    ///   template:
    ///     metadata: { name: orders }
    ///     spec:
    ///       project: orders
    ///       source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: main }
    ///       destination: { name: "{{cluster}}", namespace: orders }
    /// ```
    ///
    /// ## Admitted
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: ApplicationSet
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   goTemplate: true
    ///   goTemplateOptions: ["missingkey=error"]
    ///   generators:
    ///     - list:
    ///         elements:
    ///           - { cluster: staging-eu }
    ///   template:
    ///     metadata: { name: "orders-{{ .cluster }}" }
    ///     spec:
    ///       project: orders
    ///       source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: main }
    ///       destination: { name: "{{ .cluster }}", namespace: orders }
    /// ```
    pub struct GeneratedApplications {
        id: "generated-applications",
        summary: "an ApplicationSet that Argo CD can expand",
        judges: [ApplicationSetConsequence, GeneratedApplication],
        judged_on: JudgedOn::Writing,
        scope: Scope::Everywhere,
    }
}

impl ConsequenceRule<ApplicationSet<'_>> for GeneratedApplications {
    fn check(
        &self,
        request: Request<&ApplicationSet<'_>>,
        fan_out: &FanOut,
        _: &Context<'_>,
        findings: &mut Findings,
    ) {
        let set = request.object();
        for entry in set.spec.entries_without_generator() {
            findings.warn(
                format!("/spec/generators/{entry}"),
                "has no generator that Argo CD knows, so nothing comes from it",
                "check how its name is spelt",
            );
        }
        let FanOut {
            not_expanded,
            not_known,
            ..
        } = fan_out;
        let foreign = set.spec.foreign_placeholders();
        for NotExpanded { error, .. } in not_expanded {
            report(error, &foreign, findings);
        }
        let is_told = |placeholder: &&ForeignPlaceholder| {
            placeholder.dialect == Dialect::Plain && !not_expanded.is_empty()
        };
        for placeholder in foreign.iter().filter(|placeholder| !is_told(placeholder)) {
            report_foreign(placeholder, set.spec.is_go_template(), findings);
        }
        report_without_spec(fan_out, findings);
        for part in not_known {
            report_not_known(part, findings);
        }
    }
}

fn report_not_known(part: &NotKnown, findings: &mut Findings) {
    let generator = shorten(&part.generator, 40);
    let (message, fix) = if part.perhaps_misspelt {
        (
            format!("`{generator}` is not a generator known here"),
            "check how it is spelt",
        )
    } else {
        (
            format!(
                "{generator} cannot be judged without {}",
                shorten(&part.lacks, 80)
            ),
            match part.generator.as_str() {
                "git" => "have its work tree at hand, or see --repository",
                "clusters" => "add the Secrets of clusters, or say --all-clusters-known",
                _ => "write project and destination without placeholders",
            },
        )
    };
    let finding = findings.undecided(format!("/spec/generators/{}", part.entry), message, fix);
    if !part.perhaps_misspelt {
        finding.missing = part.missing.clone();
    }
}

/// Asked about one of the Applications that are generated: whether the API server takes it, as Argo
/// CD finds out one by one.
impl ObjectRule<Application<'_>> for GeneratedApplications {
    fn check(&self, request: Request<&Application<'_>>, _: &Context<'_>, findings: &mut Findings) {
        let metadata = &request.object().metadata;
        let mut left = REFUSED_LIMIT;
        let mut refuse = |field: String, what: &str, text: &str, refused: Refused| {
            if left == 0 {
                return;
            }
            left -= 1;
            let message = format!("the API server refuses {what} {}: {refused}", quoted(text));
            findings.deny(field, message, FIX).extend_to([text]);
        };
        let name = metadata.name.as_str();
        if let Err(refused) = check_name(name) {
            refuse("/metadata/name".to_owned(), "the name", name, refused);
        }
        for (key, value) in metadata.labels.iter() {
            let labels = "/metadata/labels";
            if let Err(refused) = check_key(key) {
                refuse(labels.to_owned(), "the label", key, refused);
            } else if let Err(refused) = check_label_value(value) {
                let what = format!("the value of the label {}:", shorten(key, NAME_LIMIT));
                refuse(below(labels, key), &what, value, refused);
            }
        }
        for (key, _) in metadata.annotations.iter() {
            if let Err(refused) = check_annotation_key(key) {
                let field = "/metadata/annotations".to_owned();
                refuse(field, "the annotation", key, refused);
            }
        }
        for (index, finalizer) in metadata.finalizers.iter().enumerate() {
            if let Err(refused) = check_key(finalizer) {
                let field = format!("/metadata/finalizers/{index}");
                refuse(field, "the finalizer", finalizer, refused);
            }
        }
    }
}

/// How much of one Application is told that the API server refuses.
const REFUSED_LIMIT: usize = 8;

/// How to mend what the API server refuses.
const FIX: &str = "use letters, digits and '-', and parameters that there are";

/// The most of a text that a finding repeats, in characters.
const NAME_LIMIT: usize = 50;

/// A text in which what does not show can be seen.
fn quoted(text: &str) -> String {
    let start: String = text.chars().take(NAME_LIMIT).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{more}")
}

fn below(field: &str, key: &str) -> String {
    format!("{field}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// What Argo CD finds invalid and leaves alone, while it goes on with the others.
fn report_without_spec(fan_out: &FanOut, findings: &mut Findings) {
    let names = &fan_out.without_spec;
    if let Some(first) = names.first() {
        let and_more = and_more(names.len() - 1);
        findings
            .deny(
                "/spec/templatePatch",
                format!(
                    "renders to a null `spec` for {}{and_more}, which takes source and destination away",
                    shorten(first, 50)
                ),
                "leave `spec` out of it where it has nothing to say",
            )
            .extend_to(names);
    }
}

/// A placeholder that is not of the language in which the ApplicationSet is written.
fn report_foreign(placeholder: &ForeignPlaceholder, is_go: bool, findings: &mut Findings) {
    let written = shorten(&placeholder.written, 40);
    let message = match placeholder.dialect {
        Dialect::Go => {
            format!("{written} is a Go template, which stays as it is without `goTemplate: true`")
        }
        Dialect::Plain => {
            format!(
                "{written} is not a Go template, as `goTemplate: true` asks for: a parameter has a dot before it"
            )
        }
        Dialect::SingleBraces | Dialect::Brackets => {
            format!("{written} is not a parameter to Argo CD, and stays as it is")
        }
    };
    findings.warn(
        placeholder.field.clone(),
        message,
        rewriting(placeholder, is_go),
    );
}

fn rewriting(placeholder: &ForeignPlaceholder, is_go: bool) -> String {
    let own = placeholder.own.as_ref().map(|own| shorten(own, 40));
    match (own, is_go) {
        (Some(own), false) if placeholder.dialect == Dialect::Go => {
            format!("write {own}, or set goTemplate: true")
        }
        (Some(own), _) => format!("write {own}"),
        (None, false) => "set goTemplate: true".to_owned(),
        (None, true) => {
            "write it as a Go template, such as {{.name}} or {{index .path.segments 0}}".to_owned()
        }
    }
}

fn report(error: &ExpansionError, foreign: &[ForeignPlaceholder], findings: &mut Findings) {
    let message = shorten(&error.to_string(), 120);
    match error {
        ExpansionError::TooMuch { .. } | ExpansionError::TooMuchWork => {
            let message = format!("{message}: it is not judged");
            let finding = findings.deny(error.field().to_owned(), message, "split it");
            finding.extent.be_unjudged();
            finding
        }
        ExpansionError::Fails { .. } | ExpansionError::DuplicateName(_) => {
            let plain = foreign
                .iter()
                .find(|placeholder| placeholder.dialect == Dialect::Plain);
            let fix = plain.map_or_else(
                || "correct it".to_owned(),
                |plain| {
                    let written = shorten(&plain.written, 40);
                    format!(
                        "for {written}, which is not a Go template, {}",
                        rewriting(plain, true)
                    )
                },
            );
            findings.deny(
                error.field().to_owned(),
                format!("Argo CD fails on it and generates nothing: {message}"),
                fix,
            )
        }
        ExpansionError::Undecided { lacks, .. } => {
            let finding =
                findings.undecided(error.field().to_owned(), message, "judge what it generates");
            finding.lack(MissingFact::Generated(lacks.clone()))
        }
    };
}

impl Affected {
    /// Says that others make an Application of its name as well, so that nobody knows which of them
    /// there will be.
    pub fn is_made_by(&mut self, others: &str) {
        let mut findings = GeneratedApplications::METADATA.findings();
        findings.undecided(
            "/metadata/name",
            format!("{others} as well: one of them owns it, and Argo CD fails on it in the others"),
            "give each of them a name of its own",
        );
        self.findings.extend(findings.into_inner());
    }
}
