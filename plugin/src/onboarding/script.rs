//! What mends a chain, as commands.

use std::fmt::Write as _;
use std::path::Path;

use super::change::Side;
use super::link::{Link, LinkName, Mend, State};
use super::registration::Registration;
use super::secret::SecretManifest;
use crate::text::shell_word;

/// Turns what mends links into commands.
#[derive(Clone, Copy)]
pub(crate) struct Script<'s> {
    pub(crate) registration: &'s Registration,
    pub(crate) secret: &'s SecretManifest,
}

/// How something is mended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// By a command of AWS.
    Aws,
    /// By a command of kubectl.
    Kubernetes,
    /// By what was written for Terraform or OpenTofu.
    Terraform,
    /// By people.
    Manual,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Aws => "aws",
            Kind::Kubernetes => "kubernetes",
            Kind::Terraform => "terraform",
            Kind::Manual => "manual",
        }
    }
}

impl Script<'_> {
    /// The command of a mend, or what is to be done.
    pub(crate) fn command(self, mend: &Mend) -> (Kind, String) {
        match mend {
            Mend::Aws(change) => {
                let login = match change.side {
                    Side::Cluster => &self.registration.login,
                    Side::Engine => &self.registration.engine.login,
                };
                (Kind::Aws, change.command(login))
            }
            Mend::Secret => (Kind::Kubernetes, self.apply()),
            Mend::Kubernetes(command) => (Kind::Kubernetes, command.clone()),
            Mend::Manual(how) => (Kind::Manual, how.clone()),
        }
    }

    /// The command that mends a link by files that were written to a folder; None where it takes
    /// more than they say. They say what is to be there, and not what is to go.
    pub(crate) fn terraform(link: &Link, folder: &Path) -> Option<(Kind, String)> {
        let is_written = |mend: &Mend| matches!(mend, Mend::Aws(change) if !change.takes_away());
        if link.state == State::Ok || link.mends.is_empty() || !link.mends.iter().all(is_written) {
            return None;
        }
        let folder = shell_word(&folder.to_string_lossy());
        Some((Kind::Terraform, format!("tofu -chdir={folder} apply")))
    }

    fn apply(self) -> String {
        format!(
            "kubectl apply --server-side --force-conflicts --field-manager=kubectl-gitops -f - <<'EOF'\n{}EOF",
            self.secret.yaml()
        )
    }

    /// All commands, in an order in which nothing that is half done grants anything.
    pub(crate) fn all(self, links: &[Link]) -> String {
        let mut script = "#!/bin/sh\nset -eu\n".to_owned();
        let in_order = LinkName::BY_MENDING.iter();
        for link in in_order.filter_map(|name| links.iter().find(|link| link.name == *name)) {
            if link.state == State::Ok || link.mends.is_empty() {
                continue;
            }
            let _ = write!(
                script,
                "\n# {}: {}",
                link.name.as_str(),
                in_comment(&link.observed)
            );
            if link.state == State::Unknown {
                script.push_str(", so it is taken to be missing");
            }
            script.push('\n');
            for mend in &link.mends {
                match self.command(mend) {
                    (Kind::Manual, how) => {
                        let _ = writeln!(script, "# by hand: {}", in_comment(&how));
                    }
                    (_, command) => {
                        script.push_str(&command);
                        script.push('\n');
                    }
                }
            }
        }
        script
    }
}

/// A text that does not end its comment.
fn in_comment(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onboarding::facts::{AwsFacts, Lookup};
    use crate::onboarding::links::{self, Fleet};
    use crate::onboarding::testing::{Case, NOW};

    fn script(change: impl FnOnce(&mut Case)) -> String {
        let fleet = Fleet {
            registered: Lookup::Known(Vec::new()),
            denied: Vec::new(),
        };
        Case::with(change, |evidence| {
            let links = links::all(evidence, &fleet, NOW.parse().unwrap());
            let secret = SecretManifest::of(evidence, "cluster-prod-eu");
            let registration = evidence.registration;
            Script {
                registration,
                secret: &secret,
            }
            .all(&links)
        })
    }

    /// What grants something comes when all before it is as it should be.
    #[test]
    fn the_secret_comes_last_and_the_access_policy_before_it() {
        let script = script(|case| {
            let cluster = case.aws.cluster.clone();
            let engine = case.aws.engine_cluster.clone();
            case.aws = AwsFacts {
                cluster,
                engine_cluster: engine,
                access_entry: Lookup::Absent,
                access_policies: Lookup::Absent,
                cluster_role: Lookup::Absent,
                engine_role: Lookup::Absent,
                pod_identity_agent: Lookup::Absent,
                pod_identity_associations: Lookup::Known(Vec::new()),
                ..AwsFacts::default()
            };
        });
        let places: Vec<usize> = [
            "aws iam create-role --role-name argocd ",
            "aws iam create-role --role-name argocd-deployer",
            "aws iam put-role-policy",
            "aws eks create-addon",
            "aws eks create-pod-identity-association",
            "aws eks create-access-entry",
            "aws eks associate-access-policy",
            "kubectl apply --server-side",
        ]
        .iter()
        .map(|command| {
            script
                .find(command)
                .unwrap_or_else(|| panic!("{command}: {script}"))
        })
        .collect();
        assert!(places.is_sorted(), "{script}");
    }

    #[test]
    fn where_all_is_well_only_the_secret_is_written() {
        let script = script(|_| {});
        assert!(!script.contains("\naws "), "{script}");
        assert!(script.contains("\nkubectl apply"));
    }
}
