//! The real authenticator of EKS: it asks STS whose token it is, by the request that is the token.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use gitops_aws::Aws;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;

use crate::go_programs::{GoPrograms, GoProgramsError};
use crate::port::ReservedPort;
use crate::process::Process;
use crate::wait::eventually;

const READY_WITHIN: Duration = Duration::from_mins(1);
/// Where the API server reads how to ask it.
const WEBHOOK: &str = "webhook.yaml";
const ROLES: &str = "roles.json";

/// It ends when this is dropped.
pub(crate) struct Authenticator {
    _process: Process,
    folder: PathBuf,
}

/// A role of IAM, and who that is in the cluster.
#[derive(Clone, Debug)]
pub(crate) struct MappedRole {
    pub(crate) arn: String,
    pub(crate) username: String,
    pub(crate) groups: Vec<String>,
}

/// Finds it, or builds it, some minutes the first time; this blocks.
pub fn authenticator() -> Result<PathBuf, GoProgramsError> {
    let name = "aws-iam-authenticator";
    let programs = GoPrograms {
        cache: "aws-iam-authenticator",
        go_mod: include_str!("go.mod"),
        go_sum: include_str!("go.sum"),
        sources: &[],
        linker_flags: "-s -w".to_owned(),
        packages: &[(
            "aws-iam-authenticator",
            "sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator",
        )],
        files: &[],
    };
    Ok(programs.built_once()?.join(name))
}

impl Authenticator {
    /// Starts it for the cluster of a name, with its files in a folder.
    pub(crate) async fn start(
        aws: &Aws,
        cluster: &str,
        region: &str,
        folder: &Path,
    ) -> Result<Self> {
        let program = spawn_blocking(authenticator).await??;
        let port = ReservedPort::reserve()?;
        let address = port.address();
        write_roles(folder, &[])?;
        // It has no flag for the file of roles.
        let config =
            json!({"clusterID": cluster, "server": {"dynamicfilepath": folder.join(ROLES)}});
        fs::write(folder.join("config.json"), config.to_string())?;
        let mut server = Command::new(program);
        server
            .arg("server")
            .arg("--config")
            .arg(folder.join("config.json"))
            .args(["--backend-mode", "DynamicFile", "--partition", "aws"])
            .arg("--state-dir")
            .arg(folder)
            .arg("--generate-kubeconfig")
            .arg(folder.join(WEBHOOK))
            .args(["--address", "127.0.0.1", "--port"])
            .arg(address.port().to_string())
            .env("AWS_REGION", region)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", folder)
            .env("HTTPS_PROXY", aws.proxy())
            .env("SSL_CERT_FILE", aws.certificate_authority());
        let log = folder.join("aws-iam-authenticator.log");
        let process = Process::spawn(&server, File::create(&log)?)?;
        let ready = eventually(READY_WITHIN, "the authenticator listens", async || {
            let connected = TcpStream::connect(address).await;
            connected.map_err(|error| error.to_string())?;
            fs::metadata(folder.join(WEBHOOK)).map_err(|error| error.to_string())
        });
        let told = || fs::read_to_string(&log).unwrap_or_default();
        ready.await.with_context(told)?;
        Ok(Self {
            _process: process,
            folder: folder.to_owned(),
        })
    }

    /// The file that tells an API server how to ask it.
    pub(crate) fn webhook(&self) -> PathBuf {
        self.folder.join(WEBHOOK)
    }

    /// From now on these roles and no others are somebody.
    pub(crate) fn map(&self, roles: &[MappedRole]) -> Result<()> {
        write_roles(&self.folder, roles)
    }
}

/// It watches the folder, and reads the file whenever that is written.
fn write_roles(folder: &Path, roles: &[MappedRole]) -> Result<()> {
    let roles = roles
        .iter()
        .map(|role| json!({"rolearn": role.arn, "username": role.username, "groups": role.groups}));
    let written = json!({"mapRoles": roles.collect::<Vec<_>>()}).to_string();
    let file = folder.join(ROLES);
    if !fs::read_to_string(&file).is_ok_and(|there| there == written) {
        fs::write(file, written)?;
    }
    Ok(())
}
