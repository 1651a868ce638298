//! Makes what the harness starts, and shows how that gets on: a test would do it as well, but its
//! output is hidden while it runs.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use harness::argo_cd::Programs;
use harness::argo_cd_crds;
use harness::control_plane::{Binaries, USE_EXISTING_CLUSTER};
use harness::opentofu;

#[derive(Debug, Parser)]
struct Args {
    #[arg(required = true)]
    what: Vec<Part>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// etcd, kube-apiserver, kubectl and Argo CD's definitions
    ControlPlane,
    /// Argo CD and all that it runs
    ArgoCd,
    /// What stands for AWS, and the authenticator of EKS
    Aws,
    /// OpenTofu and its providers
    OpenTofu,
}

fn main() -> ExitCode {
    match Args::parse().what.into_iter().try_for_each(prepare) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn prepare(what: Part) -> Result<()> {
    match what {
        Part::ControlPlane => control_plane(),
        Part::ArgoCd => Programs::locate().map(drop),
        Part::Aws => aws(),
        Part::OpenTofu => Ok(opentofu::programs().map(drop)?),
    }
}

fn control_plane() -> Result<()> {
    if !std::env::var(USE_EXISTING_CLUSTER).is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
        Binaries::locate()?;
    }
    argo_cd_crds()?;
    Ok(())
}

fn aws() -> Result<()> {
    gitops_aws::ministack()?;
    harness::eks::authenticator()?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a program's own complaint")]
fn report(text: &str) {
    eprintln!("{text}");
}
