//! The CRD that `kubectl apply` installs is the Rust type's.
//!
//! `UPDATE_GENERATED=1 cargo test -p policy --test crd` writes it anew.

use std::path::Path;

use kube::CustomResourceExt as _;
use policy::GitOpsPolicy;

const HEADER: &str = "# Generated from policy/src/gitops_policy.rs by `UPDATE_GENERATED=1 cargo test -p policy --test crd`.\n";

#[test]
fn the_installed_crd_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../manifests/crds/gitopspolicies.kubectl-gitops.io.yaml");
    let crd = serde_saphyr::to_string(&GitOpsPolicy::crd()).expect("a CRD is YAML");
    let generated = format!("{HEADER}{crd}");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &generated).expect("the CRD is written");
    }
    let installed = std::fs::read_to_string(&path).expect("the CRD is there");
    assert_eq!(
        installed, generated,
        "run: UPDATE_GENERATED=1 cargo test -p policy --test crd"
    );
}
