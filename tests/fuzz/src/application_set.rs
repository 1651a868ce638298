//! ApplicationSets and their templates, through the expansion.
//!
//! The bytes are the `spec` of an ApplicationSet as JSON, or else the text of one template, which
//! is then rendered in both languages.

use std::sync::LazyLock;

use argocd::Cluster;
use argocd::application_set::{
    ApplicationSet, Checkout, Checkouts, ExpansionError, Generated, Limits,
};
use argocd::fleet::{Fleet, Parts};
use golang::work::Work;
use serde_json::{Value, json};

/// Enough for anything sensible, and little enough for thousands of runs in a second.
const APPLICATIONS: usize = 200;
const WORK: u64 = 1 << 20;

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    let cluster = |name: &str, environment: &str| Cluster {
        name: name.to_owned(),
        server: format!("https://{name}.example.com"),
        labels: [("environment", environment), ("workload", "true")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..Cluster::default()
    };
    Fleet::new(Parts {
        control_plane_namespace: "argocd".to_owned(),
        clusters: vec![cluster("alpha", "staging"), cluster("omega", "prod")],
        ..Parts::default()
    })
});

/// A repository with two folders and a file in each.
struct Repository;

impl Checkout for Repository {
    fn directories(&self) -> Vec<String> {
        ["apps", "apps/cart", "apps/search"]
            .map(str::to_owned)
            .into()
    }

    fn files(&self) -> Vec<String> {
        ["apps/cart/a.yaml", "apps/search/a.yaml"]
            .map(str::to_owned)
            .into()
    }

    fn read(&self, _: &str) -> Option<String> {
        Some("env: prod\nsize: {cpu: 2}\n".to_owned())
    }
}

impl Checkouts for Repository {
    fn checkout(&self, _: &str, _: &str) -> Option<&dyn Checkout> {
        Some(self)
    }
}

/// Whatever an ApplicationSet says, it generates the same twice, into its own namespace, and not
/// more than it may.
pub fn application_set(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match serde_json::from_str::<Value>(text) {
        Ok(spec) if spec.is_object() => expands(&spec),
        _ => [false, true].into_iter().for_each(|go_template| {
            expands(&json!({
                "goTemplate": go_template,
                "generators": [
                    {"clusters": {"selector": {"matchLabels": {"workload": "true"}}, "values": {"a": "b"}}},
                    {"list": {"elements": [{"name": "x", "list": [1, "two"], "map": {"k": {"n": null}}}]}},
                ],
                "template": {
                    "metadata": {"name": text},
                    "spec": {"project": "p", "destination": {"name": "{{name}}"}, "source": {"repoURL": "r"}},
                },
                "templatePatch": text,
            }));
        }),
    }
}

fn expands(spec: &Value) {
    let json =
        json!({"metadata": {"name": "set", "namespace": "argocd"}, "spec": spec}).to_string();
    let Ok(set) = ApplicationSet::from_json(&json) else {
        return;
    };
    assert!(set.spec.same_meaning(&set.spec));
    let first = generated(&set);
    assert_eq!(first, generated(&set), "another result the second time");
    let Ok(applications) = first else {
        return;
    };
    assert!(applications.len() <= APPLICATIONS);
    for generated in applications {
        if let Generated::Application(generated) = generated {
            let application = generated.application().unwrap();
            assert_eq!(application.metadata.namespace, "argocd");
        }
    }
}

fn generated(set: &ApplicationSet<'_>) -> Result<Vec<Generated>, ExpansionError> {
    let limits = Limits {
        applications: APPLICATIONS,
        work: Work::new(WORK),
    };
    let expansion = set.expand(&FLEET.clusters, &Repository, &limits)?;
    for undecided in &expansion.undecided {
        // The template of what is not known can be looked at all the same.
        undecided.template().unwrap();
    }
    expansion.applications().collect()
}
