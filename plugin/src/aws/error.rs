//! What went wrong with AWS: at which step, by which call, in which account and region, and what
//! may help.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::connection::CaBundleError;
use super::place::Place;
use crate::error::{CommandError, chain};

/// Of a message of AWS no more is repeated; it may quote a whole policy.
const LONGEST_MESSAGE: usize = 400;

/// How calls begin that change nothing.
const READING: [&str; 4] = ["Assume", "Describe", "Get", "List"];

/// The call that proves credentials.
pub(super) const LOG_IN: &str = "sts:GetCallerIdentity";

/// Something could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} ({call} in {place})")]
pub(crate) struct AwsError {
    step: String,
    /// Such as `eks:DescribeCluster`.
    call: &'static str,
    place: Box<Place>,
    #[source]
    reason: Reason,
}

/// Why. Nothing that AWS quotes of a signed request is in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("denied: {0}")]
    Denied(String),
    #[error("AWS still asks to slow down after several attempts")]
    Throttled,
    #[error("not found: {0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    #[error("AWS did not answer in time")]
    TimedOut,
    #[error("the credentials have expired")]
    ExpiredCredentials,
    #[error("AWS does not know the credentials, or they are not enabled in this region")]
    UnknownCredentials,
    #[error("the signature is not that of the credentials")]
    WrongSignature,
    #[error("there are no credentials: {0}")]
    NoCredentials(String),
    #[error("the clock of this machine is not that of AWS")]
    ClockSkew,
    #[error("the region is not the one that answers: {0}")]
    WrongRegion(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("a quota of the account is used up: {0}")]
    Quota(String),
    #[error("{0}")]
    Invalid(String),
    #[error("AWS fails: {0}")]
    Unavailable(String),
    #[error("the answer cannot be read")]
    Answer,
    #[error("there is no region")]
    NoRegion,
    #[error("{0}")]
    CaBundle(String),
    /// What was begun has not come to be.
    #[error("{0}")]
    NotSettled(String),
}

impl AwsError {
    pub(super) fn new(
        step: impl Into<String>,
        call: &'static str,
        place: Place,
        reason: Reason,
    ) -> Self {
        AwsError {
            step: step.into(),
            call,
            place: Box::new(place),
            reason,
        }
    }

    pub(super) fn ca_bundle(place: Place, error: &CaBundleError) -> Self {
        let step = format!("log in to {}", place.side);
        let reason = Reason::CaBundle(chain(error));
        AwsError::new(step, LOG_IN, place, reason)
    }

    /// Why.
    pub(super) fn reason(&self) -> &Reason {
        &self.reason
    }

    /// Whether there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self.reason, Reason::NotFound(_))
    }

    /// Whether whoever asks may not.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self.reason, Reason::Denied(_))
    }

    /// Whether a change may have been made all the same: AWS was asked, and its answer is not
    /// known.
    pub(super) fn may_be_done(&self) -> bool {
        let is_lost = matches!(
            self.reason,
            Reason::TimedOut | Reason::Answer | Reason::Unavailable(_) | Reason::Unreachable(_)
        );
        let (_, action) = self.call.split_once(':').unwrap_or_default();
        let is_read = READING.iter().any(|verb| action.starts_with(verb));
        is_lost && !is_read
    }

    /// What may help.
    pub(crate) fn hint(&self) -> Option<String> {
        let Place {
            side,
            profile,
            region,
            ..
        } = &*self.place;
        let (profile_flag, region_flag) = (side.profile_flag(), side.region_flag());
        let sign_in = profile.as_ref().map_or_else(
            || "`aws sts get-caller-identity` shows whether the credentials are good".to_owned(),
            |profile| format!("sign in again, as by `aws sso login --profile {profile}`"),
        );
        let again = if self.may_be_done() {
            "run the command again: it goes by what AWS has, as this call may have been done"
        } else {
            "try again"
        };
        Some(match &self.reason {
            Reason::Denied(_) => format!("whoever asks needs the permission {}", self.call),
            Reason::Throttled => {
                "try again in a minute; AWS_MAX_ATTEMPTS=10 tries longer".to_owned()
            }
            Reason::NotFound(_) if self.call.starts_with("eks:") => {
                format!("if it is in another region or account: {region_flag}, {profile_flag}")
            }
            Reason::NotFound(_) if self.call.starts_with("iam:") => {
                format!("if it is in another account: {profile_flag}")
            }
            Reason::TimedOut => format!("{again}; --request-timeout gives AWS longer"),
            Reason::ExpiredCredentials | Reason::UnknownCredentials | Reason::WrongSignature => {
                sign_in
            }
            Reason::NoCredentials(_) => {
                format!("{profile_flag} names a profile; `aws configure list` shows what there is")
            }
            Reason::ClockSkew => {
                "set the clock of this machine; AWS takes five minutes of difference".to_owned()
            }
            Reason::WrongRegion(_) | Reason::NoRegion => {
                format!("name the region of the cluster by {region_flag}, or AWS_REGION")
            }
            Reason::Unreachable(_) => format!(
                "is there a region {region}, and a way to it? HTTPS_PROXY and AWS_CA_BUNDLE are gone by"
            ),
            Reason::Answer | Reason::Unavailable(_) => again.to_owned(),
            Reason::Conflict(_) => {
                "another change is under way, or somebody else has made it: run the command again"
                    .to_owned()
            }
            Reason::NotSettled(_) => {
                "run the command again, which goes by what AWS has by then".to_owned()
            }
            Reason::Quota(_) => "ask AWS to raise the quota, or remove what is not used".to_owned(),
            Reason::NotFound(_) | Reason::Invalid(_) | Reason::CaBundle(_) => return None,
        })
    }

    /// All of it in one line, for a report.
    pub(crate) fn in_one_line(&self) -> String {
        let text = chain(self);
        match self.hint() {
            Some(hint) => format!("{text}; {hint}"),
            None => text,
        }
    }
}

impl From<AwsError> for CommandError {
    fn from(error: AwsError) -> Self {
        let hint = error.hint();
        let error = CommandError::new(error);
        match hint {
            Some(hint) => error.hinted(hint),
            None => error,
        }
    }
}

/// Why a call failed.
pub(super) fn reason_of<E>(error: &SdkError<E, HttpResponse>) -> Reason
where
    E: Error + ProvideErrorMetadata + 'static,
{
    if let Some(credentials) = cause::<CredentialsError>(error) {
        return no_credentials(credentials);
    }
    match error {
        SdkError::TimeoutError(_) => Reason::TimedOut,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Reason::TimedOut,
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let message = error.message().unwrap_or_default();
            of_code(error.code().unwrap_or_default(), message, status)
        }
        SdkError::ResponseError(_) => Reason::Answer,
        SdkError::DispatchFailure(_) => Reason::Unreachable(innermost(error)),
        // What is asked cannot be asked: a name with a slash in it, say.
        _ => Reason::Invalid(innermost(error)),
    }
}

/// The words of AWS for it: <https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html>,
/// the same page of STS, and the errors of EKS's operations.
fn of_code(code: &str, message: &str, status: u16) -> Reason {
    let said = || quoted(code, message);
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "NotAuthorized"
        | "UnauthorizedOperation"
        | "UnauthorizedException" => Reason::Denied(said()),
        "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => Reason::ClockSkew,
        "InvalidSignatureException" | "SignatureDoesNotMatch" => of_signature(message),
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            Reason::ExpiredCredentials
        }
        "AuthFailure"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidToken"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "OptInRequired"
        | "UnrecognizedClientException" => Reason::UnknownCredentials,
        "RegionDisabledException" => Reason::WrongRegion(said()),
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "TooManyRequestsException" => Reason::Throttled,
        "NoSuchEntity" | "NotFoundException" | "ResourceNotFoundException" => {
            Reason::NotFound(said())
        }
        "ConcurrentModification"
        | "EntityAlreadyExists"
        | "EntityTemporarilyUnmodifiable"
        | "ResourceInUseException" => Reason::Conflict(said()),
        "LimitExceeded" | "ResourceLimitExceededException" => Reason::Quota(said()),
        _ if status == 429 => Reason::Throttled,
        _ if status >= 500 => Reason::Unavailable(said()),
        _ if status == 403 => Reason::Denied(said()),
        _ => Reason::Invalid(said()),
    }
}

/// A signature is wrong for several reasons. The message quotes what was signed, of which a session
/// token is a part, so that it is never repeated.
fn of_signature(message: &str) -> Reason {
    let has = |words: &str| message.contains(words);
    if has("Signature expired") || has("Signature not yet current") {
        Reason::ClockSkew
    } else if has("Credential should be scoped to a valid region") {
        Reason::WrongRegion("it is in the signature, and wrong there".to_owned())
    } else {
        Reason::WrongSignature
    }
}

fn no_credentials(error: &CredentialsError) -> Reason {
    // What a profile or a token service answers may be anything, also what it should not have said;
    // its codes are known.
    if let Some(reason) = cause::<AssumeRole>(error).and_then(of_assumed_role) {
        return reason;
    }
    match error {
        CredentialsError::ProviderTimedOut(_) => Reason::TimedOut,
        CredentialsError::CredentialsNotLoaded(_) => {
            Reason::NoCredentials("neither a profile nor the environment has any".to_owned())
        }
        CredentialsError::InvalidConfiguration(_) => {
            Reason::NoCredentials(format!("the profile cannot be used: {}", innermost(error)))
        }
        _ => Reason::NoCredentials(innermost(error)),
    }
}

type AssumeRole = aws_sdk_sts::operation::assume_role::AssumeRoleError;

fn of_assumed_role(error: &AssumeRole) -> Option<Reason> {
    let code = error.code()?;
    Some(of_code(code, error.message().unwrap_or_default(), 400))
}

/// The first cause of a type.
fn cause<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut error = Some(error);
    while let Some(this) = error {
        if let Some(found) = this.downcast_ref::<T>() {
            return Some(found);
        }
        error = this.source();
    }
    None
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    quoted("", &innermost.to_string())
}

/// A message in one line.
fn quoted(code: &str, message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    let message = words.join(" ");
    if message.is_empty() {
        return code.to_owned();
    }
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_is_never_repeated() {
        let message = "The request signature we calculated does not match the signature you \
                       provided. The Canonical String for this request should have been \
                       'POST / x-amz-security-token:FQoGZXIvYXdzEXAMPLE'";
        for code in ["SignatureDoesNotMatch", "InvalidSignatureException"] {
            let reason = of_code(code, message, 403);

            assert_eq!(reason, Reason::WrongSignature);
            assert!(!reason.to_string().contains("FQoG"));
        }
        let incomplete = of_code("IncompleteSignature", "Authorization=AWS4 FQoG", 403);
        assert!(!incomplete.to_string().contains("FQoG"), "{incomplete}");
    }

    #[test]
    fn a_clock_that_is_wrong_is_told_from_a_wrong_key() {
        for message in [
            "Signature expired: 20261130T100000Z is now earlier than 20261130T110000Z",
            "Signature not yet current: 20261130T100000Z is still later than 20261130T090000Z",
        ] {
            assert_eq!(
                of_code("SignatureDoesNotMatch", message, 403),
                Reason::ClockSkew
            );
        }
    }

    #[test]
    fn a_code_that_nobody_knows_is_told_by_its_status() {
        assert_eq!(of_code("New", "", 429), Reason::Throttled);
        assert_eq!(of_code("New", "m", 503), Reason::Unavailable("m".into()));
        assert_eq!(of_code("New", "", 403), Reason::Denied("New".into()));
        assert_eq!(of_code("New", "m", 400), Reason::Invalid("m".into()));
    }

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        let long = "ä\n".repeat(LONGEST_MESSAGE);

        let quoted = quoted("Code", &long);

        assert_eq!(quoted.chars().count(), LONGEST_MESSAGE + 1);
        assert!(!quoted.contains('\n'));
    }
}
