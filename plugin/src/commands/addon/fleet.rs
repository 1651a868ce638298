//! The clusters of a fleet that a command is about, and connections to them.

use std::collections::BTreeMap;
use std::time::Duration;

use argocd::Cluster;
use argocd::comparison::{ComparisonSettings, ResourcesFilter};
use argocd::names::{CLUSTER_SECRETS, IN_CLUSTER_SERVER, SETTINGS_CONFIG_MAP};
use argocd::tracking::Tracking;
use policy::{Inventory, Kind};
use serde::Deserialize;

use super::super::drift::parse_context;
use crate::args::{ClusterArgs, RequestTimeout, SCOPE};
use crate::clusters::live::read;
use crate::clusters::{Registration, named};
use crate::context::Context;
use crate::drift::ControllerSettings;
use crate::error::CommandError;
use crate::kubernetes::{ApiServer, ConnectError, ContextError, Contexts, Wanted, objects_of};
use crate::versions::Versions;

/// How long an API server may take for an answer where `--request-timeout` says nothing: the others
/// are not to wait for one without end.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Which clusters are meant.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = SCOPE)]
pub(super) struct FleetArgs {
    /// Only these clusters, by name, server or Secret [default: all]
    #[arg(long, value_name = "CLUSTER", value_delimiter = ',')]
    clusters: Vec<String>,

    /// Only clusters with these labels, as for `kubectl get`
    ///
    /// They are those of their Secrets.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,

    /// Context of the kubeconfig for a cluster, by its name in Argo CD or its server
    ///
    /// It is needed for a cluster whose context is not found by its server, its name or the ARN of
    /// EKS. It can be given several times.
    #[arg(long, value_name = "CLUSTER=CONTEXT", value_parser = parse_context, hide_short_help = true)]
    context_for: Vec<(String, String)>,
}

impl FleetArgs {
    /// Whether all clusters are meant.
    pub(super) fn is_all(&self) -> bool {
        self.clusters.is_empty() && self.selector.is_none()
    }

    /// The labels of the clusters that are meant, where these alone say so, each with one value.
    pub(super) fn labels(&self) -> Option<BTreeMap<String, String>> {
        let selector = self.selector.as_deref()?;
        if !self.clusters.is_empty() {
            return None;
        }
        let labels = selector.split(',').map(|part| {
            let (key, value) = part.split_once("==").or_else(|| part.split_once('='))?;
            let is_plain = |text: &str| !text.is_empty() && !text.contains([' ', '!', '(', ')']);
            let (key, value) = (key.trim(), value.trim());
            (is_plain(key) && is_plain(value)).then(|| (key.to_owned(), value.to_owned()))
        });
        labels.collect()
    }
}

/// The clusters that are meant, and what Argo CD says of all.
pub(super) struct Fleet {
    pub(super) clusters: Vec<Member>,
    pub(super) tracking: Tracking,
    /// How Argo CD compares.
    pub(super) comparison: ComparisonSettings,
    /// At which kinds it does not look.
    pub(super) filter: ResourcesFilter,
    /// What else is known of the fleet.
    pub(super) inventory: Inventory,
    contexts: Contexts,
    /// What is not known, as one sentence each.
    pub(super) lacking: Vec<String>,
}

/// A cluster that is meant.
pub(super) struct Member {
    cluster: Cluster,
    eks_name: Option<String>,
}

impl Member {
    /// Its name in Argo CD, or its server where it has none.
    pub(super) fn name(&self) -> &str {
        match &*self.cluster.name {
            "" => &self.cluster.server,
            name => name,
        }
    }

    /// The cluster itself.
    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn of(registration: &Registration) -> Self {
        Member {
            cluster: registration.cluster.clone(),
            eks_name: registration
                .aws
                .as_ref()
                .map(|aws| aws.cluster_name.clone()),
        }
    }
}

/// A cluster cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum MemberError {
    #[error(transparent)]
    Context(#[from] ContextError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{0} is not one of the clusters that are meant")]
    NotMeant(String),
}

impl Fleet {
    /// Reads which clusters Argo CD has, and selects those that are meant.
    ///
    /// # Errors
    /// They cannot be read, or one that is named is not there.
    pub(super) async fn read(args: &FleetArgs, context: &Context) -> Result<Self, CommandError> {
        let devops = context.connect().await?;
        let namespace = context.argocd_namespace();
        let known = read(&devops, namespace).await?;
        let selected = match &args.selector {
            Some(selector) => Some(labelled(&devops, namespace, selector).await?),
            None => None,
        };
        let is_selected = |one: &Registration| {
            selected
                .as_ref()
                .is_none_or(|names| names.contains(&one.cluster.secret_name))
        };
        let mut meant: Vec<&Registration> = Vec::new();
        for name in &args.clusters {
            let one = named(name, namespace, &known.all, |one| &one.cluster)?;
            if !meant.iter().any(|other| std::ptr::eq(*other, one)) {
                meant.push(one);
            }
        }
        if args.clusters.is_empty() {
            meant.extend(&known.all);
        }
        let meant = meant.into_iter().filter(|one| is_selected(one));
        let (settings, version) = tokio::join!(
            settings(&devops, namespace),
            Versions::argo_cd(&devops, namespace),
        );
        let settings = settings?;
        let mut comparison = ComparisonSettings::from_config_map(&settings);
        let version = version.map(|program| program.version().to_owned());
        comparison.generation = ControllerSettings::generation_of(&version.unwrap_or_default());
        let filter = ResourcesFilter::from_config_map(&settings).map_err(CommandError::new)?;
        let kubeconfig = context.cluster.kubeconfig().unwrap_or_default();
        let chosen = args.context_for.iter().cloned().collect();
        Ok(Fleet {
            clusters: meant.map(Member::of).collect(),
            tracking: Tracking::of(|key| settings.get(key).map(String::as_str)),
            comparison,
            filter,
            contexts: Contexts::new(&kubeconfig, chosen),
            lacking: known.lacking,
            inventory: known.inventory,
        })
    }

    /// The cluster with a server, if it is meant.
    pub(super) fn member(&self, server: &str) -> Option<&Member> {
        let mut members = self.clusters.iter();
        members.find(|member| member.cluster.server == server)
    }

    /// Connects to the cluster of a name as [`Fleet::connect`] does.
    ///
    /// # Errors
    /// It is not meant, or as of [`Fleet::connect`].
    pub(super) async fn connect_to(
        &self,
        name: &str,
        context: &Context,
    ) -> Result<ApiServer, MemberError> {
        let member = self.clusters.iter().find(|member| member.name() == name);
        let member = member.ok_or_else(|| MemberError::NotMeant(name.to_owned()))?;
        self.connect(member, context).await
    }

    /// Connects to a cluster by the caller's own kubeconfig.
    ///
    /// # Errors
    /// No context is for it, or its credentials cannot be had.
    pub(super) async fn connect(
        &self,
        member: &Member,
        context: &Context,
    ) -> Result<ApiServer, MemberError> {
        let own = &context.cluster;
        let request_timeout = own.request_timeout.or(Some(RequestTimeout(Some(TIMEOUT))));
        if member.cluster.server == IN_CLUSTER_SERVER {
            let args = ClusterArgs {
                request_timeout,
                ..own.clone()
            };
            return Ok(args.connect(None).await?);
        }
        let name = self.contexts.of(Wanted {
            name: Some(&member.cluster.name)
                .filter(|name| !name.is_empty())
                .map(String::as_str),
            server: Some(&member.cluster.server),
            eks_name: member.eks_name.as_deref(),
        })?;
        let args = ClusterArgs {
            kubeconfig: own.kubeconfig.clone(),
            context: Some(name.to_owned()),
            request_timeout,
            ..ClusterArgs::default()
        };
        Ok(args.connect(None).await?)
    }
}

/// The names of the cluster Secrets that a label selector selects. The cluster that Argo CD runs in
/// has no labels where no Secret describes it.
async fn labelled(
    server: &ApiServer,
    namespace: &str,
    selector: &str,
) -> Result<Vec<String>, CommandError> {
    let secrets = objects_of(Kind::ClusterSecret, namespace);
    let selector = format!("{CLUSTER_SECRETS},{selector}");
    Ok(server.names(&secrets, Some(&selector)).await?)
}

/// What `argocd-cm` says; nothing where it may not be read.
async fn settings(
    server: &ApiServer,
    namespace: &str,
) -> Result<BTreeMap<String, String>, CommandError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct ConfigMap {
        data: Option<BTreeMap<String, String>>,
    }
    let read = |json: &str| serde_json::from_str::<ConfigMap>(json).unwrap_or_default();
    let objects = objects_of(Kind::Settings, namespace);
    match server.get(&objects, SETTINGS_CONFIG_MAP, read).await {
        Ok(found) => Ok(found.and_then(|map| map.data).unwrap_or_default()),
        Err(error) if error.is_forbidden() => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_of_equal_labels_is_known_as_labels() {
        let labels = |selector: &str, clusters: &[&str]| {
            let args = FleetArgs {
                clusters: clusters.iter().map(|name| (*name).to_owned()).collect(),
                selector: Some(selector.to_owned()),
                context_for: Vec::new(),
            };
            args.labels()
        };
        let two = BTreeMap::from([
            ("environment".to_owned(), "staging".to_owned()),
            ("region".to_owned(), "eu".to_owned()),
        ]);
        assert_eq!(labels("environment=staging,region==eu", &[]), Some(two));
        for other in [
            "environment in (staging,prod)",
            "environment!=prod",
            "!environment",
            "environment",
            "environment=",
            "",
        ] {
            assert_eq!(labels(other, &[]), None, "{other}");
        }
        assert_eq!(labels("environment=staging", &["prod"]), None);
    }
}
