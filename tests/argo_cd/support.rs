//! A fleet that tests share, and what was written on it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::argo_cd::{Fleet, Guard, WorkloadCluster};
use harness::{ControlPlane, User, Webhook, eventually_object, succeed};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::Api;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// Argo CD takes seconds for what it is waited for; a loaded machine may take its time.
pub(crate) const WITHIN: Duration = Duration::from_mins(2);
/// How the objects are named that tests have Argo CD write in vain: of all others, none of its
/// writes may be refused.
pub(crate) const REFUSED: &str = "search-";

/// The refusal of automated sync on production, as Argo CD and its clients pass it on.
pub(crate) const DENIED: &str = "admission webhook \"applications.kubectl-gitops.io\" denied the request: \
    prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (labels of cluster production): \
    an empty `automated` is on, not off; remove `automated` or set `enabled: false` in it";

/// The same as it is told of an Application that one of Argo CD's controllers writes: it begins
/// with the object, and what is wrong gives way so that the line stays short.
pub(crate) fn denied_to_a_controller(name: &str) -> String {
    let (webhook, rest) = DENIED.split_at(DENIED.find("prod-auto-sync: ").unwrap_or_default());
    let (line, fix) = rest.split_once("; ").unwrap_or((rest, ""));
    let object = format!("Application argocd/{name}: ");
    let others = object.chars().count() + "; ".len() + fix.chars().count();
    let line = policy::finding::shorten(line, policy::finding::LINE_LIMIT - 1 - others);
    format!("{webhook}{object}{line}; {fix}")
}

/// What lets people write Applications.
pub(crate) const DEVELOPERS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: developers, namespace: argocd }
rules:
  - { apiGroups: [argoproj.io], resources: [applications, applicationsets], verbs: ["*"] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: developers, namespace: argocd }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: developers }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: Group, name: developers }]
"#;

/// A fleet behind the webhook, which one test has at a time, deployed and settled. A test leaves it
/// so.
pub(crate) struct Turn {
    fleet: &'static Fleet,
    _turn: MutexGuard<'static, ()>,
}

impl Turn {
    pub(crate) async fn take() -> Result<Self> {
        static TURN: Mutex<()> = Mutex::const_new(());
        static FLEET: OnceCell<Fleet> = OnceCell::const_new();
        let turn = TURN.lock().await;
        let start = async || {
            let fleet = Fleet::start(Guard::Webhook).await?;
            fleet.deployed().await?;
            Ok::<_, anyhow::Error>(fleet)
        };
        Ok(Self {
            fleet: FLEET.get_or_try_init(start).await?,
            _turn: turn,
        })
    }

    /// A person who may write Applications and ApplicationSets, as far as RBAC is concerned.
    pub(crate) async fn developer(&self) -> Result<User> {
        let apply = self.admin().kubectl(["apply", "--filename", "-"]);
        succeed(apply.input(DEVELOPERS)).await?;
        let control_plane = self.devops().control_plane();
        Ok(control_plane.user("alice@example.com", &["developers"])?)
    }

    /// An Application as it is.
    pub(crate) async fn application(&self, name: &str) -> Result<DynamicObject> {
        let applications = self.applications().await?;
        let application = applications.get(name).await;
        application.with_context(|| format!("cannot get Application {name}"))
    }

    /// An Application on production that is not there, and with which nothing is wrong.
    pub(crate) fn search(&self, name: &str) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "name": name,
                "namespace": "argocd",
                "annotations": {"kubectl-gitops.io/autoscaled": "false"},
                "finalizers": ["resources-finalizer.argocd.argoproj.io"],
            },
            "spec": {
                "project": "shop-production",
                "source": {
                    "repoURL": self.repository().url(),
                    "path": "search",
                    "targetRevision": "v1.0.0",
                    "kustomize": {"namePrefix": format!("{name}-")},
                },
                "destination": {"name": "production", "namespace": "shop"},
            },
        })
    }

    /// The same, but that it is synced automatically, which is refused.
    pub(crate) fn auto_synced_search(&self, name: &str) -> Value {
        let mut application = self.search(name);
        application["spec"]["syncPolicy"] = json!({"automated": {}});
        application
    }

    /// Deletes an Application or `ApplicationSet`, and returns once it is gone with all that came
    /// of it.
    pub(crate) async fn delete(&self, kind: &str, name: &str) -> Result<()> {
        let delete = ["delete", kind, name, "--namespace", "argocd"];
        let flags = ["--cascade=foreground", "--timeout=2m"];
        succeed(self.admin().kubectl(delete).arguments(flags)).await
    }
}

impl std::ops::Deref for Turn {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        self.fleet
    }
}

impl Drop for Turn {
    #[expect(clippy::print_stderr, reason = "this is what explains a failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.fleet.state());
        }
    }
}

/// A request that an API server has answered.
#[derive(Clone, Debug)]
pub(crate) struct Request(Value);

impl Request {
    /// All requests by which Argo CD has written to its own kinds, or to Secrets beside them.
    pub(crate) fn by_argo_cd(control_plane: &ControlPlane) -> Result<Vec<Self>> {
        let log = fs::read_to_string(control_plane.audit_log()?)?;
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        let mut requests = Vec::new();
        for line in whole.lines() {
            let request = Self(serde_json::from_str(line).context("not JSON in the audit log")?);
            if request.is_write()
                && request.is_about_what_is_judged()
                && request
                    .user()
                    .starts_with("system:serviceaccount:argocd:argocd-")
            {
                requests.push(request);
            }
        }
        Ok(requests)
    }

    pub(crate) fn user(&self) -> &str {
        self.0["user"]["username"].as_str().unwrap_or_default()
    }

    pub(crate) fn object_name(&self) -> &str {
        self.0["objectRef"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn is_update_of_applications(&self) -> bool {
        matches!(self.0["verb"].as_str(), Some("update" | "patch"))
            && self.0["objectRef"]["resource"] == "applications"
    }

    /// Whether it was refused otherwise than for a conflict, upon which it is tried again.
    pub(crate) fn is_refused(&self) -> bool {
        let code = self.0["responseStatus"]["code"].as_u64();
        // Since v3.6 the controller takes off the annotations of a refresh only if they are still
        // those that it has seen: with a `test` in a JSON patch.
        let is_stale = code == Some(422) && self.0["verb"] == "patch" && self.verdict().is_none();
        code.is_none_or(|code| code >= 400 && code != 404 && code != 409) && !is_stale
    }

    /// Whether nothing is stored by it.
    pub(crate) fn is_dry_run(&self) -> bool {
        let uri = self.0["requestURI"].as_str().unwrap_or_default();
        uri.contains("dryRun=All")
    }

    /// The webhook's verdict, if it was asked.
    pub(crate) fn verdict(&self) -> Option<&str> {
        self.noted("/verdict")
    }

    /// The rules that found something, whatever became of it.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &str> {
        let rules = self.noted("/rules").unwrap_or_default();
        rules.split(',').filter(|rule| !rule.is_empty())
    }

    /// What one of our webhooks has noted in the audit log.
    fn noted(&self, key: &str) -> Option<&str> {
        let annotations = self.0["annotations"].as_object()?;
        let of_ours = |name: &str| {
            let webhook = name.strip_suffix(key);
            webhook.is_some_and(|webhook| webhook.ends_with(".kubectl-gitops.io"))
        };
        let (_, value) = annotations.iter().find(|(name, _)| of_ours(name))?;
        value.as_str()
    }

    fn is_about_what_is_judged(&self) -> bool {
        let object = &self.0["objectRef"];
        object["apiGroup"] == "argoproj.io"
            || (object["resource"] == "secrets" && object["namespace"] == "argocd")
    }

    fn is_write(&self) -> bool {
        matches!(
            self.0["verb"].as_str(),
            Some("create" | "update" | "patch" | "delete" | "deletecollection")
        )
    }
}

/// How often the webhook was asked.
pub(crate) async fn asked(webhook: &Webhook) -> Result<u64> {
    let (_, metrics) = webhook.get("/metrics").await?;
    let counters = metrics
        .lines()
        .filter(|line| line.starts_with("gitops_webhook_requests_total{"));
    let counts = counters.map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<u64>());
    Ok(counts.sum::<Result<u64, _>>()?)
}

/// Commits what is written, and has an Application notice. Returns the commit's full name.
pub(crate) async fn commit(fleet: &Fleet, message: &str, application: &str) -> Result<String> {
    let revision = fleet.repository().commit(message)?;
    let refresh = ["app", "get", application, "--refresh"];
    fleet.argocd(refresh).await?;
    Ok(revision)
}

/// Waits until this is the greeting of the shop that is in a namespace of a cluster.
pub(crate) async fn greeting(
    cluster: &WorkloadCluster,
    namespace: &str,
    expected: &str,
) -> Result<()> {
    let client = cluster.control_plane().admin().client().await?;
    let settings = Api::<ConfigMap>::namespaced(client, namespace);
    let what = format!("{namespace} on {} says {expected:?}", cluster.name());
    let said = eventually_object(WITHIN, &what, settings, "shop", |settings| {
        let data = settings.and_then(|settings| settings.data.as_ref());
        match data.and_then(|data| data.get("greeting")) {
            Some(greeting) if greeting == expected => Ok(()),
            greeting => Err(format!("{greeting:?}")),
        }
    });
    said.await.context("the shop was not deployed")
}

/// Deletes a shop's Service, and waits until Argo CD has put it back.
pub(crate) async fn service_is_put_back(cluster: &WorkloadCluster, namespace: &str) -> Result<()> {
    let admin = cluster.control_plane().admin();
    let delete = ["delete", "service", "shop", "--namespace", namespace];
    succeed(admin.kubectl(delete)).await?;
    let services = Api::<Service>::namespaced(admin.client().await?, namespace);
    let what = "the Service is there again";
    let again = eventually_object(WITHIN, what, services, "shop", |service| {
        service.map(|_| ()).ok_or_else(|| "it is not".to_owned())
    });
    Ok(again.await?)
}

/// A kubeconfig with a context for the devops cluster, which is the current one, and for each of
/// those that are deployed to.
pub(crate) fn all_clusters(fleet: &Fleet) -> Result<String> {
    let read = |user: &User| -> Result<Value> {
        let text = fs::read_to_string(user.kubeconfig())?;
        Ok(serde_json::from_str(&text)?)
    };
    let mut all = read(fleet.admin())?;
    for (name, cluster) in [("one", fleet.staging()), ("two", fleet.production())] {
        let mut other = read(cluster.control_plane().admin())?;
        other["clusters"][0]["name"] = json!(name);
        other["users"][0]["name"] = json!(name);
        other["contexts"][0]["name"] = json!(name);
        other["contexts"][0]["context"]["cluster"] = json!(name);
        other["contexts"][0]["context"]["user"] = json!(name);
        for list in ["clusters", "users", "contexts"] {
            let own = all[list].as_array_mut();
            own.context("the kubeconfig has no list")?
                .push(other[list][0].clone());
        }
    }
    let path = fleet.admin().kubeconfig().with_file_name("all-clusters");
    fs::write(&path, all.to_string())?;
    Ok(path.display().to_string())
}
