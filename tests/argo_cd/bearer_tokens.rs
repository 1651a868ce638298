//! A search for bearer tokens, wherever one may have been left.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use harness::User;
use regex::bytes::Regex;
use serde_json::Value;

/// How often what is in base64 is decoded again, such as the `data` of a Secret in a Secret.
const DEPTH: usize = 3;

/// What a bearer token looks like, or what leads to one. Names and descriptions of fields are not
/// meant.
const FORMS: [(&str, &str); 5] = [
    (
        "JSON Web Token",
        r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}",
    ),
    ("token of EKS", r"k8s-aws-v1\.[A-Za-z0-9_-]{16,}"),
    // A token of EKS is this request, in base64.
    ("presigned request", r"X-Amz-Signature=[0-9a-f]{64}"),
    (
        "bearerToken",
        r#"(?i-u:bearerToken)\\*["']?\s*[:=]\s*\\*["']?[A-Za-z0-9_]"#,
    ),
    ("Authorization", r"(?i-u:bearer) +[A-Za-z0-9._~+/-]{20,}=*"),
];

/// What may be base64, with or without padding, in either alphabet.
const BASE64: &str = r"[A-Za-z0-9+/_-]{24,}";

/// A bearer token, and where it is. Of the token nothing is shown.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Found {
    /// A file, an object, a process.
    pub(crate) place: String,
    /// One of [`FORMS`].
    pub(crate) form: &'static str,
    /// The subject of a JSON Web Token: whom it lets in.
    pub(crate) subject: Option<String>,
}

/// What was looked at, and what was found there.
#[derive(Debug)]
pub(crate) struct Search {
    forms: Vec<(&'static str, Regex)>,
    base64: Regex,
    pub(crate) found: BTreeSet<Found>,
    /// How many files, objects and processes.
    pub(crate) looked_at: usize,
}

impl Search {
    pub(crate) fn new() -> Result<Self> {
        let compiled = FORMS
            .iter()
            .map(|(form, pattern)| Ok((*form, Regex::new(&format!("(?-u:{pattern})"))?)));
        Ok(Self {
            forms: compiled.collect::<Result<_>>()?,
            base64: Regex::new(&format!("(?-u:{BASE64})"))?,
            found: BTreeSet::new(),
            looked_at: 0,
        })
    }

    /// Looks at a text, and at what is in it in base64.
    pub(crate) fn text(&mut self, place: &str, text: &[u8]) {
        self.looked_at += 1;
        self.decoded(place, text, DEPTH);
    }

    fn decoded(&mut self, place: &str, text: &[u8], depth: usize) {
        for (form, pattern) in &self.forms {
            let found = pattern.find_iter(text).map(|found| Found {
                place: place.to_owned(),
                form,
                subject: subject(found.as_bytes()),
            });
            self.found.extend(found);
        }
        if depth == 0 {
            return;
        }
        let inner = self.base64.find_iter(text);
        let inner: Vec<_> = inner.filter_map(|run| decode(run.as_bytes())).collect();
        for text in inner {
            self.decoded(place, &text, depth - 1);
        }
    }

    /// Looks at all files of a folder.
    pub(crate) fn folder(&mut self, folder: &Path) -> Result<()> {
        let cannot = || format!("cannot read {}", folder.display());
        for entry in fs::read_dir(folder).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            let (path, kind) = (entry.path(), entry.file_type().with_context(cannot)?);
            if kind.is_dir() {
                self.folder(&path)?;
            } else if kind.is_file() {
                // One that was there for a moment only is nowhere now.
                if let Ok(content) = fs::read(&path) {
                    let end = content.iter().rposition(|byte| *byte != 0);
                    let content = &content[..end.map_or(0, |end| end + 1)];
                    self.text(&path.display().to_string(), content);
                }
            }
        }
        Ok(())
    }

    /// Looks at all objects of a cluster, of all kinds and in all namespaces.
    pub(crate) async fn cluster(&mut self, name: &str, admin: &User) -> Result<()> {
        let list = ["api-resources", "--verbs=list", "--output=name"];
        let kinds = admin.kubectl(list).run().await?;
        ensure!(kinds.status.success(), "{}", kinds.stderr);
        let kinds = kinds.stdout.lines();
        let kinds: Vec<_> = kinds.filter(|kind| *kind != "componentstatuses").collect();
        for must in ["secrets", "configmaps", "events"] {
            ensure!(kinds.contains(&must), "{name} has no {must}");
        }
        let get = ["get", &kinds.join(","), "--all-namespaces"];
        let flags = ["--output=json", "--show-managed-fields"];
        let objects = admin.kubectl(get).arguments(flags).run().await?;
        ensure!(objects.status.success(), "{}", objects.stderr);
        let objects: Value = serde_json::from_str(&objects.stdout)?;
        for object in objects["items"].as_array().into_iter().flatten() {
            let metadata = &object["metadata"];
            let parts = [&object["kind"], &metadata["namespace"], &metadata["name"]];
            let parts = parts.iter().filter_map(|part| part.as_str());
            let object_name = parts.collect::<Vec<_>>().join(" ");
            self.text(
                &format!("{name}: {object_name}"),
                object.to_string().as_bytes(),
            );
        }
        Ok(())
    }

    /// Looks at the arguments and the environment of all processes that this one has started, and
    /// of those that they have, as far as one of these folders is named there: other tests have
    /// processes, too.
    pub(crate) fn processes(&mut self, folders: &[&Path]) -> Result<()> {
        let parents: Vec<(u32, u32)> = fs::read_dir("/proc")?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|process| Some((process, parent(process)?)))
            .collect();
        let folders = folders
            .iter()
            .map(|folder| regex::escape(&folder.to_string_lossy()));
        let of_test = Regex::new(&folders.collect::<Vec<_>>().join("|"))?;
        let mut ours = vec![process::id()];
        while let Some(process) = ours.pop() {
            let children = parents.iter().filter(|(_, parent)| *parent == process);
            for (child, _) in children {
                ours.push(*child);
                // One that has ended meanwhile has neither.
                let read = |what| fs::read(format!("/proc/{child}/{what}")).unwrap_or_default();
                let [arguments, environment] = ["cmdline", "environ"].map(read);
                if of_test.is_match(&arguments) || of_test.is_match(&environment) {
                    self.text(&format!("process {child}, cmdline"), &arguments);
                    self.text(&format!("process {child}, environ"), &environment);
                }
            }
        }
        Ok(())
    }
}

/// The parent of a process. Its name, which comes before, may have anything in it but is in
/// parentheses.
fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn decode(run: &[u8]) -> Option<Vec<u8>> {
    let is_url_safe = run.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let engine: &GeneralPurpose = if is_url_safe {
        &BASE64_URL_SAFE_NO_PAD
    } else {
        &BASE64_STANDARD_NO_PAD
    };
    engine.decode(run).ok()
}

fn subject(token: &[u8]) -> Option<String> {
    let claims = token.split(|byte| *byte == b'.').nth(1)?;
    let claims: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(claims["sub"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use base64::prelude::BASE64_STANDARD;
    use serde_json::json;

    use super::*;

    fn token(subject: &str) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let [header, claims] = [json!({"alg": "RS256"}), json!({"sub": subject})];
        let signature = BASE64_URL_SAFE_NO_PAD.encode([7; 32]);
        format!("{}.{}.{signature}", part(&header), part(&claims))
    }

    fn forms(text: &str) -> Vec<&'static str> {
        let mut search = Search::new().unwrap();
        search.text("here", text.as_bytes());
        search.found.iter().map(|found| found.form).collect()
    }

    #[test]
    fn a_token_is_found_in_each_form_and_as_often_as_it_is_encoded() {
        let signature = "0123456789abcdef".repeat(4);
        let request = format!("https://sts.amazonaws.com/?Action=x&X-Amz-Signature={signature}");
        let of_eks = format!("k8s-aws-v1.{}", BASE64_URL_SAFE_NO_PAD.encode(&request));
        for (text, form) in [
            (format!("token={} ", token("alice")), "JSON Web Token"),
            (of_eks, "token of EKS"),
            (request, "presigned request"),
            (r#"{"bearerToken":"opaque"}"#.to_owned(), "bearerToken"),
            (r#"{\"bearerToken\": \"opaque\"}"#.to_owned(), "bearerToken"),
            ("bearerToken: opaque".to_owned(), "bearerToken"),
            (
                "authorization: bearer 0123456789abcdef0123".to_owned(),
                "Authorization",
            ),
        ] {
            let once = BASE64_STANDARD.encode(format!("some words before {text}"));
            let twice = BASE64_STANDARD.encode(json!({"data": {"config": &once}}).to_string());
            for text in [&text, &once, &twice] {
                assert!(forms(text).contains(&form), "{form}: {text}");
            }
        }
    }

    #[test]
    fn whom_a_token_lets_in_is_said_and_nothing_else() {
        let mut search = Search::new().unwrap();
        search.text(
            "here",
            token("system:serviceaccount:kube-system:x").as_bytes(),
        );
        let found = Found {
            place: "here".to_owned(),
            form: "JSON Web Token",
            subject: Some("system:serviceaccount:kube-system:x".to_owned()),
        };
        assert_eq!(search.found, BTreeSet::from([found]));
    }

    #[test]
    fn what_only_speaks_of_tokens_is_none() {
        for text in [
            r#"{"bearerToken":{"type":"string"}}"#,
            "bearerToken is the token of a robot",
            r#"{"awsAuthConfig":{"clusterName":"orders"},"tlsClientConfig":{"insecure":false}}"#,
            "the bearer of the ring",
            "eyJhIjoxfQ",
        ] {
            assert_eq!(forms(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn files_and_processes_are_searched() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("deep/file"), token("alice")).unwrap();
        let mut search = Search::new().unwrap();
        search.folder(folder.path()).unwrap();
        let places = |search: &Search| {
            let found = search.found.iter();
            found.map(|found| found.place.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            places(&search),
            [folder.path().join("deep/file").display().to_string()]
        );

        // It waits for its standard input to end.
        let mut child = Command::new("/bin/sh")
            .args(["-c", "read line", "sh", &token("bob")])
            .env("TOKEN", token("carol"))
            .env("HOME", folder.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut search = Search::new().unwrap();
        search.processes(&[folder.path()]).unwrap();
        let of_child = ["cmdline", "environ"].map(|what| format!("process {}, {what}", child.id()));
        assert_eq!(places(&search), of_child);
        let mut search = Search::new().unwrap();
        search.processes(&[Path::new("/nowhere")]).unwrap();
        assert_eq!(places(&search), [""; 0]);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
