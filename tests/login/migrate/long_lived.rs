//! A token that never expires, as `argocd cluster add` has it made.

use harness::argo_cd::ControllerManager;
use harness::eventually_object;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::*;

/// What `argocd cluster add` waits for to be filled.
const TOKEN: &str = "
apiVersion: v1
kind: Secret
metadata:
  name: argocd-manager-long-lived-token
  namespace: kube-system
  annotations: { kubernetes.io/service-account.name: argocd-manager }
type: kubernetes.io/service-account-token
";

/// Of another account: it stays.
const OF_ANOTHER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: monitoring, namespace: kube-system }
---
apiVersion: v1
kind: Secret
metadata:
  name: monitoring-token
  namespace: kube-system
  annotations: { kubernetes.io/service-account.name: monitoring }
type: kubernetes.io/service-account-token
";

impl World {
    /// Registers the cluster as `argocd cluster add` does, by a token that Kubernetes' own
    /// controller makes. `server` is where Argo CD believes it to be.
    pub(super) async fn register_by_long_lived_token(&self, server: &str) -> Result<Manager> {
        let Manager { user, .. } = self.register_by_token().await?;
        let secret = "argocd-manager-long-lived-token";
        let token = self.long_lived_token(TOKEN, secret).await?;
        self.register(|config| {
            let tls = config["tlsClientConfig"].clone();
            *config = json!({"bearerToken": token, "tlsClientConfig": tls, "server": server});
        })
        .await?;
        Ok(Manager { user, token })
    }

    /// Has a Secret filled with a token.
    async fn long_lived_token(&self, manifest: &str, secret: &str) -> Result<String> {
        let admin = self.cluster.control_plane().admin();
        succeed(admin.kubectl(["apply", "-f", "-"]).input(manifest)).await?;
        let secrets = Api::<Secret>::namespaced(admin.client().await?, "kube-system");
        let within = Duration::from_mins(1);
        let filled = eventually_object(within, "the token is made", secrets, secret, |secret| {
            let data = secret.and_then(|secret| secret.data.as_ref());
            let token = data.and_then(|data| data.get("token"));
            let token = token.ok_or("there is none")?;
            String::from_utf8(token.0.clone()).map_err(|error| error.to_string())
        });
        Ok(filled.await?)
    }

    async fn is_there(&self, secret: &str) -> Result<bool> {
        let get = ["get", "secret", secret, "-n", "kube-system"];
        let admin = self.cluster.control_plane().admin();
        Ok(admin.kubectl(get).run().await?.status.success())
    }
}

#[tokio::test]
async fn a_token_that_never_expires_is_revoked_with_its_account() {
    let world = World::start().await.unwrap();
    let workload = world.cluster.control_plane();
    let _controller = ControllerManager::start_built(workload, &[TOKENS]).unwrap();
    let manager = world
        .register_by_long_lived_token(workload.url())
        .await
        .unwrap();
    let other = world
        .long_lived_token(OF_ANOTHER, "monitoring-token")
        .await
        .unwrap();
    assert!(manager.is_let_in().await.unwrap());

    let arguments = [CLUSTER, "--role-arn", CLUSTER_ROLE, "--revoke"];
    let migrated = world.migrate(&arguments).await.unwrap();

    assert_eq!(migrated.status, Some(0), "{}", migrated.text);
    assert!(!manager.is_let_in().await.unwrap());
    assert_eq!(world.left().await.unwrap(), "");
    let secret = "argocd-manager-long-lived-token";
    assert!(!world.is_there(secret).await.unwrap());
    assert!(world.is_there("monitoring-token").await.unwrap());
    for token in [&manager.token, &other] {
        migrated.tells_nothing_of(token);
    }
}
