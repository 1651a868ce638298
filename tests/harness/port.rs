//! Ports for servers that cannot choose one themselves.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port of loopback that nobody else is given while this is kept, and that one server may listen
/// on.
///
/// The socket does not listen. It is bound without sharing, so that it gets a port of its own; only
/// then it allows sharing with servers that allow it as well, as those of Go do.
#[derive(Debug)]
pub(crate) struct ReservedPort {
    _socket: TcpSocket,
    address: SocketAddr,
}

impl ReservedPort {
    pub(crate) fn reserve() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Tokio's sockets do not share an address until they are told to.
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        socket.set_reuseaddr(true)?;
        let address = socket.local_addr()?;
        Ok(Self {
            _socket: socket,
            address,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_shares_its_address_can_listen_and_nobody_else_can() {
        let port = ReservedPort::reserve().unwrap();
        let stranger = TcpSocket::new_v4().unwrap();
        let server = TcpSocket::new_v4().unwrap();
        server.set_reuseaddr(true).unwrap();

        assert_eq!(
            stranger.bind(port.address()).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        server.bind(port.address()).unwrap();
        server.listen(1).unwrap();
    }
}
