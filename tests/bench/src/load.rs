//! A closed loop of requests.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::future::try_join_all;
use gitops_bench::corpus::Review;
use hdrhistogram::Histogram;

use crate::client::{Client, Connection, Reply};

/// Where one load ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) duration: Duration,
    pub(crate) requests: usize,
}

/// Whom to ask, and what to hold the answers to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    /// It judges; else it allows everything and repeats no uid.
    pub(crate) judges: bool,
}

/// What came of it.
pub(crate) struct Loaded {
    pub(crate) requests: u64,
    /// Answers with another verdict or uid than the right one.
    pub(crate) wrong: u64,
    pub(crate) elapsed: Duration,
    /// Microseconds from sending to having read the answer.
    pub(crate) latencies: Histogram<u64>,
}

/// Connections that are open and idle.
pub(crate) struct Load(Vec<Connection>);

impl Load {
    pub(crate) async fn connect(
        client: &Client,
        target: Target,
        connections: usize,
    ) -> Result<Self> {
        let connect = || client.connect(target.address, target.path);
        let opened = try_join_all((0..connections).map(|_| connect())).await;
        Ok(Load(opened.context("cannot connect")?))
    }

    /// Sends reviews on all connections, each one after the other, until a limit is reached.
    pub(crate) async fn run(
        &mut self,
        target: Target,
        reviews: &[Review],
        limits: Limits,
    ) -> Result<Loaded> {
        let start = Instant::now();
        let sent = Cell::new(0);
        let next = || {
            let number = sent.get();
            let more = number < limits.requests && start.elapsed() < limits.duration;
            more.then(|| {
                sent.set(number + 1);
                &reviews[number % reviews.len()]
            })
        };
        let connections = self.0.iter_mut();
        let loops = connections.map(|connection| send_all(connection, target, next));
        let parts = try_join_all(loops).await?;
        let elapsed = start.elapsed();
        let mut loaded = Loaded {
            requests: 0,
            wrong: 0,
            elapsed,
            latencies: histogram()?,
        };
        for (latencies, wrong) in parts {
            loaded.requests += latencies.len();
            loaded.wrong += wrong;
            loaded.latencies.add(latencies)?;
        }
        Ok(loaded)
    }
}

/// Up to a minute, to three digits.
fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

async fn send_all<'r>(
    connection: &mut Connection,
    target: Target,
    mut next: impl FnMut() -> Option<&'r Review>,
) -> Result<(Histogram<u64>, u64)> {
    let mut latencies = histogram()?;
    let mut wrong = 0;
    while let Some(review) = next() {
        let sent = Instant::now();
        let Reply::Judged(answer) = connection.ask(review.body.clone()).await? else {
            bail!("it is not ready");
        };
        latencies.saturating_record(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
        let right = if target.judges {
            answer.uid == review.uid && answer.allowed == review.allowed
        } else {
            answer.allowed
        };
        wrong += u64::from(!right);
    }
    Ok((latencies, wrong))
}
