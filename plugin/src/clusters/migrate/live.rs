//! Migrating one cluster of a live Argo CD.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use argocd::ClusterSecret;
use argocd::cluster::config::AwsAuthConfig;
use argocd::cluster::{Connection, RewriteError, ServiceAccount};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use policy::Kind;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::Action;
use crate::clusters::{TOKEN_OF, VERIFIED, revoke};
use crate::kubernetes::{
    AccessError, ApiServer, FieldManager, WorkloadError, connect_by_token, objects_of, whoami,
};
use crate::login::{Identity, Need, Target, Verdict, Verification, log_in};
use crate::plan::Outcome;

/// How long an API server may go on taking a token that was revoked: it keeps answers for ten
/// seconds, and there may be several API servers.
const DEATH: Duration = Duration::from_mins(1);

const INTERVAL: Duration = Duration::from_secs(1);

/// Why a step is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("data.config is not rewritten")]
    Rewrite(#[from] RewriteError),
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    #[error("nobody can log in any more: {0}")]
    NotLoggedIn(String),
    #[error("secret/{0} is gone")]
    NoSecret(String),
    #[error("secret/{0} cannot be read")]
    Unreadable(String),
    #[error("the login that is stored does not work, and the Secret is as it was before: {0}")]
    RolledBack(String),
    #[error("the login that is stored does not work ({reason}), and the Secret is not put back")]
    NotRolledBack {
        reason: String,
        #[source]
        source: AccessError,
    },
    #[error("the API server still takes the old token after {} s", DEATH.as_secs())]
    StillAlive,
}

/// What a cluster Secret has at some moment. What is secret in it is wiped when this is dropped.
pub(crate) struct Stored {
    /// How Argo CD logs in by it.
    target: Target,
    /// How it would with the new `config`.
    new_target: Target,
    connection: Connection,
    config: Zeroizing<String>,
    new_config: Zeroizing<String>,
    resource_version: String,
    /// The service account that its token is of.
    pub(crate) account: Option<ServiceAccount>,
}

/// Proves logins, as somebody who may take on the roles of clusters.
pub(crate) struct Prover<'p> {
    pub(crate) identity: &'p Identity,
    /// What Argo CD has to be able to do on the cluster.
    pub(crate) needs: BTreeSet<Need>,
}

/// A login that works.
pub(crate) struct Proven {
    pub(crate) server: ApiServer,
    /// As whom the API server knows it.
    pub(crate) user: String,
}

/// A cluster whose new login is proven.
pub(crate) struct Migration<'m> {
    /// The API server of Argo CD's own cluster.
    pub(crate) server: &'m ApiServer,
    pub(crate) argocd_namespace: &'m str,
    pub(crate) secret: String,
    pub(crate) aws: AwsAuthConfig,
    pub(crate) stored: Stored,
    pub(crate) prover: Prover<'m>,
    pub(crate) now: Timestamp,
}

/// Reads a cluster Secret, and what its `config` would be with another login.
///
/// # Errors
/// It is gone, or its `config` cannot be taken apart without a loss.
pub(crate) async fn read(
    server: &ApiServer,
    argocd_namespace: &str,
    secret: &str,
    aws: &AwsAuthConfig,
) -> Result<Stored, Failure> {
    let secrets = objects_of(Kind::ClusterSecret, argocd_namespace);
    let read = |json: &str| taken_apart(json, secret, aws);
    let read = server.get(&secrets, secret, read).await?;
    read.ok_or_else(|| Failure::NoSecret(secret.to_owned()))?
}

fn taken_apart(json: &str, secret: &str, aws: &AwsAuthConfig) -> Result<Stored, Failure> {
    #[derive(Deserialize)]
    struct Versioned {
        metadata: Version,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        resource_version: String,
    }
    // What serde says may quote a value.
    let unreadable = || Failure::Unreadable(secret.to_owned());
    let versioned: Versioned = serde_json::from_str(json).map_err(|_| unreadable())?;
    let read: ClusterSecret<'_> = serde_json::from_str(json).map_err(|_| unreadable())?;
    let claims = read
        .config()
        .ok()
        .and_then(|config| config.bearer_token_claims);
    let new_config = read.config_with_aws_login(aws)?;
    let new_json = with_config(json, &new_config).ok_or_else(unreadable)?;
    let new: ClusterSecret<'_> = serde_json::from_str(&new_json).map_err(|_| unreadable())?;
    Ok(Stored {
        target: Target::of(&read).map_err(|_| unreadable())?,
        new_target: Target::of(&new).map_err(|_| unreadable())?,
        connection: read.connection()?,
        config: read.expose_config().ok_or_else(unreadable)?,
        new_config,
        resource_version: versioned.metadata.resource_version,
        account: claims.and_then(|claims| claims.service_account),
    })
}

/// A Secret with another `config`. What is secret in it is wiped.
fn with_config(json: &str, config: &str) -> Option<Zeroizing<String>> {
    #[derive(Deserialize, Serialize)]
    struct Secret<'s> {
        #[serde(borrow)]
        metadata: &'s RawValue,
        data: BTreeMap<String, Zeroizing<String>>,
    }
    let mut secret: Secret<'_> = serde_json::from_str(json).ok()?;
    let config = Zeroizing::new(BASE64_STANDARD.encode(config));
    secret.data.insert("config".to_owned(), config);
    serde_json::to_string(&secret).ok().map(Zeroizing::new)
}

impl Prover<'_> {
    /// Logs in as Argo CD would, and asks whether it may do there what its projects need.
    ///
    /// # Errors
    /// The link that does not hold, and what puts it right.
    pub(crate) async fn prove(&self, target: &Target) -> Result<Proven, String> {
        let (found, server) = log_in(target, Some(self.identity), &self.needs).await;
        match (found.verdict(), server) {
            (Verdict::Proven, Some(server)) => Ok(Proven {
                user: whoami(&server)
                    .await
                    .map(|user| user.username)
                    .unwrap_or_default(),
                server,
            }),
            _ => Err(flaw(&found)),
        }
    }
}

fn flaw(found: &Verification) -> String {
    match found.first_flaw() {
        Some(flaw) => {
            let mend = flaw.mend.as_ref().map(|mend| format!(": {mend}"));
            let link = flaw.link.name();
            format!("{link}: {}{}", flaw.detail, mend.unwrap_or_default())
        }
        None => "nobody could log in".to_owned(),
    }
}

impl Stored {
    /// Proves the login that the Secret would have.
    ///
    /// # Errors
    /// It does not work.
    pub(crate) async fn prove_new(&self, prover: &Prover<'_>) -> Result<Proven, String> {
        prover.prove(&self.new_target).await
    }
}

impl Migration<'_> {
    /// Does one step, or only asks.
    ///
    /// # Errors
    /// It is not done.
    pub(crate) async fn act(&self, action: &Action, only_ask: bool) -> Result<Outcome, Failure> {
        match action {
            Action::Switch => self.switch(only_ask).await,
            Action::Revoke(action) => {
                Ok(revoke::act(&self.log_in().await?, action, only_ask).await?)
            }
            Action::Conclude if only_ask => Ok(Outcome::NotAsked),
            Action::Conclude => self.conclude().await,
        }
    }

    /// Logs in once more: a token lasts for minutes, and somebody may have thought about the plan
    /// for longer.
    async fn log_in(&self) -> Result<ApiServer, Failure> {
        let identity = Some(self.prover.identity);
        let nothing = BTreeSet::new();
        let (found, server) = log_in(&self.stored.new_target, identity, &nothing).await;
        server.ok_or_else(|| Failure::NotLoggedIn(flaw(&found)))
    }

    async fn switch(&self, only_ask: bool) -> Result<Outcome, Failure> {
        let account = self.stored.account.as_ref();
        let token_of = account.map(|account| format!("{}/{}", account.namespace, account.name));
        let annotations = token_of.map(|account| (TOKEN_OF, account));
        let annotations: Vec<_> = annotations.into_iter().chain([self.verified()]).collect();
        let version = Some(&*self.stored.resource_version);
        self.apply(&self.stored.new_config, &annotations, version, only_ask)
            .await?;
        if only_ask {
            return Ok(Outcome::WouldBeDone);
        }
        match self.prove_what_is_stored().await {
            Ok(()) => Ok(Outcome::Done),
            Err(reason) => {
                // Whoever changed it in between would lose that: the old login is worth more.
                match self.apply(&self.stored.config, &[], None, false).await {
                    Ok(()) => Err(Failure::RolledBack(reason)),
                    Err(source) => Err(Failure::NotRolledBack { reason, source }),
                }
            }
        }
    }

    async fn prove_what_is_stored(&self) -> Result<(), String> {
        let stored = read(self.server, self.argocd_namespace, &self.secret, &self.aws).await;
        let stored = stored.map_err(|error| crate::error::chain(&error))?;
        self.prover.prove(&stored.target).await.map(drop)
    }

    fn verified(&self) -> (&'static str, String) {
        (VERIFIED, self.now.to_string())
    }

    /// Writes `data.config` and our annotations, and nothing else.
    async fn apply(
        &self,
        config: &str,
        annotations: &[(&str, String)],
        version: Option<&str>,
        only_ask: bool,
    ) -> Result<(), AccessError> {
        let annotations = annotations.iter().cloned();
        let annotations = annotations.map(|(key, value)| (key.to_owned(), Value::from(value)));
        let mut metadata = json!({
            "name": self.secret,
            "namespace": self.argocd_namespace,
            "annotations": annotations.collect::<Map<_, _>>(),
        });
        if let Some(version) = version {
            metadata["resourceVersion"] = Value::from(version);
        }
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "data": {"config": BASE64_STANDARD.encode(config)},
        });
        let secrets = objects_of(Kind::ClusterSecret, self.argocd_namespace);
        let manager = FieldManager::Login;
        self.server
            .apply(&secrets, &self.secret, &object, manager, only_ask)
            .await
    }

    /// Waits until the old token is refused, where it is at hand, and takes the annotation off.
    async fn conclude(&self) -> Result<Outcome, Failure> {
        if let Some(token) = &self.stored.connection.bearer_token {
            let token = SecretString::from(token.expose());
            self.await_death(token).await?;
        }
        self.apply(&self.stored.new_config, &[self.verified()], None, false)
            .await?;
        Ok(Outcome::Done)
    }

    async fn await_death(&self, token: SecretString) -> Result<(), Failure> {
        let old = connect_by_token(&self.stored.connection, token)?;
        let deadline = Instant::now() + DEATH;
        loop {
            match whoami(&old).await {
                Err(error) if error.is_unauthorized() => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error.into()),
                Ok(_) if Instant::now() >= deadline => return Err(Failure::StillAlive),
                _ => sleep(INTERVAL).await,
            }
        }
    }
}
