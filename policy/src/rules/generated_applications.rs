use argocd::application_set::ExpansionError;

use crate::fan_out::{Affected, Change, FanOut, NotExpanded, NotKnown};
use crate::finding::shorten;
use crate::missing::MissingFact;
use crate::rule::{Context, Findings, Occasion, Rule, RuleMetadata, Scope, declare_rule};
use crate::subject::Object;

declare_rule! {
    /// ## What it does
    ///
    /// Denies an ApplicationSet on which Argo CD fails with the clusters that there are now: a template
    /// that does not compile, a missing key under `missingkey=error`, a parameter that is no string without
    /// `goTemplate`, two Applications of one name, a matrix of three generators; and one that generates
    /// names which the API server refuses, as a misspelt parameter does, or whose `templatePatch` takes the
    /// whole spec of an Application away, as `spec:` with nothing below it does. Also one that would
    /// generate more than 10,000 Applications, or whose templates take more work than is spent on an
    /// answer: nobody can say what is in it.
    ///
    /// It warns of an entry without any generator, which is also what the API server makes of a
    /// misspelt one.
    ///
    /// What depends on something that is not known is `undecided`: pull requests, an SCM provider, a
    /// plugin, a Git repository that is not at hand, a function with another result each time, a
    /// generator that a later Argo CD has or that is misspelt in a file. The template is then judged by
    /// the other rules as far as it has no placeholders, and each Application when it is created. Where not
    /// all clusters are known (`check` without `--all-clusters-known`), so is the template of a `clusters`
    /// generator, unless its selector has a label by which no production cluster is selected.
    ///
    /// ## Why
    ///
    /// One error anywhere stops the whole ApplicationSet: nothing is created, changed or deleted any
    /// more, for no cluster, and nobody is told but by a condition on the ApplicationSet. Rollouts
    /// that seem to be done are not.
    ///
    /// ## How to fix
    ///
    /// The message has Argo CD's reason and the field. Common ones: the cluster that Argo CD runs in
    /// has no labels, and takes part wherever the selector is empty; YAML reads an unquoted `n` or
    /// `on` as a boolean.
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
        judges: ["ApplicationSet"],
        occasion: Occasion::Writing,
        scope: Scope::Everywhere,
    }
}

impl Rule for GeneratedApplications {
    fn metadata(&self) -> &'static RuleMetadata {
        &Self::METADATA
    }

    fn check(&self, context: &Context<'_>, findings: &mut Findings) {
        let (Object::ApplicationSet(set), Some(fan_out)) =
            (context.subject.object, context.fan_out)
        else {
            return;
        };
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
        for NotExpanded { error, .. } in not_expanded {
            report(error, findings);
        }
        report_names(fan_out, findings);
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
            format!("`{generator}` is no generator known here"),
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

/// What the API server refuses, as Argo CD finds out one by one.
fn report_names(fan_out: &FanOut, findings: &mut Findings) {
    let written = fan_out.of(Change::Create).chain(fan_out.of(Change::Change));
    let refused: Vec<&Affected> = written
        .filter(|affected| !is_object_name(&affected.name))
        .collect();
    if let Some(first) = refused.first() {
        findings
            .deny(
                "/spec/template/metadata/name",
                format!(
                    "{} generated Applications have no valid name, such as {:?}",
                    refused.len(),
                    shorten(&first.name, 50)
                ),
                "use lower case, digits, '-' and '.', and parameters that there are",
            )
            .extend_to(refused.iter().map(|affected| affected.name.as_str()));
    }
}

/// What Argo CD finds invalid and leaves alone, while it goes on with the others.
fn report_without_spec(fan_out: &FanOut, findings: &mut Findings) {
    let names = &fan_out.without_spec;
    if let Some(first) = names.first() {
        let and_more = match names.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
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

/// Whether it is a DNS subdomain, as the name of an object has to be.
fn is_object_name(name: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(alphanumeric)
            && label.ends_with(alphanumeric)
            && label.chars().all(|c| alphanumeric(c) || c == '-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

fn report(error: &ExpansionError, findings: &mut Findings) {
    let message = shorten(&error.to_string(), 120);
    match error {
        ExpansionError::TooMuch { .. } | ExpansionError::TooMuchWork => {
            let message = format!("{message}: it is not judged");
            let finding = findings.deny(error.field().to_owned(), message, "split it");
            finding.extent.be_unjudged();
            finding
        }
        ExpansionError::Fails { .. } | ExpansionError::DuplicateName(_) => findings.deny(
            error.field().to_owned(),
            format!("Argo CD fails on it and generates nothing: {message}"),
            "correct it",
        ),
        ExpansionError::Undecided { lacks, .. } => {
            let finding =
                findings.undecided(error.field().to_owned(), message, "judge what it generates");
            finding.lack(MissingFact::Generated(lacks.clone()))
        }
    };
}
