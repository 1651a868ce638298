//! The real OpenTofu, with providers that it is pointed at, as it cannot download any here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result};
use tokio::task::spawn_blocking;

use crate::go_programs::{GoPrograms, GoProgramsError};

const TOFU: &str = "tofu";
const PROVIDER_AWS: &str = "terraform-provider-aws";
const PROVIDER_HELM: &str = "terraform-provider-helm";
/// Where OpenTofu reads where its providers are.
const SETTINGS: &str = "settings.tfrc";

/// A provider that OpenTofu can be pointed at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Provider {
    /// `hashicorp/aws`, which is ours, as that one is not served as a Go module.
    Aws,
    /// `hashicorp/helm` 1.3.2, the only one that is served as a Go module. It has Helm 3.3.4.
    Helm,
}

/// A folder with files of Terraform, and what runs there.
#[derive(Clone, Debug)]
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
pub fn programs() -> Result<[PathBuf; 3], GoProgramsError> {
    Ok([tofu()?, Provider::Aws.folder()?, Provider::Helm.folder()?])
}

/// The folder of the program.
fn tofu() -> Result<PathBuf, GoProgramsError> {
    let programs = GoPrograms {
        cache: "opentofu",
        go_mod: include_str!("opentofu/tofu/go.mod"),
        go_sum: include_str!("opentofu/tofu/go.sum"),
        sources: &[],
        // What it calls itself, as it is released.
        linker_flags: "-s -w -X github.com/opentofu/opentofu/version.dev=no".to_owned(),
        packages: &[(TOFU, "github.com/opentofu/opentofu/cmd/tofu")],
        files: &[],
    };
    programs.built_once()
}

impl Provider {
    /// As configurations name it.
    fn source(self) -> &'static str {
        match self {
            Self::Aws => "hashicorp/aws",
            Self::Helm => "hashicorp/helm",
        }
    }

    /// Its folder. It is built if it is not there; this blocks.
    fn folder(self) -> Result<PathBuf, GoProgramsError> {
        match self {
            Self::Aws => provider_aws(),
            Self::Helm => provider_helm(),
        }
    }
}

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

fn provider_helm() -> Result<PathBuf, GoProgramsError> {
    let programs = GoPrograms {
        cache: PROVIDER_HELM,
        go_mod: include_str!("opentofu/helm/go.mod"),
        go_sum: include_str!("opentofu/helm/go.sum"),
        sources: &[],
        linker_flags: "-s -w".to_owned(),
        packages: &[(
            PROVIDER_HELM,
            "github.com/hashicorp/terraform-provider-helm",
        )],
        files: &[],
    };
    programs.built_once()
}

impl OpenTofu {
    /// OpenTofu in `folder` with a provider, and with its settings in `home`, which is another one.
    ///
    /// # Errors
    /// It cannot be built, or the settings cannot be written.
    pub async fn in_folder(provider: Provider, folder: &Path, home: &Path) -> Result<Self> {
        let build = move || Ok::<_, GoProgramsError>((tofu()?, provider.folder()?));
        let (tofu, provider_folder) = spawn_blocking(build).await??;
        let settings = home.join(SETTINGS);
        let text = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"{}\" = \"{}\"\n  }}\n}}\n",
            provider.source(),
            provider_folder.display()
        );
        fs::write(&settings, text).context("cannot write OpenTofu's settings")?;
        Ok(Self {
            program: tofu.join(TOFU),
            folder: folder.to_owned(),
            settings,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// What has to be in the environment of the program so that it finds its provider.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("TF_CLI_CONFIG_FILE", self.settings.display().to_string()),
            ("CHECKPOINT_DISABLE", "true".to_owned()),
            ("TF_IN_AUTOMATION", "true".to_owned()),
        ]
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
            .envs(self.environment());
        Ok(spawn_blocking(move || command.output()).await??)
    }
}
