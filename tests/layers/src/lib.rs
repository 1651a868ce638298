//! Imports run downwards only: of each crate and module it is said in [`CRATES`] what it may import
//! from, and the test `layers` reads the sources and fails where something else is imported.
//!
//! Two things are held to. Modules at the top of a crate stand in layers and import from lower
//! ones. And in every folder, no two modules import from each other, directly or by way of others.
//! A file and the files of its own folder (`project.rs` and `project/`) may: they are one module to
//! the rest.

mod layers;
mod modules;
mod source;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use layers::{CRATES, Crate, HARNESS};
use modules::{Import, Modules};
use source::Source;

/// Sources that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not Rust.
    #[error("{file} is not Rust")]
    NotRust {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: proc_macro2::LexError,
    },
}

/// Something that is against the layers.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Violation {
    /// A module imports from one that is above it.
    #[error("{file}:{line}: {from} imports from {to}, which is in a higher layer")]
    Upwards {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The module at the crate's top that imports.
        from: String,
        /// The one that is imported from.
        to: String,
    },
    /// Modules of one folder import from each other.
    #[error("{file}:{line}: modules import from one another in a circle: {}", .circle.join(" -> "))]
    Circle {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The modules: the one that imports, the one that is imported from, and so on until the
        /// first comes again.
        circle: Vec<String>,
    },
    /// A module is in no layer.
    #[error("{folder}: the module {module} is in no layer: add it to tests/layers/src/layers.rs")]
    Unlisted {
        /// The crate's folder.
        folder: String,
        /// The module.
        module: String,
    },
    /// A layer names a module that is not there.
    #[error("{folder}: there is no module {module}: take it out of tests/layers/src/layers.rs")]
    Missing {
        /// The crate's folder.
        folder: String,
        /// The module.
        module: String,
    },
    /// A folder that is said to have a circle has none.
    #[error(
        "{folder}: there is no circle in {module:?}: take it out of `circles` in tests/layers/src/layers.rs"
    )]
    NoCircle {
        /// The crate's folder.
        folder: String,
        /// The folder in it.
        module: String,
    },
    /// A crate depends on one that is not below it.
    #[error("{folder}/Cargo.toml: {on} is not in a lower layer")]
    Dependency {
        /// The crate's folder.
        folder: String,
        /// What it depends on.
        on: String,
    },
}

/// Whatever in a crate is against its layers.
///
/// # Errors
/// Its sources cannot be read.
pub fn check(root: &Path, of: &Crate) -> Result<Vec<Violation>, Error> {
    let sources = root.join(of.folder).join("src");
    let folder = if sources.is_dir() {
        sources
    } else {
        root.join(of.folder)
    };
    let mut files = Vec::new();
    rust_files(&folder, &mut files)?;
    let mut sources = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        let file = path.strip_prefix(root).unwrap_or(&path);
        sources.push((file.display().to_string(), text));
    }
    check_sources(of, &sources)
}

/// Whatever is against the layers of a crate in these files: their paths, such as
/// `argocd/src/names.rs`, and their texts.
///
/// # Errors
/// A text is not Rust.
pub fn check_sources(of: &Crate, files: &[(String, String)]) -> Result<Vec<Violation>, Error> {
    let mut sources = Vec::new();
    for (file, text) in files {
        let source = Source::read(text).map_err(|source| Error::NotRust {
            file: file.clone(),
            source,
        })?;
        let inner = file.strip_prefix(of.folder).unwrap_or(file);
        let inner = inner.trim_start_matches('/');
        let inner = inner.strip_prefix("src/").unwrap_or(inner);
        sources.push((module_of(inner), file.clone(), source));
    }
    let modules = Modules::new(sources);
    let imports = modules.imports();
    let mut violations = listed(of, &modules);
    violations.extend(upwards(of, &imports));
    violations.extend(circles(of, &imports));
    Ok(violations)
}

/// The crates that a crate depends on, by its `Cargo.toml`, that are not below it.
pub fn check_dependencies(of: &Crate, manifest: &str) -> Vec<Violation> {
    let lower = CRATES
        .iter()
        .take_while(|line| line.iter().all(|one| one.package != of.package));
    let below: BTreeSet<&str> = lower
        .flat_map(|line| line.iter())
        .map(|one| one.package)
        .collect();
    let all = CRATES.iter().flat_map(|line| line.iter());
    let others: BTreeSet<&str> = all.map(|one| one.package).collect();
    let mut is_about_dependencies = false;
    let mut violations = Vec::new();
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            is_about_dependencies = section.starts_with("dependencies]");
        }
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        if is_about_dependencies && others.contains(name) && !below.contains(name) {
            violations.push(Violation::Dependency {
                folder: of.folder.to_owned(),
                on: name.to_owned(),
            });
        }
    }
    violations
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let read = |source| Error::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = fs::read_dir(folder).map_err(read)?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(read)?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The module that a file below `src` is.
fn module_of(file: &str) -> Vec<String> {
    let module = file.trim_end_matches(".rs");
    let mut names: Vec<String> = module.split('/').map(str::to_owned).collect();
    if names.len() == 1 && ["lib", "main"].contains(&names[0].as_str())
        || names.last().is_some_and(|last| last == "mod")
    {
        names.pop();
    }
    names
}

/// The modules at the top that are in no layer, and those that are in one but not there.
fn listed(of: &Crate, modules: &Modules) -> Vec<Violation> {
    if of.circles.contains(&"") {
        return Vec::new();
    }
    let there = modules.top();
    let listed: BTreeSet<&str> = of
        .modules
        .iter()
        .flat_map(|line| line.iter().copied())
        .collect();
    let unlisted = there.difference(&listed).map(|module| Violation::Unlisted {
        folder: of.folder.to_owned(),
        module: (*module).to_owned(),
    });
    let missing = listed.difference(&there).map(|module| Violation::Missing {
        folder: of.folder.to_owned(),
        module: (*module).to_owned(),
    });
    unlisted.chain(missing).collect()
}

fn upwards(of: &Crate, imports: &[Import]) -> Vec<Violation> {
    let layer = |module: &str| of.modules.iter().position(|line| line.contains(&module));
    let at_the_top = imports.iter().filter(|import| import.folder.is_empty());
    at_the_top
        .filter(|import| match (layer(&import.from), layer(&import.to)) {
            (Some(from), Some(to)) => from < to,
            _ => false,
        })
        .map(|import| Violation::Upwards {
            file: import.file.clone(),
            line: import.line,
            from: import.from.clone(),
            to: import.to.clone(),
        })
        .collect()
}

/// The imports that are part of a circle, one for each pair of modules.
fn circles(of: &Crate, imports: &[Import]) -> Vec<Violation> {
    let mut folders: BTreeMap<String, BTreeMap<(&str, &str), &Import>> = BTreeMap::new();
    for import in imports {
        let folder = folders.entry(import.folder.join("/")).or_default();
        folder.entry((&import.from, &import.to)).or_insert(import);
    }
    let mut violations = Vec::new();
    let mut known: BTreeSet<&str> = of.circles.iter().copied().collect();
    for (folder, edges) in &folders {
        let found = edges.iter().filter_map(|(&(from, to), import)| {
            Some(Violation::Circle {
                file: import.file.clone(),
                line: import.line,
                circle: circle(edges, from, to)?,
            })
        });
        let found: Vec<Violation> = found.collect();
        if of.circles.contains(&folder.as_str()) {
            if !found.is_empty() {
                known.remove(folder.as_str());
            }
        } else {
            violations.extend(found);
        }
    }
    let without = known.into_iter().map(|module| Violation::NoCircle {
        folder: of.folder.to_owned(),
        module: module.to_owned(),
    });
    violations.extend(without);
    violations
}

/// The shortest circle that an import is part of.
fn circle<'e, T>(
    edges: &BTreeMap<(&'e str, &'e str), T>,
    from: &'e str,
    to: &'e str,
) -> Option<Vec<String>> {
    let mut ways = VecDeque::from([vec![from, to]]);
    let mut seen = BTreeSet::from([to]);
    while let Some(way) = ways.pop_front() {
        let last = way.last().copied();
        for &(_, next) in edges.keys().filter(|(one, _)| Some(*one) == last) {
            let longer = way.iter().copied().chain([next]);
            if next == from {
                return Some(longer.map(str::to_owned).collect());
            }
            if seen.insert(next) {
                ways.push_back(longer.collect());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE_UP: Crate = Crate {
        folder: "made-up",
        package: "made-up",
        modules: &[&["low"], &["middle", "beside"], &["high"]],
        circles: &[],
    };

    fn violations_of(of: &Crate, files: &[(&str, &str)]) -> Vec<String> {
        let all = ["low", "middle", "beside", "high"].map(|module| format!("{module}.rs"));
        let mut sources: BTreeMap<String, String> = all
            .into_iter()
            .map(|file| (format!("made-up/src/{file}"), String::new()))
            .collect();
        for (file, text) in files {
            sources.insert(format!("made-up/src/{file}"), (*text).to_owned());
        }
        let sources: Vec<(String, String)> = sources.into_iter().collect();
        let violations = check_sources(of, &sources).unwrap();
        violations.iter().map(ToString::to_string).collect()
    }

    fn violations(files: &[(&str, &str)]) -> Vec<String> {
        violations_of(&MADE_UP, files)
    }

    #[test]
    fn imports_that_run_downwards_are_right() {
        let files = [
            ("lib.rs", "pub mod low; pub use high::High;"),
            ("high.rs", "use crate::{low, middle::Middle};"),
            (
                "middle.rs",
                "use crate::low::Low; use crate::beside::Beside; use std::fmt;",
            ),
        ];
        assert!(violations(&files).is_empty());
    }

    #[test]
    fn an_import_from_above_is_found_wherever_it_stands() {
        let expected = ["made-up/src/low.rs:2: low imports from high, which is in a higher layer"];
        for import in [
            "\nuse crate::high::High;",
            "\nuse super::high;",
            "\nfn f() { crate::high::f() }",
            "\nfn f() { vec![super::high::f()] }",
            "\nmod inner { use super::super::high; }",
        ] {
            assert_eq!(violations(&[("low.rs", import)]), expected, "{import}");
        }
    }

    #[test]
    fn a_name_leads_to_the_module_that_has_it() {
        let lib = ("lib.rs", "pub use middle::Again;");
        let middle = ("middle.rs", "pub use crate::high::High as Again;");
        let low = ("low.rs", "use crate::Again;");
        assert_eq!(
            violations(&[lib, middle, low]),
            [
                "made-up/src/low.rs:1: low imports from high, which is in a higher layer",
                "made-up/src/middle.rs:1: middle imports from high, which is in a higher layer",
            ]
        );
    }

    #[test]
    fn modules_of_one_layer_form_no_circle() {
        let files = [
            ("middle.rs", "use crate::beside::Beside;"),
            ("beside.rs", "use crate::middle::Middle;"),
        ];
        assert_eq!(
            violations(&files),
            [
                "made-up/src/beside.rs:1: modules import from one another in a circle: beside -> middle -> beside",
                "made-up/src/middle.rs:1: modules import from one another in a circle: middle -> beside -> middle",
            ]
        );
    }

    #[test]
    fn a_circle_in_a_folder_is_found_by_way_of_others_and_of_their_files() {
        let files = [
            ("low/a.rs", "use super::b::B;"),
            ("low/b.rs", "mod deep;"),
            ("low/b/deep.rs", "use crate::low::c;"),
            ("low/c.rs", "fn f() { super::a::f() }"),
        ];
        assert_eq!(
            violations(&files),
            [
                "made-up/src/low/a.rs:1: modules import from one another in a circle: a -> b -> c -> a",
                "made-up/src/low/b/deep.rs:1: modules import from one another in a circle: b -> c -> a -> b",
                "made-up/src/low/c.rs:1: modules import from one another in a circle: c -> a -> b -> c",
            ]
        );
    }

    #[test]
    fn a_file_and_its_own_folder_are_one() {
        let files = [
            ("low.rs", "mod a; use a::A; pub struct Low;"),
            ("low/a.rs", "use super::Low; use crate::low::f;"),
        ];
        assert!(violations(&files).is_empty());
    }

    #[test]
    fn tests_may_look_at_anything() {
        let files = [
            (
                "low.rs",
                "#[cfg(test)] mod tests; #[cfg(test)] mod more { use crate::high; }",
            ),
            ("low/tests.rs", "use crate::high::High;"),
        ];
        assert!(violations(&files).is_empty());
    }

    #[test]
    fn each_module_is_in_a_layer_and_each_that_is_listed_is_there() {
        let more = Crate {
            modules: &[&["low", "gone"], &["middle", "beside"]],
            ..MADE_UP
        };
        assert_eq!(
            violations_of(&more, &[]),
            [
                "made-up: the module high is in no layer: add it to tests/layers/src/layers.rs",
                "made-up: there is no module gone: take it out of tests/layers/src/layers.rs",
            ]
        );
    }

    #[test]
    fn a_known_circle_is_let_be_until_it_is_gone() {
        let known = Crate {
            circles: &["low"],
            ..MADE_UP
        };
        let circle = [("low/a.rs", "use super::b;"), ("low/b.rs", "use super::a;")];
        assert!(violations_of(&known, &circle).is_empty());
        assert_eq!(
            violations_of(&known, &circle[..1]),
            [
                "made-up: there is no circle in \"low\": take it out of `circles` in tests/layers/src/layers.rs"
            ]
        );
    }

    #[test]
    fn a_crate_depends_on_lower_ones_only() {
        let argocd = CRATES
            .iter()
            .flat_map(|line| line.iter())
            .find(|one| one.folder == "argocd");
        let manifest = "[package]\nname = \"argocd\"\n[dependencies]\ngolang.workspace = true\n\
                        policy = { workspace = true }\n[dev-dependencies]\ncerts.workspace = true\n";
        assert_eq!(
            check_dependencies(argocd.unwrap(), manifest),
            [Violation::Dependency {
                folder: "argocd".to_owned(),
                on: "policy".to_owned(),
            }]
        );
    }
}
