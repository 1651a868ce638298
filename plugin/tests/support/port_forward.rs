//! What an API server does of `pods/portforward`: it takes a WebSocket, and each connection in it
//! to a port.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

/// The channel of what is sent, and that of what goes wrong.
const CHANNELS: [u8; 2] = [0, 1];

/// Answers a request for a way, and takes what comes through it to a port of this machine until
/// either end is closed.
pub(crate) fn forward(stream: &mut TcpStream, head: &str, port: u16) {
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let (_, value) = lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .unwrap();
        value.to_owned()
    };
    let accept = derive_accept_key(header("sec-websocket-key").as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {accept}\r\nsec-websocket-protocol: v4.channel.k8s.io\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).unwrap();
    let (_, query) = head.split_once("ports=").unwrap();
    let digits: String = query.chars().take_while(char::is_ascii_digit).collect();
    let asked: u16 = digits.parse().unwrap();
    let socket = || WebSocket::from_raw_socket(stream.try_clone().unwrap(), Role::Server, None);
    let (mut incoming, mut outgoing) = (socket(), socket());
    let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    for channel in CHANNELS {
        let [low, high] = asked.to_le_bytes();
        outgoing
            .send(Message::binary(vec![channel, low, high]))
            .unwrap();
    }
    let mut back = far.try_clone().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = back.read(&mut buffer) {
            let message = [&CHANNELS[..1], &buffer[..length]].concat();
            if outgoing.send(Message::binary(message)).is_err() {
                return;
            }
        }
    });
    while let Ok(message) = incoming.read() {
        if let Message::Binary(data) = message
            && let Some((0, sent)) = data.split_first()
            && far.write_all(sent).is_err()
        {
            return;
        }
    }
}
