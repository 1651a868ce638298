//! From the gate to the end of the road, on two real API servers.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// The plugin with the real Helm on the two clusters.
impl TwoClusters {
    async fn addon(&self, arguments: &[&str]) -> Result<(i32, String, String)> {
        let helm = spawn_blocking(|| anyhow::Ok(Release::chosen()?.helm()?)).await??;
        let folder = helm.parent().context("helm is in a folder")?;
        let output = plugin()?
            .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .arg("addon")
            .args(arguments)
            .arg("--repo")
            .arg(self.repository())
            .output()
            .await?;
        let told = text(&output.stderr);
        let printed = text(&output.stdout);
        ensure!(
            !(printed.clone() + &told).contains(SECRET),
            "a secret is shown"
        );
        let code = output.status.code().context("it was ended")?;
        Ok((code, printed, told))
    }

    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }
}

/// A `helm_release` of the release `dns`, as the provider v2 writes it.
fn helm_release(address: &str) -> Value {
    json!({
        "address": address, "mode": "managed", "type": "helm_release", "name": "dns",
        "provider_name": "registry.opentofu.org/hashicorp/helm", "schema_version": 1,
        "values": {
            "id": "dns", "name": "dns", "namespace": "dns", "chart": "dns", "version": "1.2.3",
            "status": "deployed", "metadata": [{"revision": 1}], "postrender": [],
            "set_sensitive": [{"name": "password", "value": SECRET}],
        },
        "sensitive_values": {"set_sensitive": true},
    })
}

/// What `show -json` prints of a state.
fn state(version: &str, resources: &[Value]) -> String {
    json!({
        "format_version": "1.0", "terraform_version": version,
        "values": {"root_module": {"child_modules": [{"resources": resources}]}},
    })
    .to_string()
}

const ADDRESS: &str = r#"module.addons.helm_release.dns["eu"]"#;

/// Two clusters with a release that is onboarded, and nothing that would change.
async fn onboarded() -> Result<TwoClusters> {
    let both = TwoClusters::start().await?;
    let chart = chart_of_deployment()?;
    both.install(chart.path(), "dns", SAME).await?;
    let (status, told) = both.onboard("dns", PLATFORM).await?;
    assert_eq!(status, 0, "{told}");
    Ok(both)
}

#[tokio::test]
async fn terraform_lets_go_only_where_nothing_would_change() -> Result<()> {
    let both = onboarded().await?;
    let new = both.file("new.json", &state("1.10.1", &[helm_release(ADDRESS)]))?;
    let show = ["terraform", "dns", "--state", &new];

    let (status, printed, told) = both.addon(&show).await?;
    assert_eq!(status, 0, "{told}");
    for expected in [
        "prod      open",
        "removed {\n  from = module.addons.helm_release.dns\n",
        "    destroy = false\n",
        "# import {\n",
    ] {
        assert!(printed.contains(expected), "{printed}");
    }

    // A version without such blocks.
    let old = both.file("old.json", &state("1.6.0", &[helm_release(ADDRESS)]))?;
    let (status, printed, _) = both.addon(&["terraform", "dns", "--state", &old]).await?;
    assert_eq!(status, 0);
    let backup = printed.find("tofu state pull > before-dns.tfstate\n");
    let forget = printed.find("tofu state rm 'module.addons.helm_release.dns[\"eu\"]'\n");
    assert!(backup.is_some() && backup < forget, "{printed}");

    // The gate before is shut on one of the clusters.
    let path = "cluster-overrides/prod/dns.yaml";
    fs::create_dir_all(both.repository().join("cluster-overrides/prod"))?;
    fs::write(
        both.repository().join(path),
        "image: registry.example.com/dns:2\n",
    )?;
    let (status, printed, _) = both.addon(&show).await?;
    assert_eq!(status, 1, "{printed}");
    assert!(!printed.contains("removed {"), "{printed}");
    assert!(
        printed.contains("the zero-diff gate is shut on prod"),
        "{printed}"
    );
    let despite = [&show[..], &["--despite", "ticket 7", "-o=json"]].concat();
    let (status, printed, _) = both.addon(&despite).await?;
    assert_eq!(status, 0, "{printed}");
    let report: Value = serde_json::from_str(&printed)?;
    assert_eq!(report["gate"], "shut");
    assert_eq!(report["despite"]["reason"], "ticket 7");
    assert_eq!(
        report["despite"]["against"],
        json!(["the zero-diff gate is shut on prod: Argo CD's takeover would change something"])
    );
    let block = report["lettingGo"][0]["block"]
        .as_str()
        .context("a block")?;
    assert!(block.starts_with("removed {"), "{block}");
    fs::remove_file(both.repository().join(path))?;

    the_gates_know_of_terraform(&both, &new).await
}

async fn the_gates_know_of_terraform(both: &TwoClusters, managed: &str) -> Result<()> {
    let gone = both.file("gone.json", &state("1.10.1", &[]))?;
    let states = async |arguments: &[&str]| {
        let all = [&["status", "dns", "-o=json"], arguments].concat();
        let (_, printed, told) = both.addon(&all).await?;
        let report: Value = serde_json::from_str(&printed).with_context(|| told)?;
        let clusters = report["addons"][0]["clusters"]
            .as_array()
            .context("clusters")?;
        let states = clusters.iter().map(|one| one["gates"][3]["state"].clone());
        anyhow::Ok(states.collect::<Value>())
    };
    assert_eq!(states(&[]).await?, json!(["unknown", "unknown"]));
    assert_eq!(
        states(&["--state", managed]).await?,
        json!(["open", "open"])
    );
    let each = [format!("prod={gone}"), format!("staging={managed}")];
    let each = ["--state", &each[0], "--state", &each[1]];
    assert_eq!(states(&each).await?, json!(["done", "open"]));
    // A plan that would uninstall it.
    let plan = json!({
        "format_version": "1.2", "terraform_version": "1.10.1", "planned_values": {},
        "resource_changes": [{
            "address": ADDRESS, "mode": "managed", "type": "helm_release", "name": "dns",
            "provider_name": "registry.opentofu.org/hashicorp/helm",
            "change": {"actions": ["delete"], "before": {"name": "dns", "namespace": "dns"}},
        }],
    });
    let plan = both.file("plan.json", &plan.to_string())?;
    let with_plan = ["--state", &gone, "--plan", &plan];
    assert_eq!(states(&with_plan).await?, json!(["shut", "shut"]));
    Ok(())
}

/// What stands for Terraform: it shows, pulls and forgets what is in files beside it.
const TERRAFORM: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
case "$1 $2" in
  "show -json") cat "$here/shown.json" ;;
  "state pull") cat "$here/kept.json" ;;
  "state rm")
    cp "$here/gone.json" "$here/shown.json"
    echo '{"version": 4, "serial": 8, "lineage": "x"}' > "$here/kept.json" ;;
  *) exit 1 ;;
esac
"#;

#[tokio::test]
async fn terraform_forgets_a_release_after_a_backup_of_its_state() -> Result<()> {
    let both = onboarded().await?;
    let folder = tempfile::tempdir()?;
    let kept = json!({"version": 4, "serial": 7, "lineage": "x", "secret": SECRET}).to_string();
    for (name, text) in [
        ("terraform", TERRAFORM.to_owned()),
        ("shown.json", state("1.6.0", &[helm_release(ADDRESS)])),
        ("gone.json", state("1.6.0", &[])),
        ("kept.json", kept.clone()),
    ] {
        fs::write(folder.path().join(name), text)?;
    }
    let program = folder.path().join("terraform");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let (program, directory) = (
        program.display().to_string(),
        folder.path().display().to_string(),
    );
    let run = [
        "terraform",
        "dns",
        "--run-terraform",
        "--terraform",
        &program,
        "--terraform-dir",
        &directory,
    ];
    let yes = [&run[..], &["--yes"]].concat();
    let backup = folder.path().join("before-dns.7.tfstate");
    let forgets = || -> Result<usize> {
        let calls = fs::read_to_string(folder.path().join("calls"))?;
        Ok(calls.matches("state rm").count())
    };

    // Nobody agreed, or the gate before is shut.
    let (status, _, told) = both.addon(&run).await?;
    assert_eq!(status, 2, "{told}");
    let service = "charts/dns/templates/service.yaml";
    let before = both.edit(service, "port: {{", "port: 1{{")?;
    let (status, _, told) = both.addon(&yes).await?;
    assert_eq!(status, 2);
    assert!(
        told.contains("the zero-diff gate is shut on prod"),
        "{told}"
    );
    fs::write(both.repository().join(service), before)?;
    assert_eq!((forgets()?, backup.exists()), (0, false));

    let (status, _, told) = both.addon(&yes).await?;
    assert_eq!(status, 0, "{told}");
    assert_eq!(forgets()?, 1);
    assert_eq!(fs::read_to_string(&backup)?, kept);
    assert_eq!(backup.metadata()?.permissions().mode() & 0o777, 0o600);

    // Run again, there is nothing to do.
    let (status, _, told) = both.addon(&yes).await?;
    assert_eq!(status, 0, "{told}");
    assert!(told.contains("nothing is to be done"), "{told}");
    assert_eq!(forgets()?, 1);
    Ok(())
}

/// The objects of the release as Argo CD marks them: kind, name to kubectl, and namespace.
const OBJECTS: [(&str, &str); 5] = [
    ("/ConfigMap", "configmap/dns"),
    ("/Secret", "secret/dns"),
    ("/Service", "service/dns"),
    ("apps/Deployment", "deployment/dns"),
    ("rbac.authorization.k8s.io/ClusterRole", "clusterrole/dns"),
];

impl TwoClusters {
    fn git(&self, arguments: &[&str]) -> Result<String> {
        let output = std::process::Command::new("git")
            .arg("-C")
            .arg(self.repository())
            .args([
                "-c",
                "user.name=alice",
                "-c",
                "user.email=alice@example.com",
            ])
            .args(arguments)
            .output()?;
        ensure!(output.status.success(), "{}", text(&output.stderr));
        Ok(text(&output.stdout))
    }

    /// Has the checkout be a work tree of Git in which all is committed.
    fn committed(&self) -> Result<()> {
        self.git(&["init", "--quiet"])?;
        self.git(&["config", "user.name", "alice"])?;
        self.git(&["config", "user.email", "alice@example.com"])?;
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", "Begin"])?;
        Ok(())
    }

    fn cluster(&self, name: &str) -> &User {
        match name {
            "prod" => self.prod.admin(),
            _ => self.installation.admin(),
        }
    }

    /// The Application that the ApplicationSet would generate.
    async fn generate(&self, cluster: &str) -> Result<()> {
        let set = [
            "get",
            "applicationset/dns",
            "-n=argocd",
            "-o=jsonpath={.metadata.uid}",
        ];
        let set = self.installation.admin().kubectl(set).run().await?.stdout;
        let owner = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "dns",
            "uid": set, "controller": true, "blockOwnerDeletion": true,
        });
        let mut application = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "name": format!("{cluster}-dns"), "namespace": "argocd", "labels": {"addon": "dns"},
                "annotations": {"kubectl-gitops.io/autoscaled": "false"},
            },
            "spec": {
                "project": "platform",
                "source": {
                    "repoURL": "https://git.example.com/platform/fleet.git",
                    "targetRevision": "v1.2.3",
                    "path": "charts/dns",
                },
                "destination": {"name": cluster, "namespace": "dns"},
                "syncPolicy": {"syncOptions": ["ServerSideApply=true"]},
            },
        });
        if !set.is_empty() {
            application["metadata"]["ownerReferences"] = json!([owner]);
        }
        let apply = self.installation.admin().kubectl(["create", "-f", "-"]);
        succeed(apply.input(application.to_string())).await?;
        self.says(cluster, "OutOfSync", json!({})).await
    }

    /// What Argo CD writes to the Application of a cluster, which is well unless a file says
    /// otherwise.
    async fn says(&self, cluster: &str, sync: &str, more: Value) -> Result<()> {
        let head = self.git(&["rev-parse", "HEAD"])?;
        let is_degraded = self
            .folder
            .path()
            .join(format!("{cluster}-degraded"))
            .exists();
        let health = if is_degraded { "Degraded" } else { "Healthy" };
        let mut patch = json!({
            "metadata": {"annotations": {"argocd.argoproj.io/refresh": null}},
            "operation": null,
            "status": {
                "sync": {
                    "status": sync,
                    "revision": head.trim(),
                    "comparedTo": {"destination": {}, "source": {"repoURL": ""}},
                },
                "health": {"status": health},
            },
        });
        json_patch::merge(&mut patch, &more);
        let name = format!("application/{cluster}-dns");
        let patch = patch.to_string();
        let admin = self.installation.admin();
        let arguments = ["patch", &name, "-n=argocd", "--type=merge", "-p", &patch];
        succeed(admin.kubectl(arguments)).await?;
        Ok(())
    }

    /// The Application of a cluster.
    async fn application(&self, cluster: &str) -> Result<Value> {
        let name = format!("application/{cluster}-dns");
        let get = ["get", &name, "-n=argocd", "-o=json"];
        let output = self.installation.admin().kubectl(get).run().await?;
        serde_json::from_str(&output.stdout).with_context(|| output.stderr)
    }

    /// What a sync does: it marks the objects, and says that it has.
    async fn sync(&self, cluster: &str, more: Value) -> Result<()> {
        for (kind, name) in OBJECTS {
            let mark = format!("argocd.argoproj.io/tracking-id={cluster}-dns:{kind}:dns/dns");
            let annotate = ["annotate", name, "-n=dns", &mark, "--overwrite"];
            let annotate = self.cluster(cluster).kubectl(annotate);
            succeed(annotate.arguments(["--field-manager=argocd-controller"])).await?;
        }
        self.says(cluster, "Synced", more).await
    }

    /// Stands for Argo CD: starts what an operation asks for, and what the ApplicationSet in the
    /// checkout says. It ends only where something fails.
    async fn argo_cd(&self) -> Result<()> {
        loop {
            for cluster in ["staging", "prod"] {
                let application = self.application(cluster).await?;
                let set = self.written("applicationsets/dns.yaml")?;
                let is_wanted = set.contains(&format!("(list \"{cluster}\")"));
                let policy = &application["spec"]["syncPolicy"];
                let operation = &application["operation"];
                if is_wanted && policy["automated"].is_null() {
                    let on = json!({"spec": {"syncPolicy": {"automated": {"selfHeal": true}}}});
                    self.sync(cluster, on).await?;
                } else if !operation.is_null() {
                    let state = json!({"status": {"operationState": {
                        "phase": "Succeeded", "startedAt": "2026-12-01T10:00:00Z",
                        "operation": operation,
                    }}});
                    self.sync(cluster, state).await?;
                } else if let Some(annotations) = application["metadata"]["annotations"].as_object()
                    && annotations.contains_key("argocd.argoproj.io/refresh")
                {
                    self.refresh(cluster, &application).await?;
                }
            }
        }
    }

    /// What Argo CD says once it has looked: a new commit is out of sync, and synced at once where
    /// that is automated.
    async fn refresh(&self, cluster: &str, application: &Value) -> Result<()> {
        let is_new =
            application["status"]["sync"]["revision"] != self.git(&["rev-parse", "HEAD"])?.trim();
        let is_automated = !application["spec"]["syncPolicy"]["automated"].is_null();
        let sync = match application["status"]["sync"]["status"].as_str() {
            _ if is_new && !is_automated => "OutOfSync",
            _ if is_new => "Synced",
            other => other.unwrap_or_default(),
        };
        self.says(cluster, sync, json!({})).await
    }

    /// The plugin, with what stands for Argo CD beside it.
    async fn addon_with_argo_cd(&self, arguments: &[&str]) -> Result<(i32, String, String)> {
        tokio::select! {
            told = self.addon(arguments) => told,
            failed = self.argo_cd() => {
                failed?;
                anyhow::bail!("what stands for Argo CD has ended")
            }
        }
    }

    /// A Pod of the Deployment.
    async fn pod(&self, cluster: &str, name: &str) -> Result<()> {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "dns", "labels": {"app": "dns"}},
            "spec": {"containers": [{"name": "dns", "image": "registry.example.com/dns:1"}]},
        });
        let create = self.cluster(cluster).kubectl(["create", "-f", "-"]);
        // Nobody makes the account of a namespace here.
        let account = ["create", "serviceaccount", "default", "-n=dns"];
        self.cluster(cluster).kubectl(account).run().await?;
        succeed(create.input(pod.to_string())).await?;
        Ok(())
    }

    fn evidence(&self) -> PathBuf {
        self.folder.path().join("evidence.json")
    }

    fn read_evidence(&self) -> Result<Value> {
        Ok(serde_json::from_str(&fs::read_to_string(self.evidence())?)?)
    }
}

#[tokio::test]
async fn argo_cd_takes_over_and_nothing_is_restarted() -> Result<()> {
    let both = onboarded().await?;
    both.committed()?;
    let file = both.evidence().display().to_string();
    let staging = [
        "enable",
        "dns",
        "--clusters=staging",
        "--yes",
        "--evidence",
        &file,
    ];

    // There is nothing to take over with.
    let (status, _, told) = both.addon(&staging).await?;
    assert_eq!(status, 2);
    assert!(
        told.contains("there is no Application staging-dns in Argo CD"),
        "{told}"
    );

    for cluster in ["staging", "prod"] {
        both.generate(cluster).await?;
        both.pod(cluster, "dns-1").await?;
    }
    let before = both.written("applicationsets/dns.yaml")?;
    let (status, printed, told) = both
        .addon(&["enable", "dns", "--dry-run=client", "--evidence", &file])
        .await?;
    assert_eq!(status, 0, "{told}");
    assert!(
        printed.contains("automated sync in applicationsets/dns.yaml"),
        "{printed}"
    );
    assert!(
        told.contains("cluster prod keeps manual sync: prod-auto-sync: "),
        "{told}"
    );
    assert_eq!(both.written("applicationsets/dns.yaml")?, before);
    assert!(!both.evidence().exists());

    // Staging syncs by itself.
    let (status, _, told) = both.addon_with_argo_cd(&staging).await?;
    assert_eq!(status, 0, "{told}");
    assert!(
        told.contains("cluster staging: 5 objects and 1 Pod are those of before"),
        "{told}"
    );
    let set = both.written("applicationsets/dns.yaml")?;
    assert!(
        set.contains(r#"{{- if has .name (list "staging") }}"#),
        "{set}"
    );
    assert_eq!(both.git(&["status", "--porcelain"])?, "");
    let evidence = both.read_evidence()?;
    assert_eq!(evidence["kind"], "AddonEvidence");
    assert_eq!(evidence["clusters"][0]["name"], "staging");
    assert_eq!(evidence["clusters"][0]["changes"], json!([]));
    assert_eq!(evidence["clusters"][0]["before"]["pods"][0]["restarts"], 0);

    // Run again, there is nothing to do.
    let (status, _, told) = both.addon(&staging).await?;
    assert_eq!(status, 0, "{told}");
    assert!(told.contains("nothing is to be done"), "{told}");

    production_is_synced_once(&both, &file).await
}

/// It keeps manual sync. What was before survives an interruption.
async fn production_is_synced_once(both: &TwoClusters, file: &str) -> Result<()> {
    let prod = [
        "enable",
        "dns",
        "--clusters=prod",
        "--yes",
        "--evidence",
        file,
    ];
    let impatient = [&prod[..], &["--timeout=1s"]].concat();
    let (status, _, told) = both.addon(&impatient).await?;
    assert_eq!(status, 2);
    assert!(
        told.contains("application/prod-dns is not Synced and Healthy within 1 s"),
        "{told}"
    );
    let operation = both.application("prod").await?["operation"].clone();
    assert_eq!(
        operation["sync"]["syncOptions"],
        json!(["ServerSideApply=true"])
    );
    let compared = &both.application("prod").await?["status"]["sync"]["revision"];
    assert_eq!(operation["sync"]["revision"], *compared);
    let evidence = both.read_evidence()?;
    let uid = &evidence["clusters"][1]["before"]["pods"][0]["uid"];
    assert!(uid.is_string(), "{evidence}");

    // Somebody replaces the Pod meanwhile.
    let delete = [
        "delete",
        "pod/dns-1",
        "-n=dns",
        "--force",
        "--grace-period=0",
    ];
    succeed(both.prod.admin().kubectl(delete)).await?;
    both.pod("prod", "dns-2").await?;
    let (status, _, told) = both.addon_with_argo_cd(&prod).await?;
    assert_eq!(status, 2, "{told}");
    for expected in [
        "pod/dns-1 in namespace dns is gone",
        "pod/dns-2 in namespace dns was created",
    ] {
        assert!(told.contains(expected), "{told}");
    }
    let automated = &both.application("prod").await?["spec"]["syncPolicy"]["automated"];
    assert_eq!(*automated, Value::Null);

    // Without a file, what was made since the sync is known by its time, for a ticket as well.
    let page = both.folder.path().join("evidence.md").display().to_string();
    let again = [
        "enable",
        "dns",
        "--clusters=prod",
        "--yes",
        "--evidence",
        &page,
    ];
    let (status, _, told) = both.addon_with_argo_cd(&again).await?;
    let page = fs::read_to_string(page)?;
    assert!(page.contains("# Takeover of dns"), "{page}");
    assert!(page.contains("| pod/dns-2 | dns | after |"), "{page}");
    // The stand-in says that the sync was long before.
    assert_eq!(
        status,
        if told.contains("was created at") {
            2
        } else {
            0
        },
        "{told}"
    );
    Ok(())
}

#[tokio::test]
async fn argo_cd_does_not_take_over_where_something_would_change() -> Result<()> {
    let both = onboarded().await?;
    both.committed()?;
    for cluster in ["staging", "prod"] {
        both.generate(cluster).await?;
    }
    let enable = ["enable", "dns", "--yes"];
    // Terraform still manages it.
    let managed = both.file("state.json", &state("1.10.1", &[helm_release(ADDRESS)]))?;
    let (status, _, told) = both
        .addon(&[&enable[..], &["--state", &managed]].concat())
        .await?;
    assert_eq!(status, 2);
    assert!(told.contains("Terraform has not let go on "), "{told}");
    // The gate is shut.
    both.edit(
        "charts/dns/templates/config.yaml",
        "zone: shop",
        "zone: other",
    )?;
    let (status, _, told) = both.addon(&enable).await?;
    assert_eq!(status, 2);
    assert!(
        told.contains("Argo CD's takeover would change something: "),
        "{told}"
    );
    assert!(told.contains("configmap/dns: in-place"), "{told}");
    for cluster in ["staging", "prod"] {
        assert_eq!(both.application(cluster).await?["operation"], Value::Null);
    }
    assert!(
        !both
            .written("applicationsets/dns.yaml")?
            .contains("templatePatch")
    );
    Ok(())
}

#[tokio::test]
async fn an_addon_goes_back_or_is_finished_and_what_runs_stays() -> Result<()> {
    let both = onboarded().await?;
    both.committed()?;
    both.apply_set().await?;
    for cluster in ["staging", "prod"] {
        both.generate(cluster).await?;
    }
    let backups = both.folder.path().join("backups");
    let folder = backups.display().to_string();
    let finish = [
        "finish",
        "dns",
        "--clusters=staging",
        "--yes",
        "--backup",
        &folder,
    ];

    // Argo CD has not taken over.
    let (status, _, told) = both.addon(&finish).await?;
    assert_eq!(status, 2);
    assert!(
        told.contains("Argo CD has not taken over on staging: "),
        "{told}"
    );
    assert!(!backups.exists());

    both.sync("staging", json!({})).await?;
    let managed = both.file("state.json", &state("1.10.1", &[helm_release(ADDRESS)]))?;
    let (status, _, told) = both
        .addon(&[&finish[..], &["--state", &managed]].concat())
        .await?;
    assert_eq!(status, 2);
    assert!(
        told.contains("Terraform has not let go on staging: "),
        "{told}"
    );
    let secrets = ["get", "secrets", "-n=dns", "-l=owner=helm", "-o=name"];
    let kept = both.cluster("staging").kubectl(secrets).run().await?.stdout;
    assert_eq!(kept, "secret/sh.helm.release.v1.dns.v1\n");

    let (status, _, told) = both.addon(&finish).await?;
    assert_eq!(status, 0, "{told}");
    let left = both.cluster("staging").kubectl(secrets).run().await?.stdout;
    assert_eq!(left, "");
    let file = backups.join("staging-dns-releases.json");
    assert_eq!(file.metadata()?.permissions().mode() & 0o777, 0o600);
    let list: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    assert_eq!(
        list["items"][0]["metadata"]["name"],
        "sh.helm.release.v1.dns.v1"
    );
    assert_eq!(list["items"][0]["type"], "helm.sh/release.v1");
    let (status, _, told) = both.addon(&finish).await?;
    assert_eq!(status, 0, "{told}");
    assert!(told.contains("nothing is to be done"), "{told}");

    // There is no way back from that, but from the backup.
    let file = file.display().to_string();
    let (status, _, told) = both.addon(&["rollback", "dns", "--yes"]).await?;
    assert_eq!(status, 2);
    assert!(
        told.contains("cluster staging: there is no release to go back to"),
        "{told}"
    );
    succeed(both.cluster("staging").kubectl(["create", "-f", &file])).await?;
    goes_back(&both, &managed).await
}

async fn goes_back(both: &TwoClusters, managed: &str) -> Result<()> {
    let finalizers = json!({"metadata": {"finalizers": [
        "resources-finalizer.argocd.argoproj.io", "example.com/other",
        "pre-delete-finalizer.argocd.argoproj.io/cleanup",
    ]}});
    both.says("staging", "Synced", finalizers).await?;
    let uid = [
        "get",
        "deployment/dns",
        "-n=dns",
        "-o=jsonpath={.metadata.uid}",
    ];
    let before = both.cluster("staging").kubectl(uid).run().await?.stdout;
    let rollback = ["rollback", "dns", "--yes", "--state", managed];
    let (status, _, told) = both.addon(&rollback).await?;
    assert_eq!(status, 0, "{told}");
    assert!(
        told.contains(r#"to = module.addons.helm_release.dns["eu"] id = "dns/dns""#),
        "{told}"
    );
    assert!(!both.repository().join("applicationsets/dns.yaml").exists());
    assert_eq!(both.git(&["status", "--porcelain"])?, "");
    let admin = both.installation.admin();
    let sets = [
        "get",
        "applicationsets,applications",
        "-n=argocd",
        "-o=name",
    ];
    let left = admin.kubectl(sets).run().await?.stdout;
    assert!(!left.contains("prod-dns"), "{left}");
    // No garbage collector runs here, which would end it.
    let set = ["get", "applicationset/dns", "-n=argocd", "-o=json"];
    let set: Value = serde_json::from_str(&admin.kubectl(set).run().await?.stdout)?;
    assert!(set["metadata"]["deletionTimestamp"].is_string(), "{set}");
    assert_eq!(set["metadata"]["finalizers"], json!(["orphan"]));
    // The finalizer of somebody else keeps it, and no other is left.
    let left = both.application("staging").await?;
    assert_eq!(left["metadata"]["finalizers"], json!(["example.com/other"]));
    assert!(left["metadata"]["deletionTimestamp"].is_string(), "{left}");
    let after = both.cluster("staging").kubectl(uid).run().await?.stdout;
    assert_eq!(after, before);
    let service = ["get", "service/dns", "-n=dns", "-o=json"];
    let service = both.cluster("staging").kubectl(service).run().await?.stdout;
    let service: Value = serde_json::from_str(&service)?;
    let annotations = &service["metadata"]["annotations"];
    assert_eq!(annotations["argocd.argoproj.io/tracking-id"], Value::Null);
    assert_eq!(annotations["meta.helm.sh/release-name"], "dns");
    assert_eq!(
        service["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "Helm"
    );

    // Once the file is gone, the release is named.
    let again = ["rollback", "dns", "--yes"];
    let (status, _, told) = both.addon(&again).await?;
    assert_eq!(status, 2);
    assert!(
        told.contains("the namespace of the release is not known"),
        "{told}"
    );
    Ok(())
}

impl TwoClusters {
    /// The ApplicationSet of the checkout, in Argo CD.
    async fn apply_set(&self) -> Result<()> {
        let file = self.repository().join("applicationsets/dns.yaml");
        let apply = self
            .installation
            .admin()
            .kubectl(["apply", "-f"])
            .arguments([file]);
        succeed(apply).await?;
        Ok(())
    }
}

#[tokio::test]
async fn another_version_goes_from_cluster_to_cluster() -> Result<()> {
    let both = onboarded().await?;
    both.committed()?;
    for cluster in ["staging", "prod"] {
        both.generate(cluster).await?;
        both.sync(cluster, json!({})).await?;
    }
    let chart = chart_of_deployment()?;
    let definition = "apiVersion: v2\nname: dns\nversion: 1.3.0\nappVersion: v5\n";
    fs::write(chart.path().join("Chart.yaml"), definition)?;
    let config = chart.path().join("templates/config.yaml");
    fs::write(
        &config,
        fs::read_to_string(&config)?.replace("zone: shop", "zone: market"),
    )?;
    let folder = chart.path().display().to_string();
    let bump = |version| {
        [
            "bump",
            "dns",
            "--yes",
            "--chart",
            &folder,
            "--version",
            version,
        ]
    };

    let (status, _, told) = both.addon(&bump("1.4.0")).await?;
    assert_eq!(status, 2);
    assert!(
        told.contains("has the chart dns 1.3.0: expected dns 1.4.0"),
        "{told}"
    );

    // What would change is shown first, and nothing is written.
    let head = both.git(&["rev-parse", "HEAD"])?;
    let dry_run = [&bump("1.3.0")[..], &["--dry-run=client"]].concat();
    let (status, printed, told) = both.addon(&dry_run).await?;
    assert_eq!(status, 0, "{told}");
    assert!(
        printed.contains("/data/zone: \"shop\" becomes \"market\""),
        "{printed}"
    );
    assert_eq!(both.git(&["status", "--porcelain"])?, "");

    // One of them degrades, and nothing is done after it.
    let first = if printed.find("application/prod-dns") < printed.find("application/staging-dns") {
        "prod"
    } else {
        "staging"
    };
    let last = if first == "prod" { "staging" } else { "prod" };
    let mark = format!("{first}-degraded");
    both.file(&mark, "")?;
    let (status, _, told) = both.addon_with_argo_cd(&bump("1.3.0")).await?;
    assert_eq!(status, 2, "{told}");
    assert!(
        told.contains(&format!("application/{first}-dns: it is Degraded")),
        "{told}"
    );
    assert!(
        told.contains(&format!("application/{last}-dns: not done")),
        "{told}"
    );
    assert_ne!(both.git(&["rev-parse", "HEAD"])?, head);
    assert!(
        both.git(&["log", "--format=%s", "-1"])?
            .starts_with("Bump dns to 1.3.0")
    );
    assert_eq!(both.git(&["status", "--porcelain"])?, "");
    assert!(both.written("charts/dns/Chart.yaml")?.contains("1.3.0"));
    assert!(
        both.written("charts/dns/values-shared.yaml")?
            .starts_with("# What the release")
    );

    fs::remove_file(both.folder.path().join(mark))?;
    let (status, _, told) = both.addon_with_argo_cd(&bump("1.3.0")).await?;
    assert_eq!(status, 0, "{told}");
    assert!(
        told.contains(&format!("application/{last}-dns: done")),
        "{told}"
    );
    Ok(())
}
