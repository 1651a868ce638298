//! What is read and changed, with `ministack` as AWS.

use std::time::Duration;

use gitops_aws::{Aws, Fault};
use serde_json::{Value, json};

use super::account::Account;
use super::change::Outcome;
use super::error::AwsError;
use super::patience::Patience;
use super::place::Place;
use super::read::{Engine, Wanted, read};
use crate::error::chain;
use crate::onboarding::arn::RoleArn;
use crate::onboarding::change::{Change, ClusterChange, RoleChange, Side};
use crate::onboarding::facts::{AccessScope, AwsFacts, Lookup};
use crate::onboarding::undo::undo;

const WORKLOAD: &str = "111122223333";
const ENGINE: &str = "444455556666";
const REGION: &str = "eu-west-1";
const CLUSTER: &str = "orders-production";
const DEVOPS: &str = "devops";
const ADMIN: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";
const CLUSTER_ROLE: &str = "arn:aws:iam::111122223333:role/argocd";
const ENGINE_ROLE: &str = "arn:aws:iam::444455556666:role/argocd-engine";

/// No test waits long.
const PATIENCE: Patience = Patience {
    to_begin: Duration::from_secs(2),
    to_finish: Duration::from_secs(10),
    first_pause: Duration::from_millis(5),
};

async fn account(aws: &Aws, number: &str) -> Result<Account, AwsError> {
    let side = if number == ENGINE {
        Side::Engine
    } else {
        Side::Cluster
    };
    let place = Place {
        side,
        account: None,
        region: REGION.to_owned(),
        profile: None,
    };
    Account::with_config(place, aws.config(number, REGION)).await
}

async fn facts(aws: &Aws) -> AwsFacts {
    let cluster = account(aws, WORKLOAD).await.unwrap();
    let engine = account(aws, ENGINE).await.unwrap();
    let wanted = Wanted {
        cluster: CLUSTER,
        cluster_role: Some(CLUSTER_ROLE),
        engine: Some(Engine {
            account: &engine,
            cluster: DEVOPS,
            namespace: "argocd",
            role: None,
        }),
    };
    read(&cluster, &wanted).await
}

fn trust(principal: &Value) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": principal,
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }],
    })
}

fn in_cluster(cluster: &str, change: ClusterChange) -> Change {
    change.of(cluster)
}

fn of_role(role: &str, change: RoleChange) -> Change {
    change.of(&role.parse::<RoleArn>().unwrap())
}

/// All that leads from Argo CD's pods to the cluster, in an order in which it can be made.
fn whole_way() -> Vec<(&'static str, Change)> {
    let allow = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Resource": CLUSTER_ROLE,
        }],
    });
    let pods = json!({"Service": "pods.eks.amazonaws.com"});
    vec![
        (
            ENGINE,
            of_role(
                ENGINE_ROLE,
                RoleChange::Create {
                    trust_policy: trust(&pods).to_string(),
                },
            ),
        ),
        (
            ENGINE,
            of_role(
                ENGINE_ROLE,
                RoleChange::PutPolicy {
                    name: "argocd".to_owned(),
                    document: allow.to_string(),
                },
            ),
        ),
        (
            ENGINE,
            in_cluster(
                DEVOPS,
                ClusterChange::CreateAddon {
                    name: "eks-pod-identity-agent".to_owned(),
                },
            ),
        ),
        (
            ENGINE,
            in_cluster(
                DEVOPS,
                ClusterChange::AssociatePodIdentity {
                    namespace: "argocd".to_owned(),
                    service_account: "argocd-application-controller".to_owned(),
                    role: ENGINE_ROLE.to_owned(),
                },
            ),
        ),
        (
            WORKLOAD,
            of_role(
                CLUSTER_ROLE,
                RoleChange::Create {
                    trust_policy: trust(&json!({"AWS": ENGINE_ROLE})).to_string(),
                },
            ),
        ),
        (
            WORKLOAD,
            in_cluster(CLUSTER, ClusterChange::AllowAccessEntries),
        ),
        (
            WORKLOAD,
            in_cluster(
                CLUSTER,
                ClusterChange::CreateAccessEntry {
                    principal: CLUSTER_ROLE.to_owned(),
                    groups: vec!["deployers".to_owned()],
                },
            ),
        ),
        (
            WORKLOAD,
            in_cluster(
                CLUSTER,
                ClusterChange::AssociateAccessPolicy {
                    principal: CLUSTER_ROLE.to_owned(),
                    policy: ADMIN.to_owned(),
                    scope: AccessScope {
                        kind: "cluster".to_owned(),
                        namespaces: Vec::new(),
                    },
                },
            ),
        ),
    ]
}

async fn two_clusters() -> Aws {
    let aws = Aws::start().await.unwrap();
    let cluster = aws.create_cluster(WORKLOAD, REGION, CLUSTER, "CONFIG_MAP");
    cluster.await.unwrap();
    let devops = aws.create_cluster(ENGINE, REGION, DEVOPS, "API");
    devops.await.unwrap();
    aws
}

async fn apply(aws: &Aws, number: &str, change: &Change) -> Result<Outcome, AwsError> {
    account(aws, number).await?.apply(change, PATIENCE).await
}

#[tokio::test]
async fn what_is_made_is_read_and_what_is_taken_back_is_gone() {
    let aws = two_clusters().await;

    let before = facts(&aws).await;
    assert_eq!(before.access_entry_principals, Lookup::Absent);
    assert_eq!(before.access_entry, Lookup::Absent);
    assert!(matches!(before.cluster_role, Lookup::Absent));
    assert!(matches!(before.engine_role, Lookup::Unknown(_)));
    assert_eq!(before.pod_identity_agent, Lookup::Absent);
    assert_eq!(before.pod_identity_associations, Lookup::Known(Vec::new()));

    for (number, change) in whole_way() {
        let done = apply(&aws, number, &change).await;
        assert_eq!(
            done.map_err(|error| chain(&error)),
            Ok(Outcome::Done),
            "{change}"
        );
    }
    let after = facts(&aws).await;
    let cluster = after.cluster.known().unwrap();
    assert_eq!(cluster.name, CLUSTER);
    assert_eq!(
        cluster.arn,
        "arn:aws:eks:eu-west-1:111122223333:cluster/orders-production"
    );
    let access = cluster.access_config.clone().unwrap();
    assert_eq!(
        access.authentication_mode.as_deref(),
        Some("API_AND_CONFIG_MAP")
    );
    let principals = after.access_entry_principals.known().unwrap();
    assert_eq!(principals, &[CLUSTER_ROLE]);
    let entry = after.access_entry.known().unwrap();
    assert_eq!(entry.kubernetes_groups, ["deployers"]);
    assert_eq!(entry.kind.as_deref(), Some("STANDARD"));
    assert!(entry.created_at.is_some());
    let policies = after.access_policies.known().unwrap();
    assert_eq!(policies[0].policy_arn, ADMIN);
    assert_eq!(policies[0].access_scope.kind, "cluster");
    let role = after.cluster_role.known().unwrap();
    assert_eq!(role.arn, CLUSTER_ROLE);
    assert!(
        role.trust_policy.contains("argocd-engine"),
        "{}",
        role.trust_policy
    );
    let engine = after.engine_role.known().unwrap();
    assert_eq!(engine.arn, ENGINE_ROLE);
    let inline = engine.inline_policies.known().unwrap();
    assert_eq!(inline[0].name, "argocd");
    assert!(
        inline[0].document.contains("TagSession"),
        "{}",
        inline[0].document
    );
    assert_eq!(engine.attached_policies, Lookup::Known(Vec::new()));
    assert_eq!(engine.permissions_boundary, Lookup::Absent);
    let agent = after.pod_identity_agent.known().unwrap();
    assert_eq!(agent.status.as_deref(), Some("ACTIVE"));
    let association = &after.pod_identity_associations.known().unwrap()[0];
    assert_eq!(association.role_arn, ENGINE_ROLE);
    assert_eq!(association.service_account, "argocd-application-controller");
    assert_eq!(after.caller.known().unwrap().account, WORKLOAD);
    assert_eq!(after.engine_caller.known().unwrap().account, ENGINE);

    for (number, change) in whole_way() {
        let again = apply(&aws, number, &change).await;
        let again = again.map_err(|error| chain(&error));
        assert_eq!(again, Ok(Outcome::AlreadySo), "{change}");
    }

    for (number, change) in whole_way().into_iter().rev() {
        let change = if number == ENGINE {
            change.in_engine_account()
        } else {
            change.in_cluster_account()
        };
        // Nothing of it was there before.
        let Some(reverse) = undo(&change, &AwsFacts::default()) else {
            continue;
        };
        let reverse = reverse.change;
        let undone = apply(&aws, number, &reverse).await;
        assert_eq!(
            undone.map_err(|error| chain(&error)),
            Ok(Outcome::Done),
            "{reverse}"
        );
        let again = apply(&aws, number, &reverse).await.unwrap();
        assert_eq!(again, Outcome::AlreadySo, "{reverse}");
    }
    let end = facts(&aws).await;
    assert_eq!(end.access_entry, Lookup::Absent);
    assert_eq!(end.access_entry_principals, Lookup::Known(Vec::new()));
    assert!(matches!(end.cluster_role, Lookup::Absent));
    assert_eq!(end.pod_identity_agent, Lookup::Absent);
    assert_eq!(end.pod_identity_associations, Lookup::Known(Vec::new()));
    aws.agrees_with_the_model().unwrap();
}

#[tokio::test]
async fn what_shows_late_is_waited_for_and_not_for_ever() {
    let aws = two_clusters().await;
    let entry = in_cluster(
        DEVOPS,
        ClusterChange::CreateAccessEntry {
            principal: ENGINE_ROLE.to_owned(),
            groups: Vec::new(),
        },
    );
    aws.show_after(3).unwrap();
    let before = aws.calls().unwrap().len();
    assert_eq!(apply(&aws, ENGINE, &entry).await.unwrap(), Outcome::Done);
    let calls = aws.calls().unwrap().split_off(before);
    let of = |name: &str| calls.iter().filter(|call| *call == name).count();
    // Once before it is created, three times in vain, and once more.
    assert_eq!(of("eks:DescribeAccessEntry"), 2 + 3 + 1, "{calls:?}");
    assert_eq!(of("eks:CreateAccessEntry"), 1, "{calls:?}");

    let mode = in_cluster(CLUSTER, ClusterChange::AllowAccessEntries);
    aws.show_after(2).unwrap();
    assert_eq!(apply(&aws, WORKLOAD, &mode).await.unwrap(), Outcome::Done);

    aws.show_after(1_000_000).unwrap();
    let impatient = Patience {
        to_finish: Duration::from_millis(100),
        ..PATIENCE
    };
    let late = in_cluster(
        CLUSTER,
        ClusterChange::CreateAccessEntry {
            principal: CLUSTER_ROLE.to_owned(),
            groups: Vec::new(),
        },
    );
    let cluster = account(&aws, WORKLOAD).await.unwrap();
    let error = cluster.apply(&late, impatient).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "cannot create the access entry of arn:aws:iam::111122223333:role/argocd in \
         orders-production (eks:CreateAccessEntry in account 111122223333, region eu-west-1): AWS \
         took it on, and after 0 s it is not so"
    );
    aws.agrees_with_the_model().unwrap();
}

#[tokio::test]
async fn what_is_there_in_another_form_is_put_right_or_told() {
    let aws = two_clusters().await;
    let entry = |groups: &[&str]| {
        let change = ClusterChange::CreateAccessEntry {
            principal: ENGINE_ROLE.to_owned(),
            groups: groups.iter().map(ToString::to_string).collect(),
        };
        in_cluster(DEVOPS, change)
    };
    apply(&aws, ENGINE, &entry(&["a"])).await.unwrap();
    assert_eq!(
        apply(&aws, ENGINE, &entry(&["b"])).await.unwrap(),
        Outcome::Done
    );
    assert_eq!(
        apply(&aws, ENGINE, &entry(&["b"])).await.unwrap(),
        Outcome::AlreadySo
    );
    let refused = apply(&aws, ENGINE, &entry(&["system:masters"])).await;
    let refused = chain(&refused.unwrap_err());
    assert!(
        refused.contains("it cannot start with system:"),
        "{refused}"
    );

    let associate = |role: &str| {
        let change = ClusterChange::AssociatePodIdentity {
            namespace: "argocd".to_owned(),
            service_account: "argocd-server".to_owned(),
            role: role.to_owned(),
        };
        in_cluster(DEVOPS, change)
    };
    let other = "arn:aws:iam::444455556666:role/other";
    apply(&aws, ENGINE, &associate(other)).await.unwrap();
    let again = apply(&aws, ENGINE, &associate(ENGINE_ROLE)).await.unwrap();
    assert_eq!(again, Outcome::Done);

    let role = |principal: &str| {
        let trust_policy = trust(&json!({"AWS": principal})).to_string();
        of_role(CLUSTER_ROLE, RoleChange::Create { trust_policy })
    };
    apply(&aws, WORKLOAD, &role(ENGINE_ROLE)).await.unwrap();
    let refused = apply(&aws, WORKLOAD, &role(other)).await.unwrap_err();
    let told = chain(&refused);
    assert!(told.contains("with another trust policy"), "{told}");
    let update = RoleChange::UpdateTrustPolicy {
        trust_policy: trust(&json!({"AWS": other})).to_string(),
    };
    let update = of_role(CLUSTER_ROLE, update);
    assert_eq!(apply(&aws, WORKLOAD, &update).await.unwrap(), Outcome::Done);
    let update_again = apply(&aws, WORKLOAD, &update).await.unwrap();
    assert_eq!(update_again, Outcome::AlreadySo);
    aws.agrees_with_the_model().unwrap();
}

#[tokio::test]
async fn a_role_of_another_account_is_not_taken_for_one_of_this() {
    let aws = two_clusters().await;
    let trusts = trust(&json!({"AWS": ENGINE_ROLE}));
    aws.create_role(WORKLOAD, "argocd", &trusts).await.unwrap();
    let account = account(&aws, WORKLOAD).await.unwrap();

    let error = account.role("arn:aws:iam::999999999999:role/argocd").await;

    let told = chain(&error.unwrap_err());
    assert!(told.contains("not in this account, 111122223333"), "{told}");
}

/// Why the devops cluster cannot be read, when a call fails in a way.
async fn failing(aws: &Aws, times: usize, fault: &Fault) -> String {
    aws.fail("eks:DescribeCluster", times, fault).unwrap();
    let account = account(aws, ENGINE).await.unwrap();
    match account.cluster(DEVOPS).await {
        Ok(cluster) => cluster.name,
        Err(error) => error.in_one_line(),
    }
}

fn fault(status: u16, code: &'static str, message: &'static str) -> Fault {
    Fault::Error {
        status,
        code,
        message,
    }
}

#[tokio::test]
async fn each_failure_says_the_step_the_call_the_place_and_what_may_help() {
    let aws = two_clusters().await;
    let place = "cannot read the EKS cluster devops (eks:DescribeCluster in account 444455556666, \
                 region eu-west-1): ";
    for (fault, told) in [
        (
            fault(403, "AccessDeniedException", "User: x is not authorized"),
            "denied: User: x is not authorized; whoever asks needs the permission \
             eks:DescribeCluster",
        ),
        (
            fault(
                404,
                "ResourceNotFoundException",
                "No cluster found for name: devops.",
            ),
            "not found: No cluster found for name: devops.; if it is in another region or \
             account: --engine-region, --engine-profile",
        ),
        (
            fault(
                403,
                "ExpiredTokenException",
                "The security token is expired",
            ),
            "the credentials have expired; `aws sts get-caller-identity` shows whether the \
             credentials are good",
        ),
        (
            fault(
                403,
                "UnrecognizedClientException",
                "The security token is invalid",
            ),
            "AWS does not know the credentials, or they are not enabled in this region; `aws sts \
             get-caller-identity` shows whether the credentials are good",
        ),
        (
            fault(409, "ResourceInUseException", "an update is in progress"),
            "an update is in progress; another change is under way, or somebody else has made it: run \
             the command again",
        ),
        (
            fault(400, "InvalidParameterException", "the name is odd"),
            "the name is odd",
        ),
        (
            fault(400, "ResourceLimitExceededException", "too many"),
            "a quota of the account is used up: too many; ask AWS to raise the quota, or remove \
             what is not used",
        ),
    ] {
        assert_eq!(failing(&aws, 1, &fault).await, format!("{place}{told}"));
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_by_the_sdk() {
    let aws = two_clusters().await;
    let slow_down = fault(429, "ThrottlingException", "Rate exceeded");
    assert_eq!(failing(&aws, 1, &slow_down).await, DEVOPS);
    let broken = fault(500, "ServerException", "internal");
    assert_eq!(failing(&aws, 1, &broken).await, DEVOPS);

    let before = aws.calls().unwrap().len();
    let told = failing(&aws, 3, &slow_down).await;
    assert!(told.contains("slow down"), "{told}");
    assert!(told.contains("AWS_MAX_ATTEMPTS"), "{told}");
    let calls = aws.calls().unwrap().split_off(before);
    let tried = calls.iter().filter(|call| *call == "eks:DescribeCluster");
    assert_eq!(tried.count(), 3, "{calls:?}");
}

#[tokio::test]
async fn a_cluster_in_another_region_is_not_found() {
    let aws = two_clusters().await;
    let place = Place {
        side: Side::Cluster,
        account: None,
        region: "us-east-1".to_owned(),
        profile: None,
    };
    let elsewhere = aws.config(WORKLOAD, "us-east-1");
    let account = Account::with_config(place, elsewhere).await.unwrap();

    let error = account.cluster(CLUSTER).await.unwrap_err();

    assert!(error.is_not_found());
    let told = error.in_one_line();
    assert!(told.contains("region us-east-1"), "{told}");
    assert!(told.contains("--region"), "{told}");
}

async fn connected(config: aws_config::SdkConfig) -> String {
    let place = Place {
        side: Side::Cluster,
        account: None,
        region: REGION.to_owned(),
        profile: Some("production".to_owned()),
    };
    match Account::with_config(place, config).await {
        Ok(account) => account.id().to_owned(),
        Err(error) => error.in_one_line(),
    }
}

#[tokio::test]
async fn who_cannot_log_in_is_told_why_at_once() {
    let aws = Aws::start().await.unwrap();
    let place = "cannot log in to the cluster's account (sts:GetCallerIdentity in the account of \
                 the profile production, region eu-west-1): ";
    let secret = "a-secret-that-nobody-may-see";
    let forged = aws_credential_types::Credentials::new(WORKLOAD, secret, None, None, "test");
    let told = connected(aws.config_with(forged, REGION)).await;
    assert_eq!(
        told,
        format!(
            "{place}the signature is not that of the credentials; sign in again, as by `aws sso \
             login --profile production`"
        )
    );

    let nobody = aws.config(WORKLOAD, REGION).into_builder();
    let nobody = nobody.endpoint_url("http://127.0.0.1:9").build();
    let told = connected(nobody).await;
    assert!(told.starts_with(place), "{told}");
    assert!(told.contains("is there a region eu-west-1"), "{told}");

    let skewed = fault(403, "RequestTimeTooSkewed", "Signature expired");
    aws.fail("sts:GetCallerIdentity", 10, &skewed).unwrap();
    let told = connected(aws.config(WORKLOAD, REGION)).await;
    assert!(told.contains("set the clock of this machine"), "{told}");
}

#[tokio::test]
async fn who_never_answers_is_not_waited_for() {
    let aws = Aws::start().await.unwrap();
    aws.fail("sts:GetCallerIdentity", 10, &Fault::Hang).unwrap();
    let timeouts = aws_config::timeout::TimeoutConfig::builder()
        .operation_timeout(Duration::from_millis(300))
        .build();
    let config = aws.config(WORKLOAD, REGION).into_builder();

    let told = connected(config.timeout_config(timeouts).build()).await;

    assert!(told.contains("AWS did not answer in time"), "{told}");
    assert!(told.contains("--request-timeout"), "{told}");
}

#[tokio::test]
async fn what_may_not_be_read_is_unknown_and_the_rest_is_known() {
    let aws = two_clusters().await;
    let root = json!({"AWS": "arn:aws:iam::111122223333:root"});
    let role = aws
        .create_role(WORKLOAD, "reader", &trust(&root))
        .await
        .unwrap();
    let allow = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": "*"}],
    });
    aws.allow(WORKLOAD, "reader", "reader", &allow)
        .await
        .unwrap();
    let reader = account(&aws, WORKLOAD)
        .await
        .unwrap()
        .as_role(&role)
        .await
        .unwrap();
    let wanted = Wanted {
        cluster: CLUSTER,
        cluster_role: Some(CLUSTER_ROLE),
        engine: None,
    };

    let facts = read(&reader, &wanted).await;

    assert!(facts.cluster.known().is_some());
    let caller = facts.caller.known().unwrap();
    assert!(
        caller.arn.contains("assumed-role/reader/"),
        "{}",
        caller.arn
    );
    for (lookup, call) in [
        (unknown(&facts.access_entry), "eks:DescribeAccessEntry"),
        (
            unknown(&facts.access_entry_principals),
            "eks:ListAccessEntries",
        ),
        (
            unknown(&facts.access_policies),
            "eks:ListAssociatedAccessPolicies",
        ),
        (unknown(&facts.cluster_role), "iam:GetRole"),
    ] {
        assert!(lookup.contains("denied"), "{lookup}");
        assert!(
            lookup.contains(&format!("needs the permission {call}")),
            "{lookup}"
        );
    }
    assert_eq!(unknown(&facts.engine_role), "it was not looked for");
}

fn unknown<T>(lookup: &Lookup<T>) -> &str {
    match lookup {
        Lookup::Unknown(reason) => reason,
        Lookup::Known(_) | Lookup::Absent => "it is known",
    }
}
