//! The servers that are measured.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use gitops_bench::fleet;
use harness::GoPrograms;
use rcgen::generate_simple_self_signed;
use rustls_pki_types::CertificateDer;
use serde::Serialize;

use crate::client::SERVER_NAME;
use crate::load::Target;
use crate::process::{Pinning, Process};

const PACKAGES: [(&str, &str); 1] = [("opa", "github.com/open-policy-agent/opa")];
const GO_MOD: &str = include_str!("../peers/go.mod");
const GO_SUM: &str = include_str!("../peers/go.sum");
const POLICY: &str = include_str!("../peers/admission.rego");

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ServerKind {
    /// Ours, with metrics and its log in JSON.
    GitopsWebhook,
    /// A bare server that reads each body and allows.
    Floor,
    /// The same, which also goes over the body's JSON and keeps nothing of it.
    FloorJson,
    /// Open Policy Agent with four rules in Rego, and no log.
    Opa,
}

impl ServerKind {
    pub(crate) const ALL: [ServerKind; 4] = [
        ServerKind::GitopsWebhook,
        ServerKind::Floor,
        ServerKind::FloorJson,
        ServerKind::Opa,
    ];

    pub(crate) fn judges(self) -> bool {
        match self {
            ServerKind::GitopsWebhook | ServerKind::Opa => true,
            ServerKind::Floor | ServerKind::FloorJson => false,
        }
    }

    fn path(self) -> &'static str {
        match self {
            ServerKind::GitopsWebhook => "/validate",
            ServerKind::Floor | ServerKind::FloorJson | ServerKind::Opa => "/",
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            ServerKind::GitopsWebhook => "gitops-webhook",
            ServerKind::Floor => "floor",
            ServerKind::FloorJson => "floor-json",
            ServerKind::Opa => "opa",
        })
    }
}

/// All that it takes to start servers.
pub(crate) struct Servers {
    folder: tempfile::TempDir,
    programs: PathBuf,
    opa: Option<PathBuf>,
    kubeconfig: PathBuf,
    certificate: CertificateDer<'static>,
    pinning: Pinning,
}

/// A server that was started; it may not listen yet.
pub(crate) struct Server {
    pub(crate) kind: ServerKind,
    pub(crate) process: Process,
    pub(crate) target: Target,
    log: PathBuf,
}

impl Servers {
    /// Finds or builds the programs, and makes the certificate that all servers show.
    pub(crate) fn prepare(
        kinds: &[ServerKind],
        programs: PathBuf,
        kubeconfig: &Path,
        pinning: Pinning,
    ) -> Result<Self> {
        let opa = kinds.contains(&ServerKind::Opa).then(opa).transpose()?;
        let folder = tempfile::Builder::new().prefix("gitops-bench-").tempdir()?;
        let certified = generate_simple_self_signed([SERVER_NAME.to_owned()])?;
        fs::write(folder.path().join("tls.crt"), certified.cert.pem())?;
        fs::write(
            folder.path().join("tls.key"),
            certified.signing_key.serialize_pem(),
        )?;
        fs::write(folder.path().join("admission.rego"), POLICY)?;
        fs::write(
            folder.path().join("data.json"),
            fleet::peer_data().to_string(),
        )?;
        Ok(Servers {
            folder,
            programs,
            opa,
            kubeconfig: kubeconfig.to_owned(),
            certificate: certified.cert.into(),
            pinning,
        })
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    pub(crate) fn start(&self, kind: ServerKind) -> Result<Server> {
        let address = free_address()?;
        let log = self.folder.path().join(format!("{kind}.log"));
        let (program, arguments) = self.command_line(kind, address)?;
        Ok(Server {
            kind,
            process: Process::spawn(self.pinning, &program, &arguments, &log)?,
            target: Target {
                address,
                path: kind.path(),
                judges: kind.judges(),
            },
            log,
        })
    }

    /// What each program calls itself.
    pub(crate) fn version(&self, kind: ServerKind) -> Result<String> {
        let arguments: &[&str] = match kind {
            ServerKind::GitopsWebhook => &["--version"],
            ServerKind::Floor | ServerKind::FloorJson => {
                return Ok("hyper + rustls (ring)".to_owned());
            }
            ServerKind::Opa => &["version"],
        };
        let program = self.program(kind)?;
        let output = Command::new(&program).args(arguments).output();
        let output = output.with_context(|| format!("cannot run {}", program.display()))?;
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    fn program(&self, kind: ServerKind) -> Result<PathBuf> {
        let program = match kind {
            ServerKind::GitopsWebhook => self.programs.join("gitops-webhook"),
            ServerKind::Floor | ServerKind::FloorJson => self.programs.join("gitops-bench-floor"),
            ServerKind::Opa => self.opa.clone().context("OPA was not asked for")?,
        };
        ensure!(program.is_file(), "there is no {}", program.display());
        Ok(program)
    }

    fn command_line(
        &self,
        kind: ServerKind,
        address: SocketAddr,
    ) -> Result<(PathBuf, Vec<String>)> {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let tls = [
            format!("--tls-cert-file={}", file("tls.crt")),
            format!("--tls-private-key-file={}", file("tls.key")),
        ];
        let own = match kind {
            ServerKind::GitopsWebhook => vec![
                format!("--kubeconfig={}", self.kubeconfig.display()),
                format!("--listen={address}"),
                "--metrics-listen=127.0.0.1:0".to_owned(),
                "--log-format=json".to_owned(),
            ],
            ServerKind::Floor => vec![format!("--listen={address}")],
            ServerKind::FloorJson => vec![format!("--listen={address}"), "--json".to_owned()],
            ServerKind::Opa => [
                "run",
                "--server",
                "--disable-telemetry",
                "--log-level=error",
                &format!("--addr=https://{address}"),
                &file("admission.rego"),
                &file("data.json"),
            ]
            .map(str::to_owned)
            .into(),
        };
        Ok((self.program(kind)?, own.into_iter().chain(tls).collect()))
    }
}

impl Server {
    /// An error that says what the server had to say.
    pub(crate) fn blame(&self, error: &anyhow::Error) -> anyhow::Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(10)..].join("\n");
        anyhow::anyhow!("{}: {error:#}\n\nend of its log:\n{end}", self.kind)
    }
}

fn opa() -> Result<PathBuf> {
    let programs = GoPrograms {
        cache: "peers",
        go_mod: GO_MOD,
        go_sum: GO_SUM,
        sources: &[],
        linker_flags: "-s -w".to_owned(),
        packages: &PACKAGES,
        files: &[],
    };
    let folder = programs.built_once().context("cannot build OPA")?;
    Ok(folder.join("opa"))
}

/// A port that nobody has at the moment; the servers cannot all say which one they would take.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}
