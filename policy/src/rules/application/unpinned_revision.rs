use argocd::Application;
use argocd::application::revision::{RepositoryKind, Revision};
use argocd::application::{ApplicationSource, Sources};

use crate::finding::shorten;
use crate::request::subject::Request;
use crate::rules::rule::{Context, Findings, JudgedOn, ObjectRule, Scope, declare_rule};
use crate::terms::environment::Membership;

declare_rule! {
    /// ## What it does
    ///
    /// Denies a production Application that follows a revision which moves by itself: `HEAD` or no
    /// revision at all, a branch written as `refs/heads/…`, a range of versions (`*`, `1.x`,
    /// `^1.2`, `>=1.0`, `1.2` for a chart), `latest` of an OCI artifact. A chart must have one
    /// whole version, such as `1.2.3`. Every source counts that Argo CD uses, also one that is only
    /// there for its value files (`ref`), and the dry source of a hydrator.
    ///
    /// A Git branch cannot be told from a tag by its name. Names that are hardly ever a tag
    /// (`main`, `master`, `trunk`, `develop` and the like) are warned of; all others pass.
    ///
    /// ## Why
    ///
    /// What runs is decided by whoever pushes next, in a repository that may belong to somebody
    /// else. A chart in the range `*` upgrades itself across major versions; two clusters that were
    /// synced an hour apart run different things, and there is no commit to go back to, because the
    /// Application never changed.
    ///
    /// ## How to fix
    ///
    /// Write the tag or the full commit, for a chart its version, for an OCI artifact its digest or
    /// version, and change that by a commit of its own: that commit is then the record of the
    /// release, and reverting it is the way back.
    ///
    /// ## Denied
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders-prod
    ///   source: { repoURL: https://charts.example.com, chart: orders, targetRevision: "1.x" }
    ///   destination: { name: prod-eu, namespace: orders }
    /// ```
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders-prod
    ///   sources:
    ///     - { repoURL: https://charts.example.com, chart: orders, targetRevision: 1.4.0, helm: { valueFiles: [$values/orders.yaml] } }
    ///     - { repoURL: https://git.example.com/shop/values.git, ref: values }
    ///   destination: { name: prod-eu, namespace: orders }
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
    ///   sources:
    ///     - { repoURL: https://charts.example.com, chart: orders, targetRevision: 1.4.0, helm: { valueFiles: [$values/orders.yaml] } }
    ///     - { repoURL: https://git.example.com/shop/values.git, ref: values, targetRevision: orders-1.4.0 }
    ///   destination: { name: prod-eu, namespace: orders }
    /// ```
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   project: orders-staging
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: HEAD }
    ///   destination: { name: staging-eu, namespace: orders }
    /// ```
    pub struct UnpinnedRevision {
        id: "unpinned-revision",
        summary: "no moving revision on production",
        judges: [Application],
        judged_on: JudgedOn::Writing,
        scope: Scope::Production,
    }
}

/// What branches that move all the time are called, and tags are not.
const BRANCHES: [&str; 8] = [
    "main",
    "master",
    "trunk",
    "develop",
    "development",
    "dev",
    "mainline",
    "default",
];

impl ObjectRule<Application<'_>> for UnpinnedRevision {
    fn check(
        &self,
        request: Request<&Application<'_>>,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        let application = *request.object();
        // That something may be a branch, on what may be production, helps nobody.
        let place_is_known = !matches!(context.membership, Membership::Unknown { .. });
        for Followed {
            field,
            written,
            kind,
            origin,
        } in revisions(application)
        {
            let shown = shorten(written, 50);
            let message = match Revision::of(written, kind) {
                Revision::Newest if written.is_empty() => {
                    "follows whatever is newest, as nothing is written".to_owned()
                }
                Revision::Newest => format!("follows {shown}, whatever is newest"),
                Revision::Range => format!("follows {shown}, which is not one version"),
                Revision::Branch => format!("follows {shown}, a branch"),
                Revision::Name if is_called_like_a_branch(written, kind) && place_is_known => {
                    let message = format!("follows {shown}, by its name a branch");
                    findings.warn(field, message, fix(kind));
                    continue;
                }
                Revision::Name | Revision::Exact => continue,
            };
            findings
                .deny(field, message, fix(kind))
                .extend_to([format!("{origin} {}", named(written))]);
        }
    }
}

/// A revision that is followed.
struct Followed<'s> {
    field: String,
    written: &'s str,
    /// Where it is looked up.
    kind: RepositoryKind,
    /// Of what: repository and chart.
    origin: String,
}

/// The revision of each source that counts.
fn revisions<'s>(application: &'s Application<'_>) -> Vec<Followed<'s>> {
    let of = |field: String, source: &'s ApplicationSource<'_>| Followed {
        field,
        written: source.target_revision.as_str(),
        kind: source.repository_kind(),
        origin: format!("{} {}", source.repo_url, source.chart),
    };
    match application.spec.effective_sources() {
        // What it renders goes to a branch by design; what it renders from is what counts.
        Sources::Hydrator(hydrator) => vec![Followed {
            field: "/spec/sourceHydrator/drySource/targetRevision".to_owned(),
            written: &hydrator.dry_source.target_revision,
            kind: RepositoryKind::Git,
            origin: hydrator.dry_source.repo_url.to_string(),
        }],
        Sources::Several(sources) => sources
            .iter()
            .enumerate()
            .map(|(index, source)| of(format!("/spec/sources/{index}/targetRevision"), source))
            .collect(),
        Sources::Single(source) => source
            .map(|source| of("/spec/source/targetRevision".to_owned(), source))
            .into_iter()
            .collect(),
    }
}

/// What is written, or meant where nothing is.
fn named(written: &str) -> &str {
    if written.is_empty() { "HEAD" } else { written }
}

fn is_called_like_a_branch(written: &str, kind: RepositoryKind) -> bool {
    kind == RepositoryKind::Git && BRANCHES.contains(&written)
}

fn fix(kind: RepositoryKind) -> &'static str {
    match kind {
        RepositoryKind::Git => "write a tag or a full commit",
        RepositoryKind::Helm => "write one whole version, such as 1.2.3",
        RepositoryKind::Oci => "write a digest or one version",
    }
}
