//! The stories that `cargo xtask demo` tells.

mod gate;
mod with_argo_cd;

use std::process::ExitCode;

use clap::Parser;
use harness::demo;

#[derive(Debug, Parser)]
struct Args {
    /// Tell the story with the real Argo CD
    #[arg(long)]
    with_argo_cd: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    demo::end(if Args::parse().with_argo_cd {
        with_argo_cd::tell().await
    } else {
        gate::tell().await
    })
}
