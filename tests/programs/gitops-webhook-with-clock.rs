//! The webhook as it is, by a clock that a test sets, so that nobody has to wait for an override to
//! expire.

use std::process::ExitCode;

use clap::Parser as _;
use gitops_webhook::args::Args;
use gitops_webhook::clock::Clock;
use gitops_webhook::process;
use harness::TestClock;

fn main() -> ExitCode {
    let clock = TestClock::of_this_process();
    process::run(Args::parse(), Clock::new(move || clock.now()))
}
