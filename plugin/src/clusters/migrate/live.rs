//! Migrating one cluster of a live Argo CD.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use argocd::ClusterSecret;
use argocd::cluster::config::{AwsAuthConfig, ClusterConfig};
use argocd::cluster::{Connection, RewriteError, ServiceAccount};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use policy::Kind;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::Action;
use crate::clusters::{LAST_APPLIED, TOKEN_OF, VERIFIED, revoke};
use crate::error::chain;
use crate::kubernetes::{
    AccessError, ApiServer, FieldManager, WorkloadError, connect_by_token, objects_of, whoami,
};
use crate::login::{Identity, Need, Target, Verdict, Verification, log_in};
use crate::plan::Outcome;
use crate::wait::Wait;

/// How long an API server may go on taking a token that was revoked: it keeps answers for ten
/// seconds, and there may be several API servers.
const DEATH: Duration = Duration::from_mins(1);

const INTERVAL: Duration = Duration::from_secs(1);

/// How long it is tried to put a Secret back: what was in it is nowhere else.
const WAY_BACK: Duration = Duration::from_mins(1);

/// How often a Secret is read again that somebody else has changed just now.
const ATTEMPTS: usize = 5;

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
    #[error("data.config of secret/{0} was changed by somebody else in the meantime")]
    Changed(String),
    #[error("the new login does not work any more, and the Secret is not touched: {0}")]
    NotProven(String),
    #[error("the login that is stored does not work, and the Secret is as it was before: {0}")]
    RolledBack(String),
    #[error(
        "the login that is stored does not work ({reason}), and the Secret is not put back: register the cluster anew by \
         `argocd cluster add --upsert`, or mend the login"
    )]
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
    metadata: Metadata,
    /// The service account that its token is of.
    pub(crate) account: Option<ServiceAccount>,
}

/// What is kept of the metadata of a Secret, to put it back.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: String,
    #[serde(default)]
    annotations: Annotations,
    /// Who manages which field.
    #[serde(default)]
    managed_fields: Value,
}

/// The annotations that matter here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "kubectl-gitops.io/verified")]
    verified: Option<String>,
    #[serde(rename = "kubectl-gitops.io/token-of")]
    token_of: Option<String>,
    /// What somebody has applied by `kubectl apply`: a copy of all of it.
    #[serde(rename = "kubectl.kubernetes.io/last-applied-configuration")]
    last_applied: Option<Zeroizing<String>>,
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
    /// Tokens of its service account that must be dead in the end, beside the one that is stored.
    pub(crate) tokens: Vec<SecretString>,
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
    struct Object {
        metadata: Metadata,
    }
    // What serde says may quote a value.
    let unreadable = || Failure::Unreadable(secret.to_owned());
    let object: Object = serde_json::from_str(json).map_err(|_| unreadable())?;
    let read: ClusterSecret<'_> = serde_json::from_str(json).map_err(|_| unreadable())?;
    let claims = read
        .config()
        .ok()
        .and_then(|config| config.bearer_token_claims.clone());
    let new_config = read.config_with_aws_login(aws)?;
    let new_json = with_config(json, &new_config).ok_or_else(unreadable)?;
    let new: ClusterSecret<'_> = serde_json::from_str(&new_json).map_err(|_| unreadable())?;
    Ok(Stored {
        target: Target::of(&read).map_err(|_| unreadable())?,
        new_target: Target::of(&new).map_err(|_| unreadable())?,
        connection: read.connection()?,
        config: read.expose_config().ok_or_else(unreadable)?,
        new_config,
        metadata: object.metadata,
        account: claims.and_then(|claims| claims.service_account),
    })
}

/// Whether a cluster Secret, as somebody has applied it, has a credential in its `config`.
fn holds_credential(applied: &str) -> bool {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Applied {
        data: Option<Config>,
        string_data: Option<Config>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Config {
        config: Option<Zeroizing<String>>,
    }
    let applied: Applied = serde_json::from_str(applied).unwrap_or_default();
    let in_base64 = applied.data.and_then(|data| data.config);
    let decoded = in_base64.and_then(|config| BASE64_STANDARD.decode(&*config).ok());
    let decoded = decoded.and_then(|config| String::from_utf8(config).ok());
    let plain = applied.string_data.and_then(|data| data.config);
    let texts = decoded.map(Zeroizing::new).into_iter().chain(plain);
    let mut configs = texts.filter_map(|text| ClusterConfig::parse(&text).ok());
    configs.any(|config| config.bearer_token || config.password || config.tls.key_data)
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
    /// Whether a token is in it.
    pub(crate) fn has_token(&self) -> bool {
        self.connection.bearer_token.is_some()
    }

    /// Whether kubectl's copy of what was applied has a credential in it as well.
    pub(crate) fn has_copy(&self) -> bool {
        let copy = self.metadata.annotations.last_applied.as_ref();
        copy.is_some_and(|copy| holds_credential(copy))
    }

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
            Action::DropCopy => self.drop_copy(only_ask).await,
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

    /// The first proof may be old: somebody has thought about the plan, or other clusters went
    /// before.
    async fn switch(&self, only_ask: bool) -> Result<Outcome, Failure> {
        if only_ask {
            self.apply_new_login(&self.stored, true).await?;
            return Ok(Outcome::WouldBeDone);
        }
        let proven = self.stored.prove_new(&self.prover).await;
        proven.map_err(Failure::NotProven)?;
        let before = self.write_new_login().await?;
        match self.prove_what_is_stored().await {
            Ok(()) => Ok(Outcome::Done),
            Err(reason) => match self.roll_back(&before).await {
                Ok(()) => Err(Failure::RolledBack(reason)),
                Err(source) => Err(Failure::NotRolledBack { reason, source }),
            },
        }
    }

    /// Writes it, and returns what was there before. Argo CD writes to the Secret as well, such as
    /// labels, so that one that was changed is read again.
    async fn write_new_login(&self) -> Result<Stored, Failure> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let now = self.read_again().await?;
            if *now.config != *self.stored.config {
                return Err(Failure::Changed(self.secret.clone()));
            }
            match self.apply_new_login(&now, false).await {
                Ok(()) => return Ok(now),
                Err(error) if error.is_conflict() && attempts < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn apply_new_login(&self, now: &Stored, only_ask: bool) -> Result<(), AccessError> {
        let account = self.stored.account.as_ref();
        let token_of = account.map(|account| format!("{}/{}", account.namespace, account.name));
        let annotations = token_of.map(|account| (TOKEN_OF, account));
        let annotations: Vec<_> = annotations.into_iter().chain([self.verified()]).collect();
        let version = &now.metadata.resource_version;
        self.apply(&self.stored.new_config, &annotations, version, only_ask)
            .await
    }

    async fn read_again(&self) -> Result<Stored, Failure> {
        read(self.server, self.argocd_namespace, &self.secret, &self.aws).await
    }

    async fn prove_what_is_stored(&self) -> Result<(), String> {
        let stored = self.read_again().await.map_err(|error| chain(&error))?;
        self.prover.prove(&stored.target).await.map(drop)
    }

    /// Puts the Secret back, as long as it takes for the API server to answer.
    async fn roll_back(&self, before: &Stored) -> Result<(), AccessError> {
        let mut wait = Wait::up_to(WAY_BACK, INTERVAL);
        loop {
            let put_back = self.put_back(before).await;
            let is_to_be_tried = matches!(&put_back, Err(error) if error.is_without_answer());
            if !(is_to_be_tried && wait.goes_on().await) {
                return put_back;
            }
        }
    }

    /// Whoever changed `config` in between would lose that: the old login is worth more. All else
    /// that others have changed stays.
    async fn put_back(&self, before: &Stored) -> Result<(), AccessError> {
        let Annotations {
            verified, token_of, ..
        } = &before.metadata.annotations;
        let change = json!({
            "metadata": {"annotations": {TOKEN_OF: token_of, VERIFIED: verified}},
            "data": {"config": BASE64_STANDARD.encode(&*before.config)},
        });
        let version = self.patch(&change, false).await?;
        // Whose `data.config` was before has it again. Without this it would be ours, and that
        // changes nothing of what the Secret says.
        let whose = json!({"metadata": {
            "resourceVersion": version,
            "managedFields": before.metadata.managed_fields,
        }});
        drop(self.patch(&whose, false).await);
        Ok(())
    }

    /// Changes the Secret, and returns its version afterwards.
    async fn patch(&self, change: &Value, only_ask: bool) -> Result<String, AccessError> {
        #[derive(Deserialize)]
        struct Object {
            metadata: Metadata,
        }
        let secrets = objects_of(Kind::ClusterSecret, self.argocd_namespace);
        let version = |json: &str| {
            let object: Option<Object> = serde_json::from_str(json).ok();
            object.map(|object| object.metadata.resource_version)
        };
        let version = self
            .server
            .patch(&secrets, &self.secret, change, only_ask, version)
            .await?;
        Ok(version.unwrap_or_default())
    }

    /// Takes off the annotation in which kubectl has a copy of the old `config`.
    async fn drop_copy(&self, only_ask: bool) -> Result<Outcome, Failure> {
        let change = json!({"metadata": {"annotations": {LAST_APPLIED: Value::Null}}});
        self.patch(&change, only_ask).await?;
        Ok(if only_ask {
            Outcome::WouldBeDone
        } else {
            Outcome::Done
        })
    }

    fn verified(&self) -> (&'static str, String) {
        (VERIFIED, self.now.to_string())
    }

    /// Writes `data.config` and our annotations, and nothing else.
    async fn apply(
        &self,
        config: &str,
        annotations: &[(&str, String)],
        version: &str,
        only_ask: bool,
    ) -> Result<(), AccessError> {
        let annotations = annotations.iter().cloned();
        let annotations = annotations.map(|(key, value)| (key.to_owned(), Value::from(value)));
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.secret,
                "namespace": self.argocd_namespace,
                "annotations": annotations.collect::<Map<_, _>>(),
                "resourceVersion": version,
            },
            "data": {"config": BASE64_STANDARD.encode(config)},
        });
        let secrets = objects_of(Kind::ClusterSecret, self.argocd_namespace);
        let manager = FieldManager::Login;
        self.server
            .apply(&secrets, &self.secret, &object, manager, only_ask)
            .await
    }

    /// Waits until the old tokens are refused, as far as they are at hand, and takes the annotation
    /// off.
    async fn conclude(&self) -> Result<Outcome, Failure> {
        let stored = self.stored.connection.bearer_token.iter();
        let stored = stored.map(|token| SecretString::from(token.expose()));
        for token in stored.chain(self.tokens.iter().cloned()) {
            self.await_death(token).await?;
        }
        let (verified, now) = self.verified();
        let change = json!({"metadata": {"annotations": {TOKEN_OF: Value::Null, verified: now}}});
        self.patch(&change, false).await?;
        Ok(Outcome::Done)
    }

    async fn await_death(&self, token: SecretString) -> Result<(), Failure> {
        let old = connect_by_token(&self.stored.connection, token)?;
        let mut wait = Wait::up_to(DEATH, INTERVAL);
        loop {
            let asked = whoami(&old).await;
            if asked.as_ref().is_err_and(AccessError::is_unauthorized) {
                return Ok(());
            }
            if !wait.goes_on().await {
                return Err(asked.map_or_else(Failure::from, |_| Failure::StillAlive));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_what_was_applied_may_have_the_credential() {
        let in_base64 = |config: &str| {
            let config = BASE64_STANDARD.encode(config);
            holds_credential(&json!({"data": {"config": config}}).to_string())
        };
        let plain =
            |config: &str| holds_credential(&json!({"stringData": {"config": config}}).to_string());
        let both: [&dyn Fn(&str) -> bool; 2] = [&in_base64, &plain];
        for holds in both {
            assert!(holds(r#"{"bearerToken":"t"}"#));
            assert!(holds(r#"{"BearerToken":"t","awsAuthConfig":{}}"#));
            assert!(holds(r#"{"username":"u","password":"p"}"#));
            assert!(holds(r#"{"tlsClientConfig":{"keyData":"a2V5"}}"#));
            assert!(!holds(
                r#"{"awsAuthConfig":{},"tlsClientConfig":{"caData":"Y2E="}}"#
            ));
            assert!(!holds(""));
        }
        for nothing in [
            "",
            "{}",
            "[]",
            r#"{"data":null}"#,
            r#"{"data":{"config":"?"}}"#,
        ] {
            assert!(!holds_credential(nothing), "{nothing}");
        }
    }
}
