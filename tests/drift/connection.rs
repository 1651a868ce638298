//! How many connections an API server gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::world::World;

/// Passes each connection on to an API server. The first value is where it does so.
async fn counted(url: &str) -> Result<(String, Arc<AtomicUsize>)> {
    let server = url.strip_prefix("https://").context("no https")?.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let near = format!("https://{}", listener.local_addr()?);
    let count = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            accepted.fetch_add(1, Ordering::Relaxed);
            let server = server.clone();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(server).await?;
                copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    Ok((near, count))
}

/// HTTP/2 has all that is asked for at the same time.
#[tokio::test]
async fn a_cluster_gets_one_connection_however_much_is_asked_at_once() -> Result<()> {
    let world = World::start(&json!({})).await?;
    let object = |version: &str, kind: &str| json!({"apiVersion": version, "kind": kind, "metadata": {"name": "cart"}});
    let objects = [
        object("v1", "ConfigMap"),
        object("v1", "ServiceAccount"),
        object("v1", "Secret"),
        object("rbac.authorization.k8s.io/v1", "Role"),
    ];
    world.desire(&objects)?;
    world.sync(&objects).await?;
    let (near, count) = counted(world.control_plane.url()).await?;

    let report = world.report(&["--server", &near]).await?;

    assert_eq!(report["applications"][0]["verdict"], "clean", "{report}");
    assert_eq!(count.load(Ordering::Relaxed), 1);
    Ok(())
}
