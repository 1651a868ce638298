use argocd::Application;
use argocd::names::{IMAGE_UPDATER_IMAGE_LIST, IMAGE_UPDATER_WRITE_BACK_METHOD};
use serde_json::json;

use crate::request::subject::Request;
use crate::rules::rule::{Context, Findings, JudgedOn, ObjectRule, Reads, Scope, declare_rule};

declare_rule! {
    /// ## What it does
    ///
    /// Denies a production Application that asks an image updater to keep its images newest, by the
    /// annotation `argocd-image-updater.argoproj.io/image-list`. Without that one, the other
    /// annotations of the image updater do nothing and are let be.
    ///
    /// Since its version 1.0, the image updater goes by objects of its own (`ImageUpdater`), and by
    /// the annotations of an Application only where such an object refers to it with
    /// `useAnnotations: true`. The annotation is denied all the same: it acts as soon as somebody
    /// writes such an object.
    ///
    /// `ImageUpdater` objects are not judged. The Applications and images that one names itself
    /// stand in no Application, and so are not seen here: whoever may write those objects
    /// decides what production runs. Leave that right to those who release to production.
    ///
    /// ## Why
    ///
    /// Whoever can push an image deploys it to production, and nobody has decided it. By default
    /// the image updater writes into the Application, so that Git says one version and production
    /// runs another; the next sync from Git, or a rebuilt cluster, goes back to what Git says. With
    /// `write-back-method: git` it is a commit, but one that nobody reviews.
    ///
    /// ## How to fix
    ///
    /// Remove the annotation, and release to production by a commit that names the image. Let the
    /// image updater work on staging, where its commits can become that release.
    ///
    /// ## Denied
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata:
    ///   name: orders
    ///   namespace: argocd
    ///   annotations: { argocd-image-updater.argoproj.io/image-list: "orders=registry.example.com/orders:~1.4" }
    /// spec:
    ///   project: orders-prod
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///   destination: { name: prod-eu, namespace: orders }
    /// ```
    ///
    /// ## Admitted
    ///
    /// ```yaml
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata:
    ///   name: orders
    ///   namespace: argocd
    ///   annotations: { argocd-image-updater.argoproj.io/image-list: "orders=registry.example.com/orders:~1.4" }
    /// spec:
    ///   project: orders-staging
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: main }
    ///   destination: { name: staging-eu, namespace: orders }
    /// ```
    pub struct ImageUpdater {
        id: "image-updater",
        summary: "no image updater on production",
        judges: [Application],
        judged_on: JudgedOn::Writing,
        scope: Scope::Production,
        reads: [
            Reads::Annotation(IMAGE_UPDATER_IMAGE_LIST),
            Reads::Annotation(IMAGE_UPDATER_WRITE_BACK_METHOD)
        ],
    }
}

impl ObjectRule<Application<'_>> for ImageUpdater {
    fn check(&self, request: Request<&Application<'_>>, _: &Context<'_>, findings: &mut Findings) {
        let application = *request.object();
        let annotation = |key| application.metadata.annotations.get(key).unwrap_or("");
        if annotation(IMAGE_UPDATER_IMAGE_LIST).trim().is_empty() {
            return;
        }
        let way = if annotation(IMAGE_UPDATER_WRITE_BACK_METHOD).starts_with("git") {
            "by commits without a review"
        } else {
            "past Git"
        };
        let field = format!(
            "/metadata/annotations/{}",
            IMAGE_UPDATER_IMAGE_LIST.replace('/', "~1")
        );
        findings
            .deny(
                field.clone(),
                format!("deploys new images by itself, {way}"),
                "remove the annotation, release by a commit",
            )
            .extend_to(
                annotation(IMAGE_UPDATER_IMAGE_LIST)
                    .split(',')
                    .map(str::trim)
                    .chain([way]),
            )
            .patch_with(json!([{"op": "remove", "path": field}]));
    }
}
