//! The binary `gitops-webhook`.

use std::num::NonZero;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use gitops_webhook::args::Args;
use gitops_webhook::run::Server;
use gitops_webhook::telemetry;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::error;

/// More threads would judge no faster than the API server can ask (one of them answers some 4,000
/// requests a second), and each has memory of its own.
const THREADS_LIMIT: usize = 4;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = telemetry::init(args.log_format) {
        // There is no log to say it in.
        #[expect(clippy::print_stderr, reason = "there is no log yet")]
        {
            eprintln!("gitops-webhook: {error:#}");
        }
        return ExitCode::FAILURE;
    }
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = gitops_webhook::chain(error.as_ref()), "failed");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(THREADS_LIMIT))
        .enable_all()
        .build()
        .context("cannot start threads")?
        .block_on(serve(args))
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("cannot listen to signals")?;
    let server = tokio::select! {
        server = Server::bind(args) => server?,
        () = signals.next() => return Ok(()),
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    // An error here means that `stop` is gone, and with it whoever could stop the server.
    let mut server = std::pin::pin!(server.run(async { drop(stopped.await) }));
    tokio::select! {
        ended = &mut server => return ended,
        () = signals.next() => drop(stop),
    }
    tokio::select! {
        ended = server => ended,
        () = signals.next() => anyhow::bail!("aborted by a second signal"),
    }
}

/// SIGTERM, as kubelet sends it, and SIGINT, as a terminal does.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
