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
/// Value of [`LABEL_SECRET_TYPE`] on the Secret of one repository.
pub const SECRET_TYPE_REPOSITORY: &str = "repository";

/// Server URL of the cluster in which Argo CD runs.
pub const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
/// Name of that cluster where no cluster Secret gives it another.
pub const IN_CLUSTER_NAME: &str = "in-cluster";

/// The project of an Application that names none.
pub const DEFAULT_PROJECT: &str = "default";

/// The ConfigMap with Argo CD's settings.
pub const SETTINGS_CONFIG_MAP: &str = "argocd-cm";

/// The sync option without which ignored differences are still written by a sync.
pub const RESPECT_IGNORE_DIFFERENCES: &str = "RespectIgnoreDifferences=true";

/// Where client-side `kubectl apply` keeps the last manifest, credentials included (Kubernetes).
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
