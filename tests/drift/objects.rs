//! Objects of built-in kinds with lists, maps, quantities and ports of all sorts.

use serde_json::{Value, json};

/// One of each kind. Their names are given later.
pub(crate) fn all() -> Vec<Value> {
    let mut all = workloads();
    all.extend(others());
    for object in &mut all {
        object["metadata"]["labels"]["team"] = json!("shop");
        object["metadata"]["annotations"]["example.com/owner"] = json!("shop");
    }
    all
}

fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "edited"}, "annotations": {"checksum": "1"}},
        "spec": {
            "serviceAccountName": "default",
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
            "initContainers": [{"name": "init", "image": "init:1", "command": ["sh", "-c", "true"]}],
            "containers": [
                {
                    "name": "web",
                    "image": "web:1",
                    "args": ["serve", "--verbose"],
                    "env": [
                        {"name": "A", "value": "1"},
                        {"name": "B", "value": "2"},
                        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    ],
                    "ports": [
                        {"name": "http", "containerPort": 80},
                        {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                    ],
                    "resources": {
                        "limits": {"cpu": "1", "memory": "64Mi"},
                        "requests": {"cpu": "100m", "memory": "64Mi"},
                    },
                    "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
                    "volumeMounts": [{"name": "config", "mountPath": "/config", "readOnly": true}],
                    "securityContext": {"runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}},
                },
                {"name": "sidecar", "image": "sidecar:1", "imagePullPolicy": "Always"},
            ],
            "volumes": [
                {"name": "config", "configMap": {"name": "config", "items": [
                    {"key": "a", "path": "a"}, {"key": "b", "path": "b"},
                ]}},
                {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
            ],
        },
    })
}

fn workloads() -> Vec<Value> {
    let selector = json!({"matchLabels": {"app": "edited"}});
    let mut pods = template();
    pods["spec"]["restartPolicy"] = json!("Never");
    vec![
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "spec": {
                "replicas": 2, "selector": selector, "template": template(),
                "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}},
            },
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "spec": {
                "replicas": 1, "serviceName": "edited", "selector": selector,
                "template": template(), "updateStrategy": {"type": "RollingUpdate"},
            },
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "spec": {"selector": selector, "template": template(), "minReadySeconds": 3},
        }),
        json!({
            "apiVersion": "batch/v1", "kind": "CronJob",
            "spec": {
                "schedule": "0 3 * * *", "suspend": true, "concurrencyPolicy": "Forbid",
                "jobTemplate": {"spec": {"backoffLimit": 2, "template": pods}},
            },
        }),
    ]
}

fn others() -> Vec<Value> {
    let selector = json!({"matchLabels": {"app": "edited"}});
    vec![
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "b": "2"}}),
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "data": {"a": "YQ==", "b": "Yg=="},
        }),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "spec": {
                "selector": {"app": "edited"},
                "ports": [
                    {"name": "http", "port": 80, "targetPort": "http"},
                    {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
                ],
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": false,
            "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
        }),
        json!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "spec": {"hard": {"pods": "100", "requests.memory": "1Gi", "requests.cpu": "100m"}},
        }),
        json!({
            "apiVersion": "v1", "kind": "LimitRange",
            "spec": {"limits": [{"type": "Container", "default": {"memory": "64Mi"}}]},
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "rules": [
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
                {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
            ],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "edited",
            },
            "subjects": [
                {"kind": "ServiceAccount", "name": "default", "namespace": "shop"},
                {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"},
            ],
        }),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "spec": {
                "podSelector": selector,
                "policyTypes": ["Ingress"],
                "ingress": [{
                    "from": [
                        {"podSelector": {"matchLabels": {"app": "a"}}},
                        {"ipBlock": {"cidr": "10.0.0.0/8"}},
                    ],
                    "ports": [{"port": 80, "protocol": "TCP"}],
                }],
            },
        }),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "spec": {
                "ingressClassName": "nginx",
                "tls": [{"hosts": ["a.example.com"], "secretName": "tls"}],
                "rules": [{"host": "a.example.com", "http": {"paths": [{
                    "path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": "edited", "port": {"number": 80}}},
                }]}}],
            },
        }),
        json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "spec": {"minAvailable": "50%", "selector": selector},
        }),
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "spec": {
                "minReplicas": 2, "maxReplicas": 5,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "edited"},
                "metrics": [{"type": "Resource", "resource": {
                    "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80},
                }}],
            },
        }),
    ]
}
