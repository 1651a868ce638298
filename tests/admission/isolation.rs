//! Two Argo CDs, each for its environment, with the overlays as they are.

use anyhow::Result;
use harness::objects::{Base, Session};
use harness::{Installation, Overlay};
use serde_json::json;

/// It was believed that the overlays say which Argo CD is whose.
#[tokio::test]
async fn the_engine_of_staging_cannot_reach_production_with_its_overlay_as_it_is() -> Result<()> {
    reaches_only(
        Overlay::StagingDevops,
        (Base::Staging, "staging"),
        (Base::Production, "prod"),
    )
    .await
}

#[tokio::test]
async fn the_engine_of_production_cannot_reach_staging_with_its_overlay_as_it_is() -> Result<()> {
    reaches_only(
        Overlay::ProdDevops,
        (Base::Production, "prod"),
        (Base::Staging, "staging"),
    )
    .await
}

async fn reaches_only(
    overlay: Overlay,
    (own, own_name): (Base, &str),
    (other, other_name): (Base, &str),
) -> Result<()> {
    let installation = Installation::start_as_it_is(overlay).await?;
    let admin = Session::of(installation.admin()).await?;

    admin.create(&own.with("at-home", "{}")?).await?.admitted();
    let refused = admin
        .create(&other.with("elsewhere", "{}")?)
        .await?
        .refusal();
    let belongs = format!("belongs to {other_name} (");
    assert!(
        refused.contains("engine-isolation: ") && refused.contains(&belongs),
        "{refused}"
    );

    let moved = json!({"spec": other.with("at-home", "{}")?["spec"]});
    let refused = admin
        .patch("Application", "at-home", &moved)
        .await?
        .refusal();
    assert!(refused.contains("engine-isolation: "), "{refused}");

    // Neither the credentials nor an ApplicationSet take it there.
    let cluster = |environment: &str| {
        let labels = format!("metadata: {{ labels: {{ environment: {environment} }} }}");
        Base::Cluster.with(&format!("cluster-more-{environment}"), &labels)
    };
    admin.create(&cluster(own_name)?).await?.admitted();
    let refused = admin.create(&cluster(other_name)?).await?.refusal();
    assert!(refused.contains("engine-isolation: "), "{refused}");

    let mut template = other.with("generated", "{}")?;
    template["metadata"] =
        json!({"name": "generated", "annotations": template["metadata"]["annotations"]});
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "elsewhere", "namespace": "argocd"},
        "spec": {
            "generators": [{"list": {"elements": [{"a": "b"}]}}],
            "template": {"metadata": template["metadata"], "spec": template["spec"]},
        },
    });
    let refused = admin.create(&set).await?.refusal();
    assert!(refused.contains("engine-isolation: "), "{refused}");
    Ok(())
}
