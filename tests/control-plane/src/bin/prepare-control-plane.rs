//! Makes what [`control_plane::ControlPlane::start`] needs, and shows how that gets on: a test would do it as well, but
//! its output is hidden while it runs.

use std::error::Error;
use std::process::ExitCode;

use control_plane::{Binaries, USE_EXISTING_CLUSTER, argo_cd_crds};

fn main() -> ExitCode {
    match prepare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes = std::iter::successors(error.source(), |&cause| cause.source());
            let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
            report(&text);
            ExitCode::FAILURE
        }
    }
}

fn prepare() -> Result<(), Box<dyn Error>> {
    if !std::env::var(USE_EXISTING_CLUSTER).is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
        Binaries::locate()?;
    }
    argo_cd_crds()?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a program's own complaint")]
fn report(text: &str) {
    eprintln!("error: {text}");
}
