//! Who writes to objects, by the names of field managers: in people's words, and of what kind.

use argocd::comparison::FieldManager;
use jiff::Timestamp;
use serde::Deserialize;

use super::audit_log::Write;
use super::autoscaler::KnownAutoscaler;

/// Somebody who owns a field.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(crate) struct Manager {
    /// The name of the field manager.
    #[serde(rename = "manager")]
    pub(crate) name: String,
    /// `Apply` or `Update`.
    pub(crate) operation: String,
    /// Such as `scale`; None for the object itself.
    pub(crate) subresource: Option<String>,
    /// When it last changed one of its fields; None where the API server does not say.
    pub(crate) time: Option<Timestamp>,
}

/// What kind of writer a manager is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum WriterKind {
    /// Argo CD's own sync.
    ArgoCd,
    /// The controller of an autoscaler.
    Autoscaler,
    /// Any other controller.
    Controller,
    /// A person, or a program that a person or a pipeline runs.
    Hand,
}

/// What Argo CD names itself where it syncs (`common.ArgoCDSSAManager`).
pub(super) const SYNC_MANAGER: &str = "argocd-controller";

/// What Argo CD names itself where it syncs, and elsewhere.
const ARGO_CD: [&str; 2] = [SYNC_MANAGER, "argocd-application-controller"];

/// The subresource by which replicas are set.
const SCALE: &str = "scale";

/// The subresource in which controllers say how an object is.
const STATUS: &str = "status";

/// Controllers whose names do not say that they are one.
const CONTROLLERS: [&str; 22] = [
    "aws-",
    "calico",
    "cert-manager",
    "cilium",
    "cluster-autoscaler",
    "crossplane",
    "external-dns",
    "external-secrets",
    "flux",
    "gatekeeper",
    "istio",
    "karpenter",
    "keda",
    "kube-",
    "kubelet",
    "kyverno",
    "linkerd",
    "pilot-discovery",
    "prometheus",
    "rollouts-",
    "velero",
    "vpa-",
];

impl Manager {
    /// Reads an entry of `managedFields`.
    pub(crate) fn of(entry: FieldManager<'_>) -> Self {
        Manager {
            name: entry.manager.to_owned(),
            operation: entry.operation.to_owned(),
            subresource: (!entry.subresource.is_empty()).then(|| entry.subresource.to_owned()),
            time: entry.time.and_then(|time| time.parse().ok()),
        }
    }

    /// Who a write is noted as.
    pub(crate) fn of_write(write: &Write) -> Self {
        Manager {
            name: write.manager().to_owned(),
            operation: "Update".to_owned(),
            subresource: (!write.subresource.is_empty()).then(|| write.subresource.clone()),
            time: None,
        }
    }

    /// Whether it says how an object is, and not how it is to be.
    pub(crate) fn is_of_status(&self) -> bool {
        self.subresource.as_deref() == Some(STATUS)
    }

    /// What kind of writer it is, where it writes a field.
    pub(crate) fn kind(&self, pointer: &str) -> WriterKind {
        let name = self.name.to_lowercase();
        if ARGO_CD.contains(&&*name) {
            WriterKind::ArgoCd
        } else if self.is_autoscaler(&name, pointer) {
            WriterKind::Autoscaler
        } else if is_controller(&name) {
            WriterKind::Controller
        } else {
            WriterKind::Hand
        }
    }

    /// Of all controllers of kube-controller-manager only that of HorizontalPodAutoscalers writes
    /// to the subresource `scale`. KEDA scales from and to zero itself.
    fn is_autoscaler(&self, name: &str, pointer: &str) -> bool {
        let is_scaled = pointer == "/spec/replicas";
        let scales = self.subresource.as_deref() == Some(SCALE)
            && (name == "kube-controller-manager" || name.contains("autoscaler"));
        is_scaled && (scales || name.starts_with("keda"))
            || name.starts_with("vpa-") && pointer.contains("/resources")
    }

    /// What people call it. The autoscaler that sets the field is named where it is known.
    pub(crate) fn words(&self, pointer: &str, autoscaler: KnownAutoscaler<'_>) -> String {
        let name = &self.name;
        if self.kind(pointer) == WriterKind::Autoscaler {
            let autoscaler = autoscaler.words();
            return autoscaler.map_or_else(|| name.clone(), |words| format!("{name} ({words})"));
        }
        let is_applied = self.operation == "Apply";
        match name.strip_prefix("kubectl") {
            Some("") if self.subresource.as_deref() == Some(SCALE) => "kubectl scale".to_owned(),
            Some("") if is_applied => "kubectl apply --server-side".to_owned(),
            Some("-client-side-apply") => "kubectl apply".to_owned(),
            Some(verb) if verb.starts_with('-') => format!("kubectl {}", &verb[1..]),
            Some(_) => name.clone(),
            None => match name.strip_prefix("terraform-provider-") {
                Some(_) => format!("terraform ({name})"),
                None if name == "HashiCorp" => "terraform (HashiCorp)".to_owned(),
                None => name.clone(),
            },
        }
    }
}

fn is_controller(name: &str) -> bool {
    let says_so = ["controller", "operator", "webhook"];
    says_so.iter().any(|word| name.contains(word))
        || name.ends_with("manager")
        || CONTROLLERS.iter().any(|known| name.starts_with(known)) && !name.starts_with("kubectl")
}

#[cfg(test)]
mod tests {
    use super::super::autoscaler::Autoscaler;
    use super::*;

    fn manager(name: &str, operation: &str, subresource: &str) -> Manager {
        Manager::of(FieldManager {
            manager: name,
            operation,
            subresource,
            time: None,
        })
    }

    #[test]
    fn a_manager_is_called_what_people_call_it() {
        for (name, operation, subresource, said) in [
            ("kubectl-edit", "Update", "", "kubectl edit"),
            ("kubectl-client-side-apply", "Update", "", "kubectl apply"),
            ("kubectl", "Apply", "", "kubectl apply --server-side"),
            ("kubectl", "Update", "scale", "kubectl scale"),
            ("kubectl", "Update", "", "kubectl"),
            ("kubectl-label", "Update", "", "kubectl label"),
            ("kubectlx", "Update", "", "kubectlx"),
            ("argocd-controller", "Apply", "", "argocd-controller"),
            ("helm", "Update", "", "helm"),
            (
                "kube-controller-manager",
                "Update",
                "scale",
                "kube-controller-manager (HPA cart)",
            ),
            (
                "terraform-provider-helm_v2.17.0_x5",
                "Update",
                "",
                "terraform (terraform-provider-helm_v2.17.0_x5)",
            ),
        ] {
            let manager = manager(name, operation, subresource);
            let cart = KnownAutoscaler::Named(Autoscaler::Horizontal, "cart");
            assert_eq!(manager.words("/spec/replicas", cart), said);
        }
    }

    #[test]
    fn an_autoscaler_that_is_not_there_is_not_named() {
        let manager = manager("kube-controller-manager", "Update", "scale");
        let words = |known| manager.words("/spec/replicas", known);
        let name = "kube-controller-manager";
        assert_eq!(words(KnownAutoscaler::Absent), name);
        let unsought = words(KnownAutoscaler::Unsought);
        assert_eq!(unsought, format!("{name} (an autoscaler)"));
    }

    #[test]
    fn autoscalers_are_told_from_people_who_scale() {
        let kind = |name, subresource| manager(name, "Update", subresource).kind("/spec/replicas");
        assert_eq!(
            kind("kube-controller-manager", "scale"),
            WriterKind::Autoscaler
        );
        assert_eq!(kind("keda-operator", "scale"), WriterKind::Autoscaler);
        assert_eq!(kind("kube-controller-manager", ""), WriterKind::Controller);
        assert_eq!(kind("kubectl", "scale"), WriterKind::Hand);
        let elsewhere = manager("kube-controller-manager", "Update", "scale").kind("/spec/paused");
        assert_eq!(elsewhere, WriterKind::Controller);
    }

    #[test]
    fn controllers_are_told_from_people() {
        let kind = |name| manager(name, "Update", "").kind("/metadata/labels/x");
        for name in [
            "deployment-controller",
            "cert-manager-webhook",
            "kubelet",
            "prometheus-operator",
            "external-secrets",
            "kube-apiserver",
        ] {
            assert_eq!(kind(name), WriterKind::Controller, "{name}");
        }
        for name in [
            "kubectl-edit",
            "helm",
            "Mozilla",
            "k9s",
            "team-a",
            "kubectl",
        ] {
            assert_eq!(kind(name), WriterKind::Hand, "{name}");
        }
        assert_eq!(kind("argocd-controller"), WriterKind::ArgoCd);
    }
}
