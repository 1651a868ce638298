//! A thousand reviews (`AdmissionReview`) as a fleet's API server sends them.
//!
//! 850 updates of Applications, whose status of 20 to 60 KB comes twice, in the object and the old
//! object; 100 new Applications, 30 ApplicationSets, 20 cluster Secrets. 80 of them must be denied.
//! The verdict follows from how a review was made, not from asking a rule.
//!
//! Fields are in the order in which the API server writes them: those of Go's types as they are
//! declared, those of custom resources by name.

mod application;

use std::collections::BTreeMap;

use bytes::Bytes;
use fastrand::Rng;
use serde::Serialize;
use serde_json::{Value, json};

use self::application::Application;
pub use self::application::Violation;
use crate::fleet::{ARGOCD_NAMESPACE, Environment, Project, WorkloadCluster};

const SEED: u64 = 20_26;
const TIME: &str = "2026-03-02T08:15:30Z";
const LATER: &str = "2026-03-02T08:18:31Z";

/// How many reviews there are of a kind, and how many of them must be denied.
struct Share {
    kind: Kind,
    reviews: usize,
    denied: usize,
}

const SHARES: [Share; 4] = [
    Share {
        kind: Kind::ApplicationUpdate,
        reviews: 850,
        denied: 40,
    },
    Share {
        kind: Kind::ApplicationCreate,
        reviews: 100,
        denied: 30,
    },
    Share {
        kind: Kind::ApplicationSet,
        reviews: 30,
        denied: 0,
    },
    Share {
        kind: Kind::ClusterSecret,
        reviews: 20,
        denied: 10,
    },
];

/// What a review is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// An Application with a status is changed.
    ApplicationUpdate,
    /// An Application is new.
    ApplicationCreate,
    /// An ApplicationSet is changed.
    ApplicationSet,
    /// A cluster Secret is new.
    ClusterSecret,
}

/// What the updates of Applications change, apart from the 40 that must be denied, which change the
/// spec.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Updates {
    /// The status alone, as Argo CD's application controller does all the time. One in twenty is of
    /// an Application that violates a rule, and may still be changed like that.
    Status,
    /// The spec, so that all rules are asked.
    Spec,
}

/// One AdmissionReview.
#[derive(Clone, Debug)]
pub struct Review {
    /// As it is sent.
    pub body: Bytes,
    /// `request.uid`.
    pub uid: String,
    /// What it is about.
    pub kind: Kind,
    /// The verdict that is right.
    pub allowed: bool,
}

/// The thousand, in an order that mixes them.
///
/// # Errors
/// A review cannot be written as JSON, which no content of it can bring about.
pub fn corpus(updates: Updates) -> serde_json::Result<Vec<Review>> {
    let mut random = Rng::with_seed(SEED);
    let mut reviews = Vec::new();
    for share in SHARES {
        for number in 0..share.reviews {
            let denied = number < share.denied;
            reviews.push(share.kind.review(number, denied, updates, &mut random)?);
        }
    }
    random.shuffle(&mut reviews);
    Ok(reviews)
}

/// Applications as they are stored, without status; none of them violates a rule.
pub fn stored_applications() -> impl Iterator<Item = Value> {
    (0..).map(|number| Application::new(number, None).manifest())
}

impl Kind {
    fn review(
        self,
        number: usize,
        denied: bool,
        updates: Updates,
        random: &mut Rng,
    ) -> serde_json::Result<Review> {
        let uid = uid(random);
        let violation = denied.then(|| Violation::numbered(number));
        let body = match self {
            Kind::ApplicationUpdate => {
                let (old, new) = update(number, violation, updates, random);
                let request =
                    Request::of_custom_resource("Application", "applications", "UPDATE", new);
                serialize(uid.clone(), request.replacing(old))
            }
            Kind::ApplicationCreate => {
                let object = Application::new(number, violation).created(random);
                let request =
                    Request::of_custom_resource("Application", "applications", "CREATE", object);
                serialize(uid.clone(), request)
            }
            Kind::ApplicationSet => {
                let [old, new] = [1, 2].map(|generation| application_set(number, generation));
                let request =
                    Request::of_custom_resource("ApplicationSet", "applicationsets", "UPDATE", new);
                serialize(uid.clone(), request.replacing(old))
            }
            Kind::ClusterSecret => serialize(
                uid.clone(),
                Request::of_secret(Secret::new(number, denied, random)),
            ),
        }?;
        Ok(Review {
            body: Bytes::from(body),
            uid,
            kind: self,
            allowed: !denied,
        })
    }
}

/// The old and the new object of an update.
fn update(
    number: usize,
    violation: Option<Violation>,
    updates: Updates,
    random: &mut Rng,
) -> (Value, Value) {
    let lives_in_violation = violation.is_none() && updates == Updates::Status && number % 20 == 19;
    let before = lives_in_violation.then(|| Violation::numbered(number / 20));
    let old = Application::new(number, before).living(1, random);
    let mut new = old.clone();
    new["status"]["reconciledAt"] = json!(LATER);
    if violation.is_some() || updates == Updates::Spec {
        new["metadata"]["generation"] = json!(8);
        new["spec"] = Application::new(number, violation).spec(2);
    }
    (old, new)
}

fn application_set(number: usize, generation: u32) -> Value {
    let project = Project::numbered(number);
    let team = project.team();
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {
            "creationTimestamp": TIME,
            "generation": generation,
            "managedFields": application::managed_fields("kubectl-client-side-apply"),
            "name": format!("{team}-services-{number:03}"),
            "namespace": ARGOCD_NAMESPACE,
            "resourceVersion": (9000 + number).to_string(),
        },
        "spec": {
            "generators": [{"clusters": {"selector": {"matchLabels": {
                "environment": project.environment().as_str(),
                "workload-cluster": "true",
            }}}}],
            "goTemplate": true,
            "goTemplateOptions": ["missingkey=error"],
            "template": {
                "metadata": {"name": format!("{team}-services-{{{{.name}}}}")},
                "spec": {
                    "destination": {"name": "{{.name}}", "namespace": team},
                    "ignoreDifferences": [
                        {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]},
                    ],
                    "project": project.name(),
                    "source": {
                        "path": "deploy",
                        "repoURL": format!("https://git.example.com/{team}/services.git"),
                        "targetRevision": format!("v1.{generation}.0"),
                    },
                    "syncPolicy": {
                        "syncOptions": ["CreateNamespace=true", "RespectIgnoreDifferences=true"],
                    },
                },
            },
        },
    })
}

fn uid(random: &mut Rng) -> String {
    let mut part = |digits| {
        let bits = random.u64(..) >> (64 - 4 * digits);
        format!("{bits:0digits$x}")
    };
    [part(8), part(4), part(4), part(4), part(12)].join("-")
}

fn serialize<T: Serialize>(uid: String, request: Request<T>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&AdmissionReview {
        kind: "AdmissionReview",
        api_version: "admission.k8s.io/v1",
        request: Request { uid, ..request },
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionReview<T> {
    kind: &'static str,
    api_version: &'static str,
    request: Request<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_field_names,
    reason = "the names are those of Kubernetes"
)]
struct Request<T> {
    uid: String,
    kind: GroupVersionKind,
    resource: GroupVersionResource,
    request_kind: GroupVersionKind,
    request_resource: GroupVersionResource,
    name: String,
    namespace: &'static str,
    operation: &'static str,
    user_info: Value,
    object: T,
    old_object: Option<T>,
    dry_run: bool,
    options: Value,
}

#[derive(Clone, Copy, Serialize)]
struct GroupVersionKind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
}

#[derive(Clone, Copy, Serialize)]
struct GroupVersionResource {
    group: &'static str,
    version: &'static str,
    resource: &'static str,
}

impl Request<Value> {
    fn of_custom_resource(
        kind: &'static str,
        resource: &'static str,
        operation: &'static str,
        object: Value,
    ) -> Self {
        let (group, version) = ("argoproj.io", "v1alpha1");
        let name = object["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let kind = GroupVersionKind {
            group,
            version,
            kind,
        };
        let resource = GroupVersionResource {
            group,
            version,
            resource,
        };
        Request::new(kind, resource, name, operation, object)
    }

    fn replacing(self, old: Value) -> Self {
        Request {
            old_object: Some(old),
            ..self
        }
    }
}

impl Request<Secret> {
    fn of_secret(secret: Secret) -> Self {
        let (group, version) = ("", "v1");
        let kind = GroupVersionKind {
            group,
            version,
            kind: "Secret",
        };
        let resource = GroupVersionResource {
            group,
            version,
            resource: "secrets",
        };
        Request::new(
            kind,
            resource,
            secret.metadata.name.clone(),
            "CREATE",
            secret,
        )
    }
}

impl<T> Request<T> {
    fn new(
        kind: GroupVersionKind,
        resource: GroupVersionResource,
        name: String,
        operation: &'static str,
        object: T,
    ) -> Self {
        let options = match operation {
            "CREATE" => "CreateOptions",
            _ => "UpdateOptions",
        };
        Request {
            uid: String::new(),
            kind,
            resource,
            request_kind: kind,
            request_resource: resource,
            name,
            namespace: ARGOCD_NAMESPACE,
            operation,
            user_info: user_info(),
            object,
            old_object: None,
            dry_run: false,
            options: json!({"kind": options, "apiVersion": "meta.k8s.io/v1"}),
        }
    }
}

fn user_info() -> Value {
    json!({
        "username": "system:serviceaccount:argocd:argocd-application-controller",
        "uid": "edb1a2ab-fd07-4414-9a24-54b9052f6737",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:argocd", "system:authenticated"],
        "extra": {
            "authentication.kubernetes.io/credential-id": ["JTI=c24d29b1-ddf0-4107-b442-c7c1e9464653"],
            "authentication.kubernetes.io/node-name": ["ip-10-0-12-34.eu-central-1.compute.internal"],
            "authentication.kubernetes.io/pod-name": ["argocd-application-controller-0"],
            "authentication.kubernetes.io/pod-uid": ["0a6ec05d-35b7-4d13-9e0a-2b6c0b54e3d1"],
        },
    })
}

/// A Secret, whose fields are those of a Go type.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Secret {
    kind: &'static str,
    api_version: &'static str,
    metadata: SecretMetadata,
    data: BTreeMap<&'static str, String>,
    #[serde(rename = "type")]
    kind_of_data: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretMetadata {
    name: String,
    namespace: &'static str,
    uid: String,
    creation_timestamp: &'static str,
    labels: BTreeMap<String, String>,
    managed_fields: Value,
}

impl Secret {
    fn new(number: usize, with_token: bool, random: &mut Rng) -> Self {
        let environment = if number.is_multiple_of(3) {
            Environment::Prod
        } else {
            Environment::Staging
        };
        let cluster = WorkloadCluster::of(environment, number);
        let mut config = cluster.aws_config();
        if with_token {
            config = json!({
                "bearerToken": "not-a-real-token".repeat(60),
                "tlsClientConfig": config["tlsClientConfig"],
            });
        }
        Secret {
            kind: "Secret",
            api_version: "v1",
            metadata: SecretMetadata {
                name: format!("cluster-{}-{number:03}", cluster.name()),
                namespace: ARGOCD_NAMESPACE,
                uid: uid(random),
                creation_timestamp: TIME,
                labels: cluster.labels(),
                managed_fields: application::managed_fields("terraform"),
            },
            data: cluster.data(&config),
            kind_of_data: "Opaque",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use gitops_webhook::admission_review::decide::decide;
    use gitops_webhook::admission_review::request;
    use gitops_webhook::labels::Verdict;
    use jiff::Timestamp;

    use super::*;
    use crate::fleet::inventory;

    /// Made once for all tests, since it takes a while without optimisation.
    fn shared(updates: Updates) -> &'static [Review] {
        static STATUS: LazyLock<Vec<Review>> = LazyLock::new(|| corpus(Updates::Status).unwrap());
        static SPEC: LazyLock<Vec<Review>> = LazyLock::new(|| corpus(Updates::Spec).unwrap());
        match updates {
            Updates::Status => &STATUS,
            Updates::Spec => &SPEC,
        }
    }

    fn every_verdict_is_right_and_unchanged_are(count: usize, updates: Updates) {
        let inventory = inventory().unwrap();
        let mut unchanged = 0;
        for review in shared(updates) {
            let mut read = request::Review::from_json(&review.body).unwrap();
            assert_eq!(*read.uid, *review.uid);
            let verdict = decide(&mut read, &inventory, Timestamp::UNIX_EPOCH)
                .unanswered()
                .verdict;
            let text = String::from_utf8_lossy(&review.body);
            assert_eq!(verdict.is_allowed(), review.allowed, "{verdict:?}: {text}");
            unchanged += usize::from(verdict == Verdict::Unchanged);
        }
        assert_eq!(unchanged, count);
    }

    #[test]
    fn updates_of_the_status_ask_no_rule_and_every_verdict_is_the_intended_one() {
        every_verdict_is_right_and_unchanged_are(810, Updates::Status);
    }

    #[test]
    fn updates_of_the_spec_ask_all_rules_and_every_verdict_is_the_intended_one() {
        every_verdict_is_right_and_unchanged_are(0, Updates::Spec);
    }

    #[test]
    fn sizes_and_shares_are_those_of_a_large_fleet() {
        for updates in [Updates::Status, Updates::Spec] {
            let reviews = shared(updates);
            let of_kind = |kind| reviews.iter().filter(|review| review.kind == kind).count();
            assert_eq!(reviews.len(), 1000);
            assert_eq!(of_kind(Kind::ApplicationUpdate), 850);
            assert_eq!(of_kind(Kind::ApplicationCreate), 100);
            assert_eq!(of_kind(Kind::ApplicationSet), 30);
            assert_eq!(of_kind(Kind::ClusterSecret), 20);
            assert_eq!(reviews.iter().filter(|review| !review.allowed).count(), 80);

            let mut sizes: Vec<usize> = reviews.iter().map(|review| review.body.len()).collect();
            sizes.sort_unstable();
            let mean = sizes.iter().sum::<usize>() / sizes.len();
            assert!((71_000..=74_000).contains(&mean), "mean {mean}");
            assert!(
                (77_000..=81_000).contains(&sizes[500]),
                "median {}",
                sizes[500]
            );
            assert!(
                (122_000..=130_000).contains(&sizes[999]),
                "largest {}",
                sizes[999]
            );
        }
    }

    #[test]
    fn it_is_the_same_in_every_run() {
        let again = corpus(Updates::Spec).unwrap();
        let both = again.iter().zip(shared(Updates::Spec));
        assert!(
            both.into_iter()
                .all(|(again, review)| again.body == review.body)
        );
    }

    #[test]
    fn the_kind_comes_before_the_objects_and_names_of_custom_resources_are_sorted() {
        let reviews = shared(Updates::Status);
        let update = reviews
            .iter()
            .find(|review| review.kind == Kind::ApplicationUpdate);
        let text = String::from_utf8_lossy(&update.unwrap().body).into_owned();
        let mut position = 0;
        for key in [
            r#""kind":"AdmissionReview","#,
            r#""request":{"uid":"#,
            r#""kind":{"group":"argoproj.io""#,
            r#""operation":"UPDATE""#,
            r#""object":{"apiVersion":"#,
            r#""metadata":{"#,
            r#""managedFields":"#,
            r#""spec":{"#,
            r#""status":{"#,
            r#""oldObject":{"apiVersion":"#,
        ] {
            let found = text[position..].find(key);
            position += found.unwrap_or_else(|| panic!("{key} is not where it belongs: {text}"));
        }
    }
}
