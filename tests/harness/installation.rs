//! A devops cluster with Argo CD's API and the webhook.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::clock::TestClock;
use crate::control_plane::{ControlPlane, Kubectl, User};
use crate::definitions::argo_cd_crds;
use crate::wait::eventually;
use crate::webhook::Webhook;

/// The API server notices a new webhook configuration within a tenth of a second; a loaded machine
/// may take its time.
const WITHIN: Duration = Duration::from_secs(30);

/// What `kubectl apply -k` installs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Overlay {
    /// `manifests/overlays/prod-devops`.
    ProdDevops,
    /// `manifests/overlays/staging-devops`.
    StagingDevops,
}

impl Overlay {
    /// Its folder.
    pub fn path(self) -> PathBuf {
        path(match self {
            Overlay::ProdDevops => "../manifests/overlays/prod-devops",
            Overlay::StagingDevops => "../manifests/overlays/staging-devops",
        })
    }
}

/// A file or folder, given as seen from `tests`.
pub fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// A control plane with a small fleet, and a webhook that judges what is written there.
///
/// It ends, and leaves nothing behind, when it is dropped or when the process ends, however that
/// happens; so it may also be kept in a `static`. Then only [`User`]s are shared, each test making
/// its own clients.
pub struct Installation {
    /// Before the control plane, which ends after it.
    webhook: Webhook,
    control_plane: ControlPlane,
}

impl Installation {
    /// Installs all of it, and returns when the API server asks the webhook.
    ///
    /// `living` is a manifest of what there is already when the webhook comes, and which it would
    /// perhaps refuse.
    pub async fn start(overlay: Overlay, living: &str) -> Result<Self> {
        let control_plane = ControlPlane::start().await?;
        prepare(&control_plane, overlay, living).await?;
        let webhook = serve(&control_plane).await?;
        Ok(Self {
            webhook,
            control_plane,
        })
    }

    /// The same with the policy of the overlay as it is, so that its Argo CD drives one environment
    /// only.
    pub async fn start_as_it_is(overlay: Overlay) -> Result<Self> {
        let control_plane = ControlPlane::start().await?;
        prepare_fleet(&control_plane, "").await?;
        install_as_it_is(&control_plane, overlay).await?;
        let webhook = serve(&control_plane).await?;
        Ok(Self {
            webhook,
            control_plane,
        })
    }

    /// The same, with a webhook that goes by a clock which a test sets.
    pub async fn start_with_clock(overlay: Overlay, living: &str) -> Result<(Self, TestClock)> {
        let control_plane = ControlPlane::start().await?;
        let clock = TestClock::new(control_plane.folder())?;
        prepare(&control_plane, overlay, living).await?;
        let webhook = serve_by(&control_plane, &clock).await?;
        let installation = Self {
            webhook,
            control_plane,
        };
        Ok((installation, clock))
    }

    /// The API server.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The webhook.
    pub fn webhook(&self) -> &Webhook {
        &self.webhook
    }

    /// Somebody who may do everything.
    pub fn admin(&self) -> &User {
        self.control_plane.admin()
    }

    /// The webhook configuration as it is.
    pub async fn configuration(&self) -> Result<ValidatingWebhookConfiguration> {
        let configurations = Api::all(self.admin().client().await?);
        let configuration = configurations.get("gitops-webhook").await;
        configuration.context("cannot get the webhook configuration")
    }
}

/// All but the webhook itself.
async fn prepare(control_plane: &ControlPlane, overlay: Overlay, living: &str) -> Result<()> {
    prepare_fleet(control_plane, living).await?;
    install(control_plane, overlay).await
}

async fn prepare_fleet(control_plane: &ControlPlane, living: &str) -> Result<()> {
    let crds = spawn_blocking(argo_cd_crds).await??;
    control_plane.install_crds(&crds).await?;
    create_fleet(control_plane, living).await
}

/// Argo CD's namespace, the clusters and projects of `demo/fleet`, who may write there, and what
/// else there is.
async fn create_fleet(control_plane: &ControlPlane, living: &str) -> Result<()> {
    let admin = control_plane.admin();
    control_plane
        .service_account("argocd", "argocd-server")
        .await?;
    let files = ["demo/fleet", "demo/access.yaml"].map(|file| ["--filename".into(), path(file)]);
    succeed(admin.kubectl(["apply"]).arguments(files.as_flattened())).await?;
    if !living.is_empty() {
        succeed(admin.kubectl(["create", "-f", "-"]).input(living)).await?;
    }
    Ok(())
}

/// Applies the manifests, but for an Argo CD that drives all environments: most tests have one for
/// a fleet of two.
pub async fn install(control_plane: &ControlPlane, overlay: Overlay) -> Result<()> {
    install_as_it_is(control_plane, overlay).await?;
    let patch = r#"{"spec": {"engine": null, "environments": null}}"#;
    let patch = [
        "patch",
        "gitopspolicy",
        "default",
        "--type=merge",
        "--patch",
        patch,
    ];
    succeed(control_plane.admin().kubectl(patch)).await
}

/// Applies the manifests as they are, in the order that `docs/src/install.md` says.
async fn install_as_it_is(control_plane: &ControlPlane, overlay: Overlay) -> Result<()> {
    let admin = control_plane.admin();
    let apply = |folder: PathBuf| admin.kubectl(["apply", "-k"]).arguments([folder]);
    succeed(apply(path("../manifests/crds"))).await?;
    // `kubectl wait` fails on a definition that has no condition yet.
    control_plane
        .serves("gitopspolicies.kubectl-gitops.io")
        .await?;
    succeed(apply(overlay.path())).await
}

/// Runs a `kubectl` that must succeed.
pub async fn succeed(kubectl: Kubectl) -> Result<()> {
    let output = kubectl.run().await?;
    ensure!(output.status.success(), "kubectl failed: {}", output.stderr);
    Ok(())
}

/// Starts the webhook that is installed, and returns when the API server asks it.
pub async fn serve(control_plane: &ControlPlane) -> Result<Webhook> {
    asked(control_plane, Webhook::start(control_plane).await?).await
}

/// The same, with one that goes by a clock which a test sets.
pub async fn serve_by(control_plane: &ControlPlane, clock: &TestClock) -> Result<Webhook> {
    let webhook = Webhook::start_by(control_plane, clock).await?;
    asked(control_plane, webhook).await
}

async fn asked(control_plane: &ControlPlane, webhook: Webhook) -> Result<Webhook> {
    webhook.ready().await?;
    expose(control_plane, &webhook).await?;
    effective(control_plane).await?;
    Ok(webhook)
}

/// Lets the API server find the webhook behind the Service in its configuration.
pub async fn expose(control_plane: &ControlPlane, webhook: &Webhook) -> Result<()> {
    Ok(control_plane
        .expose("gitops-webhook", "gitops-webhook", webhook.address())
        .await?)
}

/// Returns once the API server asks the webhook and understands its answers. Readiness does not
/// tell: the API server keeps a copy of the configuration, which is a moment behind.
pub async fn effective(control_plane: &ControlPlane) -> Result<()> {
    let secrets = Api::<Secret>::namespaced(control_plane.admin().client().await?, "argocd");
    let probe = serde_json::from_value(json!({
        "metadata": {
            "name": "is-the-webhook-asked",
            "labels": {"argocd.argoproj.io/secret-type": "cluster"},
        },
        "stringData": {"name": "x", "server": "https://x", "config": r#"{"tlsClientConfig":{"insecure":true}}"#},
    }))?;
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let effective = eventually(
        WITHIN,
        "the API server asks the webhook",
        async || match secrets.create(&dry_run, &probe).await {
            Err(kube::Error::Api(status)) if status.message.contains("cluster-credentials: ") => {
                Ok(())
            }
            Err(error) => Err(error.to_string()),
            Ok(_) => Err("a Secret that must be refused is admitted".to_owned()),
        },
    );
    Ok(effective.await?)
}
