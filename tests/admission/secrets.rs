//! Cluster Secrets, and what becomes of the credentials in them.

use std::fs;

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::objects::{Base, Session, Writer};
use harness::shared;
use serde_json::json;

#[tokio::test]
async fn a_token_in_other_letters_is_a_token() -> Result<()> {
    let admin = Session::of(shared().await?.admin()).await?;
    let object = Base::Cluster.with(
        "bearertoken-in-capitals",
        r#"stringData: { config: '{"BEARERTOKEN": "example"}' }"#,
    )?;

    let message = admin.create(&object).await?.refusal();

    assert_eq!(
        message,
        "cluster-credentials: data.config: bearerToken is not spelt as documented, but Argo CD accepts it; \
         write it once, as Argo CD documents it | \
         cluster-credentials: data.config: holds a bearer token; use awsAuthConfig, which holds no credential"
    );
    Ok(())
}

#[tokio::test]
async fn a_secret_with_a_token_cannot_become_a_cluster_secret_and_may_cease_to_be_one() -> Result<()>
{
    let developer = Writer::Developer.log_in(shared().await?).await?;
    let developer = Session::of(&developer).await?;
    let unlabelled = r#"
        metadata: { labels: null }
        stringData: { config: '{"bearerToken": "example"}' }
    "#;
    let label = |value: Option<&str>| json!({"metadata": {"labels": {"argocd.argoproj.io/secret-type": value}}});

    developer
        .create(&Base::Cluster.with("token-elsewhere", unlabelled)?)
        .await?
        .admitted();
    let labelled = developer
        .patch("Secret", "token-elsewhere", &label(Some("cluster")))
        .await?;
    developer
        .create(&Base::Cluster.with("cluster-no-more", "{}")?)
        .await?
        .admitted();
    let taken_off = developer
        .patch("Secret", "cluster-no-more", &label(None))
        .await?;

    assert!(
        labelled
            .refusal()
            .starts_with("cluster-credentials: data.config: holds a bearer token")
    );
    taken_off.admitted();
    Ok(())
}

#[tokio::test]
async fn a_token_is_repeated_nowhere() -> Result<()> {
    const TOKEN: &str = "do-not-repeat-this-token";
    let installation = shared().await?;
    let admin = installation.admin();
    let secret = |name: &str, config: &str| {
        let change = json!({"stringData": {"config": config}}).to_string();
        Base::Cluster.with(name, &change)
    };

    let mut said = String::new();
    for (name, config) in [
        (
            "token-beside-aws",
            format!(r#"{{"bearerToken": "{TOKEN}", "awsAuthConfig": {{}}}}"#),
        ),
        ("token-broken-off", format!(r#"{{"bearerToken": "{TOKEN}"#)),
        (
            "token-of-wrong-type",
            format!(r#"{{"awsAuthConfig": "{TOKEN}"}}"#),
        ),
        (
            "token-as-name",
            format!(r#"{{"{TOKEN}": 1, "bearerToken": "x"}}"#),
        ),
        ("token-as-command", format!(r#"{{"password": "{TOKEN}"}}"#)),
    ] {
        let apply = admin
            .kubectl(["apply", "-f", "-"])
            .input(secret(name, &config)?.to_string());
        let applied = apply.run().await?;
        assert!(!applied.status.success(), "{name}: {applied:?}");
        said += &applied.stderr;
    }

    let (_, metrics) = installation.webhook().get("/metrics").await?;
    let log = installation.webhook().log().text()?;
    let audit_log = fs::read_to_string(installation.control_plane().audit_log()?)?;
    assert!(log.contains("token-beside-aws"), "the log names the object");
    for (place, text) in [
        ("answers", said),
        ("metrics", metrics),
        ("log", log),
        ("audit log", audit_log),
    ] {
        for form in [TOKEN.to_owned(), BASE64_STANDARD.encode(TOKEN)] {
            assert!(!text.contains(&form), "the token is in the {place}");
        }
    }
    Ok(())
}
