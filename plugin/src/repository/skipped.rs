//! Files that are not judged, and why.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use golang::yaml;
use serde_json::Value;

use super::path::name_of;

/// Why a file is not judged.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Reason {
    /// It holds no object of Argo CD.
    WithoutObject,
    /// It is neither YAML nor JSON, and nothing in it looks like an object of Argo CD.
    Unparsable,
    /// It is not text, and nothing in it looks like an object of Argo CD.
    NotText,
    /// It has the mark by which Argo CD leaves a file out.
    Marked,
    /// Kustomize merges it into other objects.
    Patch,
    /// It is a template of a Helm chart.
    Template,
    /// The same, and its text has objects of Argo CD, or makes them.
    TemplateWithObjects {
        /// The folder of the chart.
        chart: PathBuf,
    },
    /// It has values from which a Helm chart makes objects of Argo CD.
    ValuesWithObjects {
        /// The folder of the chart, if it lies in one.
        chart: Option<PathBuf>,
    },
}

impl Reason {
    /// The name of the reason in JSON.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Reason::WithoutObject => "without-object",
            Reason::Unparsable => "unparsable",
            Reason::NotText => "not-text",
            Reason::Marked => "marked",
            Reason::Patch => "patch",
            Reason::Template => "template",
            Reason::TemplateWithObjects { .. } => "template-with-objects",
            Reason::ValuesWithObjects { .. } => "values-with-objects",
        }
    }

    /// Whether objects that Argo CD would get are not judged because of it.
    pub(crate) fn hides_objects(&self) -> bool {
        matches!(
            self,
            Reason::TemplateWithObjects { .. } | Reason::ValuesWithObjects { .. }
        )
    }

    /// What renders the objects that are hidden.
    pub(crate) fn command(&self) -> Option<String> {
        let helm = |chart: &str| format!("helm template {chart} | kubectl gitops check -");
        match self {
            Reason::TemplateWithObjects { chart }
            | Reason::ValuesWithObjects { chart: Some(chart) } => Some(helm(&quoted(chart))),
            Reason::ValuesWithObjects { chart: None } => Some(helm("CHART --values FILE")),
            _ => None,
        }
    }
}

/// A path as a shell reads it as one word.
pub(crate) fn quoted(path: &Path) -> String {
    let text = match name_of(path) {
        text if text.is_empty() => ".".to_owned(),
        text => text,
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A file that is not judged.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Skipped {
    pub(crate) reason: Reason,
    pub(crate) file: Arc<str>,
}

/// The mark by which Argo CD leaves out a file of a directory of manifests
/// (`skipFileRenderingMarker`, v3.5.7, reposerver/repository/repository.go).
const SKIP_MARK: &str = "+argocd:skip-file-rendering";

/// Whether Argo CD leaves a file with this text out.
pub(super) fn is_marked(text: &str) -> bool {
    text.contains(SKIP_MARK)
}

/// What stands in the text of every object that is judged or says something about the fleet.
const SIGNS: [&str; 3] = ["argoproj.io", "kubectl-gitops.io", "argocd-cm"];

/// Whether a text may hold an object of Argo CD, or one of ours, or one whose API group may be
/// misspelt. If not, it need not be parsed: a name can be written otherwise only by escapes.
pub(super) fn may_hold_objects(text: &str) -> bool {
    SIGNS.iter().any(|sign| text.contains(sign))
        || has_escaped_characters(text)
        || values_of(text, "kind").any(|kind| KINDS.contains(&kind.trim_end_matches("List")))
}

fn has_escaped_characters(text: &str) -> bool {
    [r"\u", r"\U", r"\x"]
        .iter()
        .any(|escape| text.contains(escape))
}

/// The kinds that are ours whatever else is in a file.
const KINDS: [&str; 4] = [
    "Application",
    "ApplicationSet",
    "AppProject",
    "GitOpsPolicy",
];
/// Kinds that are ours with a label or a name, which stands in the same text.
const KINDS_WITH: [(&str, &str); 3] = [
    ("Secret", "argocd.argoproj.io/secret-type"),
    ("ConfigMap", "argocd-cm"),
    ("List", "argoproj.io"),
];

/// Whether a text that cannot be parsed looks like an object of Argo CD, or one of ours. The test
/// is Argo CD's own for manifests in general (`getObjsFromYAMLOrJSON`, v3.5.7,
/// reposerver/repository/repository.go: does the text have `apiVersion:`, `kind:` and
/// `metadata:`?), with our kinds, and for JSON as well.
pub(super) fn looks_like_objects(text: &str) -> bool {
    SIGNS.iter().any(|sign| text.contains(sign))
        && ["apiVersion", "metadata"]
            .iter()
            .all(|key| values_of(text, key).next().is_some())
        && values_of(text, "kind").any(|kind| {
            let item = kind.strip_suffix("List").filter(|item| !item.is_empty());
            let kind = item.unwrap_or(kind);
            KINDS.contains(&kind)
                || KINDS_WITH
                    .iter()
                    .any(|(own, sign)| *own == kind && text.contains(sign))
        })
}

/// The words that follow a key and a colon, as far as they can be told without parsing.
fn values_of<'t>(text: &'t str, key: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices(key).filter_map(move |(at, _)| {
        let rest = text.get(at + key.len()..)?;
        let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest).trim_start();
        let value = rest.strip_prefix(':')?.trim_start();
        let value = value.strip_prefix(['"', '\'']).unwrap_or(value);
        let end = value
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(value.len());
        value.get(..end)
    })
}

/// Whether a text has values from which a chart makes Applications. Only a text that may is parsed.
pub(super) fn holds_values(text: &str) -> bool {
    ["destination", "repoURL"]
        .iter()
        .all(|key| text.contains(key))
        && yaml::documents(text)
            .filter_map(Result::ok)
            .any(|document| {
                document.value.get("apiVersion").is_none() && holds_applications(&document.value)
            })
}

/// Whether values have something from which a chart makes Applications: mappings with a
/// destination, and a source or sources, as an Application's `spec`.
fn holds_applications(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            let has = |key: &str| members.get(key).is_some_and(|value| !value.is_null());
            has("destination") && (has("source") || has("sources") || has("repoURL"))
                || members.values().any(holds_applications)
        }
        Value::Array(items) => items.iter().any(holds_applications),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_looks_like_an_object_of_argo_cd_is_told_from_other_objects() {
        let object = |group: &str, kind: &str| {
            format!("{{% if x %}}\napiVersion: {group}\nkind: {kind}\nmetadata:\n  name: a\n")
        };
        for kind in [
            "Application",
            "'ApplicationSet'",
            "\"AppProject\"",
            "ApplicationList",
        ] {
            assert!(
                looks_like_objects(&object("argoproj.io/v1alpha1", kind)),
                "{kind}"
            );
        }
        assert!(looks_like_objects(&object(
            "kubectl-gitops.io/v1alpha1",
            "GitOpsPolicy"
        )));
        for (group, kind) in [
            ("argoproj.io/v1alpha1", "Rollout"),
            ("argoproj.io/v1alpha1", "Workflow"),
            ("app.k8s.io/v1beta1", "Application"),
            ("v1", "Secret"),
            ("v1", "List"),
        ] {
            assert!(!looks_like_objects(&object(group, kind)), "{group} {kind}");
        }
        let labelled =
            object("v1", "Secret") + "  labels: {argocd.argoproj.io/secret-type: cluster";
        assert!(looks_like_objects(&labelled));
        assert!(looks_like_objects(
            &object("v1", "ConfigMap").replace("name: a", "name: argocd-cm")
        ));
        let json = r#"{"apiVersion":"argoproj.io/v1alpha1","kind" : "Application","metadata":{"#;
        assert!(looks_like_objects(json));
        assert!(!looks_like_objects("the kind: Application of argoproj.io"));
    }

    #[test]
    fn a_text_with_escapes_may_hold_anything() {
        assert!(!may_hold_objects("kind: Deployment"));
        assert!(may_hold_objects(
            "apiVersion: argproj.io/v1alpha1\nkind: Application"
        ));
        assert!(may_hold_objects(
            r#"{"apiVersion": "\u0061rgoproj.io/v1alpha1"}"#
        ));
    }

    #[test]
    fn values_hold_applications_at_any_depth() {
        let application = json!({"destination": {"name": "prod"}, "source": {"repoURL": "x"}});
        assert!(holds_applications(
            &json!({"chart": {"applications": {"shop": application}}})
        ));
        assert!(holds_applications(
            &json!([{"sources": [], "destination": {}}])
        ));
        assert!(!holds_applications(
            &json!({"destination": "x", "replicas": 1})
        ));
        assert!(!holds_applications(
            &json!({"destination": null, "source": {}})
        ));
    }

    #[test]
    fn a_path_is_one_word_to_a_shell() {
        assert_eq!(quoted(Path::new("charts/shop")), "charts/shop");
        assert_eq!(quoted(Path::new("")), ".");
        assert_eq!(quoted(Path::new("it's; rm")), r"'it'\''s; rm'");
    }
}
