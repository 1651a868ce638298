//! `kubectl gitops addon` with what the real Helm has installed on a real API server.

mod takeover;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, ensure};
use harness::argo_cd::Release;
use harness::plugin::{plugin, plugin_as};
use harness::{ControlPlane, Installation, Overlay, User, succeed};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::spawn_blocking;

/// A value of a release, which nobody may see.
const SECRET: &str = "hunter2-of-the-release";

/// A chart with a ConfigMap, a Service, a Secret of its values and a hook.
fn chart() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for (path, text) in [
        (
            "Chart.yaml",
            "apiVersion: v2\nname: dns\nversion: 1.2.3\nappVersion: v4\n",
        ),
        ("values.yaml", "port: 53\npassword: none\n"),
        (
            "templates/config.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\ndata: {zone: shop}\n",
        ),
        (
            "templates/service.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: '{{ .Release.Name }}'}\nspec: {ports: [{port: {{ .Values.port }}}]}\n",
        ),
        (
            "templates/secret.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: '{{ .Release.Name }}'}\nstringData: {password: '{{ .Values.password }}'}\n",
        ),
        (
            "templates/role.yaml",
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: '{{ .Release.Name }}'}\nrules: []\n",
        ),
        (
            "templates/hook.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: '{{ .Release.Name }}-hook'\n  annotations: {helm.sh/hook: pre-install}\n",
        ),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        fs::write(path, text)?;
    }
    Ok(folder)
}

/// The real Helm, as somebody.
async fn helm(user: &User, chart: &Path, driver: &str, arguments: &[&str]) -> Result<Output> {
    let program = spawn_blocking(|| anyhow::Ok(Release::chosen()?.helm()?)).await??;
    let home = tempfile::tempdir()?;
    let mut helm = Command::new(program);
    helm.env_clear()
        .env("HOME", home.path())
        .env("HELM_DRIVER", driver)
        .arg("--kubeconfig")
        .arg(user.kubeconfig())
        .current_dir(chart)
        .args(arguments);
    Ok(helm.output().await?)
}

async fn installed(user: &User, chart: &Path, driver: &str, arguments: &[&str]) -> Result<()> {
    let output = helm(user, chart, driver, arguments).await?;
    ensure!(
        output.status.success(),
        "helm failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The plugin, which takes the API server of the test for the cluster `staging` as well.
async fn addon(user: &User, arguments: &[&str]) -> Result<Output> {
    let kubeconfig: Value = serde_json::from_str(&fs::read_to_string(user.kubeconfig())?)?;
    let context = kubeconfig["contexts"][0]["name"]
        .as_str()
        .context("the kubeconfig has no context")?;
    let output = plugin_as(user)?
        .arg("addon")
        .args(arguments)
        .args(["--context-for", &format!("staging={context}")])
        .output()
        .await?;
    let all = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    ensure!(!all.concat().contains(SECRET), "a secret is shown");
    Ok(output)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn what_helm_has_installed_is_listed_with_who_manages_it() -> Result<()> {
    let installation = Installation::start(Overlay::ProdDevops, "").await?;
    let admin = installation.admin();
    install_by_several(admin).await?;
    all_are_listed(admin).await?;
    one_that_is_broken_hides_nothing(admin).await?;
    other_clusters_are_told_last(admin).await
}

/// Releases of which each was left by another.
async fn install_by_several(admin: &User) -> Result<()> {
    let chart = chart()?;
    let folder = chart.path();
    let password = format!("password={SECRET}");
    let install = [
        "install",
        "dns",
        ".",
        "--namespace=dns",
        "--create-namespace",
    ];
    installed(
        admin,
        folder,
        "",
        &[&install[..], &["--set", &password]].concat(),
    )
    .await?;
    let upgrade = ["upgrade", "dns", ".", "--namespace=dns", "--set", &password];
    installed(admin, folder, "", &upgrade).await?;
    let by_config_map = ["install", "plain", ".", "--namespace=dns", "--set=port=54"];
    installed(admin, folder, "configmap", &by_config_map).await?;
    // The API server refuses the Service, and Helm keeps what it has tried.
    let failing = ["install", "failing", ".", "--namespace=dns", "--set=port=0"];
    let failed = helm(admin, folder, "", &failing).await?;
    ensure!(!failed.status.success(), "{}", text(&failed.stdout));
    // As Argo CD does where it takes over.
    let mark = "argocd.argoproj.io/tracking-id=dns-staging:/Service:dns/dns";
    let annotate = ["annotate", "service/dns", "--namespace=dns", mark];
    let as_argo_cd = ["--field-manager=argocd-controller"];
    succeed(admin.kubectl(annotate).arguments(as_argo_cd)).await?;
    // As Terraform's provider, which has another name.
    let as_terraform = ["--field-manager=terraform-provider-helm_v2.17.0_x5"];
    let label = ["label", "configmap/plain", "--namespace=dns", "a=b"];
    succeed(admin.kubectl(label).arguments(as_terraform)).await?;

    Ok(())
}

async fn all_are_listed(admin: &User) -> Result<()> {
    let list = addon(admin, &["list", "--clusters=staging", "-o=json"]).await?;
    ensure!(list.status.code() == Some(0), "{}", text(&list.stderr));
    let report: Value = serde_json::from_slice(&list.stdout)?;
    let releases = report["releases"].as_array().context("releases")?;
    let row = |one: &Value| {
        let owners = one["managedBy"].as_array();
        let owners = owners.map(|all| all.iter().map(|one| &one["name"]).collect::<Vec<_>>());
        json!([
            one["cluster"],
            one["namespace"],
            one["name"],
            one["chart"],
            one["revision"],
            one["revisions"],
            one["status"],
            one["storedIn"]["name"],
            owners,
            one["applications"],
            one["objects"],
            one["missingObjects"],
            one["hooks"],
        ])
    };
    let chart = json!({"name": "dns", "version": "1.2.3", "appVersion": "v4"});
    let rows: Vec<_> = releases.iter().map(row).collect();
    assert_eq!(
        rows[..2],
        [
            json!([
                "staging",
                "dns",
                "dns",
                chart,
                2,
                2,
                "deployed",
                "sh.helm.release.v1.dns.v2",
                ["Helm", "Argo CD"],
                ["dns-staging"],
                4,
                0,
                1
            ]),
            json!([
                "staging",
                "dns",
                "failing",
                chart,
                1,
                1,
                "failed",
                "sh.helm.release.v1.failing.v1",
                ["Helm"],
                [],
                4,
                rows[1][11],
                1
            ]),
        ]
    );
    assert_eq!(
        rows[2..],
        [json!([
            "staging",
            "dns",
            "plain",
            chart,
            1,
            1,
            "deployed",
            "sh.helm.release.v1.plain.v1",
            ["Terraform", "Helm"],
            [],
            4,
            0,
            1
        ])]
    );
    assert_eq!(releases[2]["storedIn"]["driver"], "configmap");
    assert_ne!(releases[0]["lastDeployed"], Value::Null);
    assert_eq!(
        report["summary"],
        json!({
            "clusters": 1,
            "releases": 3,
            "byOwner": {"Argo CD": 1, "Helm": 3, "Terraform": 1},
            "withSeveralOwners": 2,
        })
    );

    Ok(())
}

async fn one_that_is_broken_hides_nothing(admin: &User) -> Result<()> {
    // One that nobody can read does not hide the others, and what is in it is not told.
    let broken = json!({"data": {"release": "aHVudGVyMi1vZi10aGUtcmVsZWFzZQ=="}}).to_string();
    let patch = [
        "patch",
        "secret",
        "sh.helm.release.v1.failing.v1",
        "-n=dns",
        "--patch",
        &broken,
    ];
    succeed(admin.kubectl(patch)).await?;
    let names = addon(admin, &["list", "--clusters=staging", "-o=name"]).await?;
    assert_eq!(names.status.code(), Some(2));
    assert_eq!(
        text(&names.stdout),
        "secret/sh.helm.release.v1.dns.v2\nsecret/sh.helm.release.v1.failing.v1\nconfigmap/sh.helm.release.v1.plain.v1\n"
    );
    assert_eq!(
        text(&names.stderr),
        "error: cluster staging: secret/sh.helm.release.v1.failing.v1 in namespace dns: \
         data.release: it is not base64\n"
    );

    Ok(())
}

async fn other_clusters_are_told_last(admin: &User) -> Result<()> {
    // A cluster without a context is told last, and the others are listed.
    let all = addon(admin, &["list", "-n=dns", "-o=wide"]).await?;
    assert_eq!(all.status.code(), Some(2));
    assert!(
        text(&all.stdout).contains("in-cluster"),
        "{}",
        text(&all.stdout)
    );
    assert!(
        text(&all.stderr).starts_with("error: cluster in-cluster: "),
        "{}",
        text(&all.stderr)
    );
    assert!(
        text(&all.stderr).contains(
            "error: cluster prod: no context of the kubeconfig has its server, its name or its ARN\n"
        ),
        "{}",
        text(&all.stderr)
    );
    let elsewhere = addon(
        admin,
        &["list", "--clusters=staging", "-n=other", "-o=name"],
    )
    .await?;
    assert_eq!(elsewhere.status.code(), Some(0));
    assert_eq!(text(&elsewhere.stdout), "");
    // A list of metadata without items.
    let none = addon(admin, &["list", "-l=environment=nowhere", "-o=name"]).await?;
    assert_eq!(none.status.code(), Some(0), "{}", text(&none.stderr));
    let by_label = addon(admin, &["list", "-l=environment=staging", "-n=other"]).await?;
    assert_eq!(by_label.status.code(), Some(0));
    assert!(
        text(&by_label.stdout).ends_with("0 releases on 1 cluster\n"),
        "{}",
        text(&by_label.stdout)
    );
    Ok(())
}

/// An API server beside the one of the installation, and a kubeconfig for both of them: contexts
/// `staging` and `prod`.
struct TwoClusters {
    installation: Installation,
    prod: ControlPlane,
    folder: TempDir,
}

/// The AppProject that the Applications are in.
const PROJECT: &str = r"
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: { name: platform, namespace: argocd }
spec:
  sourceRepos: [https://git.example.com/platform/fleet.git]
  destinations:
    - { name: staging, server: https://staging.k8s.example.com, namespace: dns }
    - { name: prod, server: https://prod.k8s.example.com, namespace: dns }
  clusterResourceWhitelist: [{ group: rbac.authorization.k8s.io, kind: ClusterRole }]
";

impl TwoClusters {
    async fn start() -> Result<Self> {
        let installation = Installation::start(Overlay::ProdDevops, PROJECT).await?;
        let prod = ControlPlane::start().await?;
        let folder = tempfile::tempdir()?;
        let both = Self {
            installation,
            prod,
            folder,
        };
        let read = |name: &str, user: &User| -> Result<Value> {
            let mut own: Value = serde_json::from_str(&fs::read_to_string(user.kubeconfig())?)?;
            own["clusters"][0]["name"] = json!(name);
            own["users"][0]["name"] = json!(name);
            own["contexts"][0] = json!({"name": name, "context": {"cluster": name, "user": name}});
            own["current-context"] = json!(name);
            Ok(own)
        };
        let mut all = read("staging", both.installation.admin())?;
        let other = read("prod", both.prod.admin())?;
        for list in ["clusters", "users", "contexts"] {
            let one = other[list][0].clone();
            all[list].as_array_mut().context("a list")?.push(one);
        }
        fs::write(both.kubeconfig(), all.to_string())?;
        Ok(both)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("fleet")
    }

    /// Installs a chart on both, with values of each.
    async fn install(&self, chart: &Path, name: &str, values: [&[&str]; 2]) -> Result<()> {
        let users = [self.installation.admin(), self.prod.admin()];
        for (user, values) in users.into_iter().zip(values) {
            let upgrade = [
                "upgrade",
                "--install",
                name,
                ".",
                "--namespace=dns",
                "--create-namespace",
            ];
            installed(user, chart, "", &[&upgrade[..], values].concat()).await?;
        }
        Ok(())
    }

    /// The plugin with the real Helm, which brings a release into the repository.
    async fn onboard(&self, name: &str, arguments: &[&str]) -> Result<(i32, String)> {
        let helm = spawn_blocking(|| anyhow::Ok(Release::chosen()?.helm()?)).await??;
        let folder = helm.parent().context("helm is in a folder")?;
        let output = plugin()?
            .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args([
                "addon",
                "onboard",
                name,
                "--vendor",
                "--namespace=dns",
                "--repo",
            ])
            .arg(self.repository())
            .args(["--repository=https://git.example.com/platform/fleet.git"])
            .args(["--clusters=staging,prod", "--target-revision=v1.2.3"])
            .args(arguments)
            .output()
            .await?;
        let all = text(&output.stdout) + &text(&output.stderr);
        ensure!(!all.contains(SECRET), "a secret is shown");
        Ok((output.status.code().context("it was ended")?, all))
    }

    fn written(&self, path: &str) -> Result<String> {
        Ok(fs::read_to_string(self.repository().join(path))?)
    }

    fn is_nothing_written(&self) -> bool {
        !self.repository().exists()
    }
}

const PLATFORM: &[&str] = &["--project=platform", "--yes"];

#[tokio::test]
async fn a_release_of_two_clusters_is_written_so_that_argo_cd_deploys_the_same() -> Result<()> {
    let both = TwoClusters::start().await?;
    let chart = chart()?;
    let values: [&[&str]; 2] = [
        &["--set=port=5353,zones.a=one,zones.b=yes"],
        &["--set=port=5353,zones.a=two,zones.b=yes,only=true"],
    ];
    both.install(chart.path(), "external-dns", values).await?;
    let release = ["--release=external-dns"];

    let dry_run = ["--project=platform", "--dry-run=client"];
    let (status, told) = both
        .onboard("dns", &[&release[..], &dry_run].concat())
        .await?;
    assert_eq!(status, 0, "{told}");
    assert!(both.is_nothing_written(), "{told}");
    for expected in [
        "cluster staging: 5 objects rendered as revision 1 has them\n",
        "cluster prod: 5 objects rendered as revision 1 has them\n",
        "note: hook configmap/external-dns-hook becomes PreSync at every sync (before-hook-creation)\n",
    ] {
        assert!(told.contains(expected), "{told}");
    }

    // What the rules deny is not written.
    let (status, told) = both
        .onboard(
            "dns",
            &[&release[..], &["--project=default", "--yes"]].concat(),
        )
        .await?;
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("default-project"), "{told}");
    assert!(both.is_nothing_written(), "{told}");

    let yes = [&release[..], PLATFORM].concat();
    let (status, told) = both.onboard("dns", &yes).await?;
    assert_eq!(status, 0, "{told}");
    assert_eq!(
        both.written("charts/dns/values-shared.yaml")?,
        "# What the release external-dns in namespace dns was given on all of these clusters:\n\
         # staging, prod.\n\
         port: 5353\n\
         zones:\n\
         \x20 b: \"yes\"\n"
    );
    assert_eq!(
        both.written("cluster-overrides/prod/dns.yaml")?,
        "# What revision 1 of the release external-dns in namespace dns was given on prod alone.\n\
         only: true\n\
         zones:\n\
         \x20 a: two\n"
    );
    assert!(
        both.written("cluster-overrides/staging/dns.yaml")?
            .ends_with("zones:\n  a: one\n")
    );
    assert_eq!(
        both.written("charts/dns/values.yaml")?,
        "password: none\nport: 53\n"
    );
    let set = both.written("applicationsets/dns.yaml")?;
    assert!(!set.contains("automated:"), "{set}");

    let (status, told) = both.onboard("dns", &yes).await?;
    assert_eq!(status, 0, "{told}");
    assert!(told.contains("nothing is to be done"), "{told}");
    Ok(())
}

/// A chart with another template.
fn chart_with(template: &str) -> Result<TempDir> {
    let chart = chart()?;
    fs::write(chart.path().join("templates/more.yaml"), template)?;
    Ok(chart)
}

fn config_map(name: &str, data: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: '{data}'}}\n"
    )
}

/// No values on either cluster.
const SAME: [&[&str]; 2] = [&[], &[]];

/// Releases that are not rendered as Helm has applied them, or with a secret.
async fn install_what_renders_otherwise(both: &TwoClusters) -> Result<()> {
    let plain = chart()?;

    // A secret among the values.
    let password = format!("--set=password={SECRET},port=54");
    let secret: [&[&str]; 2] = [&[], &[&password]];
    both.install(plain.path(), "secret", secret).await?;
    // Values that are made anew each time.
    let random = chart_with(&config_map("random", "{{ randAlphaNum 8 }}"))?;
    both.install(random.path(), "random", SAME).await?;
    // What the chart asks the cluster for.
    let asking =
        r#"{{ with lookup "v1" "Namespace" "" "kube-system" }}{{ .metadata.name }}{{ end }}"#;
    let asking = chart_with(&config_map("asking", asking))?;
    both.install(asking.path(), "asking", SAME).await?;
    // What differs between an installation and an upgrade.
    let upgraded = chart_with(&config_map("upgraded", "{{ .Release.Revision }}"))?;
    both.install(upgraded.path(), "upgraded", SAME).await?;
    both.install(upgraded.path(), "upgraded", SAME).await?;
    // A chart that is made of others.
    let umbrella = chart()?;
    let definition =
        "apiVersion: v2\nname: dns\nversion: 1.2.3\ndependencies: [{name: more, version: 1.0.0}]\n";
    fs::write(umbrella.path().join("Chart.yaml"), definition)?;
    let more = umbrella.path().join("charts/more");
    fs::create_dir_all(more.join("templates"))?;
    let definition = "apiVersion: v2\nname: more\nversion: 1.0.0\n";
    fs::write(more.join("Chart.yaml"), definition)?;
    both.install(umbrella.path(), "umbrella", SAME).await
}

/// Releases of which it is not known what Helm has applied, or that are not the same on both.
async fn install_what_is_not_known(both: &TwoClusters) -> Result<()> {
    let plain = chart()?;
    // Another version of the chart on one of them.
    both.install(plain.path(), "version", SAME).await?;
    let newer = chart()?;
    let definition = "apiVersion: v2\nname: dns\nversion: 1.3.0\n";
    fs::write(newer.path().join("Chart.yaml"), definition)?;
    let upgrade = ["upgrade", "version", ".", "--namespace=dns"];
    installed(both.prod.admin(), newer.path(), "", &upgrade).await?;
    // One that failed, and one that nobody has finished.
    both.install(plain.path(), "failed", SAME).await?;
    let failing = ["upgrade", "failed", ".", "--namespace=dns", "--set=port=0"];
    let failed = helm(both.prod.admin(), plain.path(), "", &failing).await?;
    ensure!(!failed.status.success(), "{}", text(&failed.stdout));
    both.install(plain.path(), "pending", SAME).await?;
    let pending = [
        "label",
        "secret",
        "sh.helm.release.v1.pending.v1",
        "--namespace=dns",
    ];
    let pending = both.prod.admin().kubectl(pending);
    succeed(pending.arguments(["--overwrite", "status=pending-upgrade"])).await?;
    // Two of one name.
    both.install(plain.path(), "twice", SAME).await?;
    let again = [
        "get",
        "secret",
        "sh.helm.release.v1.twice.v1",
        "--namespace=dns",
        "-o=json",
    ];
    let kept = both.prod.admin().kubectl(again).run().await?;
    let kept: Value = serde_json::from_str(&kept.stdout)?;
    let twice = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": kept["metadata"]["name"],
            "namespace": "dns",
            "labels": kept["metadata"]["labels"],
        },
    });
    let create = both.prod.admin().kubectl(["create", "-f", "-"]);
    succeed(create.input(twice.to_string())).await?;
    Ok(())
}

/// The traps: each says why, and nothing is written.
#[tokio::test]
async fn what_argo_cd_would_not_deploy_as_it_is_is_not_written() -> Result<()> {
    let both = TwoClusters::start().await?;
    install_what_renders_otherwise(&both).await?;
    install_what_is_not_known(&both).await?;
    for (name, status, reason) in [
        (
            "secret",
            2,
            "1 secret would be in the repository: password on prod (its name says so)",
        ),
        (
            "random",
            1,
            "cluster prod: configmap/random in namespace dns is rendered otherwise each time",
        ),
        (
            "asking",
            1,
            "configmap/asking in namespace dns is rendered otherwise in /data",
        ),
        (
            "upgraded",
            1,
            "configmap/upgraded in namespace dns is rendered otherwise in /data/value",
        ),
        (
            "version",
            2,
            "staging and prod have different charts: dns 1.2.3 and dns 1.3.0",
        ),
        (
            "failed",
            2,
            "prod: revision 2 of the release failed in namespace dns is failed, and not deployed",
        ),
        (
            "pending",
            2,
            "prod: revision 1 of the release pending in namespace dns is pending-upgrade, and not \
             deployed",
        ),
        (
            "twice",
            2,
            "prod: there are two releases twice in namespace dns, one in Secrets and one in \
             ConfigMaps",
        ),
        (
            "umbrella",
            2,
            "chart dns is made of other charts (more), which Helm does not keep with a release",
        ),
        (
            "other",
            2,
            "staging: there is no release other in namespace dns",
        ),
    ] {
        let (code, told) = both.onboard(name, PLATFORM).await?;
        assert_eq!(code, status, "{name}: {told}");
        assert!(told.contains(reason), "{name}: {told}");
        assert!(both.is_nothing_written(), "{name}: {told}");
    }
    Ok(())
}

/// A chart with a Deployment, and without a hook.
fn chart_of_deployment() -> Result<TempDir> {
    let chart = chart()?;
    fs::remove_file(chart.path().join("templates/hook.yaml"))?;
    let values = "image: registry.example.com/dns:1\npassword: none\nport: 53\nreplicas: 1\n";
    fs::write(chart.path().join("values.yaml"), values)?;
    let deployment = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: '{{ .Release.Name }}'}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: '{{ .Release.Name }}'}}
  template:
    metadata: {labels: {app: '{{ .Release.Name }}'}}
    spec: {containers: [{name: dns, image: '{{ .Values.image }}'}]}
";
    fs::write(chart.path().join("templates/deployment.yaml"), deployment)?;
    Ok(chart)
}

impl TwoClusters {
    /// What a takeover would change: the status of the process, and of each cluster the gate and
    /// what is not left as it is, as `KIND CLASS FIELDS`.
    async fn diff(&self) -> Result<(i32, Value)> {
        let helm = spawn_blocking(|| anyhow::Ok(Release::chosen()?.helm()?)).await??;
        let folder = helm.parent().context("helm is in a folder")?;
        let output = plugin()?
            .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(["addon", "diff", "dns", "-o=json", "--repo"])
            .arg(self.repository())
            .output()
            .await?;
        ensure!(!text(&output.stdout).contains(SECRET), "a secret is shown");
        let report: Value =
            serde_json::from_slice(&output.stdout).with_context(|| text(&output.stderr))?;
        let clusters = report["clusters"].as_array().context("clusters")?.iter();
        let told = clusters.map(|cluster| {
            let objects = cluster["objects"].as_array().into_iter().flatten();
            let shut = objects.filter(|one| one["class"] != "tracking-only");
            let shut = shut.map(|one| {
                let fields = one["fields"].as_array().into_iter().flatten();
                let fields = fields.filter_map(|field| field["path"].as_str());
                let fields: Vec<_> = fields.collect();
                let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
                format!("{} {} {}", text("kind"), text("class"), fields.join(","))
            });
            let shut: Vec<_> = shut.collect();
            (
                cluster["name"].as_str().unwrap_or_default().to_owned(),
                json!([cluster["gate"], shut]),
            )
        });
        let told: serde_json::Map<String, Value> = told.collect();
        let code = output.status.code().context("it was ended")?;
        Ok((code, Value::Object(told)))
    }

    /// The states of the gates on each cluster, in their order.
    async fn status(&self) -> Result<(i32, Value)> {
        let helm = spawn_blocking(|| anyhow::Ok(Release::chosen()?.helm()?)).await??;
        let folder = helm.parent().context("helm is in a folder")?;
        let output = plugin()?
            .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(["addon", "status", "-o=json", "--repo"])
            .arg(self.repository())
            .output()
            .await?;
        let report: Value =
            serde_json::from_slice(&output.stdout).with_context(|| text(&output.stderr))?;
        let addon = &report["addons"][0];
        assert_eq!(
            addon["release"],
            json!({"name": "dns", "namespace": "dns", "chart": "dns", "version": "1.2.3"})
        );
        let clusters = addon["clusters"].as_array().context("clusters")?.iter();
        let told = clusters.map(|cluster| {
            let gates = cluster["gates"].as_array().into_iter().flatten();
            let states: Vec<_> = gates.map(|gate| gate["state"].clone()).collect();
            (
                cluster["name"].as_str().unwrap_or_default().to_owned(),
                Value::from(states),
            )
        });
        let told: serde_json::Map<String, Value> = told.collect();
        let code = output.status.code().context("it was ended")?;
        Ok((code, Value::Object(told)))
    }

    /// Changes a file of the repository, and returns what it was.
    fn edit(&self, path: &str, from: &str, to: &str) -> Result<String> {
        let before = self.written(path)?;
        ensure!(before.contains(from), "{path} has no {from}: {before}");
        fs::write(self.repository().join(path), before.replace(from, to))?;
        Ok(before)
    }
}

/// The traps: each shuts the gate, and says why.
#[tokio::test]
async fn the_gate_is_open_only_where_nothing_would_change() -> Result<()> {
    let both = TwoClusters::start().await?;
    let chart = chart_of_deployment()?;
    let image = ["--set=image=registry.example.com/dns:1.1"];
    both.install(chart.path(), "dns", [&[], &image]).await?;
    let (status, told) = both.onboard("dns", PLATFORM).await?;
    assert_eq!(status, 0, "{told}");

    let open = json!(["open", []]);
    let (status, told) = both.diff().await?;
    assert_eq!(told, json!({"prod": open, "staging": open}));
    assert_eq!(status, 0);
    let on_the_way = json!(["done", "open", "open", "unknown", "open", "unknown"]);
    let (status, told) = both.status().await?;
    assert_eq!(told, json!({"prod": on_the_way, "staging": on_the_way}));
    assert_eq!(status, 0);

    let created = json!([
        "ConfigMap create ",
        "Secret create ",
        "Service create ",
        "Deployment create ",
        "ClusterRole create ",
    ]);
    let prod_is = |shut: Value| json!({"prod": ["shut", shut], "staging": open});
    for (path, from, to, expected) in [
        // One value off.
        (
            "cluster-overrides/prod/dns.yaml",
            "dns:1.1",
            "dns:1.2",
            prod_is(json!([
                "Deployment restart /spec/template/spec/containers/0/image"
            ])),
        ),
        // A release of another name has other objects.
        (
            "applicationsets/dns.yaml",
            "releaseName: dns",
            "releaseName: other",
            json!({"prod": ["shut", created], "staging": ["shut", created]}),
        ),
        // A selector cannot be changed.
        (
            "charts/dns/templates/deployment.yaml",
            "{app: '{{ .Release.Name }}'}",
            "{app: other}",
            json!({
                "prod": ["shut", ["Deployment replace "]],
                "staging": ["shut", ["Deployment replace "]],
            }),
        ),
        // A hook is run.
        (
            "charts/dns/templates/config.yaml",
            "metadata: {",
            "metadata: {annotations: {helm.sh/hook: post-install}, ",
            json!({
                "prod": ["shut", ["ConfigMap hook-run "]],
                "staging": ["shut", ["ConfigMap hook-run "]],
            }),
        ),
    ] {
        let before = both.edit(path, from, to)?;
        let (status, told) = both.diff().await?;
        assert_eq!(told, expected, "{path}");
        assert_eq!(status, 1, "{path}");
        fs::write(both.repository().join(path), before)?;
    }

    // What somebody, or an autoscaler, has scaled.
    let scale = ["scale", "deployment/dns", "--namespace=dns", "--replicas=3"];
    succeed(both.prod.admin().kubectl(scale)).await?;
    let (_, told) = both.diff().await?;
    assert_eq!(told, prod_is(json!(["Deployment in-place /spec/replicas"])));
    let scale = ["scale", "deployment/dns", "--namespace=dns", "--replicas=1"];
    succeed(both.prod.admin().kubectl(scale)).await?;

    // What another Application has already.
    let mark = "argocd.argoproj.io/tracking-id=other:/Service:dns/dns";
    let annotate = ["annotate", "service/dns", "--namespace=dns", mark];
    succeed(both.prod.admin().kubectl(annotate)).await?;
    let (_, told) = both.diff().await?;
    assert_eq!(told, prod_is(json!(["Service unknown "])));
    let (status, told) = both.status().await?;
    let shut = json!(["done", "open", "shut", "unknown", "shut", "unknown"]);
    assert_eq!(told, json!({"prod": shut, "staging": on_the_way}));
    assert_eq!(status, 1);
    Ok(())
}
