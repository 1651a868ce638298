//! Many clusters at once. One API server stands behind all of them, each time by another address
//! and with another service account.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_sts::types::Credentials;
use futures::FutureExt as _;
use futures::future::{join_all, try_join_all};
use harness::eks::authenticator;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::config::AuthInfo;
use kube::{Api, Client, Config, ResourceExt as _};

use super::*;

/// A cluster with a token in its Secret.
struct TokenCluster {
    proxy: ReverseProxy,
    manager: Manager,
}

fn name(index: usize) -> String {
    format!("legacy-{index}")
}

impl World {
    async fn register_fleet(&self, size: usize) -> Result<Vec<TokenCluster>> {
        try_join_all((0..size).map(|index| self.register_one(index))).await
    }

    async fn register_one(&self, index: usize) -> Result<TokenCluster> {
        let workload = self.cluster.control_plane();
        let proxy = ReverseProxy::start(workload).await?;
        let account = format!("argocd-manager-{index}");
        let user = workload.service_account("kube-system", &account).await?;
        let bind = ["create", "clusterrolebinding", &account];
        let to = [
            "--clusterrole=cluster-admin".to_owned(),
            format!("--serviceaccount=kube-system:{account}"),
        ];
        succeed(workload.admin().kubectl(bind).arguments(to)).await?;
        let kubeconfig: Value = serde_json::from_slice(&fs::read(user.kubeconfig())?)?;
        let token = kubeconfig["users"][0]["user"]["token"].as_str();
        let token = token.context("the kubeconfig has no token")?.to_owned();
        let config = json!({
            "bearerToken": token,
            "tlsClientConfig": {"insecure": false, "caData": self.cluster.certificate_authority()?},
        });
        self.apply(&json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": format!("cluster-{}", name(index)),
                "namespace": "argocd",
                "labels": {"argocd.argoproj.io/secret-type": "cluster"},
            },
            "stringData": {"name": name(index), "server": proxy.url(), "config": config.to_string()},
        }))
        .await?;
        let manager = Manager { user, token };
        Ok(TokenCluster { proxy, manager })
    }

    /// What the role of Argo CD's pods is let in with.
    async fn engine(&self) -> Result<Credentials> {
        let sts = aws_sdk_sts::Client::new(&self.aws.config(ENGINE, REGION));
        let assume = sts.assume_role().role_arn(ENGINE_ROLE);
        let assumed = assume.role_session_name("argocd").send().await?;
        assumed.credentials.context("STS gives no credentials")
    }

    /// A token as `argocd-k8s-auth` makes it, by the library that it has it from.
    async fn token(&self, engine: &Credentials, config: &Value) -> Result<String> {
        let aws = &config["awsAuthConfig"];
        let word = |key: &str| aws[key].as_str().context("awsAuthConfig");
        let mut command = Command::new(authenticator()?);
        command
            .args(["token", "--cluster-id", word("clusterName")?])
            .args(["--role", word("roleARN")?, "--region", REGION])
            .env_clear()
            .envs(self.aws.environment(ENGINE))
            .env("AWS_ACCESS_KEY_ID", &engine.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &engine.secret_access_key)
            .env("AWS_SESSION_TOKEN", &engine.session_token)
            .env("AWS_REGION", REGION);
        let output = command.output().await?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "no token: {stderr}");
        let credential: Value = serde_json::from_slice(&output.stdout)?;
        let token = credential["status"]["token"].as_str();
        Ok(token.context("no token in the credential")?.to_owned())
    }

    /// Uses a cluster through its Secret, again and again, as Argo CD does, which reads it anew
    /// once it is changed. Returns how often it did so by a token and by AWS.
    async fn use_cluster(&self, index: usize, is_over: &AtomicBool) -> Result<[usize; 2]> {
        let secrets = Api::<Secret>::namespaced(self.devops.admin().client().await?, "argocd");
        let secret = format!("cluster-{}", name(index));
        let engine = self.engine().await?;
        let mut clients: BTreeMap<String, (usize, Client)> = BTreeMap::new();
        let mut used = [0; 2];
        while !is_over.load(Ordering::SeqCst) {
            let read = secrets.get(&secret).await?;
            let version = read.resource_version().context("resourceVersion")?;
            let (way, client) = match clients.get(&version) {
                Some(known) => known.clone(),
                None => self.client(&read, &engine).await?,
            };
            let namespaces = Api::<Namespace>::all(client.clone());
            match namespaces.get("kube-system").await {
                Ok(_) => used[way] += 1,
                Err(error) => {
                    let now = secrets.get(&secret).await?.resource_version();
                    let is_lost = now.as_ref() == Some(&version);
                    ensure!(!is_lost, "{secret} lets nobody in ({way}): {error}");
                }
            }
            clients.insert(version, (way, client));
        }
        Ok(used)
    }

    /// Which way it logs in (0 by a token, 1 by AWS), and the client.
    async fn client(&self, secret: &Secret, engine: &Credentials) -> Result<(usize, Client)> {
        let data = secret.data.as_ref().context("data")?;
        let text = |key: &str| -> Result<&str> {
            Ok(std::str::from_utf8(&data.get(key).context("a key")?.0)?)
        };
        let written: Value = serde_json::from_str(text("config")?)?;
        let (way, token) = match written["bearerToken"].as_str() {
            Some(token) => (0, token.to_owned()),
            None => (1, self.token(engine, &written).await?),
        };
        let authority = written["tlsClientConfig"]["caData"].as_str();
        let authority = BASE64_STANDARD.decode(authority.context("caData")?)?;
        let mut config = Config::new(text("server")?.parse()?);
        config.root_cert = Some(der(&authority)?);
        config.auth_info = AuthInfo {
            token: Some(token.into()),
            ..AuthInfo::default()
        };
        config.default_retry = false;
        Ok((way, Client::try_from(config)?))
    }
}

fn der(pem: &[u8]) -> Result<Vec<Vec<u8>>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let certificates = CertificateDer::pem_slice_iter(pem);
    let certificates = certificates.map(|one| one.map(|der| der.to_vec()));
    Ok(certificates.collect::<Result<_, _>>()?)
}

/// The file of `--from`, in the order of the fleet.
fn file(size: usize) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    for index in 0..size {
        let name = name(index);
        writeln!(
            file,
            "- {{ name: {name}, eksCluster: {CLUSTER}, roleARN: '{CLUSTER_ROLE}' }}"
        )?;
    }
    Ok(file)
}

/// Notes each Secret of a cluster that is written.
fn watch_writes(proxy: &ReverseProxy) -> Arc<Mutex<Vec<String>>> {
    let writes = Arc::default();
    let written: Arc<Mutex<Vec<String>>> = Arc::clone(&writes);
    proxy.before_answers(move |answered| {
        let secret = answered.path.rsplit('/').next().unwrap_or_default();
        if answered.is_write()
            && let Ok(mut written) = written.lock()
        {
            written.push(secret.to_owned());
        }
        async { Ok(()) }.boxed()
    });
    writes
}

#[tokio::test]
async fn a_fleet_is_migrated_while_every_cluster_is_used() {
    const SIZE: usize = 10;
    let world = World::start().await.unwrap();
    let fleet = world.register_fleet(SIZE).await.unwrap();
    let devops = ReverseProxy::start(&world.devops).await.unwrap();
    let writes = watch_writes(&devops);
    let kubeconfig = world.kubeconfig_through(&devops).await.unwrap();
    let file = file(SIZE).unwrap();
    let from = file.path().to_str().unwrap();
    let is_over = AtomicBool::new(false);
    let using = join_all((0..SIZE).map(|index| world.use_cluster(index, &is_over)));
    let migrating = async {
        let arguments = ["--all", "--from", from, "--revoke", "--batch-size", "4"];
        let mut migration = world.migration(kubeconfig.path(), &arguments);
        let migrated = migration.output().await;
        // Each is used once more by what is stored in the end.
        is_over.store(true, Ordering::SeqCst);
        migrated
    };

    let (used, migrated) = tokio::join!(using, migrating);

    let migrated = Migrated::new(&migrated.unwrap());
    assert_eq!(migrated.status, Some(0), "{}", migrated.text);
    for used in used {
        let [by_token, by_aws] = used.unwrap();
        assert!(by_token > 0 && by_aws > 0, "{by_token} {by_aws}");
    }
    for cluster in &fleet {
        assert!(!cluster.manager.is_let_in().await.unwrap());
        migrated.tells_nothing_of(&cluster.manager.token);
    }
    assert_eq!(world.left().await.unwrap(), "");
    // The first one has come to its end before another is begun.
    let writes = writes.lock().unwrap();
    let of_first = |secret: &&String| **secret == format!("cluster-{}", name(0));
    let alone = writes.iter().take_while(of_first).count();
    assert_eq!(alone, writes.iter().filter(of_first).count(), "{writes:?}");
}

#[tokio::test]
async fn a_fleet_stops_where_one_fails_and_goes_on_by_the_command_that_is_told() {
    const SIZE: usize = 6;
    let world = World::start().await.unwrap();
    let fleet = world.register_fleet(SIZE).await.unwrap();
    let devops = ReverseProxy::start(&world.devops).await.unwrap();
    let kubeconfig = world.kubeconfig_through(&devops).await.unwrap();
    let file = file(SIZE).unwrap();
    let from = file.path().to_str().unwrap();
    // Once its Secret is switched, the API server of the second cluster does not answer.
    let is_gone = Arc::new(AtomicBool::new(false));
    let switched = Arc::clone(&is_gone);
    devops.before_answers(move |answered| {
        if answered.is_write() && answered.path.ends_with(&name(1)) {
            switched.store(true, Ordering::SeqCst);
        }
        async { Ok(()) }.boxed()
    });
    let is_over = Arc::clone(&is_gone);
    fleet[1].proxy.before_answers(move |_| {
        let is_over = is_over.load(Ordering::SeqCst);
        async move {
            ensure!(!is_over, "it is gone");
            Ok(())
        }
        .boxed()
    });

    let arguments = ["--all", "--from", from, "--revoke", "--batch-size", "2"];
    let mut migration = world.migration(kubeconfig.path(), &arguments);
    let stopped = Migrated::new(&migration.output().await.unwrap());

    assert_eq!(stopped.status, Some(2), "{}", stopped.text);
    let is_let_in = async || {
        let mut let_in = Vec::new();
        for cluster in &fleet {
            let_in.push(cluster.manager.is_let_in().await.unwrap());
        }
        let_in
    };
    // The first, and the one that was migrated at the same time as the second.
    let after = [false, true, false, true, true, true];
    assert_eq!(is_let_in().await, after, "{}", stopped.text);
    for told in [
        "login in secret/cluster-legacy-1: the login that is stored does not work, and the Secret is as it was before",
        "login in secret/cluster-legacy-2: done",
        "login in secret/cluster-legacy-3: not done",
        "login in secret/cluster-legacy-5: not done",
    ] {
        assert!(stopped.text.contains(told), "{told}: {}", stopped.text);
    }

    let command = stopped.text.split('`').nth(1).unwrap();
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[..4], ["kubectl", "gitops", "cluster", "migrate"]);
    is_gone.store(false, Ordering::SeqCst);
    devops.before_answers(|_| async { Ok(()) }.boxed());
    let mut going_on = world.command();
    let done = going_on.args(&words[2..]).output().await.unwrap();
    let done = Migrated::new(&done);
    assert_eq!(done.status, Some(0), "{}", done.text);
    assert_eq!(is_let_in().await, [false; SIZE], "{}", done.text);
    for cluster in &fleet {
        for run in [&stopped, &done] {
            run.tells_nothing_of(&cluster.manager.token);
        }
    }
}
