//! Runs a folder of vectors.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::panic::catch_unwind;
use std::path::Path;

use serde_json::{Map, Value};

/// From `input` to what `expect` should be.
pub(crate) type Answer = fn(&Value) -> Value;

/// What of an expectation is compared with the answer.
pub(crate) type Compared = fn(&Value) -> Value;

/// The list of vectors that cannot be met.
pub(crate) const UNMET: &str = "unmet.txt";

/// What is run. Each kind has a file `<kind>.jsonl`.
pub(crate) struct Suite<'s> {
    /// Kinds, how they are answered, and what of their expectations is compared.
    pub(crate) kinds: &'s [(&'s str, Answer, Compared)],
    /// Kinds that are not answered, and why.
    pub(crate) skipped: &'s [(&'s str, &'s str)],
}

/// Argo CD's texts are for information; comparing classes is what counts.
pub(crate) fn without_messages(expect: &Value) -> Value {
    match expect {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| *name != "message" && *name != "reason")
            .map(|(name, value)| (name.clone(), without_messages(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(without_messages).collect(),
        other => other.clone(),
    }
}

impl Suite<'_> {
    /// Runs all vectors and prints what became of them. Returns whether all is well; whatever is
    /// not counts as a failure in the last line.
    pub(crate) fn run(&self, folder: &Path, out: &mut dyn Write) -> io::Result<bool> {
        let mut run = Run {
            out,
            unmet: BTreeSet::new(),
            seen: BTreeSet::new(),
            total: Counts::default(),
        };
        run.read_unmet(folder)?;
        self.look_for_unknown_files(folder, &mut run)?;
        for &(kind, reason) in self.skipped {
            writeln!(run.out, "{kind}: skipped, {reason}")?;
        }
        for kind in self.kinds {
            run.kind(folder, *kind)?;
        }
        run.look_for_unmet_that_do_not_exist()?;
        let Counts { passed, failed, .. } = run.total;
        writeln!(run.out, "{passed} passed, {failed} failed")?;
        Ok(failed == 0)
    }

    fn look_for_unknown_files(&self, folder: &Path, run: &mut Run<'_>) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return run.problem(&format!("{}: {error}", folder.display())),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        for name in names {
            let Some(kind) = name.strip_suffix(".jsonl") else {
                continue;
            };
            let answered = self.kinds.iter().any(|(known, ..)| *known == kind);
            let skipped = self.skipped.iter().any(|(known, _)| *known == kind);
            if !answered && !skipped {
                run.problem(&format!("{name}: no such kind of vector is known"))?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Default)]
struct Counts {
    passed: usize,
    failed: usize,
    unmet: usize,
}

struct Run<'r> {
    out: &'r mut dyn Write,
    /// The ids that are listed as unmet.
    unmet: BTreeSet<String>,
    /// The ids that were met with.
    seen: BTreeSet<String>,
    total: Counts,
}

enum Outcome {
    Passed,
    Failed,
    Unmet,
}

impl Run<'_> {
    fn problem(&mut self, text: &str) -> io::Result<()> {
        self.total.failed += 1;
        writeln!(self.out, "error: {text}")
    }

    /// A line is an id and the reason why it cannot be met, or a comment.
    fn read_unmet(&mut self, folder: &Path) -> io::Result<()> {
        let text = match fs::read_to_string(folder.join(UNMET)) {
            Ok(text) => text,
            // A folder from elsewhere need not have the list.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return self.problem(&format!("{UNMET}: {error}")),
        };
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match line.split_once(char::is_whitespace) {
                Some((id, reason)) => {
                    writeln!(self.out, "unmet: {id}: {}", reason.trim())?;
                    self.unmet.insert(id.to_owned());
                }
                None => self.problem(&format!(
                    "{UNMET}, line {}: expected an id and a reason",
                    index + 1
                ))?,
            }
        }
        Ok(())
    }

    fn kind(&mut self, folder: &Path, kind: (&str, Answer, Compared)) -> io::Result<()> {
        let (name, ..) = kind;
        let file = format!("{name}.jsonl");
        let text = match fs::read_to_string(folder.join(&file)) {
            Ok(text) => text,
            Err(error) => return self.problem(&format!("{file}: {error}")),
        };
        if text.trim().is_empty() {
            return self.problem(&format!("{file}: no vectors"));
        }
        let mut counts = Counts::default();
        for (index, line) in text.lines().enumerate() {
            match self.vector(kind, line)? {
                Ok(Outcome::Passed) => counts.passed += 1,
                Ok(Outcome::Failed) => counts.failed += 1,
                Ok(Outcome::Unmet) => counts.unmet += 1,
                Err(problem) => {
                    self.problem(&format!("{file}, line {}: {problem}", index + 1))?;
                }
            }
        }
        let Counts {
            passed,
            failed,
            unmet,
        } = counts;
        writeln!(
            self.out,
            "{name}: {passed} passed, {failed} failed, {unmet} unmet"
        )?;
        self.total.passed += passed;
        self.total.failed += failed;
        Ok(())
    }

    /// Runs one vector, or says what is wrong with the vector itself.
    fn vector(
        &mut self,
        (kind, answer, compared): (&str, Answer, Compared),
        line: &str,
    ) -> io::Result<Result<Outcome, String>> {
        let vector: Value = match serde_json::from_str(line) {
            Ok(vector) => vector,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let id = vector["id"].as_str().unwrap_or_default().to_owned();
        if id
            .split_once('/')
            .is_none_or(|(of, name)| of != kind || name.is_empty())
        {
            return Ok(Err(format!("expected an id {kind}/NAME, found {id:?}")));
        }
        let (Some(input), Some(expect)) = (vector.get("input"), vector.get("expect")) else {
            return Ok(Err(format!("{id} needs input and expect")));
        };
        if !self.seen.insert(id.clone()) {
            return Ok(Err(format!("{id} is there twice")));
        }
        let expected = compared(expect);
        let got = catch_unwind(|| answer(input));
        let passes = got.as_ref().is_ok_and(|got| *got == expected);
        match (passes, self.unmet.contains(&id)) {
            (true, false) => Ok(Ok(Outcome::Passed)),
            (false, true) => Ok(Ok(Outcome::Unmet)),
            (true, true) => Ok(Err(format!("{id} is listed in {UNMET} and passes"))),
            (false, false) => {
                let got = got.map_or_else(|_| "a panic".to_owned(), |got| got.to_string());
                writeln!(
                    self.out,
                    "mismatch {id}\n  input    {input}\n  expected {expected}\n  got      {got}"
                )?;
                Ok(Ok(Outcome::Failed))
            }
        }
    }

    fn look_for_unmet_that_do_not_exist(&mut self) -> io::Result<()> {
        let absent: Vec<String> = self.unmet.difference(&self.seen).cloned().collect();
        for id in absent {
            self.problem(&format!("{id} is listed in {UNMET} and does not exist"))?;
        }
        Ok(())
    }
}
