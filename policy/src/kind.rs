//! The kinds of objects that verdicts are about, or rest on.

use argocd::names::{GROUP, VERSION};

/// What an object is to us.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Application.
    Application,
    /// ApplicationSet.
    ApplicationSet,
    /// AppProject.
    AppProject,
    /// A Secret that Argo CD reads as a cluster.
    ClusterSecret,
    /// A Secret that Argo CD reads as a repository.
    RepositorySecret,
    /// The ConfigMap `argocd-cm`.
    Settings,
    /// The ConfigMap `argocd-cmd-params-cm`.
    Parameters,
    /// GitOpsPolicy.
    Policy,
}

/// The API group of our policy.
const POLICY_GROUP: &str = "kubectl-gitops.io";

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 8] = [
        Kind::Application,
        Kind::ApplicationSet,
        Kind::AppProject,
        Kind::ClusterSecret,
        Kind::RepositorySecret,
        Kind::Settings,
        Kind::Parameters,
        Kind::Policy,
    ];

    /// The kinds that rules judge.
    pub const JUDGED: [Kind; 4] = [
        Kind::Application,
        Kind::ApplicationSet,
        Kind::AppProject,
        Kind::ClusterSecret,
    ];

    /// The kind that rules judge, by group and kind. Whether a Secret is a cluster's is said by its
    /// label.
    pub fn judged(group: &str, kind: &str) -> Option<Self> {
        let mut judged = Kind::JUDGED.into_iter();
        judged.find(|judged| (judged.group(), judged.as_str()) == (group, kind))
    }

    /// The kind as Kubernetes names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Application => "Application",
            Kind::ApplicationSet => "ApplicationSet",
            Kind::AppProject => "AppProject",
            Kind::ClusterSecret | Kind::RepositorySecret => "Secret",
            Kind::Settings | Kind::Parameters => "ConfigMap",
            Kind::Policy => "GitOpsPolicy",
        }
    }

    /// The name of the resource.
    pub const fn plural(self) -> &'static str {
        match self {
            Kind::Application => "applications",
            Kind::ApplicationSet => "applicationsets",
            Kind::AppProject => "appprojects",
            Kind::ClusterSecret | Kind::RepositorySecret => "secrets",
            Kind::Settings | Kind::Parameters => "configmaps",
            Kind::Policy => "gitopspolicies",
        }
    }

    /// The API group; empty for the core group.
    pub const fn group(self) -> &'static str {
        match self {
            Kind::Application | Kind::ApplicationSet | Kind::AppProject => GROUP,
            Kind::Policy => POLICY_GROUP,
            Kind::ClusterSecret | Kind::RepositorySecret | Kind::Settings | Kind::Parameters => "",
        }
    }

    /// The version of the API group.
    pub const fn version(self) -> &'static str {
        match self {
            Kind::Application | Kind::ApplicationSet | Kind::AppProject | Kind::Policy => VERSION,
            Kind::ClusterSecret | Kind::RepositorySecret | Kind::Settings | Kind::Parameters => {
                "v1"
            }
        }
    }

    /// Group and version, as objects write them.
    pub fn api_version(self) -> String {
        match self.group() {
            "" => self.version().to_owned(),
            group => format!("{group}/{}", self.version()),
        }
    }

    /// Whether rules judge it, rather than that it only says something about others.
    pub fn is_judged(self) -> bool {
        Kind::JUDGED.contains(&self)
    }

    /// Whether Applications come and go with objects of the kind.
    pub fn fans_out(self) -> bool {
        matches!(self, Kind::ApplicationSet | Kind::ClusterSecret)
    }

    /// Whether it is something to Argo CD only in the namespace that this runs in.
    pub fn is_of_argo_cds_namespace(self) -> bool {
        matches!(
            self,
            Kind::ClusterSecret | Kind::RepositorySecret | Kind::Settings | Kind::Parameters
        )
    }

    /// Whether what it holds must not be told.
    pub fn is_secret(self) -> bool {
        matches!(self, Kind::ClusterSecret | Kind::RepositorySecret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_judged_is_found_by_group_and_kind() {
        for kind in Kind::JUDGED {
            assert_eq!(Kind::judged(kind.group(), kind.as_str()), Some(kind));
        }
        for (group, kind) in [
            ("", "Application"),
            (GROUP, "Secret"),
            ("", "ConfigMap"),
            (POLICY_GROUP, "GitOpsPolicy"),
            ("", ""),
        ] {
            assert_eq!(Kind::judged(group, kind), None, "{group} {kind}");
        }
    }

    #[test]
    fn an_api_version_is_written_as_in_a_manifest() {
        assert_eq!(Kind::Application.api_version(), "argoproj.io/v1alpha1");
        assert_eq!(Kind::Policy.api_version(), "kubectl-gitops.io/v1alpha1");
        assert_eq!(Kind::Settings.api_version(), "v1");
    }
}
