//! The way back from each difference: to say that it does not count, to have Git say what is there,
//! or to sync.

pub(crate) mod edit;
mod ignore;

use argocd::application_set::Checkouts;
use serde_json::Value;

use self::edit::Edit;
pub(crate) use self::ignore::IgnoreEntry;
use super::locate::{Folder, Target, Written};
use super::{ApplicationDrift, Cause, Drift, Effect, FieldDrift, ResourceDrift};

/// A difference, and the ways back.
#[derive(Debug)]
pub(crate) struct Fix<'d> {
    pub(crate) application: &'d ApplicationDrift,
    pub(crate) resource: &'d ResourceDrift,
    pub(crate) field: Option<&'d FieldDrift>,
    pub(crate) ways: Vec<Way>,
}

/// A way back.
#[derive(Debug)]
pub(crate) enum Way {
    /// Git is to say what is there.
    Adopt(Edit),
    /// An entry of `ignoreDifferences`, and the edit that adds it to the Application's manifest where
    /// that is found.
    Ignore {
        entry: IgnoreEntry,
        edit: Option<Edit>,
    },
    /// The command that makes it as Git says.
    Sync(String),
}

/// The ways back from all that differs. `checkouts` has what can be edited.
pub(crate) fn fixes<'d>(drift: &'d Drift, checkouts: &dyn Checkouts) -> Vec<Fix<'d>> {
    let mut fixes = Vec::new();
    for application in &drift.applications {
        if application.resources.is_empty() {
            continue;
        }
        let manifest = manifest_of(application, checkouts);
        for resource in &application.resources {
            let fields = resource
                .fields
                .iter()
                .filter(|field| !field.pointer.is_empty());
            let fields: Vec<Option<&FieldDrift>> = fields.map(Some).collect();
            let fields = if fields.is_empty() {
                vec![None]
            } else {
                fields
            };
            for field in fields {
                fixes.push(Fix {
                    application,
                    resource,
                    field,
                    ways: ways(application, resource, field, manifest.as_ref()),
                });
            }
        }
    }
    fixes
}

fn ways(
    application: &ApplicationDrift,
    resource: &ResourceDrift,
    field: Option<&FieldDrift>,
    manifest: Option<&Target>,
) -> Vec<Way> {
    let adopted = field
        .and_then(|field| adopted(resource, field))
        .map(Way::Adopt);
    let entry = field.and_then(|field| IgnoreEntry::of(resource, field));
    let ignored = entry.map(|entry| Way::Ignore {
        edit: manifest.map(|target| Edit::insert(target.clone(), entry.value())),
        entry,
    });
    let synced = sync(application, resource).map(Way::Sync);
    adopted.into_iter().chain(ignored).chain(synced).collect()
}

/// The manifest with what is there, if the field is in it as Git has it.
fn adopted(resource: &ResourceDrift, field: &FieldDrift) -> Option<Edit> {
    let is_scalar = |value: &Value| !(value.is_object() || value.is_array() || value.is_null());
    let (desired, live) = (field.desired.as_ref()?, field.live.as_ref()?);
    if field.masked || !is_scalar(desired) || !is_scalar(live) {
        return None;
    }
    let written = resource.written.as_ref()?;
    let pointer = written.pointer_of(&field.pointer, resource.sides.as_ref())?;
    let target = written.target()?;
    (target.object.pointer(&pointer) == Some(desired))
        .then(|| Edit::set(target, pointer, desired.clone(), live.clone()))
}

/// The Application's own manifest, where the checkout of one of its sources has one.
fn manifest_of(application: &ApplicationDrift, checkouts: &dyn Checkouts) -> Option<Target> {
    let overview = &application.overview;
    let mut sources = overview.sources.iter();
    let checkout =
        sources.find_map(|source| checkouts.checkout(&source.repository, &source.revision))?;
    let folder = Folder::whole(checkout);
    let group = argocd::names::GROUP;
    let written = folder.find(group, "Application", &overview.namespace, &overview.name);
    written.as_ref().and_then(Written::target)
}

/// `argocd app sync NAME --resource GROUP:KIND:NAMESPACE/NAME`.
fn sync(application: &ApplicationDrift, resource: &ResourceDrift) -> Option<String> {
    let overview = &application.overview;
    if overview.name.is_empty()
        || resource.effect == Some(Effect::Nothing) && resource.cause != Cause::Extra
    {
        return None;
    }
    let place = match resource.namespace.as_str() {
        "" => resource.name.clone(),
        namespace => format!("{namespace}/{}", resource.name),
    };
    let prune = if resource.cause == Cause::Extra {
        " --prune"
    } else {
        ""
    };
    Some(format!(
        "argocd app sync {} --resource '{}:{}:{place}'{prune}",
        overview.display_name(),
        resource.group,
        resource.kind,
    ))
}
