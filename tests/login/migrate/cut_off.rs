//! A migration that is killed, and run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use harness::Answered;
use harness::argo_cd::ControllerManager;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

const MIGRATE: [&str; 4] = [CLUSTER, "--role-arn", CLUSTER_ROLE, "--revoke"];

/// Holds the answer to one request: to the write of a number, or to the first question where there
/// is no number. What was asked is done by then, and whoever asked does not know it.
fn hold(proxies: [&ReverseProxy; 2], number: Option<usize>) -> UnboundedReceiver<Answered> {
    let (tell, held) = unbounded_channel();
    let writes = Arc::new(AtomicUsize::new(0));
    for proxy in proxies {
        let (tell, writes) = (tell.clone(), Arc::clone(&writes));
        proxy.before_answers(move |answered| {
            let is_question = answered.path.ends_with("/selfsubjectaccessreviews");
            let is_held = match number {
                None => is_question,
                Some(number) => {
                    answered.is_write() && writes.fetch_add(1, Ordering::SeqCst) == number
                }
            };
            let tell = tell.clone();
            async move {
                if is_held {
                    tell.send(answered)?;
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
            .boxed()
        });
    }
    held
}

impl World {
    /// What is to be in the end: a login by AWS, and nothing by which anybody else gets in.
    #[expect(clippy::unwrap_used, reason = "a part of a test")]
    async fn is_migrated(&self, manager: &Manager, told: &str) {
        let (config, metadata) = self.stored().await.unwrap();
        let aws = json!({"clusterName": CLUSTER, "roleARN": CLUSTER_ROLE});
        assert_eq!(config["awsAuthConfig"], aws, "{told}");
        let annotations = metadata["annotations"].to_string();
        assert!(!annotations.contains("token-of"), "{told}");
        assert!(annotations.contains("kubectl-gitops.io/verified"), "{told}");
        assert_eq!(self.left().await.unwrap(), "", "{told}");
        manager.is_dead().await.unwrap();
        let everything = self.secret().await.unwrap().to_string() + &config.to_string();
        assert!(!everything.contains(&manager.token), "{told}");
        for control_plane in [&self.devops, self.cluster.control_plane()] {
            let log = fs::read_to_string(control_plane.audit_log().unwrap()).unwrap();
            assert!(!log.contains(&manager.token), "{told}");
        }
    }

    /// Runs it until it is held, and kills it then. None if it came to its end.
    async fn cut_off(
        &self,
        kubeconfig: &Path,
        held: &mut UnboundedReceiver<Answered>,
    ) -> Result<(Migrated, Option<Answered>)> {
        let mut running = self.migration(kubeconfig, &MIGRATE).spawn()?;
        let answered = tokio::select! {
            answered = held.recv() => answered,
            _ = running.wait() => None,
        };
        if answered.is_some() {
            // SIGKILL.
            running.start_kill()?;
        }
        let output = running.wait_with_output().await?;
        Ok((Migrated::new(&output), answered))
    }
}

#[tokio::test]
async fn killed_at_any_step_it_is_brought_to_the_same_end_by_running_it_again() {
    let world = World::start().await.unwrap();
    let workload = world.cluster.control_plane();
    let _controller = ControllerManager::start_built(workload, &[TOKENS]).unwrap();
    let devops = ReverseProxy::start(&world.devops).await.unwrap();
    let cluster = ReverseProxy::start(workload).await.unwrap();
    let kubeconfig = world.kubeconfig_through(&devops).await.unwrap();
    let mut cut_off_after = Vec::new();
    for number in std::iter::once(None).chain((0..).map(Some)) {
        let url = cluster.url();
        let manager = world.register_by_long_lived_token(&url).await.unwrap();
        let mut held = hold([&devops, &cluster], number);
        let (first, answered) = world.cut_off(kubeconfig.path(), &mut held).await.unwrap();
        first.tells_nothing_of(&manager.token);
        let Some(answered) = answered else {
            assert_eq!(first.status, Some(0), "{}", first.text);
            world.is_migrated(&manager, &first.text).await;
            break;
        };
        assert_eq!(first.status, None, "it was killed: {}", first.text);
        let cut_off = format!("{} {}", answered.method, answered.path);

        // Nobody is held from here on.
        drop(hold([&devops, &cluster], Some(usize::MAX)));
        let (_, metadata) = world.stored().await.unwrap();
        let is_begun = metadata["annotations"].to_string().contains("token-of");
        let again: &[&str] = match cut_off_after.len() % 2 {
            0 if is_begun => &["--resume"],
            _ => &MIGRATE,
        };
        let mut migration = world.migration(kubeconfig.path(), again);
        let second = Migrated::new(&migration.output().await.unwrap());
        let told = format!("cut off after {cut_off}, {again:?}: {}", second.text);
        assert_eq!(second.status, Some(0), "{told}");
        second.tells_nothing_of(&manager.token);
        world.is_migrated(&manager, &told).await;
        cut_off_after.push(cut_off);
    }
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let account = "/api/v1/namespaces/kube-system";
    let switch = "PATCH /api/v1/namespaces/argocd/secrets/cluster-orders".to_owned();
    assert_eq!(
        cut_off_after,
        [
            "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned(),
            switch.clone(),
            // kubectl's copy of the Secret with the token.
            switch.clone(),
            format!("DELETE {rbac}/clusterroles/argocd-manager-role"),
            format!("DELETE {rbac}/clusterrolebindings/argocd-manager-role-binding"),
            format!("PATCH {rbac}/clusterrolebindings/readers"),
            format!("DELETE {account}/secrets/argocd-manager-long-lived-token"),
            format!("DELETE {account}/serviceaccounts/argocd-manager"),
            switch,
        ]
    );
}
