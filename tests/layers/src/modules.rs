//! The modules of a crate, and which of them import from which.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Reference, Source};

/// A module, by the names that lead to it from the crate's top.
pub(crate) type Path = Vec<String>;

/// An import from one module by another.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Import {
    /// The folder whose modules both are; empty at the crate's top.
    pub(crate) folder: Path,
    /// The module of the folder that imports.
    pub(crate) from: String,
    /// The module of the folder that is imported from.
    pub(crate) to: String,
    pub(crate) file: String,
    pub(crate) line: usize,
}

/// The modules of a crate.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    sources: Vec<(Path, String, Source)>,
    all: BTreeSet<Path>,
    /// What each module brings into scope by `use`, and where that leads from the crate's top.
    names: BTreeMap<(Path, String), Path>,
}

impl Modules {
    /// Puts the files of a crate together: the module that each is, its name, and what it says.
    pub(crate) fn new(files: Vec<(Path, String, Source)>) -> Self {
        let mut tests = BTreeSet::new();
        for (module, _, source) in &files {
            tests.extend(source.test_modules.iter().map(|inner| join(module, inner)));
        }
        let is_for_tests =
            |module: &Path| (1..=module.len()).any(|end| tests.contains(&module[..end]));
        let sources: Vec<_> = files
            .into_iter()
            .filter(|(module, _, _)| !is_for_tests(module))
            .collect();
        let mut modules = BTreeSet::new();
        for (module, _, source) in &sources {
            modules.insert(module.clone());
            modules.extend(source.modules.iter().map(|inner| join(module, inner)));
        }
        let mut crate_modules = Modules {
            sources,
            all: modules,
            names: BTreeMap::new(),
        };
        crate_modules.names = crate_modules.all_names();
        crate_modules
    }

    fn all_names(&self) -> BTreeMap<(Path, String), Path> {
        let mut names = BTreeMap::new();
        for (module, _, source) in &self.sources {
            for reference in source.references.iter().filter(|one| one.is_use) {
                let within = join(module, &reference.within);
                if let (Some(name), Some(path)) =
                    (&reference.name, self.absolute(&within, reference))
                {
                    names.insert((within, name.clone()), path);
                }
            }
        }
        names
    }

    /// The modules at the top.
    pub(crate) fn top(&self) -> BTreeSet<&str> {
        let top = self.all.iter().filter(|module| module.len() == 1);
        top.map(|module| module[0].as_str()).collect()
    }

    /// All imports from one module of a folder by another, of either or of what is in its own
    /// folder. What a file imports from the files of its own folder, or they from it, is not among
    /// them.
    pub(crate) fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        for (module, file, source) in &self.sources {
            for reference in &source.references {
                let within = join(module, &reference.within);
                let Some(path) = self.absolute(&within, reference) else {
                    continue;
                };
                let target = self.module_of(&path);
                let common = within
                    .iter()
                    .zip(&target)
                    .take_while(|(one, other)| one == other)
                    .count();
                if let (Some(from), Some(to)) = (within.get(common), target.get(common)) {
                    imports.push(Import {
                        folder: target[..common].to_vec(),
                        from: from.clone(),
                        to: to.clone(),
                        file: file.clone(),
                        line: reference.line,
                    });
                }
            }
        }
        imports
    }

    /// Where a path leads from the crate's top; `None` if it leads out of the crate.
    fn absolute(&self, within: &Path, reference: &Reference) -> Option<Path> {
        let first = reference.path.first()?;
        let mut base = within.clone();
        let mut rest = reference.path.as_slice();
        match first.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while let Some((first, others)) = rest.split_first()
                    && first == "super"
                {
                    base.pop();
                    rest = others;
                }
            }
            _ if self
                .all
                .contains(&join(within, std::slice::from_ref(first))) => {}
            _ => return None,
        }
        Some(join(&base, rest))
    }

    /// The module that has what a path names, wherever it is brought into scope again on the way.
    fn module_of(&self, path: &[String]) -> Path {
        let mut path = path.to_vec();
        // A name cannot lead through more others than there are.
        for _ in 0..=self.names.len() {
            let mut module = Path::new();
            let mut rest = path.as_slice();
            while let Some((segment, others)) = rest.split_first() {
                let inner = join(&module, std::slice::from_ref(segment));
                if !self.all.contains(&inner) {
                    break;
                }
                module = inner;
                rest = others;
            }
            let Some((name, others)) = rest.split_first() else {
                return module;
            };
            match self.names.get(&(module.clone(), name.clone())) {
                Some(elsewhere) => path = join(elsewhere, others),
                None => return module,
            }
        }
        path
    }
}

fn join(base: &[String], rest: &[String]) -> Path {
    base.iter().chain(rest).cloned().collect()
}
