//! `config` of a cluster Secret, which holds the credentials.

use argocd::cluster::config::{ClusterConfig, Login};
use argocd::cluster::{ClusterSecret, ClusterSecretError};
use argocd::names::{LABEL_SECRET_TYPE, SECRET_TYPE_CLUSTER};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use policy::{Object, Outcome, Subject, Verdict, evaluate};
use serde_json::{Value, json};

use crate::SECRET;
use crate::world::INVENTORIES;

/// Reads bytes as the `config` of a cluster Secret, logs in with it, and lets the rules decide.
pub fn cluster_config(config: &[u8]) {
    let json = json!({
        "metadata": {
            "name": "cluster-prod",
            "namespace": "argocd",
            "labels": {LABEL_SECRET_TYPE: SECRET_TYPE_CLUSTER},
        },
        "data": {
            "name": BASE64_STANDARD.encode("prod"),
            "server": BASE64_STANDARD.encode("https://prod.k8s.example.com"),
            "config": BASE64_STANDARD.encode(config),
        },
    })
    .to_string();
    let secret: ClusterSecret<'_> = serde_json::from_str(&json).unwrap();
    let read = secret.config();
    // Go reads a byte that is not UTF-8 as U+FFFD.
    if let Ok(text) = str::from_utf8(config) {
        let parsed = ClusterConfig::parse(text);
        let parsed = parsed
            .as_ref()
            .map_err(|error| ClusterSecretError::Config(*error));
        assert_eq!(read, parsed);
    }
    assert!(
        !text_of(&read).contains(SECRET) || read.is_ok_and(shows_secret),
        "{read:?}"
    );
    let verdict = judged(&json);
    assert_eq!(judged(&json), verdict);
    match read {
        Err(_) => assert_eq!(verdict.outcome, Outcome::Denied),
        Ok(parsed) => {
            logs_in(parsed);
            is_judged(parsed, &verdict);
            if let Ok(document) = serde_json::from_slice(config)
                && parsed.irregular_names.is_empty()
            {
                is_what_it_says(parsed, &document);
            }
        }
    }
}

/// All that the result could print.
fn text_of(read: &Result<&ClusterConfig, ClusterSecretError>) -> String {
    match read {
        Ok(config) => format!("{config:?} {:?}", config.login(false)),
        Err(error) => {
            let source = std::error::Error::source(error).map(ToString::to_string);
            format!("{error} {error:?} {source:?}")
        }
    }
}

/// Whether the text that stands for a credential is where none belongs.
fn shows_secret(config: &ClusterConfig) -> bool {
    let aws = config.aws.iter();
    let texts = aws.flat_map(|aws| [&aws.cluster_name, &aws.role_arn, &aws.profile]);
    let exec = config.exec.iter();
    let mut texts = texts.chain(exec.map(|exec| &exec.api_version));
    texts.any(|text| text.contains(SECRET))
}

/// By the webhook's inventory, which has no policy.
fn judged(secret: &str) -> Verdict {
    let secret = serde_json::from_str(secret).unwrap();
    let subject = Subject::new(Object::ClusterSecret(Box::new(secret)));
    evaluate(&subject, &INVENTORIES[0])
}

fn logs_in(config: &ClusterConfig) {
    assert_eq!(config.login(true), Ok(Login::InCluster));
    match config.login(false) {
        Ok(Login::InCluster) => panic!("it is another cluster"),
        Ok(Login::Aws(aws)) => assert_eq!(Some(aws), config.aws.as_ref()),
        Ok(Login::Exec(exec)) => {
            assert_eq!(Some(exec), config.exec.as_ref());
            assert_eq!(config.aws, None);
        }
        Ok(Login::Static {
            bearer_token,
            basic_auth,
        }) => {
            assert_eq!((&config.aws, &config.exec), (&None, &None));
            assert!(!bearer_token || config.bearer_token);
            assert!(!basic_auth || config.username);
            assert!(!(bearer_token && basic_auth));
        }
        Err(_) => {}
    }
}

/// The rule finds something where there is something to find, and only there, and says it without
/// the value.
fn is_judged(config: &ClusterConfig, verdict: &Verdict) {
    let holds_credential = config.bearer_token
        || config.username
        || config.password
        || config.proxy_user_info
        || config.tls.key_data;
    let has_to_be = holds_credential || config.tls.insecure || !config.irregular_names.is_empty();
    // Commands, and what Argo CD does not read, are looked into.
    let may_be = has_to_be || config.exec.is_some() || !config.other_fields.is_empty();
    let is_denied = verdict.outcome == Outcome::Denied;
    assert!(is_denied || !has_to_be, "{verdict:?}");
    assert!(may_be || !is_denied, "{verdict:?}");
    let command = config.exec.iter().map(|exec| exec.command.as_str()).next();
    if command.is_none_or(|command| !command.contains(SECRET)) {
        assert!(!format!("{verdict:?}").contains(SECRET), "{verdict:?}");
    }
}

/// Where every name is written once and as documented, the plainest reading is the right one.
fn is_what_it_says(config: &ClusterConfig, document: &Value) {
    let is_set = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    assert_eq!(config.bearer_token, is_set(&document["bearerToken"]));
    assert_eq!(config.username, is_set(&document["username"]));
    assert_eq!(config.password, is_set(&document["password"]));
    assert_eq!(config.aws.is_some(), document["awsAuthConfig"].is_object());
    let exec = &document["execProviderConfig"];
    assert_eq!(config.exec.is_some(), exec.is_object());
    if let Some(own) = &config.exec {
        assert_eq!(own.command, exec["command"].as_str().unwrap_or_default());
        let written = exec["args"].as_array().into_iter().flatten();
        let written = written.map(|argument| argument.as_str().unwrap_or_default());
        assert!(own.args.expose().eq(written));
    }
    let tls = &document["tlsClientConfig"];
    assert_eq!(config.tls.insecure, tls["insecure"] == true);
    for (held, name) in [
        (config.tls.cert_data, "certData"),
        (config.tls.key_data, "keyData"),
        (config.tls.ca_data, "caData"),
    ] {
        let written = tls[name].as_str().unwrap_or_default();
        assert_eq!(
            held,
            !written.replace(['\r', '\n'], "").is_empty(),
            "{name}"
        );
    }
}
