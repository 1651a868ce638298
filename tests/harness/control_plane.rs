//! A real kube-apiserver with a real etcd, for tests and for the demo.
//!
//! [`ControlPlane::start`] gives a test an API server of its own, with TLS, RBAC, an audit log and
//! users that really log in, so that what an admission webhook is told about a writer is what it is
//! told in production.
//!
//! ```no_run
//! # async fn example() -> Result<(), harness::control_plane::Error> {
//! let control_plane = harness::ControlPlane::start().await?;
//! let alice = control_plane.user("alice@example.com", &["developers"])?;
//! let applied = alice.kubectl(["apply", "-f", "-"]).input("kind: ConfigMap").run().await?;
//! assert!(!applied.status.success());
//! # Ok(())
//! # }
//! ```
//!
//! What a whole cluster has and this has not: there is no controller manager, so nothing deletes
//! namespaces, collects garbage, aggregates `ClusterRole`s (`admin`, `edit` and `view` have no
//! rules) or makes default `ServiceAccount`s; and no kubelet, so no Pod ever runs. Of Services the
//! API server reaches those that are given a server on this machine ([`ControlPlane::expose`]).
//!
//! With `USE_EXISTING_CLUSTER=true` nothing is started and the tests run on the cluster of the
//! current kubeconfig context, as its user. `ServiceAccount`s log in there too; what needs the keys
//! of the control plane does not exist ([`ControlPlane::user`], [`ControlPlane::audit_log`],
//! [`ControlPlane::expose`]) and says so with [`Error::ExistingCluster`]. Nothing that a test
//! creates there is taken away again.

mod authority;
mod binaries;
mod envtest;
mod error;
mod kubectl;
mod network;
mod servers;
mod supervisor;
mod user;

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Service, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{Cluster, Kubeconfig};
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use crate::wait::{eventually, eventually_object};
use authority::Authority;
use error::api;
use servers::Servers;
use supervisor::Supervisor;
use user::Surroundings;

pub use authority::CertificateError;
pub use binaries::{
    Binaries, BinariesError, KUBEBUILDER_ASSETS, kube_controller_manager, kubernetes_types,
    kubernetes_version,
};
pub use envtest::EnvtestError;
pub use error::Error;
pub use kubectl::{Kubectl, KubectlOutput};
pub use user::User;

/// The environment variable that, when it is `true`, puts the cluster of the current kubeconfig
/// context in the place of a control plane of our own; the same that controller-runtime's envtest
/// reads.
pub const USE_EXISTING_CLUSTER: &str = "USE_EXISTING_CLUSTER";

/// The group that RBAC lets do everything.
const ADMINISTRATORS: &str = "system:masters";
const FIELD_MANAGER: &str = "control-plane";
/// A `CustomResourceDefinition` is served a second after it is created; a loaded machine may take
/// its time.
const SERVED_WITHIN: Duration = Duration::from_secs(30);
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// An API server with its users.
///
/// It ends, and leaves no file behind, when it is dropped or when the process ends, however that
/// happens; so it may also be kept in a `static`. Then only [`User`]s are shared, each test making
/// its own clients.
pub struct ControlPlane {
    cluster: Cluster,
    admin: User,
    surroundings: Surroundings,
    ownership: Ownership,
}

enum Ownership {
    Ours {
        servers: Servers,
        authority: Box<Authority>,
    },
    Existing {
        _supervisor: Supervisor,
    },
}

impl ControlPlane {
    /// Starts etcd and kube-apiserver on loopback and returns when the API server is ready, after
    /// some 3 seconds. On the first use on a machine it builds them before that, which takes some
    /// minutes: see [`Binaries::locate`].
    pub async fn start() -> Result<Self, Error> {
        if env::var(USE_EXISTING_CLUSTER).is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
            return Self::existing().await;
        }
        Self::ours(None).await
    }

    /// The same, where the API server asks a webhook whose a bearer token is that it does not know:
    /// the one that a file in the form of a kubeconfig names.
    pub async fn start_with_token_webhook(configuration: &Path) -> Result<Self, Error> {
        if env::var(USE_EXISTING_CLUSTER).is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(Error::ExistingCluster {
                what: "no token webhook",
            });
        }
        Self::ours(Some(configuration)).await
    }

    async fn ours(token_webhook: Option<&Path>) -> Result<Self, Error> {
        let binaries = spawn_blocking(Binaries::locate).await??;
        let authority = Authority::generate()?;
        let (servers, start) = Servers::spawn(&binaries, &authority, token_webhook)?;
        let cluster = servers.cluster(&authority);
        let surroundings = Surroundings {
            folder: servers.folder().to_owned(),
            kubectl: binaries.kubectl(),
            isolated: true,
        };
        let login = user::with_certificate(&authority.client("admin", &[ADMINISTRATORS])?);
        let admin = User::new(
            "admin",
            user::kubeconfig(cluster.clone(), login),
            surroundings.clone(),
        )?;
        servers
            .ready(admin.impatient_client().await?, start)
            .await?;
        Ok(Self {
            cluster,
            admin,
            surroundings,
            ownership: Ownership::Ours {
                servers,
                authority: Box::new(authority),
            },
        })
    }

    async fn existing() -> Result<Self, Error> {
        let name = "the current context";
        let kubeconfig = Kubeconfig::read().map_err(|source| user::unusable(name, source))?;
        let cluster = current_cluster(&kubeconfig).ok_or(Error::NoCluster)?;
        let (supervisor, _) = Supervisor::spawn(|_| Ok(Vec::new()))?;
        let surroundings = Surroundings {
            folder: supervisor.folder().to_owned(),
            // Whoever has a cluster has a kubectl that fits it.
            kubectl: PathBuf::from("kubectl"),
            isolated: false,
        };
        let admin = User::new(name, kubeconfig, surroundings.clone())?;
        let username = username(admin.client().await?).await?;
        Ok(Self {
            cluster,
            admin: admin.renamed(username),
            surroundings,
            ownership: Ownership::Existing {
                _supervisor: supervisor,
            },
        })
    }

    /// The address of the API server, such as `https://127.0.0.1:41234`.
    pub fn url(&self) -> &str {
        self.cluster.server.as_deref().unwrap_or_default()
    }

    /// Somebody who may do everything: a member of `system:masters`, or on an existing cluster the
    /// user of the current context, whatever that one may do.
    pub fn admin(&self) -> &User {
        &self.admin
    }

    /// A user with a client certificate, as which the API server knows the name and these groups.
    /// RBAC gives nobody any rights but those that the test binds.
    pub fn user(&self, name: &str, groups: &[&str]) -> Result<User, Error> {
        let Ownership::Ours { authority, .. } = &self.ownership else {
            return Err(Error::ExistingCluster {
                what: "no certificate authority",
            });
        };
        let login = user::with_certificate(&authority.client(name, groups)?);
        User::new(
            name,
            user::kubeconfig(self.cluster.clone(), login),
            self.surroundings.clone(),
        )
    }

    /// A `ServiceAccount`, with a token as a Pod of it would have. It and its namespace are created
    /// if they are not there.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<User, Error> {
        let client = self.admin.client().await?;
        create(&Api::all(client.clone()), &named::<Namespace>(namespace)).await?;
        let accounts = Api::<ServiceAccount>::namespaced(client, namespace);
        create(&accounts, &named::<ServiceAccount>(name)).await?;
        let login = user::with_token(request_token(&accounts, namespace, name).await?);
        let username = format!("system:serviceaccount:{namespace}:{name}");
        User::new(
            &username,
            user::kubeconfig(self.cluster.clone(), login),
            self.surroundings.clone(),
        )
    }

    /// Applies these `CustomResourceDefinition`s and returns when clients can discover and use what
    /// they define.
    pub async fn install_crds(&self, crds: &[CustomResourceDefinition]) -> Result<(), Error> {
        let client = self.admin.client().await?;
        try_join_all(crds.iter().map(|crd| install_crd(&client, crd))).await?;
        Ok(())
    }

    /// Waits until objects of a definition that is there can be written.
    pub async fn serves(&self, name: &str) -> Result<(), Error> {
        let client = self.admin.client().await?;
        let crds = Api::<CustomResourceDefinition>::all(client.clone());
        let crd = crds.get(name).await;
        let crd = crd.map_err(api(format!("get CustomResourceDefinition {name}")))?;
        Box::pin(established_and_served(&client, &crd)).await
    }

    /// Lets the API server reach a server on this machine as the Service of this name, at each of
    /// the Service's ports, until the Service is exposed at another one.
    pub async fn expose(
        &self,
        namespace: &str,
        name: &str,
        server: SocketAddr,
    ) -> Result<(), Error> {
        let Ownership::Ours { servers, .. } = &self.ownership else {
            return Err(Error::ExistingCluster { what: "no network" });
        };
        let services = Api::<Service>::namespaced(self.admin.client().await?, namespace);
        let service = services.get(name).await;
        let service = service.map_err(api(format!("get Service {namespace}/{name}")))?;
        let spec = service.spec.unwrap_or_default();
        let address = spec.cluster_ip.unwrap_or_default();
        for port in spec.ports.into_iter().flatten() {
            servers
                .network()
                .forward(format!("{address}:{}", port.port), server);
        }
        Ok(())
    }

    /// A folder for files that may not outlive the control plane: it is removed with it. Only its
    /// owner may enter.
    pub fn folder(&self) -> &Path {
        &self.surroundings.folder
    }

    /// The audit log: a JSON line for each request once it is answered, at level Metadata.
    pub fn audit_log(&self) -> Result<PathBuf, Error> {
        match &self.ownership {
            Ownership::Ours { servers, .. } => Ok(servers.audit_log()),
            Ownership::Existing { .. } => Err(Error::ExistingCluster {
                what: "no audit log",
            }),
        }
    }
}

fn current_cluster(kubeconfig: &Kubeconfig) -> Option<Cluster> {
    let current = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig
        .contexts
        .iter()
        .find(|context| context.name == *current)?
        .context
        .as_ref()?;
    kubeconfig
        .clusters
        .iter()
        .find(|cluster| cluster.name == context.cluster)?
        .cluster
        .clone()
}

/// A kubeconfig does not say who it is: the API server does.
async fn username(client: Client) -> Result<String, Error> {
    let reviews = Api::<SelfSubjectReview>::all(client);
    let review = reviews
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await;
    let identity = review
        .map_err(api("ask the existing cluster who we are"))?
        .status;
    let user = identity
        .and_then(|identity| identity.user_info)
        .unwrap_or_default();
    Ok(user.username.unwrap_or_default())
}

fn named<K: kube::Resource + Default>(name: &str) -> K {
    let mut object = K::default();
    object.meta_mut().name = Some(name.to_owned());
    object
}

/// Creates what may be there already.
async fn create<K>(objects: &Api<K>, object: &K) -> Result<(), Error>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    match objects.create(&PostParams::default(), object).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(error) => Err(api(format!(
            "create {} {}",
            K::kind(&()),
            object.name_any()
        ))(error)),
        Ok(_) => Ok(()),
    }
}

async fn request_token(
    accounts: &Api<ServiceAccount>,
    namespace: &str,
    name: &str,
) -> Result<String, Error> {
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let answer = accounts
        .create_token_request(name, &PostParams::default(), &request)
        .await;
    let answer = answer.map_err(api(format!(
        "request a token for ServiceAccount {namespace}/{name}"
    )))?;
    answer
        .status
        .and_then(|status| status.token)
        .ok_or_else(|| Error::NoToken {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
}

async fn install_crd(client: &Client, crd: &CustomResourceDefinition) -> Result<(), Error> {
    let crds = Api::<CustomResourceDefinition>::all(client.clone());
    let name = crd.name_any();
    let apply = crds
        .patch(
            &name,
            &PatchParams::apply(FIELD_MANAGER).force(),
            &Patch::Apply(crd),
        )
        .await;
    apply.map_err(api(format!("apply CustomResourceDefinition {name}")))?;
    established_and_served(client, crd).await
}

async fn established_and_served(
    client: &Client,
    crd: &CustomResourceDefinition,
) -> Result<(), Error> {
    let crds = Api::<CustomResourceDefinition>::all(client.clone());
    let name = crd.name_any();
    let what = format!("CustomResourceDefinition {name} is established");
    eventually_object(SERVED_WITHIN, &what, crds, &name, established).await?;
    served(client, crd).await
}

fn established(crd: Option<&CustomResourceDefinition>) -> Result<(), String> {
    let conditions = crd.and_then(|crd| crd.status.as_ref()?.conditions.as_ref());
    let conditions = conditions.ok_or("no conditions")?;
    if conditions
        .iter()
        .any(|condition| condition.type_ == "Established" && condition.status == "True")
    {
        return Ok(());
    }
    let seen = conditions.iter().map(|condition| {
        let message = condition.message.as_deref().unwrap_or_default();
        format!("{}={} {message}", condition.type_, condition.status)
    });
    Err(seen.collect::<Vec<_>>().join("; "))
}

/// An established definition is still unknown to discovery for a moment, and then kubectl knows no
/// such kind.
async fn served(client: &Client, crd: &CustomResourceDefinition) -> Result<(), Error> {
    let plural = &crd.spec.names.plural;
    for version in crd.spec.versions.iter().filter(|version| version.served) {
        let group_version = format!("{}/{}", crd.spec.group, version.name);
        let what = format!("{plural} of {group_version} are served");
        eventually(SERVED_WITHIN, &what, async || {
            let list = client
                .list_api_group_resources(&group_version)
                .await
                .map_err(|error| error.to_string())?;
            let names: Vec<_> = list
                .resources
                .into_iter()
                .map(|resource| resource.name)
                .collect();
            if names.contains(plural) {
                Ok(())
            } else {
                Err(format!("served are {}", names.join(", ")))
            }
        })
        .await?;
    }
    Ok(())
}
