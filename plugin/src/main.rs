//! `kubectl gitops`: a kubectl plugin for fleets that run Argo CD.
//!
//! ```text
//!   cli (what was typed) ──> commands (read, compute, print) ──> render (one module a format)
//!                                 │                                 │
//!                                 │                              report (one module a kind)
//!                                 ├─> check, audit, preview, break_glass, versions ──┘
//!                                 │      │
//!                                 ├─> fleet (facts) ──> policy
//!                                 ├─> bootstrap (a repository to begin with)
//!                                 ├─> drift (what differs) · argocd_server (what Argo CD compared)
//!                                 ├─> onboarding, clusters ──> login ──> aws
//!                                 ├─> kubernetes (a cluster)
//!                                 └─> repository (files)
//! ```
//!
//! Every command is handed one `context`: clock, streams, progress, and kubectl's flags. What
//! computes neither prints nor reads the command line.
//!
//! The same binary answers as `argocd gitops` when it is called `argocd-gitops`, and completes
//! words for kubectl when it is called `kubectl_complete-gitops`.

mod addons;
mod argocd_server;
mod args;
mod audit;
mod aws;
mod bootstrap;
mod break_glass;
mod check;
mod cli;
mod clusters;
mod commands;
mod context;
mod drift;
mod error;
mod exit_status;
mod fleet;
mod kubernetes;
mod login;
mod manifest_generation;
mod namespaces;
mod onboarding;
mod parallel;
mod plan;
mod preview;
mod progress;
mod releases;
mod render;
mod report;
mod repository;
mod streams;
mod temporary;
mod terraform;
mod text;
mod versions;
mod wait;

use std::process::ExitCode;
use std::sync::Arc;

use crate::streams::Streams;

fn main() -> ExitCode {
    let streams = Arc::new(Streams::of_process());
    match cli::run(std::env::args_os().collect(), Arc::clone(&streams)) {
        Ok(status) => status.into(),
        Err(error) => error.report(&streams).into(),
    }
}
