//! As whom AWS is asked about the login to clusters.

use std::collections::BTreeSet;

use argocd::{AppProject, Cluster};
use policy::Kind;

use crate::aws::{Account, Login, Side};
use crate::context::Context;
use crate::error::CommandError;
use crate::kubernetes::{ApiServer, objects_of};
use crate::login::{Identity, Need, needs};

/// Under which flags are shown that say as whom AWS is asked.
pub(super) const AWS: &str = "AWS";

/// As whom AWS is asked, with the credentials that the `aws` command has.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = AWS)]
pub(super) struct IdentityArgs {
    /// Profile of ~/.aws/config to ask AWS with
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// Region of the STS to ask, instead of the profile's
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// Role of Argo CD's pods, to go on from
    #[arg(long, value_name = "ARN")]
    engine_role_arn: Option<String>,
}

impl IdentityArgs {
    /// Logs in to AWS.
    ///
    /// # Errors
    /// There are no credentials, or the role may not be taken on.
    pub(super) async fn log_in(&self, context: &Context) -> Result<Identity, CommandError> {
        let login = Login {
            profile: self.profile.clone(),
            region: self.region.clone(),
            role_arn: None,
            timeout: context
                .cluster
                .request_timeout
                .and_then(|timeout| timeout.0),
        };
        let account = Account::connect(Side::Cluster, &login).await?;
        Ok(match &self.engine_role_arn {
            Some(role) => Identity {
                account: account.as_role(role).await?,
                is_engine: true,
            },
            None => Identity {
                account,
                is_engine: false,
            },
        })
    }
}

/// The projects, which say what Argo CD needs on clusters.
pub(super) struct Projects(Vec<AppProject>);

impl Projects {
    /// Reads them.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(super) async fn read(server: &ApiServer, namespace: &str) -> Result<Self, CommandError> {
        let projects = objects_of(Kind::AppProject, namespace);
        let read = |json: &str| serde_json::from_str::<AppProject>(json).ok();
        let projects = server.list(&projects, None, read).await?;
        Ok(Projects(projects.into_iter().flatten().collect()))
    }

    /// What they need on a cluster.
    pub(super) fn needs(&self, cluster: &Cluster) -> BTreeSet<Need> {
        needs(self.0.iter().map(|project| &project.spec), cluster)
    }
}
