//! Reports of parts of a fleet, put together.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::shard::Shard;
use super::{Drift, Problem, Source};

/// What was found of a part of a fleet.
#[derive(Debug)]
pub(crate) struct Part {
    /// The file that says so.
    pub(crate) file: String,
    /// Which part it is; None where it was asked for in another way, such as by `--cluster`.
    pub(crate) shard: Option<Shard>,
    pub(crate) drift: Drift,
}

/// Reports do not fit together.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum MergeError {
    #[error("there are no reports")]
    Nothing,
    #[error("{file}: its source is {}, that of {first} is {}", .own.as_str(), .expected.as_str())]
    Source {
        file: String,
        own: Source,
        first: String,
        expected: Source,
    },
    #[error("{file}: it is shard {shard}, {first} is one of {count}")]
    Count {
        file: String,
        shard: Shard,
        first: String,
        count: u32,
    },
    #[error("{file}: it is shard {shard}, and so is {first}")]
    SameShard {
        file: String,
        shard: Shard,
        first: String,
    },
    #[error("{file}: it is not a shard, {first} is one")]
    NoShard { file: String, first: String },
    #[error("{file}: it has application {application}, and so has {first}")]
    SameApplication {
        file: String,
        application: String,
        first: String,
    },
}

/// Puts parts together. A shard that is not among them is a problem of the whole, as a cluster is
/// that does not answer.
///
/// # Errors
/// They are not of one fleet, or overlap.
pub(crate) fn merge(parts: Vec<Part>) -> Result<Drift, MergeError> {
    let missing = missing(&parts)?;
    check_applications(&parts)?;
    let mut parts = parts.into_iter();
    let first = parts.next().ok_or(MergeError::Nothing)?;
    let (mut whole, first) = (first.drift, first.file);
    for Part { file, drift, .. } in parts {
        if drift.source != whole.source {
            return Err(MergeError::Source {
                file,
                own: drift.source,
                first,
                expected: whole.source,
            });
        }
        whole.applications.extend(drift.applications);
        whole.problems.extend(drift.problems);
        whole.autoscalers.extend(drift.autoscalers);
    }
    whole
        .problems
        .extend(missing.into_iter().map(|shard| Problem {
            object: format!("shard {shard}"),
            message: "no report of it is there".to_owned(),
        }));
    Ok(whole)
}

/// The shards that are not among some.
fn missing(parts: &[Part]) -> Result<Vec<Shard>, MergeError> {
    let mut first: Option<(&str, u32)> = None;
    let mut files: BTreeMap<Shard, &str> = BTreeMap::new();
    for part in parts {
        let Some(shard) = part.shard else { continue };
        let (named, count) = *first.get_or_insert((&part.file, shard.count()));
        if shard.count() != count {
            return Err(MergeError::Count {
                file: part.file.clone(),
                shard,
                first: named.to_owned(),
                count,
            });
        }
        if let Some(other) = files.insert(shard, &part.file) {
            return Err(MergeError::SameShard {
                file: part.file.clone(),
                shard,
                first: other.to_owned(),
            });
        }
    }
    let Some((named, count)) = first else {
        return Ok(Vec::new());
    };
    if let Some(part) = parts.iter().find(|part| part.shard.is_none()) {
        return Err(MergeError::NoShard {
            file: part.file.clone(),
            first: named.to_owned(),
        });
    }
    let missing = Shard::all(count).filter(|shard| !files.contains_key(shard));
    Ok(missing.collect())
}

/// Each Application may be in one of them only.
fn check_applications(parts: &[Part]) -> Result<(), MergeError> {
    let mut files: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for part in parts {
        for application in &part.drift.applications {
            let overview = &application.overview;
            match files.entry((&overview.namespace, &overview.name)) {
                Entry::Vacant(entry) => {
                    entry.insert(&part.file);
                }
                Entry::Occupied(entry) => {
                    return Err(MergeError::SameApplication {
                        file: part.file.clone(),
                        application: overview.display_name(),
                        first: (*entry.get()).to_owned(),
                    });
                }
            }
        }
    }
    Ok(())
}
