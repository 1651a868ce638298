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

use super::{LAST_APPLIED, Registration, revoke};
use crate::clusters::login::{Credential, CredentialKind, Expiry, Login};
use crate::plan::{Change, Step};

/// One thing that is done.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Switches the Secret, and proves the login by what is stored.
    Switch,
    /// Takes away kubectl's copy of the Secret as it was.
    DropCopy,
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

/// What a service account leaves on a cluster.
pub(crate) struct Left {
    pub(crate) steps: Vec<Step<revoke::Action>>,
    /// Whether one of its tokens is at hand, to be tried.
    pub(crate) has_token: bool,
}

/// What is revoked.
pub(crate) enum Revocation {
    /// Nothing: the credential lets in as before.
    None,
    /// All that there is of the service account, if the token is one's.
    Of(Option<Left>),
}

/// What is known of a cluster that is to be migrated.
pub(crate) struct Known<'k> {
    pub(crate) registration: &'k Registration,
    pub(crate) progress: &'k Progress,
    pub(crate) aws: &'k AwsAuthConfig,
    /// As whom its API server knows the new login, which is proven.
    pub(crate) user: &'k str,
    /// Whether kubectl has a copy of the Secret with a credential.
    pub(crate) has_copy: bool,
}

/// The steps of one cluster.
pub(crate) fn steps(known: &Known<'_>, revocation: Revocation) -> Vec<Step<Action>> {
    let registration = known.registration;
    let name = &registration.cluster.name;
    let proven = Step {
        what: format!("login by AWS to {name}"),
        is: format!("proven, as {}", known.user),
        change: Change::None,
    };
    let mut steps = vec![proven, switch(registration, known.progress, known.aws)];
    steps.extend(known.has_copy.then(|| copy(registration)));
    let Revocation::Of(left) = revocation else {
        return steps;
    };
    let is_anybodys = left.is_none();
    if let Some(left) = left {
        let revoke = |action| Action::Revoke(Box::new(action));
        steps.extend(left.steps.into_iter().map(|step| step.map(revoke)));
        steps.push(conclusion(registration, left.has_token));
    }
    let by_hand = registration.credentials.iter().filter(|credential| {
        let is_of_account = credential.kind == CredentialKind::BearerToken && !is_anybodys;
        !is_of_account
    });
    steps.extend(by_hand.map(|credential| revoked_by_hand(name, credential)));
    steps
}

/// What nobody can revoke who knows no more than the Secret.
fn revoked_by_hand(name: &str, credential: &Credential) -> Step<Action> {
    let how = match credential.kind {
        CredentialKind::BearerToken => {
            "the token does not say whose it is: take it out of whatever the API server knows it by"
        }
        CredentialKind::Password => {
            "take the user out of whatever checks passwords for the API server"
        }
        CredentialKind::ClientCertificate => {
            "Kubernetes revokes no certificate: take the rights of its user away (RoleBindings, ClusterRoleBindings)"
        }
    };
    let end = match credential.expires {
        Expiry::Never => String::new(),
        Expiry::At(end) => format!(" until {end}"),
        Expiry::Unknown => ", nobody can say until when".to_owned(),
    };
    Step {
        what: format!("old {} of {name}", credential.kind.as_str()),
        is: format!("lets in whoever has it{end}"),
        change: Change::ByHand {
            should_be: "refused by the API server".to_owned(),
            how: how.to_owned(),
        },
    }
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

/// Whoever applied the Secret by `kubectl apply` has left the credential there, too.
fn copy(registration: &Registration) -> Step<Action> {
    let secret = &registration.cluster.secret_name;
    Step {
        what: format!("annotation {LAST_APPLIED} of secret/{secret}"),
        is: "holds the credential as well".to_owned(),
        change: Change::Make {
            should_be: "gone".to_owned(),
            how: vec![format!("kubectl annotate secret {secret} {LAST_APPLIED}-")],
            undo: Vec::new(),
            action: Action::DropCopy,
        },
    }
}

/// A token that is not at hand any more is not tried: a run that was cut off has deleted it.
fn conclusion(registration: &Registration, has_token: bool) -> Step<Action> {
    let (is, should_be) = if has_token {
        ("lets in whoever has it", "refused by the API server")
    } else {
        ("not at hand, to be tried", "dead with its service account")
    };
    Step {
        what: format!("old token of {}", registration.cluster.name),
        is: is.to_owned(),
        change: Change::Make {
            should_be: should_be.to_owned(),
            how: vec!["kubectl auth whoami --token TOKEN".to_owned()],
            undo: Vec::new(),
            action: Action::Conclude,
        },
    }
}

#[cfg(test)]
mod tests {
    use argocd::Cluster;

    use super::*;

    fn registration(login: Login, credentials: &[CredentialKind]) -> Registration {
        let credentials = credentials.iter().map(|kind| Credential {
            kind: *kind,
            issued: None,
            expires: Expiry::Never,
        });
        Registration {
            cluster: Cluster {
                name: "legacy".to_owned(),
                secret_name: "cluster-legacy".to_owned(),
                ..Cluster::default()
            },
            created: None,
            environments: Vec::new(),
            login,
            aws: None,
            credentials: credentials.collect(),
        }
    }

    /// What is done, in order; what is done by hand is in brackets.
    fn told(registration: &Registration, has_copy: bool, revocation: Revocation) -> Vec<String> {
        let progress = Progress::Registered { account: None };
        let known = Known {
            registration,
            progress: &progress,
            aws: &AwsAuthConfig::default(),
            user: "argocd",
            has_copy,
        };
        let steps = steps(&known, revocation);
        let told = steps.into_iter().filter_map(|step| match step.change {
            Change::None => None,
            Change::Make { .. } => Some(step.what),
            Change::ByHand { .. } => Some(format!("[{}]", step.what)),
        });
        told.collect()
    }

    fn nothing_left() -> Revocation {
        Revocation::Of(Some(Left {
            steps: Vec::new(),
            has_token: true,
        }))
    }

    #[test]
    fn what_cannot_be_revoked_from_here_is_left_to_somebody() {
        use CredentialKind::{BearerToken, ClientCertificate, Password};
        let switch = "login in secret/cluster-legacy";
        let certificate = registration(Login::Certificate, &[ClientCertificate]);
        assert_eq!(
            told(&certificate, false, Revocation::Of(None)),
            [switch, "[old clientCertificate of legacy]"]
        );
        assert_eq!(told(&certificate, false, Revocation::None), [switch]);
        let opaque = registration(Login::Token, &[BearerToken, Password]);
        assert_eq!(
            told(&opaque, false, Revocation::Of(None)),
            [
                switch,
                "[old bearerToken of legacy]",
                "[old password of legacy]"
            ]
        );
        let both = registration(Login::Token, &[BearerToken, ClientCertificate]);
        assert_eq!(
            told(&both, false, nothing_left()),
            [
                switch,
                "old token of legacy",
                "[old clientCertificate of legacy]"
            ]
        );
    }

    #[test]
    fn a_copy_goes_once_the_login_is_switched_and_before_the_token_is_revoked() {
        let token = registration(Login::Token, &[CredentialKind::BearerToken]);
        assert_eq!(
            told(&token, true, nothing_left()),
            [
                "login in secret/cluster-legacy",
                "annotation kubectl.kubernetes.io/last-applied-configuration of secret/cluster-legacy",
                "old token of legacy"
            ]
        );
    }
}
