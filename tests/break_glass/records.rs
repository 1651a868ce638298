//! Where an override can be found afterwards: in an Event, the API server's audit log, the
//! webhook's log and a metric.

use std::fs;

use anyhow::{Context, Result};
use harness::objects::kubectl_apply;
use harness::{Installation, Overlay, eventually};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::world::{Person, WITHIN, automated, both, granting, production, put_on_call};
const WEBHOOK: &str = "applications.kubectl-gitops.io/";

/// All that is found of overrides of an Application.
#[derive(Debug, PartialEq)]
struct Found {
    events: Vec<(String, String)>,
    audit: Vec<Value>,
    log: Vec<Value>,
}

async fn found(installation: &Installation, name: &str) -> Result<Found> {
    let client = installation.admin().client().await?;
    let events = Api::<Event>::all(client)
        .list(&ListParams::default())
        .await?;
    let events = events.items.into_iter().filter(|event| {
        let regarding = event.regarding.as_ref();
        regarding.is_some_and(|object| object.name.as_deref() == Some(name))
    });
    let log = installation.webhook().log().entries_of("break-glass")?;
    Ok(Found {
        events: events
            .map(|event| {
                (
                    event.reason.unwrap_or_default(),
                    event.note.unwrap_or_default(),
                )
            })
            .collect(),
        audit: audited(installation, name)?,
        log: log
            .into_iter()
            .filter(|entry| entry["name"] == name)
            .collect(),
    })
}

/// The annotations on requests that are about overrides.
fn audited(installation: &Installation, name: &str) -> Result<Vec<Value>> {
    let log = fs::read_to_string(installation.control_plane().audit_log()?)?;
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    let mut found = Vec::new();
    for line in whole.lines() {
        let request: Value = serde_json::from_str(line).context("not JSON in the audit log")?;
        if request["objectRef"]["name"] != name {
            continue;
        }
        let annotations = request["annotations"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let ours = annotations.into_iter().filter_map(|(key, value)| {
            let key = key.strip_prefix(WEBHOOK)?.to_owned();
            key.starts_with("break-glass").then_some((key, value))
        });
        let ours: serde_json::Map<String, Value> = ours.collect();
        if !ours.is_empty() {
            found.push(Value::Object(ours));
        }
    }
    Ok(found)
}

async fn counted(installation: &Installation, outcome: &str) -> Result<u64> {
    let name = format!(
        "gitops_webhook_break_glass_total{{rule=\"prod-auto-sync\",outcome=\"{outcome}\"}}"
    );
    installation.webhook().counter(&name).await
}

#[tokio::test]
async fn each_use_and_each_refusal_is_found_in_four_places_and_a_dry_run_in_none() -> Result<()> {
    let installation = Installation::start(Overlay::ProdDevops, "").await?;
    put_on_call(installation.control_plane()).await?;
    let on_call = Person::OnCall.log_in(installation.control_plane()).await?;
    let developer = Person::Developer
        .log_in(installation.control_plane())
        .await?;
    let overruled = |name: &str| production(name, &both(&automated(), &granting(&json!({}))));

    // Dry runs first: what they would leave behind would be there by the time of the rest.
    let dry_run = ["--dry-run=server"];
    kubectl_apply(&on_call, &overruled("dry")?, &dry_run)
        .await?
        .admitted();
    kubectl_apply(&developer, &overruled("dry")?, &dry_run)
        .await?
        .refusal();
    kubectl_apply(&on_call, &overruled("used")?, &[])
        .await?
        .admitted();
    kubectl_apply(&developer, &overruled("refused")?, &[])
        .await?
        .refusal();

    let told = eventually(WITHIN, "both are told in Events", async || {
        let found = async |name| {
            found(&installation, name)
                .await
                .map_err(|error| format!("{error:#}"))
        };
        let (used, refused) = (found("used").await?, found("refused").await?);
        if used.events.is_empty() || refused.events.is_empty() {
            return Err(format!("{used:?} {refused:?}"));
        }
        Ok((used, refused))
    });
    let (used, refused) = told.await?;
    for (found, outcome, event, user) in [
        (&used, "allowed", "BreakGlassAllowed", "bob@example.com"),
        (
            &refused,
            "refused",
            "BreakGlassRefused",
            "alice@example.com",
        ),
    ] {
        let [(reason, note)] = found.events.as_slice() else {
            panic!("one Event each: {found:#?}");
        };
        assert_eq!(reason, event);
        assert!(
            note.contains(user) && note.contains("prod-auto-sync"),
            "{note}"
        );
        let [audit] = found.audit.as_slice() else {
            panic!("one entry each: {found:#?}");
        };
        assert_eq!(audit["break-glass"], outcome);
        assert_eq!(audit["break-glass-rules"], "prod-auto-sync");
        assert_eq!(audit["break-glass-reason"], "INC-1: it burns");
        let [line] = found.log.as_slice() else {
            panic!("one line each: {found:#?}");
        };
        assert_eq!(
            (&line["outcome"], &line["user"]),
            (&json!(outcome), &json!(user))
        );
        assert_eq!(line["reason"], "INC-1: it burns");
        assert_eq!(counted(&installation, outcome).await?, 1);
    }
    assert_eq!(
        refused.audit[0]["break-glass-refusal"],
        "its writer may not overrule prod-auto-sync"
    );
    let nothing = Found {
        events: Vec::new(),
        audit: Vec::new(),
        log: Vec::new(),
    };
    assert_eq!(found(&installation, "dry").await?, nothing);
    Ok(())
}

#[tokio::test]
async fn the_writer_is_warned_on_the_terminal() -> Result<()> {
    let installation = super::world::shared().await?;
    let on_call = Person::OnCall.log_in(installation.control_plane()).await?;
    let object = production("warned", &both(&automated(), &granting(&json!({}))))?;
    let apply = on_call.kubectl(["apply", "--filename", "-"]);

    let said = apply.input(object.to_string()).run().await?;

    assert!(said.status.success(), "{said:?}");
    let warnings: Vec<&str> = said.stderr.lines().collect();
    assert!(
        warnings
            .iter()
            .any(|line| line.starts_with("Warning: break-glass: ")
                && line.contains("prod-auto-sync overruled until ")
                && line.contains(": INC-1: it burns")),
        "{warnings:#?}"
    );
    Ok(())
}
