//! A server that does not outlive this process.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Runs a server for as long as standard input stays open, and sends it the signals that are named
/// there, one a line.
///
/// Standard input is a pipe whose other end only the test process holds. The kernel closes it
/// however that process ends, so the server also ends after a SIGKILL, when no code of the test
/// runs any more.
const SUPERVISE: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{
	while read -r signal; do kill -"$signal" "$server"; done
	kill -KILL "$server"
} <&3 2>/dev/null &
reader=$!
wait "$server"
status=$?
kill "$reader" 2>/dev/null
exit "$status"
"#;

/// A signal for a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// SIGTERM, with which kubelet asks a container to end.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// A running server. It is killed when this is dropped, or when this process ends.
#[derive(Debug)]
pub struct Process {
    supervisor: Child,
}

impl Process {
    /// Starts a server that finds nothing of our environment, with its standard error in a file.
    pub fn spawn(server: &Command, stderr: File) -> io::Result<Self> {
        let mut supervisor = Command::new("/bin/sh");
        supervisor
            .args(["-c", SUPERVISE, "supervise"])
            .arg(server.get_program())
            .args(server.get_args())
            .env_clear();
        for (name, value) in server.get_envs() {
            if let Some(value) = value {
                supervisor.env(name, value);
            }
        }
        let supervisor = supervisor
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(stderr)
            // A Ctrl-C in the terminal is for the test process; the supervisor must outlive it to
            // clean up.
            .process_group(0)
            .spawn()?;
        Ok(Self { supervisor })
    }

    /// Sends the server a signal.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        let name = match signal {
            Signal::Terminate => "TERM",
            Signal::Kill => "KILL",
        };
        let stdin = self.supervisor.stdin.as_mut();
        let stdin = stdin.ok_or_else(|| io::Error::other("it was told to end already"))?;
        writeln!(stdin, "{name}")
    }

    /// How the server ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.supervisor.try_wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Waiting closes standard input first, upon which the server is killed.
        let _ = self.supervisor.wait();
    }
}
