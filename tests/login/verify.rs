//! `cluster verify`: each link of the login is proven, or named.

use std::path::Path;
use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use harness::plugin::plugin_as;
use harness::{eventually, succeed};
use serde_json::{Value, json};

use crate::world::{
    ADMIN, CLUSTER, CLUSTER_ROLE, ENGINE, ENGINE_ROLE, REGION, WORKLOAD, World, trust,
};

impl World {
    pub(crate) async fn verify(&self, arguments: &[&str]) -> Result<Verified> {
        let verify = ["cluster", "verify"].into_iter();
        let command: Vec<&str> = verify.chain(arguments.iter().copied()).collect();
        Verified::new(&self.plugin(&command).await?)
    }

    /// By the way that Argo CD goes.
    async fn verify_as_engine(&self) -> Result<Verified> {
        self.verify(&[CLUSTER, "--engine-role-arn", ENGINE_ROLE])
            .await
    }
}

#[derive(Debug)]
pub(crate) struct Verified {
    status: Option<i32>,
    /// The link that does not hold, and how it is.
    flaw: Option<(String, String)>,
    text: String,
}

impl Verified {
    fn new(output: &Output) -> Result<Self> {
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let text = format!("{stdout}{stderr}");
        ensure!(!text.contains("k8s-aws-v1."), "a token was told");
        let document: Value = serde_json::from_str(&stdout).with_context(|| text.clone())?;
        let links = document["clusters"][0]["links"].as_array().cloned();
        let mut links = links.unwrap_or_default().into_iter();
        let flaw = links.find(|link| link["state"] != "ok");
        let flaw = flaw.map(|link| {
            let word = |key: &str| link[key].as_str().unwrap_or_default().to_owned();
            (word("link"), word("state"))
        });
        Ok(Self {
            status: output.status.code(),
            flaw,
            text,
        })
    }

    pub(crate) fn is_proven(&self) {
        assert_eq!((self.status, &self.flaw), (Some(0), &None), "{}", self.text);
    }

    pub(crate) fn is_broken(&self, link: &str) {
        let flaw = Some((link.to_owned(), "wrong".to_owned()));
        assert_eq!((self.status, &self.flaw), (Some(1), &flaw), "{}", self.text);
    }

    pub(crate) fn tells(&self, text: &str) {
        assert!(self.text.contains(text), "{}", self.text);
    }

    pub(crate) fn is_unknown(&self, link: &str) {
        let flaw = Some((link.to_owned(), "unknown".to_owned()));
        assert_eq!((self.status, &self.flaw), (Some(2), &flaw), "{}", self.text);
    }
}

/// The authenticator reads its file of roles a moment after it is written.
async fn eventually_verified(world: &World, expected: Option<i32>) -> Result<Verified> {
    let within = std::time::Duration::from_mins(1);
    let verified = eventually(
        within,
        "the authenticator goes by the access entries",
        async || {
            let verified = world
                .verify_as_engine()
                .await
                .map_err(|error| format!("{error:#}"))?;
            if verified.status == expected {
                Ok(verified)
            } else {
                Err(verified.text)
            }
        },
    );
    Ok(verified.await?)
}

/// Sessions of Pod Identity have tags, so both sides have to allow `sts:TagSession`.
#[expect(clippy::unwrap_used, reason = "a part of a test")]
async fn each_role_has_to_allow_tags(world: &World) {
    let iam = |account| aws_sdk_iam::Client::new(&world.aws.config(account, REGION));
    let by = json!({"AWS": ENGINE_ROLE});
    let trusted = |actions: &[&str]| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": by, "Action": actions}]});
    let update = |actions: &[&str]| {
        let update = iam(WORKLOAD)
            .update_assume_role_policy()
            .role_name("argocd");
        update.policy_document(trusted(actions).to_string()).send()
    };
    let may = |actions: &[&str]| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": CLUSTER_ROLE, "Action": actions}]});
    let both = ["sts:AssumeRole", "sts:TagSession"];

    update(&both[..1]).await.unwrap();
    let verified = world.verify_as_engine().await.unwrap();
    verified.is_broken("cluster-role-trust");
    verified.tells("sts:TagSession");
    update(&both).await.unwrap();
    world.verify_as_engine().await.unwrap().is_proven();

    for (actions, is_proven) in [(&both[..1], false), (&both, true)] {
        let put = iam(ENGINE).put_role_policy().role_name("argocd-engine");
        let put = put
            .policy_name("argocd")
            .policy_document(may(actions).to_string());
        put.send().await.unwrap();
        let verified = world.verify_as_engine().await.unwrap();
        if is_proven {
            verified.is_proven();
        } else {
            verified.is_broken("cluster-role-trust");
        }
    }
}

#[tokio::test]
async fn each_link_of_the_login_is_proven_or_named() {
    let world = World::start().await.unwrap();
    eventually_verified(&world, Some(0))
        .await
        .unwrap()
        .is_proven();

    a_proof_is_on_record_where_that_is_wanted(&world).await;

    let log = std::fs::read_to_string(world.cluster.control_plane().audit_log().unwrap()).unwrap();
    assert!(
        log.contains("arn:aws:sts::111122223333:assumed-role/argocd/"),
        "nobody logged in"
    );
    assert!(!log.contains("k8s-aws-v1."));

    // You are not Argo CD: that you may not take on the role says nothing.
    world
        .verify(&[CLUSTER])
        .await
        .unwrap()
        .is_unknown("cluster-role-trust");

    world
        .register(|config| config["awsAuthConfig"]["clusterName"] = json!("orders-staging"))
        .await
        .unwrap();
    world
        .verify_as_engine()
        .await
        .unwrap()
        .is_broken("access-entry");

    let another = world.devops.admin().kubeconfig();
    let another = authority_in(another).unwrap();
    world
        .register(|config| config["tlsClientConfig"]["caData"] = json!(another))
        .await
        .unwrap();
    world
        .verify_as_engine()
        .await
        .unwrap()
        .is_broken("certificate-authority");

    // Port 9 is discard's, where nobody listens.
    world
        .register(|config| config["server"] = json!("https://127.0.0.1:9"))
        .await
        .unwrap();
    world
        .verify_as_engine()
        .await
        .unwrap()
        .is_unknown("endpoint");

    world
        .register(|config| *config = json!({"bearerToken": "a-secret-token"}))
        .await
        .unwrap();
    let by_token = world.verify_as_engine().await.unwrap();
    by_token.is_unknown("cluster-secret");
    assert!(!by_token.text.contains("a-secret-token"));

    world
        .register(|config| config["awsAuthConfig"]["clusterName"] = json!(""))
        .await
        .unwrap();
    world
        .verify_as_engine()
        .await
        .unwrap()
        .is_broken("cluster-secret");

    world.register(|_| {}).await.unwrap();
    world.verify_as_engine().await.unwrap().is_proven();

    each_role_has_to_allow_tags(&world).await;
    each_access_is_proven_or_named(&world).await;

    let iam = aws_sdk_iam::Client::new(&world.aws.config(WORKLOAD, REGION));
    let nobody = trust(&json!({"AWS": "arn:aws:iam::999999999999:role/other"}));
    let update = iam.update_assume_role_policy().role_name("argocd");
    update
        .policy_document(nobody.to_string())
        .send()
        .await
        .unwrap();
    world
        .verify_as_engine()
        .await
        .unwrap()
        .is_broken("cluster-role-trust");

    world.aws.agrees_with_the_model().unwrap();
}

/// Who may only read is told so, and proves it all the same.
#[expect(clippy::unwrap_used, reason = "a part of a test")]
async fn a_proof_is_on_record_where_that_is_wanted(world: &World) {
    let proven = async || {
        let mut list = plugin_as(world.devops.admin()).unwrap();
        let list = list.args(["cluster", "list", "-o", "json"]).output();
        let list = list.await.unwrap();
        let list: Value = serde_json::from_slice(&list.stdout).unwrap();
        let clusters = list["clusters"].as_array().unwrap();
        let cluster = clusters.iter().find(|one| one["name"] == CLUSTER).unwrap();
        cluster["verified"].as_str().map(str::to_owned)
    };
    let record = async |which: &str, more: &[&str]| {
        let flags = [which, "--engine-role-arn", ENGINE_ROLE, "--record"];
        let verified = world.verify(&[&flags, more].concat()).await;
        verified.unwrap()
    };
    assert_eq!(proven().await, None);

    let reader = world
        .devops
        .service_account("argocd", "reader")
        .await
        .unwrap();
    let role = [
        "create",
        "role",
        "reader",
        "-n",
        "argocd",
        "--verb=get,list",
    ];
    let resources = ["--resource=secrets,appprojects.argoproj.io"];
    let bind = [
        "create",
        "rolebinding",
        "reader",
        "-n",
        "argocd",
        "--role=reader",
    ];
    let subject = ["--serviceaccount=argocd:reader"];
    let admin = world.devops.admin();
    succeed(admin.kubectl(role).arguments(resources))
        .await
        .unwrap();
    succeed(admin.kubectl(bind).arguments(subject))
        .await
        .unwrap();
    let kubeconfig = reader.kubeconfig().to_str().unwrap();
    let told = record(CLUSTER, &["--kubeconfig", kubeconfig]).await;
    assert_eq!((told.status, &told.flaw), (Some(2), &None), "{}", told.text);
    let reason = "orders-production: that it is proven is not on record: cannot patch secrets/cluster-orders";
    assert!(told.text.contains(reason), "{}", told.text);
    assert_eq!(proven().await, None);

    // By another name of the same cluster.
    record("secret/cluster-orders", &[]).await.is_proven();
    let first = proven().await;
    assert!(first.is_some());
    world
        .register(|config| config["awsAuthConfig"]["clusterName"] = json!("orders-staging"))
        .await
        .unwrap();
    let server = world.cluster.control_plane().url();
    record(server, &[]).await.is_broken("access-entry");
    assert_eq!(proven().await, first);
    world.register(|_| {}).await.unwrap();
}

/// What EKS says of the role.
#[expect(clippy::unwrap_used, reason = "a part of a test")]
async fn each_access_is_proven_or_named(world: &World) {
    let eks = aws_sdk_eks::Client::new(&world.aws.config(WORKLOAD, REGION));
    let disassociate = eks.disassociate_access_policy().cluster_name(CLUSTER);
    let disassociate = disassociate.principal_arn(CLUSTER_ROLE).policy_arn(ADMIN);
    disassociate.send().await.unwrap();
    world.cluster.follow(&world.aws).await.unwrap();
    eventually_verified(world, Some(1))
        .await
        .unwrap()
        .is_broken("access-policy");

    let delete = eks.delete_access_entry().cluster_name(CLUSTER);
    delete.principal_arn(CLUSTER_ROLE).send().await.unwrap();
    world.cluster.follow(&world.aws).await.unwrap();
    let within = std::time::Duration::from_mins(1);
    eventually(within, "the role is nobody", async || {
        let verified = world
            .verify_as_engine()
            .await
            .map_err(|error| format!("{error:#}"))?;
        match &verified.flaw {
            Some((link, _)) if link == "access-entry" => Ok(()),
            _ => Err(verified.text),
        }
    })
    .await
    .unwrap();

    world.create_access_entry().await.unwrap();
    eventually_verified(world, Some(0))
        .await
        .unwrap()
        .is_proven();
}

/// The certificate authority of the first cluster that a kubeconfig has.
pub(crate) fn authority_in(kubeconfig: &Path) -> Result<String> {
    let kubeconfig: Value = serde_json::from_slice(&std::fs::read(kubeconfig)?)?;
    let authority = &kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"];
    Ok(authority.as_str().context("it has none")?.to_owned())
}
