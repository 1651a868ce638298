//! Applications that an ApplicationSet generates from what a repository says: nobody sees them
//! before they are written.

use anyhow::Result;
use harness::argo_cd::Repository;
use harness::{eventually_object, succeed};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use crate::support::{Turn, WITHIN, denied_to_a_controller};

const NAME: &str = "search-catalogue";
/// An Application for each file of a folder.
const CATALOGUE: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: { name: search-catalogue, namespace: argocd }
spec:
  goTemplate: true
  goTemplateOptions: ["missingkey=error"]
  generators:
    - git:
        repoURL: https://git.example.com/shop/platform.git
        revision: main
        files: [{ path: "catalogue/*.yaml" }]
  template:
    metadata:
      name: 'search-{{ trimSuffix ".yaml" .path.filename }}'
      annotations: { kubectl-gitops.io/autoscaled: "false" }
    spec:
      project: "shop-{{ .environment }}"
      source:
        repoURL: https://git.example.com/shop/platform.git
        path: search
        targetRevision: "{{ .revision }}"
        kustomize: { namePrefix: '{{ trimSuffix ".yaml" .path.filename }}-' }
      destination: { name: "{{ .environment }}", namespace: shop }
  templatePatch: |
    {{- if .automated }}
    spec:
      syncPolicy: { automated: {} }
    {{- end }}
"#;
const STAGING: &str = "{ environment: staging, revision: main, automated: true }";
const PRODUCTION: &str = "{ environment: production, revision: v1.0.0, automated: false }";
const AUTO_SYNCED_PRODUCTION: &str =
    "{ environment: production, revision: v1.0.0, automated: true }";

#[tokio::test]
async fn a_refused_one_is_told_on_its_application_set_stops_no_other_and_comes_once_it_is_put_right()
-> Result<()> {
    let fleet = Turn::take().await?;
    let alice = fleet.developer().await?;
    let repository = fleet.repository();
    repository.write("catalogue/books.yaml", STAGING)?;
    repository.commit("Search for books")?;
    let create = alice.kubectl(["create", "--filename", "-"]);
    succeed(create.input(CATALOGUE.replace(
        "https://git.example.com/shop/platform.git",
        &repository.url(),
    )))
    .await?;
    pushed(&fleet).await?;
    fleet.synced_and_healthy(&["search-books"]).await?;

    repository.write("catalogue/music.yaml", AUTO_SYNCED_PRODUCTION)?;
    repository.write("catalogue/toys.yaml", STAGING)?;
    repository.commit("Search for music and toys")?;
    pushed(&fleet).await?;

    let denied = denied_to_a_controller("search-music");
    conditions(&fleet, "the refusal is told", |conditions| {
        conditions["ErrorOccurred"] == json!(["True", denied])
            && conditions["ResourcesUpToDate"] == json!(["False", denied])
    })
    .await?;
    fleet
        .synced_and_healthy(&["search-books", "search-toys"])
        .await?;
    let applications = fleet.applications().await?;
    assert!(applications.get_opt("search-music").await?.is_none());

    repository.write("catalogue/music.yaml", PRODUCTION)?;
    repository.commit("Let a person sync the search for music")?;
    pushed(&fleet).await?;

    fleet.compared("search-music").await?;
    conditions(&fleet, "nothing is refused any more", |conditions| {
        conditions["ErrorOccurred"][0] == "False" && conditions["ResourcesUpToDate"][0] == "True"
    })
    .await?;

    fleet.delete("applicationset", NAME).await?;
    remove_catalogue(repository)
}

/// What a Git host's notice of a push makes of an `ApplicationSet`: without it, Argo CD looks every
/// three minutes.
async fn pushed(fleet: &Turn) -> Result<()> {
    let annotate = [
        "annotate",
        "--overwrite",
        "applicationset",
        NAME,
        "--namespace",
        "argocd",
    ];
    let annotate = fleet.admin().kubectl(annotate);
    succeed(annotate.arguments(["argocd.argoproj.io/application-set-refresh=true"])).await
}

/// Waits until the `ApplicationSet` has such conditions: their status and message, by type.
async fn conditions(fleet: &Turn, what: &str, are: impl Fn(&Value) -> bool) -> Result<()> {
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "ApplicationSet");
    let client = fleet.admin().client().await?;
    let sets =
        Api::<DynamicObject>::namespaced_with(client, "argocd", &ApiResource::from_gvk(&kind));
    let waited = eventually_object(WITHIN, what, sets, NAME, |set| {
        let set = set.ok_or("it does not exist")?;
        let listed = set.data["status"]["conditions"].as_array();
        let by_type = listed.into_iter().flatten().map(|condition| {
            let name = condition["type"].as_str().unwrap_or_default().to_owned();
            (name, json!([condition["status"], condition["message"]]))
        });
        let conditions = Value::Object(by_type.collect());
        if are(&conditions) {
            Ok(())
        } else {
            Err(conditions.to_string())
        }
    });
    Ok(waited.await?)
}

fn remove_catalogue(repository: &Repository) -> Result<()> {
    for file in ["books", "music", "toys"] {
        repository.remove(format!("catalogue/{file}.yaml"))?;
    }
    repository.commit("Remove the catalogue").map(drop)
}
