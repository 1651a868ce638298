//! A cluster that is onboarded all right, to break links of.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::assumption::ACTIONS;
use super::change::Login;
use super::facts::{
    AccessConfig, AccessEntry, Addon, AssociatedAccessPolicy, AwsFacts, CertificateAuthority,
    EksCluster, Lookup, NamedPolicy, PodIdentityAssociation, Role, VpcConfig,
};
use super::link::{Link, Mend};
use super::registration::{
    Access, CLUSTER_ADMIN, Engine, Evidence, Registration, SERVICE_ACCOUNTS,
};

pub(super) const CLUSTER_ROLE: &str = "arn:aws:iam::444455556666:role/argocd-deployer";
pub(super) const ENGINE_ROLE: &str = "arn:aws:iam::111122223333:role/argocd";
pub(super) const ENDPOINT: &str = "https://ABCDEF.gr7.eu-central-1.eks.amazonaws.com";
pub(super) const NOW: &str = "2027-06-01T00:00:00Z";
/// Base64 of a certificate in PEM that holds until 2046.
pub(super) const CERTIFICATE: &str = include_str!("testing/certificate-authority.txt");

/// What is asked for and what is there.
pub(super) struct Case {
    pub(super) registration: Registration,
    pub(super) aws: AwsFacts,
}

impl Case {
    /// What is found after a change of what is all right.
    pub(super) fn with<T>(
        change: impl FnOnce(&mut Case),
        judge: impl FnOnce(Evidence<'_>) -> T,
    ) -> T {
        let mut case = Case {
            registration: registration(),
            aws: facts(),
        };
        change(&mut case);
        judge(Evidence {
            registration: &case.registration,
            aws: &case.aws,
        })
    }

    pub(super) fn cluster(&mut self) -> &mut EksCluster {
        known(&mut self.aws.cluster)
    }

    pub(super) fn entry(&mut self) -> &mut AccessEntry {
        known(&mut self.aws.access_entry)
    }

    pub(super) fn role(&mut self) -> &mut Role {
        known(&mut self.aws.cluster_role)
    }

    pub(super) fn engine_role(&mut self) -> &mut Role {
        known(&mut self.aws.engine_role)
    }

    pub(super) fn associations(&mut self) -> &mut Vec<PodIdentityAssociation> {
        known(&mut self.aws.pod_identity_associations)
    }

    pub(super) fn authentication_mode(&mut self, mode: &str) {
        self.cluster().access_config = Some(AccessConfig {
            authentication_mode: Some(mode.to_owned()),
        });
    }

    pub(super) fn trust(&mut self, document: &Value) {
        self.role().trust_policy = document.to_string();
    }

    pub(super) fn ask_for(&mut self, policy: &str, namespaces: &[&str]) {
        self.registration.access = Access::Policy {
            policy: policy.to_owned(),
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        };
    }
}

fn known<T>(lookup: &mut Lookup<T>) -> &mut T {
    match lookup {
        Lookup::Known(thing) => thing,
        Lookup::Absent | Lookup::Unknown(_) => unreachable!(),
    }
}

/// What mends a link, as it is told.
pub(super) fn commands(link: &Link) -> Vec<String> {
    let registration = registration();
    let mends = link.mends.iter().map(|mend| match mend {
        Mend::Aws(change) => change.command(match change.side {
            super::change::Side::Cluster => &registration.login,
            super::change::Side::Engine => &registration.engine.login,
        }),
        Mend::Kubernetes(command) | Mend::Manual(command) => command.clone(),
        Mend::Secret => "the Secret".to_owned(),
    });
    mends.collect()
}

fn registration() -> Registration {
    Registration {
        name: "prod-eu".to_owned(),
        eks_cluster: "prod-eu".to_owned(),
        cluster_role: CLUSTER_ROLE.parse().ok(),
        engine: Engine {
            cluster: Some("devops".to_owned()),
            role: ENGINE_ROLE.parse().ok(),
            namespace: "argocd".to_owned(),
            login: Login {
                region: Some("eu-central-1".to_owned()),
                profile: Some("engine".to_owned()),
            },
        },
        login: Login {
            region: Some("eu-central-1".to_owned()),
            profile: None,
        },
        ..Registration::default()
    }
}

fn facts() -> AwsFacts {
    let policy = |name: &str, document: Value| NamedPolicy {
        name: name.to_owned(),
        document: document.to_string(),
    };
    let may_assume = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ACTIONS, "Resource": CLUSTER_ROLE},
    ]});
    let trust = |principal: Value| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": principal, "Action": ACTIONS},
        ]})
        .to_string()
    };
    let created = |time: &str| time.parse::<Timestamp>().ok();
    AwsFacts {
        cluster: Lookup::Known(EksCluster {
            name: "prod-eu".to_owned(),
            arn: "arn:aws:eks:eu-central-1:444455556666:cluster/prod-eu".to_owned(),
            endpoint: Some(ENDPOINT.to_owned()),
            status: Some("ACTIVE".to_owned()),
            version: Some("1.35".to_owned()),
            access_config: Some(AccessConfig {
                authentication_mode: Some("API_AND_CONFIG_MAP".to_owned()),
            }),
            resources_vpc_config: Some(VpcConfig {
                endpoint_public_access: Some(true),
                endpoint_private_access: Some(true),
                public_access_cidrs: Some(vec!["0.0.0.0/0".to_owned()]),
            }),
            certificate_authority: Some(CertificateAuthority {
                data: Some(CERTIFICATE.trim().to_owned()),
            }),
            compute_config: None,
        }),
        access_entry_principals: Lookup::Known(vec![CLUSTER_ROLE.to_owned()]),
        access_entry: Lookup::Known(AccessEntry {
            principal_arn: CLUSTER_ROLE.to_owned(),
            kind: Some("STANDARD".to_owned()),
            kubernetes_groups: Vec::new(),
            username: None,
            created_at: created("2026-06-02T00:00:00Z"),
        }),
        access_policies: Lookup::Known(vec![AssociatedAccessPolicy {
            policy_arn: format!("arn:aws:eks::aws:cluster-access-policy/{CLUSTER_ADMIN}"),
            access_scope: Access::scope(&[]),
        }]),
        cluster_role: Lookup::Known(Role {
            arn: CLUSTER_ROLE.to_owned(),
            create_date: created("2026-06-01T00:00:00Z"),
            trust_policy: trust(json!({"AWS": ENGINE_ROLE})),
            inline_policies: Lookup::Known(Vec::new()),
            attached_policies: Lookup::Known(Vec::new()),
            permissions_boundary: Lookup::Absent,
        }),
        engine_role: Lookup::Known(Role {
            arn: ENGINE_ROLE.to_owned(),
            create_date: created("2026-06-01T00:00:00Z"),
            trust_policy: trust(json!({"Service": "pods.eks.amazonaws.com"})),
            inline_policies: Lookup::Known(vec![policy("fleet", may_assume)]),
            attached_policies: Lookup::Known(Vec::new()),
            permissions_boundary: Lookup::Absent,
        }),
        engine_cluster: Lookup::Known(EksCluster {
            name: "devops".to_owned(),
            arn: "arn:aws:eks:eu-central-1:111122223333:cluster/devops".to_owned(),
            ..EksCluster::default()
        }),
        pod_identity_agent: Lookup::Known(Addon {
            name: "eks-pod-identity-agent".to_owned(),
            version: None,
            status: Some("ACTIVE".to_owned()),
        }),
        pod_identity_associations: Lookup::Known(
            SERVICE_ACCOUNTS
                .map(|account| PodIdentityAssociation {
                    association_id: format!("a-{account}"),
                    namespace: "argocd".to_owned(),
                    service_account: account.to_owned(),
                    role_arn: ENGINE_ROLE.to_owned(),
                    ..PodIdentityAssociation::default()
                })
                .into(),
        ),
        caller: Lookup::default(),
        engine_caller: Lookup::default(),
        reachability: Lookup::default(),
    }
}
