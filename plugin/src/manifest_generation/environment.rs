//! The build environment: what `$ARGOCD_APP_NAME` and the like stand for.

/// The variables that a source may name, as Argo CD 3.6 sets them (`reposerver/repository`,
/// `newEnv`).
#[derive(Clone, Debug)]
pub(crate) struct BuildEnvironment {
    variables: [(&'static str, String); 9],
}

/// Of whom the variables tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EnvironmentFacts<'a> {
    /// The Application's name, with its namespace and an underscore before it where that is not the
    /// control plane's.
    pub(crate) instance_name: &'a str,
    /// The namespace of the destination.
    pub(crate) namespace: &'a str,
    pub(crate) project: &'a str,
    /// The commit that is rendered.
    pub(crate) revision: &'a str,
    pub(crate) repository: &'a str,
    pub(crate) path: &'a str,
    pub(crate) target_revision: &'a str,
}

impl BuildEnvironment {
    pub(crate) fn new(facts: EnvironmentFacts<'_>) -> Self {
        let short = |length: usize| facts.revision.get(..length).unwrap_or(facts.revision);
        let variables = [
            ("ARGOCD_APP_NAME", facts.instance_name),
            ("ARGOCD_APP_NAMESPACE", facts.namespace),
            ("ARGOCD_APP_PROJECT_NAME", facts.project),
            ("ARGOCD_APP_REVISION", facts.revision),
            ("ARGOCD_APP_REVISION_SHORT", short(7)),
            ("ARGOCD_APP_REVISION_SHORT_8", short(8)),
            ("ARGOCD_APP_SOURCE_REPO_URL", facts.repository),
            ("ARGOCD_APP_SOURCE_PATH", facts.path),
            ("ARGOCD_APP_SOURCE_TARGET_REVISION", facts.target_revision),
        ];
        BuildEnvironment {
            variables: variables.map(|(name, value)| (name, value.to_owned())),
        }
    }

    /// Puts values in the place of names; a name that is not one of these is nothing, and `$$` is a
    /// `$` (`Env.Envsubst`).
    pub(crate) fn substitute(&self, text: &str) -> String {
        golang::os::expand(text, |name| match name {
            "$" => "$".to_owned(),
            name => self.value(name).unwrap_or_default().to_owned(),
        })
    }

    fn value(&self, name: &str) -> Option<&str> {
        let variable = self.variables.iter().find(|(own, _)| *own == name)?;
        Some(&variable.1)
    }

    /// All of them, as a program gets them.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_and_unknown_ones_are_empty() {
        let environment = BuildEnvironment::new(EnvironmentFacts {
            instance_name: "orders",
            namespace: "shop",
            project: "shop",
            revision: "0123456789abcdef",
            repository: "https://git.example.com/shop.git",
            path: "charts/orders",
            target_revision: "main",
        });

        let text = "$ARGOCD_APP_NAME/${ARGOCD_APP_REVISION_SHORT}/$ARGOCD_APP_REVISION_SHORT_8";
        assert_eq!(environment.substitute(text), "orders/0123456/01234567");
        assert_eq!(environment.substitute("a$HOME-$$b"), "a-$b");
    }
}
