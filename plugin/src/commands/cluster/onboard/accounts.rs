//! AWS as it is, asked by its SDK.

use std::time::Duration;

use http::Uri;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::OnboardArgs;
use crate::aws::{self, Account, AwsError, Engine, Login, Side, Wanted};
use crate::context::Context;
use crate::onboarding::arn::{Arn, RoleArn};
use crate::onboarding::facts::{AwsFacts, Lookup, Reachability};

/// The accounts that are asked.
pub(super) struct Accounts {
    pub(super) cluster: Account,
    /// None where it is not said which cluster Argo CD runs on.
    pub(super) engine: Option<Account>,
}

/// How long an API server may take to take a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const HTTPS: u16 = 443;

impl Accounts {
    /// Logs in to both.
    ///
    /// # Errors
    /// There is no way to AWS, or no good credential.
    pub(super) async fn connect(args: &OnboardArgs, context: &Context) -> Result<Self, AwsError> {
        let timeout = context.cluster.request_timeout;
        let timeout = timeout.and_then(|timeout| timeout.0);
        let cluster = Login {
            profile: args.profile.clone(),
            region: args.region.clone(),
            timeout,
            ..Login::default()
        };
        let engine = Login {
            profile: args.engine_profile.clone().or_else(|| args.profile.clone()),
            region: args.engine_region.clone().or_else(|| args.region.clone()),
            timeout,
            ..Login::default()
        };
        Ok(Accounts {
            cluster: Account::connect(Side::Cluster, &cluster).await?,
            engine: match args.engine_cluster {
                Some(_) => Some(Account::connect(Side::Engine, &engine).await?),
                None => None,
            },
        })
    }

    /// Reads what there is.
    pub(super) async fn read(&self, args: &OnboardArgs, namespace: &str) -> AwsFacts {
        let caller = self.cluster.caller();
        let partition = caller.arn.parse::<Arn>().map(|arn| arn.partition);
        let partition = partition.unwrap_or_else(|_| "aws".to_owned());
        let made = || {
            let name = args.create_role.as_deref()?;
            Some(RoleArn::new(&partition, &caller.account, name))
        };
        // The Argo CD that AWS manages has an access entry for its own role.
        let role = if args.capability {
            args.engine_role_arn.clone()
        } else {
            args.role_arn.clone().or_else(made)
        };
        let role = role.map(|role| role.to_string());
        let engine_role = args.engine_role_arn.as_ref().map(ToString::to_string);
        let wanted = Wanted {
            cluster: args.eks_cluster.as_deref().unwrap_or(&args.name),
            cluster_role: role.as_deref(),
            engine: match (&self.engine, &args.engine_cluster) {
                (Some(account), Some(cluster)) => Some(Engine {
                    account,
                    cluster,
                    namespace,
                    role: engine_role.as_deref(),
                }),
                _ => None,
            },
        };
        let mut facts = aws::read(&self.cluster, &wanted).await;
        facts.reachability = reachability(&facts).await;
        facts
    }
}

/// Whether the cluster's API server takes a connection.
async fn reachability(facts: &AwsFacts) -> Lookup<Reachability> {
    let cluster = facts.cluster.known();
    let endpoint = cluster.and_then(|cluster| cluster.endpoint.as_deref());
    let uri = endpoint.and_then(|endpoint| endpoint.parse::<Uri>().ok());
    let Some((host, port)) = uri
        .as_ref()
        .and_then(|uri| Some((uri.host()?, uri.port_u16().unwrap_or(HTTPS))))
    else {
        return Lookup::default();
    };
    Lookup::Known(
        match timeout(CONNECT_WITHIN, TcpStream::connect((host, port))).await {
            Ok(Ok(_)) => Reachability::Answers,
            Ok(Err(error)) => Reachability::DoesNot(error.to_string()),
            Err(_) => Reachability::DoesNot(format!(
                "no connection within {} s",
                CONNECT_WITHIN.as_secs()
            )),
        },
    )
}
