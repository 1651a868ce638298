//! What `cluster onboard --terraform` writes, taken by the real OpenTofu: it is formatted and
//! valid, and once it is applied and the Secret is there, all links hold and the login works.
//!
//! The provider is ours: `harness::opentofu` says what that means.

use std::fs;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use harness::opentofu::{OpenTofu, Provider};
use tempfile::TempDir;

use crate::onboard::{DEVOPS, Operator};
use crate::world::{ENGINE, REGION, World};

/// A folder that a shell has to be told as one.
const AWS: &str = "of aws";

/// Who gets in, and with what rights.
struct Asked {
    cluster_role: &'static str,
    engine_role: &'static str,
    more: &'static [&'static str],
    /// The link at which the login fails, if the double can say.
    login: Option<&'static str>,
}

const ASKED: [Asked; 3] = [
    Asked {
        cluster_role: "arn:aws:iam::111122223333:role/fleet/tofu",
        engine_role: "arn:aws:iam::444455556666:role/fleet/tofu-engine",
        more: &[],
        login: None,
    },
    Asked {
        cluster_role: "arn:aws:iam::111122223333:role/tofu-namespaced",
        engine_role: "arn:aws:iam::444455556666:role/tofu-engine",
        more: &[
            "--access-policy",
            "AmazonEKSEditPolicy",
            "--access-namespaces",
            "shop,shop-*",
            "--namespaces",
            "shop",
        ],
        // The double has rights of no other access policy than that of administrators.
        login: Some("access-policy"),
    },
    Asked {
        cluster_role: "arn:aws:iam::111122223333:role/tofu-grouped",
        engine_role: "arn:aws:iam::444455556666:role/tofu-engine",
        more: &["--kubernetes-group", "deployers"],
        // Nobody gave the group any rights.
        login: Some("access-policy"),
    },
];

/// A folder with what was written for somebody.
struct Written<'w> {
    operator: &'w Operator<'w>,
    asked: &'w Asked,
    folder: TempDir,
    tofu: OpenTofu,
}

impl<'w> Written<'w> {
    async fn new(operator: &'w Operator<'w>, asked: &'w Asked) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (aws, clusters) = (folder.path().join(AWS), folder.path().join("clusters"));
        let [aws_text, clusters_text] = [&aws, &clusters].map(|path| path.display().to_string());
        let written = operator
            .onboard_by(
                asked.cluster_role,
                asked.engine_role,
                &[
                    asked.more,
                    &["--terraform", &aws_text, "--write", &clusters_text],
                ]
                .concat(),
            )
            .await?;
        ensure!(written.status == Some(1), "{}", written.text);
        let apply = format!("tofu -chdir='{aws_text}' apply");
        ensure!(written.text.contains(&apply), "{}", written.text);
        let tofu = OpenTofu::in_folder(Provider::Aws, &aws, folder.path()).await?;
        Ok(Self {
            operator,
            asked,
            folder,
            tofu,
        })
    }

    async fn run(&self, arguments: &[&str]) -> Result<Output> {
        self.tofu.run(arguments, self.operator.environment()).await
    }

    async fn succeed(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments).await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {text}{errors}");
        Ok(text)
    }

    /// Applies the Secret that was written, as `kubectl apply -k` does with the folder.
    async fn register(&self) -> Result<()> {
        let clusters = self.folder.path().join("clusters");
        let admin = self.operator.world.devops.admin();
        let kubectl = admin.kubectl(["apply", "-k"]);
        let folder = clusters.display().to_string();
        let applied = kubectl.arguments(&[folder]).run().await?;
        ensure!(applied.status.success(), "{}", applied.stderr);
        Ok(())
    }

    async fn is_applied(&self) -> Result<()> {
        self.succeed(&["fmt", "-check", "-diff"]).await?;
        self.succeed(&["validate"]).await?;
        self.succeed(&["apply", "-auto-approve", "-input=false", "-no-color"])
            .await?;
        self.register().await?;
        let world = self.operator.world;
        world.cluster.follow(&world.aws).await?;

        let plan = self.onboard().await?;
        ensure!(plan.status == Some(0), "{}", plan.text);
        self.operator.until_login(self.asked.login).await?;
        // Nothing is left to do, so nothing was written that AWS says otherwise.
        self.succeed(&["plan", "-detailed-exitcode", "-input=false"])
            .await?;
        Ok(())
    }

    async fn onboard(&self) -> Result<crate::onboard::Ran> {
        let Asked {
            cluster_role,
            engine_role,
            more,
            ..
        } = self.asked;
        self.operator
            .onboard_by(cluster_role, engine_role, more)
            .await
    }

    /// Takes away what was made, so that the next has its own.
    async fn is_destroyed(&self) -> Result<()> {
        self.succeed(&["destroy", "-auto-approve", "-input=false", "-no-color"])
            .await?;
        let state = fs::read_to_string(self.folder.path().join(AWS).join("terraform.tfstate"))?;
        ensure!(!state.contains("\"instances\""), "{state}");
        let plan = self.onboard().await?;
        ensure!(plan.state("access-entry") == "missing", "{}", plan.text);
        ensure!(plan.state("pod-identity") == "missing", "{}", plan.text);
        without_secret(self.operator.world, "cluster-orders-production").await
    }
}

async fn without_secret(world: &World, name: &str) -> Result<()> {
    let secret = ["delete", "secret", name, "-n", "argocd"];
    let deleted = world.devops.admin().kubectl(secret).run().await?;
    ensure!(deleted.status.success(), "{}", deleted.stderr);
    Ok(())
}

#[tokio::test]
async fn what_is_written_for_terraform_is_applied_and_the_login_works() {
    let world = World::start().await.unwrap();
    let devops = world.aws.create_cluster(ENGINE, REGION, DEVOPS, "API");
    devops.await.unwrap();
    // The one by which the other tests log in.
    without_secret(&world, "cluster-orders").await.unwrap();
    let operator = Operator::of(&world).unwrap();

    for asked in &ASKED {
        let written = Written::new(&operator, asked).await.unwrap();
        let shown = || asked.cluster_role.to_owned();
        written.is_applied().await.with_context(shown).unwrap();
        written.is_destroyed().await.with_context(shown).unwrap();
    }
    world.aws.agrees_with_the_model().unwrap();
}

/// A resource that the provider does not have it so is refused, so that `validate` can fail.
#[tokio::test]
async fn an_argument_that_the_provider_does_not_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let tofu = OpenTofu::in_folder(Provider::Aws, folder.path(), home.path())
        .await
        .unwrap();
    let entry = |argument: &str| {
        format!(
            "terraform {{\n  required_providers {{\n    aws = {{\n      source = \"hashicorp/aws\"\n    }}\n  }}\n}}\n\nresource \"aws_eks_access_entry\" \"one\" {{\n  cluster_name  = \"orders\"\n  principal_arn = \"arn:aws:iam::111122223333:role/one\"\n  {argument}\n}}\n"
        )
    };
    for (argument, is_valid) in [
        ("type = \"STANDARD\"", true),
        ("kind = \"STANDARD\"", false),
    ] {
        fs::write(folder.path().join("main.tf"), entry(argument)).unwrap();
        let validated = tofu.run(&["validate", "-no-color"], []).await.unwrap();
        assert_eq!(validated.status.success(), is_valid, "{argument}");
    }
}
