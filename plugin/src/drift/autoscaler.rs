//! Which autoscaler scales an object: of those that Argo CD deploys, or of all on a cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ResourceDrift;

/// An object that is scaled: cluster, namespace, kind, name.
type Scaled = (String, String, String, String);

/// A kind of autoscaler. Those that are set up by people come before those that others make.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Autoscaler {
    /// A `ScaledObject` of KEDA's, which makes a `HorizontalPodAutoscaler`.
    Keda,
    /// Kubernetes' own.
    Horizontal,
    /// It sets requests and limits, and no replicas.
    Vertical,
}

impl Autoscaler {
    /// All that there are.
    pub(crate) const ALL: [Autoscaler; 3] = [
        Autoscaler::Keda,
        Autoscaler::Horizontal,
        Autoscaler::Vertical,
    ];

    /// Its API group and its kind.
    pub(crate) fn group_and_kind(self) -> (&'static str, &'static str) {
        match self {
            Autoscaler::Keda => ("keda.sh", "ScaledObject"),
            Autoscaler::Horizontal => ("autoscaling", "HorizontalPodAutoscaler"),
            Autoscaler::Vertical => ("autoscaling.k8s.io", "VerticalPodAutoscaler"),
        }
    }

    /// The one of a group and a kind, if it is one.
    pub(crate) fn of_kind(group: &str, kind: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.group_and_kind() == (group, kind))
    }

    /// What people call it.
    fn short(self) -> &'static str {
        match self {
            Autoscaler::Keda => "KEDA",
            Autoscaler::Horizontal => "HPA",
            Autoscaler::Vertical => "VPA",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Autoscaler::Keda | Autoscaler::Horizontal => "/spec/scaleTargetRef",
            Autoscaler::Vertical => "/spec/targetRef",
        }
    }

    /// Whether it sets a field of what it scales.
    fn sets(self, pointer: &str) -> bool {
        match self {
            Autoscaler::Keda | Autoscaler::Horizontal => pointer == "/spec/replicas",
            Autoscaler::Vertical => pointer.contains("/resources"),
        }
    }
}

/// Autoscalers by what they scale.
#[derive(Clone, Debug, Default)]
pub(crate) struct Autoscalers {
    by_scaled: BTreeMap<Scaled, BTreeMap<Autoscaler, String>>,
    /// Clusters of which all are known, and not only those that Argo CD deploys.
    complete: BTreeSet<String>,
}

/// What is known of the autoscaler that sets a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KnownAutoscaler<'a> {
    /// It is this one.
    Named(Autoscaler, &'a str),
    /// There may be one that Argo CD does not deploy.
    Unsought,
    /// There is none on the cluster.
    Absent,
}

/// What scales one object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScaledBy<'a> {
    autoscalers: Option<&'a BTreeMap<Autoscaler, String>>,
    is_complete: bool,
}

impl<'a> ScaledBy<'a> {
    /// What is known of the one that sets a field.
    pub(crate) fn of_field(self, pointer: &str) -> KnownAutoscaler<'a> {
        let mut all = self.autoscalers.into_iter().flatten();
        match all.find(|(autoscaler, _)| autoscaler.sets(pointer)) {
            Some((autoscaler, name)) => KnownAutoscaler::Named(*autoscaler, name),
            None if self.is_complete => KnownAutoscaler::Absent,
            None => KnownAutoscaler::Unsought,
        }
    }
}

impl ScaledBy<'_> {
    /// What people call the one that comes first, such as `HPA cart`.
    pub(crate) fn named(self) -> Option<String> {
        let (autoscaler, name) = self.autoscalers?.first_key_value()?;
        KnownAutoscaler::Named(*autoscaler, name).words()
    }
}

impl KnownAutoscaler<'_> {
    /// What people call it, such as `HPA cart`; None where there is none.
    pub(crate) fn words(self) -> Option<String> {
        match self {
            KnownAutoscaler::Named(autoscaler, name) => {
                Some(format!("{} {name}", autoscaler.short()))
            }
            KnownAutoscaler::Unsought => Some("an autoscaler".to_owned()),
            KnownAutoscaler::Absent => None,
        }
    }
}

impl Autoscalers {
    /// Adds an object of a cluster, if its kind is one of an autoscaler.
    pub(crate) fn add(&mut self, cluster: &str, group: &str, kind: &str, object: &Value) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let autoscaler = Autoscaler::of_kind(group, kind);
        let Some((autoscaler, name)) = autoscaler.zip(text("/metadata/name")) else {
            return;
        };
        let target = autoscaler.target();
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
            let known = self.by_scaled.entry(scaled).or_default();
            known.insert(autoscaler, name.to_owned());
        }
    }

    /// Adds one by what people call it, such as `HPA cart`, and what it scales.
    pub(crate) fn insert(&mut self, scaled: [&str; 4], words: &str) {
        let Some((short, name)) = words.split_once(' ') else {
            return;
        };
        let mut all = Autoscaler::ALL.into_iter();
        if let Some(autoscaler) = all.find(|one| one.short() == short) {
            let known = self.by_scaled.entry(scaled.map(str::to_owned).into());
            known.or_default().insert(autoscaler, name.to_owned());
        }
    }

    /// Notes that all of a cluster are known.
    pub(crate) fn are_all_of(&mut self, cluster: &str) {
        self.complete.insert(cluster.to_owned());
    }

    /// Adds those that others found.
    pub(crate) fn extend(&mut self, others: Autoscalers) {
        for (scaled, autoscalers) in others.by_scaled {
            self.by_scaled
                .entry(scaled)
                .or_default()
                .extend(autoscalers);
        }
        self.complete.extend(others.complete);
    }

    /// What scales a resource of a cluster.
    pub(crate) fn of(&self, cluster: &str, resource: &ResourceDrift) -> ScaledBy<'_> {
        let ResourceDrift {
            namespace,
            kind,
            name,
            ..
        } = resource;
        let scaled = [cluster, namespace, kind, name].map(str::to_owned).into();
        ScaledBy {
            autoscalers: self.by_scaled.get(&scaled),
            is_complete: self.complete.contains(cluster),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Cause;
    use super::*;

    fn resource(kind: &str, name: &str) -> ResourceDrift {
        ResourceDrift {
            group: "apps".to_owned(),
            version: None,
            kind: kind.to_owned(),
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            cause: Cause::Unknown,
            effect: None,
            refusal: None,
            fields: Vec::new(),
            sides: None,
            written: None,
        }
    }

    fn known() -> Autoscalers {
        let mut all = Autoscalers::default();
        let about = json!({"name": "x", "namespace": "shop"});
        for (autoscaler, field, target) in [
            (
                Autoscaler::Horizontal,
                "scaleTargetRef",
                json!({"kind": "Deployment", "name": "cart"}),
            ),
            (
                Autoscaler::Keda,
                "scaleTargetRef",
                json!({"name": "orders"}),
            ),
            (
                Autoscaler::Horizontal,
                "scaleTargetRef",
                json!({"kind": "Deployment", "name": "orders"}),
            ),
            (
                Autoscaler::Vertical,
                "targetRef",
                json!({"kind": "StatefulSet", "name": "db"}),
            ),
        ] {
            let (group, kind) = autoscaler.group_and_kind();
            let object = json!({"metadata": about, "spec": {field: target}});
            all.add("prod", group, kind, &object);
        }
        // Of another group, and so another kind.
        let other = json!({"metadata": about, "spec": {"scaleTargetRef": {"name": "other"}}});
        all.add("prod", "example.com", "ScaledObject", &other);
        all.add("prod", "keda.sh", "ScaledObject", &json!({"spec": 7}));
        all
    }

    #[test]
    fn an_autoscaler_is_found_by_what_it_scales() {
        let all = known();
        let words = |cluster: &str, kind: &str, name: &str, pointer: &str| {
            let scaled = all.of(cluster, &resource(kind, name));
            scaled.of_field(pointer).words().unwrap_or_default()
        };
        let replicas = "/spec/replicas";
        let limits = "/spec/template/spec/containers/0/resources/limits/cpu";
        assert_eq!(words("prod", "Deployment", "cart", replicas), "HPA x");
        // KEDA makes a HorizontalPodAutoscaler of its own.
        assert_eq!(words("prod", "Deployment", "orders", replicas), "KEDA x");
        assert_eq!(words("prod", "StatefulSet", "db", limits), "VPA x");
        let unsought = "an autoscaler";
        assert_eq!(words("prod", "StatefulSet", "db", replicas), unsought);
        assert_eq!(words("prod", "Deployment", "cart", limits), unsought);
        assert_eq!(words("prod", "Deployment", "other", replicas), unsought);
        assert_eq!(words("staging", "Deployment", "cart", replicas), unsought);
    }

    #[test]
    fn where_all_are_known_there_may_be_none() {
        let mut all = known();
        all.are_all_of("prod");
        let known = |cluster: &str, name: &str| {
            let scaled = all.of(cluster, &resource("Deployment", name));
            scaled.of_field("/spec/replicas")
        };
        assert_eq!(known("prod", "other"), KnownAutoscaler::Absent);
        assert_eq!(known("staging", "other"), KnownAutoscaler::Unsought);
        let cart = KnownAutoscaler::Named(Autoscaler::Horizontal, "x");
        assert_eq!(known("prod", "cart"), cart);
    }
}
