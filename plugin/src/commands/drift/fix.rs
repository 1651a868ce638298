//! `drift fix`: the way back from each difference.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use argocd::application_set::{Checkout, Checkouts};
use similar::TextDiff;

use super::DriftArgs;
use crate::args::{Format, OUTPUT};
use crate::context::Context;
use crate::drift::Drift;
use crate::drift::fix::edit::Edit;
use crate::drift::fix::{Way, fixes};
use crate::drift::locate::locate;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::report::fix::{FileDiff, FixReport};
use crate::repository::work_trees::WorkTrees;
use crate::text::counted;

/// Propose the way back from each difference
///
/// For each field that differs: an edit of the manifest in the checkout that has Git say what is
/// there, the narrowest entry of `ignoreDifferences`, which by our own comparison hides that field
/// and no other one, and the command that syncs the resource. Edits keep comments and formatting.
///
/// Nothing is written without --apply, and then to files of the checkout only. The value of a Secret
/// is in none of it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What could be done about it
  kubectl gitops drift fix shop-production --source local

  # Have Git say what is there
  kubectl gitops drift fix shop-production --source local --kind Deployment --apply

  # Have Argo CD leave alone what a controller writes
  kubectl gitops drift fix shop-production --source local --by chaos-operator --ignore --apply")]
pub(crate) struct FixArgs {
    #[command(flatten)]
    drift: DriftArgs,

    /// Write the edits to files of the checkout
    #[arg(long, help_heading = OUTPUT)]
    apply: bool,

    /// With --apply: write entries of ignoreDifferences instead of values
    #[arg(long, requires = "apply", help_heading = OUTPUT)]
    ignore: bool,
}

/// The formats that it has.
const FORMATS: [Format; 4] = [Format::Table, Format::Wide, Format::Json, Format::Yaml];

/// A file of the checkout is not written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("{}: it changed while it was edited", .0.display())]
    Changed(PathBuf),
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    #[error("{written} written, and {left} not: run the same command again")]
    Partly {
        written: String,
        left: String,
        #[source]
        source: Box<WriteError>,
    },
}

/// Reads, compares, proposes, writes.
pub(crate) fn run(args: &FixArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let asked = &args.drift;
    if asked.engine || !asked.between.is_empty() || asked.with.is_some() || asked.watch {
        return Err(CommandError::new(
            "drift fix: --engine, --between, --with and --watch have no way back to propose",
        ));
    }
    let format = asked.output.output;
    if !FORMATS.contains(&format) {
        let known = FORMATS.map(Format::as_str).join(", ");
        return Err(CommandError::new(format!(
            "-o {format}: ways back are shown as {known}"
        )));
    }
    let trees = asked.work_trees()?;
    let mut drift = super::differing(asked, context)?;
    drift.sort();
    super::tell_problems(&drift, context);
    locate(&mut drift, &trees);
    let fixes = fixes(&drift, &trees);
    let ways = fixes.iter().flat_map(|fix| &fix.ways);
    let wanted = ways.filter_map(|way| match way {
        Way::Adopt(edit) if !args.ignore => Some(edit),
        Way::Ignore { edit, .. } if args.ignore => edit.as_ref(),
        _ => None,
    });
    let edited = edited(wanted, &drift, &trees);
    let diffs: Vec<FileDiff> = edited.iter().map(Edited::diff).collect();
    let report = FixReport {
        fixes: &fixes,
        diffs: &diffs,
        is_applied: args.apply,
    };
    context.print(&report, format)?;
    if args.apply {
        write_all(&edited).map_err(CommandError::new)?;
    }
    let done = if args.apply {
        "written"
    } else {
        "would be written by --apply"
    };
    context.streams.status(&format!(
        "{}: {} {done}",
        counted(fixes.len(), "difference"),
        counted(edited.len(), "file"),
    ));
    Ok(asked.output.status(&drift))
}

/// A file of the checkout, before and after.
struct Edited {
    file: String,
    path: PathBuf,
    before: String,
    after: String,
}

/// The files with all edits that can be made, one after the other.
fn edited<'e>(
    edits: impl Iterator<Item = &'e Edit>,
    drift: &Drift,
    trees: &WorkTrees,
) -> Vec<Edited> {
    let sources = drift
        .applications
        .iter()
        .flat_map(|one| &one.overview.sources);
    let sources: Vec<_> = sources.collect();
    let mut files: BTreeMap<String, Edited> = BTreeMap::new();
    for edit in edits {
        let file = edit.file();
        if !files.contains_key(file) {
            let found = sources.iter().find_map(|source| {
                let checkout: &dyn Checkout =
                    trees.checkout(&source.repository, &source.revision)?;
                let top = trees.top_of_repository(&source.repository, &source.revision)?;
                Some((checkout.read(file)?, top.join(file)))
            });
            // What a link leads to is edited where it is.
            let found = found.filter(|(_, path): &(String, PathBuf)| !path.is_symlink());
            let Some((before, path)) = found else {
                continue;
            };
            let new = Edited {
                file: file.to_owned(),
                path,
                after: before.clone(),
                before,
            };
            files.insert(file.to_owned(), new);
        }
        if let Some(known) = files.get_mut(file)
            && let Some(after) = edit.apply(&known.after)
        {
            known.after = after;
        }
    }
    files
        .into_values()
        .filter(|file| file.before != file.after)
        .collect()
}

impl Edited {
    fn diff(&self) -> FileDiff {
        let changes = TextDiff::from_lines(&self.before, &self.after);
        let mut unified = changes.unified_diff();
        let unified = unified
            .header(&format!("a/{}", self.file), &format!("b/{}", self.file))
            .to_string();
        FileDiff {
            file: self.file.clone(),
            unified,
        }
    }

    /// Writes it beside, if the file is still as it was.
    fn stage(&self) -> Result<Staged<'_>, WriteError> {
        let failed = |source| WriteError::Write(self.path.clone(), source);
        let now = fs::read_to_string(&self.path).map_err(failed)?;
        if now != self.before {
            return Err(WriteError::Changed(self.path.clone()));
        }
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        beside.write_all(self.after.as_bytes()).map_err(failed)?;
        let permissions = fs::metadata(&self.path).map_err(failed)?.permissions();
        fs::set_permissions(beside.path(), permissions).map_err(failed)?;
        Ok(Staged { of: self, beside })
    }
}

/// A file that is written beside the one that it is to replace.
struct Staged<'e> {
    of: &'e Edited,
    beside: tempfile::NamedTempFile,
}

/// Writes none of the files, or all of them; else says which.
fn write_all(files: &[Edited]) -> Result<(), WriteError> {
    let staged: Vec<Staged> = files.iter().map(Edited::stage).collect::<Result<_, _>>()?;
    put_in_place(staged)
}

fn put_in_place(staged: Vec<Staged<'_>>) -> Result<(), WriteError> {
    let names: Vec<&str> = staged.iter().map(|one| one.of.file.as_str()).collect();
    for (at, Staged { of, beside }) in staged.into_iter().enumerate() {
        beside.persist(&of.path).map_err(|error| {
            let source = WriteError::Write(of.path.clone(), error.error);
            match at {
                0 => source,
                _ => WriteError::Partly {
                    written: names[..at].join(", "),
                    left: names[at..].join(", "),
                    source: Box::new(source),
                },
            }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(folder: &Path, file: &str) -> Edited {
        let path = folder.join(file);
        fs::write(&path, "before").unwrap();
        Edited {
            file: file.to_owned(),
            path,
            before: "before".to_owned(),
            after: "after".to_owned(),
        }
    }

    #[test]
    fn nothing_is_written_if_one_file_is_not_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a.yaml", "b.yaml"].map(|file| edited(folder.path(), file));
        fs::write(&files[1].path, "changed").unwrap();
        let error = write_all(&files).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("b.yaml: it changed while it was edited")
        );
        assert_eq!(fs::read_to_string(&files[0].path).unwrap(), "before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_was_written_is_told_where_the_rest_cannot_be() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a.yaml", "b.yaml", "c.yaml"].map(|file| edited(folder.path(), file));
        let staged: Vec<Staged> = files.iter().map(|one| one.stage().unwrap()).collect();
        // No file can take the place of a folder.
        fs::remove_file(&files[1].path).unwrap();
        fs::create_dir(&files[1].path).unwrap();
        let error = put_in_place(staged).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.yaml written, and b.yaml, c.yaml not: run the same command again"
        );
        assert_eq!(fs::read_to_string(&files[0].path).unwrap(), "after");
        assert_eq!(fs::read_to_string(&files[2].path).unwrap(), "before");
    }
}
