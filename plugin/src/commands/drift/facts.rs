//! From where Applications come, and what is known of their resources.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use argocd::Fleet;
use argocd::names::{PARAMETERS_CONFIG_MAP, SETTINGS_CONFIG_MAP};
use futures::StreamExt as _;
use jiff::Timestamp;
use policy::{Completeness, Inventory, Kind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::known::{Configuration, Found, HasOverview, Known};
use super::{DriftArgs, SourceArg, local};
use crate::argocd_server::{ArgoCdServer, ServerError, Session, SessionError};
use crate::context::Context;
use crate::drift::autoscaler::Autoscalers;
use crate::drift::overview::UnreadableApplication;
use crate::drift::refusal::Webhook;
use crate::drift::shard::Shard;
use crate::drift::{
    ApplicationDrift, ControllerSettings, Drift, Overview, Problem, Source, Sync, judge,
    judge_by_status, unanswered,
};
use crate::error::{CommandError, chain};
use crate::fleet::Facts;
use crate::kubernetes::{
    AccessError, ApiServer, ConnectError, Objects, Tunnel, TunnelError, objects_of, resource_of,
};
use crate::versions::Versions;

/// How many Applications are asked for at once.
pub(super) const AT_ONCE: usize = 8;

impl From<SessionError> for CommandError {
    fn from(error: SessionError) -> Self {
        let hint = error.hint();
        hinted(CommandError::new(error), hint)
    }
}

impl From<ServerError> for CommandError {
    fn from(error: ServerError) -> Self {
        let hint = error.hint();
        hinted(CommandError::new(error), hint)
    }
}

fn hinted(error: CommandError, hint: Option<String>) -> CommandError {
    match hint {
        Some(hint) => error.hinted(hint),
        None => error,
    }
}

impl From<TunnelError> for CommandError {
    fn from(error: TunnelError) -> Self {
        match error {
            TunnelError::Access(error) => error.into(),
            other => CommandError::new(other),
        }
    }
}

/// What differs, before anything is left out of it.
pub(super) async fn found(args: &DriftArgs, context: &Context) -> Result<Drift, CommandError> {
    if args.source == SourceArg::Local {
        return by_checkout(args, context).await;
    }
    let session = session(args, context)?;
    let cluster = match context.connect().await {
        Ok(cluster) => Some(cluster),
        Err(error) if error.is_without_cluster() && session.is_some() => None,
        Err(error) => return Err(error.into()),
    };
    let (argocd, _tunnel) = match session {
        Some(session) => reached(args, context, session, cluster.as_ref()).await?,
        None => (None, None),
    };
    let of_cluster = match &cluster {
        Some(cluster) => match overviews(args, context, cluster).await {
            Err(Unlisted::Other(error)) => return Err(error),
            Err(Unlisted::ByCluster(error)) if argocd.is_none() => return Err(error.into()),
            Err(Unlisted::ByCluster(error)) => {
                context.warn([format!("{}: argocd-server is asked", chain(&error))]);
                None
            }
            Ok(known) => Some(known),
        },
        None => None,
    };
    let is_of_cluster = of_cluster.is_some();
    let mut known = match (of_cluster, &argocd) {
        (Some(known), _) => known,
        (None, Some(argocd)) => of_argocd_server(args, context, argocd).await?,
        // There is either of them.
        (None, None) => return Err(ConnectError::NoKubeconfig.into()),
    };
    args.keep_wanted(&mut known);
    let identities = match &argocd {
        Some(argocd) if is_of_cluster => match identities_of(args, context, argocd).await? {
            Some(identities) => Some(identities),
            None => return Ok(by_status(known)),
        },
        _ => None,
    };
    match argocd {
        Some(argocd) => Ok(by_server(&argocd, known, identities.as_ref(), context).await),
        None => Ok(by_status(known)),
    }
}

/// What differs between a checkout and the clusters.
async fn by_checkout(args: &DriftArgs, context: &Context) -> Result<Drift, CommandError> {
    let devops = context.connect().await?;
    let configuration = configuration(&devops, context.argocd_namespace()).await;
    let reader = Reader::of_cluster(args, context, &devops, &configuration).await?;
    let mut known = reader.found(args, context, &devops).await?;
    args.keep_wanted(&mut known);
    let fleet = reader.fleet();
    local::by_checkout(args, context, &devops, configuration, fleet, known).await
}

async fn overviews(
    args: &DriftArgs,
    context: &Context,
    cluster: &ApiServer,
) -> Result<Known, Unlisted> {
    let configuration = configuration(cluster, context.argocd_namespace()).await;
    let reader = Reader::of_cluster(args, context, cluster, &configuration).await?;
    reader
        .all(args, context, cluster, |overview, _| overview)
        .await
}

impl DriftArgs {
    /// Whether it is all right that there is no argocd-server.
    fn may_do_without_server(&self) -> bool {
        self.source == SourceArg::Auto && !self.server.are_given()
    }

    /// Leaves the Applications that are asked for, and tells of those that are not there.
    pub(super) fn keep_wanted<T: HasOverview>(&self, known: &mut Known<T>) {
        for name in &self.applications {
            let mut all = known.applications.iter();
            if !all.any(|one| is_named(one.overview(), name)) {
                known.problems.push(Problem {
                    object: format!("application/{name}"),
                    message: "there is none of this name there".to_owned(),
                });
            }
        }
        let wanted = self.wanted();
        let overviews: Vec<_> = known.applications.iter().map(T::overview).collect();
        let unmet: Vec<_> = wanted.unmet(&overviews).collect();
        known
            .problems
            .extend(unmet.into_iter().map(|object| Problem {
                object,
                message: "no Application is there".to_owned(),
            }));
        known.applications.retain(|one| self.wants(one.overview()));
        // What is of no shard is told by the first.
        if self.shard.is_some_and(|shard| !shard.is_first()) {
            known.problems.clear();
        }
    }

    /// Whether an Application is asked for.
    pub(super) fn wants(&self, overview: &Overview) -> bool {
        let mut names = self.applications.iter();
        let is_asked_for =
            self.applications.is_empty() || names.any(|name| is_named(overview, name));
        let is_in_shard = |shard: Shard| shard.has(overview.cluster.key());
        is_asked_for && self.wanted().includes(overview) && self.shard.is_none_or(is_in_shard)
    }
}

fn is_named(overview: &Overview, name: &String) -> bool {
    *name == overview.name || *name == overview.display_name()
}

/// What argocd-server is asked by, if it is to be asked and somebody is logged in to it.
pub(super) fn session(
    args: &DriftArgs,
    context: &Context,
) -> Result<Option<Session>, CommandError> {
    if args.source == SourceArg::Status {
        return Ok(None);
    }
    match Session::find(&args.server) {
        Err(error) if error.is_absent() && args.may_do_without_server() => {
            let hint = error.hint().unwrap_or_default();
            context
                .streams
                .note(&format!("{error}, so fields are not known: {hint}"));
            Ok(None)
        }
        session => Ok(Some(session?)),
    }
}

/// The Service of argocd-server.
const SERVICE: &str = "argocd-server";

/// argocd-server, and the way to it that is to be kept open. None where it may be done without and
/// there is no way.
pub(super) async fn reached(
    args: &DriftArgs,
    context: &Context,
    session: Session,
    cluster: Option<&ApiServer>,
) -> Result<(Option<ArgoCdServer>, Option<Tunnel>), CommandError> {
    let timeout = context.cluster.request_timeout;
    let timeout = timeout.and_then(|timeout| timeout.0);
    if !session.is_behind_cluster() {
        return Ok((Some(ArgoCdServer::new(session, timeout)?), None));
    }
    let cluster = cluster.ok_or(ConnectError::NoKubeconfig)?;
    let tunnel = match cluster.tunnel(context.argocd_namespace(), SERVICE).await {
        Err(error) if args.may_do_without_server() => {
            context.warn([format!("{}: fields are not known", chain(&error))]);
            return Ok((None, None));
        }
        tunnel => tunnel?,
    };
    let argocd = ArgoCdServer::behind(session, tunnel.address(), timeout).await?;
    Ok((Some(argocd), Some(tunnel)))
}

/// Applications cannot be listed.
pub(super) enum Unlisted {
    /// The cluster does not answer or does not let one.
    ByCluster(AccessError),
    Other(CommandError),
}

impl From<Unlisted> for CommandError {
    fn from(unlisted: Unlisted) -> Self {
        match unlisted {
            Unlisted::ByCluster(error) => error.into(),
            Unlisted::Other(error) => error,
        }
    }
}

impl From<AccessError> for Unlisted {
    fn from(error: AccessError) -> Self {
        let is_about_access = error.is_without_answer()
            || error.is_forbidden()
            || error.is_unauthorized()
            || error.is_no_such_kind();
        if is_about_access {
            Unlisted::ByCluster(error)
        } else {
            Unlisted::Other(error.into())
        }
    }
}

/// What Applications of the cluster on which Argo CD runs are read by.
pub(super) struct Reader {
    inventory: Arc<Inventory>,
    /// Whether the webhook judges what is written there.
    is_guarded: bool,
    settings: ControllerSettings,
    pub(super) objects: Objects,
}

impl Reader {
    pub(super) async fn of_cluster(
        args: &DriftArgs,
        context: &Context,
        cluster: &ApiServer,
        configuration: &Configuration,
    ) -> Result<Self, Unlisted> {
        let namespace = context.argocd_namespace();
        let (facts, lacking) = Facts::of_cluster_as_far_as_permitted(cluster, namespace).await?;
        for text in &lacking {
            context.streams.note(text);
        }
        let own = context.namespace_of(cluster);
        let is_all = args.scope.all_namespaces;
        Ok(Reader {
            is_guarded: facts.has_policy(),
            inventory: Arc::new(facts.inventory().map_err(Unlisted::Other)?),
            settings: configuration.of_controller(),
            objects: Objects {
                resource: resource_of(Kind::Application),
                namespace: (!is_all).then(|| own.to_owned()),
            },
        })
    }

    /// What an Application says of itself.
    ///
    /// # Errors
    /// It is not one.
    pub(super) fn overview(
        &self,
        json: &str,
        now: Timestamp,
    ) -> Result<Overview, UnreadableApplication> {
        Overview::read(json, &self.inventory, self.settings, now)
    }

    /// The projects and clusters that there are.
    pub(super) fn fleet(&self) -> &Fleet {
        &self.inventory.fleet
    }

    /// All that there are, each as it is written as well.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(super) async fn found(
        &self,
        args: &DriftArgs,
        context: &Context,
        cluster: &ApiServer,
    ) -> Result<Known<Found>, Unlisted> {
        let make = |overview, json: &str| Found {
            overview,
            json: json.to_owned(),
        };
        self.all(args, context, cluster, make).await
    }

    /// What judges writes to Argo CD's objects there.
    pub(super) fn webhook(&self, context: &Context) -> Option<Webhook> {
        let inventory = Arc::clone(&self.inventory);
        self.is_guarded
            .then(|| Webhook::new(inventory, context.argocd_namespace(), context.now()))
    }

    /// All that there are, each with what is made of it.
    async fn all<T>(
        &self,
        args: &DriftArgs,
        context: &Context,
        cluster: &ApiServer,
        make: impl Fn(Overview, &str) -> T,
    ) -> Result<Known<T>, Unlisted> {
        let read = |json: &str| {
            let overview = self.overview(json, context.now());
            overview.map(|overview| make(overview, json))
        };
        let selector = args.scope.selector.as_deref();
        let listed = cluster.list(&self.objects, selector, read).await?;
        let (mut applications, mut problems) = (Vec::new(), Vec::new());
        for application in listed {
            match application {
                Ok(application) => applications.push(application),
                Err(error) => problems.push(Problem {
                    message: error.reason,
                    object: error.object,
                }),
            }
        }
        Ok(Known {
            applications,
            problems,
            webhook: self.webhook(context),
        })
    }
}

/// Who is asked what differs.
pub(super) struct Asked<'a> {
    /// None where it is what Applications say of themselves.
    argocd: Option<&'a ArgoCdServer>,
    identities: RefCell<Rc<Identities>>,
    webhook: Option<Webhook>,
}

impl<'a> Asked<'a> {
    /// argocd-server, and what it has; nobody without that.
    pub(super) fn new(
        argocd: Option<&'a ArgoCdServer>,
        known: Option<Identities>,
        webhook: Option<Webhook>,
    ) -> Self {
        Asked {
            argocd: argocd.filter(|_| known.is_some()),
            identities: RefCell::new(Rc::new(known.unwrap_or_default())),
            webhook: webhook.map(Webhook::without_secrets),
        }
    }

    /// Whether argocd-server is.
    pub(super) fn is_by_server(&self) -> bool {
        self.argocd.is_some()
    }

    /// What differs of an Application.
    pub(super) async fn judge(
        &self,
        overview: Overview,
    ) -> (ApplicationDrift, Autoscalers, Vec<Problem>) {
        let Some(argocd) = self.argocd else {
            let judged = judge_by_status(overview);
            return (judged, Autoscalers::default(), Vec::new());
        };
        let known = self.identities_with(argocd, &overview).await;
        one_by_server(argocd, overview, Some(&known), self.webhook.as_ref()).await
    }

    /// Asks for them again if an Application is new.
    async fn identities_with(&self, argocd: &ArgoCdServer, overview: &Overview) -> Rc<Identities> {
        let known = Rc::clone(&self.identities.borrow());
        let key = (overview.namespace.clone(), overview.name.clone());
        if known
            .get(&key)
            .is_some_and(|created| *created == overview.created)
        {
            return known;
        }
        let text = argocd.identities().await;
        let Some(now) = text.ok().and_then(|text| identities(&text).ok()) else {
            return known;
        };
        let now = Rc::new(now);
        *self.identities.borrow_mut() = Rc::clone(&now);
        now
    }
}

/// How Argo CD is set up, as far as that may be read.
pub(super) async fn configuration(cluster: &ApiServer, namespace: &str) -> Configuration {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct ConfigMap {
        data: Option<BTreeMap<String, String>>,
    }
    let data = async |kind, name| {
        let read = |json: &str| serde_json::from_str::<ConfigMap>(json).unwrap_or_default();
        let objects = objects_of(kind, namespace);
        let found = cluster.get(&objects, name, read).await;
        found.map(|found| found.and_then(|map| map.data).unwrap_or_default())
    };
    let (settings, parameters, version) = tokio::join!(
        data(Kind::Settings, SETTINGS_CONFIG_MAP),
        data(Kind::Parameters, PARAMETERS_CONFIG_MAP),
        Versions::argo_cd(cluster, namespace),
    );
    Configuration {
        settings: settings.ok(),
        parameters: parameters.ok(),
        version: version.map(|program| program.version().to_owned()),
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

/// Applications as argocd-server has them, where the cluster on which it runs cannot be asked.
async fn of_argocd_server(
    args: &DriftArgs,
    context: &Context,
    argocd: &ArgoCdServer,
) -> Result<Known, CommandError> {
    let namespace = context.argocd_namespace();
    let inventory: Inventory = Facts::new(namespace, Completeness::Partial).inventory()?;
    let text = argocd.applications(args.scope.selector.as_deref()).await?;
    let list: List<'_> = serde_json::from_str(&text).map_err(|_| not_a_list())?;
    let settings = ControllerSettings::default();
    let (mut overviews, mut problems) = (Vec::new(), Vec::new());
    for item in list.items.unwrap_or_default() {
        match Overview::read(item.get(), &inventory, settings, context.now()) {
            Ok(overview) => overviews.push(overview),
            Err(error) => problems.push(Problem {
                message: error.reason,
                object: error.object,
            }),
        }
    }
    if !args.scope.all_namespaces {
        let own = context.namespaces.of_objects(None);
        overviews.retain(|overview| overview.namespace == own);
    }
    Ok(Known {
        applications: overviews,
        problems,
        webhook: None,
    })
}

fn not_a_list() -> CommandError {
    CommandError::new("argocd-server answered something else than a list of Applications")
}

/// argocd-server, with the way to it that is kept open.
pub(super) struct Reached {
    server: ArgoCdServer,
    _tunnel: Option<Tunnel>,
}

impl Reached {
    pub(super) fn server(&self) -> &ArgoCdServer {
        &self.server
    }
}

/// argocd-server, if somebody is logged in to it.
pub(super) async fn reached_server(
    args: &DriftArgs,
    context: &Context,
    cluster: Option<&ApiServer>,
) -> Result<Option<Reached>, CommandError> {
    let Some(session) = session(args, context)? else {
        return Ok(None);
    };
    let (server, tunnel) = reached(args, context, session, cluster).await?;
    Ok(server.map(|server| Reached {
        server,
        _tunnel: tunnel,
    }))
}

/// When Applications were created, by namespace and name: what tells them from those of the same
/// name elsewhere.
pub(super) type Identities = BTreeMap<(String, String), Option<String>>;

/// None where argocd-server does not say, and may be done without.
pub(super) async fn identities_of(
    args: &DriftArgs,
    context: &Context,
    argocd: &ArgoCdServer,
) -> Result<Option<Identities>, CommandError> {
    match argocd.identities().await {
        Ok(text) => Ok(Some(identities(&text)?)),
        Err(error) if args.may_do_without_server() => {
            context.warn([format!("{}: fields are not known", chain(&error))]);
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn identities(text: &str) -> Result<Identities, CommandError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        items: Option<Vec<Item>>,
    }
    #[derive(Deserialize)]
    struct Item {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        namespace: String,
        name: String,
        creation_timestamp: Option<String>,
    }
    let answer: Answer = serde_json::from_str(text).map_err(|_| not_a_list())?;
    let items = answer.items.unwrap_or_default().into_iter();
    Ok(items
        .map(|Item { metadata }| {
            let key = (metadata.namespace, metadata.name);
            (key, metadata.creation_timestamp)
        })
        .collect())
}

fn by_status(known: Known) -> Drift {
    Drift {
        source: Source::Status,
        applications: known
            .applications
            .into_iter()
            .map(judge_by_status)
            .collect(),
        problems: known.problems,
        autoscalers: Autoscalers::default(),
    }
}

/// Asks argocd-server about each Application that was compared, several at once.
async fn by_server(
    argocd: &ArgoCdServer,
    known: Known,
    identities: Option<&Identities>,
    context: &Context,
) -> Drift {
    let count = known.applications.len();
    let progress = context.progress.begin("asking argocd-server", Some(count));
    let webhook = known.webhook.map(Webhook::without_secrets);
    let judged = futures::stream::iter(known.applications)
        .map(|overview| one_by_server(argocd, overview, identities, webhook.as_ref()))
        .buffer_unordered(AT_ONCE);
    let mut drift = Drift {
        source: Source::ArgoCd,
        applications: Vec::with_capacity(count),
        problems: known.problems,
        autoscalers: Autoscalers::default(),
    };
    let mut judged = std::pin::pin!(judged);
    while let Some((application, autoscalers, problems)) = judged.next().await {
        drift.applications.push(application);
        drift.autoscalers.extend(autoscalers);
        drift.problems.extend(problems);
        progress.reached(drift.applications.len());
    }
    drift
        .problems
        .sort_by(|one, other| one.object.cmp(&other.object));
    drift
}

async fn one_by_server(
    argocd: &ArgoCdServer,
    overview: Overview,
    identities: Option<&Identities>,
    webhook: Option<&Webhook>,
) -> (ApplicationDrift, Autoscalers, Vec<Problem>) {
    // What could not be compared has nothing to say, and what it says is of another time.
    if overview.sync == Sync::Unknown {
        return (
            judge_by_status(overview),
            Autoscalers::default(),
            Vec::new(),
        );
    }
    if let Some(reason) = stranger(argocd, &overview, identities) {
        let (application, problem) = unanswered(overview, reason);
        return (application, Autoscalers::default(), vec![problem]);
    }
    let Overview {
        namespace,
        name,
        project,
        ..
    } = &overview;
    match argocd.managed_resources(namespace, name, project).await {
        Ok(answer) => judge(overview, &answer, webhook),
        Err(error) => {
            let (application, problem) = unanswered(overview, chain(&error));
            (application, Autoscalers::default(), vec![problem])
        }
    }
}

/// Why argocd-server's answer would not be about this Application.
fn stranger(
    argocd: &ArgoCdServer,
    overview: &Overview,
    identities: Option<&Identities>,
) -> Option<String> {
    let key = (overview.namespace.clone(), overview.name.clone());
    let address = argocd.address();
    match identities?.get(&key) {
        Some(created) if created.is_none() || *created == overview.created => None,
        Some(_) => Some(format!(
            "argocd-server {address} has another Application of this name: it is not the one of this cluster"
        )),
        None => Some(format!("argocd-server {address} does not show it to you")),
    }
}
