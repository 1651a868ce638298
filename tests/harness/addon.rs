//! An addon that Terraform has installed by `helm_release`: a chart, and a stack of Terraform for
//! each cluster.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::control_plane::User;
use crate::installation::path;
use crate::opentofu::{OpenTofu, Provider};

/// The chart, the release, its namespace and the addon are all called so.
pub const NAME: &str = "issuer";
/// How the configuration calls the release.
pub const ADDRESS: &str = "helm_release.issuer";

/// A stack of Terraform, which has the addon of one cluster.
#[derive(Clone, Debug)]
pub struct Stack(OpenTofu);

/// Writes the chart into a folder, in which the stacks are to be.
///
/// # Errors
/// It cannot be written.
pub fn write_chart(folder: &Path) -> Result<()> {
    copy(&path("harness/addon/chart"), &folder.join("chart"))
}

impl Stack {
    /// The stack of a cluster, named so and with these values, beside the chart that
    /// [`write_chart`] has written into the folder. Nothing is applied.
    ///
    /// # Errors
    /// It cannot be written, or OpenTofu cannot be built.
    pub async fn new(folder: &Path, name: &str, cluster: &User, values: &str) -> Result<Self> {
        let stack = folder.join(name);
        let home = folder.join(format!("{name}-home"));
        fs::create_dir_all(&home)?;
        copy(&path("harness/addon/terraform"), &stack)?;
        fs::write(stack.join("values.yaml"), values)?;
        let kubeconfig = format!("kubeconfig = \"{}\"\n", cluster.kubeconfig().display());
        fs::write(stack.join("terraform.tfvars"), kubeconfig)?;
        let tofu = OpenTofu::in_folder(Provider::Helm, &stack, &home).await?;
        Ok(Self(tofu))
    }

    /// OpenTofu in its folder.
    pub fn tofu(&self) -> &OpenTofu {
        &self.0
    }

    /// Runs what must succeed, and returns what it printed.
    ///
    /// # Errors
    /// It fails.
    pub async fn succeeds(&self, arguments: &[&str]) -> Result<String> {
        let output = self.0.run(arguments, []).await?;
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        ensure!(
            output.status.success(),
            "tofu {}: {stdout}{stderr}",
            arguments.join(" ")
        );
        Ok(stdout.into_owned())
    }

    /// Installs the addon, or brings it up to date.
    ///
    /// # Errors
    /// It fails.
    pub async fn apply(&self) -> Result<()> {
        self.succeeds(&["apply", "-auto-approve", "-input=false", "-no-color"])
            .await
            .map(drop)
    }

    /// What `show -json` prints of its state.
    ///
    /// # Errors
    /// It fails.
    pub async fn state(&self) -> Result<String> {
        self.succeeds(&["show", "-json"]).await
    }

    /// What `show -json` prints of a plan that is made for it.
    ///
    /// # Errors
    /// It fails.
    pub async fn plan(&self) -> Result<String> {
        self.succeeds(&["plan", "-input=false", "-no-color", "-out=plan"])
            .await?;
        self.succeeds(&["show", "-json", "plan"]).await
    }

    /// Changes its configuration.
    ///
    /// # Errors
    /// It has no such text.
    pub fn edit(&self, from: &str, to: &str) -> Result<()> {
        let path = self.0.folder().join("main.tf");
        let text = fs::read_to_string(&path)?;
        ensure!(text.contains(from), "{} has no {from}", path.display());
        Ok(fs::write(path, text.replace(from, to))?)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let cannot = || format!("cannot copy {}", from.display());
    fs::create_dir_all(to).with_context(cannot)?;
    for entry in fs::read_dir(from).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let to = to.join(entry.file_name());
        if entry.file_type().with_context(cannot)?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to).with_context(cannot)?;
        }
    }
    Ok(())
}
