//! Which autoscaler scales an object, of those that Argo CD deploys as well.

use std::collections::BTreeMap;

use serde_json::Value;

use super::managed_resources::is_scaler;

/// An object that is scaled: cluster, namespace, kind, name.
type Scaled = (String, String, String, String);

/// Autoscalers by what they scale. One that nobody deploys by Argo CD is not among them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Autoscalers(BTreeMap<Scaled, String>);

impl Autoscalers {
    /// Adds an object of a cluster, if it is an autoscaler.
    pub(crate) fn add(&mut self, cluster: &str, object: &Value) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let Some((kind, name)) = text("/kind")
            .filter(|kind| is_scaler(kind))
            .zip(text("/metadata/name"))
        else {
            return;
        };
        let (what, target) = match kind {
            "HorizontalPodAutoscaler" => ("HPA", "/spec/scaleTargetRef"),
            "VerticalPodAutoscaler" => ("VPA", "/spec/targetRef"),
            _ => ("KEDA", "/spec/scaleTargetRef"),
        };
        let target_name = text(&format!("{target}/name"));
        // KEDA's default is a Deployment.
        let target_kind = text(&format!("{target}/kind")).unwrap_or("Deployment");
        if let Some(target_name) = target_name {
            let scaled = (
                cluster.to_owned(),
                text("/metadata/namespace").unwrap_or_default().to_owned(),
                target_kind.to_owned(),
                target_name.to_owned(),
            );
            self.0.insert(scaled, format!("{what} {name}"));
        }
    }

    /// Adds one by its words, such as `HPA cart`, and what it scales.
    pub(crate) fn insert(&mut self, scaled: [&str; 4], words: String) {
        self.0.insert(scaled.map(str::to_owned).into(), words);
    }

    /// Adds those that others found.
    pub(crate) fn extend(&mut self, others: Autoscalers) {
        self.0.extend(others.0);
    }

    /// Which one scales an object, such as `HPA cart`.
    pub(crate) fn of(
        &self,
        cluster: &str,
        namespace: &str,
        kind: &str,
        name: &str,
    ) -> Option<&str> {
        let scaled = [cluster, namespace, kind, name].map(str::to_owned).into();
        self.0.get(&scaled).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_autoscaler_is_found_by_what_it_scales() {
        let mut all = Autoscalers::default();
        let scaler = |kind: &str, field: &str, target: Value| json!({"kind": kind, "metadata": {"name": "x", "namespace": "shop"}, "spec": {field: target}});
        for object in [
            scaler(
                "HorizontalPodAutoscaler",
                "scaleTargetRef",
                json!({"kind": "Deployment", "name": "cart"}),
            ),
            scaler("ScaledObject", "scaleTargetRef", json!({"name": "orders"})),
            scaler(
                "VerticalPodAutoscaler",
                "targetRef",
                json!({"kind": "StatefulSet", "name": "db"}),
            ),
            scaler("Deployment", "scaleTargetRef", json!({"name": "other"})),
            json!({"kind": "ScaledObject", "spec": 7}),
        ] {
            all.add("prod", &object);
        }
        let of = |kind, name| all.of("prod", "shop", kind, name);
        assert_eq!(of("Deployment", "cart"), Some("HPA x"));
        assert_eq!(of("Deployment", "orders"), Some("KEDA x"));
        assert_eq!(of("StatefulSet", "db"), Some("VPA x"));
        assert_eq!(of("Deployment", "other"), None);
        assert_eq!(all.of("staging", "shop", "Deployment", "cart"), None);
    }
}
