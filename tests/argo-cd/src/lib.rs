//! The real Argo CD, as tests use it: [`Fleet::start`] is a devops cluster on which it runs, two workload clusters that it
//! deploys to, a Git repository that it deploys from, and, where a test wants it, our webhook in front of all that.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use gitops_argo_cd_tests::{Fleet, Guard};
//!
//! let fleet = Fleet::start(Guard::Webhook).await?;
//! fleet.deployed().await?;
//! fleet.repository().write("charts/shop/values.yaml", "greeting: hello")?;
//! fleet.repository().commit("Greet people")?;
//! fleet.argocd(["app", "get", "shop-staging", "--refresh"]).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What is real: etcd, kube-apiserver and kube-controller-manager of each cluster, and Argo CD's repo server, controllers, API
//! server and CLI, of the [`Release`] that is chosen. Each logs in with a token of its own `ServiceAccount`, and has the rights
//! that Argo CD's install manifests give it. Helm and kustomize are of the same minor version as those that Argo CD was
//! released with.
//!
//! What is not:
//!
//! - Redis. Argo CD's cache is served by miniredis, which Argo CD itself runs in its place for `argocd --core` and in its tests:
//!   it keeps, lets expire, renames, lists and publishes as Redis does, in memory and without a password.
//! - Nothing runs in Pods. A stand-in for kubelet says of every Pod of a workload cluster that it is ready.
//! - AWS. Clusters are declared with `awsAuthConfig`, and a stand-in for `argocd-k8s-auth` gives tokens of a workload cluster
//!   where AWS would give its own.
//! - Neither dex nor the notifications controller is there, connections within Argo CD are not encrypted, and no commit
//!   signatures are checked.

mod argo_cd;
mod command_line;
mod component;
mod controller_manager;
mod fleet;
mod kubelet;
mod manifests;
mod port;
mod programs;
mod releases;
mod repository;
mod rest;
mod workload_cluster;

pub use argo_cd::ArgoCd;
pub use command_line::CommandOutput;
pub use component::Component;
pub use controller_manager::ControllerManager;
pub use fleet::{Devops, Fleet, Guard};
pub use manifests::install;
pub use programs::{Programs, redis};
pub use releases::{GITOPS_TEST_ARGO_CD, RELEASES, Release};
pub use repository::Repository;
pub use rest::Rest;
pub use workload_cluster::WorkloadCluster;
