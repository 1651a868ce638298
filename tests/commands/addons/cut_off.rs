//! `addon onboard` that is killed, and run again.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use harness::ReverseProxy;
use harness::programs::Programs;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

/// Two clusters, each behind a proxy that may hold an answer.
struct Behind {
    both: TwoClusters,
    proxies: [ReverseProxy; 2],
    kubeconfig: PathBuf,
}

impl Behind {
    async fn start() -> Result<Self> {
        let both = TwoClusters::start().await?;
        let clusters = [both.installation.control_plane(), &both.prod];
        let proxies = [
            ReverseProxy::start(clusters[0]).await?,
            ReverseProxy::start(clusters[1]).await?,
        ];
        let mut all: Option<Value> = None;
        for (name, (control_plane, proxy)) in ["staging", "prod"]
            .into_iter()
            .zip(clusters.into_iter().zip(&proxies))
        {
            let mut own = operator(control_plane).await?;
            own["clusters"][0]["name"] = json!(name);
            own["clusters"][0]["cluster"]["server"] = json!(proxy.url());
            own["users"][0]["name"] = json!(name);
            own["contexts"][0] = json!({"name": name, "context": {"cluster": name, "user": name}});
            own["current-context"] = json!(name);
            let Some(all) = &mut all else {
                all = Some(own);
                continue;
            };
            for list in ["clusters", "users", "contexts"] {
                let one = own[list][0].clone();
                all[list].as_array_mut().context("a list")?.push(one);
            }
        }
        let kubeconfig = both.folder.path().join("kubeconfig-of-proxies");
        fs::write(
            &kubeconfig,
            all.context("there are no clusters")?.to_string(),
        )?;
        Ok(Self {
            both,
            proxies,
            kubeconfig,
        })
    }

    /// Holds the answer to the request of a number; to none where there is no number.
    fn hold(&self, number: Option<usize>) -> UnboundedReceiver<String> {
        let (tell, held) = unbounded_channel();
        let asked = Arc::new(AtomicUsize::new(0));
        for proxy in &self.proxies {
            let (tell, asked) = (tell.clone(), Arc::clone(&asked));
            proxy.before_answers(move |answered| {
                let is_held = Some(asked.fetch_add(1, Ordering::SeqCst)) == number;
                let tell = tell.clone();
                async move {
                    if is_held {
                        tell.send(format!("{} {}", answered.method, answered.path))?;
                        std::future::pending::<()>().await;
                    }
                    Ok(())
                }
                .boxed()
            });
        }
        held
    }

    /// The plugin, which tells all on standard output.
    async fn onboarding(&self) -> Result<Command> {
        let helm = spawn_blocking(|| anyhow::Ok(Release::chosen()?.helm()?)).await??;
        let folder = helm.parent().context("helm is in a folder")?;
        let mut command = Command::new("/bin/sh");
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
            .args(["-c", "exec \"$@\" 2>&1", "sh"])
            .arg(Programs::locate()?.plugin())
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["addon", "onboard", "dns", "--vendor", "--namespace=dns"])
            .args(["--repository=https://git.example.com/platform/fleet.git"])
            .args(["--clusters=staging,prod", "--repo"])
            .arg(self.both.repository())
            .args(PLATFORM)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Runs it to its end, which must be that all is written.
    async fn onboard_again(&self) -> Result<String> {
        let _held = self.hold(None);
        let output = self.onboarding().await?.output().await?;
        ensure!(output.status.success(), "{}", text(&output.stdout));
        Ok(text(&output.stdout))
    }

    /// The files of the repository.
    fn files(&self) -> Result<BTreeMap<PathBuf, String>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.both.repository()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.clone(), fs::read_to_string(path)?);
                }
            }
        }
        Ok(files)
    }

    fn begin_anew(&self) -> Result<()> {
        Ok(fs::remove_dir_all(self.both.repository())?)
    }

    /// Kills it at each question, and returns what was asked.
    async fn killed_at_each_question(&self) -> Result<Vec<String>> {
        let mut asked = Vec::new();
        for number in 0.. {
            let mut held = self.hold(Some(number));
            let mut running = self.onboarding().await?.spawn()?;
            let question = tokio::select! {
                question = held.recv() => question,
                _ = running.wait() => None,
            };
            let Some(question) = question else {
                break;
            };
            running.start_kill()?;
            let output = running.wait_with_output().await?;
            let told = text(&output.stdout);
            ensure!(output.status.code().is_none(), "it was killed: {told}");
            ensure!(self.both.is_nothing_written(), "{question}: {told}");
            asked.push(question);
        }
        Ok(asked)
    }

    /// Kills it once it has told so many lines. Returns whether it was still running.
    async fn killed_after(&self, lines: usize) -> Result<bool> {
        let _held = self.hold(None);
        let mut running = self.onboarding().await?.spawn()?;
        let told = running.stdout.take().context("it tells nothing")?;
        let mut told = BufReader::new(told).lines();
        for _ in 0..lines {
            if told.next_line().await?.is_none() {
                return Ok(false);
            }
        }
        running.start_kill()?;
        running.wait().await?;
        Ok(true)
    }
}

/// The kubeconfig of somebody who may do everything, and logs in by a token.
async fn operator(control_plane: &ControlPlane) -> Result<Value> {
    let operator = control_plane.service_account("kube-system", "operator");
    let operator = operator.await?;
    let bind = ["create", "clusterrolebinding", "operator"];
    let to = [
        "--clusterrole=cluster-admin",
        "--serviceaccount=kube-system:operator",
    ];
    succeed(control_plane.admin().kubectl(bind).arguments(to)).await?;
    Ok(serde_json::from_slice(&fs::read(operator.kubeconfig())?)?)
}

#[tokio::test]
async fn killed_at_any_step_it_writes_the_same_by_running_it_again() -> Result<()> {
    let behind = Behind::start().await?;
    let chart = chart()?;
    let values: [&[&str]; 2] = [&["--set=port=54"], &["--set=port=55"]];
    behind.both.install(chart.path(), "dns", values).await?;

    let asked = behind.killed_at_each_question().await?;
    // Clusters are asked at the same time, so that it is not known which question has which number.
    assert!(asked.len() > 20, "{asked:?}");
    let whole = behind.files()?;

    let mut kills = 0;
    loop {
        behind.begin_anew()?;
        if !behind.killed_after(kills + 1).await? {
            break;
        }
        kills += 1;
        behind.onboard_again().await?;
        assert_eq!(behind.files()?, whole, "killed after {kills} lines");
    }
    assert!(kills > whole.len(), "{kills}");

    // It is killed while it writes one of the files, and has written those before.
    for written in 0..whole.len() {
        behind.begin_anew()?;
        for (number, (path, text)) in whole.iter().take(written + 1).enumerate() {
            let folder = path.parent().context("a file is in a folder")?;
            fs::create_dir_all(folder)?;
            if number < written {
                fs::write(path, text)?;
            } else {
                fs::write(
                    format!("{}.4711.new", path.display()),
                    &text[..text.len() / 2],
                )?;
            }
        }
        behind.onboard_again().await?;
        assert_eq!(behind.files()?, whole, "killed in file {written}");
    }
    Ok(())
}
