//! From a credential in the Secret to a login by AWS, without Argo CD losing the cluster.
//!
//! The new login is proven before anything is written, and again by what is stored. In between is
//! one server-side apply of `data.config`, by a field manager of its own: everything else in the
//! Secret stays as it is, whoever has written it. What the old credential was is kept in memory
//! alone; which service account it was of stands in an annotation until that is gone as well, so
//! that a run that was cut off can be taken up.

pub(crate) mod live;

use argocd::cluster::ServiceAccount;
use argocd::cluster::config::AwsAuthConfig;

use super::{Registration, revoke};
use crate::clusters::login::Login;
use crate::plan::{Change, Step};

/// One thing that is done.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Switches the Secret, and proves the login by what is stored.
    Switch,
    /// Takes away what the service account leaves on the cluster.
    Revoke(Box<revoke::Action>),
    /// Proves that the token is dead, and takes the annotation off.
    Conclude,
}

/// How far a cluster has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Progress {
    /// A credential is in its Secret.
    Registered { account: Option<ServiceAccount> },
    /// The Secret is switched, and the token of a service account is still to be revoked.
    Switched { account: ServiceAccount },
    /// There is nothing left to do.
    Done,
}

/// Why a cluster cannot be migrated.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it is the cluster that Argo CD runs in, which has no credential")]
    InCluster,
    #[error("Argo CD cannot use its Secret: {0}")]
    Broken(String),
    #[error("its Secret may not be read")]
    Unknown,
    #[error("Argo CD logs in by a command of its own")]
    Exec,
}

impl Progress {
    /// That of a cluster.
    ///
    /// # Errors
    /// It cannot be migrated.
    pub(crate) fn of(
        registration: &Registration,
        account: Option<ServiceAccount>,
    ) -> Result<Self, Refusal> {
        match &registration.login {
            Login::InCluster => Err(Refusal::InCluster),
            Login::Broken(reason) => Err(Refusal::Broken(reason.clone())),
            Login::Unknown => Err(Refusal::Unknown),
            Login::Exec => Err(Refusal::Exec),
            Login::Aws | Login::Capability if !registration.has_credentials() => {
                Ok(match registration.token_of() {
                    Some(account) => Progress::Switched { account },
                    None => Progress::Done,
                })
            }
            Login::Aws
            | Login::Capability
            | Login::Token
            | Login::Basic
            | Login::Certificate
            | Login::Anonymous => Ok(Progress::Registered { account }),
        }
    }
}

/// The steps of one cluster, whose new login is proven. `left` is what its service account leaves
/// there, where that is to be revoked.
pub(crate) fn steps(
    registration: &Registration,
    progress: &Progress,
    aws: &AwsAuthConfig,
    user: &str,
    left: Option<Vec<Step<revoke::Action>>>,
) -> Vec<Step<Action>> {
    let name = &registration.cluster.name;
    let proven = Step {
        what: format!("login by AWS to {name}"),
        is: format!("proven, as {user}"),
        change: Change::None,
    };
    let mut steps = vec![proven, switch(registration, progress, aws)];
    if let Some(left) = left {
        let revoke = |action| Action::Revoke(Box::new(action));
        steps.extend(left.into_iter().map(|step| step.map(revoke)));
        steps.push(conclusion(registration));
    }
    steps
}

fn switch(registration: &Registration, progress: &Progress, aws: &AwsAuthConfig) -> Step<Action> {
    let login = registration.login.as_str();
    let change = match progress {
        Progress::Registered { .. } => Change::Make {
            should_be: format!("awsAuthConfig of {} by {}", aws.cluster_name, aws.role_arn),
            how: vec![format!(
                "kubectl gitops cluster migrate {} --eks-cluster {} --role-arn {}",
                registration.cluster.name, aws.cluster_name, aws.role_arn
            )],
            undo: Vec::new(),
            action: Action::Switch,
        },
        Progress::Switched { .. } | Progress::Done => Change::None,
    };
    let credentials = registration.credentials.iter().map(|one| one.kind.as_str());
    let credentials: Vec<&str> = credentials.collect();
    Step {
        what: format!("login in secret/{}", registration.cluster.secret_name),
        is: match &*credentials {
            [] => login.to_owned(),
            credentials => format!("{login}, holds {}", credentials.join(", ")),
        },
        change,
    }
}

fn conclusion(registration: &Registration) -> Step<Action> {
    Step {
        what: format!("old token of {}", registration.cluster.name),
        is: "lets in whoever has it".to_owned(),
        change: Change::Make {
            should_be: "refused by the API server".to_owned(),
            how: vec!["kubectl auth whoami --token TOKEN".to_owned()],
            undo: Vec::new(),
            action: Action::Conclude,
        },
    }
}
