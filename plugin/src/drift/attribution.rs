//! Which person is behind a difference, by an audit log.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::audit_log::{Wanted, Write};
use super::cause::Cause;
use super::field::FieldDrift;
use super::person::{Confidence, Person};
use super::{Drift, ResourceDrift};

/// `managedFields` has whole seconds, and an event its own time, so that they differ a little.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// The objects of which an audit log is read.
pub(crate) fn wanted(drift: &Drift) -> Wanted {
    let resources = drift.applications.iter().flat_map(|one| &one.resources);
    resources
        .map(|resource| (resource.namespace.clone(), resource.name.clone()))
        .collect()
}

/// Says of each field who did it, as far as the writes tell.
pub(crate) fn attribute(drift: &mut Drift, writes: &[Write]) {
    // A log does not say of which cluster it is.
    let mut clusters: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for application in &drift.applications {
        for resource in &application.resources {
            let object = (resource.namespace.clone(), resource.name.clone());
            let cluster = application.cluster_key().to_owned();
            clusters.entry(object).or_default().insert(cluster);
        }
    }
    let resources = drift.applications.iter_mut();
    for resource in resources.flat_map(|one| &mut one.resources) {
        let object = (resource.namespace.clone(), resource.name.clone());
        let is_one_cluster = clusters.get(&object).is_none_or(|known| known.len() == 1);
        let own: Vec<&Write> = writes
            .iter()
            .filter(|write| is_to(write, resource))
            .collect();
        let cause = resource.cause;
        for field in &mut resource.fields {
            let person = person_of(field, cause, &own);
            field.person = person.map(|mut person| {
                if !is_one_cluster {
                    person.confidence = person.confidence.min(Confidence::Possible);
                }
                person
            });
        }
        if cause == Cause::Unknown {
            resource.cause = cause_by_person(&resource.fields).unwrap_or(cause);
        }
    }
}

/// Who did what nobody owns.
fn cause_by_person(fields: &[FieldDrift]) -> Option<Cause> {
    let people = fields.iter().filter_map(|field| field.person.as_ref());
    let people = people.filter(|person| person.is_sure());
    let causes = people.map(|person| {
        if person.name.starts_with("system:") {
            Cause::ChangedByController
        } else {
            Cause::ChangedByHand
        }
    });
    causes.min()
}

/// Whether a write is to an object. An event names the resource and not the kind.
fn is_to(write: &Write, resource: &ResourceDrift) -> bool {
    let kind = resource.kind.to_lowercase();
    let plurals = [
        format!("{kind}s"),
        format!("{kind}es"),
        format!("{}ies", kind.trim_end_matches('y')),
        kind,
    ];
    write.namespace == resource.namespace
        && write.name == resource.name
        && write.group == resource.group
        && plurals.contains(&write.resource)
}

fn person_of(field: &FieldDrift, cause: Cause, writes: &[&Write]) -> Option<Person> {
    if cause == Cause::Missing {
        let deletions = writes.iter().filter(|write| write.verb == "delete");
        return one_of(deletions.copied(), Confidence::Likely);
    }
    let mut likely = Vec::new();
    for manager in &field.managers {
        let by_manager = writes.iter().copied().filter(|write| {
            write.verb != "delete"
                && write.manager() == manager.name
                && write.subresource == manager.subresource.as_deref().unwrap_or_default()
        });
        match manager.time {
            Some(time) => {
                let is_then = |write: &&Write| write.time.duration_since(time).abs() <= TOLERANCE;
                let found = one_of(by_manager.filter(is_then), Confidence::Certain);
                if found.is_some() {
                    return found;
                }
            }
            None => likely.extend(by_manager),
        }
    }
    if !field.managers.is_empty() {
        return one_of(likely.into_iter(), Confidence::Likely);
    }
    // A field that is gone has no owner: whoever wrote to the object may have taken it away.
    let others = writes.iter().copied().filter(|write| {
        let is_argo_cd = write.manager().starts_with("argocd");
        write.verb != "delete" && write.subresource.is_empty() && !is_argo_cd
    });
    one_of(others, Confidence::Likely)
}

/// The last of some writers. Of several it is a guess.
fn one_of<'w>(writes: impl Iterator<Item = &'w Write>, confidence: Confidence) -> Option<Person> {
    let writes: Vec<&Write> = writes.collect();
    let last = writes.iter().max_by_key(|write| write.time)?;
    let is_one = writes.iter().all(|write| write.user == last.user);
    Some(Person {
        name: last.user.clone(),
        confidence: if is_one {
            confidence
        } else {
            Confidence::Possible
        },
        time: Some(last.time),
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::manager::Manager;
    use super::*;

    const TIME: &str = "2026-11-30T10:00:00Z";

    fn write(user: &str, manager: &str, subresource: &str, second: i64) -> Write {
        Write {
            user: user.to_owned(),
            user_agent: format!("{manager}/v1"),
            field_manager: None,
            verb: "patch".to_owned(),
            group: "apps".to_owned(),
            resource: "deployments".to_owned(),
            subresource: subresource.to_owned(),
            namespace: "shop".to_owned(),
            name: "cart".to_owned(),
            time: TIME.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second),
        }
    }

    fn field(manager: Option<(&str, &str, bool)>) -> FieldDrift {
        let mut field = FieldDrift::of_object(None);
        field.managers = manager
            .map(|(name, subresource, has_time)| Manager {
                name: name.to_owned(),
                operation: "Update".to_owned(),
                subresource: (!subresource.is_empty()).then(|| subresource.to_owned()),
                time: has_time.then(|| TIME.parse().unwrap()),
            })
            .into_iter()
            .collect();
        field
    }

    fn found(field: &FieldDrift, writes: &[Write]) -> Option<(String, Confidence)> {
        let writes: Vec<&Write> = writes.iter().collect();
        let person = person_of(field, Cause::ChangedByHand, &writes)?;
        Some((person.name, person.confidence))
    }

    #[test]
    fn manager_and_time_make_it_certain() {
        let edited = field(Some(("kubectl-edit", "", true)));
        let alice = || write("alice", "kubectl-edit", "", 1);
        let certain = Some(("alice".to_owned(), Confidence::Certain));
        assert_eq!(found(&edited, &[alice()]), certain);
        let others = [
            write("bob", "kubectl-edit", "", 60),
            write("carol", "kubectl-label", "", 0),
            write("dave", "kubectl-edit", "scale", 0),
        ];
        assert_eq!(found(&edited, &others), None);
        let all: Vec<Write> = others.into_iter().chain([alice()]).collect();
        assert_eq!(found(&edited, &all), certain);
    }

    #[test]
    fn without_a_time_it_is_likely_or_possible() {
        let scaled = field(Some(("kubectl", "scale", false)));
        let alice = write("alice", "kubectl", "scale", -500);
        let bob = write("bob", "kubectl", "scale", -100);
        assert_eq!(
            found(&scaled, std::slice::from_ref(&alice)),
            Some(("alice".to_owned(), Confidence::Likely))
        );
        assert_eq!(
            found(&scaled, &[bob, alice]),
            Some(("bob".to_owned(), Confidence::Possible))
        );
    }

    #[test]
    fn what_is_gone_was_taken_away_by_whoever_wrote() {
        let gone = field(None);
        let writes = [
            write("system:serviceaccount:argocd", "argocd-controller", "", 9),
            write("alice", "kubectl-edit", "", 0),
            write("hpa", "kube-controller-manager", "scale", 0),
        ];
        assert_eq!(
            found(&gone, &writes),
            Some(("alice".to_owned(), Confidence::Likely))
        );
    }

    #[test]
    fn a_resource_is_known_by_the_plural_of_its_kind() {
        let resource = |group: &str, kind: &str| ResourceDrift {
            group: group.to_owned(),
            version: None,
            kind: kind.to_owned(),
            namespace: "shop".to_owned(),
            name: "cart".to_owned(),
            cause: Cause::Unknown,
            effect: None,
            fields: Vec::new(),
            sides: None,
            written: None,
        };
        let is = |plural: &str, group: &str, kind: &str| {
            let mut write = write("alice", "kubectl", "", 0);
            plural.clone_into(&mut write.resource);
            group.clone_into(&mut write.group);
            is_to(&write, &resource(group, kind))
        };
        assert!(is("deployments", "apps", "Deployment"));
        assert!(is("networkpolicies", "networking.k8s.io", "NetworkPolicy"));
        assert!(is("ingresses", "networking.k8s.io", "Ingress"));
        assert!(is("endpoints", "", "Endpoints"));
        assert!(!is("secrets", "", "ConfigMap"));
    }
}
