//! The defaults that depend on something else.

use serde_json::{Value, json};

use super::image::is_latest;
use super::{Members, set as set_at};

/// The volume sources, of which a volume without any is an `emptyDir`.
const NOT_SOURCES: [&str; 1] = ["name"];

/// Sets the defaults of a type that depend on what else is in it.
pub(super) fn set(name: &str, members: &mut Members) {
    match name {
        "core/v1.Container" | "core/v1.EphemeralContainer" => {
            pull_policy(members, "image", "imagePullPolicy");
        }
        "core/v1.ImageVolumeSource" => pull_policy(members, "reference", "pullPolicy"),
        "core/v1.Volume" => volume(members),
        "core/v1.ReplicationController" => replication_controller(members),
        "core/v1.Service" => service(members),
        "core/v1.Pod" => pod(members),
        "core/v1.Namespace" => namespace(members),
        "core/v1.NodeStatus" => node_status(members),
        "core/v1.LimitRangeItem" => limit_range_item(members),
        "apps/v1.Deployment" | "apps/v1beta2.Deployment" => {
            rolling_deployment(members, "25%".into());
        }
        "apps/v1beta1.Deployment" => {
            labels_of_template(members, true);
            rolling_deployment(members, "25%".into());
        }
        "extensions/v1beta1.Deployment" => {
            labels_of_template(members, true);
            let strategy = members.get("spec").and_then(|spec| spec.get("strategy"));
            if strategy.is_some_and(|strategy| strategy.get("rollingUpdate").is_some()) {
                roll(
                    members,
                    "strategy",
                    &["maxUnavailable", "maxSurge"],
                    &[1.into(), 1.into()],
                );
            }
            rolling_deployment(members, 1.into());
        }
        "extensions/v1beta1.ReplicaSet" => labels_of_template(members, true),
        "apps/v1.DaemonSet" | "apps/v1beta2.DaemonSet" => rolling_daemon_set(members),
        "extensions/v1beta1.DaemonSet" => {
            labels_of_template(members, true);
            rolling_daemon_set(members);
        }
        "apps/v1.StatefulSet" | "apps/v1beta2.StatefulSet" => {
            stateful_set(members);
            partition(members);
        }
        "apps/v1beta1.StatefulSet" => {
            labels_of_template(members, true);
            partition(members);
        }
        "autoscaling/v2.HorizontalPodAutoscaler" => autoscaler(members),
        "batch/v1.Job" => job(members),
        "networking/v1.NetworkPolicy" | "extensions/v1beta1.NetworkPolicy" => {
            network_policy(members);
        }
        "networking/v1.IngressClass" => {
            if let Some(Value::Object(parameters)) = at(members, &["spec", "parameters"]) {
                set_at(parameters, &["scope"], &"Cluster".into());
            }
        }
        "rbac/v1.Subject" | "rbac/v1beta1.Subject" | "rbac/v1alpha1.Subject" => {
            subject(members, name);
        }
        "storage/v1.CSIDriver" | "storage/v1beta1.CSIDriver" => {
            set_if_empty(members, &["spec", "volumeLifecycleModes"], || {
                json!(["Persistent"])
            });
        }
        "admissionregistration/v1beta1.ValidatingWebhook"
        | "admissionregistration/v1beta1.MutatingWebhook" => {
            set_if_empty(members, &["admissionReviewVersions"], || json!(["v1beta1"]));
        }
        "flowcontrol/v1beta3.PriorityLevelConfiguration" => priority_level(members),
        _ => {}
    }
}

/// What is at a path of members.
fn at<'m>(members: &'m mut Members, path: &[&str]) -> Option<&'m mut Value> {
    let (first, rest) = path.split_first()?;
    let first = members.get_mut(*first)?;
    rest.iter()
        .try_fold(first, |value, name| value.get_mut(*name))
}

fn has_text(members: &mut Members, path: &[&str], text: &str) -> bool {
    at(members, path).is_some_and(|value| value.as_str() == Some(text))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Sets a list or a map that has nothing in it.
fn set_if_empty(members: &mut Members, path: &[&str], default: impl FnOnce() -> Value) {
    match at(members, path) {
        Some(value) if !is_empty(value) => {}
        Some(value) => *value = default(),
        None => set_at(members, path, &default()),
    }
}

fn pull_policy(members: &mut Members, image: &str, policy: &str) {
    if !members.contains_key(policy) {
        let image = members
            .get(image)
            .and_then(Value::as_str)
            .unwrap_or_default();
        let default = if is_latest(image) {
            "Always"
        } else {
            "IfNotPresent"
        };
        members.insert(policy.to_owned(), default.into());
    }
}

fn volume(members: &mut Members) {
    if members
        .keys()
        .all(|name| NOT_SOURCES.contains(&name.as_str()))
    {
        members.insert("emptyDir".to_owned(), json!({}));
    }
}

/// The labels of the pods, of which the object gets its own, and its selector.
fn labels_of_template(members: &mut Members, selects: bool) {
    let labels = at(members, &["spec", "template", "metadata", "labels"]).cloned();
    let Some(labels) = labels.filter(Value::is_object) else {
        return;
    };
    if selects {
        set_at(
            members,
            &["spec", "selector"],
            &json!({"matchLabels": labels}),
        );
    }
    set_if_empty(members, &["metadata", "labels"], || labels);
}

fn replication_controller(members: &mut Members) {
    let labels = at(members, &["spec", "template", "metadata", "labels"]).cloned();
    if let Some(labels) = labels.filter(Value::is_object) {
        set_if_empty(members, &["spec", "selector"], || labels.clone());
        set_if_empty(members, &["metadata", "labels"], || labels);
    }
}

fn service(members: &mut Members) {
    let spec = members.entry("spec").or_insert_with(|| json!({}));
    let Value::Object(spec) = spec else {
        return;
    };
    set_at(spec, &["sessionAffinity"], &"None".into());
    if has_text(spec, &["sessionAffinity"], "None") {
        spec.remove("sessionAffinityConfig");
    } else if has_text(spec, &["sessionAffinity"], "ClientIP") {
        let timeout = ["sessionAffinityConfig", "clientIP", "timeoutSeconds"];
        if at(spec, &timeout).is_none() {
            let config = json!({"clientIP": {"timeoutSeconds": 10_800}});
            spec.insert("sessionAffinityConfig".to_owned(), config);
        }
    }
    set_at(spec, &["type"], &"ClusterIP".into());
    for port in spec
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Value::Object(port) = port {
            set_at(port, &["protocol"], &"TCP".into());
            let target = port.get("targetPort");
            if target.is_none_or(|target| target == "" || target == 0)
                && let Some(number) = port.get("port").cloned()
            {
                port.insert("targetPort".to_owned(), number);
            }
        }
    }
    let of = spec
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let is_cluster_ip = of == "ClusterIP";
    let is_open = of == "LoadBalancer" || of == "NodePort";
    let has_addresses = spec
        .get("externalIPs")
        .is_some_and(|addresses| !is_empty(addresses));
    if is_open || is_cluster_ip && has_addresses {
        set_at(spec, &["externalTrafficPolicy"], &"Cluster".into());
    }
    if is_open || is_cluster_ip {
        set_at(spec, &["internalTrafficPolicy"], &"Cluster".into());
    }
    if of == "LoadBalancer" {
        set_at(spec, &["allocateLoadBalancerNodePorts"], &true.into());
        let ingress = at(members, &["status", "loadBalancer", "ingress"]);
        for ingress in ingress.and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(ingress) = ingress
                && ingress.contains_key("ip")
            {
                set_at(ingress, &["ipMode"], &"VIP".into());
            }
        }
    }
}

fn pod(members: &mut Members) {
    let Some(Value::Object(spec)) = members.get_mut("spec") else {
        return;
    };
    let uses_host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
        {
            requests_of_limits(container);
            if uses_host {
                host_ports(container);
            }
        }
    }
}

/// What is limited is requested.
fn requests_of_limits(container: &mut Members) {
    let limits = at(container, &["resources", "limits"])
        .and_then(|limits| limits.as_object())
        .cloned();
    if let Some(limits) = limits {
        set_at(container, &["resources", "requests"], &json!({}));
        if let Some(Value::Object(requests)) = at(container, &["resources", "requests"]) {
            add_missing(requests, limits);
        }
    }
}

fn add_missing(to: &mut Members, from: Members) {
    for (name, value) in from {
        to.entry(name).or_insert(value);
    }
}

fn host_ports(container: &mut Members) {
    let ports = container.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(number) = port.get("containerPort").cloned() {
            set_at(port, &["hostPort"], &number);
        }
    }
}

fn namespace(members: &mut Members) {
    if let Some(name) = at(members, &["metadata", "name"]).cloned() {
        set_at(members, &["metadata", "labels"], &json!({}));
        if let Some(Value::Object(labels)) = at(members, &["metadata", "labels"]) {
            labels.insert("kubernetes.io/metadata.name".to_owned(), name);
        }
    }
}

fn node_status(members: &mut Members) {
    if let Some(capacity) = members.get("capacity").cloned() {
        set_at(members, &["allocatable"], &capacity);
    }
}

fn limit_range_item(members: &mut Members) {
    if !has_text(members, &["type"], "Container") {
        return;
    }
    let list = |members: &Members, name: &str| -> Members {
        let list = members.get(name).and_then(Value::as_object);
        list.cloned().unwrap_or_default()
    };
    let mut default = list(members, "default");
    add_missing(&mut default, list(members, "max"));
    let mut request = list(members, "defaultRequest");
    add_missing(&mut request, default.clone());
    add_missing(&mut request, list(members, "min"));
    members.insert("default".to_owned(), Value::Object(default));
    members.insert("defaultRequest".to_owned(), Value::Object(request));
}

/// The parameters of a rolling update.
fn roll(members: &mut Members, strategy: &str, names: &[&str], defaults: &[Value]) {
    for (name, default) in names.iter().zip(defaults) {
        set_at(members, &["spec", strategy, "rollingUpdate", name], default);
    }
}

fn rolling_deployment(members: &mut Members, at_once: Value) {
    if has_text(members, &["spec", "strategy", "type"], "RollingUpdate") {
        roll(
            members,
            "strategy",
            &["maxUnavailable", "maxSurge"],
            &[at_once.clone(), at_once],
        );
    }
}

fn rolling_daemon_set(members: &mut Members) {
    if has_text(
        members,
        &["spec", "updateStrategy", "type"],
        "RollingUpdate",
    ) {
        roll(
            members,
            "updateStrategy",
            &["maxUnavailable", "maxSurge"],
            &[1.into(), 0.into()],
        );
    }
}

fn stateful_set(members: &mut Members) {
    if at(members, &["spec", "updateStrategy", "type"]).is_none() {
        set_at(
            members,
            &["spec", "updateStrategy", "type"],
            &"RollingUpdate".into(),
        );
        set_at(
            members,
            &["spec", "updateStrategy", "rollingUpdate"],
            &json!({}),
        );
    }
}

fn partition(members: &mut Members) {
    if has_text(
        members,
        &["spec", "updateStrategy", "type"],
        "RollingUpdate",
    ) && let Some(Value::Object(rolling)) =
        at(members, &["spec", "updateStrategy", "rollingUpdate"])
    {
        set_at(rolling, &["partition"], &0.into());
    }
}

fn autoscaler(members: &mut Members) {
    set_if_empty(members, &["spec", "metrics"], || {
        json!([{
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
        }])
    });
    let Some(Value::Object(behavior)) = at(members, &["spec", "behavior"]) else {
        return;
    };
    let up = json!({
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ],
    });
    let down = json!({
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    });
    for (name, defaults) in [("scaleUp", up), ("scaleDown", down)] {
        let rules = behavior.entry(name).or_insert_with(|| json!({}));
        if let (Value::Object(rules), Value::Object(defaults)) = (rules, defaults) {
            add_missing(rules, defaults);
        }
    }
}

fn job(members: &mut Members) {
    labels_of_template(members, false);
    let spec = members.entry("spec").or_insert_with(|| json!({}));
    let Value::Object(spec) = spec else {
        return;
    };
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        spec.insert("completions".to_owned(), 1.into());
    }
    let backoff = if spec.contains_key("backoffLimitPerIndex") {
        i32::MAX
    } else {
        6
    };
    let replaced = if spec.contains_key("podFailurePolicy") {
        "Failed"
    } else {
        "TerminatingOrFailed"
    };
    for (name, default) in [
        ("parallelism", 1.into()),
        ("backoffLimit", backoff.into()),
        ("completionMode", "NonIndexed".into()),
        ("suspend", false.into()),
        ("podReplacementPolicy", replaced.into()),
        ("manualSelector", false.into()),
    ] {
        set_at(spec, &[name], &default);
    }
}

fn network_policy(members: &mut Members) {
    let has_egress = at(members, &["spec", "egress"]).is_some_and(|egress| !is_empty(egress));
    set_if_empty(members, &["spec", "policyTypes"], || {
        if has_egress {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        }
    });
}

fn subject(members: &mut Members, name: &str) {
    let kind = members.get("kind").and_then(Value::as_str);
    let default = match (name, kind) {
        ("rbac/v1alpha1.Subject", Some("ServiceAccount")) => ("apiVersion", "v1"),
        ("rbac/v1alpha1.Subject", Some("User" | "Group")) => {
            ("apiVersion", "rbac.authorization.k8s.io/v1alpha1")
        }
        (_, Some("User" | "Group")) => ("apiGroup", "rbac.authorization.k8s.io"),
        _ => return,
    };
    set_at(members, &[default.0], &default.1.into());
}

fn priority_level(members: &mut Members) {
    let preserve = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";
    let preserves = at(members, &["metadata", "annotations", preserve]).is_some();
    if let Some(Value::Object(limited)) = at(members, &["spec", "limited"])
        && !preserves
    {
        set_at(limited, &["nominalConcurrencyShares"], &30.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_defaults(name: &str, members: Value) -> Value {
        let Value::Object(mut members) = members else {
            unreachable!();
        };
        set(name, &mut members);
        Value::Object(members)
    }

    #[test]
    fn a_volume_without_a_source_is_an_empty_dir() {
        let volume = with_defaults("core/v1.Volume", json!({"name": "x"}));
        assert_eq!(volume, json!({"name": "x", "emptyDir": {}}));
        let volume = with_defaults("core/v1.Volume", json!({"name": "x", "hostPath": {}}));
        assert!(volume.get("emptyDir").is_none());
    }

    #[test]
    fn a_job_that_runs_in_parallel_has_no_number_of_completions() {
        let job = with_defaults("batch/v1.Job", json!({"spec": {"parallelism": 2}}));
        assert!(job["spec"].get("completions").is_none());
        let job = with_defaults("batch/v1.Job", json!({}));
        assert_eq!(job["spec"]["completions"], 1);
    }

    #[test]
    fn what_a_limit_range_limits_is_the_default() {
        let item = json!({"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}});
        let item = with_defaults("core/v1.LimitRangeItem", item);
        assert_eq!(item["default"], json!({"cpu": "2"}));
        assert_eq!(item["defaultRequest"], json!({"cpu": "2", "memory": "1Mi"}));
    }
}
