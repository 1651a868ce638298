//! How Argo CD marks what belongs to an Application.

use serde_json::{Map, Value};

const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
const INSTALLATION_ID: &str = "argocd.argoproj.io/installation-id";
/// The label that Argo CD used at first, which it puts on pod templates as well.
const LEGACY_LABEL: &str = "applications.argoproj.io/app-name";
const DEFAULT_LABEL: &str = "app.kubernetes.io/instance";

/// The longest value of a label, in bytes.
const LABEL_LENGTH: usize = 63;

/// How an installation of Argo CD marks objects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tracking {
    method: Method,
    label: String,
    installation: Option<String>,
}

/// `application.resourceTrackingMethod`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Method {
    Annotation,
    AnnotationAndLabel,
    Label,
}

/// An object cannot be marked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TrackingError {
    /// Its metadata, labels or annotations are not what they are to be.
    #[error("{field} is not a mapping of texts")]
    NotAMapping {
        /// Which of them.
        field: &'static str,
    },
    /// No part of the Application's name may end a label.
    #[error("the name of the Application cannot be a label's value")]
    Label,
}

impl Default for Tracking {
    /// By annotation, as an empty `argocd-cm` has it since 3.0.
    fn default() -> Self {
        Tracking {
            method: Method::Annotation,
            label: DEFAULT_LABEL.to_owned(),
            installation: None,
        }
    }
}

impl Tracking {
    /// What `argocd-cm` says, by its keys.
    pub fn of<'c>(setting: impl Fn(&str) -> Option<&'c str>) -> Self {
        let nonempty = |key| setting(key).filter(|value| !value.is_empty());
        let method = match setting("application.resourceTrackingMethod") {
            Some("label") => Method::Label,
            Some("annotation+label") => Method::AnnotationAndLabel,
            _ => Method::Annotation,
        };
        let label = nonempty("application.instanceLabelKey").unwrap_or(DEFAULT_LABEL);
        Tracking {
            method,
            label: label.to_owned(),
            installation: nonempty("installationID").map(str::to_owned),
        }
    }

    /// The label by which objects are, or were, marked.
    pub fn label_key(&self) -> &str {
        &self.label
    }

    /// Whether nothing but a label marks objects.
    pub fn is_by_label(&self) -> bool {
        self.method == Method::Label
    }

    /// Marks an object as an Application's (Argo CD 3.6, `resourceTracking.SetAppInstance`).
    /// `application` is its name, with its namespace and an underscore before it where that is not
    /// the control plane's; `namespace` is where an object goes that names none.
    ///
    /// # Errors
    /// Its metadata cannot be read.
    pub fn mark(
        &self,
        object: &mut Value,
        application: &str,
        namespace: &str,
    ) -> Result<(), TrackingError> {
        if self.method == Method::Label {
            return self.label(object, application);
        }
        let id = tracking_id(object, application, namespace);
        let annotations = texts(object, "annotations")?;
        match &self.installation {
            Some(installation) => {
                annotations.insert(INSTALLATION_ID.to_owned(), installation.as_str().into());
            }
            None => {
                annotations.remove(INSTALLATION_ID);
            }
        }
        annotations.insert(TRACKING_ID.to_owned(), id.into());
        if self.method == Method::AnnotationAndLabel {
            let value = truncated(application).ok_or(TrackingError::Label)?;
            self.label(object, value)?;
        }
        Ok(())
    }

    fn label(&self, object: &mut Value, value: &str) -> Result<(), TrackingError> {
        texts(object, "labels")?.insert(self.label.clone(), value.into());
        if self.label == LEGACY_LABEL && has_marked_pods(object) {
            let template = object
                .pointer_mut("/spec/template")
                .filter(|one| one.is_object());
            let template = template.ok_or(TrackingError::NotAMapping {
                field: "spec.template",
            })?;
            texts(template, "labels")?.insert(self.label.clone(), value.into());
        }
        Ok(())
    }

    /// The Application that a live object is marked as belonging to (`GetAppName`).
    pub fn application<'o>(&self, object: &'o Value) -> Option<&'o str> {
        let metadata = object.get("metadata")?;
        if self.method == Method::Label {
            let label = metadata.get("labels")?.get(&self.label)?.as_str()?;
            return (!label.is_empty()).then_some(label);
        }
        let annotations = metadata.get("annotations")?;
        let annotation = |name: &str| annotations.get(name).and_then(Value::as_str);
        let is_ours = self.installation.as_deref();
        if is_ours.is_some_and(|own| annotation(INSTALLATION_ID) != Some(own)) {
            return None;
        }
        application_of(annotation(TRACKING_ID)?)
    }
}

/// `NAME:GROUP/KIND:NAMESPACE/NAME`.
fn tracking_id(object: &Value, application: &str, namespace: &str) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let version = text("/apiVersion").unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = text("/kind").unwrap_or_default();
    let own = text("/metadata/namespace").filter(|own| !own.is_empty());
    let namespace = own.unwrap_or(namespace);
    let name = text("/metadata/name").unwrap_or_default();
    format!("{application}:{group}/{kind}:{namespace}/{name}")
}

/// The Application of a tracking id, if it is one (`ParseAppInstanceValue`).
fn application_of(id: &str) -> Option<&str> {
    let mut parts = id.splitn(3, ':');
    let (application, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
    let has_two_parts = |text: &str| text.split('/').count() == 2;
    let is_one = has_two_parts(kind) && has_two_parts(name) && !application.is_empty();
    is_one.then_some(application)
}

/// The labels or annotations of an object, which are made if they are not there.
fn texts<'o>(
    object: &'o mut Value,
    field: &'static str,
) -> Result<&'o mut Map<String, Value>, TrackingError> {
    let not_a_mapping = || TrackingError::NotAMapping { field };
    let members = object.as_object_mut().ok_or_else(not_a_mapping)?;
    let metadata = mapping(members, "metadata").ok_or_else(not_a_mapping)?;
    let texts = mapping(metadata, field).ok_or_else(not_a_mapping)?;
    if texts.values().any(|value| !value.is_string()) {
        return Err(not_a_mapping());
    }
    Ok(texts)
}

/// A member that is a mapping; an empty one where there is none.
fn mapping<'o>(
    members: &'o mut Map<String, Value>,
    name: &str,
) -> Option<&'o mut Map<String, Value>> {
    let member = members.entry(name).or_insert(Value::Null);
    if member.is_null() {
        *member = Value::Object(Map::new());
    }
    member.as_object_mut()
}

/// The longest start of a value that may be a label's (`TruncateLabel`).
fn truncated(value: &str) -> Option<&str> {
    if value.len() <= LABEL_LENGTH {
        return Some(value);
    }
    let start = &value.as_bytes()[..LABEL_LENGTH];
    let end = start.iter().rposition(u8::is_ascii_alphanumeric)?;
    value.get(..=end)
}

/// Whether Argo CD puts its label on the pods of an object, too.
fn has_marked_pods(object: &Value) -> bool {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let group = text("/apiVersion").and_then(|version| version.split('/').next());
    matches!(
        (group, text("/kind")),
        (
            Some("apps" | "extensions"),
            Some("Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet"),
        ) | (Some("batch"), Some("Job"))
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn tracking(settings: &[(&str, &str)]) -> Tracking {
        let settings: BTreeMap<_, _> = settings.iter().copied().collect();
        Tracking::of(|key| settings.get(key).copied())
    }

    fn deployment() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cart"},
            "spec": {"template": {"metadata": {"labels": {"app": "cart"}}}},
        })
    }

    fn marked(settings: &[(&str, &str)], application: &str) -> Value {
        let tracking = tracking(settings);
        let mut object = deployment();
        tracking.mark(&mut object, application, "shop").unwrap();
        let label = truncated(application).unwrap();
        let is_known = [Some(application), Some(label)];
        assert!(is_known.contains(&tracking.application(&object)));
        object
    }

    #[test]
    fn objects_are_marked_by_an_annotation_unless_settings_say_otherwise() {
        let object = marked(&[], "shop_cart");
        let expected = json!({TRACKING_ID: "shop_cart:apps/Deployment:shop/cart"});
        assert_eq!(object["metadata"]["annotations"], expected);
        assert_eq!(object["metadata"].get("labels"), None);
        assert_eq!(Tracking::default(), tracking(&[]));

        let object = marked(&[("installationID", "blue")], "cart");
        assert_eq!(object["metadata"]["annotations"][INSTALLATION_ID], "blue");
        assert_eq!(
            tracking(&[("installationID", "green")]).application(&object),
            None
        );

        let object = marked(&[("application.resourceTrackingMethod", "label")], "cart");
        assert_eq!(object["metadata"]["labels"], json!({DEFAULT_LABEL: "cart"}));
        assert_eq!(object["metadata"].get("annotations"), None);

        let both = ("application.resourceTrackingMethod", "annotation+label");
        let long = format!("{}-x", "a".repeat(62));
        let object = marked(&[both, ("application.instanceLabelKey", "app")], &long);
        assert_eq!(object["metadata"]["labels"]["app"], "a".repeat(62));
    }

    #[test]
    fn anything_but_label_marks_by_annotation() {
        for method in ["annotation", "annotation+label", "bogus", ""] {
            let tracking = tracking(&[
                ("application.resourceTrackingMethod", method),
                ("application.instanceLabelKey", "x/y"),
            ]);
            assert!(!tracking.is_by_label());
            assert_eq!(tracking.label_key(), "x/y");
        }
        let tracking = tracking(&[("application.resourceTrackingMethod", "label")]);
        assert!(tracking.is_by_label());
        assert_eq!(tracking.label_key(), DEFAULT_LABEL);
    }

    #[test]
    fn the_first_label_is_on_pods_as_well() {
        let settings = [
            ("application.resourceTrackingMethod", "label"),
            ("application.instanceLabelKey", LEGACY_LABEL),
        ];
        let object = marked(&settings, "cart");
        let labels = &object["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels, &json!({"app": "cart", LEGACY_LABEL: "cart"}));
    }

    #[test]
    fn what_is_no_tracking_id_names_nobody() {
        for id in [
            "",
            "cart",
            "cart:apps/Deployment",
            ":apps/D:n/x",
            "cart:D:n/x",
            "a:b/c:d/e/f",
        ] {
            let object = json!({"metadata": {"annotations": {TRACKING_ID: id}}});
            assert_eq!(Tracking::default().application(&object), None, "{id}");
        }
    }

    #[test]
    fn metadata_of_another_shape_is_told() {
        for object in [
            json!({"metadata": 1}),
            json!({"metadata": {"annotations": []}}),
            json!({"metadata": {"annotations": {"a": 1}}}),
            json!([]),
        ] {
            let error = Tracking::default().mark(&mut object.clone(), "cart", "shop");
            assert!(error.is_err(), "{object}");
        }
        let mut object = json!({"kind": "A", "metadata": {"annotations": null, "name": "a"}});
        assert_eq!(
            Tracking::default().mark(&mut object, "cart", "shop"),
            Ok(())
        );
    }
}
