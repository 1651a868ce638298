//! People, and the overrides that they write.

use std::time::Duration;

use anyhow::Result;
use harness::objects::{Answer, Base, Session};
use harness::{ControlPlane, Installation, Overlay, User, eventually, succeed};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

pub(super) const RULES: &str = "kubectl-gitops.io/break-glass";
pub(super) const REASON: &str = "kubectl-gitops.io/break-glass-reason";
pub(super) const EXPIRES: &str = "kubectl-gitops.io/break-glass-expires";

/// Everything here takes milliseconds; a loaded machine may take its time.
pub(super) const WITHIN: Duration = Duration::from_secs(20);

/// An installation that these tests share. What is in it belongs to the test that created it, by
/// its name; the policy stays as it is.
pub(super) async fn shared() -> Result<&'static Installation> {
    static SHARED: OnceCell<Installation> = OnceCell::const_new();
    SHARED
        .get_or_try_init(async || {
            let installation = Installation::start(Overlay::ProdDevops, "").await?;
            let control_plane = installation.control_plane();
            put_on_call(control_plane).await?;
            let policy =
                json!({"spec": {"breakGlass": {"serviceAccounts": ["argocd/release-pipeline"]}}});
            let patch = ["patch", "gop", "default", "--type=merge", "--patch"];
            let patch = installation.admin().kubectl(patch);
            succeed(patch.arguments([policy.to_string()])).await?;
            anyhow::Ok(installation)
        })
        .await
}

/// Binds the role of the manifests to a group, and waits until that counts.
pub(super) async fn put_on_call(control_plane: &ControlPlane) -> Result<()> {
    let admin = control_plane.admin();
    for subject in [
        "--group=on-call",
        "--serviceaccount=argocd:release-pipeline",
        "--serviceaccount=argocd:argocd-server",
        "--serviceaccount=argocd:argocd-application-controller",
        "--serviceaccount=argocd:argocd-applicationset-controller",
        "--serviceaccount=argocd:argocd-image-updater",
    ] {
        let name = subject.replace([':', '=', '-'], "");
        let bind = ["create", "clusterrolebinding", &name, subject];
        succeed(
            admin
                .kubectl(bind)
                .arguments(["--clusterrole=gitops-break-glass"]),
        )
        .await?;
    }
    let on_call = Person::OnCall.log_in(control_plane).await?;
    let may = [
        "auth",
        "can-i",
        "break-glass",
        "gitopspolicies.kubectl-gitops.io/prod-auto-sync",
    ];
    let counts = eventually(WITHIN, "the binding counts", async || {
        let answer = on_call
            .kubectl(may)
            .run()
            .await
            .map_err(|error| error.to_string())?;
        if answer.stdout.trim() == "yes" {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    });
    Ok(counts.await?)
}

/// Who writes. RBAC lets all of them write everything that the webhook judges.
#[derive(Clone, Copy, Debug)]
pub(super) enum Person {
    /// May overrule what the role of the manifests names.
    OnCall,
    /// May not.
    Developer,
    /// A service account of Argo CD's namespace, which RBAC would let overrule the same.
    Account(&'static str),
}

impl Person {
    pub(super) async fn log_in(self, control_plane: &ControlPlane) -> Result<User> {
        Ok(match self {
            Person::OnCall => control_plane.user("bob@example.com", &["developers", "on-call"])?,
            Person::Developer => control_plane.user("alice@example.com", &["developers"])?,
            Person::Account(name) => control_plane.service_account("argocd", name).await?,
        })
    }

    pub(super) async fn session(self, installation: &Installation) -> Result<Session> {
        Session::of(&self.log_in(installation.control_plane()).await?).await
    }
}

/// In so many hours, as the annotation has it.
pub(super) fn after(hours: i64) -> String {
    (Timestamp::now() + SignedDuration::from_hours(hours)).to_string()
}

/// The override of prod-auto-sync for two hours, changed by a merge patch of the annotations, as a
/// merge patch of an object.
pub(super) fn granting(patch: &Value) -> Value {
    let mut annotations =
        json!({RULES: "prod-auto-sync", REASON: "INC-1: it burns", EXPIRES: after(2)});
    json_patch::merge(&mut annotations, patch);
    json!({"metadata": {"annotations": annotations}})
}

/// What prod-auto-sync denies.
pub(super) fn automated() -> Value {
    json!({"spec": {"syncPolicy": {"automated": {}}}})
}

/// Two merge patches in one.
pub(super) fn both(one: &Value, other: &Value) -> Value {
    let mut both = one.clone();
    json_patch::merge(&mut both, other);
    both
}

/// An Application on production, changed by a merge patch.
pub(super) fn production(name: &str, patch: &Value) -> Result<Value> {
    let mut object = Base::Production.with(name, "{}")?;
    json_patch::merge(&mut object, patch);
    Ok(object)
}

/// Creates a good Application on production with such an override.
pub(super) async fn granted(name: &str) -> Result<()> {
    let on_call = Person::OnCall.session(shared().await?).await?;
    let object = production(name, &granting(&json!({})))?;
    on_call.create(&object).await?.admitted();
    Ok(())
}

/// Creates one that violates prod-auto-sync under such an override.
pub(super) async fn violating(name: &str) -> Result<()> {
    let on_call = Person::OnCall.session(shared().await?).await?;
    let object = production(name, &both(&automated(), &granting(&json!({}))))?;
    on_call.create(&object).await?.admitted();
    Ok(())
}

/// Creates a good Application on production, which somebody then changes.
pub(super) async fn change(name: &str, person: Person, patch: &Value) -> Result<Answer> {
    let admin = Session::of(shared().await?.admin()).await?;
    admin
        .create(&production(name, &json!({}))?)
        .await?
        .admitted();
    patch_by(name, person, patch).await
}

pub(super) async fn patch_by(name: &str, person: Person, patch: &Value) -> Result<Answer> {
    let session = person.session(shared().await?).await?;
    session.patch("Application", name, patch).await
}
