//! How automated sync is switched on in the ApplicationSet of an addon: for all of its
//! Applications, or for those of some clusters.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use argocd::Application;
use argocd::application::{AutomatedSync, EnabledField};
use golang::yaml::{self, Document};
use policy::{Inventory, Level};
use serde_json::{Value, json};

use crate::check;
use crate::namespaces::Namespaces;
use crate::repository::manifests_of;

/// What Argo CD does by itself: it applies what Git says, and puts back what others change. It
/// deletes nothing.
pub(crate) fn automated() -> Value {
    json!({"prune": false, "selfHeal": true})
}

/// The same in a file.
const AUTOMATED: &str = "automated: {prune: false, selfHeal: true}";

/// For which clusters it is switched on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum For {
    All,
    /// Those of these names in Argo CD.
    Clusters(BTreeSet<String>),
}

/// An ApplicationSet cannot be changed here.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum EditError {
    #[error("there is not one ApplicationSet in it that can be read")]
    NotOne,
    #[error("spec.templatePatch: there is another one already")]
    OtherPatch,
    #[error("spec.goTemplate: it is not true, and only then a patch can name clusters")]
    NoGoTemplate,
    #[error("spec.template.spec.syncPolicy: it is not written line by line, or is not there")]
    NotBlock,
}

/// Whether an Application as its JSON has it syncs by itself.
pub(crate) fn is_automated(application: &str) -> bool {
    let Ok(application) = Application::from_json(application) else {
        return false;
    };
    let policy = application.spec.sync_policy();
    let sync = policy.automated_sync(EnabledField::Supported);
    matches!(sync, AutomatedSync::On { .. })
}

/// Why an Application may not sync by itself, by the rules: what they find that they do not find
/// without it. What they cannot decide counts. None where it may.
pub(crate) fn forbidden(
    application: &str,
    inventory: &Inventory,
    namespaces: Namespaces<'_>,
    now: jiff::Timestamp,
) -> Option<String> {
    let mut with: Value = serde_json::from_str(application).ok()?;
    let mut without = with.clone();
    if let Some(policy) = without
        .pointer_mut("/spec/syncPolicy")
        .and_then(Value::as_object_mut)
    {
        policy.remove("automated");
    }
    let spec = with.get_mut("spec").and_then(Value::as_object_mut)?;
    let policy = spec.entry("syncPolicy").or_insert_with(|| json!({}));
    policy["automated"] = automated();
    let found = |application: &Value| {
        let text = application.to_string();
        let manifests = manifests_of("Application", &text, namespaces);
        let judged = manifests
            .iter()
            .map(|one| check::judge(one, inventory, now));
        let found = judged.filter_map(Result::ok).flat_map(|(found, _)| found);
        let refused = found.filter(|one| one.finding.level() != Level::Warn);
        let told = refused.map(|one| format!("{}: {}", one.finding.rule, one.finding.message));
        told.collect::<BTreeSet<String>>()
    };
    let before = found(&without);
    found(&with).into_iter().find(|one| !before.contains(one))
}

/// The text of a file with an ApplicationSet, with automated sync. All else stays as it is written.
///
/// # Errors
/// It is written in a way that is not edited here.
pub(crate) fn switched_on(text: &str, clusters: &For) -> Result<String, EditError> {
    let documents: Vec<Document> = yaml::documents(text)
        .collect::<Result<_, _>>()
        .map_err(|_| EditError::NotOne)?;
    let is_set = |document: &&Document| document.value["kind"] == "ApplicationSet";
    let mut sets = documents.iter().filter(is_set);
    let (Some(set), None) = (sets.next(), sets.next()) else {
        return Err(EditError::NotOne);
    };
    let mut meant = set.value.clone();
    let edited = match clusters {
        For::All => {
            let policy = meant.pointer_mut("/spec/template/spec/syncPolicy");
            let policy = policy.and_then(Value::as_object_mut);
            let policy = policy.ok_or(EditError::NotBlock)?;
            policy.insert("automated".to_owned(), automated());
            let lines = [AUTOMATED.to_owned()];
            inserted(text, set, "/spec/template/spec/syncPolicy", &lines)?
        }
        For::Clusters(names) => {
            if set.value.pointer("/spec/goTemplate") != Some(&Value::Bool(true)) {
                return Err(EditError::NoGoTemplate);
            }
            let before = set.value.pointer("/spec/templatePatch");
            let (text, mut all) = match before.map(|before| before.as_str().and_then(clusters_of)) {
                None => (text.to_owned(), BTreeSet::new()),
                Some(Some(own)) => (without_patch(text, set)?, own),
                Some(None) => return Err(EditError::OtherPatch),
            };
            all.extend(names.iter().cloned());
            meant["spec"]["templatePatch"] = patch(&all).into();
            let mut lines = vec!["templatePatch: |".to_owned()];
            lines.extend(patch(&all).lines().map(|line| format!("  {line}")));
            let documents: Vec<Document> = yaml::documents(&text).flatten().collect();
            let set = documents.iter().find(is_set).ok_or(EditError::NotOne)?;
            inserted(&text, set, "/spec", &lines)?
        }
    };
    let said: Vec<Value> = yaml::documents(&edited)
        .flatten()
        .map(|document| document.value)
        .collect();
    let meant = documents.iter().map(|document| {
        if is_set(&document) {
            meant.clone()
        } else {
            document.value.clone()
        }
    });
    if meant.eq(said) {
        Ok(edited)
    } else {
        Err(EditError::NotBlock)
    }
}

/// Lines before the first member of a mapping that is written line by line.
fn inserted(
    text: &str,
    document: &Document,
    mapping: &str,
    lines: &[String],
) -> Result<String, EditError> {
    let members = document.value.pointer(mapping).and_then(Value::as_object);
    let line = |name: &&String| document.line_of(&format!("{mapping}/{}", escaped(name)));
    let first = members.and_then(|members| members.keys().map(|name| line(&name)).min());
    let at = first
        .and_then(|line| line.checked_sub(1))
        .ok_or(EditError::NotBlock)?;
    let written: Vec<&str> = text.split_inclusive('\n').collect();
    let first = written.get(at).ok_or(EditError::NotBlock)?;
    let indent = &first[..first.len() - first.trim_start().len()];
    let mut new = String::new();
    for line in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(new, "{}", format!("{indent}{line}").trim_end());
    }
    Ok(format!(
        "{}{new}{}",
        written[..at].concat(),
        written[at..].concat()
    ))
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The text without the patch that was written here before.
fn without_patch(text: &str, document: &Document) -> Result<String, EditError> {
    let at = document.line_of("/spec/templatePatch").checked_sub(1);
    let at = at.ok_or(EditError::OtherPatch)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let head = lines.get(at).ok_or(EditError::OtherPatch)?;
    let indent = head.len() - head.trim_start().len();
    let is_below = |line: &&&str| {
        let own = line.len() - line.trim_start().len();
        line.trim().is_empty() || own > indent
    };
    let count = lines[at + 1..].iter().take_while(is_below).count();
    Ok(lines[..at].concat() + &lines[at + 1 + count..].concat())
}

const HEAD: &str = "{{- if has .name (list ";
const TAIL: &str = ") }}\nspec:\n  syncPolicy:\n    ";
const END: &str = "\n{{- end }}\n";

/// The patch for the Applications of some clusters.
fn patch(clusters: &BTreeSet<String>) -> String {
    let names: Vec<String> = clusters
        .iter()
        .map(|name| Value::from(&**name).to_string())
        .collect();
    format!("{HEAD}{}{TAIL}{AUTOMATED}{END}", names.join(" "))
}

/// The clusters that a patch of ours is for.
fn clusters_of(patch: &str) -> Option<BTreeSet<String>> {
    let names = patch.strip_prefix(HEAD)?.strip_suffix(END)?;
    let names = names.strip_suffix(AUTOMATED)?.strip_suffix(TAIL)?;
    let names = names.split(' ').map(|name| serde_json::from_str(name).ok());
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &str = "\
# The release dns
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata:
  name: dns
spec:
  generators:
    - clusters: {}
  goTemplate: true
  template:
    metadata:
      name: '{{ .nameNormalized }}-dns'
    spec:
      syncPolicy:
        syncOptions: # of the team
          - ServerSideApply=true
";

    fn clusters(names: &[&str]) -> For {
        For::Clusters(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn it_is_switched_on_for_all_in_one_line() {
        let on = switched_on(SET, &For::All).unwrap();
        let expected = SET.replace(
            "        syncOptions:",
            "        automated: {prune: false, selfHeal: true}\n        syncOptions:",
        );
        assert_eq!(on, expected);
    }

    #[test]
    fn it_is_switched_on_for_some_clusters_and_then_for_more() {
        let one = switched_on(SET, &clusters(&["staging"])).unwrap();
        let patch = yaml::value(&one).unwrap()["spec"]["templatePatch"].clone();
        assert_eq!(
            patch,
            "{{- if has .name (list \"staging\") }}\nspec:\n  syncPolicy:\n    automated: {prune: false, selfHeal: true}\n{{- end }}\n"
        );
        let two = switched_on(&one, &clusters(&["dev"])).unwrap();
        assert!(two.contains(r#"(list "dev" "staging")"#), "{two}");
        assert_eq!(two.matches("templatePatch").count(), 1);
        // Nothing else has changed.
        for text in [one, two] {
            let begin = text.find("  templatePatch: |").unwrap();
            let end = text.find("    {{- end }}\n").unwrap() + "    {{- end }}\n".len();
            assert_eq!(text[..begin].to_owned() + &text[end..], SET);
        }
    }

    #[test]
    fn what_is_written_otherwise_is_told_and_left() {
        let other = SET.replace(
            "  goTemplate: true\n",
            "  goTemplate: true\n  templatePatch: 'a: 1'\n",
        );
        assert_eq!(
            switched_on(&other, &clusters(&["staging"])),
            Err(EditError::OtherPatch)
        );
        let plain = SET.replace("  goTemplate: true\n", "");
        assert_eq!(
            switched_on(&plain, &clusters(&["staging"])),
            Err(EditError::NoGoTemplate)
        );
        let flow = "{kind: ApplicationSet, spec: {template: {spec: {syncPolicy: {a: 1}}}}}\n";
        assert_eq!(switched_on(flow, &For::All), Err(EditError::NotBlock));
        assert_eq!(
            switched_on("kind: Service\n", &For::All),
            Err(EditError::NotOne)
        );
    }
}
