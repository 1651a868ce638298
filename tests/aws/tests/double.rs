//! What stands for AWS answers as AWS does.

use aws_sdk_eks::error::ProvideErrorMetadata as _;
use gitops_aws::{Aws, Fault};
use serde_json::json;

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
