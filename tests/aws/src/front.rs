//! Where AWS is reached: at a port of loopback, and through a proxy by its own names.
//!
//! Both pass on what they are given. The server listens on sockets in a folder, so that nobody can
//! take its port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdTcpListener};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::oneshot;

/// A request to connect is a line with an address and some headers.
const HEAD_LIMIT: usize = 8192;

/// Both ways to AWS, until this is dropped. It has a thread of its own, as what tests share
/// outlives the runtime of the test that started it.
pub(crate) struct Front {
    pub(crate) plain: SocketAddr,
    pub(crate) proxy: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    pub(crate) fn serve(http: &Path, https: &Path) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let (plain, plain_address) = listen()?;
        let (proxy, proxy_address) = listen()?;
        let (http, https) = (http.to_owned(), https.to_owned());
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("front of AWS".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(plain, &http, pass_on) => {}
                        () = accept(proxy, &https, connect) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            plain: plain_address,
            proxy: proxy_address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed, and there is nothing left to do for it.
            let _ = thread.join();
        }
    }
}

fn listen() -> io::Result<(StdTcpListener, SocketAddr)> {
    let listener = StdTcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn accept<F>(listener: StdTcpListener, socket: &Path, serve: impl Fn(TcpStream, PathBuf) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    while let Ok((stream, _)) = listener.accept().await {
        // A connection that breaks concerns its two ends, which both notice.
        tokio::spawn(serve(stream, socket.to_owned()));
    }
}

async fn pass_on(mut client: TcpStream, socket: PathBuf) -> io::Result<()> {
    let mut server = UnixStream::connect(socket).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Does what an HTTP CONNECT request asks for: AWS is ours, loopback is what it is, and there is
/// nothing else.
async fn connect(mut client: TcpStream, socket: PathBuf) -> io::Result<()> {
    let head = read_head(&mut client).await?;
    let target = requested(&head).unwrap_or_default();
    let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
    if host.ends_with(".amazonaws.com") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        return pass_on(client, socket).await;
    }
    if host != "127.0.0.1" {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    }
    let mut server = TcpStream::connect(target).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn read_head(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_LIMIT {
        // The client says nothing more until it is answered, so this does not read too far.
        if client.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// The address in the first line of `CONNECT sts.eu-west-1.amazonaws.com:443 HTTP/1.1`.
fn requested(head: &str) -> Option<&str> {
    let mut words = head.lines().next()?.split(' ');
    (words.next()? == "CONNECT").then(|| words.next())?
}
