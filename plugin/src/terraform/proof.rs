//! That Terraform has let go: what in a plan would say otherwise.

use super::document::{Action, Change, Plan};
use super::release::HelmRelease;

/// Why a plan does not prove it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Objection {
    /// Of a `helm_release`, that is a `helm uninstall`.
    #[error("{address} would be destroyed{}", if *.is_release { ", which uninstalls the release" } else { "" })]
    Destroyed { address: String, is_release: bool },
    #[error("{address} would be created")]
    Created { address: String },
    #[error("{address} would be replaced")]
    Replaced { address: String },
    /// A change of it, or none, but no forgetting.
    #[error("{address} still manages the release {name} in namespace {namespace}")]
    StillManaged {
        address: String,
        name: String,
        namespace: String,
    },
    #[error("{address}: what is done to it is not known: {}", .actions.join(", "))]
    UnknownAction {
        address: String,
        actions: Vec<String>,
    },
    #[error("the plan failed, so that it does not say all")]
    Errored,
    #[error("the plan is not complete, as one with -target is not")]
    Incomplete,
    #[error("the plan puts off {0} changes")]
    Deferred(usize),
}

impl Plan {
    /// Whatever speaks against these releases having been let go with nothing destroyed or created.
    /// None is the proof. What would be changed in place is no objection: [`Plan::updated`].
    pub(crate) fn objections(&self, let_go: &[&HelmRelease]) -> Vec<Objection> {
        let mut objections = Vec::new();
        if self.is_errored {
            objections.push(Objection::Errored);
        }
        if self.is_complete == Some(false) {
            objections.push(Objection::Incomplete);
        }
        if self.deferred > 0 {
            objections.push(Objection::Deferred(self.deferred));
        }
        let managed = self.changes.iter().filter(|change| change.is_managed);
        objections.extend(managed.filter_map(|change| objection(change, let_go)));
        objections
    }

    /// The resources that would be changed in place.
    pub(crate) fn updated(&self) -> impl Iterator<Item = &str> {
        let changes = self.changes.iter();
        let updated = changes.filter(|change| change.action == Action::Update);
        updated.map(|change| change.address.as_str())
    }
}

fn objection(change: &Change, let_go: &[&HelmRelease]) -> Option<Objection> {
    let address = change.address.clone();
    match &change.action {
        Action::Delete => Some(Objection::Destroyed {
            address,
            is_release: change.release.is_some(),
        }),
        Action::Replace => Some(Objection::Replaced { address }),
        Action::Create | Action::ForgetThenCreate => Some(Objection::Created { address }),
        Action::Other(actions) => Some(Objection::UnknownAction {
            address,
            actions: actions.clone(),
        }),
        Action::Forget => None,
        Action::NoOp | Action::Read | Action::Update => {
            let (name, namespace) = change.release.clone()?;
            let mut let_go = let_go.iter();
            let is_let_go = let_go.any(|one| one.name == name && one.namespace == namespace);
            is_let_go.then_some(Objection::StillManaged {
                address,
                name,
                namespace,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::State;
    use super::super::testing::{helm_release, plan, state};
    use super::*;

    fn change(address: &str, kind: &str, actions: &[&str], name: &str) -> Value {
        let values = json!({"name": name, "namespace": "shop", "set_sensitive": "letmein"});
        let after = if actions == ["delete"] {
            Value::Null
        } else {
            values.clone()
        };
        json!({
            "address": address, "mode": "managed", "type": kind, "name": "x",
            "provider_name": "registry.terraform.io/hashicorp/helm",
            "change": {
                "actions": actions, "before": values, "after": after,
                "before_sensitive": {}, "after_sensitive": {},
            },
        })
    }

    fn objections(more: &Value) -> Vec<String> {
        let text = plan(more);
        let state =
            state(&json!({"resources": [helm_release("helm_release.x", "cart", "shop", 1)]}));
        let state = State::read(&state).unwrap();
        let read = Plan::read(&text).unwrap();
        assert!(!format!("{read:?}").contains("letmein"));
        let objections = read.objections(&[&state.releases[0]]);
        objections.iter().map(ToString::to_string).collect()
    }

    fn of_changes(changes: &[Value]) -> Vec<String> {
        objections(&json!({"resource_changes": changes}))
    }

    #[test]
    fn nothing_destroyed_or_created_is_the_proof() {
        let others = [
            change("helm_release.other", "helm_release", &["no-op"], "other"),
            change("aws_iam_role.x", "aws_iam_role", &["update"], "x"),
        ];
        assert_eq!(of_changes(&others), [""; 0]);
        let forgets = change("helm_release.x", "helm_release", &["forget"], "cart");
        assert_eq!(of_changes(&[forgets]), [""; 0]);
        assert_eq!(of_changes(&[]), [""; 0]);
        let read = Plan::read(&plan(&json!({"resource_changes": others}))).unwrap();
        assert_eq!(read.updated().collect::<Vec<_>>(), ["aws_iam_role.x"]);
    }

    #[test]
    fn whatever_destroys_or_creates_is_told() {
        for (kind, actions, told) in [
            (
                "helm_release",
                &["delete"][..],
                "a.x would be destroyed, which uninstalls the release",
            ),
            ("aws_iam_role", &["delete"], "a.x would be destroyed"),
            ("helm_release", &["create"], "a.x would be created"),
            ("aws_iam_role", &["create"], "a.x would be created"),
            (
                "aws_iam_role",
                &["delete", "create"],
                "a.x would be replaced",
            ),
            (
                "aws_iam_role",
                &["create", "delete"],
                "a.x would be replaced",
            ),
            (
                "aws_iam_role",
                &["forget", "create"],
                "a.x would be created",
            ),
            (
                "aws_iam_role",
                &["melt"],
                "a.x: what is done to it is not known: melt",
            ),
            (
                "helm_release",
                &["no-op"],
                "a.x still manages the release cart in namespace shop",
            ),
            (
                "helm_release",
                &["update"],
                "a.x still manages the release cart in namespace shop",
            ),
        ] {
            assert_eq!(of_changes(&[change("a.x", kind, actions, "cart")]), [told]);
        }
        let mut data = change("data.x", "helm_template", &["create"], "x");
        data["mode"] = json!("data");
        assert_eq!(of_changes(&[data]), [""; 0]);
        let mut deposed = change("a.x", "helm_release", &["delete"], "cart");
        deposed["deposed"] = json!("abc");
        assert_eq!(of_changes(&[deposed]).len(), 1);
    }

    #[test]
    fn a_plan_that_does_not_say_all_proves_nothing() {
        let told = "the plan failed, so that it does not say all";
        assert_eq!(objections(&json!({"errored": true})), [told]);
        let told = "the plan is not complete, as one with -target is not";
        assert_eq!(objections(&json!({"complete": false})), [told]);
        let deferred = json!({"deferred_changes": [{}, {}]});
        assert_eq!(objections(&deferred), ["the plan puts off 2 changes"]);
    }
}
