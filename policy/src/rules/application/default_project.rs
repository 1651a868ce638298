use argocd::application::{ApplicationSource, ApplicationSpec, Sources};
use argocd::names::DEFAULT_PROJECT;

use crate::finding::missing::MissingFact;
use crate::request::object::ObjectRef;
use crate::rules::rule::{Context, Findings, JudgedOn, Rule, RuleMetadata, Scope, declare_rule};

declare_rule! {
    /// ## What it does
    ///
    /// Denies an Application that uses the AppProject `default`, also where it names no project at
    /// all: an empty `spec.project` means `default`.
    ///
    /// ## Why
    ///
    /// Argo CD creates `default` with every repository, every cluster and every kind permitted.
    /// An Application in it can deploy anything anywhere, so one wrong merge in any repository
    /// reaches production. A project per team and environment is what bounds the damage.
    ///
    /// ## How to fix
    ///
    /// Name the AppProject of your team and environment in `spec.project`. The root of an
    /// app-of-apps may be exempted in the policy, under `rules.default-project.exempt`.
    ///
    /// ## Denied
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: ""
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///   destination: { server: https://kubernetes.default.svc, namespace: orders }
    /// ```
    ///
    /// ## Admitted
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders-staging
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///   destination: { server: https://kubernetes.default.svc, namespace: orders }
    /// ```
    pub struct DefaultProject {
        id: "default-project",
        summary: "no use of the AppProject `default`",
        judges: ["Application", "ApplicationSet"],
        judged_on: JudgedOn::Writing,
        scope: Scope::Everywhere,
    }
}

/// What is deployed without a project of its own: where that is, is part of any finding.
fn repositories<'s>(spec: &'s ApplicationSpec<'_>) -> Vec<&'s str> {
    let of = |source: &'s ApplicationSource<'_>| source.repo_url.as_str();
    match spec.effective_sources() {
        Sources::Several(sources) => sources.iter().map(of).collect(),
        Sources::Single(source) => source.map(of).into_iter().collect(),
        Sources::Hydrator(hydrator) => hydrator.repositories().collect(),
    }
}

impl Rule for DefaultProject {
    fn metadata(&self) -> &'static RuleMetadata {
        &Self::METADATA
    }

    fn check(&self, context: &Context<'_>, findings: &mut Findings) {
        let ObjectRef::Application(application) = context.subject.object() else {
            return;
        };
        let spec = &application.spec;
        if spec.project() != DEFAULT_PROJECT {
            return;
        }
        let message = if spec.written_project().is_empty() {
            "an empty project means `default`, which permits everything unless cut down"
        } else {
            "the project `default` permits everything unless cut down"
        };
        findings
            .deny(
                "/spec/project",
                message,
                "name your team's AppProject for this environment",
            )
            .extend_to(repositories(spec))
            // What another project permits is the question then.
            .make_moot(MissingFact::Project(DEFAULT_PROJECT.to_owned()));
    }
}
