//! What a cluster Secret may hold beside what Argo CD logs in with by itself.

use argocd::ClusterSecret;
use argocd::cluster::UnknownValues;
use policy::{Completeness, Level, Object, Subject, evaluate};
use serde_json::{Value, json};

use super::{World, app, base64_of, cluster, judge_secret, lines, secret};

/// Nothing that is printed may have this in it.
const VALUE: &str = "example-hunter2";

fn allowing(commands: &[&str]) -> Value {
    json!({"rules": {"cluster-credentials": {"allowExec": commands}}})
}

fn judge_exec(exec: &Value, policy: Value) -> String {
    let mut exec = exec.clone();
    exec["apiVersion"] = json!("client.authentication.k8s.io/v1beta1");
    let found = judge_secret(
        &secret(&json!({"execProviderConfig": exec}).to_string()),
        policy,
    );
    assert!(!found.contains(VALUE), "{found}");
    found
}

/// Of a command that the policy lists the arguments and the free JSON were believed to be harmless.
#[test]
fn a_listed_command_is_given_no_credential() {
    let all: Vec<String> = [
        json!({"command": "kubelogin", "args": ["get-token", "--login", "spn", "--client-secret", VALUE]}),
        json!({"command": "kubelogin", "args": ["get-token", format!("--client-secret={VALUE}")]}),
        json!({"command": "kubelogin", "args": ["get-token", "--username", "argocd", "--password", VALUE, "--token", VALUE]}),
        json!({"command": "kubelogin", "args": [format!("-p{VALUE}")]}),
        json!({"command": "kubelogin", "args": ["-c", format!("curl -u argocd:{VALUE} https://login.example.com")]}),
        json!({"command": "argocd-k8s-auth", "args": ["azure"], "config": {"clientSecret": VALUE}}),
        json!({"command": "argocd-k8s-auth", "args": ["azure"], "config": {"a": [{"b": {"apiKey": VALUE}}]}}),
        json!({"command": "argocd-k8s-auth", "args": ["azure"], "config": VALUE}),
        json!({"command": "argocd-k8s-auth", "args": ["gcp"], "installHint": format!("-----BEGIN PRIVATE KEY-----{VALUE}")}),
        json!({"command": "argocd-k8s-auth", "args": ["gcp"], "env": {"AZURE_AUTHORITY_HOST": format!("https://argocd:{VALUE}@login.example.com")}}),
        json!({"command": "argocd-k8s-auth", "args": ["gcp"], "clientSecret": VALUE}),
    ]
    .iter()
    .map(|exec| judge_exec(exec, allowing(&["kubelogin", "argocd-k8s-auth"])))
    .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn fields_that_argo_cd_does_not_read_hold_no_credential_either() {
    let judge = |config: Value| judge_secret(&secret(&config.to_string()), json!({}));
    // Its name is not told: nothing says that a credential stands in the value and not in the name.
    for config in [
        json!({"token": VALUE}),
        json!({"bearer_token": VALUE}),
        json!({"awsAuthConfig": {"secretAccessKey": VALUE}}),
        json!({"tlsClientConfig": {"keyPassphrase": VALUE}}),
        json!({"a": {"b": [{"password": VALUE}]}}),
    ] {
        let found = judge(config);
        let expected = "what Argo CD does not read has a field, which may be a credential";
        assert!(found.contains(expected), "{found}");
        assert!(!found.contains(VALUE), "{found}");
    }
    for harmless in [
        json!({"comment": "Made by Terraform, do not edit!"}),
        json!({"awsAuthConfig": {"region": "eu-west-1"}}),
        json!({"token": ""}),
        json!({"token": null}),
    ] {
        assert_eq!(judge(harmless.clone()), "", "{harmless}");
    }
}

#[test]
fn argo_cds_own_plugin_needs_no_listing_unless_the_policy_lists_others() {
    let own = |argument: &str| json!({"command": "argocd-k8s-auth", "args": [argument]});
    for cloud in ["gcp", "azure"] {
        assert_eq!(judge_exec(&own(cloud), json!({})), "");
        assert_eq!(judge_exec(&own(cloud), allowing(&["argocd-k8s-auth"])), "");
        for policy in [allowing(&[]), allowing(&["kubelogin"])] {
            assert_eq!(
                judge_exec(&own(cloud), policy),
                "deny cluster-credentials: data.config: runs argocd-k8s-auth in Argo CD's pods; list the command in allowExec"
            );
        }
    }
    // As `awsAuthConfig` it is what the policy cannot refuse.
    let aws = json!({"command": "argocd-k8s-auth", "args": ["aws", "--cluster-name", "prod"]});
    for policy in [json!({}), allowing(&[]), allowing(&["kubelogin"])] {
        assert_eq!(judge_exec(&aws, policy), "");
    }
}

#[test]
fn whoever_is_not_on_eks_gets_no_advice_for_it() {
    let judged = |name: &str, server: &str, config: Value| {
        let mut secret = secret(&config.to_string());
        secret["data"]["name"] = base64_of(name).into();
        secret["data"]["server"] = base64_of(server).into();
        judge_secret(&secret, json!({}))
    };
    let token = || json!({"bearerToken": VALUE});
    let run = |command: &str, args: &[&str]| json!({"execProviderConfig": {"command": command, "args": args}});
    let advised: Vec<String> = [
        judged("a", "https://a-dns-1.hcp.westeurope.azmk8s.io", token()),
        judged("aks-prod", "https://10.0.0.1", token()),
        judged(
            "a",
            "https://b",
            run("kubelogin", &["get-token", "--login", "workloadidentity"]),
        ),
        judged("a", "https://gke-1.europe-west1.gke.goog", token()),
        judged("prod", "https://gke1.example.com", token()),
        judged("a", "https://b", run("gke-gcloud-auth-plugin", &[])),
        judged("a", "https://ABC.gr7.eu-west-1.eks.amazonaws.com", token()),
        judged(
            "a",
            "https://b",
            run("aws", &["eks", "get-token", "--cluster-name", "a"]),
        ),
        judged("a", "https://b", token()),
    ]
    .into_iter()
    .collect();
    insta::assert_snapshot!(advised.join("\n"));
}

/// A credential may be rotated, but not be joined by another one.
#[test]
fn another_argument_that_may_be_a_credential_is_worse() {
    let with = |args: &[&str]| {
        let exec = json!({"command": "argocd-k8s-auth", "args": args});
        secret(&json!({"execProviderConfig": exec}).to_string()).to_string()
    };
    let denied = |old: &[&str], new: &[&str]| {
        let (old, new) = (with(old), with(new));
        let read = |json| -> Object<'_> {
            Object::ClusterSecret(serde_json::from_str::<Box<ClusterSecret<'_>>>(json).unwrap())
        };
        let subject = Subject::update(read(&new), read(&old));
        evaluate(&subject, &World::default().inventory()).outcome == policy::Outcome::Denied
    };
    assert!(!denied(&["--token", "a1b2"], &["--token", "c3d4"]));
    assert!(denied(
        &["--token", "a1b2"],
        &["--token", "a1b2", "--password", "c3d4"]
    ));
    assert!(denied(&["a1b2"], &["a1b2", "c3d4"]));
    assert!(!denied(&["a1b2", "c3d4"], &["a1b2"]));
}

const ENCRYPTED: &str = "ENC[AES256_GCM,data:c2VjcmV0,iv:AA==,tag:AA==,type:str]";

#[test]
fn what_sops_has_encrypted_is_undecided() {
    let mut in_file = secret("{}");
    in_file["sops"] = json!({"version": "3.9.0"});
    for key in ["name", "server", "config"] {
        in_file["data"][key] = ENCRYPTED.into();
    }
    let mut moved = in_file.clone();
    for key in ["name", "server", "config"] {
        moved["data"][key] = base64_of(ENCRYPTED).into();
    }
    for secret in [in_file, moved] {
        assert_eq!(
            judge_secret(&secret, json!({})),
            "undecided cluster-credentials: data.config: its values are encrypted by SOPS and cannot be judged here; \
             judge it decrypted: sops -d FILE | kubectl gitops check -"
        );
    }
    // What reaches an API server is what it is.
    let mut applied = secret("{}");
    applied["data"]["config"] = base64_of(ENCRYPTED).into();
    let found = judge_secret(&applied, json!({}));
    assert!(
        found.starts_with("deny cluster-credentials: data.config: Argo CD cannot read it"),
        "{found}"
    );
    assert!(!found.contains("ENC["), "{found}");
    // What is in the clear is judged.
    let mut partly = secret(&json!({"bearerToken": VALUE}).to_string());
    partly["sops"] = json!({});
    partly["data"]["name"] = ENCRYPTED.into();
    let found = judge_secret(&partly, json!({}));
    assert!(found.contains("holds a bearer token"), "{found}");
}

#[test]
fn a_cluster_that_is_there_and_cannot_be_read_is_not_called_missing() {
    let world = |completeness| World {
        completeness,
        more_clusters: vec![
            argocd::Cluster {
                has_unreadable_config: true,
                secret_name: "cluster-broken".to_owned(),
                ..cluster("broken", "prod")
            },
            argocd::Cluster {
                unknown: Some(UnknownValues::MadeFrom("ExternalSecret")),
                secret_name: "cluster-made".to_owned(),
                ..cluster("made", "staging")
            },
            argocd::Cluster {
                unknown: Some(UnknownValues::Encrypted),
                secret_name: "cluster-hidden".to_owned(),
                ..cluster("", "prod")
            },
        ],
        ..World::default()
    };
    let judged = |name: &str, completeness| {
        let destination =
            json!({"spec": {"destination": {"name": name}, "syncPolicy": {"automated": {}}}});
        world(completeness).judge(&app(&destination)).join("\n")
    };
    let all = [
        // Its labels say that it is production.
        judged("broken", Completeness::Partial),
        judged("broken", Completeness::Complete),
        // And those of this one, that it is not.
        judged("made", Completeness::Partial),
        judged("other", Completeness::Partial),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn generated_applications_of_clusters_that_are_not_known_are_undecided() {
    let set = json!({
        "metadata": {"name": "agent", "namespace": "argocd"},
        "spec": {
            "generators": [{"clusters": {"selector": {"matchLabels": {"environment": "prod"}}}}],
            "template": {
                "metadata": {"name": "agent-{{name}}"},
                "spec": {
                    "project": "shop",
                    "source": {"repoURL": "https://git.example.com/shop/agent", "path": ".", "targetRevision": "v1"},
                    "destination": {"server": "{{server}}", "namespace": "shop"},
                    "syncPolicy": {"automated": {}},
                },
            },
        },
    });
    let matrix = {
        let mut set = set.clone();
        let generators = set["spec"]["generators"].take();
        set["spec"]["generators"] = json!([{"matrix": {"generators": [generators[0], {"list": {"elements": [{"a": "b"}]}}]}}]);
        set
    };
    let world = World {
        completeness: Completeness::Partial,
        more_clusters: vec![argocd::Cluster {
            unknown: Some(UnknownValues::Encrypted),
            secret_name: "prd-us".to_owned(),
            name: String::new(),
            server: String::new(),
            ..cluster("", "prod")
        }],
        ..World::default()
    };
    let judge = |set: &Value| {
        let json = set.to_string();
        let set = Object::ApplicationSet(serde_json::from_str(&json).unwrap());
        evaluate(&Subject::new(set), &world.inventory())
    };
    let verdict = judge(&set);
    let all = lines(&verdict).join("\n");
    assert!(
        all.contains("the values of Secret prd-us (encrypted by SOPS)"),
        "{all}"
    );
    // The cluster that is known is judged as ever.
    assert!(verdict.of_level(Level::Deny).next().is_some(), "{all}");
    let verdict = judge(&matrix);
    assert_eq!(verdict.of_level(Level::Deny).next(), None);
    let all = lines(&verdict).join("\n");
    assert!(
        all.contains("the values of Secret prd-us (encrypted by SOPS)"),
        "{all}"
    );
}
