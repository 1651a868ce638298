//! Logging in, link by link.

use std::collections::BTreeSet;
use std::time::SystemTime;

use argocd::Cluster;
use argocd::cluster::Connection;
use aws_credential_types::Credentials;
use futures::stream::{self, StreamExt as _};
use kube::Client;
use kube::api::ApiResource;
use secrecy::SecretString;

use super::connection::{AnswerError, version};
use super::needs::{Need, VERBS};
use super::proof::{Link, State, Verification};
use super::target::{AwsLogin, Flaw, Target};
use super::token::token;
use crate::aws::{Account, AwsError};
use crate::error::chain;
use crate::kubernetes::{ApiServer, Objects, client_by_token, may_i};

/// How many questions are asked of an API server at a time.
const AT_A_TIME: usize = 16;
/// Of what is denied no more is told.
const TOLD: usize = 5;

/// What EKS Pod Identity tags the session of Argo CD's pods by, among others: with it the role is
/// taken on only where `sts:TagSession` is allowed as well.
const TAGS_OF_PODS: [(&str, &str); 1] = [(
    "kubernetes-service-account",
    "argocd-application-controller",
)];

/// As whom somebody logs in.
#[derive(Clone)]
pub(crate) struct Identity {
    /// Whoever takes on the role of the cluster.
    pub(crate) account: Account,
    /// Whether that is the role of Argo CD's pods, so that a refusal says something of these.
    pub(crate) is_engine: bool,
}

/// Proves the login to a cluster, as far as the identity can; without one, as far as the Secret
/// tells.
pub(crate) async fn verify(
    target: &Target,
    identity: Option<&Identity>,
    needs: &BTreeSet<Need>,
) -> Verification {
    log_in(target, identity, needs).await.0
}

/// The same, with the API server that the login leads to, if it does.
pub(crate) async fn log_in(
    target: &Target,
    identity: Option<&Identity>,
    needs: &BTreeSet<Need>,
) -> (Verification, Option<ApiServer>) {
    let Cluster { name, server, .. } = &target.cluster;
    let mut found = Verification::new(name, server);
    let login = match &target.login {
        Ok(login) => login,
        Err(flaw) => {
            found.of_secret(flaw);
            return (found.ended(), None);
        }
    };
    found.add(
        Link::ClusterSecret,
        State::Ok,
        format!("it logs in to {} by AWS", login.aws.cluster_name),
    );
    let Some(identity) = identity else {
        return (found.ended(), None);
    };
    let Some(token) = token_of(login, identity, &mut found).await else {
        return (found.ended(), None);
    };
    let client = match client_by_token(&login.connection, token) {
        Ok(client) => client,
        Err(error) => {
            found.add(Link::Endpoint, State::Wrong, chain(&error));
            return (found.ended(), None);
        }
    };
    if let Err(error) = connect(&client, login, &mut found).await {
        found.of_answer(&error, login);
        return (found.ended(), None);
    }
    let server = ApiServer::new(client, server.to_owned(), None, None, None);
    rights(&server, needs, &mut found).await;
    (found, Some(server))
}

/// Takes on the role, and makes a token of it.
async fn token_of(
    login: &AwsLogin,
    identity: &Identity,
    found: &mut Verification,
) -> Option<SecretString> {
    let account = &identity.account;
    let role = &login.aws.role_arn;
    let credentials = if role.is_empty() {
        account.credentials().await
    } else {
        let tags = if identity.is_engine {
            &TAGS_OF_PODS[..]
        } else {
            &[]
        };
        account.assume(role, tags).await
    };
    let credentials = match credentials {
        Ok(credentials) => credentials,
        Err(error) => {
            found.of_role(&error, role, identity);
            return None;
        }
    };
    let who = &account.caller().arn;
    match signed(&credentials, account, login).await {
        Ok(token) => {
            let detail = match &**role {
                "" => format!("the Secret names no role: {who} logs in as itself"),
                role => format!("{who} may take on {role}"),
            };
            found.add(Link::ClusterRoleTrust, State::Ok, detail);
            Some(token)
        }
        Err(error) => {
            found.add(Link::ClusterRoleTrust, State::Unknown, error);
            None
        }
    }
}

async fn signed(
    credentials: &Credentials,
    account: &Account,
    login: &AwsLogin,
) -> Result<SecretString, String> {
    let now = SystemTime::now();
    let token = token(credentials, account.region(), &login.aws.cluster_name, now).await;
    token.map_err(|error| error.to_string())
}

async fn connect(
    client: &Client,
    login: &AwsLogin,
    found: &mut Verification,
) -> Result<(), AnswerError> {
    let version = version(client).await?;
    found.add(
        Link::Endpoint,
        State::Ok,
        format!("it answers, with Kubernetes {version}"),
    );
    let Connection {
        insecure, ca_data, ..
    } = &login.connection;
    let held_to = match ca_data {
        _ if *insecure => "the Secret has it verified by nobody",
        Some(_) => "its certificate is from the authority in the Secret",
        None => "its certificate is from an authority of this machine",
    };
    found.add(Link::CertificateAuthority, State::Ok, held_to);
    found.add(
        Link::AccessEntry,
        State::Ok,
        "the API server knows the role",
    );
    Ok(())
}

/// Asks the API server whether the role may do what the projects need.
async fn rights(server: &ApiServer, needs: &BTreeSet<Need>, found: &mut Verification) {
    if needs.is_empty() {
        let detail = "no AppProject permits this cluster, so that nothing is needed there";
        return found.add(Link::AccessPolicy, State::Ok, detail);
    }
    let questions = needs.iter().flat_map(|need| VERBS.map(|verb| (need, verb)));
    let ask = |(need, verb)| async move {
        let answer = may_i(server, verb, &objects(need), "").await;
        (need, verb, answer)
    };
    let answers = stream::iter(questions).map(ask).buffered(AT_A_TIME);
    let answers: Vec<_> = answers.collect().await;
    let mut denied = Vec::new();
    for (need, verb, answer) in &answers {
        match answer {
            Ok(permission) if permission.allowed => {}
            Ok(_) => denied.push(format!("{verb} {} in {}", need.qualified(), need.place())),
            Err(error) => {
                return found.add(Link::AccessPolicy, State::Unknown, chain(error));
            }
        }
    }
    if denied.is_empty() {
        let count = answers.len();
        let detail =
            format!("the role may do all that the projects need ({count} questions asked)");
        return found.add(Link::AccessPolicy, State::Ok, detail);
    }
    let more = denied.len().saturating_sub(TOLD);
    denied.truncate(TOLD);
    let mut detail = format!("the role may not {}", denied.join(", "));
    if more > 0 {
        detail = format!("{detail}, and {more} more");
    }
    found.add(Link::AccessPolicy, State::Wrong, detail);
    found.mended_by(
        "associate an access policy that permits it, as by `aws eks associate-access-policy`, \
         or bind a group of the access entry to a ClusterRole",
    );
}

fn objects(need: &Need) -> Objects {
    Objects {
        resource: ApiResource {
            group: need.group.clone(),
            version: "*".to_owned(),
            api_version: String::new(),
            kind: String::new(),
            plural: need.resource.clone(),
        },
        namespace: need.namespace.clone(),
    }
}

impl Verification {
    fn of_secret(&mut self, flaw: &Flaw) {
        let state = match flaw {
            Flaw::Unreadable(_) | Flaw::Unusable(_) | Flaw::NoName => State::Wrong,
            Flaw::Other(_) | Flaw::NotClear(_) => State::Unknown,
        };
        self.add(Link::ClusterSecret, state, chain(flaw));
        match flaw {
            Flaw::Unreadable(_) | Flaw::Unusable(_) | Flaw::NotClear(_) => {
                self.mended_by("put the config of the Secret right");
            }
            Flaw::NoName => self.mended_by("write the name of the cluster in EKS into the Secret"),
            Flaw::Other(_) => {}
        }
    }

    /// A refusal says that the role does not trust whoever asked.
    fn of_role(&mut self, error: &AwsError, role: &str, identity: &Identity) {
        let says_something = identity.is_engine && error.is_denied();
        let state = if says_something {
            State::Wrong
        } else {
            State::Unknown
        };
        self.add(Link::ClusterRoleTrust, state, error.in_one_line());
        if says_something {
            let engine = &identity.account.caller().arn;
            self.mended_by(format!(
                "let {engine} do sts:AssumeRole and sts:TagSession, in the trust policy of {role} and in a policy \
                 of its own"
            ));
        } else if error.is_denied() {
            self.mended_by(
                "you may not take it on, which says nothing of Argo CD: --engine-role-arn names the role of its pods",
            );
        }
    }

    fn of_answer(&mut self, error: &AnswerError, login: &AwsLogin) {
        let AwsLogin { aws, .. } = login;
        match error {
            AnswerError::Unreachable(_) => {
                self.add(Link::Endpoint, State::Unknown, error.to_string());
                self.mended_by(
                    "if the endpoint is private, this machine may not reach it where Argo CD does",
                );
            }
            AnswerError::Certificate(_) => {
                self.add(Link::Endpoint, State::Ok, "something answers there");
                self.add(Link::CertificateAuthority, State::Wrong, error.to_string());
                self.mended_by(format!(
                    "write cluster.certificateAuthority.data of `aws eks describe-cluster --name {}` into the Secret",
                    aws.cluster_name
                ));
            }
            AnswerError::Unauthorized | AnswerError::Refused { .. } => {
                self.add(Link::Endpoint, State::Ok, "it answers");
                self.add(
                    Link::CertificateAuthority,
                    State::Ok,
                    "its certificate is the one that the Secret holds it to",
                );
                let is_unknown = matches!(error, AnswerError::Unauthorized);
                let state = if is_unknown {
                    State::Wrong
                } else {
                    State::Unknown
                };
                self.add(Link::AccessEntry, state, error.to_string());
                if is_unknown {
                    self.mended_by(format!(
                        "`aws eks create-access-entry --cluster-name {} --principal-arn {}`, if there is none; a role \
                         that was deleted and created again needs a new one. The name of the cluster in the Secret \
                         must be the one in EKS",
                        aws.cluster_name, aws.role_arn
                    ));
                }
            }
        }
    }
}
