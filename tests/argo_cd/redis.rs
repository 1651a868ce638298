//! What serves Argo CD's cache answers as Redis does, as far as Argo CD asks.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::argo_cd::redis;
use harness::eventually;
use tokio::process::Command;
use tokio::task::spawn_blocking;

const WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn values_are_kept_renamed_listed_and_expire_by_themselves() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("redis.sock");
    let _redis = Command::new(spawn_blocking(redis).await??)
        .arg(&socket)
        .kill_on_drop(true)
        .spawn()?;
    let mut client = connected(&socket).await?;

    assert_eq!(client.ask(&["SET", "a", "1"])?, "OK");
    assert_eq!(client.ask(&["SET", "a", "2", "NX"])?, "nil");
    assert_eq!(client.ask(&["RENAME", "a", "b"])?, "OK");
    assert_eq!(client.ask(&["RENAME", "a", "c"])?, "ERR no such key");
    assert_eq!(client.ask(&["GET", "b"])?, "1");
    assert_eq!(
        client.ask(&["SCAN", "0", "MATCH", "b*", "COUNT", "10000"])?,
        "[0, [b]]"
    );
    assert_eq!(client.ask(&["DEL", "b"])?, "1");

    assert_eq!(client.ask(&["SET", "short", "1", "PX", "50"])?, "OK");
    eventually(WITHIN, "the value expires", async || {
        match client
            .ask(&["GET", "short"])
            .map_err(|error| format!("{error:#}"))?
        {
            gone if gone == "nil" => Ok(()),
            value => Err(value),
        }
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn what_is_published_reaches_who_subscribed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("redis.sock");
    let _redis = Command::new(spawn_blocking(redis).await??)
        .arg(&socket)
        .kill_on_drop(true)
        .spawn()?;
    let mut subscriber = connected(&socket).await?;

    assert_eq!(
        subscriber.ask(&["SUBSCRIBE", "news"])?,
        "[subscribe, news, 1]"
    );
    let mut publisher = connected(&socket).await?;
    assert_eq!(publisher.ask(&["PUBLISH", "news", "rain"])?, "1");

    assert_eq!(subscriber.answer()?, "[message, news, rain]");
    Ok(())
}

/// A connection, once somebody listens.
async fn connected(socket: &Path) -> Result<Client> {
    let connected = eventually(WITHIN, "somebody listens", async || {
        UnixStream::connect(socket).map_err(|error| error.to_string())
    });
    let stream = connected.await?;
    stream.set_read_timeout(Some(WITHIN))?;
    Ok(Client(BufReader::new(stream)))
}

/// Speaks Redis' protocol, RESP2.
struct Client(BufReader<UnixStream>);

impl Client {
    fn ask(&mut self, words: &[&str]) -> Result<String> {
        let stream = self.0.get_mut();
        write!(stream, "*{}\r\n", words.len())?;
        for word in words {
            write!(stream, "${}\r\n{word}\r\n", word.len())?;
        }
        self.answer()
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let kind = line.chars().next().context("no answer")?;
        let rest = line[kind.len_utf8()..].trim_end();
        match (kind, rest) {
            ('+' | '-' | ':', _) => Ok(rest.to_owned()),
            ('$' | '*', "-1") => Ok("nil".to_owned()),
            ('$', length) => {
                let mut value = vec![0; length.parse::<usize>()? + "\r\n".len()];
                self.0.read_exact(&mut value)?;
                Ok(String::from_utf8(value)?.trim_end().to_owned())
            }
            ('*', length) => {
                let items = (0..length.parse::<usize>()?).map(|_| self.answer());
                let items = items.collect::<Result<Vec<_>>>()?;
                Ok(format!("[{}]", items.join(", ")))
            }
            _ => bail!("not an answer: {line}"),
        }
    }
}
