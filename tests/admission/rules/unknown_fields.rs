//! `unknown-fields`, which only warns.

use anyhow::Result;
use harness::objects::Base;
use harness::shared;

/// What the API server drops before it asks cannot be told.
#[tokio::test]
async fn an_unknown_sync_option_is_warned_of() -> Result<()> {
    let admin = shared().await?.admin();
    let apply = async |name: &str, option: &str| -> Result<String> {
        let change =
            format!("spec: {{ syncPolicy: {{ syncOptions: ['{option}'] }}, unheardOf: true }}");
        let object = Base::Staging.with(name, &change)?.to_string();
        let apply = admin.kubectl(["apply", "--validate=false", "-f", "-"]);
        let applied = apply.input(object).run().await?;
        assert!(applied.status.success(), "{applied:?}");
        Ok(applied.stderr)
    };

    let warned = apply("unknown-option", "CreateNamespaces=true").await?;
    let said_nothing = apply("known-option", "CreateNamespace=true").await?;

    assert_eq!(
        warned.trim_end(),
        "Warning: unknown-fields: spec.syncPolicy.syncOptions[0]: Argo CD knows no sync option \
         \"CreateNamespaces=true\", and ignores it; write CreateNamespace=true"
    );
    assert_eq!(said_nothing, "");
    Ok(())
}
