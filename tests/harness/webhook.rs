//! The process `gitops-webhook`.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;
use kube::Api;
use serde_json::Value;

use crate::clock::TestClock;
use crate::control_plane::ControlPlane;
use crate::http::http_get;
use crate::process::{Process, Signal};
use crate::programs::Programs;
use crate::wait::eventually;

/// The name of all that `manifests/base` contains.
const NAME: &str = "gitops-webhook";
/// It starts in a tenth of a second; a loaded machine may take its time.
const WITHIN: Duration = Duration::from_secs(30);
/// How often a file is looked at is up to [`eventually`]; how much of it is worth showing is up to
/// this.
const SHOWN_LOG_LINES: usize = 20;

/// A running webhook.
#[derive(Debug)]
pub struct Webhook {
    process: Mutex<Process>,
    log: WebhookLog,
    address: SocketAddr,
    metrics_address: SocketAddr,
}

impl Webhook {
    /// Starts the webhook as the Deployment on this control plane says, but on free ports of
    /// loopback, and returns when it listens. It is not ready then.
    pub async fn start(control_plane: &ControlPlane) -> Result<Self> {
        let program = Programs::locate()?.webhook();
        let command = command(control_plane, &program).await?;
        Self::run(&command, WebhookLog::new(control_plane.folder())).await
    }

    /// The same, but that it goes by this clock.
    pub async fn start_by(control_plane: &ControlPlane, clock: &TestClock) -> Result<Self> {
        let program = Programs::locate()?.webhook_with_clock();
        let mut command = command(control_plane, &program).await?;
        clock.give(&mut command);
        Self::run(&command, WebhookLog::new(control_plane.folder())).await
    }

    /// Starts a webhook for an API server that need not be one, with its log in `folder`. It
    /// returns when it listens.
    pub async fn start_with(kubeconfig: &Path, folder: &Path) -> Result<Self> {
        let mut command = Command::new(Programs::locate()?.webhook());
        command.arg("--kubeconfig").arg(kubeconfig);
        command.args([
            "--listen=127.0.0.1:0",
            "--metrics-listen=127.0.0.1:0",
            "--log-format=json",
        ]);
        Self::run(&command, WebhookLog::new(folder)).await
    }

    async fn run(command: &Command, log: WebhookLog) -> Result<Self> {
        let stderr = File::create(&log.0).context("cannot make the webhook's log")?;
        let mut process = Process::spawn(command, stderr).context("cannot start gitops-webhook")?;
        let listening = eventually(WITHIN, "gitops-webhook listens", async || {
            if let Some(status) = process.ended().map_err(|error| error.to_string())? {
                return Ok(Err(status));
            }
            log.addresses()?
                .ok_or_else(|| "it has not said so".to_owned())
                .map(Ok)
        });
        let listening = listening
            .await
            .map_err(|error| log.blamed(&error.to_string()))?;
        let (address, metrics_address) = listening.map_err(|status: ExitStatus| {
            log.blamed(&format!("gitops-webhook ended early ({status})"))
        })?;
        Ok(Self {
            process: Mutex::new(process),
            log,
            address,
            metrics_address,
        })
    }

    /// Where it takes admission requests.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it logged.
    pub fn log(&self) -> &WebhookLog {
        &self.log
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let sent = self.process().signal(signal);
        sent.context("cannot send gitops-webhook a signal")
    }

    /// Returns how it ended, once it has.
    pub async fn ended(&self) -> Result<ExitStatus> {
        let ended = eventually(WITHIN, "gitops-webhook ends", async || {
            let ended = self.process().ended().map_err(|error| error.to_string())?;
            ended.ok_or_else(|| "it is running".to_owned())
        });
        Ok(ended.await?)
    }

    /// Returns once `/readyz` says so.
    pub async fn ready(&self) -> Result<()> {
        let ready = eventually(WITHIN, "gitops-webhook is ready", async || {
            match self.get("/readyz").await {
                Ok((200, _)) => Ok(()),
                Ok((status, text)) => Err(format!("{status} {text}")),
                Err(error) => Err(format!("{error:#}")),
            }
        });
        ready
            .await
            .map_err(|error| self.log.blamed(&error.to_string()))
    }

    /// What the second port says at a path: the status and the text.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        http_get(self.metrics_address, path).await
    }

    /// The value of a counter, such as
    /// `gitops_webhook_findings_total{rule="project-scope",level="deny"}`.
    pub async fn counter(&self, name: &str) -> Result<u64> {
        let (_, metrics) = self.get("/metrics").await?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        let value = value.with_context(|| format!("there is no metric {name} in\n{metrics}"))?;
        Ok(value.trim().parse()?)
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The Deployment's command line and environment, with what differs outside a Pod: where the API
/// server is, and ports that are free.
async fn command(control_plane: &ControlPlane, program: &Path) -> Result<Command> {
    let client = control_plane.admin().client().await?;
    let deployments = Api::<Deployment>::namespaced(client, NAME);
    let deployment = deployments
        .get(NAME)
        .await
        .context("cannot get the Deployment")?;
    let pod = deployment.spec.and_then(|spec| spec.template.spec);
    let mut pod = pod.context("the Deployment has no Pod")?;
    let account = pod.service_account_name.unwrap_or_default();
    let container = pod.containers.pop().context("the Pod has no container")?;

    let login = control_plane.service_account(NAME, &account).await?;
    let mut command = Command::new(program);
    command.arg("--kubeconfig").arg(login.kubeconfig());
    command.args(arguments(&container));
    command.envs(environment(&container)?);
    Ok(command)
}

fn arguments(container: &Container) -> impl Iterator<Item = String> + '_ {
    let written = container.args.iter().flatten();
    written.map(|argument| match argument.split_once('=') {
        Some((flag @ ("--listen" | "--metrics-listen"), _)) => format!("{flag}=127.0.0.1:0"),
        _ => argument.clone(),
    })
}

/// What kubelet would make of the container's variables, as far as they are used.
fn environment(container: &Container) -> Result<Vec<(String, String)>> {
    let variables = container.env.iter().flatten().map(|variable| {
        let field = variable
            .value_from
            .as_ref()
            .and_then(|source| source.field_ref.as_ref());
        let value = match (&variable.value, field) {
            (Some(value), _) => value.clone(),
            (None, Some(field)) if field.field_path == "metadata.namespace" => NAME.to_owned(),
            _ => return Err(anyhow!("where does {} get its value from?", variable.name)),
        };
        Ok((variable.name.clone(), value))
    });
    variables.collect()
}

/// The log of a webhook: a JSON object a line.
#[derive(Clone, Debug)]
pub struct WebhookLog(PathBuf);

impl WebhookLog {
    fn new(folder: &Path) -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        Self(folder.join(format!("gitops-webhook-{number}.log")))
    }

    /// All of it, as it is written.
    pub fn text(&self) -> Result<String> {
        fs::read_to_string(&self.0).context("cannot read the webhook's log")
    }

    /// The whole lines that there are.
    pub fn entries(&self) -> Result<Vec<Value>> {
        let text = self.text()?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let entries = whole.lines().map(|line| {
            serde_json::from_str(line)
                .with_context(|| format!("not JSON in the webhook's log: {line}"))
        });
        entries.collect()
    }

    /// The entries with this message.
    pub fn entries_of(&self, message: &str) -> Result<Vec<Value>> {
        let mut entries = self.entries()?;
        entries.retain(|entry| entry["message"] == message);
        Ok(entries)
    }

    fn addresses(&self) -> Result<Option<(SocketAddr, SocketAddr)>, String> {
        let listening = self
            .entries_of("listening")
            .map_err(|error| format!("{error:#}"))?;
        let Some(entry) = listening.first() else {
            return Ok(None);
        };
        let address = |field: &str| {
            let text = entry[field].as_str().unwrap_or_default();
            text.parse()
                .map_err(|error| format!("{field} {text:?}: {error}"))
        };
        Ok(Some((address("listen")?, address("metrics_listen")?)))
    }

    /// Its last lines, for a person.
    pub fn end(&self) -> String {
        let text = self.text().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let end = lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..].join("\n");
        format!("end of the log of gitops-webhook:\n{end}")
    }

    fn blamed(&self, problem: &str) -> anyhow::Error {
        anyhow!("{problem}\n\n{}", self.end())
    }
}
