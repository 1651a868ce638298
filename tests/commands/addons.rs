//! `kubectl gitops addon` with what the real Helm has installed on a real API server.

mod cut_off;
mod takeover;

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::argo_cd::Release;
use harness::plugin::{plugin, plugin_as};
use harness::{ControlPlane, Installation, Overlay, User, eventually, succeed};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::{JoinHandle, spawn_blocking};

/// How long the API server may take to know what it was told.
const WITHIN: Duration = Duration::from_secs(30);
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
    helm_with(user, chart, driver, None, arguments).await
}

/// The same with a folder of plugins.
async fn helm_with(
    user: &User,
    chart: &Path,
    driver: &str,
    plugins: Option<&Path>,
    arguments: &[&str],
) -> Result<Output> {
    let program = spawn_blocking(|| anyhow::Ok(Release::chosen()?.helm()?)).await??;
    let home = tempfile::tempdir()?;
    let mut helm = Command::new(program);
    helm.env_clear()
        .env("HOME", home.path())
        .env("HELM_DRIVER", driver)
        .env("PATH", "/usr/bin:/bin")
        .envs(plugins.map(|folder| ("HELM_PLUGINS", folder)))
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
  clusterResourceWhitelist:
    - { group: rbac.authorization.k8s.io, kind: ClusterRole }
    - { group: apiextensions.k8s.io, kind: CustomResourceDefinition }
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
        self.onboard_by(&["--vendor"], name, arguments).await
    }

    /// The same, where it is said where the chart comes from.
    async fn onboard_by(
        &self,
        chart: &[&str],
        name: &str,
        arguments: &[&str],
    ) -> Result<(i32, String)> {
        let helm = spawn_blocking(|| anyhow::Ok(Release::chosen()?.helm()?)).await??;
        let folder = helm.parent().context("helm is in a folder")?;
        let output = plugin()?
            .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(["addon", "onboard", name, "--namespace=dns", "--repo"])
            .arg(self.repository())
            .args(["--repository=https://git.example.com/platform/fleet.git"])
            .args(["--clusters=staging,prod", "--target-revision=v1.2.3"])
            .args(chart)
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

    // A hook that may run is one of the release.
    let hook = ["--run-hook=job/migrate"];
    let (status, told) = both
        .onboard("dns", &[&release[..], &dry_run, &hook].concat())
        .await?;
    assert_eq!(status, 2, "{told}");
    assert!(
        told.contains(
            "--run-hook job/migrate: the release has no such hook, but \
             configmap/external-dns-hook"
        ),
        "{told}"
    );

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
         # none on staging\n\
         only: true\n\
         zones:\n\
         \x20 # another on staging\n\
         \x20 a: two\n"
    );
    assert!(
        both.written("cluster-overrides/staging/dns.yaml")?
            .ends_with("zones:\n  # another on prod\n  a: one\n")
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

    // The hook would run at every sync, until somebody says that it may.
    let (status, report, told) = both.report().await?;
    assert_eq!(
        (status, gates(&report)),
        (1, json!(["shut", "shut"])),
        "{told}"
    );
    let may = ["--run-hook=configmap/external-dns-hook"];
    let (status, told) = both.onboard("dns", &[&yes[..], &may].concat()).await?;
    assert_eq!(status, 0, "{told}");
    let (status, report, told) = both.report().await?;
    assert_eq!(
        (status, gates(&report)),
        (0, json!(["open", "open"])),
        "{told}"
    );
    assert_eq!(
        reasons(&report, "prod"),
        ["ConfigMap nothing it is run at every sync, as kubectl-gitops.io/run-hooks says"]
    );
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
    both.install(umbrella.path(), "umbrella", SAME).await?;
    // Another that is in its folder, and that it does not name.
    let folder = chart()?;
    let more = folder.path().join("charts/more/templates");
    fs::create_dir_all(&more)?;
    fs::write(folder.path().join("charts/more/Chart.yaml"), definition)?;
    fs::write(more.join("more.yaml"), config_map("more", "x"))?;
    both.install(folder.path(), "unnamed", SAME).await?;
    // What a post-renderer has changed.
    let plugins = post_renderer()?;
    for user in [both.installation.admin(), both.prod.admin()] {
        let install = [
            "install",
            "rendered",
            ".",
            "--namespace=dns",
            "--post-renderer=zones",
        ];
        let output = helm_with(user, plain.path(), "", Some(plugins.path()), &install).await?;
        ensure!(output.status.success(), "{}", text(&output.stderr));
    }
    // What is larger than a Secret may be.
    let huge = chart()?;
    let mut words = String::new();
    let mut state: u64 = 1;
    for _ in 0..120_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        write!(words, "{:016x}", state ^ (state >> 29))?;
    }
    fs::write(huge.path().join("noise.txt"), words)?;
    let install = ["install", "huge", ".", "--namespace=dns"];
    let output = helm(both.prod.admin(), huge.path(), "", &install).await?;
    ensure!(!output.status.success(), "it fits");
    ensure!(
        text(&output.stderr).contains("Too long"),
        "{}",
        text(&output.stderr)
    );
    Ok(())
}

/// A folder of plugins with one that changes what is rendered.
fn post_renderer() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let plugin = folder.path().join("zones");
    fs::create_dir(&plugin)?;
    let definition = "
apiVersion: v1
name: zones
version: 1.0.0
type: postrenderer/v1
runtime: subprocess
runtimeConfig:
  platformCommand:
    - command: sed
      args: [s/shop/changed/]
";
    fs::write(plugin.join("plugin.yaml"), definition)?;
    Ok(folder)
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
            "unnamed",
            2,
            "chart dns is made of other charts (more), which Helm does not keep with a release",
        ),
        (
            "random",
            1,
            "templates/more.yaml calls randAlphaNum, which is made anew at each rendering of Argo CD's",
        ),
        (
            "asking",
            1,
            "templates/more.yaml calls lookup, which finds nothing under Argo CD",
        ),
        (
            "rendered",
            1,
            "configmap/rendered in namespace dns is rendered otherwise in /data/zone",
        ),
        (
            "rendered",
            1,
            "as no template calls what is made anew each time or what asks the cluster, a \
             post-renderer,",
        ),
        (
            "huge",
            2,
            "prod: there is no release huge in namespace dns; one that is too large for a Secret,",
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
        let (code, report, _) = self.report().await?;
        let clusters = report["clusters"].as_array().context("clusters")?.iter();
        let told = clusters.map(|cluster| {
            let objects = cluster["objects"].as_array().into_iter().flatten();
            let open = [json!("nothing"), json!("tracking-only")];
            let shut = objects.filter(|one| !open.contains(&one["class"]));
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
        Ok((code, Value::Object(told)))
    }

    /// What a takeover would change: the status of the process, the report, and what is told beside.
    async fn report(&self) -> Result<(i32, Value, String)> {
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
        let code = output.status.code().context("it was ended")?;
        Ok((code, report, text(&output.stderr)))
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

/// Of each object of a cluster that is not left as it is, or has a reason: what becomes of it, and
/// why. Then what shuts the gate beside.
fn reasons(report: &Value, cluster: &str) -> Vec<String> {
    let clusters = report["clusters"].as_array().into_iter().flatten();
    let mut own = clusters.filter(|one| one["name"] == cluster);
    let own = own.next().unwrap_or(&Value::Null);
    let objects = own["objects"].as_array().into_iter().flatten();
    let told = objects.filter_map(|one| {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let (class, reason) = (text("class"), text("reason"));
        let is_plain = class == "tracking-only" || class == "nothing";
        let told = format!("{} {class} {reason}", text("kind"));
        (!is_plain || !reason.is_empty()).then(|| told.trim_end().to_owned())
    });
    let obstacles = own["obstacles"].as_array().into_iter().flatten();
    let obstacles = obstacles.filter_map(Value::as_str).map(str::to_owned);
    told.chain(obstacles).collect()
}

/// The gates of both clusters.
fn gates(report: &Value) -> Value {
    let clusters = report["clusters"].as_array().into_iter().flatten();
    clusters.map(|one| one["gate"].clone()).collect()
}

/// A definition, as charts have them in `crds/`.
const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: zones.dns.example.com}
spec:
  group: dns.example.com
  names: {kind: Zone, plural: zones}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object}}
";

const JOB: &str = "
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {helm.sh/hook: pre-upgrade}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: migrate, image: migrate}]}}}
";

/// Files of the checkout that shut the gate, each with what is told.
async fn files_that_shut_it(both: &TwoClusters) -> Result<()> {
    let set = "applicationsets/dns.yaml";
    for (path, from, to, expected) in [
        // Automation that an empty mapping switches on.
        (
            set,
            "        syncOptions:\n",
            "        automated: {}\n        syncOptions:\n",
            "the ApplicationSet has spec.template.spec.syncPolicy.automated, \
             which switches automation on even where it is empty",
        ),
        // Another version of the chart, of which nothing is rendered otherwise.
        (
            "charts/dns/Chart.yaml",
            "1.2.3",
            "1.2.4",
            "charts/dns has version 1.2.4, and Helm has installed dns 1.2.3",
        ),
        // What is not applied, but put anew.
        (
            set,
            "ServerSideApply=true",
            "Replace=true",
            "Deployment replace the sync option Replace=true puts it anew",
        ),
        (
            set,
            "ServerSideApply=true",
            "Validate=false",
            "Service unknown the sync option ServerSideApply=true is missing",
        ),
        // What was rendered, and is not any more.
        (
            "charts/dns/templates/service.yaml",
            "apiVersion",
            "{{- if false }}\napiVersion",
            "Service delete the release has it, and it is not rendered",
        ),
        // A definition of crds/, which Helm leaves alone and Argo CD does not.
        (
            "charts/dns/crds/zones.yaml",
            "type: object",
            "type: object, description: A zone",
            "CustomResourceDefinition in-place",
        ),
        // A Job that Helm ran once, and Argo CD would run at every sync.
        (
            "charts/dns/templates/config.yaml",
            "apiVersion: v1",
            &format!("{}\n---\napiVersion: v1", JOB.trim()),
            "Job hook-run it is run at every sync; kubectl-gitops.io/run-hooks: job/migrate on the \
             Application says that it may",
        ),
        // Replicas that an autoscaler sets.
        (set, "/spec/replicas", "/spec/paused", "Deployment in-place"),
        (
            set,
            "RespectIgnoreDifferences=true",
            "Validate=false",
            "Deployment in-place /spec/replicas: ignoreDifferences hides it, and a sync writes it \
             all the same",
        ),
    ] {
        let before = both.edit(path, from, to)?;
        if expected.starts_with("Service delete") {
            let whole = both.written(path)?;
            fs::write(
                both.repository().join(path),
                format!("{whole}{{{{- end }}}}\n"),
            )?;
        }
        let (status, report, told) = both.report().await?;
        fs::write(both.repository().join(path), before)?;
        let told = format!("{told}{}", reasons(&report, "prod").join("\n"));
        assert!(told.contains(expected), "{path} {to}: {told}");
        assert_eq!(status, 1, "{path} {to}: {told}");
        assert_eq!(report["clusters"][0]["gate"], "shut", "{path} {to}: {told}");
    }
    Ok(())
}

/// What Argo CD itself says, of an Application that somebody has made as the ApplicationSet would.
async fn argo_cd_may_say_otherwise(both: &TwoClusters) -> Result<()> {
    let devops = both.installation.admin();
    let (_, report, _) = both.report().await?;
    let objects = report["clusters"][0]["objects"]
        .as_array()
        .context("objects")?;
    let resources = |said: &dyn Fn(&Value) -> &'static str| -> Vec<Value> {
        let of = objects.iter().map(|one| {
            let mut resource = json!({
                "group": one["group"], "version": "v1", "kind": one["kind"], "name": one["name"],
                "status": said(one),
            });
            if one["namespace"].is_string() {
                resource["namespace"] = one["namespace"].clone();
            }
            resource
        });
        of.collect()
    };
    let agreed = |one: &Value| match one["class"].as_str() {
        Some("nothing") => "Synced",
        _ => "OutOfSync",
    };
    let otherwise = |one: &Value| match one["kind"].as_str() {
        Some("CustomResourceDefinition") => "OutOfSync",
        _ => agreed(one),
    };
    let application = |resources: Vec<Value>| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "name": "prod-dns",
                "namespace": "argocd",
                "annotations": {"kubectl-gitops.io/autoscaled": "false"},
            },
            "spec": {
                "project": "platform",
                "source": {
                    "repoURL": "https://git.example.com/platform/fleet.git",
                    "path": "charts/dns",
                    "targetRevision": "v1.2.3",
                },
                "destination": {"name": "prod", "namespace": "dns"},
            },
            "status": {
                "sync": {"status": "OutOfSync", "revision": "abc"},
                "reconciledAt": "2026-01-01T10:00:00Z",
                "resources": resources,
            },
        })
    };
    let apply = |application: Value| {
        let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        succeed(devops.kubectl(apply).input(application.to_string()))
    };
    apply(application(resources(&agreed))).await?;
    let (status, report, told) = both.report().await?;
    assert_eq!(
        (status, gates(&report)),
        (0, json!(["open", "open"])),
        "{told}"
    );

    apply(application(resources(&otherwise))).await?;
    let (status, report, told) = both.report().await?;
    assert_eq!(
        (status, gates(&report)),
        (2, json!(["unknown", "open"])),
        "{told}"
    );
    assert_eq!(
        report["clusters"][0]["disagreements"],
        json!([
            "customresourcedefinition/zones.dns.example.com: Argo CD said OutOfSync at \
             2026-01-01T10:00:00Z of revision abc, and by these files it is Synced"
        ])
    );
    let delete = ["delete", "application/prod-dns", "--namespace=argocd"];
    succeed(devops.kubectl(delete)).await?;
    Ok(())
}

/// What is excluded is not touched, and what the project does not permit fails a sync.
async fn settings_of_argo_cd_count(both: &TwoClusters) -> Result<()> {
    let devops = both.installation.admin();
    let excluded = json!([{"apiGroups": [""], "kinds": ["ConfigMap"]}]).to_string();
    let patch = |kind: &'static str, patch: Value| {
        let patch = patch.to_string();
        let arguments = [
            "patch",
            kind,
            "--namespace=argocd",
            "--type=merge",
            "--patch",
            &patch,
        ];
        succeed(devops.kubectl(arguments))
    };
    let settings = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": "argocd"},
        "data": {"resource.exclusions": excluded},
    });
    let create = devops.kubectl(["create", "-f", "-"]);
    succeed(create.input(settings.to_string())).await?;
    let (status, report, told) = both.report().await?;
    assert_eq!(
        (status, gates(&report)),
        (0, json!(["open", "open"])),
        "{told}"
    );
    assert_eq!(
        reasons(&report, "prod"),
        [
            "ConfigMap nothing resource.exclusions of argocd-cm leave it out: Argo CD does not sync it"
        ]
    );
    let delete = ["delete", "configmap/argocd-cm", "--namespace=argocd"];
    succeed(devops.kubectl(delete)).await?;

    let permitted = |kinds: Value| json!({"spec": {"clusterResourceWhitelist": kinds}});
    let definition = json!({"group": "apiextensions.k8s.io", "kind": "CustomResourceDefinition"});
    let role = json!({"group": "rbac.authorization.k8s.io", "kind": "ClusterRole"});
    patch("appproject/platform", permitted(json!([definition]))).await?;
    let (status, report, told) = both.report().await?;
    assert_eq!(
        (status, gates(&report)),
        (1, json!(["shut", "shut"])),
        "{told}"
    );
    assert_eq!(
        reasons(&report, "prod"),
        ["ClusterRole unknown the AppProject platform does not permit it: a sync fails"]
    );
    patch("appproject/platform", permitted(json!([definition, role]))).await?;
    Ok(())
}

/// A policy of the API server's own that changes each Deployment that is written from now on.
async fn a_mutation_at_the_sync_counts(both: &TwoClusters) -> Result<()> {
    let mutation =
        r#"[JSONPatch{op: "add", path: "/spec/template/metadata/labels/mesh", value: "on"}]"#;
    let rules = json!([{
        "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"],
    }]);
    let version = "admissionregistration.k8s.io/v1";
    let policy = json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": version,
                "kind": "MutatingAdmissionPolicy",
                "metadata": {"name": "mesh"},
                "spec": {
                    "matchConstraints": {"resourceRules": rules},
                    "reinvocationPolicy": "Never",
                    "failurePolicy": "Fail",
                    "mutations": [
                        {"patchType": "JSONPatch", "jsonPatch": {"expression": mutation}},
                    ],
                },
            },
            {
                "apiVersion": version,
                "kind": "MutatingAdmissionPolicyBinding",
                "metadata": {"name": "mesh"},
                "spec": {"policyName": "mesh"},
            },
        ],
    });
    let admin = both.prod.admin();
    let create = admin.kubectl(["create", "-f", "-"]);
    succeed(create.input(policy.to_string())).await?;
    eventually(WITHIN, "the API server changes Deployments", async || {
        let probe = ["annotate", "deployment/dns", "--namespace=dns", "probe=on"];
        let probe = admin
            .kubectl(probe)
            .arguments(["--dry-run=server", "-o=json"]);
        let answer = probe.run().await.map_err(|error| format!("{error:#}"))?;
        let mark = r#""mesh": "on""#;
        answer
            .stdout
            .contains(mark)
            .then_some(())
            .ok_or(answer.stdout)
    })
    .await?;
    let (status, report, told) = both.report().await?;
    assert_eq!(
        (status, gates(&report)),
        (1, json!(["shut", "open"])),
        "{told}"
    );
    assert_eq!(
        reasons(&report, "prod"),
        [
            "Deployment restart /spec/template/metadata/labels/mesh: an admission webhook or policy \
          would change it at the sync, which Argo CD's own comparison leaves out"
        ]
    );
    for kind in [
        "mutatingadmissionpolicybinding/mesh",
        "mutatingadmissionpolicy/mesh",
    ] {
        succeed(admin.kubectl(["delete", kind])).await?;
    }
    Ok(())
}

/// Releases of which it is not known what Helm has applied.
async fn a_release_that_is_not_plain_shuts_it(both: &TwoClusters, chart: &Path) -> Result<()> {
    let failing = ["upgrade", "dns", ".", "--namespace=dns", "--set=port=0"];
    let failed = helm(both.prod.admin(), chart, "", &failing).await?;
    ensure!(!failed.status.success(), "{}", text(&failed.stdout));
    let (status, report, told) = both.report().await?;
    assert_eq!(
        (status, gates(&report)),
        (1, json!(["shut", "open"])),
        "{told}"
    );
    let failed = "revision 2 of the release dns in namespace dns is failed, and not deployed";
    let reasons = reasons(&report, "prod");
    assert!(
        reasons.iter().any(|one| one.starts_with(failed)),
        "{reasons:?}"
    );
    Ok(())
}

/// The traps that are not in the files alone, or that an object's own comparison does not show.
#[tokio::test]
async fn what_is_not_plain_shuts_the_gate_and_is_told() -> Result<()> {
    let both = TwoClusters::start().await?;
    let chart = chart_of_deployment()?;
    fs::create_dir(chart.path().join("crds"))?;
    fs::write(chart.path().join("crds/zones.yaml"), DEFINITION)?;
    let image = ["--set=image=registry.example.com/dns:1.1"];
    both.install(chart.path(), "dns", [&[], &image]).await?;
    // An autoscaler that is not of the release.
    let autoscale = [
        "autoscale",
        "deployment/dns",
        "--namespace=dns",
        "--min=1",
        "--max=5",
    ];
    succeed(both.prod.admin().kubectl(autoscale)).await?;
    let scale = ["scale", "deployment/dns", "--namespace=dns", "--replicas=3"];
    succeed(both.prod.admin().kubectl(scale)).await?;
    let (status, told) = both.onboard("dns", PLATFORM).await?;
    assert_eq!(status, 0, "{told}");
    for note in [
        "note: CustomResourceDefinitions of crds/ are kept up to date by Argo CD, and were left \
         alone by Helm: zones.dns.example.com\n",
        "note: deployment/dns: /spec/selector cannot be changed later unless the object is replaced\n",
        "note: deployment/dns has fields of kubectl: Argo CD takes over those that the chart sets\n",
    ] {
        assert!(told.contains(note), "{told}");
    }

    let (status, report, told) = both.report().await?;
    assert_eq!(
        (status, gates(&report)),
        (0, json!(["open", "open"])),
        "{told}"
    );
    assert_eq!(reasons(&report, "prod"), [""; 0]);
    files_that_shut_it(&both).await?;
    argo_cd_may_say_otherwise(&both).await?;
    settings_of_argo_cd_count(&both).await?;
    a_mutation_at_the_sync_counts(&both).await?;
    a_release_that_is_not_plain_shuts_it(&both, chart.path()).await
}

#[tokio::test]
async fn a_value_that_would_leave_a_field_as_it_is_is_named() -> Result<()> {
    let both = TwoClusters::start().await?;
    let chart = chart_of_deployment()?;
    let image = ["--set=image=registry.example.com/dns:1.1"];
    both.install(chart.path(), "dns", [&[], &image]).await?;
    let (status, told) = both.onboard("dns", PLATFORM).await?;
    assert_eq!(status, 0, "{told}");
    let overrides = "cluster-overrides/prod/dns.yaml";
    both.edit(overrides, "dns:1.1", "dns:1.2")?;
    let (_, report, told) = both.report().await?;
    let objects = report["clusters"][0]["objects"]
        .as_array()
        .context("objects")?;
    let deployment = objects.iter().find(|one| one["kind"] == "Deployment");
    let field = &deployment.context("the Deployment")?["fields"][0];
    assert_eq!(
        field["remedy"],
        json!({"file": overrides, "path": "image", "value": "registry.example.com/dns:1.1"}),
        "{told}"
    );
    assert_eq!(field["owners"], json!(["helm"]));
    // With it the gate is open.
    fs::write(
        both.repository().join(overrides),
        "image: registry.example.com/dns:1.1\n",
    )?;
    let (status, _, told) = both.report().await?;
    assert_eq!(status, 0, "{told}");
    Ok(())
}

/// Repositories of charts, on this machine, until it is dropped.
struct ChartRepository {
    folder: TempDir,
    url: String,
    serving: JoinHandle<()>,
}

impl Drop for ChartRepository {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl ChartRepository {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let top = folder.path().to_owned();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let top = top.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let file = fs::read(top.join(request.uri().path().trim_start_matches('/')));
                    let status = if file.is_ok() { 200 } else { 404 };
                    let body = Full::new(Bytes::from(file.unwrap_or_default()));
                    async move { Response::builder().status(status).body(body) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(ChartRepository {
            folder,
            url,
            serving,
        })
    }

    /// Packs a chart into a repository of its own, and returns the URL of that.
    async fn publish(&self, user: &User, chart: &Path, name: &str) -> Result<String> {
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder)?;
        let (url, folder) = (format!("{}/{name}", self.url), folder.to_string_lossy());
        installed(user, chart, "", &["package", ".", "--destination", &folder]).await?;
        installed(user, chart, "", &["repo", "index", &folder, "--url", &url]).await?;
        Ok(url)
    }
}

/// A chart that is made of another, which one of its values switches on.
fn umbrella() -> Result<TempDir> {
    let umbrella = chart_of_deployment()?;
    let definition = "apiVersion: v2\nname: external-dns\nversion: 1.2.3\nappVersion: v4\n\
                      dependencies:\n  - {name: more, version: 1.0.0, tags: [extra]}\n";
    fs::write(umbrella.path().join("Chart.yaml"), definition)?;
    let more = umbrella.path().join("charts/more");
    fs::create_dir_all(more.join("templates"))?;
    fs::write(
        more.join("Chart.yaml"),
        "apiVersion: v2\nname: more\nversion: 1.0.0\n",
    )?;
    fs::write(more.join("values.yaml"), "zone: shop\n")?;
    let zone = config_map("{{ .Release.Name }}-more", "{{ .Values.zone }}");
    fs::write(more.join("templates/more.yaml"), zone)?;
    Ok(umbrella)
}

#[tokio::test]
async fn a_chart_of_a_repository_is_pinned_as_a_dependency() -> Result<()> {
    let both = TwoClusters::start().await?;
    let repository = ChartRepository::start().await?;
    let chart = umbrella()?;
    let values: [&[&str]; 2] = [
        &["--set=port=5353,more.zone=eu,tags.extra=false"],
        &["--set=port=5353,more.zone=us"],
    ];
    both.install(chart.path(), "dns", values).await?;
    let admin = both.installation.admin();
    let url = repository.publish(admin, chart.path(), "stable").await?;
    let wrapper = |url: &str| vec!["--wrapper".to_owned(), format!("--chart-repository={url}")];

    // The same name and version, and another chart.
    let other = umbrella()?;
    fs::write(
        other.path().join("templates/config.yaml"),
        config_map("dns", "x"),
    )?;
    let changed = repository.publish(admin, other.path(), "changed").await?;
    // None that has it.
    fs::write(
        repository.folder.path().join("index.yaml"),
        "apiVersion: v1\nentries: {}\n",
    )?;
    for (url, status, reason) in [
        (
            &changed,
            1,
            "configmap/dns in namespace dns is rendered otherwise in /data",
        ),
        (
            &repository.url,
            2,
            "charts/dns: the chart's dependencies cannot be fetched: helm: ",
        ),
        (
            &"charts.example.com".to_owned(),
            2,
            "--chart-repository: expected a URL that begins with",
        ),
    ] {
        let chart = wrapper(url);
        let chart: Vec<&str> = chart.iter().map(String::as_str).collect();
        let (code, told) = both.onboard_by(&chart, "dns", PLATFORM).await?;
        assert_eq!(code, status, "{told}");
        assert!(told.contains(reason), "{told}");
        assert!(both.is_nothing_written(), "{told}");
    }

    let chart = wrapper(&url);
    let chart: Vec<&str> = chart.iter().map(String::as_str).collect();
    let (status, told) = both.onboard_by(&chart, "dns", PLATFORM).await?;
    assert_eq!(status, 0, "{told}");
    for proof in [
        "cluster staging: 5 objects rendered as revision 1 has them\n",
        "cluster prod: 6 objects rendered as revision 1 has them\n",
    ] {
        assert!(told.contains(proof), "{told}");
    }
    let definition = both.written("charts/dns/Chart.yaml")?;
    for line in [
        "  - name: external-dns\n",
        "    version: \"1.2.3\"\n",
        "name: dns\n",
        &url,
    ] {
        assert!(definition.contains(line), "{definition}");
    }
    assert!(
        both.written("charts/dns/Chart.lock")?
            .contains("digest: \"sha256:")
    );
    let shared = both.written("charts/dns/values-shared.yaml")?;
    assert!(
        shared.ends_with("external-dns:\n  port: 5353\n"),
        "{shared}"
    );
    let own = both.written("cluster-overrides/staging/dns.yaml")?;
    assert!(
        own.ends_with("tags:\n  # none on prod\n  extra: false\n"),
        "{own}"
    );
    assert!(!both.repository().join("charts/dns/charts").exists());

    // What Argo CD would fetch is fetched for the gate, too, and the checkout stays as it is.
    let (status, report, told) = both.report().await?;
    assert_eq!(
        (status, gates(&report)),
        (0, json!(["open", "open"])),
        "{told}"
    );
    assert!(!both.repository().join("charts/dns/charts").exists());
    let (status, told) = both.onboard_by(&chart, "dns", PLATFORM).await?;
    assert_eq!(status, 0, "{told}");
    assert!(told.contains("nothing is to be done"), "{told}");
    // A value off, below the name of the chart.
    both.edit("cluster-overrides/prod/dns.yaml", "us", "eu")?;
    let (_, report, told) = both.report().await?;
    let objects = report["clusters"][0]["objects"]
        .as_array()
        .context("objects")?;
    let fields = objects.iter().filter_map(|one| one["fields"].get(0));
    let remedies: Vec<_> = fields.map(|field| &field["remedy"]["path"]).collect();
    assert_eq!(remedies, ["external-dns.more.zone"], "{told}");
    Ok(())
}
