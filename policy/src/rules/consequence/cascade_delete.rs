use argocd::{Application, ApplicationSet};

use crate::finding::shorten;
use crate::request::fan_out::{Affected, Change, FanOut};
use crate::request::subject::{Propagation, Request};
use crate::rules::rule::{
    ConsequenceRule, Context, Findings, JudgedOn, ObjectRule, Scope, declare_rule,
};
use crate::terms::environment::Membership;

declare_rule! {
    /// ## What it does
    ///
    /// Denies the deletion of an Application that takes other Applications along, and with them
    /// what they have deployed to production: an app-of-apps with Argo CD's finalizer
    /// `resources-finalizer.argocd.argoproj.io`. It is known by the Applications and
    /// ApplicationSets among its resources, as Argo CD found them at its last comparison. Where
    /// those deploy to is not known here, so any production cluster or project that this Argo CD
    /// has counts.
    ///
    /// The same for an ApplicationSet that generates Applications for production, unless it
    /// preserves their resources (`syncPolicy.preserveResourcesOnDeletion: true`) or leaves the
    /// Applications where they are (`kubectl delete --cascade=orphan`). What depends on something
    /// that is not known here, such as pull requests or a Git repository, is not counted, and only
    /// warned of; and so is what an ApplicationSet left behind that does not delete, or where its
    /// Applications are if it does not update them.
    ///
    /// The deletion of any other Application passes, and so does one without that finalizer, one
    /// that was asked for already, and what the garbage collector or the removal of a namespace
    /// brings about. Removing a finalizer always passes. For an Application
    /// `kubectl delete --cascade=orphan` changes nothing: it is about what Kubernetes deletes, and
    /// Argo CD's finalizer does not go by it.
    ///
    /// Who may patch an Application may also forge its resources or take off the finalizer, so this
    /// stops mistakes, not somebody who is determined.
    ///
    /// ## Why
    ///
    /// `kubectl delete application root` looks like taking away one object. The finalizer deletes
    /// the child Applications, their finalizers delete every Deployment, volume and namespace that
    /// they manage, on all clusters at once, and nothing asks twice. The same happens where the
    /// file of such an Application is removed from Git and its parent prunes it.
    ///
    /// ## How to fix
    ///
    /// To replace or move the app-of-apps, leave its Applications alone:
    /// `argocd app delete NAME --cascade=false`, or remove the finalizer first and delete it then.
    /// To take everything down, delete the Applications one after the other, from the leaves, or
    /// exempt it in the policy, together with every app-of-apps among its resources. An app-of-apps
    /// that should never take its Applications along has no finalizer at all.
    ///
    /// ## Denied
    ///
    /// ```yaml
    /// # kubectl delete -f -
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata:
    ///   name: root
    ///   namespace: argocd
    ///   finalizers: [resources-finalizer.argocd.argoproj.io]
    /// spec:
    ///   project: root
    ///   source: { repoURL: https://git.example.com/platform/fleet.git, path: bootstrap, targetRevision: main }
    ///   destination: { server: https://kubernetes.default.svc, namespace: argocd }
    /// status:
    ///   resources:
    ///     - { group: argoproj.io, kind: Application, name: orders, namespace: argocd }
    /// ```
    ///
    /// ```yaml
    /// # kubectl delete -f -
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
    /// ```
    ///
    /// ## Admitted
    ///
    /// ```yaml
    /// # kubectl delete -f -
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: ApplicationSet
    /// metadata: { name: orders, namespace: argocd }
    /// spec:
    ///   syncPolicy: { preserveResourcesOnDeletion: true }
    ///   generators:
    ///     - list: { elements: [{ cluster: staging-eu }, { cluster: prod-eu }] }
    ///   template:
    ///     metadata: { name: "orders-{{cluster}}" }
    ///     spec:
    ///       project: orders
    ///       source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///       destination: { name: "{{cluster}}", namespace: orders }
    /// ```
    ///
    /// ```yaml
    /// # kubectl delete -f -
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata: { name: root, namespace: argocd }
    /// spec:
    ///   project: root
    ///   source: { repoURL: https://git.example.com/platform/fleet.git, path: bootstrap, targetRevision: main }
    ///   destination: { server: https://kubernetes.default.svc, namespace: argocd }
    /// status:
    ///   resources:
    ///     - { group: argoproj.io, kind: Application, name: orders, namespace: argocd }
    /// ```
    ///
    /// ```yaml
    /// # kubectl delete -f -
    /// apiVersion: argoproj.io/v1alpha1
    /// kind: Application
    /// metadata:
    ///   name: orders
    ///   namespace: argocd
    ///   finalizers: [resources-finalizer.argocd.argoproj.io]
    /// spec:
    ///   project: orders-prod
    ///   source: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
    ///   destination: { name: prod-eu, namespace: orders }
    /// status:
    ///   resources:
    ///     - { group: apps, kind: Deployment, name: orders, namespace: orders }
    /// ```
    pub struct CascadeDelete {
        id: "cascade-delete",
        summary: "no deletion that takes the Applications of production along",
        judges: [WrittenApplication, ApplicationSetConsequence],
        judged_on: JudgedOn::Deletion,
        scope: Scope::Production,
    }
}

/// Whether it was decided where the owner or the namespace was deleted.
fn is_decided(context: &Context<'_>) -> bool {
    context.requester.is_collector()
}

impl ObjectRule<Application<'_>> for CascadeDelete {
    fn check(
        &self,
        request: Request<&Application<'_>>,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        let application = request.object();
        let is_going = !application.metadata.deletion_timestamp.is_empty();
        let takes_along = application.cascades_deletion() && application.manages_applications();
        if is_decided(context) || is_going || !takes_along {
            return;
        }
        let place = match context.membership {
            Membership::In { evidence, .. } => format!(" ({evidence})"),
            _ => String::new(),
        };
        let in_spite = match request.propagation() {
            Some(Propagation::Orphan) => ", whatever --cascade says",
            _ => "",
        };
        findings.deny(
            "/metadata/finalizers",
            format!("deletes its Applications and all they deploy{in_spite}{place}"),
            "argocd app delete --cascade=false, or first remove the finalizer",
        );
    }
}

/// Where an ApplicationSet says what becomes of resources.
const FIELD: &str = "/spec/syncPolicy/preserveResourcesOnDeletion";
const FIX: &str = "kubectl delete --cascade=orphan, or first set it to true";

impl ConsequenceRule<ApplicationSet<'_>> for CascadeDelete {
    fn check(
        &self,
        request: Request<&ApplicationSet<'_>>,
        fan_out: &FanOut,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        if is_decided(context) || request.propagation() == Some(Propagation::Orphan) {
            return;
        }
        let may_be_anywhere = matches!(
            context.membership,
            Membership::Everywhere | Membership::MayBeAnywhere
        );
        // Nothing that is known is in production, and not everything is known.
        if fan_out.is_anything_unknown() && may_be_anywhere {
            let keeps_resources = request.object().spec.preserves_resources_on_deletion()
                && fan_out.uncounted.is_empty()
                && fan_out.affected.iter().all(|affected| !affected.cascades);
            if !keeps_resources {
                let message =
                    "may delete Applications that are not known here, and all they deploy";
                findings.undecided(FIELD, message, FIX);
            }
            return;
        }
        // Applications without the finalizer leave behind what they have deployed.
        let cascading = |affected: &&Affected| affected.cascades;
        let count = fan_out.of(Change::Delete).filter(cascading).count();
        if count == 0 {
            return;
        }
        let place = match context.membership {
            Membership::In { environment, .. } => format!(" ({})", shorten(environment, 30)),
            _ => String::new(),
        };
        let message = format!("deletes {count} Applications and all they deploy{place}");
        findings.deny(FIELD, message, FIX);
    }
}
