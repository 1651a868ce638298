//! EKS, IAM and STS.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_eks::types::{AuthenticationMode, CreateAccessConfigRequest, VpcConfigRequest};
use aws_sdk_iam::operation::create_role::CreateRoleError;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::front::Front;
use crate::process::Process;
use crate::python::ministack;
use crate::tls;

const DOUBLE: &str = include_str!("../ministack/double.py");
/// The regions that there are.
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];
/// The secret of every account's root.
const SECRET: &str = "test";
/// It takes 2 seconds, and more while others compile.
const READY_WITHIN: Duration = Duration::from_mins(2);
const BETWEEN_PROBES: Duration = Duration::from_millis(50);

/// AWS, until it is dropped.
pub struct Aws {
    process: Process,
    front: Front,
    folder: TempDir,
}

/// How a call is to fail.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is answered by a status, a code and a message.
    Error {
        /// Such as 429.
        status: u16,
        /// Such as `ThrottlingException`.
        code: &'static str,
        /// What is said besides.
        message: &'static str,
    },
    /// It is never answered.
    Hang,
    /// It is done, and answered as if AWS had failed.
    Lost,
}

impl Aws {
    /// Starts it. On the first use on a machine it is installed before that, which takes half a
    /// minute.
    ///
    /// # Errors
    /// There is no Python, or it does not start.
    pub async fn start() -> Result<Self> {
        let python = spawn_blocking(ministack).await??;
        let folder = tempfile::Builder::new().prefix("aws-").tempdir()?;
        write_files(folder.path())?;
        let process = Process::start("ministack", &server(&python, folder.path()), folder.path())?;
        let front = Front::serve(&http(folder.path()), &folder.path().join("https.sock"))?;
        let aws = Self {
            process,
            front,
            folder,
        };
        let ready = eventually(async || {
            ask(&http(aws.folder.path()), "GET", "/_ministack/health", "").map(drop)
        });
        ready.await.with_context(|| aws.process.state())?;
        Ok(aws)
    }

    /// The environment that EKS gives the containers of a pod with an association of Pod Identity,
    /// by the names of its namespace and service account, and in which they find AWS under its own
    /// names. There are credentials once the association is there.
    pub fn environment_of_pod(
        &self,
        (account, region, cluster): (&str, &str, &str),
        namespace: &str,
        service_account: &str,
    ) -> Vec<(&'static str, String)> {
        let url = self.url();
        let agent =
            format!("{url}/_agent/{account}/{region}/{cluster}/{namespace}/{service_account}");
        let environment = self.environment(account).into_iter();
        let environment = environment.filter(|(name, _)| !name.contains("ACCESS_KEY"));
        environment
            .chain([
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent),
                ("AWS_REGION", region.to_owned()),
                ("AWS_DEFAULT_REGION", region.to_owned()),
                ("AWS_STS_REGIONAL_ENDPOINTS", "regional".to_owned()),
            ])
            .collect()
    }

    /// Where it answers without TLS.
    pub fn url(&self) -> String {
        format!("http://{}", self.front.plain)
    }

    /// The environment in which a program finds it under the names of AWS, as the root of an
    /// account.
    pub fn environment(&self, account: &str) -> Vec<(&'static str, String)> {
        let nothing = self.folder.path().join("nothing").display().to_string();
        vec![
            ("AWS_ACCESS_KEY_ID", account.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", nothing.clone()),
            ("AWS_SHARED_CREDENTIALS_FILE", nothing),
            (
                "AWS_CA_BUNDLE",
                self.certificate_authority().display().to_string(),
            ),
            ("HTTPS_PROXY", self.proxy()),
        ]
    }

    /// The proxy through which the names of AWS lead here.
    pub fn proxy(&self) -> String {
        format!("http://{}", self.front.proxy)
    }

    /// Its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file with what the certificates of those names are signed by.
    pub fn certificate_authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// How the SDK reaches it, as the root of an account.
    pub fn config(&self, account: &str, region: &str) -> SdkConfig {
        let root = Credentials::new(account, SECRET, None, None, "test");
        self.config_with(root, region)
    }

    /// How the SDK reaches it with any credentials.
    pub fn config_with(&self, credentials: Credentials, region: &str) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .endpoint_url(self.url())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build()
    }

    /// Has calls of an operation fail, such as `eks:DescribeCluster`; `*` is any.
    ///
    /// # Errors
    /// It does not answer.
    pub fn fail(&self, operation: &str, times: usize, fault: &Fault) -> Result<()> {
        let mut wanted = match fault {
            Fault::Error {
                status,
                code,
                message,
            } => json!({"kind": "error", "status": status, "code": code, "message": message}),
            Fault::Hang => json!({"kind": "hang"}),
            Fault::Lost => json!({
                "kind": "lost", "status": 500, "code": "ServerException", "message": "the answer is lost",
            }),
        };
        wanted["operation"] = json!(operation);
        wanted["times"] = json!(times);
        self.tell("/_double/fault", &wanted)
    }

    /// From now on a change of a cluster and a new access entry show only after so many looks.
    ///
    /// # Errors
    /// It does not answer.
    pub fn show_after(&self, looks: usize) -> Result<()> {
        self.tell("/_double/lag", &json!({"reads": looks}))
    }

    /// Changes what EKS says of a cluster, such as its `endpoint`.
    ///
    /// # Errors
    /// There is no such cluster.
    pub fn describe(&self, account: &str, region: &str, name: &str, fields: &Value) -> Result<()> {
        self.say("cluster", account, region, name, fields)
    }

    /// Changes what EKS says of an add-on of a cluster, such as its `status`.
    ///
    /// # Errors
    /// There is no such add-on.
    pub fn describe_addon(
        &self,
        account: &str,
        region: &str,
        cluster: &str,
        addon: &str,
        fields: &Value,
    ) -> Result<()> {
        let name = format!("{cluster}/{addon}");
        self.say("addon", account, region, &name, fields)
    }

    /// Changes what EKS says of an access entry of a cluster, such as when it was created.
    ///
    /// # Errors
    /// There is no such access entry.
    pub fn describe_access_entry(
        &self,
        account: &str,
        region: &str,
        cluster: &str,
        principal: &str,
        fields: &Value,
    ) -> Result<()> {
        let name = format!("{cluster}\0{principal}");
        self.say("access-entry", account, region, &name, fields)
    }

    fn say(
        &self,
        kind: &str,
        account: &str,
        region: &str,
        name: &str,
        fields: &Value,
    ) -> Result<()> {
        let wanted = json!({
            "kind": kind, "account": account, "region": region, "name": name, "fields": fields,
        });
        self.tell("/_double/describe", &wanted)
    }

    /// All calls that were made, in order.
    ///
    /// # Errors
    /// It does not answer.
    pub fn calls(&self) -> Result<Vec<String>> {
        let calls = ask(&http(self.folder.path()), "GET", "/_double/calls", "")?;
        Ok(serde_json::from_value(calls)?)
    }

    /// Fails if an answer of EKS was not as the model of AWS's SDK has it.
    ///
    /// # Errors
    /// One was not, or it does not answer.
    pub fn agrees_with_the_model(&self) -> Result<()> {
        let found = ask(
            &http(self.folder.path()),
            "GET",
            "/_double/disagreements",
            "",
        )?;
        let found: Vec<String> = serde_json::from_value(found)?;
        ensure!(found.is_empty(), "{}", found.join("\n"));
        Ok(())
    }

    /// Creates a cluster of EKS with an authentication mode.
    ///
    /// # Errors
    /// EKS refuses.
    pub async fn create_cluster(
        &self,
        account: &str,
        region: &str,
        name: &str,
        mode: &str,
    ) -> Result<()> {
        let role = self
            .create_role(account, "eks", &allow_service("eks.amazonaws.com"))
            .await?;
        let eks = aws_sdk_eks::Client::new(&self.config(account, region));
        let access = CreateAccessConfigRequest::builder()
            .authentication_mode(AuthenticationMode::from(mode))
            .bootstrap_cluster_creator_admin_permissions(false)
            .build();
        let vpc = VpcConfigRequest::builder().subnet_ids("subnet-1").build();
        let create = eks.create_cluster().name(name).role_arn(role);
        let create = create.resources_vpc_config(vpc).access_config(access);
        create.send().await.context("EKS creates no cluster")?;
        eventually(async || {
            let cluster = eks.describe_cluster().name(name).send().await?.cluster;
            let status = cluster.and_then(|cluster| cluster.status);
            let status = status.context("the cluster has no status")?;
            ensure!(status.as_str() == "ACTIVE", "the cluster is {status}");
            Ok(())
        })
        .await
    }

    /// Creates a role with a trust policy, unless there is one of this name, and returns its ARN.
    ///
    /// # Errors
    /// IAM refuses.
    pub async fn create_role(&self, account: &str, name: &str, trust: &Value) -> Result<String> {
        let iam = aws_sdk_iam::Client::new(&self.config(account, "us-east-1"));
        let create = iam.create_role().role_name(name);
        let created = create
            .assume_role_policy_document(trust.to_string())
            .send()
            .await;
        match created {
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateRoleError::is_entity_already_exists_exception) => {}
            created => {
                created.context("IAM creates no role")?;
            }
        }
        Ok(format!("arn:aws:iam::{account}:role/{name}"))
    }

    /// Puts a policy into a role.
    ///
    /// # Errors
    /// IAM refuses.
    pub async fn allow(
        &self,
        account: &str,
        role: &str,
        policy: &str,
        document: &Value,
    ) -> Result<()> {
        let iam = aws_sdk_iam::Client::new(&self.config(account, "us-east-1"));
        let put = iam.put_role_policy().role_name(role).policy_name(policy);
        let put = put.policy_document(document.to_string()).send().await;
        put.context("IAM puts no policy into the role")?;
        Ok(())
    }

    fn tell(&self, path: &str, wanted: &Value) -> Result<()> {
        ask(&http(self.folder.path()), "POST", path, &wanted.to_string())?;
        Ok(())
    }
}

/// Asks again and again, until it is so or [`READY_WITHIN`] is over.
async fn eventually(mut probe: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    let end = Instant::now() + READY_WITHIN;
    loop {
        match probe().await {
            Err(_) if Instant::now() < end => tokio::time::sleep(BETWEEN_PROBES).await,
            probed => return probed,
        }
    }
}

fn allow_service(service: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    })
}

fn http(folder: &Path) -> PathBuf {
    folder.join("http.sock")
}

fn write_files(folder: &Path) -> Result<()> {
    let certificates = tls::issue(&REGIONS)?;
    for (name, text) in [
        ("double.py", DOUBLE),
        ("ca.pem", &certificates.authority),
        ("tls.crt", &certificates.certificate),
        ("tls.key", &certificates.key),
    ] {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

fn server(python: &Path, folder: &Path) -> Command {
    let mut server = Command::new(python);
    server
        .current_dir(folder)
        .args(["-m", "hypercorn", "double:app", "--log-level", "warning"])
        .args(["--certfile", "tls.crt", "--keyfile", "tls.key"])
        .args([
            "--bind",
            "unix:https.sock",
            "--insecure-bind",
            "unix:http.sock",
        ])
        .env("AUTH", "true")
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("PYTHONPATH", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HOME", folder)
        .env("TMPDIR", folder);
    server
}

/// Asks the server itself, not AWS.
fn ask(socket: &Path, method: &str, path: &str, body: &str) -> Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, content) = answer
        .split_once("\r\n\r\n")
        .context("the answer has no end")?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.contains(" 200"), "{method} {path}: {status}");
    serde_json::from_str(content).context("the answer is not JSON")
}
