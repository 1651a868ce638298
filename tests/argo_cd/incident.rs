//! An incident on production, played through: automated sync is switched on by break-glass, a
//! change goes out, and time runs out.

use anyhow::Result;
use harness::argo_cd::{Fleet, Guard};
use harness::{Kubectl, User, eventually, eventually_object, succeed};
use jiff::SignedDuration;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};

use crate::support::{DEVELOPERS, WITHIN};

const MAY: &str = "gitopspolicies.kubectl-gitops.io/prod-auto-sync";

/// A fleet with somebody who is on call.
struct Incident {
    fleet: Fleet,
    on_call: User,
}

impl Incident {
    async fn begin() -> Result<Self> {
        let fleet = Fleet::start(Guard::WebhookWithClock).await?;
        fleet.deployed().await?;
        let apply = fleet.admin().kubectl(["apply", "--filename", "-"]);
        succeed(apply.input(DEVELOPERS)).await?;
        let bind = ["create", "clusterrolebinding", "on-call", "--group=on-call"];
        let bind = fleet.admin().kubectl(bind);
        succeed(bind.arguments(["--clusterrole=gitops-break-glass"])).await?;
        let control_plane = fleet.devops().control_plane();
        let on_call = control_plane.user("bob@example.com", &["developers", "on-call"])?;
        let incident = Self { fleet, on_call };
        eventually(WITHIN, "the binding counts", async || {
            match incident.can(&incident.on_call, MAY).await {
                Ok(true) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await?;
        Ok(incident)
    }

    async fn can(&self, user: &User, object: &str) -> Result<bool> {
        let said = user
            .kubectl(["auth", "can-i", "break-glass", object])
            .run()
            .await?;
        Ok(said.stdout.trim() == "yes")
    }

    /// An override of prod-auto-sync for an hour, by the webhook's clock.
    fn annotations(&self) -> Value {
        let expires = self.fleet.devops().clock().now() + SignedDuration::from_hours(1);
        json!({
            "kubectl-gitops.io/break-glass": "prod-auto-sync",
            "kubectl-gitops.io/break-glass-reason": "INC-7: prices are wrong",
            "kubectl-gitops.io/break-glass-expires": expires.to_string(),
        })
    }

    /// An Application on production that only a person syncs.
    fn search(&self, name: &str) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "name": name,
                "namespace": "argocd",
                "annotations": {"kubectl-gitops.io/autoscaled": "false"},
            },
            "spec": self.search_spec(name),
        })
    }

    fn search_spec(&self, name: &str) -> Value {
        json!({
            "project": "shop-production",
            "source": {
                "repoURL": self.fleet.repository().url(),
                "path": "search",
                "targetRevision": "v1.0.0",
                "kustomize": {"namePrefix": format!("{name}-")},
            },
            "destination": {"name": "production", "namespace": "shop"},
        })
    }

    async fn create(&self, object: &Value) -> Result<()> {
        let create = self.on_call.kubectl(["create", "--filename", "-"]);
        succeed(create.input(object.to_string())).await
    }

    async fn patch(&self, object: &str, patch: &Value) -> Result<()> {
        succeed(self.patching(object, patch)).await
    }

    fn patching(&self, object: &str, patch: &Value) -> Kubectl {
        let flags = ["--namespace", "argocd", "--type=merge", "--patch"];
        let kubectl = self.on_call.kubectl(["patch", object]).arguments(flags);
        kubectl.arguments([patch.to_string()])
    }

    /// What is said to somebody who makes automated sync prune as well.
    async fn refusal(&self, object: &str, patch: &Value) -> Result<String> {
        let said = self.patching(object, patch).run().await?;
        anyhow::ensure!(!said.status.success(), "it is admitted: {said:?}");
        Ok(said.stderr)
    }

    /// Waits until Argo CD has deployed a revision to an Application by itself.
    async fn deployed_by_itself(&self, name: &str, revision: &str) -> Result<()> {
        let what = format!("{name} is at {revision} by itself");
        self.fleet
            .eventually(&what, |applications| {
                let application = applications.get(name).ok_or("it does not exist")?;
                let status = &application.data["status"];
                let operation = &status["operationState"];
                let by_itself = operation["operation"]["initiatedBy"]["automated"] == true;
                let done = operation["phase"] == "Succeeded";
                if by_itself && done && operation["syncResult"]["revision"] == revision {
                    Ok(())
                } else {
                    Err(status.to_string())
                }
            })
            .await
    }

    /// Waits until the webhook has told of these objects that their override ran out, and returns
    /// what it said of each.
    async fn told_of_the_end(&self, names: &[&str]) -> Result<Vec<String>> {
        let client = self.fleet.admin().client().await?;
        let events = Api::<Event>::namespaced(client, "argocd");
        let told = eventually(WITHIN, "the end is told", async || {
            let listed = events.list(&ListParams::default()).await;
            let listed = listed.map_err(|error| error.to_string())?.items;
            let note = |name: &str| {
                let mut of_object = listed.iter().filter(|event| {
                    let regarding = event.regarding.as_ref();
                    event.reason.as_deref() == Some("BreakGlassExpired")
                        && regarding.is_some_and(|object| object.name.as_deref() == Some(name))
                });
                let event = of_object
                    .next()
                    .ok_or_else(|| format!("nothing of {name}"))?;
                Ok(event.note.clone().unwrap_or_default())
            };
            names
                .iter()
                .map(|name| note(name))
                .collect::<Result<Vec<_>, String>>()
        });
        Ok(told.await?)
    }

    async fn application(&self, name: &str) -> Result<DynamicObject> {
        Ok(self.fleet.applications().await?.get(name).await?)
    }
}

fn automated() -> Value {
    json!({"automated": {}})
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, told from its beginning to its end"
)]
async fn an_incident_is_played_through_on_each_way_to_have_an_application() -> Result<()> {
    let incident = Incident::begin().await?;
    let repository = incident.fleet.repository();
    incident.create(&incident.search("search-plain")).await?;
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "search-set", "namespace": "argocd"},
        "spec": {
            "generators": [{"list": {"elements": [{"cluster": "production"}]}}],
            "template": {
                "metadata": {
                    "name": "search-{{cluster}}",
                    "annotations": {"kubectl-gitops.io/autoscaled": "false"},
                },
                "spec": incident.search_spec("search-set"),
            },
        },
    });
    incident.create(&set).await?;
    for name in ["search-plain", "search-production"] {
        incident.fleet.compared(name).await?;
    }

    // Each is overruled where it is written: itself, the live child, the ApplicationSet.
    let text = repository.read("search/kustomization.yaml")?;
    repository.write(
        "search/kustomization.yaml",
        &text.replace("language=en", "language=de"),
    )?;
    let values = repository.read("charts/shop/values/production.yaml")?;
    let values = values.replace("greeting: ", "greeting: once more, ");
    repository.write("charts/shop/values/production.yaml", &values)?;
    let hotfix = repository.commit("Speak German and welcome back")?;
    repository.tag("v1.0.1")?;
    let annotated = json!({"metadata": {"annotations": incident.annotations()}});
    let with_spec = |spec: Value| {
        let mut patch = annotated.clone();
        patch["spec"] = spec;
        patch
    };
    let plain = json!({"source": {"targetRevision": "v1.0.1"}, "syncPolicy": automated()});
    incident
        .patch("application/search-plain", &with_spec(plain.clone()))
        .await?;
    let child = json!({"syncPolicy": automated()});
    incident
        .patch("application/shop-production", &with_spec(child))
        .await?;
    let of_set = json!({"template": {"spec": plain}});
    incident
        .patch("applicationset/search-set", &with_spec(of_set))
        .await?;

    // The change goes out; that of the child comes from Git, by the root.
    let apps = repository.read("apps/shop.yaml")?;
    repository.write(
        "apps/shop.yaml",
        &apps.replace("targetRevision: v1.0.0", "targetRevision: v1.0.1"),
    )?;
    repository.commit("Release the shop")?;
    incident
        .fleet
        .argocd(["app", "get", "root", "--refresh"])
        .await?;
    for name in ["search-plain", "search-production", "shop-production"] {
        incident.deployed_by_itself(name, &hotfix).await?;
    }

    // Time runs out.
    incident
        .fleet
        .devops()
        .clock()
        .set_on(SignedDuration::from_hours(1))?;
    let objects = ["search-plain", "shop-production", "search-set"];
    for note in incident.told_of_the_end(&objects).await? {
        assert!(
            note.contains("now in violation: prod-auto-sync: "),
            "{note}"
        );
    }
    let pruning = json!({"syncPolicy": {"automated": {"prune": true}}});
    for (object, spec) in [
        ("application/search-plain", pruning.clone()),
        ("application/shop-production", pruning.clone()),
        (
            "applicationset/search-set",
            json!({"template": {"spec": pruning}}),
        ),
    ] {
        let said = incident.refusal(object, &json!({"spec": spec})).await?;
        assert!(
            said.contains("denied the request: prod-auto-sync: "),
            "{said}"
        );
    }

    // Argo CD goes on all the while,
    let relabelled = json!({"spec": {"template": {"metadata": {"labels": {"team": "search"}}}}});
    incident
        .patch("applicationset/search-set", &relabelled)
        .await?;
    let applications = incident.fleet.applications().await?;
    eventually_object(
        WITHIN,
        "the child is labelled",
        applications,
        "search-production",
        |child| {
            let labels = child
                .and_then(|child| child.metadata.labels.clone())
                .unwrap_or_default();
            if labels.get("team").is_some_and(|team| team == "search") {
                Ok(())
            } else {
                Err(format!("{labels:?}"))
            }
        },
    )
    .await?;
    for name in ["search-plain", "search-production", "shop-production"] {
        incident
            .fleet
            .argocd(["app", "get", name, "--hard-refresh"])
            .await?;
        incident.fleet.synced_and_healthy(&[name]).await?;
    }

    // and it is put right.
    let off = json!({"spec": {"syncPolicy": {"automated": null}}});
    incident.patch("application/search-plain", &off).await?;
    incident.patch("application/shop-production", &off).await?;
    let off = json!({"spec": {"template": {"spec": {"syncPolicy": {"automated": null}}}}});
    incident.patch("applicationset/search-set", &off).await?;
    let child = incident.application("shop-production").await?;
    assert!(child.data["spec"]["syncPolicy"]["automated"].is_null());
    Ok(())
}

#[tokio::test]
async fn from_git_it_counts_only_where_the_policy_says_so_whatever_argo_cds_own_role_permits()
-> Result<()> {
    let incident = Incident::begin().await?;
    let control_plane = incident.fleet.devops().control_plane();
    for account in ["argocd-application-controller", "argocd-server"] {
        let user = control_plane.service_account("argocd", account).await?;
        // argocd-server's role is narrower.
        let expected = account == "argocd-application-controller";
        assert_eq!(incident.can(&user, MAY).await?, expected, "{account}");
    }
    let mut object = incident.search("search-git");
    object["spec"]["syncPolicy"] = automated();
    for (annotation, value) in incident.annotations().as_object().into_iter().flatten() {
        object["metadata"]["annotations"][annotation] = value.clone();
    }
    let repository = incident.fleet.repository();
    repository.write("apps/search.yaml", &object.to_string())?;
    let revision = repository.commit("Search at once")?;
    incident
        .fleet
        .argocd(["app", "get", "root", "--refresh"])
        .await?;

    let failed = incident
        .fleet
        .eventually("root has failed to sync", |applications| {
            let root = applications.get("root").ok_or("root does not exist")?;
            let operation = &root.data["status"]["operationState"];
            if operation["syncResult"]["revision"] == *revision && operation["phase"] == "Failed" {
                Ok(operation["message"].as_str().unwrap_or_default().to_owned())
            } else {
                Err(operation.to_string())
            }
        });
    let message = failed.await?;
    assert!(
        message.contains(
            "nobody knows on whose behalf system:serviceaccount:argocd:argocd-application-controller writes"
        ),
        "{message}"
    );

    let policy = json!({"spec": {"breakGlass": {"fromGit": true}}}).to_string();
    let patch = [
        "patch",
        "gop",
        "default",
        "--type=merge",
        "--patch",
        &policy,
    ];
    succeed(incident.fleet.admin().kubectl(patch)).await?;
    // The policy holds a moment later, and Argo CD does not try a revision again by itself.
    let synced = eventually(WITHIN, "root is synced", async || {
        let sync = ["app", "sync", "root", "--timeout", "60"];
        let output = incident.fleet.argo_cd().run(sync).await;
        let output = output.map_err(|error| format!("{error:#}"))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(output.stderr)
        }
    });
    synced.await?;
    incident.application("search-git").await?;
    Ok(())
}
