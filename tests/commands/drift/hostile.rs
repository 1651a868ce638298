//! An argocd-server that answers whatever it likes: what is wrong is told for the Application that
//! it is about, the rest is judged, and no value of a Secret is seen anywhere.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::plugin::plugin_as;
use harness::{ControlPlane, argo_cd_crds, succeed};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{all, report};

const FORMATS: [&str; 9] = [
    "table",
    "wide",
    "json",
    "yaml",
    "name",
    "markdown",
    "junit",
    "openmetrics",
    "html",
];
/// What a Secret holds in Git and on the cluster.
const PASSWORDS: [&str; 2] = ["correct-horse-battery", "staple-of-the-other-horse"];
const TOKEN: &str = "a-token-that-nobody-may-see";
const LARGE: usize = 10 << 20;

/// An answer to each path; nothing is there but these.
type Answers = BTreeMap<String, Answer>;

/// A status, and a body.
type Answer = (u16, Vec<u8>);

fn serve(answers: Answers) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let answers = Arc::new(answers);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answers = Arc::clone(&answers);
            // Whoever asks may be gone.
            thread::spawn(move || drop(answer(stream, &answers)));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, answers: &Answers) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let target = head.split(' ').nth(1).context("there is no target")?;
    let path = target.split('?').next().context("there is no path")?;
    let (code, body) = match answers.get(path) {
        Some((code, body)) => (*code, body.as_slice()),
        None => (404, &b"{}"[..]),
    };
    let head = format!(
        "HTTP/1.1 {code} .\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    Ok(stream.write_all(body)?)
}

/// A Secret that differs, unmasked, as no argocd-server sends it.
fn item(change: &Value) -> Value {
    let secret = |password: &str| {
        let data = BASE64_STANDARD.encode(password);
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": "password", "namespace": "shop",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json!({"data": {"password": data}}).to_string()},
            },
            "data": {"password": data},
            "stringData": {"other": password},
        })
        .to_string()
    };
    let [desired, live] = PASSWORDS.map(secret);
    let mut item = json!({
        "group": "", "kind": "Secret", "namespace": "shop", "name": "password", "modified": true,
        "targetState": desired, "liveState": live, "normalizedLiveState": live, "predictedLiveState": desired,
    });
    json_patch::merge(&mut item, change);
    item
}

/// An Application by its name, with what is answered and what is said of it, if it cannot be judged.
type Case = (&'static str, Answer, Option<&'static str>);

fn applications() -> Vec<Case> {
    let items = |items: &[Value]| (200, json!({"items": items}).to_string().into_bytes());
    let text = |text: &str| (200, text.as_bytes().to_vec());
    let large = format!(
        "{{\"data\": \"{}\"}}",
        PASSWORDS[0].repeat(LARGE / PASSWORDS[0].len())
    );
    let controls = "password\u{1b}[2J\u{7}\r\nspec\u{0}";
    vec![
        ("good", items(&[item(&json!({}))]), None),
        (
            "garbage",
            text(&format!("{} <html>", PASSWORDS[0])),
            Some("it is not JSON"),
        ),
        (
            "cut",
            text(&format!("{{\"items\": [{{\"kind\": \"{}", PASSWORDS[1])),
            Some("it is not JSON"),
        ),
        (
            "deep",
            text(&"[".repeat(100_000)),
            Some("something else than managed resources"),
        ),
        (
            "bytes",
            (200, vec![0xff, 0xfe, 0x00, 0x80]),
            Some("it is not UTF-8"),
        ),
        ("nothing", (200, Vec::new()), Some("it is not JSON")),
        (
            "list",
            items(&[json!(PASSWORDS)]),
            Some("is not what Argo CD writes there"),
        ),
        (
            "types",
            items(&[item(&json!({"liveState": {"password": PASSWORDS[0]}}))]),
            Some("liveState is not what Argo CD writes there"),
        ),
        (
            "numbers",
            items(&[item(&json!({"modified": PASSWORDS[0]}))]),
            Some("modified is not what Argo CD writes there"),
        ),
        (
            "large",
            items(&[item(&json!({"liveState": large}))]),
            Some("its liveState is larger than 4 MiB"),
        ),
        (
            "names",
            items(&[item(&json!({"name": controls}))]),
            Some("its name is not a name of Kubernetes"),
        ),
        (
            "kinds",
            items(&[item(&json!({"kind": controls}))]),
            Some("its kind is not a name of Kubernetes"),
        ),
        (
            "states",
            items(&[item(&json!({"predictedLiveState": PASSWORDS[0]}))]),
            Some("its predictedLiveState is not an object in JSON"),
        ),
        (
            "error",
            (
                500,
                json!({"message": "no\u{1b}[2J\u{7}"})
                    .to_string()
                    .into_bytes(),
            ),
            Some("argocd-server answered 500: no"),
        ),
        ("gone", (404, Vec::new()), Some("argocd-server")),
        (
            "away",
            (302, Vec::new()),
            Some("sends on to another address"),
        ),
    ]
}

fn application(name: &str) -> Value {
    let source = json!({"repoURL": "https://git.example.com/shop.git", "path": "deploy"});
    let destination = json!({"server": "https://kubernetes.default.svc", "namespace": "shop"});
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {"project": "default", "source": source, "destination": destination},
        "status": {
            "sync": {"status": "OutOfSync", "comparedTo": {"source": source, "destination": destination}},
            "health": {"status": "Healthy"},
            "reconciledAt": jiff::Timestamp::now().to_string(),
        },
    })
}

#[tokio::test]
async fn what_a_hostile_server_answers_is_told_for_each_application() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let crds = spawn_blocking(argo_cd_crds).await??;
    control_plane.install_crds(&crds).await?;
    let admin = control_plane.admin();
    succeed(admin.kubectl(["create", "namespace", "argocd"])).await?;
    let all_of_them = applications();
    let items: Vec<Value> = all_of_them
        .iter()
        .map(|(name, ..)| application(name))
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    succeed(admin.kubectl(["create", "-f", "-"]).input(list.to_string())).await?;

    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "argoproj.io",
        "v1alpha1",
        "Application",
    ));
    let stored: Api<DynamicObject> =
        Api::namespaced_with(admin.client().await?, "argocd", &resource);
    let stored = stored.list(&ListParams::default()).await?;
    let identities = json!({"items": stored.items}).to_string().into_bytes();
    let mut answers: Answers =
        BTreeMap::from([("/api/v1/applications".to_owned(), (200, identities))]);
    for (name, answer, _) in &all_of_them {
        let path = format!("/api/v1/applications/{name}/managed-resources");
        answers.insert(path, answer.clone());
    }
    let address = serve(answers)?;

    let drift = async |arguments: &[&str]| -> Result<Output> {
        let drift = plugin_as(admin)?
            .args(["drift", "--argocd-server", &address, "--plaintext"])
            .args(arguments)
            .env("ARGOCD_AUTH_TOKEN", TOKEN)
            .env("RUST_LOG", "trace")
            .output();
        Ok(drift.await?)
    };
    let output = drift(&["-o", "json"]).await?;
    assert_eq!(output.status.code(), Some(2), "{}", all(&output));
    let report = report(&output)?;
    let found = report["applications"].as_array().context("applications")?;
    assert_eq!(found.len(), all_of_them.len());
    for (name, _, expected) in &all_of_them {
        let one = found.iter().find(|one| one["name"] == *name);
        let one = one.with_context(|| format!("{name} is not told of"))?;
        let Some(expected) = expected else {
            assert_eq!(one["verdict"], "drifted", "{one}");
            continue;
        };
        assert_eq!(one["verdict"], "unknown", "{one}");
        let reason = one["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(expected), "{name}: {reason}");
        let object = format!("application/{name}");
        let problems = report["problems"].as_array().context("problems")?;
        assert!(
            problems.iter().any(|problem| problem["object"] == *object),
            "{name}"
        );
    }

    for format in FORMATS {
        for flags in [
            &[][..],
            &["good"],
            &["--kind", "secret"],
            &["--partial-ok", "--exit-zero"],
        ] {
            let text = all(&drift(&[&["-o", format], flags].concat()).await?);
            assert!(!text.contains(TOKEN), "{format}");
            for password in PASSWORDS {
                let encoded = BASE64_STANDARD.encode(password);
                for value in [password, encoded.trim_end_matches('=')] {
                    assert!(!text.contains(value), "{format} {flags:?}: {text}");
                }
            }
            let is_control =
                |character: char| character.is_control() && !matches!(character, '\n' | '\t');
            assert_eq!(
                text.chars().find(|character| is_control(*character)),
                None,
                "{format}"
            );
        }
    }
    Ok(())
}
