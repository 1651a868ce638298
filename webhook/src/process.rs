//! The process: its log, its threads, and the signals that end it.

use std::num::NonZero;
use std::panic::PanicHookInfo;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::error;

use crate::args::Args;
use crate::clock::Clock;
use crate::limits::THREADS_LIMIT;
use crate::run::Server;
use crate::telemetry;

/// Serves as the arguments say until a signal ends it. Overrides expire by this clock.
pub fn run(args: Args, clock: Clock) -> ExitCode {
    if let Err(error) = telemetry::init(args.log_format) {
        // There is no log to say it in.
        #[expect(clippy::print_stderr, reason = "there is no log yet")]
        {
            eprintln!("gitops-webhook: {error:#}");
        }
        return ExitCode::FAILURE;
    }
    std::panic::set_hook(Box::new(tell_panic));
    match block_on(args, clock) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = crate::chain(error.as_ref()), "failed");
            ExitCode::FAILURE
        }
    }
}

/// Where a defect shows. The text of a panic is left out: it may quote what was being read, and
/// that may be a credential.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    error!(location, "defect: a panic");
}

fn block_on(args: Args, clock: Clock) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(THREADS_LIMIT))
        .enable_all()
        .build()
        .context("cannot start threads")?
        .block_on(serve(args, clock))
}

async fn serve(args: Args, clock: Clock) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("cannot listen to signals")?;
    let server = tokio::select! {
        server = Server::bind(args, clock) => server?,
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
