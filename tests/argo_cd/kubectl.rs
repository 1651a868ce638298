//! What people do with `kubectl`.

use anyhow::Result;
use harness::{Kubectl, KubectlOutput};
use serde_json::json;

use crate::support::{DENIED, Turn};

const NAME: &str = "search-by-kubectl";

#[tokio::test]
async fn every_way_to_write_an_application_says_in_a_line_why_it_is_refused() -> Result<()> {
    let fleet = Turn::take().await?;
    let alice = fleet.developer().await?;
    let (application, auto_synced) = (fleet.search(NAME), fleet.auto_synced_search(NAME));
    let write = |verb: &str| {
        let write = alice.kubectl([verb, "--filename", "-"]);
        write.input(auto_synced.to_string())
    };

    refused(&write("create").run().await?);
    refused(&write("apply").run().await?);

    let create = alice.kubectl(["create", "--filename", "-"]);
    let created = create.input(application.to_string()).run().await?;
    assert!(created.status.success(), "{}", created.stderr);

    refused(&write("apply").run().await?);
    refused(&write("replace").run().await?);
    let object = ["application", NAME, "--namespace", "argocd"];
    let patch = json!({"spec": auto_synced["spec"]}).to_string();
    let patch = ["--type", "merge", "--patch", &patch];
    let patch = alice.kubectl(["patch"]).arguments(object).arguments(patch);
    refused(&patch.run().await?);
    let edit = alice.kubectl(["edit"]).arguments(object);
    refused(
        &edited(
            &fleet,
            edit,
            "s/^spec:/spec:\\n  syncPolicy: { automated: {} }/",
        )
        .await?,
    );

    fleet.delete("application", NAME).await
}

/// It fails, and our line is whole, and there once.
fn refused(output: &KubectlOutput) {
    let lines = output.stderr.lines().filter(|line| line.ends_with(DENIED));
    assert_eq!(lines.count(), 1, "{}", output.stderr);
    assert_eq!(output.status.code(), Some(1));
}

/// A `kubectl edit` by somebody who types what this expression of `sed` does.
async fn edited(fleet: &Turn, edit: Kubectl, expression: &str) -> Result<KubectlOutput> {
    let mut edit = edit.into_command();
    edit.env("KUBE_EDITOR", format!("sed -i '{expression}'"));
    // It keeps there what could not be saved.
    edit.env("TMPDIR", fleet.devops().control_plane().folder());
    let output = edit.output().await?;
    Ok(KubectlOutput {
        status: output.status,
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}
