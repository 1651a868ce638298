//! The real OpenTofu, with providers that it is pointed at, as it cannot download any here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result};
use tokio::task::spawn_blocking;

use crate::go_programs::{GoPrograms, GoProgramsError};

const TOFU: &str = "tofu";
const PROVIDER_AWS: &str = "terraform-provider-aws";
/// Where OpenTofu reads where its providers are.
const SETTINGS: &str = "settings.tfrc";

/// A folder with files of Terraform, and what runs there.
pub struct OpenTofu {
    program: PathBuf,
    folder: PathBuf,
    settings: PathBuf,
}

/// Finds OpenTofu and its providers, or builds them, which takes minutes the first time; this
/// blocks.
///
/// # Errors
/// They cannot be built.
pub fn programs() -> Result<[PathBuf; 2], GoProgramsError> {
    Ok([tofu()?, provider_aws()?])
}

/// The folder of the program.
fn tofu() -> Result<PathBuf, GoProgramsError> {
    let programs = GoPrograms {
        cache: "opentofu",
        go_mod: include_str!("opentofu/tofu/go.mod"),
        go_sum: include_str!("opentofu/tofu/go.sum"),
        sources: &[],
        linker_flags: "-s -w".to_owned(),
        packages: &[(TOFU, "github.com/opentofu/opentofu/cmd/tofu")],
        files: &[],
    };
    programs.built_once()
}

/// The folder of a provider `hashicorp/aws` that is ours, as that one is not served as a Go module.
fn provider_aws() -> Result<PathBuf, GoProgramsError> {
    let programs = GoPrograms {
        cache: PROVIDER_AWS,
        go_mod: include_str!("opentofu/aws/go.mod"),
        go_sum: include_str!("opentofu/aws/go.sum"),
        sources: &[
            ("main.go", include_str!("opentofu/aws/main.go")),
            ("resource.go", include_str!("opentofu/aws/resource.go")),
            ("kinds.go", include_str!("opentofu/aws/kinds.go")),
        ],
        linker_flags: "-s -w".to_owned(),
        packages: &[(
            PROVIDER_AWS,
            "kubectl-gitops.io/tests/terraform-provider-aws",
        )],
        files: &[],
    };
    programs.built_once()
}

impl OpenTofu {
    /// OpenTofu in `folder`, with its settings in `home`, which is another one.
    ///
    /// # Errors
    /// It cannot be built, or the settings cannot be written.
    pub async fn in_folder(folder: &Path, home: &Path) -> Result<Self> {
        let [tofu, aws] = spawn_blocking(programs).await??;
        let settings = home.join(SETTINGS);
        let text = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"hashicorp/aws\" = \"{}\"\n  }}\n}}\n",
            aws.display()
        );
        fs::write(&settings, text).context("cannot write OpenTofu's settings")?;
        Ok(Self {
            program: tofu.join(TOFU),
            folder: folder.to_owned(),
            settings,
        })
    }

    /// Runs it with these arguments in an environment that has nothing else in it.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn run(
        &self,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(environment)
            .env("HOME", &self.folder)
            .env("TF_CLI_CONFIG_FILE", &self.settings)
            .env("CHECKPOINT_DISABLE", "true")
            .env("TF_IN_AUTOMATION", "true");
        Ok(spawn_blocking(move || command.output()).await??)
    }
}
