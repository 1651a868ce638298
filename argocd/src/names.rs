//! The strings of Argo CD's API: labels, annotations, finalizers, well-known names.
//!
//! Each is defined by Argo CD 3.5 in `common/common.go` or
//! `pkg/apis/application/v1alpha1/types.go`, unless its comment says otherwise.

/// API group of Application, ApplicationSet and AppProject.
pub const GROUP: &str = "argoproj.io";
/// Their only version.
pub const VERSION: &str = "v1alpha1";

/// Label on Secrets that Argo CD reads; its value says what the Secret is.
pub const LABEL_SECRET_TYPE: &str = "argocd.argoproj.io/secret-type";
/// Value of [`LABEL_SECRET_TYPE`] on a cluster Secret.
pub const SECRET_TYPE_CLUSTER: &str = "cluster";
/// The label selector of cluster Secrets.
pub const CLUSTER_SECRETS: &str = "argocd.argoproj.io/secret-type=cluster";
/// Value of [`LABEL_SECRET_TYPE`] on the Secret of one repository.
pub const SECRET_TYPE_REPOSITORY: &str = "repository";

/// Server URL of the cluster in which Argo CD runs.
pub const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
/// Name of that cluster where no cluster Secret gives it another.
pub const IN_CLUSTER_NAME: &str = "in-cluster";

/// The project of an Application that names none.
pub const DEFAULT_PROJECT: &str = "default";

/// The CustomResourceDefinition of Application.
pub const APPLICATION_DEFINITION: &str = "applications.argoproj.io";

/// The CustomResourceDefinition of `ImageUpdater`, by whose objects an image updater goes since its
/// version 1.0.
pub const IMAGE_UPDATER_DEFINITION: &str = "imageupdaters.argocd-image-updater.argoproj.io";

/// The ConfigMap with Argo CD's settings.
pub const SETTINGS_CONFIG_MAP: &str = "argocd-cm";

/// The ConfigMap with the parameters of Argo CD's commands.
pub const PARAMETERS_CONFIG_MAP: &str = "argocd-cmd-params-cm";

/// The sync option without which ignored differences are still written by a sync.
pub const RESPECT_IGNORE_DIFFERENCES: &str = "RespectIgnoreDifferences=true";

/// Finalizers with which the deletion of an Application takes its resources along: in the
/// foreground, also written out, and in the background.
pub const RESOURCES_FINALIZERS: [&str; 3] = [
    "resources-finalizer.argocd.argoproj.io",
    "resources-finalizer.argocd.argoproj.io/foreground",
    "resources-finalizer.argocd.argoproj.io/background",
];

/// Annotation with the images that an image updater keeps newest on an Application; without it the
/// updater's other annotations do nothing (argocd-image-updater, `FilterApplicationsForUpdate`
/// before 1.0 and `getImagesFromAnnotations` since).
pub const IMAGE_UPDATER_IMAGE_LIST: &str = "argocd-image-updater.argoproj.io/image-list";
/// Annotation with the way in which an image updater writes: `argocd`, into the Application, where
/// it is absent; or `git`.
pub const IMAGE_UPDATER_WRITE_BACK_METHOD: &str =
    "argocd-image-updater.argoproj.io/write-back-method";

/// Where client-side `kubectl apply` keeps the last manifest, credentials included (Kubernetes).
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The finalizer with which deleting an Application deletes its resources.
pub const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_secrets_are_selected_by_their_label() {
        let label = format!("{LABEL_SECRET_TYPE}={SECRET_TYPE_CLUSTER}");
        assert_eq!(CLUSTER_SECRETS, label);
    }
}
