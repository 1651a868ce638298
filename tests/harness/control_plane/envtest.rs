//! The official builds of the control plane: the archives that controller-runtime's envtest
//! downloads.

use std::collections::BTreeMap;
use std::env::consts;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Seek, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use flate2::read::GzDecoder;
use http::header::LOCATION;
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use serde::Deserialize;
use sha2::{Digest, Sha512};
use thiserror::Error;
use tokio::time::timeout;

use crate::progress::Progress;

/// Of kubernetes-sigs/controller-tools, which publishes them: of one release, for the systems that
/// the tests run on.
const INDEX: &str = include_str!("envtest.yaml");
/// The folder in which an archive has them.
const FOLDER: &str = "controller-tools/envtest";
const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];
/// They have some 100 MB. Whoever sends more does not send what was asked for.
const MOST_BYTES: u64 = 1 << 30;
/// GitHub redirects once, to where it keeps files.
const MOST_REDIRECTS: usize = 5;

/// An archive with the programs of a control plane.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    /// The version of Kubernetes, such as `v1.36.2`.
    pub(super) version: String,
    /// Where it is.
    pub(super) url: String,
    /// What it must hash to, as hexadecimal digits.
    pub(super) sha512: String,
}

/// How long a download may take. What takes longer would not be faster than a build.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until a server answers, and between one part of its answer and the next.
    pub(super) silence: Duration,
    /// Altogether.
    pub(super) whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(15),
            whole: Duration::from_mins(10),
        }
    }
}

/// An archive cannot be had.
#[derive(Debug, Error)]
pub enum EnvtestError {
    /// The index is not what it is believed to be.
    #[error("cannot read the index of envtest's archives")]
    Index(#[source] Box<serde_saphyr::Error>),
    /// What is written there, or what a server redirects to, is not a URL of a server.
    #[error("{url:?} is not a URL that can be asked")]
    Url {
        /// What it is.
        url: String,
    },
    /// The system's root certificates cannot be read.
    #[error("cannot read the system's root certificates")]
    Roots(#[source] io::Error),
    /// No server can be reached.
    #[error("no answer from {url}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why not.
        source: Box<hyper_util::client::legacy::Error>,
    },
    /// A server has something else to say.
    #[error("{url} answers {status}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The answer.
        status: http::StatusCode,
    },
    /// Servers redirect to one another.
    #[error("{url} is redirected more than {MOST_REDIRECTS} times")]
    Redirects {
        /// What was asked for at last.
        url: String,
    },
    /// A server says nothing more, or takes too long to say it.
    #[error("{url} is not there within {} s", within.as_secs_f64())]
    Late {
        /// What was asked for.
        url: String,
        /// How long was waited.
        within: Duration,
    },
    /// The connection ended before the archive did.
    #[error("{url} was cut off after {bytes} bytes")]
    CutOff {
        /// What was asked for.
        url: String,
        /// How many there were.
        bytes: u64,
        /// What happened.
        source: hyper::Error,
    },
    /// It has no end.
    #[error("{url} has more than {MOST_BYTES} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
    },
    /// It is not what was published.
    #[error("{url} has the SHA-512 {found}, not {expected}")]
    Checksum {
        /// What was asked for.
        url: String,
        /// Its hash.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// It has no such program.
    #[error("{url} lacks {FOLDER}/{name}")]
    Lacks {
        /// What was asked for.
        url: String,
        /// The program.
        name: &'static str,
    },
    /// It cannot be unpacked.
    #[error("cannot unpack {url}")]
    Unpack {
        /// What was asked for.
        url: String,
        /// What is wrong with it, or with the disk.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[derive(Deserialize)]
struct Index {
    releases: BTreeMap<String, BTreeMap<String, Listed>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    hash: String,
    self_link: String,
}

impl Archive {
    /// The one for this machine, if there is one.
    pub(super) fn of_this_machine() -> Result<Option<Self>, EnvtestError> {
        Self::listed(consts::OS, consts::ARCH)
    }

    /// The newest for a system and a processor, which go by their names in Rust.
    fn listed(system: &str, processor: &str) -> Result<Option<Self>, EnvtestError> {
        let index: Index =
            serde_saphyr::from_str(INDEX).map_err(|error| EnvtestError::Index(Box::new(error)))?;
        let system = if system == "macos" { "darwin" } else { system };
        let processor = match processor {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let archives = index.releases.into_iter().next_back();
        Ok(archives.and_then(|(version, mut archives)| {
            let name = format!("envtest-{version}-{system}-{processor}.tar.gz");
            let listed = archives.remove(&name)?;
            Some(Self {
                version,
                url: listed.self_link,
                sha512: listed.hash,
            })
        }))
    }

    /// The name of a folder for its programs, which no other archive has.
    pub(super) fn key(&self) -> &str {
        self.sha512.get(..16).unwrap_or(&self.sha512)
    }

    /// Downloads it and makes `folder` of its programs, if it is what was published. What comes out
    /// otherwise leaves nothing behind. This tells on standard error how it gets on, and blocks.
    pub(super) fn unpack_to(&self, folder: &Path, patience: Patience) -> Result<(), EnvtestError> {
        let workspace = folder.with_extension("downloading");
        let unpacked = self.unpack_in(&workspace, patience).and_then(|programs| {
            remove(folder)?;
            fs::rename(&programs, folder).map_err(cannot_write(folder))
        });
        unpacked.and(remove(&workspace))
    }

    /// The same in a folder for all that is left of it, which is emptied before.
    fn unpack_in(&self, workspace: &Path, patience: Patience) -> Result<PathBuf, EnvtestError> {
        remove(workspace)?;
        let programs = workspace.join("bin");
        fs::create_dir_all(&programs).map_err(cannot_write(&programs))?;
        let path = workspace.join("archive");
        let mut file = File::options();
        file.read(true).write(true).create_new(true);
        let mut archive = file.open(&path).map_err(cannot_write(&path))?;
        let found = self.download(&mut archive, &path, patience)?;
        if found != self.sha512 {
            return Err(EnvtestError::Checksum {
                url: self.url.clone(),
                found,
                expected: self.sha512.clone(),
            });
        }
        archive.rewind().map_err(cannot_write(&path))?;
        self.unpack(archive, &programs)?;
        Ok(programs)
    }

    /// Writes it to a file, and returns the SHA-512 of that.
    ///
    /// On a thread of its own, since who calls may be within an async runtime, in which no other
    /// may run.
    fn download(
        &self,
        file: &mut File,
        path: &Path,
        patience: Patience,
    ) -> Result<String, EnvtestError> {
        let download = || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().map_err(cannot_write(path))?;
            let mut download = Download {
                file,
                path,
                silence: patience.silence,
                progress: Progress::new(&format!("downloading Kubernetes {}", self.version)),
            };
            let late = |_| EnvtestError::Late {
                url: self.url.clone(),
                within: patience.whole,
            };
            let hash = runtime.block_on(async {
                let whole = timeout(patience.whole, download.all_of(&self.url));
                whole.await.map_err(late).flatten()
            });
            // The system may still be looking for a name.
            runtime.shutdown_background();
            hash
        };
        let done = thread::scope(|scope| scope.spawn(download).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Writes the three programs to a folder, and nothing else that there is in the archive.
    fn unpack(&self, archive: File, folder: &Path) -> Result<(), EnvtestError> {
        let cannot = |source| EnvtestError::Unpack {
            url: self.url.clone(),
            source,
        };
        let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(archive)));
        let mut missing = PROGRAMS.to_vec();
        for entry in archive.entries().map_err(cannot)? {
            let mut entry = entry.map_err(cannot)?;
            let Some(name) = program(&entry).map_err(cannot)? else {
                continue;
            };
            let path = folder.join(name);
            let mut program = OpenOptions::new();
            program.write(true).create_new(true).mode(0o755);
            let mut program = program.open(&path).map_err(cannot_write(&path))?;
            io::copy(&mut entry, &mut program).map_err(cannot)?;
            missing.retain(|missing| *missing != name);
        }
        match missing.first() {
            Some(name) => Err(EnvtestError::Lacks {
                url: self.url.clone(),
                name,
            }),
            None => Ok(()),
        }
    }
}

/// Which of the programs an entry is.
fn program<R: io::Read>(entry: &tar::Entry<'_, R>) -> io::Result<Option<&'static str>> {
    if !entry.header().entry_type().is_file() {
        return Ok(None);
    }
    let path = entry.path()?;
    let path = path.strip_prefix(".").unwrap_or(&path);
    let mut names = PROGRAMS.into_iter();
    Ok(names.find(|name| *path == Path::new(FOLDER).join(name)))
}

/// What is downloaded, to a file.
struct Download<'a> {
    file: &'a mut File,
    path: &'a Path,
    silence: Duration,
    progress: Progress,
}

impl Download<'_> {
    /// Returns the SHA-512 of all that a server sends.
    async fn all_of(&mut self, url: &str) -> Result<String, EnvtestError> {
        let (url, answer) = self.answer(url).await?;
        let mut body = answer.into_body();
        let mut hash = Sha512::new();
        let mut bytes = 0;
        while let Some(frame) = self.in_time(&url, body.frame()).await? {
            let cut_off = |source| EnvtestError::CutOff {
                url: url.to_string(),
                bytes,
                source,
            };
            let Ok(data) = frame.map_err(cut_off)?.into_data() else {
                continue;
            };
            hash.update(&data);
            self.file
                .write_all(&data)
                .map_err(cannot_write(self.path))?;
            let received = data.len() as u64;
            bytes += received;
            if bytes > MOST_BYTES {
                return Err(EnvtestError::TooLarge {
                    url: url.to_string(),
                });
            }
            self.progress.received(received);
        }
        self.progress.finish();
        let hash = hash.finalize();
        Ok(hash.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    /// What is answered at last, where redirections lead, and from where.
    async fn answer(&self, url: &str) -> Result<(Uri, Response<Incoming>), EnvtestError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(self.silence));
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(ring::default_provider())
            .map_err(EnvtestError::Roots)?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let not_a_url = |url: &str| EnvtestError::Url {
            url: url.to_owned(),
        };
        let mut url: Uri = url.parse().map_err(|_| not_a_url(url))?;
        for _ in 0..=MOST_REDIRECTS {
            let mut request = Request::new(String::new());
            *request.uri_mut() = url.clone();
            let answer = self.in_time(&url, client.request(request)).await?;
            let answer = answer.map_err(|source| EnvtestError::Unreachable {
                url: url.to_string(),
                source: Box::new(source),
            })?;
            let status = answer.status();
            let location = answer.headers().get(LOCATION);
            url = match location.filter(|_| status.is_redirection()) {
                Some(location) => {
                    let location = String::from_utf8_lossy(location.as_bytes());
                    redirected(&url, &location).ok_or_else(|| not_a_url(&location))?
                }
                None if status.is_success() => return Ok((url, answer)),
                None => {
                    return Err(EnvtestError::Refused {
                        url: url.to_string(),
                        status,
                    });
                }
            };
        }
        Err(EnvtestError::Redirects {
            url: url.to_string(),
        })
    }

    async fn in_time<T>(
        &self,
        url: &Uri,
        next: impl Future<Output = T>,
    ) -> Result<T, EnvtestError> {
        let late = |_| EnvtestError::Late {
            url: url.to_string(),
            within: self.silence,
        };
        timeout(self.silence, next).await.map_err(late)
    }
}

/// Where a server redirects to, which may leave out what stays the same; never away from TLS.
fn redirected(from: &Uri, location: &str) -> Option<Uri> {
    let mut parts = location.parse::<Uri>().ok()?.into_parts();
    parts.scheme = parts.scheme.or_else(|| from.scheme().cloned());
    parts.authority = parts.authority.or_else(|| from.authority().cloned());
    let to = Uri::from_parts(parts).ok()?;
    let is_secret = |url: &Uri| url.scheme_str() == Some("https");
    (is_secret(&to) || !is_secret(from)).then_some(to)
}

fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> EnvtestError {
    let path = path.to_owned();
    |source| EnvtestError::Write { path, source }
}

fn remove(folder: &Path) -> Result<(), EnvtestError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot_write(folder)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{BufRead, Read};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Arc, Mutex};

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{EntryType, Header};

    use super::*;

    /// A loaded machine may take its time.
    pub(in super::super) const PATIENT: Patience = Patience {
        silence: Duration::from_secs(20),
        whole: Duration::from_mins(1),
    };
    /// For what never comes.
    const IMPATIENT: Patience = Patience {
        silence: Duration::from_millis(200),
        ..PATIENT
    };

    /// An HTTP server that gives each request the next of some answers, and then none any more.
    pub(in super::super) struct Server {
        address: SocketAddr,
        asked: Arc<Mutex<Vec<String>>>,
    }

    /// What a server sends, and whether it then ends the connection.
    pub(in super::super) struct Answer {
        head: String,
        body: Vec<u8>,
        ends: bool,
    }

    impl Answer {
        pub(in super::super) fn new(head: &str, body: &[u8]) -> Self {
            Self {
                head: format!("HTTP/1.1 {head}\r\n"),
                body: body.to_vec(),
                ends: true,
            }
        }

        pub(in super::super) fn found(body: &[u8]) -> Self {
            Self::new(&format!("200 OK\r\nContent-Length: {}", body.len()), body)
        }

        fn without_an_end(mut self) -> Self {
            self.ends = false;
            self
        }
    }

    impl Server {
        pub(in super::super) fn start(answers: Vec<Answer>) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let asked = Arc::new(Mutex::new(Vec::new()));
            let asked_of = Arc::clone(&asked);
            thread::spawn(move || {
                let mut open: Vec<TcpStream> = Vec::new();
                for answer in answers {
                    let (mut stream, _) = listener.accept().unwrap();
                    asked_of.lock().unwrap().push(request_line(&stream));
                    // Whoever asked may have gone.
                    let _ = stream.write_all(answer.head.as_bytes());
                    let _ = stream.write_all(b"Connection: close\r\n\r\n");
                    let _ = stream.write_all(&answer.body);
                    if !answer.ends {
                        open.push(stream);
                    }
                }
                // Until the end of all, where connections are open that say nothing any more.
                if !open.is_empty() {
                    let _ = listener.accept();
                }
            });
            Self { address, asked }
        }

        pub(in super::super) fn archive(&self, archive: &[u8]) -> Archive {
            let hash = Sha512::digest(archive);
            let digits = hash.iter().map(|byte| format!("{byte:02x}"));
            Archive {
                version: "v1.2.3".to_owned(),
                url: format!("http://{}/envtest.tar.gz", self.address),
                sha512: digits.collect(),
            }
        }
    }

    fn request_line(stream: &TcpStream) -> String {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let first = lines.next().unwrap_or_default();
        lines.find(String::is_empty);
        first
    }

    /// An archive with files of these names, each of which holds its name.
    pub(in super::super) fn archive_of(names: &[&str]) -> Vec<u8> {
        archive_with(names.iter().map(|name| (*name, EntryType::Regular)))
    }

    pub(in super::super) const WHOLE: [&str; 3] = [
        "controller-tools/envtest/etcd",
        "controller-tools/envtest/kube-apiserver",
        "controller-tools/envtest/kubectl",
    ];

    /// Names are written as they are: `Builder::append_data` would refuse those that lead out of a
    /// folder.
    fn archive_with<'a>(entries: impl Iterator<Item = (&'a str, EntryType)>) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, kind) in entries {
            let mut header = Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(kind);
            header.set_mode(0o600);
            let content = if kind == EntryType::Regular { name } else { "" };
            header.set_size(content.len() as u64);
            if kind == EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            archive.append(&header, content.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    /// What an archive comes to, and the names of all that is there afterwards.
    fn unpacked(
        archive: &Archive,
        patience: Patience,
    ) -> (Result<(), EnvtestError>, Vec<String>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let done = archive.unpack_to(&folder.path().join("programs"), patience);
        let there = names_in(folder.path());
        (done, there, folder)
    }

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = folder.read_dir().unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    fn complaint(archive: &Archive) -> String {
        complaint_within(archive, PATIENT)
    }

    fn complaint_within(archive: &Archive, patience: Patience) -> String {
        let (done, there, _folder) = unpacked(archive, patience);
        assert_eq!(there, [] as [&str; 0], "it left something behind");
        done.unwrap_err().to_string()
    }

    #[test]
    fn the_three_programs_are_unpacked_and_nothing_else_is() {
        let mut names = vec!["controller-tools/envtest/README.md", "etcd"];
        names.extend(WHOLE);
        names.extend([
            "controller-tools/envtest/../../../etcd",
            "/controller-tools/envtest/kubectl",
            "controller-tools/envtest/bin/kubectl",
        ]);
        let archive = archive_of(&names);
        let server = Server::start(vec![Answer::found(&archive)]);

        let (done, there, folder) = unpacked(&server.archive(&archive), PATIENT);

        done.unwrap();
        assert_eq!(there, ["programs"]);
        let programs = folder.path().join("programs");
        assert_eq!(names_in(&programs), PROGRAMS);
        for name in PROGRAMS {
            let path = programs.join(name);
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text, format!("controller-tools/envtest/{name}"));
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o100, 0o100, "{name} can be executed");
        }
    }

    #[test]
    fn what_another_download_left_is_replaced() {
        let archive = archive_of(&WHOLE);
        let server = Server::start(vec![Answer::found(&archive)]);
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("programs");
        for name in ["programs", "programs.downloading/bin"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("etcd"), "half of it").unwrap();
        }

        let archive = server.archive(&archive);
        archive.unpack_to(&programs, PATIENT).unwrap();

        assert_eq!(names_in(folder.path()), ["programs"]);
        let etcd = fs::read_to_string(programs.join("etcd")).unwrap();
        assert_eq!(etcd, WHOLE[0]);
    }

    #[test]
    fn redirections_are_followed() {
        let archive = archive_of(&WHOLE);
        let there = Server::start(vec![
            Answer::new("307 Temporary Redirect\r\nLocation: /files?id=1", b""),
            Answer::found(&archive),
        ]);
        let away = format!("302 Found\r\nLocation: http://{}/", there.address);
        let server = Server::start(vec![Answer::new(&away, b"")]);

        let (done, _, _folder) = unpacked(&server.archive(&archive), PATIENT);

        done.unwrap();
        assert_eq!(
            *there.asked.lock().unwrap(),
            ["GET / HTTP/1.1", "GET /files?id=1 HTTP/1.1"]
        );
    }

    #[test]
    fn redirections_end() {
        let again = || Answer::new("302 Found\r\nLocation: /again", b"");
        let server = Server::start((0..10).map(|_| again()).collect());

        let told = complaint(&server.archive(b""));

        assert!(
            told.ends_with("/again is redirected more than 5 times"),
            "{told}"
        );
        assert_eq!(server.asked.lock().unwrap().len(), 1 + MOST_REDIRECTS);
    }

    #[test]
    fn tls_is_not_left() {
        let from = Uri::from_static("https://example.com/a");
        let to = |location| redirected(&from, location).map(|to| to.to_string());

        assert_eq!(to("http://example.com/b"), None);
        assert_eq!(to("/b").as_deref(), Some("https://example.com/b"));
        assert_eq!(
            to("https://b.example.com/").as_deref(),
            Some("https://b.example.com/")
        );
        assert_eq!(to("not a URL"), None);
    }

    #[test]
    fn what_was_not_published_is_not_unpacked() {
        let archive = archive_of(&WHOLE);
        let server = Server::start(vec![Answer::found(&archive)]);
        let mut other = server.archive(&archive);
        other.sha512 = "0123".to_owned();

        let told = complaint(&other);

        let found = server.archive(&archive).sha512;
        assert_eq!(
            told,
            format!("{} has the SHA-512 {found}, not 0123", other.url)
        );
    }

    #[test]
    fn what_is_cut_off_is_not_unpacked() {
        let archive = archive_of(&WHOLE);
        let head = format!("200 OK\r\nContent-Length: {}", archive.len());
        let server = Server::start(vec![Answer::new(&head, &archive[..100])]);

        let told = complaint(&server.archive(&archive));

        assert!(told.ends_with("was cut off after 100 bytes"), "{told}");
    }

    #[test]
    fn what_ends_early_without_having_said_its_length_is_not_unpacked() {
        let archive = archive_of(&WHOLE);
        let server = Server::start(vec![Answer::new("200 OK", &archive[..100])]);

        let told = complaint(&server.archive(&archive));

        assert!(told.contains(" has the SHA-512 "), "{told}");
    }

    #[test]
    fn what_is_not_there_is_told_with_its_status() {
        let server = Server::start(vec![Answer::new("404 Not Found", b"no such file")]);

        let told = complaint(&server.archive(b""));

        assert!(
            told.ends_with("/envtest.tar.gz answers 404 Not Found"),
            "{told}"
        );
    }

    #[test]
    fn a_server_that_does_not_answer_is_left_alone() {
        // It accepts the connection, as the system does for it, and that is all.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let mut archive = Server::start(Vec::new()).archive(b"");
        archive.url = format!("http://{address}/");

        let told = complaint_within(&archive, IMPATIENT);

        assert_eq!(told, format!("http://{address}/ is not there within 0.2 s"));
    }

    #[test]
    fn a_server_that_says_nothing_more_is_left_alone() {
        let archive = archive_of(&WHOLE);
        let head = format!("200 OK\r\nContent-Length: {}", archive.len());
        let half = Answer::new(&head, &archive[..100]).without_an_end();
        let server = Server::start(vec![half]);

        let told = complaint_within(&server.archive(&archive), IMPATIENT);

        assert!(told.ends_with(" is not there within 0.2 s"), "{told}");
    }

    #[test]
    fn where_nobody_listens_nothing_is_waited_for() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let mut archive = Server::start(Vec::new()).archive(b"");
        archive.url = format!("http://{}/", address.unwrap());

        let told = complaint(&archive);

        assert_eq!(told, format!("no answer from {}", archive.url));
    }

    #[test]
    fn a_program_that_is_not_a_file_of_its_own_is_lacking() {
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Directory] {
            let kinds = [EntryType::Regular, EntryType::Regular, kind];
            let archive = archive_with(WHOLE.into_iter().zip(kinds));
            let server = Server::start(vec![Answer::found(&archive)]);

            let told = complaint(&server.archive(&archive));

            assert!(
                told.ends_with(" lacks controller-tools/envtest/kubectl"),
                "{kind:?}: {told}"
            );
        }
    }

    #[test]
    fn a_program_is_there_once() {
        let mut names = WHOLE.to_vec();
        names.push(WHOLE[0]);
        let archive = archive_of(&names);
        let server = Server::start(vec![Answer::found(&archive)]);

        let told = complaint(&server.archive(&archive));

        assert!(told.starts_with("cannot write /"), "{told}");
    }

    #[test]
    fn what_was_published_in_another_form_is_not_unpacked() {
        let page = b"<html>";
        let server = Server::start(vec![Answer::found(page)]);

        let told = complaint(&server.archive(page));

        assert!(told.starts_with("cannot unpack http://"), "{told}");
    }

    #[test]
    fn every_archive_of_the_index_has_a_whole_hash_and_its_own_address() {
        let index: Index = serde_saphyr::from_str(INDEX).unwrap();

        assert_eq!(index.releases.len(), 1, "one version is pinned");
        for (version, archives) in &index.releases {
            for (name, Listed { hash, self_link }) in archives {
                let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                assert!(hash.len() == 128 && hash.bytes().all(is_digit), "{name}");
                let end = format!("/envtest-{version}/{name}");
                assert!(
                    self_link.starts_with("https://") && self_link.ends_with(&end),
                    "{self_link}"
                );
            }
        }
    }

    #[test]
    fn systems_and_processors_go_by_their_names_in_go() {
        for (system, processor, name) in [
            ("linux", "x86_64", "linux-amd64"),
            ("linux", "aarch64", "linux-arm64"),
            ("linux", "s390x", "linux-s390x"),
            ("macos", "aarch64", "darwin-arm64"),
        ] {
            let archive = Archive::listed(system, processor).unwrap().unwrap();
            let end = format!("-{name}.tar.gz");
            assert!(archive.url.ends_with(&end), "{}", archive.url);
        }
        assert!(Archive::listed("linux", "riscv64").unwrap().is_none());
    }

    #[test]
    fn what_a_server_sends_is_read_to_its_end() {
        // Of this size it comes in many parts.
        let large: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[0]).collect();
        let server = Server::start(vec![Answer::found(&large)]);
        let mut file = tempfile::tempfile().unwrap();

        let archive = server.archive(&large);
        let hash = archive
            .download(&mut file, Path::new("large"), PATIENT)
            .unwrap();

        assert_eq!(hash, archive.sha512);
        let mut written = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut written).unwrap();
        assert!(written == large, "{} bytes were written", written.len());
    }
}
