//! The cluster Secret that would be written. There is no credential in it.

use std::collections::BTreeMap;

use argocd::names::{LABEL_SECRET_TYPE, SECRET_TYPE_CLUSTER};
use serde::Serialize;

use super::registration::Evidence;

/// A Secret.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretManifest {
    api_version: &'static str,
    kind: &'static str,
    pub(crate) metadata: Metadata,
    #[serde(rename = "type")]
    secret_type: &'static str,
    /// In the order of the keys.
    pub(crate) string_data: BTreeMap<&'static str, String>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// What is not known without which the Secret means nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Lacking {
    #[error("the address of the cluster is not known")]
    Server,
    #[error("the certificate authority of the cluster is not known")]
    CertificateAuthority,
    #[error("the role that Argo CD is to assume is not named (--role-arn or --create-role)")]
    Role,
}

impl SecretManifest {
    /// The Secret that makes Argo CD know a cluster.
    pub(crate) fn of(evidence: Evidence<'_>, secret_name: &str) -> Self {
        let registration = evidence.registration;
        let mut labels = registration.labels.clone();
        labels.insert(LABEL_SECRET_TYPE.to_owned(), SECRET_TYPE_CLUSTER.to_owned());
        let mut data = BTreeMap::from([("name", registration.name.clone())]);
        data.extend(server(evidence).map(|server| ("server", server)));
        data.extend(config(evidence).map(|config| ("config", config)));
        data.extend(
            registration
                .project
                .clone()
                .map(|project| ("project", project)),
        );
        if !registration.namespaces.is_empty() {
            data.insert("namespaces", registration.namespaces.join(","));
        }
        if registration.cluster_resources {
            data.insert("clusterResources", "true".to_owned());
        }
        data.extend(registration.shard.map(|shard| ("shard", shard.to_string())));
        SecretManifest {
            api_version: "v1",
            kind: "Secret",
            metadata: Metadata {
                name: secret_name.to_owned(),
                namespace: registration.engine.namespace.clone(),
                labels,
                annotations: registration.annotations.clone(),
            },
            secret_type: "Opaque",
            string_data: data,
        }
    }

    /// The manifest in YAML.
    pub(crate) fn yaml(&self) -> String {
        // Texts alone can always be written.
        serde_saphyr::to_string(self).unwrap_or_default()
    }

    /// Where Argo CD talks to the cluster; empty where that is not known.
    pub(crate) fn server(&self) -> &str {
        self.string_data.get("server").map_or("", String::as_str)
    }
}

/// What is lacking for the Secret to mean something.
pub(crate) fn lacking(evidence: Evidence<'_>) -> Option<Lacking> {
    if server(evidence).is_none() {
        return Some(Lacking::Server);
    }
    if evidence.registration.capability {
        return None;
    }
    if evidence.registration.cluster_role.is_none() {
        return Some(Lacking::Role);
    }
    certificate_authority(evidence)
        .is_none()
        .then_some(Lacking::CertificateAuthority)
}

/// The cluster's endpoint as it is, or its ARN for the Argo CD that AWS manages.
fn server(evidence: Evidence<'_>) -> Option<String> {
    let told = evidence.registration.server.clone();
    let of_cluster = || {
        let cluster = evidence.cluster()?;
        if evidence.registration.capability {
            Some(cluster.arn.clone())
        } else {
            cluster.endpoint.clone()
        }
    };
    told.or_else(of_cluster).filter(|server| !server.is_empty())
}

/// What Argo CD logs in with, in the spelling and order in which it writes that itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'c> {
    aws_auth_config: AwsAuthConfig<'c>,
    tls_client_config: TlsClientConfig<'c>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AwsAuthConfig<'c> {
    cluster_name: &'c str,
    #[serde(rename = "roleARN", skip_serializing_if = "Option::is_none")]
    role_arn: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TlsClientConfig<'c> {
    insecure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_data: Option<&'c str>,
}

fn config(evidence: Evidence<'_>) -> Option<String> {
    let registration = evidence.registration;
    if registration.capability {
        return None;
    }
    let config = Config {
        aws_auth_config: AwsAuthConfig {
            cluster_name: &registration.eks_cluster,
            role_arn: registration.cluster_role.as_ref().map(ToString::to_string),
        },
        tls_client_config: TlsClientConfig {
            insecure: false,
            ca_data: certificate_authority(evidence),
        },
    };
    serde_json::to_string(&config).ok()
}

fn certificate_authority(evidence: Evidence<'_>) -> Option<&str> {
    let authority = evidence.cluster()?.certificate_authority.as_ref()?;
    authority.data.as_deref().filter(|data| !data.is_empty())
}

/// The name of the Secret of a cluster that has none yet: `cluster-NAME` in what names of objects
/// can be.
pub(crate) fn secret_name(cluster: &str) -> String {
    let mut name = "cluster-".to_owned();
    for character in cluster.to_lowercase().chars() {
        match character {
            'a'..='z' | '0'..='9' | '.' => name.push(character),
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    // No longer than names can be, nor with an end that they cannot have.
    name.truncate(LONGEST_NAME);
    name.trim_end_matches(['-', '.'])
        .replace("..", ".")
        .replace(".-", "-")
        .replace("-.", "-")
}

const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::onboarding::testing::{CERTIFICATE, CLUSTER_ROLE, Case, ENDPOINT};

    fn secret(change: impl FnOnce(&mut Case)) -> Value {
        let secret = Case::with(change, |evidence| {
            SecretManifest::of(evidence, "cluster-prod-eu")
        });
        serde_json::to_value(secret).unwrap()
    }

    #[test]
    fn argo_cd_logs_in_with_the_role_and_knows_the_authority() {
        let secret = secret(|case| {
            case.registration
                .labels
                .insert("environment".to_owned(), "prod".to_owned());
            case.registration
                .annotations
                .insert("team".to_owned(), "shop".to_owned());
        });
        let config = format!(
            r#"{{"awsAuthConfig":{{"clusterName":"prod-eu","roleARN":"{CLUSTER_ROLE}"}},"tlsClientConfig":{{"insecure":false,"caData":"{}"}}}}"#,
            CERTIFICATE.trim()
        );
        assert_eq!(
            secret,
            json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "Opaque",
                "metadata": {
                    "name": "cluster-prod-eu",
                    "namespace": "argocd",
                    "labels": {"argocd.argoproj.io/secret-type": "cluster", "environment": "prod"},
                    "annotations": {"team": "shop"},
                },
                "stringData": {"name": "prod-eu", "server": ENDPOINT, "config": config},
            })
        );
    }

    #[test]
    fn what_is_asked_for_is_in_it() {
        let secret = secret(|case| {
            case.registration.project = Some("shop".to_owned());
            case.registration.namespaces = vec!["a".to_owned(), "b".to_owned()];
            case.registration.cluster_resources = true;
            case.registration.shard = Some(3);
            case.registration.server = Some("https://proxy.example.com".to_owned());
        });
        let data = &secret["stringData"];
        assert_eq!(data["project"], "shop");
        assert_eq!(data["namespaces"], "a,b");
        assert_eq!(data["clusterResources"], "true");
        assert_eq!(data["shard"], "3");
        assert_eq!(data["server"], "https://proxy.example.com");
    }

    #[test]
    fn the_argo_cd_of_aws_takes_the_arn_and_no_config() {
        let secret = secret(|case| case.registration.capability = true);
        assert_eq!(
            secret["stringData"],
            json!({
                "name": "prod-eu",
                "server": "arn:aws:eks:eu-central-1:444455556666:cluster/prod-eu",
            })
        );
    }

    #[test]
    fn what_is_lacking_is_told() {
        let lacks = |change: fn(&mut Case)| Case::with(change, lacking);
        assert_eq!(lacks(|_| {}), None);
        assert_eq!(
            lacks(|case| case.cluster().endpoint = None),
            Some(Lacking::Server)
        );
        assert_eq!(
            lacks(|case| case.registration.cluster_role = None),
            Some(Lacking::Role)
        );
        let without_authority: fn(&mut Case) = |case| case.cluster().certificate_authority = None;
        assert_eq!(
            lacks(without_authority),
            Some(Lacking::CertificateAuthority)
        );
        assert_eq!(
            lacks(|case| {
                case.registration.capability = true;
                case.registration.cluster_role = None;
                case.cluster().certificate_authority = None;
            }),
            None
        );
    }

    proptest! {
        #[test]
        fn any_name_of_a_cluster_makes_one_of_an_object(cluster in ".{0,40}") {
            let name = secret_name(&cluster);
            let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
            prop_assert!(name.chars().all(is_allowed), "{name}");
            prop_assert!(name.split('.').all(|part| {
                !part.is_empty() && !part.starts_with('-') && !part.ends_with('-')
            }), "{name}");
        }
    }

    #[test]
    fn names_are_kept_where_they_can_be() {
        assert_eq!(secret_name("prod-eu"), "cluster-prod-eu");
        assert_eq!(secret_name("Prod EU/1"), "cluster-prod-eu-1");
        assert_eq!(secret_name("a.b"), "cluster-a.b");
    }
}
