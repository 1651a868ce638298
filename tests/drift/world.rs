//! A cluster on which Argo CD is known and deploys to itself, and a checkout of what it deploys.

use std::env;
use std::fs;

use anyhow::{Context, Result, ensure};
use harness::argo_cd::Repository;
use harness::plugin::plugin_as;
use harness::{ControlPlane, User, argo_cd_crds, succeed};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

/// The Application, and what it deploys to.
pub(crate) const APPLICATION: &str = "cart";
pub(crate) const NAMESPACE: &str = "shop";
/// As whom Argo CD syncs.
pub(crate) const ARGO_CD: &str = "system:serviceaccount:argocd:argocd-application-controller";

/// One API server for both.
pub(crate) struct World {
    pub(crate) control_plane: ControlPlane,
    argo_cd: User,
    repository: Repository,
    _folder: TempDir,
}

impl World {
    /// Starts it, with an Application that has nothing yet. `settings` is what `argocd-cm` says.
    pub(crate) async fn start(settings: &Value) -> Result<Self> {
        let control_plane = ControlPlane::start().await?;
        let definitions = spawn_blocking(argo_cd_crds).await??;
        control_plane.install_crds(&definitions).await?;
        let account = control_plane.service_account("argocd", "argocd-application-controller");
        let argo_cd = account.await?;
        let folder = tempfile::tempdir()?;
        let fixture = folder.path().join("fixture");
        fs::create_dir(&fixture)?;
        fs::write(fixture.join("README.md"), "What cart is.\n")?;
        let repository = Repository::of(&fixture, folder.path().join("checkout"))?;
        let world = World {
            control_plane,
            argo_cd,
            repository,
            _folder: folder,
        };
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "argocd"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [{
                "kind": "ServiceAccount", "namespace": "argocd",
                "name": "argocd-application-controller",
            }],
        });
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE},
        });
        let settings = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "argocd-cm", "namespace": "argocd"},
            "data": settings,
        });
        let objects = [binding, namespace, settings, world.application()];
        for object in objects {
            world.create(&object).await?;
        }
        Ok(world)
    }

    fn application(&self) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": APPLICATION, "namespace": "argocd"},
            "spec": {
                "project": "shop",
                "source": {"repoURL": self.repository.url(), "path": "deploy"},
                "destination": {
                    "server": "https://kubernetes.default.svc", "namespace": NAMESPACE,
                },
            },
        })
    }

    pub(crate) fn admin(&self) -> &User {
        self.control_plane.admin()
    }

    /// A person who may do everything.
    pub(crate) fn person(&self, name: &str) -> Result<User> {
        let email = format!("{name}@example.com");
        Ok(self.control_plane.user(&email, &["system:masters"])?)
    }

    pub(crate) async fn create(&self, object: &Value) -> Result<()> {
        let create = self.admin().kubectl(["create", "-f", "-"]);
        succeed(create.input(object.to_string())).await
    }

    /// What Git is to say.
    pub(crate) fn desire(&self, objects: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.repository
            .write("deploy/all.json", &list.to_string())?;
        self.repository.commit("Change what is deployed")?;
        Ok(())
    }

    /// Applies objects as Argo CD applies them where it is not told otherwise: by a client-side
    /// apply with its field manager, and with its mark. It is kubectl that sends it.
    pub(crate) async fn sync(&self, objects: &[Value]) -> Result<()> {
        let items: Vec<Value> = objects.iter().map(tracked).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let apply = ["apply", "--field-manager=argocd-controller", "-f", "-"];
        let apply = self.argo_cd.kubectl(apply);
        let applied = apply.input(list.to_string()).run().await?;
        ensure!(applied.status.success(), "{}", applied.stderr);
        Ok(())
    }

    /// The status, and what is printed where all could be seen.
    pub(crate) async fn drift(&self, arguments: &[&str]) -> Result<(i32, String)> {
        let (code, stdout) = self.answer(arguments).await?;
        ensure!(code < 2, "{code}: {stdout}");
        Ok((code, stdout))
    }

    /// The status, and what is printed.
    pub(crate) async fn answer(&self, arguments: &[&str]) -> Result<(i32, String)> {
        let mut plugin = plugin_as(self.admin())?;
        plugin
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .args(["drift", "--namespace", "argocd", "--source", "local"])
            .arg("--checkout")
            .arg(self.repository.folder())
            .args(["--repository", &self.repository.url()])
            .args(arguments);
        let output = plugin.output().await.context("cannot run the plugin")?;
        let code = output.status.code().context("the plugin was ended")?;
        let stderr = String::from_utf8(output.stderr)?;
        ensure!(!output.stdout.is_empty(), "{code}: {stderr}");
        Ok((code, String::from_utf8(output.stdout)?))
    }

    pub(crate) async fn report(&self, arguments: &[&str]) -> Result<Value> {
        let (_, text) = self
            .drift(&[&["--output", "json"], arguments].concat())
            .await?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// An object with Argo CD's mark.
pub(crate) fn tracked(object: &Value) -> Value {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let version = text("/apiVersion").unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = text("/kind").unwrap_or_default();
    let name = text("/metadata/name").unwrap_or_default();
    let mark = format!("{APPLICATION}:{group}/{kind}:{NAMESPACE}/{name}");
    let mut object = object.clone();
    object["metadata"]["namespace"] = json!(NAMESPACE);
    object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = json!(mark);
    object
}
