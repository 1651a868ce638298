//! What a test may expect of its control plane.

mod ending;
mod existing_cluster;
mod kubernetes_types;

use std::time::Duration;

use anyhow::Context;
use harness::control_plane::Binaries;
use harness::{ControlPlane, KubectlOutput, User, argo_cd_crds, eventually_object};
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, UserInfo};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use tokio::process::Command;
use tokio::task::spawn_blocking;

type Result<T = ()> = anyhow::Result<T>;

#[tokio::test]
async fn is_ready_and_of_the_version_of_its_programs() -> Result {
    let control_plane = ControlPlane::start().await?;

    let ready = kubectl(control_plane.admin(), &["get", "--raw", "/readyz"]).await?;
    let version = control_plane
        .admin()
        .client()
        .await?
        .apiserver_version()
        .await?;
    let kubectl_version = kubectl(control_plane.admin(), &["version", "--client"]).await?;

    assert_eq!(ready.stdout, "ok");
    let binaries = spawn_blocking(Binaries::locate).await??;
    let built = Command::new(binaries.kube_apiserver())
        .arg("--version")
        .output();
    let built = String::from_utf8(built.await?.stdout)?;
    assert_eq!(built, format!("Kubernetes {}\n", version.git_version));
    let client = format!("Client Version: {}\n", version.git_version);
    assert!(
        kubectl_version.stdout.starts_with(&client),
        "{kubectl_version:?}"
    );
    Ok(())
}

#[tokio::test]
async fn two_at_once_share_nothing() -> Result {
    let (first, second) = tokio::try_join!(ControlPlane::start(), ControlPlane::start())?;
    assert_ne!(first.url(), second.url());

    let only_here = ["create", "namespace", "only-here"];
    assert!(kubectl(first.admin(), &only_here).await?.status.success());

    let there = kubectl(second.admin(), &["get", "namespace", "only-here"]).await?;
    assert!(there.stderr.contains("NotFound"), "{there:?}");
    Ok(())
}

#[tokio::test]
async fn a_user_has_the_name_and_the_groups_of_the_certificate() -> Result {
    let control_plane = ControlPlane::start().await?;
    let alice = control_plane.user("alice@example.com", &["developers", "on-call, nights"])?;

    let known_as = whoami(&alice).await?;

    assert_eq!(known_as.username.as_deref(), Some("alice@example.com"));
    assert_eq!(
        known_as.groups.unwrap(),
        ["developers", "on-call, nights", "system:authenticated"]
    );
    Ok(())
}

#[tokio::test]
async fn a_user_may_do_what_rbac_grants_and_no_more() -> Result {
    let control_plane = ControlPlane::start().await?;
    let alice = control_plane.user("alice@example.com", &["developers"])?;
    let reader = [
        "create",
        "clusterrole",
        "reader",
        "--verb=list",
        "--resource=configmaps",
    ];
    let readers = [
        "create",
        "clusterrolebinding",
        "readers",
        "--clusterrole=reader",
        "--group=developers",
    ];
    for grant in [&reader, &readers] {
        assert!(
            kubectl(control_plane.admin(), grant)
                .await?
                .status
                .success()
        );
    }

    let allowed = alice
        .kubectl(["get", "configmaps", "-n", "default"])
        .run()
        .await?;
    let refused = alice
        .kubectl(["get", "secrets", "-n", "default"])
        .run()
        .await?;

    assert!(allowed.status.success(), "{allowed:?}");
    assert!(
        refused
            .stderr
            .contains(r#"User "alice@example.com" cannot list resource "secrets""#),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_service_account_has_its_own_identity_and_can_be_had_twice() -> Result {
    let control_plane = ControlPlane::start().await?;
    control_plane
        .service_account("argocd", "argocd-application-controller")
        .await?;
    let controller = control_plane
        .service_account("argocd", "argocd-application-controller")
        .await?;

    let known_as = whoami(&controller).await?;

    assert_eq!(
        controller.name(),
        "system:serviceaccount:argocd:argocd-application-controller"
    );
    assert_eq!(known_as.username.as_deref(), Some(controller.name()));
    let groups = known_as.groups.unwrap();
    assert_eq!(
        groups,
        [
            "system:serviceaccounts",
            "system:serviceaccounts:argocd",
            "system:authenticated"
        ]
    );
    let by_kubectl = kubectl(
        &controller,
        &[
            "auth",
            "whoami",
            "-o",
            "jsonpath={.status.userInfo.username}",
        ],
    )
    .await?;
    assert_eq!(by_kubectl.stdout, controller.name());
    Ok(())
}

#[tokio::test]
async fn argo_cds_own_schema_judges_applications() -> Result {
    let control_plane = ControlPlane::start().await?;
    control_plane
        .install_crds(&tokio::task::spawn_blocking(argo_cd_crds).await??)
        .await?;
    let good = r"
        apiVersion: argoproj.io/v1alpha1
        kind: Application
        metadata: { name: orders, namespace: default }
        spec:
          project: orders
          source: { repoURL: https://git.example.com/orders, path: . }
          destination: { name: staging, namespace: orders }
    ";
    let without_destination = good.replace("destination:", "info: [] #");
    let admin = control_plane.admin();

    let admitted = admin
        .kubectl(["apply", "-f", "-"])
        .input(good)
        .run()
        .await?;
    let refused = admin
        .kubectl(["apply", "-f", "-"])
        .input(without_destination)
        .run()
        .await?;

    assert!(admitted.status.success(), "{admitted:?}");
    assert!(!refused.status.success(), "{refused:?}");
    assert!(
        refused.stderr.contains("spec.destination: Required value"),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_audit_log_says_who_wrote_and_never_what() -> Result {
    let control_plane = ControlPlane::start().await?;
    let secret = [
        "create",
        "secret",
        "generic",
        "login",
        "--from-literal=password=hunter2",
    ];
    assert!(
        kubectl(control_plane.admin(), &secret)
            .await?
            .status
            .success()
    );

    let log = std::fs::read_to_string(control_plane.audit_log()?)?;

    let writes = |line: &&str| {
        line.contains(r#""verb":"create""#) && line.contains("/namespaces/default/secrets")
    };
    let entry = log.lines().find(writes).unwrap();
    assert!(entry.contains(r#""username":"admin""#), "{entry}");
    assert!(!log.contains("hunter2") && !log.contains("aHVudGVyMg"));
    Ok(())
}

#[tokio::test]
async fn an_object_is_waited_for_by_watching_it() -> Result {
    let control_plane = ControlPlane::start().await?;
    let config_maps = Api::<ConfigMap>::default_namespaced(control_plane.admin().client().await?);
    let filled = |object: Option<&ConfigMap>| match object {
        None => Err("no such ConfigMap".to_owned()),
        Some(found) => found
            .data
            .clone()
            .ok_or_else(|| "a ConfigMap without data".to_owned()),
    };

    let wait = |within| {
        eventually_object(
            within,
            "settings are filled in",
            config_maps.clone(),
            "settings",
            filled,
        )
    };
    let nothing = wait(Duration::from_millis(300))
        .await
        .unwrap_err()
        .to_string();
    kubectl(control_plane.admin(), &["create", "configmap", "settings"]).await?;
    let empty = wait(Duration::from_millis(300))
        .await
        .unwrap_err()
        .to_string();
    let patch = [
        "patch",
        "configmap",
        "settings",
        "-p",
        r#"{"data":{"colour":"blue"}}"#,
    ];
    let (data, patched) = tokio::join!(
        wait(Duration::from_secs(30)),
        kubectl(control_plane.admin(), &patch)
    );

    assert_eq!(
        nothing,
        "settings are filled in: not within 0.3 s; last seen: no such ConfigMap"
    );
    assert_eq!(
        empty,
        "settings are filled in: not within 0.3 s; last seen: a ConfigMap without data"
    );
    assert!(patched?.status.success());
    assert_eq!(data?["colour"], "blue");
    Ok(())
}

async fn whoami(user: &User) -> Result<UserInfo> {
    let reviews = Api::<SelfSubjectReview>::all(user.client().await?);
    let review = reviews
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await?;
    review
        .status
        .and_then(|status| status.user_info)
        .context("no identity in the review")
}

async fn kubectl(user: &User, arguments: &[&str]) -> Result<KubectlOutput> {
    Ok(user.kubectl(arguments).run().await?)
}
