//! The body of an admission request, from its bytes to the answer.

use argocd::cluster::ClusterSecret;
use argocd::{AppProject, Application, Fleet};
use gitops_webhook::admission_review::decide::{Decision, decide};
use gitops_webhook::admission_review::request::{Content, ObjectKind, Review};
use gitops_webhook::admission_review::response;
use gitops_webhook::labels::Verdict;
use jiff::Timestamp;
use policy::finding::LINE_LIMIT;
use policy::{AnyRequest, Inventory, Kind};
use serde_json::{Map, Value, json};

use crate::world::{INVENTORIES, parts};
use crate::{SECRET, SECRET_IN_BASE64};

/// What the API server drops warnings from, in characters of all of them together.
const WARNINGS_LIMIT: usize = 4096;

/// Deletes what an owner that is gone has left over.
const COLLECTOR: &str = "system:serviceaccount:kube-system:generic-garbage-collector";

/// Reads a body, lets the rules decide on whatever it is, and writes the answer.
pub fn admission_review(body: &[u8]) {
    for inventory in INVENTORIES.iter() {
        let Ok(mut review) = Review::from_json(body) else {
            return;
        };
        if let Content::Judged(AnyRequest::AppProject(request)) = &review.content {
            puts_in_force(request.object());
        }
        let decision = decide(&mut review, inventory, now()).unanswered();
        assert_eq!(decided(body, inventory).as_ref(), Some(&decision));
        let answer = answers(&review, &decision);
        // What serde_json cannot hold as a value may still be read where nothing depends on it.
        if let Ok(document) = serde_json::from_slice::<Value>(body) {
            keeps_credentials(review.kind, &document, &answer);
            follows(&document, &decision, inventory);
        }
    }
}

/// Always the same, so that what was found can be found again.
fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn decided(body: &[u8], inventory: &Inventory) -> Option<Decision> {
    let mut review = Review::from_json(body).ok()?;
    Some(decide(&mut review, inventory, now()).unanswered())
}

fn decided_on(document: &Value, inventory: &Inventory) -> Option<Decision> {
    decided(document.to_string().as_bytes(), inventory)
}

/// The answer is one that the API server takes and that people can read.
fn answers(review: &Review<'_>, decision: &Decision) -> String {
    let answer = String::from_utf8(response::to_json(review, decision).unwrap()).unwrap();
    let parsed: Value = serde_json::from_str(&answer).unwrap();
    let response = &parsed["response"];
    assert_eq!(response["uid"], review.uid.as_str());
    assert_eq!(response["allowed"], decision.verdict.is_allowed());
    let message = response["status"]["message"].as_str();
    assert_eq!(message.is_some(), !decision.verdict.is_allowed());
    let warnings: Vec<&str> = (response["warnings"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    let length: usize = warnings.iter().map(|warning| warning.chars().count()).sum();
    assert!(length <= WARNINGS_LIMIT, "{length} characters of warnings");
    let lines = decision.findings.iter().map(policy::Finding::line);
    for line in lines.inspect(|line| assert!(line.chars().count() < LINE_LIMIT, "{line}")) {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    for text in warnings.into_iter().chain(message) {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
    answer
}

/// Of a Secret's data nothing is repeated but the names of the cluster and of a command.
fn keeps_credentials(kind: ObjectKind, document: &Value, answer: &str) {
    if kind != ObjectKind::Judged(Kind::ClusterSecret) {
        return;
    }
    let mut elsewhere = document.clone();
    for place in ["object", "oldObject"] {
        if let Some(object) = elsewhere["request"].get_mut(place) {
            if names_secret(object) {
                return;
            }
            object.as_object_mut().map(|object| object.remove("data"));
        }
    }
    let elsewhere = elsewhere.to_string();
    for secret in [SECRET, SECRET_IN_BASE64] {
        if !elsewhere.contains(secret) {
            assert!(!answer.contains(secret), "{answer}");
        }
    }
}

fn names_secret(object: &Value) -> bool {
    let text = object.to_string();
    let Ok(secret) = serde_json::from_str::<ClusterSecret<'_>>(&text) else {
        return false;
    };
    let command = secret.config().ok().and_then(|config| config.exec.as_ref());
    let name = secret.cluster().map(|cluster| cluster.name);
    command.is_some_and(|exec| exec.command.contains(SECRET))
        || name.is_ok_and(|name| name.contains(SECRET))
}

/// What follows from a decision for other requests about the same objects.
fn follows(document: &Value, decision: &Decision, inventory: &Inventory) {
    let Some(request) = document["request"].as_object() else {
        return;
    };
    // Not the decision on the bytes: they may have a field twice, of which the document has the
    // last.
    assert_eq!(
        decided(
            objects(document, request, Place::First).as_bytes(),
            inventory
        ),
        decided(
            objects(document, request, Place::Last).as_bytes(),
            inventory
        ),
        "the order of fields counts"
    );
    let Some(object) = request.get("object").filter(|object| !object.is_null()) else {
        return;
    };
    let with = |changes: Value| {
        let mut other = document.clone();
        json_patch::merge(&mut other["request"], &changes);
        other
    };
    // What only clears up after another deletion must be able to.
    let mut deletion = with(json!({"operation": "DELETE", "userInfo": {"username": COLLECTOR}}));
    deletion["request"]["oldObject"] = object.clone();
    let decision_on_deletion = decided_on(&deletion, inventory).unwrap();
    assert!(
        decision_on_deletion.verdict.is_allowed(),
        "a deletion is refused: {decision_on_deletion:?}"
    );
    let mut update = with(json!({"operation": "UPDATE"}));
    update["request"]["oldObject"] = object.clone();
    let decision_on_update = decided_on(&update, inventory).unwrap();
    assert_ne!(
        decision_on_update.verdict,
        Verdict::Denied,
        "an update that changes nothing is refused: {decision_on_update:?}"
    );
    fixes(document, object, decision, inventory);
}

/// Where the objects are in a request. The API server writes their kind first.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    First,
    Last,
}

/// The same review with its objects in another place.
fn objects(document: &Value, request: &Map<String, Value>, place: Place) -> String {
    let is_object = |name: &str| matches!(name, "object" | "oldObject");
    let mut members: Vec<(&String, &Value)> = request.iter().collect();
    members.sort_by_key(|(name, _)| is_object(name) == (place == Place::Last));
    let members: Vec<String> = members
        .into_iter()
        .map(|(name, value)| format!("{}:{value}", json!(name)))
        .collect();
    format!(
        r#"{{"request":{{{}}},"kind":{},"apiVersion":{}}}"#,
        members.join(","),
        document["kind"],
        document["apiVersion"]
    )
}

/// A fix applies, and what it fixes is not found again. Without a `spec`, which the CRD requires,
/// there is no place for it.
fn fixes(document: &Value, object: &Value, decision: &Decision, inventory: &Inventory) {
    if !object["spec"].is_object() {
        return;
    }
    for finding in &decision.findings {
        let Some(patch) = &finding.patch else {
            continue;
        };
        let mut fixed = object.clone();
        let applied = json_patch::patch(&mut fixed, patch);
        assert!(applied.is_ok(), "{applied:?}: {finding:?}");
        let mut review = document.clone();
        review["request"]["object"] = fixed;
        let decision = decided_on(&review, inventory).unwrap();
        assert!(
            !decision.findings.contains(finding),
            "it is found again: {finding:?}"
        );
    }
}

/// What a project says is compiled when it is stored, and asked about by Applications.
fn puts_in_force(project: &AppProject) {
    let json = json!({
        "metadata": {"name": "orders", "namespace": "shop-orders"},
        "spec": {
            "project": project.metadata.name,
            "source": {"repoURL": "https://git.example.com/platform/gitops.git", "path": "orders"},
            "destination": {"name": "prod", "namespace": "shop-orders"},
        },
    })
    .to_string();
    let application = Application::from_json(&json).unwrap();
    let fleet = Fleet::new(argocd::fleet::Parts {
        projects: vec![project.clone()],
        ..parts()
    });
    let conditions = argocd::conditions::conditions(&application, &fleet);
    assert_eq!(
        conditions,
        argocd::conditions::conditions(&application, &fleet)
    );
    if project.spec.destinations.is_empty() {
        assert!(
            !conditions.is_empty(),
            "a project without destinations permits one"
        );
    }
}
