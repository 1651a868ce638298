//! The real authenticator of EKS: it asks STS whose token it is, by the request that is the token.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::{GoPrograms, GoProgramsError, eventually};
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::spawn_blocking;

use crate::aws::Aws;
use crate::process::Process;

const READY_WITHIN: Duration = Duration::from_mins(1);
/// Where the API server reads how to ask it.
const WEBHOOK: &str = "webhook.yaml";
const ROLES: &str = "roles.json";

/// It ends when this is dropped.
pub(crate) struct Authenticator {
    process: Process,
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
pub(crate) fn program() -> Result<PathBuf, GoProgramsError> {
    let name = "aws-iam-authenticator";
    let programs = GoPrograms {
        cache: "aws-iam-authenticator",
        go_mod: include_str!("../authenticator/go.mod"),
        go_sum: include_str!("../authenticator/go.sum"),
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
        let program = spawn_blocking(program).await??;
        let (_reserved, address) = reserve_port()?;
        let authenticator = |process| Self {
            process,
            folder: folder.to_owned(),
        };
        write_roles(folder, &[])?;
        // It has no flag for the file of roles.
        let config =
            json!({"clusterID": cluster, "server": {"dynamicfilepath": folder.join(ROLES)}});
        fs::write(folder.join("config.json"), config.to_string())?;
        let mut server = Command::new(program);
        server
            .current_dir(folder)
            .arg("server")
            .args([
                "--config",
                "config.json",
                "--backend-mode",
                "DynamicFile",
                "--partition",
                "aws",
            ])
            .args(["--state-dir", ".", "--generate-kubeconfig", WEBHOOK])
            .args([
                "--address",
                "127.0.0.1",
                "--port",
                &address.port().to_string(),
            ])
            .env("AWS_REGION", region)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", folder)
            .env("HTTPS_PROXY", aws.proxy())
            .env("SSL_CERT_FILE", aws.certificate_authority());
        let process = Process::start("aws-iam-authenticator", &server, folder)?;
        let authenticator = authenticator(process);
        let ready = eventually(READY_WITHIN, "the authenticator listens", async || {
            TcpStream::connect(address)
                .await
                .map_err(|error| error.to_string())?;
            fs::metadata(folder.join(WEBHOOK)).map_err(|error| error.to_string())
        });
        ready.await.with_context(|| authenticator.process.state())?;
        Ok(authenticator)
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

/// It watches the folder for a file that is put in the place of the other.
fn write_roles(folder: &Path, roles: &[MappedRole]) -> Result<()> {
    let roles = roles
        .iter()
        .map(|role| json!({"rolearn": role.arn, "username": role.username, "groups": role.groups}));
    let written = json!({"mapRoles": roles.collect::<Vec<_>>()});
    fs::write(folder.join(ROLES), written.to_string())?;
    Ok(())
}

/// A port that nobody else is given while the socket is kept. It does not listen, and allows sharing with servers that
/// allow it as well, as those of Go do.
fn reserve_port() -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.set_reuseaddr(true)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}
