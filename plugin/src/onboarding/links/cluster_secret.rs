//! The Secret by which Argo CD knows the cluster.

use crate::onboarding::facts::Lookup;
use crate::onboarding::link::{Link, LinkName, Mend};
use crate::onboarding::registered::{Login, Registered};
use crate::onboarding::registration::Evidence;
use crate::onboarding::secret::{SecretManifest, lacking, secret_name};

const LINK: LinkName = LinkName::ClusterSecret;

/// What is known of the fleet that the cluster comes into.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleet {
    /// The clusters that are in it.
    pub(crate) registered: Lookup<Vec<Registered>>,
    /// Why the rules refuse the Secret, one sentence each.
    pub(crate) denied: Vec<String>,
}

impl Fleet {
    /// The Secret that is the cluster's already.
    pub(crate) fn own(&self, evidence: Evidence<'_>) -> Option<&Registered> {
        let all = self.registered.known()?;
        let secret = SecretManifest::of(evidence, "");
        let server = secret.server().trim_end_matches('/');
        let has_server = |one: &&Registered| !server.is_empty() && one.server == server;
        let has_name = |one: &&Registered| one.name == evidence.registration.name;
        let by_server = || all.iter().find(has_server);
        let by_both = || all.iter().find(|one| has_name(one) && has_server(one));
        by_both()
            .or_else(by_server)
            .or_else(|| all.iter().find(has_name))
    }

    /// The name of the Secret that is written: that of the one which is there, or a new one.
    pub(crate) fn secret_name(&self, evidence: Evidence<'_>) -> String {
        match self.own(evidence) {
            Some(own) => own.secret_name.clone(),
            None => secret_name(&evidence.registration.name),
        }
    }
}

pub(super) fn judge(evidence: Evidence<'_>, fleet: &Fleet) -> Link {
    let name = fleet.secret_name(evidence);
    let expected = format!("secret/{name}");
    if let Some(lacking) = lacking(evidence) {
        return Link::unknown(LINK, lacking.to_string()).expecting(expected);
    }
    let link = in_fleet(evidence, fleet, &name);
    if fleet.denied.is_empty() {
        return link.expecting(expected);
    }
    let refused = format!("secret/{name} would be refused");
    Link::wrong(LINK, refused)
        .expecting(expected)
        .because(fleet.denied.join("; "))
        .by_hand("change what the rules refuse: kubectl gitops explain RULE tells more")
}

fn in_fleet(evidence: Evidence<'_>, fleet: &Fleet, secret_name: &str) -> Link {
    let registered = match &fleet.registered {
        Lookup::Known(registered) => registered.as_slice(),
        Lookup::Absent => &[],
        Lookup::Unknown(reason) => {
            return Link::unknown(LINK, reason).mended_by([Mend::Secret]);
        }
    };
    let Some(own) = fleet.own(evidence) else {
        return in_the_way(registered, secret_name).unwrap_or_else(|| {
            Link::missing(LINK, "the fleet does not have the cluster").mended_by([Mend::Secret])
        });
    };
    let secret = SecretManifest::of(evidence, secret_name);
    let server = secret.server().trim_end_matches('/');
    let observed = format!("secret/{}", own.secret_name);
    let name = &evidence.registration.name;
    if own.name != *name {
        return Link::wrong(LINK, observed)
            .because(format!("the cluster is in the fleet as {:?}", own.name))
            .by_hand(format!(
                "call it {:?}, or take secret/{} away first",
                own.name, own.secret_name
            ));
    }
    if own.server != server {
        return Link::wrong(LINK, observed)
            .because(format!(
                "the name {name:?} is that of the cluster {}",
                own.server
            ))
            .by_hand(format!(
                "choose another name, or take secret/{} away first",
                own.secret_name
            ));
    }
    let is_other = |one: &&Registered| {
        one.secret_name != own.secret_name && (one.server == server || one.name == *name)
    };
    if let Some(other) = registered.iter().find(is_other) {
        return Link::wrong(LINK, observed)
            .because(format!(
                "secret/{} has the same name or server, and which of them Argo CD uses is not defined",
                other.secret_name
            ))
            .by_hand(format!("take secret/{} away", other.secret_name));
    }
    if let Login::LongLived(credential) = own.login {
        return Link::wrong(LINK, observed)
            .because(format!("it logs in with {credential}"))
            .mended_by([Mend::Kubernetes(format!(
                "kubectl gitops cluster migrate {name}"
            ))]);
    }
    match differences(evidence, own).as_slice() {
        [] => Link::ok(LINK, observed),
        differences => Link::wrong(LINK, observed)
            .because(differences.join("; "))
            .mended_by([Mend::Secret]),
    }
}

/// A Secret of the name that belongs to another cluster.
fn in_the_way(registered: &[Registered], secret_name: &str) -> Option<Link> {
    let other = registered
        .iter()
        .find(|one| one.secret_name == secret_name)?;
    Some(
        Link::wrong(LINK, format!("secret/{secret_name}"))
            .because(format!("it is that of the cluster {:?}", other.name))
            .by_hand("choose another name"),
    )
}

/// What of the Secret is not as it is asked for. What others added to it is theirs.
fn differences(evidence: Evidence<'_>, own: &Registered) -> Vec<String> {
    let registration = evidence.registration;
    let mut differences = Vec::new();
    for (what, asked, there) in [
        ("label", &registration.labels, &own.labels),
        ("annotation", &registration.annotations, &own.annotations),
    ] {
        for (key, value) in asked
            .iter()
            .filter(|(key, value)| there.get(*key) != Some(value))
        {
            differences.push(match there.get(key) {
                Some(other) => format!("the {what} {key} is {other:?}, and {value:?} is asked for"),
                None => format!("the {what} {key}={value} is missing"),
            });
        }
    }
    let mut compare = |what: &str, there: &str, asked: &str| {
        if there != asked {
            let asked = if asked.is_empty() { "none" } else { asked };
            let there = if there.is_empty() { "none" } else { there };
            differences.push(format!("{what}: {there}, and {asked} is asked for"));
        }
    };
    compare(
        "project",
        &own.project,
        registration.project.as_deref().unwrap_or_default(),
    );
    let sorted = |namespaces: &[String]| {
        let mut sorted = namespaces.to_vec();
        sorted.sort();
        sorted.join(",")
    };
    compare(
        "namespaces",
        &sorted(&own.namespaces),
        &sorted(&registration.namespaces),
    );
    compare(
        "clusterResources",
        &own.cluster_resources.to_string(),
        &registration.cluster_resources.to_string(),
    );
    if let Some(shard) = registration.shard {
        compare("shard", &own.shard, &shard.to_string());
    }
    differences.extend(login(evidence, own));
    differences
}

fn login(evidence: Evidence<'_>, own: &Registered) -> Option<String> {
    let registration = evidence.registration;
    let asked = if registration.capability {
        Login::Nothing
    } else {
        Login::Aws {
            cluster_name: registration.eks_cluster.clone(),
            role_arn: registration
                .cluster_role
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            profile: String::new(),
        }
    };
    if own.login == asked {
        let authority = evidence
            .cluster()
            .and_then(|cluster| cluster.certificate_authority.as_ref());
        let authority = authority
            .and_then(|authority| authority.data.as_deref())
            .unwrap_or_default();
        let is_other = !registration.capability && own.certificate_authority != authority;
        return is_other.then(|| {
            "config.tlsClientConfig.caData is not the cluster's certificate authority".to_owned()
        });
    }
    Some(match &own.login {
        Login::Nothing => "config has no awsAuthConfig".to_owned(),
        Login::Aws {
            cluster_name,
            role_arn,
            profile,
        } => {
            let parts = [
                ("clusterName", cluster_name),
                ("roleARN", role_arn),
                ("profile", profile),
            ];
            let parts: Vec<String> = parts
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(key, value)| format!("{key} {value}"))
                .collect();
            format!("config.awsAuthConfig has {}", parts.join(", "))
        }
        Login::LongLived(credential) => format!("it logs in with {credential}"),
        Login::Exec => "it logs in with execProviderConfig".to_owned(),
        Login::Unreadable(reason) => reason.clone(),
        Login::Insecure => {
            "config.tlsClientConfig.insecure: the server's certificate is not verified".to_owned()
        }
        Login::Irregular => {
            "config has names that Argo CD does not know, or that are not spelt as it spells them"
                .to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde_json::{Value, json};

    use super::*;
    use crate::onboarding::link::State;
    use crate::onboarding::testing::{Case, ENDPOINT, commands};

    /// The Secret that is asked for, as it is in the cluster.
    fn own() -> Value {
        let secret = Case::with(
            |_| {},
            |evidence| SecretManifest::of(evidence, "cluster-prod-eu"),
        );
        let mut secret = serde_json::to_value(secret).unwrap();
        let data = secret["stringData"].take();
        for (key, value) in data.as_object().unwrap() {
            secret["data"][key] = BASE64_STANDARD.encode(value.as_str().unwrap()).into();
        }
        secret
    }

    fn with_data(key: &str, value: &str) -> Value {
        let mut secret = own();
        secret["data"][key] = BASE64_STANDARD.encode(value).into();
        secret
    }

    fn judged(secrets: &[Value], change: impl FnOnce(&mut Case)) -> Link {
        let registered = secrets
            .iter()
            .map(|secret| Registered::read(&secret.to_string()).unwrap());
        let fleet = Fleet {
            registered: Lookup::Known(registered.collect()),
            denied: Vec::new(),
        };
        Case::with(change, |evidence| judge(evidence, &fleet))
    }

    #[test]
    fn the_secret_that_is_asked_for_is_ok() {
        let link = judged(&[own()], |_| {});
        assert_eq!(link.state, State::Ok, "{}", link.detail);
        // Argo CD writes it anew, others add to it.
        let config = Case::with(
            |_| {},
            |evidence| SecretManifest::of(evidence, "").string_data["config"].clone(),
        );
        let config: Value = serde_json::from_str(&config).unwrap();
        let config = json!({"tlsClientConfig": config["tlsClientConfig"], "awsAuthConfig": config["awsAuthConfig"]});
        let mut secret = with_data("config", &config.to_string());
        secret["metadata"]["labels"]["argocd.argoproj.io/kubernetes-version"] = "v1.35.2".into();
        secret["data"]["server"] = BASE64_STANDARD.encode(format!("{ENDPOINT}/")).into();
        let link = judged(&[secret], |_| {});
        assert_eq!(link.state, State::Ok, "{}", link.detail);
    }

    #[test]
    fn none_is_written() {
        let link = judged(&[], |_| {});
        assert_eq!(
            (link.state, commands(&link)),
            (State::Missing, vec!["the Secret".to_owned()])
        );
        assert_eq!(link.expected, "secret/cluster-prod-eu");
    }

    #[test]
    fn name_and_server_are_of_one_cluster() {
        for (key, value, told) in [
            ("name", "other", "as \"other\""),
            (
                "server",
                "https://other.example.com",
                "is that of the cluster https://other.example.com",
            ),
        ] {
            let link = judged(&[with_data(key, value)], |_| {});
            assert_eq!(link.state, State::Wrong);
            assert!(link.detail.contains(told), "{}", link.detail);
            assert!(!link.mends.contains(&Mend::Secret));
        }
        let mut second = own();
        second["metadata"]["name"] = "second".into();
        let link = judged(&[own(), second], |_| {});
        assert_eq!(link.state, State::Wrong);
        assert!(link.detail.contains("secret/second"));
        let mut other = with_data("name", "other");
        other["data"]["server"] = BASE64_STANDARD.encode("https://other.example.com").into();
        let link = judged(&[other], |_| {});
        assert!(
            link.detail.contains("is that of the cluster \"other\""),
            "{}",
            link.detail
        );
    }

    #[test]
    fn a_token_is_migrated_and_not_told() {
        let link = judged(
            &[with_data("config", r#"{"bearerToken":"hunter2"}"#)],
            |_| {},
        );
        assert_eq!(link.state, State::Wrong);
        assert_eq!(commands(&link), ["kubectl gitops cluster migrate prod-eu"]);
        assert!(!format!("{link:?}").contains("hunter2"));
    }

    #[test]
    fn what_differs_is_told_and_written() {
        for (key, value, told) in [
            ("project", "shop", "project: shop"),
            ("namespaces", "a, b", "namespaces: a,b"),
            ("clusterResources", "true", "clusterResources: true"),
            ("config", "{}", "no awsAuthConfig"),
            (
                "config",
                r#"{"awsAuthConfig":{"clusterName":"x"}}"#,
                "clusterName x",
            ),
            (
                "config",
                r#"{"tlsClientConfig":{"insecure":true}}"#,
                "not verified",
            ),
            (
                "config",
                r#"{"awsAuthConfig":{"ClusterName":"prod-eu"}}"#,
                "spelt",
            ),
            (
                "config",
                r#"{"execProviderConfig":{"command":"x"}}"#,
                "execProviderConfig",
            ),
            ("config", "{", "config"),
        ] {
            let link = judged(&[with_data(key, value)], |_| {});
            assert_eq!(link.state, State::Wrong, "{key} {value}");
            assert!(link.detail.contains(told), "{told}: {}", link.detail);
            assert_eq!(link.mends, [Mend::Secret]);
        }
        let link = judged(&[own()], |case| {
            case.registration
                .labels
                .insert("environment".to_owned(), "prod".to_owned());
            case.registration.shard = Some(1);
        });
        assert!(
            link.detail.contains("environment=prod is missing"),
            "{}",
            link.detail
        );
        assert!(link.detail.contains("shard"), "{}", link.detail);
        let link = judged(&[own()], |case| {
            case.cluster().certificate_authority.as_mut().unwrap().data =
                Some("b3RoZXI=".to_owned());
        });
        assert!(link.detail.contains("caData"), "{}", link.detail);
    }

    #[test]
    fn what_the_rules_refuse_is_wrong() {
        let fleet = Fleet {
            registered: Lookup::Known(Vec::new()),
            denied: vec!["engine-isolation: belongs to prod".to_owned()],
        };
        let link = Case::with(|_| {}, |evidence| judge(evidence, &fleet));
        assert_eq!(link.state, State::Wrong);
        assert!(link.detail.contains("belongs to prod"));
    }

    #[test]
    fn without_a_fleet_it_is_not_known() {
        let link = Case::with(|_| {}, |evidence| judge(evidence, &Fleet::default()));
        assert_eq!(link.state, State::Unknown);
        assert_eq!(link.mends, [Mend::Secret]);
        let link = judged(&[], |case| case.registration.cluster_role = None);
        assert_eq!(link.state, State::Unknown);
        assert!(link.detail.contains("--role-arn"));
    }
}
