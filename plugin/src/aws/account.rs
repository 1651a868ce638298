//! An account of AWS that somebody is logged in to.

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_sts::types::Tag;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::connection::http_client;
use super::error::{AwsError, LOG_IN, Reason, reason_of};
use super::place::Place;
use crate::onboarding::change::Side;
use crate::onboarding::facts::CallerIdentity;

/// How long one answer may take, where nobody says otherwise.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// What the audit log of AWS calls us.
const SESSION: &str = "kubectl-gitops";

/// How somebody logs in. What is not said comes from the environment and the files of the `aws`
/// command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    /// A profile of `~/.aws/config`.
    pub(crate) profile: Option<String>,
    pub(crate) region: Option<String>,
    /// A role that is assumed for all that follows.
    pub(crate) role_arn: Option<String>,
    /// How long one answer may take.
    pub(crate) timeout: Option<Duration>,
}

/// An account, its clients, and as whom they ask. It does not print its credentials.
#[derive(Clone)]
pub(crate) struct Account {
    place: Place,
    caller: CallerIdentity,
    config: SdkConfig,
    pub(super) eks: aws_sdk_eks::Client,
    pub(super) iam: aws_sdk_iam::Client,
}

impl Account {
    /// Logs in, which proves the credentials: AWS lets everybody ask who they are.
    ///
    /// # Errors
    /// There is no region, no way to AWS, or no good credential.
    pub(crate) async fn connect(side: Side, login: &Login) -> Result<Self, AwsError> {
        let mut place = Place {
            side,
            account: None,
            region: login.region.clone().unwrap_or_default(),
            profile: login.profile.clone(),
        };
        let answer_within = login.timeout.unwrap_or(ANSWER_WITHIN);
        let http = http_client(answer_within)
            .map_err(|error| AwsError::ca_bundle(place.clone(), &error))?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        if let Some(profile) = &login.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &login.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let mut config = loader.load().await;
        let Some(region) = config.region() else {
            let step = format!("log in to {side}");
            return Err(AwsError::new(step, LOG_IN, place, Reason::NoRegion));
        };
        place.region = region.to_string();
        if let Some(role) = &login.role_arn {
            config = assuming(config, role).await;
        }
        Self::with_config(place, config).await
    }

    pub(super) async fn with_config(mut place: Place, config: SdkConfig) -> Result<Self, AwsError> {
        let caller = caller(&config, &place).await?;
        place.account = Some(caller.account.clone());
        Ok(Account {
            eks: aws_sdk_eks::Client::new(&config),
            iam: aws_sdk_iam::Client::new(&config),
            place,
            caller,
            config,
        })
    }

    /// Who asks.
    pub(crate) fn caller(&self) -> &CallerIdentity {
        &self.caller
    }

    /// The number of the account.
    pub(crate) fn id(&self) -> &str {
        &self.caller.account
    }

    /// The region.
    pub(crate) fn region(&self) -> &str {
        &self.place.region
    }

    /// Takes on a role, for as long as a login takes, with tags of the session.
    ///
    /// # Errors
    /// Whoever asks may not, or AWS does not answer.
    pub(crate) async fn assume(
        &self,
        role: &str,
        tags: &[(&str, &str)],
    ) -> Result<Credentials, AwsError> {
        let (step, call) = (format!("take on the role {role}"), "sts:AssumeRole");
        let ask = aws_sdk_sts::Client::new(&self.config).assume_role();
        let tags = tags.iter();
        let tags = tags.map(|(key, value)| Tag::builder().key(*key).value(*value).build());
        let tags = tags.collect::<Result<Vec<Tag>, _>>();
        let tags = tags.map_err(|_| self.refused(&*step, call, Reason::Answer))?;
        let ask = ask.set_tags(Some(tags).filter(|tags| !tags.is_empty()));
        let answer = ask.role_arn(role).role_session_name(SESSION).send().await;
        let answer = answer.map_err(|error| self.failed(&*step, call, &error))?;
        let given = answer.credentials;
        let given = given.ok_or_else(|| self.refused(&*step, call, Reason::Answer))?;
        Ok(Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            SystemTime::try_from(given.expiration).ok(),
            "AssumeRole",
        ))
    }

    /// Those of whoever asks.
    ///
    /// # Errors
    /// They can no longer be had.
    pub(crate) async fn credentials(&self) -> Result<Credentials, AwsError> {
        let none = || {
            let reason = Reason::NoCredentials("they are gone".to_owned());
            self.refused("sign a request", LOG_IN, reason)
        };
        let provider = self.config.credentials_provider().ok_or_else(none)?;
        provider.provide_credentials().await.map_err(|_| none())
    }

    /// The same account and region, as a role of any account.
    ///
    /// # Errors
    /// Whoever asks may not take it on.
    pub(crate) async fn as_role(&self, role: &str) -> Result<Account, AwsError> {
        let credentials = SharedCredentialsProvider::new(self.assume(role, &[]).await?);
        let config = self.config.to_builder();
        let config = config.credentials_provider(credentials).build();
        Account::with_config(self.place.clone(), config).await
    }

    /// A call that failed.
    pub(super) fn failed<E>(
        &self,
        step: impl Into<String>,
        call: &'static str,
        error: &SdkError<E, HttpResponse>,
    ) -> AwsError
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        self.refused(step, call, reason_of(error))
    }

    /// Something that cannot be done, for a reason of our own.
    pub(super) fn refused(
        &self,
        step: impl Into<String>,
        call: &'static str,
        reason: Reason,
    ) -> AwsError {
        AwsError::new(step, call, self.place.clone(), reason)
    }
}

/// The same, as a role.
async fn assuming(config: SdkConfig, role: &str) -> SdkConfig {
    let provider = AssumeRoleProvider::builder(role)
        .session_name(SESSION)
        .configure(&config)
        .build()
        .await;
    let provider = aws_credential_types::provider::SharedCredentialsProvider::new(provider);
    config.into_builder().credentials_provider(provider).build()
}

async fn caller(config: &SdkConfig, place: &Place) -> Result<CallerIdentity, AwsError> {
    let answer = aws_sdk_sts::Client::new(config)
        .get_caller_identity()
        .send()
        .await;
    let answer = answer.map_err(|error| {
        let step = format!("log in to {}", place.side);
        AwsError::new(step, LOG_IN, place.clone(), reason_of(&error))
    })?;
    Ok(CallerIdentity {
        account: answer.account.unwrap_or_default(),
        arn: answer.arn.unwrap_or_default(),
    })
}
