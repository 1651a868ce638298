//! The defaults of the built-in kinds.
//!
//! Follows the functions `SetDefaults_…` in `pkg/apis/*/*/defaults.go` of Kubernetes, and the
//! markers `+default` of its types, with the feature gates as they are by default. Each belongs to
//! a type, and is set wherever a kind holds that type, from the outside in.
//!
//! Argo CD's scheme has no defaults for `resource.k8s.io`. What a pod as a whole requests is not
//! worked out from its containers (`defaultPodRequests`).

mod functions;
mod image;

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::decode::rounded;
use super::table::{Scheme, Type};

/// The members of a struct.
type Members = Map<String, Value>;

/// A default for each place, set where there is nothing.
type Places = &'static [(&'static str, &'static str)];

const FAIL: (&str, &str) = ("failurePolicy", r#""Fail""#);
const EQUIVALENT: (&str, &str) = ("matchPolicy", r#""Equivalent""#);
const NAMESPACES: (&str, &str) = ("namespaceSelector", "{}");
const OBJECTS: (&str, &str) = ("objectSelector", "{}");
const MODE: Places = &[("defaultMode", "420")];
const MATCH: Places = &[EQUIVALENT, NAMESPACES, OBJECTS];
const POLICY: Places = &[FAIL];
const CONTAINER: Places = &[
    ("terminationMessagePath", r#""/dev/termination-log""#),
    ("terminationMessagePolicy", r#""File""#),
];
const TCP: Places = &[("protocol", r#""TCP""#)];
const RBD: Places = &[
    ("user", r#""admin""#),
    ("pool", r#""rbd""#),
    ("keyring", r#""/etc/ceph/keyring""#),
];
const SCALE_IO: Places = &[
    ("storageMode", r#""ThinProvisioned""#),
    ("fsType", r#""xfs""#),
];
const ISCSI: Places = &[("iscsiInterface", r#""default""#)];
const QUEUING: Places = &[
    ("handSize", "8"),
    ("queues", "64"),
    ("queueLengthLimit", "50"),
];
const EXEMPT: Places = &[("nominalConcurrencyShares", "0"), ("lendablePercent", "0")];
const FLOW_SCHEMA: Places = &[("matchingPrecedence", "1000")];
const PRIORITY_CLASS: Places = &[("preemptionPolicy", r#""PreemptLowerPriority""#)];
const STORAGE_CLASS: Places = &[
    ("reclaimPolicy", r#""Delete""#),
    ("volumeBindingMode", r#""Immediate""#),
];
const CSI_DRIVER: Places = &[
    ("spec.attachRequired", "true"),
    ("spec.podInfoOnMount", "false"),
    ("spec.storageCapacity", "false"),
    ("spec.fsGroupPolicy", r#""ReadWriteOnceWithFSType""#),
    ("spec.requiresRepublish", "false"),
    ("spec.seLinuxMount", "false"),
];
const ROLE_REF: Places = &[("roleRef.apiGroup", r#""rbac.authorization.k8s.io""#)];
const PATH_TYPE: Places = &[("pathType", r#""ImplementationSpecific""#)];
const CRON_JOB: Places = &[
    ("spec.concurrencyPolicy", r#""Allow""#),
    ("spec.suspend", "false"),
    ("spec.successfulJobsHistoryLimit", "3"),
    ("spec.failedJobsHistoryLimit", "1"),
];
const DEPLOYMENT: Places = &[
    ("spec.replicas", "1"),
    ("spec.strategy.type", r#""RollingUpdate""#),
    ("spec.progressDeadlineSeconds", "600"),
    ("spec.revisionHistoryLimit", "10"),
];
const ONE_REPLICA: Places = &[("spec.replicas", "1")];
const DAEMON_SET: Places = &[
    ("spec.updateStrategy.type", r#""RollingUpdate""#),
    ("spec.revisionHistoryLimit", "10"),
];
const RETENTION: [(&str, &str); 2] = [
    (
        "spec.persistentVolumeClaimRetentionPolicy.whenDeleted",
        r#""Retain""#,
    ),
    (
        "spec.persistentVolumeClaimRetentionPolicy.whenScaled",
        r#""Retain""#,
    ),
];
const STATEFUL_SET: Places = &[
    ("spec.podManagementPolicy", r#""OrderedReady""#),
    RETENTION[0],
    RETENTION[1],
    ("spec.replicas", "1"),
    ("spec.revisionHistoryLimit", "10"),
];
const ENDPOINT_PORT: Places = &[("name", r#""""#), ("protocol", r#""TCP""#)];

/// Those that depend on nothing else.
const PLAIN: &[(&str, Places)] = &[
    (
        "admissionregistration/v1.ValidatingWebhook",
        &[
            FAIL,
            EQUIVALENT,
            NAMESPACES,
            OBJECTS,
            ("timeoutSeconds", "10"),
        ],
    ),
    (
        "admissionregistration/v1.MutatingWebhook",
        &[
            FAIL,
            EQUIVALENT,
            NAMESPACES,
            OBJECTS,
            ("timeoutSeconds", "10"),
            ("reinvocationPolicy", r#""Never""#),
        ],
    ),
    (
        "admissionregistration/v1beta1.ValidatingWebhook",
        &[
            ("failurePolicy", r#""Ignore""#),
            ("matchPolicy", r#""Exact""#),
            NAMESPACES,
            OBJECTS,
            ("sideEffects", r#""Unknown""#),
            ("timeoutSeconds", "30"),
        ],
    ),
    (
        "admissionregistration/v1beta1.MutatingWebhook",
        &[
            ("failurePolicy", r#""Ignore""#),
            ("matchPolicy", r#""Exact""#),
            NAMESPACES,
            OBJECTS,
            ("sideEffects", r#""Unknown""#),
            ("timeoutSeconds", "30"),
            ("reinvocationPolicy", r#""Never""#),
        ],
    ),
    (
        "admissionregistration/v1.RuleWithOperations",
        &[("scope", r#""*""#)],
    ),
    (
        "admissionregistration/v1.NamedRuleWithOperations",
        &[("scope", r#""*""#)],
    ),
    (
        "admissionregistration/v1alpha1.NamedRuleWithOperations",
        &[("scope", r#""*""#)],
    ),
    (
        "admissionregistration/v1beta1.NamedRuleWithOperations",
        &[("scope", r#""*""#)],
    ),
    (
        "admissionregistration/v1.ServiceReference",
        &[("port", "443")],
    ),
    (
        "admissionregistration/v1beta1.ServiceReference",
        &[("port", "443")],
    ),
    (
        "admissionregistration/v1.ValidatingAdmissionPolicySpec",
        POLICY,
    ),
    (
        "admissionregistration/v1beta1.ValidatingAdmissionPolicySpec",
        POLICY,
    ),
    (
        "admissionregistration/v1alpha1.ValidatingAdmissionPolicySpec",
        POLICY,
    ),
    (
        "admissionregistration/v1.MutatingAdmissionPolicySpec",
        POLICY,
    ),
    (
        "admissionregistration/v1beta1.MutatingAdmissionPolicySpec",
        POLICY,
    ),
    (
        "admissionregistration/v1alpha1.MutatingAdmissionPolicySpec",
        POLICY,
    ),
    ("admissionregistration/v1.MatchResources", MATCH),
    ("admissionregistration/v1beta1.MatchResources", MATCH),
    ("admissionregistration/v1alpha1.MatchResources", MATCH),
    (
        "admissionregistration/v1alpha1.ParamRef",
        &[("parameterNotFoundAction", r#""Deny""#)],
    ),
    ("apps/v1.Deployment", DEPLOYMENT),
    ("apps/v1beta2.Deployment", DEPLOYMENT),
    (
        "apps/v1beta1.Deployment",
        &[
            ("spec.replicas", "1"),
            ("spec.strategy.type", r#""RollingUpdate""#),
            ("spec.progressDeadlineSeconds", "600"),
            ("spec.revisionHistoryLimit", "2"),
        ],
    ),
    (
        "extensions/v1beta1.Deployment",
        &[
            ("spec.replicas", "1"),
            ("spec.strategy.type", r#""RollingUpdate""#),
            ("spec.progressDeadlineSeconds", "2147483647"),
            ("spec.revisionHistoryLimit", "2147483647"),
        ],
    ),
    ("apps/v1.ReplicaSet", ONE_REPLICA),
    ("apps/v1beta2.ReplicaSet", ONE_REPLICA),
    ("extensions/v1beta1.ReplicaSet", ONE_REPLICA),
    ("core/v1.ReplicationController", ONE_REPLICA),
    ("apps/v1.DaemonSet", DAEMON_SET),
    ("apps/v1beta2.DaemonSet", DAEMON_SET),
    (
        "extensions/v1beta1.DaemonSet",
        &[
            ("spec.updateStrategy.type", r#""OnDelete""#),
            ("spec.revisionHistoryLimit", "10"),
        ],
    ),
    ("apps/v1.StatefulSet", STATEFUL_SET),
    ("apps/v1beta2.StatefulSet", STATEFUL_SET),
    (
        "apps/v1beta1.StatefulSet",
        &[
            ("spec.podManagementPolicy", r#""OrderedReady""#),
            ("spec.updateStrategy.type", r#""OnDelete""#),
            RETENTION[0],
            RETENTION[1],
            ("spec.replicas", "1"),
            ("spec.revisionHistoryLimit", "10"),
        ],
    ),
    (
        "authentication/v1.TokenRequestSpec",
        &[("expirationSeconds", "3600")],
    ),
    (
        "autoscaling/v1.HorizontalPodAutoscaler",
        &[("spec.minReplicas", "1")],
    ),
    (
        "autoscaling/v2.HorizontalPodAutoscaler",
        &[("spec.minReplicas", "1")],
    ),
    ("batch/v1.CronJob", CRON_JOB),
    ("batch/v1beta1.CronJob", CRON_JOB),
    (
        "batch/v1.PodFailurePolicyOnPodConditionsPattern",
        &[("status", r#""True""#)],
    ),
    (
        "certificates/v1beta1.CertificateSigningRequestSpec",
        &[("usages", r#"["digital signature", "key encipherment"]"#)],
    ),
    (
        "certificates/v1beta1.CertificateSigningRequestCondition",
        &[("status", r#""True""#)],
    ),
    (
        "certificates/v1beta1.PodCertificateRequestSpec",
        &[("maxExpirationSeconds", "86400")],
    ),
    ("core/v1.Container", CONTAINER),
    ("core/v1.EphemeralContainer", CONTAINER),
    ("core/v1.ContainerPort", TCP),
    ("core/v1.EndpointPort", TCP),
    ("core/v1.GRPCAction", &[("service", r#""""#)]),
    ("core/v1.FileKeySelector", &[("optional", "false")]),
    ("core/v1.ScaleIOVolumeSource", SCALE_IO),
    ("core/v1.ScaleIOPersistentVolumeSource", SCALE_IO),
    ("core/v1.RBDVolumeSource", RBD),
    ("core/v1.RBDPersistentVolumeSource", RBD),
    ("core/v1.ISCSIVolumeSource", ISCSI),
    ("core/v1.ISCSIPersistentVolumeSource", ISCSI),
    (
        "core/v1.AzureDiskVolumeSource",
        &[
            ("cachingMode", r#""ReadWrite""#),
            ("fsType", r#""ext4""#),
            ("readOnly", "false"),
            ("kind", r#""Shared""#),
        ],
    ),
    ("core/v1.Pod", &[("spec.enableServiceLinks", "true")]),
    (
        "core/v1.PodSpec",
        &[
            ("dnsPolicy", r#""ClusterFirst""#),
            ("restartPolicy", r#""Always""#),
            ("securityContext", "{}"),
            ("terminationGracePeriodSeconds", "30"),
            ("schedulerName", r#""default-scheduler""#),
        ],
    ),
    (
        "core/v1.Probe",
        &[
            ("timeoutSeconds", "1"),
            ("periodSeconds", "10"),
            ("successThreshold", "1"),
            ("failureThreshold", "3"),
        ],
    ),
    ("core/v1.SecretVolumeSource", MODE),
    ("core/v1.ConfigMapVolumeSource", MODE),
    ("core/v1.DownwardAPIVolumeSource", MODE),
    ("core/v1.ProjectedVolumeSource", MODE),
    ("core/v1.Secret", &[("type", r#""Opaque""#)]),
    (
        "core/v1.ServiceAccountTokenProjection",
        &[("expirationSeconds", "3600")],
    ),
    (
        "core/v1.PersistentVolume",
        &[
            ("status.phase", r#""Pending""#),
            ("spec.persistentVolumeReclaimPolicy", r#""Retain""#),
            ("spec.volumeMode", r#""Filesystem""#),
        ],
    ),
    (
        "core/v1.PersistentVolumeClaim",
        &[("status.phase", r#""Pending""#)],
    ),
    (
        "core/v1.PersistentVolumeClaimSpec",
        &[("volumeMode", r#""Filesystem""#)],
    ),
    (
        "core/v1.HTTPGetAction",
        &[("path", r#""/""#), ("scheme", r#""HTTP""#)],
    ),
    ("core/v1.NamespaceStatus", &[("phase", r#""Active""#)]),
    ("core/v1.ObjectFieldSelector", &[("apiVersion", r#""v1""#)]),
    ("core/v1.ConfigMap", &[("data", "{}")]),
    ("core/v1.HostPathVolumeSource", &[("type", r#""""#)]),
    ("discovery/v1.EndpointPort", ENDPOINT_PORT),
    ("discovery/v1beta1.EndpointPort", ENDPOINT_PORT),
    ("extensions/v1beta1.HTTPIngressPath", PATH_TYPE),
    ("networking/v1beta1.HTTPIngressPath", PATH_TYPE),
    ("flowcontrol/v1.FlowSchemaSpec", FLOW_SCHEMA),
    ("flowcontrol/v1beta1.FlowSchemaSpec", FLOW_SCHEMA),
    ("flowcontrol/v1beta2.FlowSchemaSpec", FLOW_SCHEMA),
    ("flowcontrol/v1beta3.FlowSchemaSpec", FLOW_SCHEMA),
    ("flowcontrol/v1.ExemptPriorityLevelConfiguration", EXEMPT),
    (
        "flowcontrol/v1beta1.ExemptPriorityLevelConfiguration",
        EXEMPT,
    ),
    (
        "flowcontrol/v1beta2.ExemptPriorityLevelConfiguration",
        EXEMPT,
    ),
    (
        "flowcontrol/v1beta3.ExemptPriorityLevelConfiguration",
        EXEMPT,
    ),
    (
        "flowcontrol/v1.LimitedPriorityLevelConfiguration",
        &[("nominalConcurrencyShares", "30"), ("lendablePercent", "0")],
    ),
    (
        "flowcontrol/v1beta1.LimitedPriorityLevelConfiguration",
        &[("assuredConcurrencyShares", "30"), ("lendablePercent", "0")],
    ),
    (
        "flowcontrol/v1beta2.LimitedPriorityLevelConfiguration",
        &[("assuredConcurrencyShares", "30"), ("lendablePercent", "0")],
    ),
    (
        "flowcontrol/v1beta3.LimitedPriorityLevelConfiguration",
        &[("lendablePercent", "0")],
    ),
    ("flowcontrol/v1.QueuingConfiguration", QUEUING),
    ("flowcontrol/v1beta1.QueuingConfiguration", QUEUING),
    ("flowcontrol/v1beta2.QueuingConfiguration", QUEUING),
    ("flowcontrol/v1beta3.QueuingConfiguration", QUEUING),
    ("networking/v1.NetworkPolicyPort", TCP),
    ("rbac/v1.ClusterRoleBinding", ROLE_REF),
    ("rbac/v1.RoleBinding", ROLE_REF),
    ("rbac/v1beta1.ClusterRoleBinding", ROLE_REF),
    ("rbac/v1beta1.RoleBinding", ROLE_REF),
    ("rbac/v1alpha1.ClusterRoleBinding", ROLE_REF),
    ("rbac/v1alpha1.RoleBinding", ROLE_REF),
    ("scheduling/v1.PriorityClass", PRIORITY_CLASS),
    ("scheduling/v1beta1.PriorityClass", PRIORITY_CLASS),
    ("storage/v1.StorageClass", STORAGE_CLASS),
    ("storage/v1beta1.StorageClass", STORAGE_CLASS),
    ("storage/v1.CSIDriver", CSI_DRIVER),
    ("storage/v1beta1.CSIDriver", CSI_DRIVER),
];

/// Packages whose kinds have no defaults, though what they hold would have some elsewhere.
const WITHOUT: [&str; 3] = ["node/v1.", "node/v1beta1.", "node/v1alpha1."];

/// A path and what is set there.
type Default = (Vec<&'static str>, Value);

static BY_TYPE: LazyLock<HashMap<usize, Vec<Default>>> = LazyLock::new(|| {
    let scheme = Scheme::kubernetes();
    let places = |places: Places| {
        let place = |(path, default): &(&'static str, &str)| {
            let default = serde_json::from_str(default).unwrap_or_default();
            (path.split('.').collect(), default)
        };
        places.iter().map(place).collect()
    };
    PLAIN
        .iter()
        .filter_map(|(name, of)| Some((scheme.named(name)?, places(of))))
        .collect()
});

/// Sets the defaults in a value of the Go type of a kind.
pub(in crate::comparison) fn set_defaults(kind: usize, typed: &mut Value) {
    let name = Scheme::kubernetes().get(kind).name;
    if !WITHOUT.iter().any(|package| name.starts_with(package)) {
        walk(&Type::Struct(kind), typed);
    }
}

fn walk(of: &Type, typed: &mut Value) {
    match (of, typed) {
        (Type::Pointer(of), typed) if !typed.is_null() => walk(of, typed),
        (Type::List(of), Value::Array(items)) => {
            for item in items {
                walk(of, item);
            }
        }
        (Type::Map(of), Value::Object(members)) => {
            for member in members.values_mut() {
                walk(of, member);
            }
        }
        (Type::ResourceList, Value::Object(members)) => {
            for quantity in members.values_mut() {
                if let Some(text) = quantity.as_str().and_then(rounded) {
                    *quantity = Value::String(text);
                }
            }
        }
        (Type::Struct(number), Value::Object(members)) => {
            let of = Scheme::kubernetes().get(*number);
            for (path, default) in BY_TYPE.get(number).into_iter().flatten() {
                set(members, path, default);
            }
            functions::set(of.name, members);
            for field in &of.fields {
                match (&field.of, members.get_mut(field.name)) {
                    (_, Some(member)) => walk(&field.of, member),
                    // A struct that is empty is there nevertheless.
                    (Type::Struct(_), None) => {
                        let mut empty = json!({});
                        walk(&field.of, &mut empty);
                        if empty.as_object().is_some_and(|members| !members.is_empty()) {
                            members.insert(field.name.to_owned(), empty);
                        }
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// Sets a default where there is nothing. On the way are structs, which are always there.
fn set(members: &mut Members, path: &[&str], default: &Value) {
    match path {
        [name] => {
            if !members.contains_key(*name) {
                members.insert((*name).to_owned(), default.clone());
            }
        }
        [name, rest @ ..] => {
            let below = members.entry(*name).or_insert_with(|| json!({}));
            if let Value::Object(below) = below {
                set(below, rest, default);
            }
        }
        [] => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A misspelt type or field would be a default that is never set.
    #[test]
    fn every_default_is_that_of_a_type_and_of_a_field() {
        let scheme = Scheme::kubernetes();
        for (name, places) in PLAIN {
            let Some(number) = scheme.named(name) else {
                continue;
            };
            for (path, default) in *places {
                serde_json::from_str::<Value>(default).unwrap();
                let mut of = scheme.get(number);
                let mut names = path.split('.').peekable();
                while let Some(field) = names.next() {
                    let field = of
                        .exact_field(field)
                        .unwrap_or_else(|| panic!("{name} {path}"));
                    if names.peek().is_some() {
                        let inner = match &field.of {
                            Type::Pointer(inner) => inner,
                            other => other,
                        };
                        let Type::Struct(number) = inner else {
                            panic!("{name} {path}");
                        };
                        of = scheme.get(*number);
                    }
                }
            }
        }
        let unknown: Vec<&str> = PLAIN
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| scheme.named(name).is_none())
            .collect();
        assert_eq!(unknown, Vec::<&str>::new());
    }
}
