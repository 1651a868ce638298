//! In which namespaces an installation of Argo CD has its objects.
//!
//! There can be several on one cluster. Each takes what is in its own namespace for its own, and
//! Applications and ApplicationSets of those that its parameters in the ConfigMap
//! `argocd-cmd-params-cm` name.

use super::parameters::ParametersConfigMap;
use crate::project::{NamespacePattern, ProjectReading};

/// Where one Argo CD has its objects.
#[derive(Clone, Debug)]
pub struct Namespaces {
    own: String,
    applications: Patterns,
    application_sets: Patterns,
}

impl Namespaces {
    /// Those of the Argo CD in a namespace, with these parameters.
    pub fn new(own: String, parameters: &ParametersConfigMap) -> Self {
        Namespaces {
            own,
            applications: Patterns::new(parameters.application_namespaces()),
            application_sets: Patterns::new(parameters.application_set_namespaces()),
        }
    }

    /// Whether its Applications can be in a namespace (Argo CD 3.6, `security.IsNamespaceEnabled`
    /// and `ApplicationController.isAppNamespaceAllowed`).
    pub fn have_applications(&self, namespace: &str) -> bool {
        self.is_own(namespace) || self.applications.match_any(namespace)
    }

    /// Whether its ApplicationSets can be in a namespace (Argo CD 3.6, `utils.IsNamespaceAllowed`,
    /// to whose list the command `argocd-applicationset-controller` adds its own namespace).
    pub fn have_application_sets(&self, namespace: &str) -> bool {
        self.is_own(namespace) || self.application_sets.match_any(namespace)
    }

    /// Whether it runs in a namespace. AppProjects, cluster Secrets and repository Secrets are read
    /// there and nowhere else.
    pub fn is_own(&self, namespace: &str) -> bool {
        namespace == self.own
    }
}

/// A list of globs, and of regular expressions between slashes.
#[derive(Clone, Debug)]
struct Patterns(Vec<NamespacePattern>);

impl Patterns {
    /// Splits as the commands do that get the list by an environment variable (Argo CD 3.6,
    /// `env.StringsFromEnv`): at each comma, also within an expression. An empty list has no items.
    fn new(list: &str) -> Self {
        let items = list.split(',').map(str::trim);
        let items = items.filter(|_| !list.is_empty());
        // The older reading of `//` leaves nothing out that a newer Argo CD may act on.
        let pattern = |item| NamespacePattern::new(item, ProjectReading::UpTo35);
        Patterns(items.map(pattern).collect())
    }

    /// Argo CD 3.6, `glob.MatchStringInList` with `glob.REGEXP`.
    fn match_any(&self, namespace: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaces(applications: &str, application_sets: &str) -> Namespaces {
        let json = serde_json::json!({
            "metadata": {"name": "argocd-cmd-params-cm"},
            "data": {
                "application.namespaces": applications,
                "applicationsetcontroller.namespaces": application_sets,
                "server.insecure": "true",
            },
        });
        let parameters = serde_json::from_value(json).unwrap();
        Namespaces::new("argocd".to_owned(), &parameters)
    }

    #[test]
    fn applications_are_in_the_own_namespace_and_in_those_that_a_pattern_matches() {
        for (list, namespace, expected) in [
            ("", "argocd", true),
            ("", "team-a", false),
            ("", "", false),
            ("team-a", "team-a", true),
            ("team-a", "argocd", true),
            ("team-a", "team-ab", false),
            ("team-a", "Team-a", false),
            ("other, team-a ,third", "team-a", true),
            ("other,,third", "team-a", false),
            ("team-*", "team-a", true),
            ("team-*", "a-team-a", false),
            ("team-?", "team-ab", false),
            ("{a,b}", "a", true),
            ("{a,b}", "b", false),
            ("team-[ab]", "team-b", true),
            ("team-[!ab]", "team-b", false),
            ("*", "anything", true),
            ("/^team-[0-9]+$/", "team-12", true),
            ("/^team-[0-9]+$/", "team-x", false),
            ("/team/", "a-team-b", true),
            ("/^(?!kube-)/", "kube-system", false),
            ("/^(?!kube-)/", "shop", true),
            ("/^team-[0-9]{1,2}$/", "team-12", false),
            ("/(/", "team-a", false),
            ("/team-a", "team-a", false),
            ("argo*,/^x$/", "x", true),
        ] {
            let known = namespaces(list, "nowhere");
            let found = known.have_applications(namespace);
            assert_eq!(found, expected, "{list:?} {namespace:?}");
            let known = namespaces("nowhere", list);
            let found = known.have_application_sets(namespace);
            assert_eq!(found, expected, "sets: {list:?} {namespace:?}");
        }
    }

    #[test]
    fn each_list_is_for_one_kind() {
        let known = namespaces("apps", "sets");
        assert!(known.have_applications("apps") && !known.have_applications("sets"));
        assert!(known.have_application_sets("sets") && !known.have_application_sets("apps"));
        assert!(known.is_own("argocd") && !known.is_own("apps") && !known.is_own("sets"));
    }

    #[test]
    fn a_config_map_without_data_names_none() {
        for json in [
            "{}",
            r#"{"data":null}"#,
            r#"{"data":{"application.namespaces":null}}"#,
        ] {
            let parameters: ParametersConfigMap = serde_json::from_str(json).unwrap();
            assert_eq!(parameters, ParametersConfigMap::default(), "{json}");
        }
    }
}
