//! What stands for AWS answers as AWS does.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use aws_sdk_eks::error::ProvideErrorMetadata as _;
use gitops_aws::{Aws, Fault};
use serde_json::{Value, json};

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";

#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
async fn with_cluster(mode: &str) -> (Aws, aws_sdk_eks::Client) {
    let aws = Aws::start().await.unwrap();
    let created = aws.create_cluster(ACCOUNT, REGION, "orders", mode).await;
    created.unwrap();
    let eks = aws_sdk_eks::Client::new(&aws.config(ACCOUNT, REGION));
    (aws, eks)
}

#[tokio::test]
async fn an_answer_that_is_not_as_the_model_has_it_is_noticed() {
    let (aws, eks) = with_cluster("API").await;
    aws.agrees_with_the_model().unwrap();

    let odd = json!({"invented": "by nobody", "version": 1});
    aws.describe(ACCOUNT, REGION, "orders", &odd).unwrap();
    // The SDK takes no offence at it, or it does: that is not what is asked here.
    let _ = eks.describe_cluster().name("orders").send().await;

    let noticed = aws.agrees_with_the_model().unwrap_err().to_string();
    assert!(noticed.contains("DescribeCluster"), "{noticed}");
    assert!(noticed.contains("invented"), "{noticed}");
    assert!(noticed.contains("version"), "{noticed}");
}

#[tokio::test]
async fn the_authentication_mode_goes_one_way() {
    let (aws, eks) = with_cluster("CONFIG_MAP").await;
    let update = |mode: &str| {
        let access = aws_sdk_eks::types::UpdateAccessConfigRequest::builder()
            .authentication_mode(mode.into())
            .build();
        let update = eks.update_cluster_config().name("orders");
        update.access_config(access).send()
    };
    let refused = eks
        .list_access_entries()
        .cluster_name("orders")
        .send()
        .await;
    assert_eq!(refused.unwrap_err().code(), Some("InvalidRequestException"));

    aws.show_after(2).unwrap();
    update("API_AND_CONFIG_MAP").await.unwrap();
    let meanwhile = update("API").await.unwrap_err();
    assert_eq!(meanwhile.code(), Some("ResourceInUseException"));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let cluster = eks.describe_cluster().name("orders").send().await.unwrap();
        let cluster = cluster.cluster.unwrap();
        let mode = cluster.access_config.unwrap().authentication_mode.unwrap();
        seen.push(format!("{} {mode}", cluster.status.unwrap()));
    }
    assert_eq!(
        seen,
        [
            "UPDATING CONFIG_MAP",
            "UPDATING CONFIG_MAP",
            "ACTIVE API_AND_CONFIG_MAP",
        ]
    );
    let back = update("CONFIG_MAP").await.unwrap_err();
    assert_eq!(back.code(), Some("InvalidRequestException"));
    aws.agrees_with_the_model().unwrap();
}

#[tokio::test]
async fn a_group_of_kubernetes_own_is_refused() {
    let (aws, eks) = with_cluster("API").await;
    let create = eks.create_access_entry().cluster_name("orders");
    let create = create.principal_arn("arn:aws:iam::111122223333:role/eks");

    let refused = create.kubernetes_groups("system:masters").send().await;

    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidParameterException"));
    let said = refused.message().unwrap();
    assert!(said.contains("it cannot start with system:"), "{said}");
    aws.agrees_with_the_model().unwrap();
}

#[tokio::test]
async fn a_signature_is_checked() {
    let aws = Aws::start().await.unwrap();
    let forged = aws_credential_types::Credentials::new(ACCOUNT, "guessed", None, None, "test");
    let iam = aws_sdk_iam::Client::new(&aws.config_with(forged, REGION));

    let refused = iam.get_role().role_name("any").send().await.unwrap_err();

    assert_eq!(refused.code(), Some("SignatureDoesNotMatch"));
}

#[tokio::test]
async fn a_call_fails_as_often_as_it_is_told_to() {
    let (aws, eks) = with_cluster("API").await;
    let fault = Fault::Error {
        status: 400,
        code: "InvalidParameterException",
        message: "told to",
    };
    aws.fail("eks:DescribeCluster", 1, &fault).unwrap();
    let before = aws.calls().unwrap().len();

    let first = eks.describe_cluster().name("orders").send().await;
    let second = eks.describe_cluster().name("orders").send().await;

    assert_eq!(first.unwrap_err().message(), Some("told to"));
    second.unwrap();
    let calls = aws.calls().unwrap();
    assert_eq!(
        calls[before..],
        ["eks:DescribeCluster", "eks:DescribeCluster"]
    );
}

/// That somebody may do this with a role.
fn trust(principal: &Value, actions: &[&str]) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": actions}],
    })
}

/// What the agent of Pod Identity answers to a pod of Argo CD's server: a status, and credentials.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn agent(aws: &Aws) -> (String, Value) {
    let environment = aws.environment_of_pod((ACCOUNT, REGION, "orders"), "argocd", "server");
    let url = environment.into_iter();
    let mut url = url.filter(|(name, _)| *name == "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let (_, url) = url.next().unwrap();
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().to_owned();
    (status, serde_json::from_str(body).unwrap())
}

/// A pod of Argo CD's server has the role `engine`, as far as that lets EKS in by these actions.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
async fn with_pod_identity(aws: &Aws, eks: &aws_sdk_eks::Client, actions: &[&str]) {
    let pods = json!({"Service": "pods.eks.amazonaws.com"});
    let trusted = trust(&pods, actions);
    let role = aws.create_role(ACCOUNT, "engine", &trusted).await.unwrap();
    let addon = eks.create_addon().cluster_name("orders");
    addon
        .addon_name("eks-pod-identity-agent")
        .send()
        .await
        .unwrap();
    let associate = eks.create_pod_identity_association();
    let associate = associate.cluster_name("orders").role_arn(role);
    let associate = associate.namespace("argocd").service_account("server");
    associate.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_gets_its_role_once_it_is_associated_and_the_role_lets_it_in_with_tags() {
    let (aws, eks) = with_cluster("API").await;
    assert_eq!(agent(&aws).0, "404");
    with_pod_identity(&aws, &eks, &["sts:AssumeRole"]).await;
    let (status, said) = agent(&aws);
    assert_eq!((&*status, said["AccessKeyId"].as_str()), ("403", None));

    let iam = aws_sdk_iam::Client::new(&aws.config(ACCOUNT, REGION));
    let pods = json!({"Service": "pods.eks.amazonaws.com"});
    let both = trust(&pods, &["sts:AssumeRole", "sts:TagSession"]);
    let update = iam.update_assume_role_policy().role_name("engine");
    update
        .policy_document(both.to_string())
        .send()
        .await
        .unwrap();
    let (status, credentials) = agent(&aws);
    assert_eq!(status, "200", "{}", credentials["message"]);
    assert!(credentials["Token"].is_string());
    aws.agrees_with_the_model().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tags_of_a_pod_go_along_and_must_be_allowed_on_either_side() {
    let (aws, eks) = with_cluster("API").await;
    let both = ["sts:AssumeRole", "sts:TagSession"];
    with_pod_identity(&aws, &eks, &both).await;
    let (_, got) = agent(&aws);
    let text = |key: &str| got[key].as_str().unwrap().to_owned();
    let (key, secret, token) = (text("AccessKeyId"), text("SecretAccessKey"), text("Token"));
    let pod = aws_credential_types::Credentials::new(key, secret, Some(token), None, "test");
    let sts = aws_sdk_sts::Client::new(&aws.config_with(pod, REGION));
    let engine = json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:role/engine")});
    let other = "444455556666";
    let iam = aws_sdk_iam::Client::new(&aws.config(other, REGION));
    let trusted = trust(&engine, &both);
    let role = aws.create_role(other, "argocd", &trusted).await.unwrap();

    let refused = async |allowed: &[&str], trusted: &[&str]| {
        let document = json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": role}],
        });
        let allow = aws.allow(ACCOUNT, "engine", "assume", &document);
        allow.await.unwrap();
        let update = iam.update_assume_role_policy().role_name("argocd");
        let document = trust(&engine, trusted).to_string();
        update.policy_document(document).send().await.unwrap();
        let assume = sts.assume_role().role_arn(&role).role_session_name("pod");
        let refused = assume.send().await.err();
        refused.map(|error| error.message().unwrap_or_default().to_owned())
    };
    for (allowed, trusted, lacking) in [
        (&both[1..], &both[..], Some("sts:AssumeRole")),
        (&both[..1], &both[..], Some("sts:TagSession")),
        (&both[..], &both[..1], Some("sts:TagSession")),
        (&both[..], &both[..], None),
    ] {
        let said = refused(allowed, trusted).await;
        let said_so = match (&said, lacking) {
            (Some(said), Some(lacking)) => said.contains(&format!("perform: {lacking} ")),
            (said, lacking) => said.is_none() && lacking.is_none(),
        };
        assert!(said_so, "{allowed:?}, {trusted:?}: {said:?}");
    }
}
