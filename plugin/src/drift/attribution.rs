//! Which person is behind a difference, by an audit log.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::audit_log::{Wanted, Write};
use super::cause::Cause;
use super::causes;
use super::field::FieldDrift;
use super::manager::{Manager, SYNC_MANAGER, WriterKind};
use super::person::{Confidence, Person};
use super::{Drift, ResourceDrift};

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
        for field in &mut resource.fields {
            let person = person_of(field, &own);
            field.person = person.map(|mut person| {
                if !is_one_cluster {
                    person.confidence = person.confidence.min(Confidence::Possible);
                }
                person
            });
            if field.cause == Cause::Unknown {
                field.cause = cause_by_person(field).unwrap_or(Cause::Unknown);
            }
        }
        if resource.cause == Cause::Unknown {
            resource.cause = causes::of_resource(&resource.fields);
        }
    }
}

/// Who did what nobody owns.
fn cause_by_person(field: &FieldDrift) -> Option<Cause> {
    let person = field.person.as_ref().filter(|person| person.is_sure())?;
    Some(match person.writer {
        WriterKind::Hand => Cause::ChangedByHand,
        WriterKind::ArgoCd | WriterKind::Autoscaler | WriterKind::Controller => {
            Cause::ChangedByController
        }
    })
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

fn person_of(field: &FieldDrift, writes: &[&Write]) -> Option<Person> {
    match field.cause {
        Cause::Missing => deleter(writes),
        Cause::Extra => creator(writes).or_else(|| owner(field, writes)),
        _ if field.managers.is_empty() => remover(field, writes),
        _ => owner(field, writes),
    }
}

/// Who deleted an object: since it was last created, for the log may tell of several lives.
fn deleter(writes: &[&Write]) -> Option<Person> {
    let created = last_time(writes, |write| write.is_creation);
    let deletions = writes.iter().copied();
    let deletions = deletions.filter(|write| write.verb == "delete" && Some(write.time) > created);
    one_of(deletions, Confidence::Likely, "")
}

/// Who created an object that is there.
fn creator(writes: &[&Write]) -> Option<Person> {
    let creations = writes.iter().copied().filter(|write| write.is_creation);
    let last = creations.max_by_key(|write| write.time)?;
    one_of([last].into_iter(), Confidence::Certain, "")
}

/// Who wrote a field that is there, by its owners.
fn owner(field: &FieldDrift, writes: &[&Write]) -> Option<Person> {
    let mut likely = Vec::new();
    for manager in &field.managers {
        let by_manager = writes.iter().copied().filter(|write| is_by(write, manager));
        let by_manager: Vec<&Write> = by_manager.collect();
        match manager.time {
            Some(time) => {
                let found = at(time, manager, field, &by_manager);
                if found.is_some() {
                    return found;
                }
            }
            None => likely.extend(by_manager),
        }
    }
    one_of(likely.into_iter(), Confidence::Likely, &field.pointer)
}

fn is_by(write: &Write, manager: &Manager) -> bool {
    write.verb != "delete"
        && write.manager() == manager.name
        && write.subresource == manager.subresource.as_deref().unwrap_or_default()
}

/// Who wrote at the time that the API server notes of a manager.
fn at(time: Timestamp, manager: &Manager, field: &FieldDrift, writes: &[&Write]) -> Option<Person> {
    let then = || writes.iter().copied().filter(|write| write.is_at(time));
    if is_changed_on_the_way(field)
        && let Some(webhook) = webhook_of(then(), Confidence::Certain)
    {
        return Some(webhook);
    }
    let mut person = one_of(then(), Confidence::Certain, &field.pointer)?;
    // An update adds to what the same manager wrote before, and only the last time is noted; an
    // apply has all of its fields.
    let mut before = writes.iter().filter(|write| write.is_before(time));
    let is_another = |write: &&Write| write.user != person.name;
    if manager.operation != "Apply" && before.any(is_another) {
        person.confidence = Confidence::Possible;
    }
    Some(person)
}

/// Whether Argo CD owns a field, and what is there is not what it wrote.
fn is_changed_on_the_way(field: &FieldDrift) -> bool {
    let mut managers = field.managers.iter();
    field.cause == Cause::ChangedByController
        && managers.all(|manager| manager.kind(&field.pointer) == WriterKind::ArgoCd)
}

/// The webhook that changed what was written. Of several it is a guess.
fn webhook_of<'w>(
    writes: impl Iterator<Item = &'w Write>,
    confidence: Confidence,
) -> Option<Person> {
    let last = writes.max_by_key(|write| write.time)?;
    let name = last.mutated_by.last()?;
    let is_one = last.mutated_by.iter().all(|other| other == name);
    Some(Person {
        name: format!("mutating webhook {name}"),
        writer: WriterKind::Controller,
        confidence: if is_one {
            confidence
        } else {
            Confidence::Possible
        },
        time: Some(last.time),
    })
}

/// Who took away a field, which has no owner any more: whoever wrote to the object since a sync put
/// it there, or a webhook during that sync.
fn remover(field: &FieldDrift, writes: &[&Write]) -> Option<Person> {
    let is_sync = |write: &Write| write.manager() == SYNC_MANAGER && write.verb != "delete";
    let synced = last_time(writes, is_sync);
    let others = writes.iter().copied().filter(|write| {
        let is_argo_cd = write.manager().starts_with("argocd");
        let is_later = Some(write.time) > synced;
        write.verb != "delete" && write.subresource.is_empty() && !is_argo_cd && is_later
    });
    one_of(others, Confidence::Likely, &field.pointer).or_else(|| {
        let syncs = writes.iter().copied().filter(|write| is_sync(write));
        webhook_of(syncs, Confidence::Likely)
    })
}

fn last_time(writes: &[&Write], counts: impl Fn(&Write) -> bool) -> Option<Timestamp> {
    let counting = writes.iter().filter(|write| counts(write));
    counting.map(|write| write.time).max()
}

/// The last of some writers. Of several it is a guess.
fn one_of<'w>(
    writes: impl Iterator<Item = &'w Write>,
    confidence: Confidence,
    pointer: &str,
) -> Option<Person> {
    let writes: Vec<&Write> = writes.collect();
    let last = writes.iter().max_by_key(|write| write.time)?;
    let is_one = writes.iter().all(|write| write.user == last.user);
    Some(Person {
        name: last.user.clone(),
        writer: Manager::of_write(last).kind(pointer),
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
    use jiff::SignedDuration;

    use super::*;

    const TIME: &str = "2026-11-30T10:00:00Z";

    fn write(user: &str, manager: &str, subresource: &str, second: i64) -> Write {
        let time = TIME.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second);
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
            is_creation: false,
            mutated_by: Vec::new(),
            began: time,
            time,
        }
    }

    fn field(cause: Cause, manager: Option<(&str, &str, bool)>) -> FieldDrift {
        let mut field = FieldDrift::of_object(None, cause);
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

    fn edited() -> FieldDrift {
        field(Cause::ChangedByHand, Some(("kubectl-edit", "", true)))
    }

    fn found(field: &FieldDrift, writes: &[Write]) -> Option<(String, Confidence)> {
        let writes: Vec<&Write> = writes.iter().collect();
        let person = person_of(field, &writes)?;
        Some((person.name, person.confidence))
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "it is compared with what is found"
    )]
    fn named(name: &str, confidence: Confidence) -> Option<(String, Confidence)> {
        Some((name.to_owned(), confidence))
    }

    #[test]
    fn manager_and_time_make_it_certain() {
        let alice = || write("alice", "kubectl-edit", "", 1);
        let certain = named("alice", Confidence::Certain);
        assert_eq!(found(&edited(), &[alice()]), certain);
        let others = [
            write("bob", "kubectl-edit", "", 60),
            write("carol", "kubectl-label", "", 0),
            write("dave", "kubectl-edit", "scale", 0),
        ];
        assert_eq!(found(&edited(), &others), None);
        let all: Vec<Write> = others.into_iter().chain([alice()]).collect();
        assert_eq!(found(&edited(), &all), certain);
    }

    /// It had been believed that the time of an entry is that of each of its fields.
    #[test]
    fn who_wrote_before_by_the_same_manager_may_have_done_it() {
        let writes = |operation: &str| {
            let mut field = edited();
            operation.clone_into(&mut field.managers[0].operation);
            let before = write("bob", "kubectl-edit", "", -600);
            let of_alice = write("alice", "kubectl-edit", "", 0);
            found(&field, &[before, of_alice])
        };
        assert_eq!(writes("Update"), named("alice", Confidence::Possible));
        // Whoever applies has written all of it.
        assert_eq!(writes("Apply"), named("alice", Confidence::Certain));
        let before = write("alice", "kubectl-edit", "", -600);
        let own = [before, write("alice", "kubectl-edit", "", 0)];
        assert_eq!(found(&edited(), &own), named("alice", Confidence::Certain));
    }

    #[test]
    fn without_a_time_it_is_likely_or_possible() {
        let scaled = field(Cause::ChangedByHand, Some(("kubectl", "scale", false)));
        let alice = write("alice", "kubectl", "scale", -500);
        let bob = write("bob", "kubectl", "scale", -100);
        assert_eq!(
            found(&scaled, std::slice::from_ref(&alice)),
            named("alice", Confidence::Likely)
        );
        assert_eq!(
            found(&scaled, &[bob, alice]),
            named("bob", Confidence::Possible)
        );
    }

    #[test]
    fn what_is_gone_was_taken_away_by_whoever_wrote() {
        let gone = field(Cause::Unknown, None);
        let argo_cd = "system:serviceaccount:argocd";
        let mut writes = vec![
            write(argo_cd, "argocd-controller", "", -60),
            write("alice", "kubectl-edit", "", 0),
            write(argo_cd, "argocd-server", "", 9),
            write("hpa", "kube-controller-manager", "scale", 0),
        ];
        assert_eq!(found(&gone, &writes), named("alice", Confidence::Likely));
        // A sync would have put it back.
        writes[0] = write(argo_cd, "argocd-controller", "", 60);
        assert_eq!(found(&gone, &writes), None);
        let before = write("bob", "kubectl-edit", "", -90);
        writes[0] = write(argo_cd, "argocd-controller", "", -60);
        writes.push(before);
        assert_eq!(found(&gone, &writes), named("alice", Confidence::Likely));
    }

    #[test]
    fn a_webhook_that_changed_what_argo_cd_wrote_is_named() {
        let sync = |webhooks: &[&str]| {
            let mut sync = write("argo", "argocd-controller", "", 0);
            sync.mutated_by = webhooks.iter().map(|name| (*name).to_owned()).collect();
            [sync]
        };
        let manager = Some(("argocd-controller", "", true));
        let changed = field(Cause::ChangedByController, manager);
        let one = named("mutating webhook mesh/inject", Confidence::Certain);
        assert_eq!(found(&changed, &sync(&["mesh/inject"])), one);
        let several = found(&changed, &sync(&["mesh/inject", "policy/labels"]));
        let last = named("mutating webhook policy/labels", Confidence::Possible);
        assert_eq!(several, last);
        assert_eq!(
            found(&changed, &sync(&[])),
            named("argo", Confidence::Certain)
        );
        // What Git has moved on from is as Argo CD wrote it.
        let moved = field(Cause::NotSyncedYet, manager);
        let by_argo_cd = named("argo", Confidence::Certain);
        assert_eq!(found(&moved, &sync(&["mesh/inject"])), by_argo_cd);
        let gone = field(Cause::Unknown, None);
        let likely = named("mutating webhook mesh/inject", Confidence::Likely);
        assert_eq!(found(&gone, &sync(&["mesh/inject"])), likely);
    }

    #[test]
    fn who_deleted_an_object_did_so_after_it_was_created() {
        let missing = field(Cause::Missing, None);
        let verb = |user: &str, verb: &str, second| {
            let mut write = write(user, "kubectl", "", second);
            verb.clone_into(&mut write.verb);
            write.is_creation = verb == "create";
            write
        };
        let mut writes = vec![verb("alice", "delete", 0), verb("argo", "create", 5)];
        assert_eq!(found(&missing, &writes), None);
        writes.push(verb("bob", "delete", 9));
        assert_eq!(found(&missing, &writes), named("bob", Confidence::Likely));
        writes.push(verb("carol", "delete", 10));
        assert_eq!(
            found(&missing, &writes),
            named("carol", Confidence::Possible)
        );
    }

    /// It had been believed to be whoever wrote last, which may be a controller.
    #[test]
    fn what_is_extra_is_of_whoever_created_it() {
        let manager = Some(("kube-controller-manager", "status", true));
        let extra = field(Cause::Extra, manager);
        let mut created = write("alice", "kubectl-create", "", -90);
        created.is_creation = true;
        let status = write("controller", "kube-controller-manager", "status", 0);
        assert_eq!(
            found(&extra, &[created, status.clone()]),
            named("alice", Confidence::Certain)
        );
        assert_eq!(
            found(&extra, &[status]),
            named("controller", Confidence::Certain)
        );
    }

    #[test]
    fn a_pipeline_is_a_hand_and_a_controller_is_not() {
        let cause = |user: &str, manager: &str| {
            let mut gone = field(Cause::Unknown, None);
            let writes = [write(user, manager, "", 0)];
            gone.person = person_of(&gone, &writes.iter().collect::<Vec<_>>());
            cause_by_person(&gone)
        };
        let pipeline = "system:serviceaccount:ci:deployer";
        assert_eq!(cause(pipeline, "kubectl-edit"), Some(Cause::ChangedByHand));
        assert_eq!(cause("alice", "kubectl-edit"), Some(Cause::ChangedByHand));
        let controller = "system:serviceaccount:istio:istiod";
        let by_controller = Some(Cause::ChangedByController);
        assert_eq!(cause(controller, "pilot-discovery"), by_controller);
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
            refusal: None,
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
