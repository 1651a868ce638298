//! Puts the certificate authority into a `ValidatingWebhookConfiguration`, so that the API server
//! trusts the webhook.
//!
//! The write is a JSON Patch of nothing but the `caBundle` fields: rules, conditions and policies
//! of the configuration belong to whoever installed it, and may be changed by them at the same
//! moment.

use json_patch::{
    AddOperation, Patch as Operations, PatchOperation, TestOperation, jsonptr::PointerBuf,
};
use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{ValidatingWebhook, ValidatingWebhookConfiguration},
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{ATTEMPTS, FIELD_MANAGER};

/// Why the API server does not trust the certificate yet.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not let us read the configuration, or has none of that name.
    #[error("cannot read validatingwebhookconfiguration {name}")]
    Read {
        /// The configuration.
        name: String,
        /// What the API server said.
        #[source]
        source: kube::Error,
    },
    /// The API server refused the patch.
    #[error("cannot put the certificate authority into validatingwebhookconfiguration {name}")]
    Write {
        /// The configuration.
        name: String,
        /// What the API server said.
        #[source]
        source: kube::Error,
    },
}

/// Makes every webhook of the configuration `name` trust `authority_pem`. Where all of them do
/// already, nothing is written.
pub async fn inject(
    configurations: &Api<ValidatingWebhookConfiguration>,
    name: &str,
    authority_pem: &str,
) -> Result<(), Error> {
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let mut retries = 1..ATTEMPTS;
    loop {
        let configuration = configurations
            .get(name)
            .await
            .map_err(|source| Error::Read {
                name: name.into(),
                source,
            })?;
        let operations = trust(&configuration, authority_pem);
        if operations.is_empty() {
            return Ok(());
        }
        match configurations
            .patch(name, &params, &Patch::Json::<()>(operations))
            .await
        {
            Ok(_) => return Ok(()),
            Err(source) if changed_meanwhile(&source) && retries.next().is_some() => {}
            Err(source) => {
                return Err(Error::Write {
                    name: name.into(),
                    source,
                });
            }
        }
    }
}

/// The patch that makes every webhook of `configuration` trust `authority_pem`; empty where they do
/// already.
///
/// JSON Patch finds a webhook by its place, so each change is preceded by a test that this webhook
/// is still at that place.
pub fn trust(configuration: &ValidatingWebhookConfiguration, authority_pem: &str) -> Operations {
    let bundle = ByteString(authority_pem.into());
    let webhooks = configuration.webhooks.iter().flatten().enumerate();
    let distrusting =
        webhooks.filter(|(_, webhook)| webhook.client_config.ca_bundle.as_ref() != Some(&bundle));
    Operations(
        distrusting
            .flat_map(|(index, webhook)| set_bundle(index, webhook, &bundle))
            .collect(),
    )
}

fn set_bundle(
    index: usize,
    webhook: &ValidatingWebhook,
    bundle: &ByteString,
) -> [PatchOperation; 2] {
    let index = index.to_string();
    [
        PatchOperation::Test(TestOperation {
            path: PointerBuf::from_tokens(["webhooks", &index, "name"]),
            value: json!(webhook.name),
        }),
        PatchOperation::Add(AddOperation {
            path: PointerBuf::from_tokens(["webhooks", &index, "clientConfig", "caBundle"]),
            value: json!(bundle),
        }),
    ]
}

/// Whether the configuration changed under the patch: a failed test is 422 `Invalid`, a lost race
/// 409 `Conflict`. An unacceptable patch is 422 as well, and still is when the attempts are used
/// up.
fn changed_meanwhile(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 409 | 422))
}

#[cfg(test)]
mod tests {
    use hyper::{Method, StatusCode};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::testing::{ApiServer, conflict, not_found, status};

    const PATH: &str =
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/gitops-webhook";
    const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

    fn webhook(name: &str, client_config: &Value) -> Value {
        json!({
            "name": name,
            "clientConfig": client_config,
            "rules": [{"apiGroups": ["argoproj.io"], "apiVersions": ["v1alpha1"], "resources": ["applications"],
                       "operations": ["CREATE", "UPDATE"], "scope": "Namespaced"}],
            "matchConditions": [{"name": "changes", "expression": "object.?spec != oldObject.?spec"}],
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        })
    }

    fn service() -> Value {
        json!({"service": {"namespace": "gitops-webhook", "name": "gitops-webhook", "port": 443}})
    }

    fn url() -> Value {
        json!({"url": "https://127.0.0.1:8443/validate"})
    }

    fn configuration(webhooks: &[Value]) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "gitops-webhook", "resourceVersion": "3", "labels": {"team": "platform"}},
            "webhooks": webhooks,
        })
    }

    fn trust_value(configuration: &Value) -> Operations {
        trust(
            &serde_json::from_value(configuration.clone()).unwrap(),
            AUTHORITY,
        )
    }

    fn patched(configuration: &Value) -> Value {
        let mut patched = configuration.clone();
        json_patch::patch(&mut patched, &trust_value(configuration)).unwrap();
        patched
    }

    #[test]
    fn every_webhook_trusts_the_authority_by_service_or_by_url() {
        let before = configuration(&[
            webhook("applications.kubectl-gitops.io", &service()),
            webhook("clusters.kubectl-gitops.io", &url()),
        ]);
        let after = patched(&before);
        let bundle = json!(ByteString(AUTHORITY.into()));
        for (index, kept) in [(0, "service"), (1, "url")] {
            let client_config = &after["webhooks"][index]["clientConfig"];
            assert_eq!(client_config["caBundle"], bundle);
            assert_eq!(
                client_config[kept],
                before["webhooks"][index]["clientConfig"][kept]
            );
        }
    }

    #[test]
    fn webhooks_that_trust_it_already_are_not_touched() {
        let after = patched(&configuration(&[webhook(
            "a.kubectl-gitops.io",
            &service(),
        )]));
        assert_eq!(trust_value(&after), Operations(Vec::new()));
        assert_eq!(trust_value(&configuration(&[])), Operations(Vec::new()));

        let mut webhooks = after["webhooks"].as_array().unwrap().clone();
        webhooks.push(webhook("b.kubectl-gitops.io", &service()));
        let paths: Vec<_> = trust_value(&configuration(&webhooks))
            .iter()
            .map(|o| o.path().to_string())
            .collect();
        assert_eq!(
            paths,
            ["/webhooks/1/name", "/webhooks/1/clientConfig/caBundle"]
        );
    }

    #[test]
    fn a_patch_for_another_order_of_webhooks_fails_as_a_whole() {
        let (a, b) = (
            webhook("a.kubectl-gitops.io", &service()),
            webhook("b.kubectl-gitops.io", &service()),
        );
        let operations = trust_value(&configuration(&[a.clone(), b.clone()]));
        for changed in [configuration(&[b, a.clone()]), configuration(&[a])] {
            let mut after = changed.clone();
            json_patch::patch(&mut after, &operations).unwrap_err();
            assert_eq!(after, changed);
        }
    }

    async fn inject_into(server: &ApiServer) -> Result<(), Error> {
        inject(&Api::all(server.client()), "gitops-webhook", AUTHORITY).await
    }

    fn expect_read(server: &ApiServer, configuration: Value) {
        server.expect(Method::GET, PATH, move |_| {
            (StatusCode::OK, configuration.clone())
        });
    }

    #[tokio::test]
    async fn a_configuration_that_changes_meanwhile_is_read_again() {
        let (a, b) = (
            webhook("a.kubectl-gitops.io", &service()),
            webhook("b.kubectl-gitops.io", &service()),
        );
        let server = ApiServer::new();
        expect_read(&server, configuration(std::slice::from_ref(&a)));
        server.expect(Method::PATCH, PATH, |_| {
            status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid")
        });
        expect_read(&server, configuration(&[b.clone(), a.clone()]));
        server.expect(Method::PATCH, PATH, |_| conflict());
        expect_read(&server, configuration(&[b.clone(), a.clone()]));
        let response = configuration(&[b, a]);
        server.expect(Method::PATCH, PATH, move |_| {
            (StatusCode::OK, response.clone())
        });
        inject_into(&server).await.unwrap();
        assert_eq!(
            server.finish().pop().unwrap()[0]["value"],
            "b.kubectl-gitops.io"
        );
    }

    #[tokio::test]
    async fn what_is_in_place_is_not_written() {
        let server = ApiServer::new();
        expect_read(
            &server,
            patched(&configuration(&[webhook(
                "a.kubectl-gitops.io",
                &service(),
            )])),
        );
        inject_into(&server).await.unwrap();
        server.finish();
    }

    #[tokio::test]
    async fn a_patch_that_is_never_accepted_ends_in_an_error() {
        let server = ApiServer::new();
        for _ in 0..ATTEMPTS {
            expect_read(
                &server,
                configuration(&[webhook("a.kubectl-gitops.io", &service())]),
            );
            server.expect(Method::PATCH, PATH, |_| {
                status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid")
            });
        }
        assert!(matches!(
            inject_into(&server).await.unwrap_err(),
            Error::Write { .. }
        ));
        server.finish();
    }

    #[tokio::test]
    async fn a_configuration_that_is_not_there_is_an_error_that_names_it() {
        let server = ApiServer::new();
        server.expect(Method::GET, PATH, |_| not_found());
        let error = inject_into(&server).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read validatingwebhookconfiguration gitops-webhook"
        );
        server.finish();
    }

    fn client_config() -> impl Strategy<Value = Value> {
        let bundle = prop_oneof![
            Just(None),
            Just(Some(ByteString(AUTHORITY.into()))),
            any::<Vec<u8>>().prop_map(|bytes| Some(ByteString(bytes)))
        ];
        (any::<bool>(), bundle).prop_map(|(by_service, bundle)| {
            let mut config = if by_service { service() } else { url() };
            if let Some(bundle) = bundle {
                config["caBundle"] = json!(bundle);
            }
            config
        })
    }

    proptest! {
        #[test]
        fn nothing_but_ca_bundles_changes(webhooks in prop::collection::vec(("[a-z~/]{1,8}", client_config()), 0..6)) {
            let webhooks: Vec<_> = webhooks.into_iter().map(|(name, config)| webhook(&name, &config)).collect();
            let before = configuration(&webhooks);
            let after = patched(&before);
            let mut expected = before;
            for webhook in expected["webhooks"].as_array_mut().unwrap() {
                webhook["clientConfig"]["caBundle"] = json!(ByteString(AUTHORITY.into()));
            }
            prop_assert_eq!(&after, &expected);
            prop_assert!(trust_value(&after).is_empty());
        }
    }
}
