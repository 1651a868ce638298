//! A fleet that tests share, and what was written on it.

use std::fs;

use anyhow::{Context, Result};
use control_plane::ControlPlane;
use gitops_argo_cd_tests::{Fleet, Guard};
use gitops_system_tests::Webhook;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// A fleet behind the webhook, which one test has at a time, deployed and settled. A test leaves it so.
pub(crate) struct Turn {
    fleet: &'static Fleet,
    _turn: MutexGuard<'static, ()>,
}

impl Turn {
    pub(crate) async fn take() -> Result<Self> {
        static TURN: Mutex<()> = Mutex::const_new(());
        static FLEET: OnceCell<Fleet> = OnceCell::const_new();
        let turn = TURN.lock().await;
        let start = async || {
            let fleet = Fleet::start(Guard::Webhook).await?;
            fleet.deployed().await?;
            Ok::<_, anyhow::Error>(fleet)
        };
        Ok(Self {
            fleet: FLEET.get_or_try_init(start).await?,
            _turn: turn,
        })
    }
}

impl std::ops::Deref for Turn {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        self.fleet
    }
}

impl Drop for Turn {
    #[expect(clippy::print_stderr, reason = "this is what explains a failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.fleet.state());
        }
    }
}

/// A request that an API server has answered.
#[derive(Clone, Debug)]
pub(crate) struct Request(Value);

impl Request {
    /// All requests by which Argo CD has written to its own kinds.
    pub(crate) fn by_argo_cd(control_plane: &ControlPlane) -> Result<Vec<Self>> {
        let log = fs::read_to_string(control_plane.audit_log()?)?;
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        let mut requests = Vec::new();
        for line in whole.lines() {
            let request = Self(serde_json::from_str(line).context("not JSON in the audit log")?);
            if request.is_write()
                && request.0["objectRef"]["apiGroup"] == "argoproj.io"
                && request
                    .user()
                    .starts_with("system:serviceaccount:argocd:argocd-")
            {
                requests.push(request);
            }
        }
        Ok(requests)
    }

    pub(crate) fn user(&self) -> &str {
        self.0["user"]["username"].as_str().unwrap_or_default()
    }

    pub(crate) fn object_name(&self) -> &str {
        self.0["objectRef"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn is_update_of_applications(&self) -> bool {
        matches!(self.0["verb"].as_str(), Some("update" | "patch"))
            && self.0["objectRef"]["resource"] == "applications"
    }

    /// Whether it was refused otherwise than for a conflict, upon which it is tried again.
    pub(crate) fn is_refused(&self) -> bool {
        let code = self.0["responseStatus"]["code"].as_u64();
        code.is_none_or(|code| code >= 400 && code != 404 && code != 409)
    }

    fn is_write(&self) -> bool {
        matches!(
            self.0["verb"].as_str(),
            Some("create" | "update" | "patch" | "delete" | "deletecollection")
        )
    }
}

/// How often the webhook was asked.
pub(crate) async fn asked(webhook: &Webhook) -> Result<u64> {
    let (_, metrics) = webhook.get("/metrics").await?;
    let counters = metrics
        .lines()
        .filter(|line| line.starts_with("gitops_webhook_requests_total{"));
    let counts = counters.map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<u64>());
    Ok(counts.sum::<Result<u64, _>>()?)
}
