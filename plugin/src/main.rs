//! `kubectl gitops`: a kubectl plugin for fleets that run Argo CD.
//!
//! ```text
//!   cli (what was typed) ──> commands (load, compute, print) ──> output (one renderer a format)
//!                                 │
//!                                 ├─> repository (files, manifests) ──┐
//!                                 │                                   ├─> facts ──> policy
//!                                 └─> cluster_access ─────────────────┘
//! ```
//!
//! The same binary answers as `argocd gitops` when it is called `argocd-gitops`, and completes
//! words for kubectl when it is called `kubectl_complete-gitops`.

mod argocd_version;
mod break_glass;
mod cli;
mod cluster_access;
mod commands;
mod error;
mod exit_status;
mod facts;
mod namespaces;
mod output;
mod parallel;
mod preview;
mod production;
mod progress;
mod repeated;
mod report;
mod repository;
mod selection;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run(std::env::args_os().collect()) {
        Ok(status) => status.into(),
        Err(error) => error.report().into(),
    }
}
