//! Whether a user may overrule a rule.
//!
//! RBAC says so: the verb `break-glass` on `gitopspolicies`, with the rule's name as the resource's
//! name. The API server is asked by `SubjectAccessReview`, with everything that it told about the
//! user in the admission request, so that it decides as if the user had asked.
//!
//! Its answers are kept for [`AUTHORISED_FOR`], since a tool that applies a folder asks the same
//! for each object. What is no answer, a failure or a delay, is an error and is not kept: nobody is
//! authorised by it.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client, Resource as _};
use policy::GitOpsPolicy;
use policy::break_glass::VERB;
use quick_cache::sync::Cache;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

/// How old an answer may be, from when it was asked for. So long a permission that was taken away
/// may still be used.
pub const AUTHORISED_FOR: Duration = Duration::from_secs(5);

/// How long the API server may take to answer. It waits 5 s for the webhook itself.
pub const TIMEOUT: Duration = Duration::from_secs(2);

/// How many answers are kept. Those who may break glass are few, and whoever asks in vain must not
/// fill the memory.
const ANSWERS: usize = 256;

/// A user, with all that the API server goes by: the `userInfo` of an admission request.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq)]
#[serde(default)]
pub struct User {
    /// The name that RBAC binds.
    pub username: String,
    /// The groups, `system:authenticated` among them.
    pub groups: Vec<String>,
    /// Tells users of one name apart; empty unless the authenticator says something.
    pub uid: String,
    /// What else the authenticator says.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Why it is not known whether a user is authorised. Then nobody is.
#[derive(Debug, thiserror::Error)]
pub enum AuthorisationError {
    /// The API server did not take the question.
    #[error("the API server cannot be asked by SubjectAccessReview")]
    Ask(#[source] kube::Error),
    /// It took longer than [`TIMEOUT`].
    #[error("the API server did not answer a SubjectAccessReview within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// Whoever waits for the verdict would have stopped waiting.
    #[error("the API server did not answer a SubjectAccessReview while there was time")]
    NoTime,
    /// It stored the question and answered nothing.
    #[error("the API server left a SubjectAccessReview without status")]
    NoStatus,
}

impl AuthorisationError {
    /// Whether the webhook itself may not ask, which asking again does not change.
    pub fn is_forbidden(&self) -> bool {
        match self {
            AuthorisationError::Ask(kube::Error::Api(status)) => matches!(status.code, 401 | 403),
            _ => false,
        }
    }
}

/// Asks the API server, and remembers for a moment.
pub struct Authoriser {
    reviews: Api<SubjectAccessReview>,
    answers: Cache<Question, Answer>,
}

#[derive(Clone, Eq, Hash, PartialEq)]
struct Question {
    user: User,
    rule: String,
}

#[derive(Clone)]
struct Answer {
    allowed: bool,
    asked: Instant,
}

impl Authoriser {
    /// One that asks this API server.
    pub fn new(client: Client) -> Self {
        Authoriser {
            reviews: Api::all(client),
            answers: Cache::new(ANSWERS),
        }
    }

    /// Whether RBAC lets this user overrule this rule. Whoever asks the same at the same time
    /// shares one review.
    ///
    /// # Errors
    /// The API server did not answer, or not in time.
    pub async fn may_break_glass(
        &self,
        user: &User,
        rule: &str,
    ) -> Result<bool, AuthorisationError> {
        let question = Question {
            user: user.clone(),
            rule: rule.to_owned(),
        };
        self.answers.remove_if(&question, Answer::is_old);
        let answer = self
            .answers
            .get_or_insert_async(&question, self.ask(&question));
        let answer = timeout(TIMEOUT, answer).await;
        Ok(answer.map_err(|_| AuthorisationError::Timeout)??.allowed)
    }

    async fn ask(&self, question: &Question) -> Result<Answer, AuthorisationError> {
        let asked = Instant::now();
        let review = self
            .reviews
            .create(&PostParams::default(), &question.review())
            .await
            .map_err(AuthorisationError::Ask)?;
        let status = review.status.ok_or(AuthorisationError::NoStatus)?;
        // An `evaluationError` beside it concerns what could not be looked at, which allowed
        // nothing.
        let allowed = status.allowed && status.denied != Some(true);
        Ok(Answer { allowed, asked })
    }
}

impl Question {
    fn review(&self) -> SubjectAccessReview {
        let user = self.user.clone();
        let attributes = ResourceAttributes {
            verb: Some(VERB.to_owned()),
            group: Some(GitOpsPolicy::group(&()).into_owned()),
            version: Some(GitOpsPolicy::version(&()).into_owned()),
            resource: Some(GitOpsPolicy::plural(&()).into_owned()),
            name: Some(self.rule.clone()),
            ..ResourceAttributes::default()
        };
        SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.username),
                groups: Some(user.groups),
                uid: Some(user.uid),
                extra: Some(user.extra),
                resource_attributes: Some(attributes),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        }
    }
}

impl Answer {
    fn is_old(&self) -> bool {
        self.asked.elapsed() >= AUTHORISED_FOR
    }
}
