//! The network in which Services have their addresses.
//!
//! On a real cluster kube-proxy forwards a Service's address to its Pods, for the API server too.
//! Here the API server reaches the cluster's network through a proxy (its egress selector, as where
//! the two networks are apart), and the proxy is this: it forwards the addresses that it was told
//! to, and refuses all others.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;

/// A request to connect is a line with an address and a header or two.
const HEAD_LIMIT: usize = 4096;

/// What a Service's address and port are forwarded to.
#[derive(Clone, Default)]
struct Routes(Arc<Mutex<HashMap<String, SocketAddr>>>);

impl Routes {
    fn locked(&self) -> MutexGuard<'_, HashMap<String, SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cluster's network, on a Unix socket, until it is dropped.
///
/// It has a thread of its own: a control plane that tests share outlives the runtime of the test
/// that started it.
pub(crate) struct ClusterNetwork {
    routes: Routes,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ClusterNetwork {
    pub(crate) fn serve(socket: &Path) -> io::Result<Self> {
        let listener = StdUnixListener::bind(socket)?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let routes = Routes::default();
        let (stop, stopped) = oneshot::channel();
        let forwarding = routes.clone();
        let thread = thread::Builder::new()
            .name("cluster network".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, &forwarding) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            routes,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Forwards a Service's address, such as `10.0.0.7:443`, from now on.
    pub(crate) fn forward(&self, address: String, to: SocketAddr) {
        self.routes.locked().insert(address, to);
    }
}

impl Drop for ClusterNetwork {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed, and there is nothing left to do for it.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: StdUnixListener, routes: &Routes) {
    let Ok(listener) = UnixListener::from_std(listener) else {
        return;
    };
    while let Ok((stream, _)) = listener.accept().await {
        let routes = routes.clone();
        // A connection that breaks concerns its two ends, which both notice.
        tokio::spawn(async move {
            let _ = connect(stream, &routes).await;
        });
    }
}

/// Does what an HTTP CONNECT request asks for.
async fn connect(mut client: UnixStream, routes: &Routes) -> io::Result<()> {
    let head = read_head(&mut client).await?;
    let target = requested(&head).and_then(|address| routes.locked().get(address).copied());
    let server = match target {
        Some(target) => TcpStream::connect(target).await.ok(),
        None => None,
    };
    let Some(mut server) = server else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    };
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn read_head(client: &mut UnixStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_LIMIT {
        // The client says nothing more until it is answered, so this does not read too far.
        if client.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// The address in the first line of `CONNECT 10.0.0.7:443 HTTP/1.1`.
fn requested(head: &str) -> Option<&str> {
    let mut words = head.lines().next()?.split(' ');
    (words.next()? == "CONNECT").then(|| words.next())?
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn forwards_what_it_was_told_to_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("network.sock");
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = ClusterNetwork::serve(&socket).unwrap();
        network.forward("10.0.0.7:443".to_owned(), server.local_addr().unwrap());

        let known = ask(&socket, "10.0.0.7:443");
        let serve = async {
            let (mut stream, _) = server.accept().await.unwrap();
            stream.write_all(b"hello").await.unwrap();
        };
        let (known, ()) = tokio::join!(known, serve);
        let unknown = ask(&socket, "10.0.0.8:443").await;

        assert_eq!(known, "HTTP/1.1 200 OK\r\n\r\nhello");
        assert_eq!(unknown, "HTTP/1.1 502 Bad Gateway\r\n\r\n");
    }

    async fn ask(socket: &Path, address: &str) -> String {
        let mut stream = UnixStream::connect(socket).await.unwrap();
        let request = format!("CONNECT {address} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}
