//! The imports of this workspace run downwards only. `src/layers.rs` says what is below what.

use std::fs;
use std::path::Path;

use gitops_layers::{CRATES, HARNESS, Violation, check, check_dependencies};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn told(violations: impl IntoIterator<Item = Violation>) -> String {
    let lines: Vec<String> = violations.into_iter().map(|one| one.to_string()).collect();
    lines.join("\n")
}

#[test]
fn modules_import_from_lower_layers_only() {
    let crates = CRATES.iter().flat_map(|line| line.iter());
    let crates = crates.chain([&HARNESS]);
    let violations = crates.flat_map(|one| check(Path::new(ROOT), one).unwrap());
    let told = told(violations);
    assert!(told.is_empty(), "\n{told}");
}

#[test]
fn crates_depend_on_lower_ones_only() {
    let crates = CRATES.iter().flat_map(|line| line.iter());
    let violations = crates.flat_map(|one| {
        let manifest = Path::new(ROOT).join(one.folder).join("Cargo.toml");
        check_dependencies(one, &fs::read_to_string(manifest).unwrap())
    });
    let told = told(violations);
    assert!(told.is_empty(), "\n{told}");
}
