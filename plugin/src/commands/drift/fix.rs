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
        for file in &edited {
            file.write()?;
        }
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

    /// Writes it beside, and puts it in its place as a whole.
    fn write(&self) -> Result<(), CommandError> {
        let failed = |source| CommandError::new(WriteError::Write(self.path.clone(), source));
        let now = fs::read_to_string(&self.path).map_err(failed)?;
        if now != self.before {
            return Err(CommandError::new(WriteError::Changed(self.path.clone())));
        }
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        beside.write_all(self.after.as_bytes()).map_err(failed)?;
        let permissions = fs::metadata(&self.path).map_err(failed)?.permissions();
        fs::set_permissions(beside.path(), permissions).map_err(failed)?;
        beside
            .persist(&self.path)
            .map_err(|error| failed(error.error))?;
        Ok(())
    }
}
