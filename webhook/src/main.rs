//! The binary `gitops-webhook`.

use std::process::ExitCode;

use clap::Parser as _;
use gitops_webhook::args::Args;
use gitops_webhook::clock::Clock;
use gitops_webhook::process;

fn main() -> ExitCode {
    process::run(Args::parse(), Clock::system())
}
