//! The fields and sync options that `argocd` knows are Argo CD's own.
//!
//! `UPDATE_GENERATED=1 cargo test -p gitops-tests --test argo_cd known_fields` writes the fields
//! anew.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use argocd::sync_options;
use harness::argo_cd::{RELEASES, Release};
use harness::path;
use serde_json::Value;
use tokio::task::spawn_blocking;

const ARGO_CD: &str = "github.com/argoproj/argo-cd/v3";
const GITOPS_ENGINE: &str = "github.com/argoproj/argo-cd/gitops-engine/v3";

const HEADER: &str = "# Generated from Argo CD's CustomResourceDefinitions by\n\
    # UPDATE_GENERATED=1 cargo test -p gitops-tests --test argo_cd known_fields\n";

const DEFINITIONS: [(&str, &str); 3] = [
    ("AppProject", "appproject-crd.yaml"),
    ("Application", "application-crd.yaml"),
    ("ApplicationSet", "applicationset-crd.yaml"),
];

fn newest() -> &'static Release {
    &RELEASES[0]
}

async fn module(name: &'static str) -> Result<PathBuf> {
    Ok(spawn_blocking(move || newest().module(name)).await??)
}

/// Objects with fields, each once. What holds the same fields is the same.
#[derive(Default)]
struct Nodes {
    lines: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Nodes {
    /// The number of an object with these fields.
    fn number(&mut self, properties: &Value, opaque: &[&str]) -> Result<usize> {
        let properties = properties.as_object().context("no fields")?;
        let names: BTreeSet<&String> = properties.keys().collect();
        let mut fields = Vec::new();
        for name in names {
            let below = if opaque.contains(&name.as_str()) {
                None
            } else {
                self.below(&properties[name])?
            };
            fields.push(match below {
                Some(number) => format!("{name}={number}"),
                None => name.clone(),
            });
        }
        let line = fields.join(" ");
        let next = self.lines.len();
        let number = *self.numbers.entry(line.clone()).or_insert(next);
        if number == next {
            self.lines.push(line);
        }
        Ok(number)
    }

    /// The number of what a field holds, if that has fields. Lists are passed over.
    fn below(&mut self, schema: &Value) -> Result<Option<usize>> {
        if let Some(items) = schema.get("items") {
            return self.below(items);
        }
        let is_free = schema["x-kubernetes-preserve-unknown-fields"] == true;
        match schema.get("properties") {
            Some(properties) if !is_free => self.number(properties, &[]).map(Some),
            _ => Ok(None),
        }
    }
}

#[tokio::test]
async fn the_known_fields_are_those_of_the_newest_argo_cd() -> Result<()> {
    let folder = module(ARGO_CD).await?.join("manifests/crds");
    let mut nodes = Nodes::default();
    let mut text = format!("{HEADER}{}\n", newest().version());
    for (kind, file) in DEFINITIONS {
        let definition = fs::read_to_string(folder.join(file))?;
        let definition: Value = serde_saphyr::from_str(&definition)?;
        let fields = definition
            .pointer("/spec/versions/0/schema/openAPIV3Schema/properties")
            .context("the definition has no schema")?;
        writeln!(text, "{kind}={}", nodes.number(fields, &["status"])?)?;
    }
    for line in &nodes.lines {
        writeln!(text, "{line}")?;
    }
    let file = path("../argocd/src/known_fields.txt");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&file, &text)?;
    }
    assert_eq!(fs::read_to_string(&file)?, text);
    Ok(())
}

#[tokio::test]
async fn the_known_sync_options_are_those_of_the_newest_argo_cd() -> Result<()> {
    let source = |module: PathBuf, file: &str| fs::read_to_string(module.join(file));
    let of_controller = source(module(ARGO_CD).await?, "controller/sync.go")?;
    let of_engine = source(module(GITOPS_ENGINE).await?, "pkg/sync/common/types.go")?;
    let asked = of_controller
        .split("HasOption(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let declared = of_engine
        .lines()
        .filter(|line| line.trim_start().starts_with("SyncOption"))
        .filter_map(|line| line.split('"').nth(1));
    let known: BTreeSet<&str> = asked
        .chain(declared)
        .map(|option| option.split('=').next().unwrap_or(option))
        .collect();
    let ours: BTreeSet<&str> = sync_options::ALL.iter().map(|option| option.name).collect();
    assert_eq!(ours, known);
    Ok(())
}
