//! `drift --watch`: what differs, and then what changes of it.

mod applications;
mod checkout;

use super::told::Told;
use super::{DriftArgs, SourceArg};
use crate::args::Format;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;

/// The formats that can be continued.
const FORMATS: [Format; 5] = [
    Format::Table,
    Format::Wide,
    Format::Json,
    Format::Yaml,
    Format::Name,
];

/// Tells what differs, and goes on with what changes.
///
/// # Errors
/// It may not be watched, or the format has no end that something could come behind.
pub(super) async fn run(args: &DriftArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let format = args.output.output;
    if !FORMATS.contains(&format) {
        let text = format!("--watch has no -o {format}: as table, wide, json, yaml or name");
        return Err(CommandError::new(text));
    }
    if args.source == SourceArg::Local {
        Box::pin(checkout::run(args, context)).await
    } else {
        Box::pin(applications::run(args, context)).await
    }
}

/// Follows what changes until it is interrupted. The status is that of what was told last.
async fn until_interrupted<'t>(
    mut told: Told<'t>,
    follow: impl AsyncFnOnce(&mut Told<'t>) -> Result<(), CommandError>,
) -> Result<ExitStatus, CommandError> {
    tokio::select! {
        ended = follow(&mut told) => ended?,
        () = interrupted() => {}
    }
    Ok(told.status())
}

/// Returns when somebody wants it to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // Without a handler the process is simply ended.
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
