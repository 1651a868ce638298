//! AWS fails in the middle of `--apply`: what is told, and how it goes on and back.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use gitops_aws::{Aws, Fault};
use serde_json::json;

use crate::chain::{Accounts, Broken, Chain, flaws, link, output};
use crate::support::Ran;

/// How often the SDK tries what may pass.
const ATTEMPTS: usize = 3;

/// A failure of the call that gives the access entry its policy, and what is told of it.
struct Failure {
    fault: Fault,
    times: usize,
    told: &'static [&'static str],
}

fn failure(
    status: u16,
    code: &'static str,
    message: &'static str,
    told: &'static [&'static str],
) -> Failure {
    let is_tried_again = status == 429 || status >= 500;
    Failure {
        fault: Fault::Error {
            status,
            code,
            message,
        },
        times: if is_tried_again { ATTEMPTS } else { 1 },
        told,
    }
}

#[rustfmt::skip]
fn failures() -> Vec<Failure> {
    vec![
        failure(403, "AccessDeniedException", "User: x is not authorized",
            &["denied: User: x is not authorized", "needs the permission eks:AssociateAccessPolicy"]),
        failure(429, "ThrottlingException", "Rate exceeded",
            &["AWS still asks to slow down", "AWS_MAX_ATTEMPTS"]),
        failure(404, "ResourceNotFoundException", "No cluster found for name: orders.",
            &["not found: No cluster found", "--region, --profile"]),
        failure(400, "InvalidParameterException", "the policy is odd", &["the policy is odd"]),
        failure(403, "ExpiredTokenException", "The security token included in the request is expired",
            &["the credentials have expired", "aws sso login --profile shop"]),
        failure(403, "UnrecognizedClientException", "The security token included in the request is invalid",
            &["AWS does not know the credentials", "aws sso login --profile shop"]),
        failure(403, "InvalidSignatureException", "Signature expired: 20261130T100000Z is now earlier than 20261130T101500Z",
            &["the clock of this machine is not that of AWS", "set the clock"]),
        failure(403, "InvalidSignatureException", "Credential should be scoped to a valid region. FQoGZXIv",
            &["the region is not the one that answers", "--region, or AWS_REGION"]),
        failure(500, "ServerException", "internal",
            &["AWS fails: internal", "this call may have been done"]),
        failure(503, "ServiceUnavailableException", "later",
            &["AWS fails: later", "this call may have been done"]),
        Failure {
            fault: Fault::Hang,
            times: ATTEMPTS,
            told: &["AWS did not answer in time", "this call may have been done", "--request-timeout"],
        },
    ]
}

impl Chain {
    async fn apply(&self) -> Ran {
        let secret = "PATCH /api/v1/namespaces/argocd/secrets/cluster-orders";
        let answer =
            json!({"kind": "PartialObjectMetadata", "metadata": {"name": "cluster-orders"}});
        self.server.accepts(secret, 200, answer);
        let apply = [
            "--apply",
            "--yes",
            "--request-timeout",
            "2s",
            "-l",
            "team=a",
        ];
        self.onboard(&apply).await
    }

    /// Runs what is printed for people, as their shell does.
    pub(crate) async fn shell(&self, line: &str) -> Ran {
        let kubectl = format!(
            "#!/bin/sh\nshift\nexec {} \"$@\"\n",
            env!("CARGO_BIN_EXE_kubectl-gitops")
        );
        self.home.add(&[("bin/kubectl", &kubectl)]);
        let file = self.home.path().join("bin/kubectl");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut shell = self.program("/bin/sh");
        shell.args(["-ec", &format!("PATH=./bin:$PATH; {line}")]);
        output(shell).await.into()
    }
}

/// What stands in a line of a transcript between two texts.
pub(crate) fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("{text}"));
    rest.split_once(end).unwrap_or_else(|| panic!("{text}")).0
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_says_the_step_the_call_and_how_it_goes_on_and_back() {
    let aws = Arc::new(Aws::start().await.unwrap());
    for (number, Failure { fault, times, told }) in failures().into_iter().enumerate() {
        let chain = Chain::start(Arc::clone(&aws), Accounts::number(number)).await;
        chain.break_it(Broken::NoEntry).await;
        aws.fail("eks:AssociateAccessPolicy", times, &fault)
            .unwrap();

        let failed = chain.apply().await;

        let transcript = failed.transcript();
        assert_eq!(failed.status(), 2, "{transcript}");
        let stderr = failed.stderr();
        let role = chain.accounts.cluster_role("argocd");
        let account = &chain.accounts.workload;
        let step = format!(
            "access-policy: cannot associate arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy with \
             {role} in orders (eks:AssociateAccessPolicy in account {account}, region eu-west-1)"
        );
        for part in
            told.iter()
                .copied()
                .chain([&*step, "access-entry: done", "cluster-secret: not done"])
        {
            assert!(stderr.contains(part), "{part}: {transcript}");
        }
        assert!(!stderr.contains("FQoGZXIv"), "{transcript}");
        // What was signed is not told, nothing was written to the fleet, and what is there is told
        // anew.
        assert_eq!(chain.server.writes(), []);
        assert_eq!(link(&failed.json(), "access-entry")["state"], "ok");

        let again = between(&stderr, "what is done stays; `", "` goes on from there");
        let undo = between(&stderr, "to go back: ", "\n");
        if number % 2 == 0 {
            let gone_on = chain.shell(again).await;
            assert_eq!(
                flaws(&gone_on.json()),
                [] as [String; 0],
                "{}",
                gone_on.transcript()
            );
            let writes = chain.server.writes();
            assert_eq!(writes.len(), 1);
            assert_eq!(writes[0].1["metadata"]["labels"]["team"], "a");
        } else {
            let undone = chain.shell(undo).await;
            assert_eq!(undone.status(), 0, "{}", undone.transcript());
            let before = chain.onboard(&[]).await.json();
            assert_eq!(link(&before, "access-entry")["state"], "missing");
        }
    }
    aws.agrees_with_the_model().unwrap();
}

/// What may pass is waited for, and what was done though its answer was lost is found.
#[tokio::test(flavor = "multi_thread")]
async fn what_passes_and_what_is_done_all_the_same_is_no_failure() {
    let aws = Arc::new(Aws::start().await.unwrap());
    let busy = Fault::Error {
        status: 409,
        code: "ResourceInUseException",
        message: "Cannot update because an update is in progress",
    };
    for (number, fault, times) in [
        (0, busy, 2),
        (1, Fault::Lost, 1),
        (2, Fault::Lost, ATTEMPTS),
    ] {
        let chain = Chain::start(Arc::clone(&aws), Accounts::number(number)).await;
        chain.break_it(Broken::NoEntry).await;
        aws.fail("eks:CreateAccessEntry", times, &fault).unwrap();

        let applied = chain.apply().await;

        assert_eq!(
            flaws(&applied.json()),
            [] as [String; 0],
            "{fault:?}: {}",
            applied.transcript()
        );
        assert_eq!(chain.server.writes().len(), 1);
    }
}

/// A link that cannot be read may be as it should be, or not: nothing is done.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_where_something_is_not_known() {
    let aws = Arc::new(Aws::start().await.unwrap());
    let chain = Chain::start(Arc::clone(&aws), Accounts::number(0)).await;
    chain.break_it(Broken::NoEntry).await;
    let denied = Fault::Error {
        status: 403,
        code: "AccessDenied",
        message: "User: x is not authorized",
    };
    aws.fail("iam:ListRolePolicies", 1, &denied).unwrap();

    let refused = chain.apply().await;

    assert_eq!(refused.status(), 2, "{}", refused.transcript());
    for part in [
        "engine-role-policy is unknown",
        "denied",
        "iam:ListRolePolicies",
        "nothing is done",
    ] {
        assert!(
            refused.stderr().contains(part),
            "{part}: {}",
            refused.stderr()
        );
    }
    assert_eq!(chain.server.writes(), []);
    let plan = chain.onboard(&[]).await.json();
    assert_eq!(link(&plan, "access-entry")["state"], "missing");
}
