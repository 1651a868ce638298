//! Argo CD on a cluster of EKS, a second cluster of EKS that it may come to deploy to, and the
//! search for bearer tokens in all that.

use std::fs;

use anyhow::{Result, ensure};
use gitops_aws::Aws;
use harness::argo_cd::{ArgoCd, Devops, Guard, Programs};
use harness::demo::Shell;
use harness::eks::EksCluster;
use harness::succeed;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::bearer_tokens::{Found, Search};

const WORKLOAD: &str = "111122223333";
const ENGINE: &str = "444455556666";
const REGION: &str = "eu-west-1";

/// The only tokens that there are, by the beginning of whom they let in, where they are, and why.
const EXPECTED: [(&str, &str, &str); 3] = [
    (
        "system:serviceaccount:argocd:argocd-",
        "/kubeconfig-",
        "kubelet puts such a token into each pod of Argo CD: it lets into Argo CD's own cluster, and ends",
    ),
    (
        "system:serviceaccount:gitops-webhook:gitops-webhook",
        "/kubeconfig-",
        "the same of the webhook",
    ),
    (
        "admin:login",
        "/argo-cd/home/.config/argocd/config",
        "the session of whoever uses the CLI of Argo CD: it lets into Argo CD, and ends",
    ),
];

/// AWS, Argo CD on a cluster that has nothing else, and a cluster that nobody may log in to.
pub(crate) struct World {
    /// The name of the cluster that nobody may log in to.
    name: &'static str,
    pub(crate) argo_cd: ArgoCd,
    pub(crate) workload: EksCluster,
    pub(crate) devops: Devops,
    pub(crate) aws: Aws,
}

impl World {
    pub(crate) async fn start(name: &'static str) -> Result<Self> {
        let programs = spawn_blocking(Programs::locate).await??;
        let aws = Aws::start().await?;
        aws.create_cluster(ENGINE, REGION, "devops", "API").await?;
        create_engine_role(&aws).await?;
        let workload = EksCluster::start(&aws, WORKLOAD, REGION, name).await?;
        let devops = Devops::start(Guard::Webhook, &programs).await?;
        let control_plane = devops.control_plane();
        let environments = json!([
            {"name": "prod", "production": true, "match": {"words": ["prod", "production"]}},
            {"name": "staging", "match": {"words": ["staging"]}},
        ]);
        let patch = json!({"spec": {"environments": environments}}).to_string();
        let patch = [
            "patch",
            "gitopspolicy",
            "default",
            "--type=merge",
            "--patch",
            &patch,
        ];
        succeed(control_plane.admin().kubectl(patch)).await?;
        let pod = |service_account: &str| {
            aws.environment_of_pod((ENGINE, REGION, "devops"), "argocd", service_account)
        };
        let argo_cd = ArgoCd::start_on_eks(control_plane, &programs, &pod);
        let argo_cd = Box::pin(argo_cd).await?;
        Ok(Self {
            name,
            argo_cd,
            workload,
            devops,
            aws,
        })
    }

    /// Where a person types commands, who has a profile of AWS for either account.
    pub(crate) fn shell(&self) -> Result<Shell> {
        let home = self.devops.control_plane().folder().join("alice");
        fs::create_dir_all(home.join(".aws"))?;
        let profile = |name: &str, account: &str| {
            format!(
                "[profile {name}]\nregion = {REGION}\naws_access_key_id = {account}\naws_secret_access_key = test\n"
            )
        };
        let config = profile("shop", WORKLOAD) + &profile("devops", ENGINE);
        fs::write(home.join(".aws/config"), config)?;
        let own = ["AWS_CA_BUNDLE", "AWS_EC2_METADATA_DISABLED", "HTTPS_PROXY"];
        let environment = self.aws.environment(ENGINE).into_iter();
        let environment = environment.filter(|(name, _)| own.contains(name));
        let shell = Shell::new(self.devops.control_plane())?;
        let shell = shell
            .at_home(&home)
            .with_variables(environment)
            .with_variables([("NO_PROXY", "127.0.0.1".to_owned())]);
        Ok(shell)
    }

    /// Everything that this test has made, but for what was typed and printed.
    pub(crate) async fn search(&self) -> Result<Search> {
        let mut search = Search::new()?;
        let clusters = [
            ("devops", self.devops.control_plane()),
            (self.name, self.workload.control_plane()),
        ];
        for (name, control_plane) in clusters {
            search.cluster(name, control_plane.admin()).await?;
        }
        // Those of a control plane have its etcd, its audit log, the logs of all that runs there.
        let folders = [
            self.devops.control_plane().folder(),
            self.workload.control_plane().folder(),
            self.workload.folder(),
            self.aws.folder(),
        ];
        for folder in folders {
            search.folder(folder)?;
        }
        search.processes(&folders)?;
        Ok(search)
    }

    /// The last that each part of Argo CD logged.
    pub(crate) fn state(&self) -> String {
        let components = self.argo_cd.components().iter();
        let logs = components.map(|component| component.log().unwrap_or_default());
        let ends = logs.map(|log| {
            let lines: Vec<_> = log.lines().collect();
            lines[lines.len().saturating_sub(15)..].join("\n")
        });
        ends.collect::<Vec<_>>().join("\n\n")
    }
}

/// The role of Argo CD's pods, which people of that account may take on as well.
async fn create_engine_role(aws: &Aws) -> Result<()> {
    let statement = |principal: &Value| json!({"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"]});
    let pods = statement(&json!({"Service": "pods.eks.amazonaws.com"}));
    let people = statement(&json!({"AWS": format!("arn:aws:iam::{ENGINE}:root")}));
    let trust = json!({"Version": "2012-10-17", "Statement": [pods, people]});
    aws.create_role(ENGINE, "argocd-engine", &trust).await?;
    Ok(())
}

/// There is a token of each kind that must be there, and no other.
pub(crate) fn only_expected(search: &Search) -> Result<()> {
    let is_expected = |found: &Found, (subject, place, _): &(&str, &str, &str)| {
        let subjects = found.subject.iter();
        let mut subjects = subjects.filter(|found| found.starts_with(subject));
        subjects.next().is_some() && found.place.contains(place)
    };
    let mut unexpected = search.found.iter().filter(|found| {
        let mut expected = EXPECTED.iter();
        !expected.any(|expected| is_expected(found, expected))
    });
    if let Some(first) = unexpected.next() {
        let others: Vec<_> = unexpected.collect();
        anyhow::bail!("a bearer token: {first:?}, and {others:?}");
    }
    for expected in &EXPECTED {
        let mut found = search.found.iter();
        ensure!(
            found.any(|found| is_expected(found, expected)),
            "nothing is found of {expected:?}"
        );
    }
    ensure!(search.looked_at > 500, "only {} places", search.looked_at);
    Ok(())
}
