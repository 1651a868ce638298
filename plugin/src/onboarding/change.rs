//! Changes of AWS, and the commands that make them.

use std::fmt::Write as _;

use super::facts::AccessScope;

/// Whose account something is in.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Side {
    /// Of the cluster that is onboarded.
    Cluster,
    /// Of the cluster that Argo CD runs on.
    Engine,
}

/// A change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AwsChange {
    pub(crate) side: Side,
    pub(crate) change: Change,
}

/// What is to be so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// A cluster has access entries beside its `aws-auth` ConfigMap.
    AllowAccessEntries {
        cluster: String,
    },
    CreateAccessEntry {
        cluster: String,
        principal: String,
        groups: Vec<String>,
    },
    /// An access entry has exactly these groups.
    UpdateAccessEntry {
        cluster: String,
        principal: String,
        groups: Vec<String>,
    },
    DeleteAccessEntry {
        cluster: String,
        principal: String,
    },
    AssociateAccessPolicy {
        cluster: String,
        principal: String,
        policy: String,
        scope: AccessScope,
    },
    DisassociateAccessPolicy {
        cluster: String,
        principal: String,
        policy: String,
    },
    CreateRole {
        role: String,
        path: String,
        trust_policy: String,
    },
    DeleteRole {
        role: String,
    },
    UpdateTrustPolicy {
        role: String,
        trust_policy: String,
    },
    PutRolePolicy {
        role: String,
        name: String,
        document: String,
    },
    DeleteRolePolicy {
        role: String,
        name: String,
    },
    CreateAddon {
        cluster: String,
        name: String,
    },
    DeleteAddon {
        cluster: String,
        name: String,
    },
    AssociatePodIdentity {
        cluster: String,
        namespace: String,
        service_account: String,
        role: String,
    },
    DissociatePodIdentity {
        cluster: String,
        namespace: String,
        service_account: String,
    },
    /// The association that there is has another role, and no target role.
    UpdatePodIdentity {
        cluster: String,
        namespace: String,
        service_account: String,
        association: String,
        role: String,
    },
}

/// With which region and profile commands are run for a side.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
}

impl Login {
    fn flags(&self, has_region: bool) -> String {
        let mut flags = String::new();
        let region = self.region.iter().filter(|_| has_region);
        for (flag, value) in region
            .map(|region| ("--region", region))
            .chain(self.profile.iter().map(|profile| ("--profile", profile)))
        {
            let _ = write!(flags, " {flag} {}", quoted(value));
        }
        flags
    }
}

impl Change {
    pub(crate) fn in_cluster_account(self) -> AwsChange {
        AwsChange {
            side: Side::Cluster,
            change: self,
        }
    }

    pub(crate) fn in_engine_account(self) -> AwsChange {
        AwsChange {
            side: Side::Engine,
            change: self,
        }
    }

    /// What takes it back; None where nothing does, or where it needs what was there before.
    pub(crate) fn reverse(&self) -> Option<Change> {
        Some(match self.clone() {
            Change::CreateAccessEntry {
                cluster, principal, ..
            } => Change::DeleteAccessEntry { cluster, principal },
            Change::AssociateAccessPolicy {
                cluster,
                principal,
                policy,
                ..
            } => Change::DisassociateAccessPolicy {
                cluster,
                principal,
                policy,
            },
            Change::CreateRole { role, .. } => Change::DeleteRole { role },
            Change::PutRolePolicy { role, name, .. } => Change::DeleteRolePolicy { role, name },
            Change::CreateAddon { cluster, name } => Change::DeleteAddon { cluster, name },
            Change::AssociatePodIdentity {
                cluster,
                namespace,
                service_account,
                ..
            } => Change::DissociatePodIdentity {
                cluster,
                namespace,
                service_account,
            },
            Change::AllowAccessEntries { .. }
            | Change::UpdateAccessEntry { .. }
            | Change::DeleteAccessEntry { .. }
            | Change::DisassociateAccessPolicy { .. }
            | Change::DeleteRole { .. }
            | Change::UpdateTrustPolicy { .. }
            | Change::DeleteRolePolicy { .. }
            | Change::DeleteAddon { .. }
            | Change::DissociatePodIdentity { .. }
            | Change::UpdatePodIdentity { .. } => return None,
        })
    }

    /// The words of the command of AWS that does it.
    #[expect(clippy::too_many_lines, reason = "one command after the other")]
    fn words(&self) -> Vec<String> {
        let words = |command: &str, arguments: &[&str]| {
            let all = command.split(' ').chain(arguments.iter().copied());
            all.map(str::to_owned).collect::<Vec<_>>()
        };
        match self {
            Change::AllowAccessEntries { cluster } => words(
                "eks update-cluster-config",
                &[
                    "--name",
                    cluster,
                    "--access-config",
                    "authenticationMode=API_AND_CONFIG_MAP",
                ],
            ),
            Change::CreateAccessEntry {
                cluster,
                principal,
                groups,
            } => {
                let mut words = words(
                    "eks create-access-entry",
                    &[
                        "--cluster-name",
                        cluster,
                        "--principal-arn",
                        principal,
                        "--type",
                        "STANDARD",
                    ],
                );
                if !groups.is_empty() {
                    words.push("--kubernetes-groups".to_owned());
                    words.extend(groups.iter().cloned());
                }
                words
            }
            Change::UpdateAccessEntry {
                cluster,
                principal,
                groups,
            } => {
                let mut words = words(
                    "eks update-access-entry",
                    &[
                        "--cluster-name",
                        cluster,
                        "--principal-arn",
                        principal,
                        "--kubernetes-groups",
                    ],
                );
                words.extend(groups.iter().cloned());
                if groups.is_empty() {
                    words.push("[]".to_owned());
                }
                words
            }
            Change::DeleteAccessEntry { cluster, principal } => words(
                "eks delete-access-entry",
                &["--cluster-name", cluster, "--principal-arn", principal],
            ),
            Change::AssociateAccessPolicy {
                cluster,
                principal,
                policy,
                scope,
            } => words(
                "eks associate-access-policy",
                &[
                    "--cluster-name",
                    cluster,
                    "--principal-arn",
                    principal,
                    "--policy-arn",
                    policy,
                    "--access-scope",
                    &shorthand(scope),
                ],
            ),
            Change::DisassociateAccessPolicy {
                cluster,
                principal,
                policy,
            } => words(
                "eks disassociate-access-policy",
                &[
                    "--cluster-name",
                    cluster,
                    "--principal-arn",
                    principal,
                    "--policy-arn",
                    policy,
                ],
            ),
            Change::CreateRole {
                role,
                path,
                trust_policy,
            } => {
                let mut words = words("iam create-role", &["--role-name", role]);
                if path != "/" {
                    words.extend(["--path".to_owned(), path.clone()]);
                }
                words.extend([
                    "--assume-role-policy-document".to_owned(),
                    trust_policy.clone(),
                ]);
                words
            }
            Change::UpdateTrustPolicy { role, trust_policy } => words(
                "iam update-assume-role-policy",
                &["--role-name", role, "--policy-document", trust_policy],
            ),
            Change::PutRolePolicy {
                role,
                name,
                document,
            } => words(
                "iam put-role-policy",
                &[
                    "--role-name",
                    role,
                    "--policy-name",
                    name,
                    "--policy-document",
                    document,
                ],
            ),
            Change::DeleteRole { role } => words("iam delete-role", &["--role-name", role]),
            Change::DeleteRolePolicy { role, name } => words(
                "iam delete-role-policy",
                &["--role-name", role, "--policy-name", name],
            ),
            // By the id, which EKS gives it.
            Change::DissociatePodIdentity {
                cluster,
                namespace,
                service_account,
            } => words(
                "eks list-pod-identity-associations",
                &[
                    "--cluster-name",
                    cluster,
                    "--namespace",
                    namespace,
                    "--service-account",
                    service_account,
                ],
            ),
            Change::CreateAddon { cluster, name } => words(
                "eks create-addon",
                &["--cluster-name", cluster, "--addon-name", name],
            ),
            Change::DeleteAddon { cluster, name } => words(
                "eks delete-addon",
                &["--cluster-name", cluster, "--addon-name", name],
            ),
            Change::AssociatePodIdentity {
                cluster,
                namespace,
                service_account,
                role,
            } => words(
                "eks create-pod-identity-association",
                &[
                    "--cluster-name",
                    cluster,
                    "--namespace",
                    namespace,
                    "--service-account",
                    service_account,
                    "--role-arn",
                    role,
                ],
            ),
            Change::UpdatePodIdentity {
                cluster,
                association,
                role,
                ..
            } => words(
                "eks update-pod-identity-association",
                &[
                    "--cluster-name",
                    cluster,
                    "--association-id",
                    association,
                    "--role-arn",
                    role,
                    "--target-role-arn",
                    "",
                ],
            ),
        }
    }
}

impl AwsChange {
    /// The command that does it, as a shell reads it.
    pub(crate) fn command(&self, login: &Login) -> String {
        if let Change::DissociatePodIdentity { cluster, .. } = &self.change {
            return self.dissociate(cluster, login);
        }
        self.plain(login)
    }

    /// An association is deleted by the id that EKS gave it.
    fn dissociate(&self, cluster: &str, login: &Login) -> String {
        let delete = "aws eks delete-pod-identity-association";
        format!(
            "{delete} --cluster-name {} --association-id \"$({} --query 'associations[0].associationId' --output text)\"{}",
            quoted(cluster),
            self.plain(login),
            login.flags(true)
        )
    }

    fn plain(&self, login: &Login) -> String {
        let mut command = "aws".to_owned();
        for word in self.change.words() {
            let _ = write!(command, " {}", quoted(&word));
        }
        // IAM is the same in all regions.
        command.push_str(&login.flags(!self.is_of_iam()));
        command
    }

    fn is_of_iam(&self) -> bool {
        matches!(
            self.change,
            Change::CreateRole { .. }
                | Change::DeleteRole { .. }
                | Change::UpdateTrustPolicy { .. }
                | Change::PutRolePolicy { .. }
                | Change::DeleteRolePolicy { .. }
        )
    }
}

/// A scope as the CLI takes it.
pub(super) fn shorthand(scope: &AccessScope) -> String {
    match scope.namespaces.as_slice() {
        [] => format!("type={}", scope.kind),
        namespaces => format!("type={},namespaces={}", scope.kind, namespaces.join(",")),
    }
}

/// A word as a shell reads it, in quotes where it needs them.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_what_a_shell_reads() {
        let login = Login {
            region: Some("eu-central-1".to_owned()),
            profile: Some("it's mine".to_owned()),
        };
        let scope = AccessScope {
            kind: "namespace".to_owned(),
            namespaces: vec!["a".to_owned(), "b*".to_owned()],
        };
        let change = Change::AssociateAccessPolicy {
            cluster: "prod-eu".to_owned(),
            principal: "arn:aws:iam::111122223333:role/argocd".to_owned(),
            policy: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy".to_owned(),
            scope,
        };
        assert_eq!(
            change.in_cluster_account().command(&login),
            "aws eks associate-access-policy --cluster-name prod-eu --principal-arn \
             arn:aws:iam::111122223333:role/argocd --policy-arn \
             arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy --access-scope \
             'type=namespace,namespaces=a,b*' --region eu-central-1 --profile 'it'\\''s mine'"
        );
    }

    #[test]
    fn iam_is_in_no_region() {
        let login = Login {
            region: Some("eu-central-1".to_owned()),
            profile: None,
        };
        let change = Change::UpdateTrustPolicy {
            role: "argocd".to_owned(),
            trust_policy: r#"{"Statement":[]}"#.to_owned(),
        };
        assert_eq!(
            change.in_engine_account().command(&login),
            "aws iam update-assume-role-policy --role-name argocd --policy-document '{\"Statement\":[]}'"
        );
    }
}
