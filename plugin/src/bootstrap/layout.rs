//! The files of a repository, by the answers.

use std::collections::BTreeSet;

use super::Answers;
use super::answers::{Environment, EnvironmentName, PLATFORM, RepositoryLogin, Team};
use super::charts::{Addon, Purpose};
use super::template::{Value, entries, render};

/// A file of the repository.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct File {
    /// Below the top of the repository, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A template, by its path in the folder of templates.
macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("templates/", $path))
    };
}

/// The definition of `GitOpsPolicy`, as the webhook is installed with it.
const GITOPS_POLICY_DEFINITION: &str =
    include_str!("../../../manifests/crds/gitopspolicies.kubectl-gitops.io.yaml");

/// The Application that all others come from.
pub(super) const ROOT: &str = "root";

/// The only child of the root that does not sync by itself.
const SECRETS: &str = "secrets";

/// The release of Argo CD's chart, after which its objects are called: `argocd-server`.
const ARGO_CD_RELEASE: &str = "argocd";

/// All files, in the order in which somebody would read them.
pub(crate) fn layout(answers: &Answers) -> Vec<File> {
    let layout = Layout { answers };
    let mut files = vec![layout.file("README.md", template!("README.md"))];
    files.extend(layout.bootstrap());
    files.extend(layout.application_sets());
    files.extend(layout.charts());
    files.push(layout.file(
        "cluster-overrides/README.md",
        template!("cluster-overrides/README.md"),
    ));
    files.push(layout.clusters());
    files.extend(layout.team_projects());
    files.push(layout.file(
        "applications/README.md",
        template!("applications/README.md"),
    ));
    files.extend(layout.policy());
    files.extend(layout.secrets());
    files
}

struct Layout<'a> {
    answers: &'a Answers,
}

/// Values by their names in a template.
type Values<'v> = Vec<(&'v str, Value)>;

fn text(value: &(impl ToString + ?Sized)) -> Value {
    Value::Text(value.to_string())
}

impl Layout<'_> {
    /// A file of a template that needs no more than what all know.
    fn file(&self, path: &str, template: &str) -> File {
        self.file_with(path, template, Vec::new())
    }

    fn file_with(&self, path: &str, template: &str, values: Values<'_>) -> File {
        File {
            path: path.to_owned(),
            text: self.rendered(template, values),
        }
    }

    fn rendered(&self, template: &str, mut values: Values<'_>) -> String {
        let Answers {
            repository,
            revision,
            namespace,
            ..
        } = self.answers;
        values.push(("REPOSITORY", text(repository)));
        values.push(("REVISION", text(revision)));
        values.push(("NAMESPACE", text(namespace)));
        render(template, &values)
    }

    fn has_secrets(&self) -> bool {
        self.answers.has(Addon::ExternalSecrets)
    }

    /// The addons of the workload clusters.
    fn workload_addons(&self) -> impl Iterator<Item = Addon> {
        let addons = self.answers.addons.iter().copied();
        addons.filter(|addon| addon.published().purpose != Purpose::Engine)
    }

    /// The addons of the devops cluster.
    fn devops_addons(&self) -> impl Iterator<Item = Addon> {
        let addons = [Addon::ArgoCd, Addon::ExternalSecrets].into_iter();
        addons.filter(|addon| self.answers.has(*addon))
    }

    /// The namespace that an addon is deployed to.
    fn namespace_of(&self, addon: Addon) -> &str {
        let namespace = addon.published().namespace;
        namespace.unwrap_or(&self.answers.namespace)
    }

    fn bootstrap(&self) -> Vec<File> {
        let mut files = vec![self.file("bootstrap/root.yaml", template!("bootstrap/root.yaml"))];
        let children = self.children().into_iter();
        files.extend(
            children.map(|(name, template)| self.file(&format!("bootstrap/{name}.yaml"), template)),
        );
        let root = template!("bootstrap/projects/root.yaml");
        files.push(self.file("bootstrap/projects/root.yaml", root));
        files.push(self.devops_project());
        if self.workload_addons().next().is_some() {
            let environments = self.answers.driven();
            files.extend(environments.map(|environment| self.platform_project(environment)));
        }
        files
    }

    /// The Applications beside the root, by their names, with their templates. Each has a folder
    /// that is there: Argo CD cannot compare one whose folder is missing.
    fn children(&self) -> Vec<(&'static str, &'static str)> {
        let mut children = vec![
            ("policy", template!("bootstrap/policy.yaml")),
            ("clusters", template!("bootstrap/clusters.yaml")),
        ];
        if !self.answers.teams.is_empty() {
            children.push(("projects", template!("bootstrap/projects.yaml")));
        }
        if !self.answers.addons.is_empty() {
            children.push((
                "applicationsets",
                template!("bootstrap/applicationsets.yaml"),
            ));
        }
        children.push(("applications", template!("bootstrap/applications.yaml")));
        if self.has_secrets() {
            children.push((SECRETS, template!("bootstrap/secrets.yaml")));
        }
        children
    }

    fn devops_project(&self) -> File {
        let namespaces: BTreeSet<&str> = self
            .devops_addons()
            .map(|addon| self.namespace_of(addon))
            .filter(|namespace| *namespace != self.answers.namespace)
            .collect();
        let destination = |namespace: &str| {
            format!("- server: https://kubernetes.default.svc\n  namespace: {namespace}\n")
        };
        let destinations: String = namespaces.into_iter().map(destination).collect();
        self.file_with(
            "bootstrap/projects/devops.yaml",
            template!("bootstrap/projects/devops.yaml"),
            vec![("DESTINATIONS", Value::Lines(destinations))],
        )
    }

    fn platform_project(&self, environment: &Environment) -> File {
        let namespaces: BTreeSet<&str> = self
            .workload_addons()
            .map(|addon| self.namespace_of(addon))
            .collect();
        let project = format!("{PLATFORM}-{}", environment.name);
        let path = format!("bootstrap/projects/{project}.yaml");
        let mut values = self.of_project(&project, environment, namespaces);
        values.push((
            "NOTIFICATIONS",
            Value::Lines(self.notifications(environment)),
        ));
        self.file_with(&path, template!("bootstrap/projects/platform.yaml"), values)
    }

    fn team_projects(&self) -> Vec<File> {
        let teams = self.answers.teams.iter();
        let pairs = teams.flat_map(|team| {
            let environments = self.answers.driven();
            environments.map(move |environment| (team, environment))
        });
        pairs
            .map(|(team, environment)| self.team_project(team, environment))
            .collect()
    }

    fn team_project(&self, team: &Team, environment: &Environment) -> File {
        let project = team.project(&environment.name);
        let path = format!("projects/{project}.yaml");
        let repository = team.repository.as_ref();
        let repository = repository.unwrap_or(&self.answers.repository);
        let mut annotations = self.notifications(environment);
        if !annotations.is_empty() {
            annotations = format!("annotations:\n{}", indented(&annotations));
        }
        let mut values = self.of_project(&project, environment, [project.as_str()]);
        values.push(("TEAM", text(team)));
        values.push(("TEAM_REPOSITORY", text(repository)));
        let description = format!("Applications of {team} on {}", environment.name);
        values.push(("DESCRIPTION", text(&description)));
        values.push(("NOTIFICATIONS", Value::Lines(annotations)));
        self.file_with(&path, template!("projects/team.yaml"), values)
    }

    /// What every project of an environment says.
    fn of_project<'n>(
        &self,
        project: &str,
        environment: &Environment,
        namespaces: impl IntoIterator<Item = &'n str>,
    ) -> Values<'static> {
        let name = &environment.name;
        let destinations: String = namespaces
            .into_iter()
            .map(|namespace| destinations(name, namespace))
            .collect();
        vec![
            ("PROJECT", text(project)),
            ("ENVIRONMENT", text(name)),
            ("DESTINATIONS", Value::Lines(destinations)),
            ("SYNC_WINDOWS", Value::Lines(self.sync_windows(environment))),
        ]
    }

    /// Production alone is frozen at times.
    fn sync_windows(&self, environment: &Environment) -> String {
        if !environment.is_production {
            return String::new();
        }
        let time_zone = ("TIME_ZONE", text(&self.answers.time_zone));
        self.rendered(template!("projects/sync-windows.yaml"), vec![time_zone])
    }

    /// Who is told of production, by whom Argo CD's chart sets up.
    fn notifications(&self, environment: &Environment) -> String {
        if !environment.is_production || !self.answers.has(Addon::ArgoCd) {
            return String::new();
        }
        let channel = ("CHANNEL", text(&self.answers.channel));
        self.rendered(template!("projects/notifications.yaml"), vec![channel])
    }

    fn application_sets(&self) -> Vec<File> {
        let mut files = Vec::new();
        let of_devops: String = self
            .devops_addons()
            .map(|addon| self.release(addon))
            .collect();
        if !of_devops.is_empty() {
            files.push(self.file_with(
                "applicationsets/argo-cd.yaml",
                template!("applicationsets/argo-cd.yaml"),
                vec![("ELEMENTS", Value::Lines(of_devops))],
            ));
        }
        let sets = [
            (
                Purpose::Foundation,
                "foundation",
                "# What everything else on a workload cluster stands on.",
            ),
            (
                Purpose::Policy,
                "policy",
                "# What judges the workloads of a cluster. Argo CD's own objects are judged on the devops cluster: see policy/.",
            ),
            (
                Purpose::Observability,
                "observability",
                "# What measures a workload cluster, and tells.",
            ),
        ];
        for (purpose, name, comment) in sets {
            files.extend(self.application_set(purpose, name, comment));
        }
        files
    }

    /// None where there is no addon for it.
    fn application_set(&self, purpose: Purpose, name: &str, comment: &str) -> Option<File> {
        let elements: String = self
            .workload_addons()
            .filter(|addon| addon.published().purpose == purpose)
            .map(|addon| self.element(addon))
            .collect();
        if elements.is_empty() {
            return None;
        }
        let production = self.answers.environments.iter();
        let production: Vec<String> = production
            .filter(|environment| environment.is_production)
            .map(|environment| format!("\"{}\"", environment.name))
            .collect();
        let driven = self.answers.driven();
        Some(self.file_with(
            &format!("applicationsets/{name}.yaml"),
            template!("applicationsets/addons.yaml"),
            vec![
                ("COMMENT", Value::Lines(comment.to_owned())),
                ("NAME", text(name)),
                (
                    "ENVIRONMENTS",
                    Value::Lines(entries(driven.map(|environment| environment.name.as_str()))),
                ),
                ("ELEMENTS", Value::Lines(elements)),
                ("PRODUCTION", Value::Raw(production.join(" "))),
            ],
        ))
    }

    fn element(&self, addon: Addon) -> String {
        let target = ("TARGET", text(self.namespace_of(addon)));
        let template = template!("applicationsets/element.yaml");
        self.rendered(template, vec![("ADDON", text(&addon)), target])
    }

    fn release(&self, addon: Addon) -> String {
        let release = match addon {
            Addon::ArgoCd => ARGO_CD_RELEASE,
            other => other.published().name,
        };
        let values = vec![
            ("ADDON", text(&addon)),
            ("RELEASE", text(release)),
            ("TARGET", text(self.namespace_of(addon))),
        ];
        self.rendered(template!("applicationsets/release.yaml"), values)
    }

    fn charts(&self) -> Vec<File> {
        let addons = self.answers.addons.iter();
        addons.flat_map(|addon| self.chart(*addon)).collect()
    }

    fn chart(&self, addon: Addon) -> [File; 2] {
        let published = addon.published();
        let values = vec![
            ("CHART", text(published.name)),
            ("VERSION", text(self.answers.version_of(addon))),
            ("CHART_REPOSITORY", text(published.repository)),
        ];
        let folder = format!("charts/{}", published.name);
        let template = template!("charts/Chart.yaml");
        let chart = self.file_with(&format!("{folder}/Chart.yaml"), template, values);
        let path = format!("{folder}/values.yaml");
        let values = match addon {
            Addon::ArgoCd => self.file_with(
                &path,
                template!("charts/argo-cd.yaml"),
                vec![("IMAGE", Value::Lines(self.image()))],
            ),
            Addon::CertManager => self.file(&path, template!("charts/cert-manager.yaml")),
            Addon::ExternalSecrets => self.file(&path, template!("charts/external-secrets.yaml")),
            Addon::Kyverno => self.file(&path, template!("charts/kyverno.yaml")),
            Addon::KubePrometheusStack => {
                self.file(&path, template!("charts/kube-prometheus-stack.yaml"))
            }
            Addon::MetricsServer => self.file(&path, template!("charts/metrics-server.yaml")),
        };
        [chart, values]
    }

    fn image(&self) -> String {
        let Some(version) = &self.answers.argocd_version else {
            return String::new();
        };
        let template = template!("charts/argo-cd-image.yaml");
        self.rendered(template, vec![("TAG", text(&version.tag()))])
    }

    fn clusters(&self) -> File {
        let driven: Vec<&EnvironmentName> = self
            .answers
            .driven()
            .map(|environment| &environment.name)
            .collect();
        let named: Vec<String> = driven.iter().map(|name| format!("`{name}`")).collect();
        let example = driven
            .first()
            .map_or_else(String::new, |name| format!("{name}-eu"));
        self.file_with(
            "clusters/README.md",
            template!("clusters/README.md"),
            vec![
                ("ENVIRONMENTS", Value::Raw(named.join(", "))),
                ("EXAMPLE", Value::Raw(example)),
            ],
        )
    }

    fn policy(&self) -> [File; 2] {
        let definition = File {
            path: "policy/gitopspolicies.kubectl-gitops.io.yaml".to_owned(),
            text: GITOPS_POLICY_DEFINITION.to_owned(),
        };
        let engine = match &self.answers.engine {
            None => String::new(),
            Some(engine) => {
                let engine = vec![("ENGINE", text(engine))];
                self.rendered(template!("policy/engine.yaml"), engine)
            }
        };
        let environments = self.answers.environments.iter();
        let environments: String = environments
            .map(|environment| self.policy_environment(environment))
            .collect();
        let children = self.children().into_iter().map(|(name, _)| name);
        let app_of_apps = std::iter::once(ROOT).chain(children.filter(|name| *name != SECRETS));
        let values = vec![
            ("ENGINE", Value::Lines(engine)),
            ("ENVIRONMENTS", Value::Lines(environments)),
            ("APP_OF_APPS", Value::Lines(self.applications(app_of_apps))),
        ];
        let policy = self.file_with(
            "policy/gitops-policy.yaml",
            template!("policy/gitops-policy.yaml"),
            values,
        );
        [policy, definition]
    }

    fn policy_environment(&self, environment: &Environment) -> String {
        let values = vec![
            ("NAME", text(&environment.name)),
            (
                "PRODUCTION",
                Value::Raw(environment.is_production.to_string()),
            ),
            ("WORDS", Value::Lines(entries(self.words(environment)))),
        ];
        self.rendered(template!("policy/environment.yaml"), values)
    }

    /// The words by which people name an environment.
    fn words<'e>(&self, environment: &'e Environment) -> Vec<&'e str> {
        let own = environment.name.as_str();
        let other = match own {
            "prod" => "production",
            "production" => "prod",
            _ => return vec![own],
        };
        let mut environments = self.answers.environments.iter();
        if environments.any(|environment| environment.name.as_str() == other) {
            vec![own]
        } else {
            vec![own, other]
        }
    }

    /// Applications as the policy names them.
    fn applications<'n>(&self, names: impl Iterator<Item = &'n str>) -> String {
        let namespace = &self.answers.namespace;
        entries(names.map(|name| format!("{namespace}/{name}")))
    }

    fn secrets(&self) -> Vec<File> {
        if !self.has_secrets() {
            return Vec::new();
        }
        let region = ("REGION", text(&self.answers.region));
        let store = template!("secrets/store.yaml");
        let mut files = vec![self.file_with("secrets/store.yaml", store, vec![region])];
        if self.answers.has(Addon::ArgoCd) {
            let notifications = template!("secrets/notifications.yaml");
            files.push(self.file("secrets/notifications.yaml", notifications));
        }
        let credentials = match self.answers.repository.login() {
            RepositoryLogin::Password => template!("secrets/password.yaml"),
            RepositoryLogin::SshKey => template!("secrets/ssh-key.yaml"),
            RepositoryLogin::None => return files,
        };
        files.push(self.file_with(
            "secrets/repository.yaml",
            template!("secrets/repository.yaml"),
            vec![("CREDENTIALS", Value::Lines(credentials.to_owned()))],
        ));
        files
    }
}

/// Clusters are called by their environment, alone or with something behind a hyphen.
fn destinations(environment: &EnvironmentName, namespace: &str) -> String {
    format!(
        "- {{name: \"{environment}\", namespace: \"{namespace}\"}}\n\
         - {{name: \"{environment}-*\", namespace: \"{namespace}\"}}\n"
    )
}

fn indented(lines: &str) -> String {
    let lines = lines.lines().map(|line| format!("  {line}\n"));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    fn answers() -> Answers {
        let environments = ["staging", "prod"].map(|name| name.parse().unwrap());
        Answers {
            repository: "https://git.example.com/platform/fleet.git"
                .parse()
                .unwrap(),
            revision: "main".parse().unwrap(),
            namespace: "argocd".to_owned(),
            teams: vec![
                "orders".parse().unwrap(),
                "payments=git@git.example.com:payments/deploy.git"
                    .parse()
                    .unwrap(),
            ],
            environments: Environment::of_names(&environments, &[]).unwrap(),
            engine: None,
            addons: Addon::ALL.into_iter().collect(),
            versions: Vec::new(),
            argocd_version: None,
            region: "eu-central-1".parse().unwrap(),
            channel: "deployments".parse().unwrap(),
            time_zone: "UTC".parse().unwrap(),
        }
    }

    fn documents(file: &File) -> Vec<Json> {
        let documents = golang::yaml::documents(&file.text);
        documents.map(|document| document.unwrap().value).collect()
    }

    fn is_yaml(file: &File) -> bool {
        let extension = std::path::Path::new(&file.path).extension();
        extension.is_some_and(|extension| extension == "yaml")
    }

    fn is_manifest(file: &File) -> bool {
        is_yaml(file) && !file.path.starts_with("charts/")
    }

    fn file<'f>(files: &'f [File], path: &str) -> &'f File {
        files.iter().find(|file| file.path == path).unwrap()
    }

    /// Answers that leave out and add what can be.
    fn variants() -> Vec<Answers> {
        let mut variants = vec![answers()];
        for addons in [
            vec![],
            vec![Addon::ArgoCd],
            vec![Addon::ExternalSecrets],
            vec![Addon::Kyverno, Addon::MetricsServer],
        ] {
            let addons = addons.into_iter().collect();
            variants.push(Answers {
                addons,
                ..answers()
            });
        }
        variants.push(Answers {
            engine: Some("prod".parse().unwrap()),
            argocd_version: Some("3.6.1".parse().unwrap()),
            namespace: "gitops".to_owned(),
            teams: Vec::new(),
            repository: "file:///srv/fleet.git".parse().unwrap(),
            ..answers()
        });
        variants
    }

    #[test]
    fn no_placeholder_is_left_and_everything_can_be_read() {
        for answers in variants() {
            for file in layout(&answers) {
                let left = file
                    .text
                    .split("__")
                    .skip(1)
                    .find(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
                assert_eq!(left, None, "{}", file.path);
                if is_yaml(&file) {
                    assert!(!documents(&file).is_empty(), "{}", file.path);
                }
                for line in file.text.lines() {
                    assert_eq!(line.trim_end(), line, "{}", file.path);
                }
            }
        }
    }

    #[test]
    fn each_folder_that_an_application_names_has_a_file() {
        for answers in variants() {
            let files = layout(&answers);
            let manifests = files.iter().filter(|file| is_manifest(file));
            let applications = manifests
                .flat_map(documents)
                .filter(|object| object["kind"] == "Application");
            for application in applications {
                let path = application["spec"]["source"]["path"].as_str().unwrap();
                let folder = format!("{path}/");
                let is_there = files.iter().any(|file| file.path.starts_with(&folder));
                assert!(is_there, "{path}");
            }
        }
    }

    #[test]
    fn every_object_is_in_the_namespace_of_argo_cd() {
        for answers in variants() {
            let files = layout(&answers);
            for object in files
                .iter()
                .filter(|file| is_manifest(file))
                .flat_map(documents)
            {
                let is_global = matches!(
                    object["kind"].as_str(),
                    Some("CustomResourceDefinition" | "GitOpsPolicy")
                );
                let namespace = &object["metadata"]["namespace"];
                assert!(is_global || *namespace == *answers.namespace, "{object}");
            }
        }
    }

    /// It is easy to get wrong, and then ignored without a word.
    #[test]
    fn server_side_diff_is_set_by_the_key_that_argo_cd_reads() {
        let files = layout(&answers());
        let values = documents(file(&files, "charts/argo-cd/values.yaml"));
        let parameters = &values[0]["argo-cd"]["configs"]["params"];
        assert_eq!(
            *parameters,
            serde_json::json!({"controller.diff.server.side": "true"})
        );
    }

    #[test]
    fn production_alone_has_sync_windows_and_notifications() {
        let files = layout(&answers());
        for (project, is_production) in [
            ("projects/orders-prod.yaml", true),
            ("projects/orders-staging.yaml", false),
            ("bootstrap/projects/platform-prod.yaml", true),
            ("bootstrap/projects/platform-staging.yaml", false),
        ] {
            let project = &documents(file(&files, project))[0];
            let windows = &project["spec"]["syncWindows"];
            assert_eq!(windows.is_array(), is_production, "{project}");
            let annotations = &project["metadata"]["annotations"];
            let channel = &annotations["notifications.argoproj.io/subscribe.on-sync-failed.slack"];
            assert_eq!(*channel == "deployments", is_production, "{project}");
        }
    }

    #[test]
    fn an_engine_drives_one_environment_and_knows_the_others() {
        let engine = Some("prod".parse().unwrap());
        let files = layout(&Answers {
            engine,
            ..answers()
        });
        let of_staging = files.iter().find(|file| file.path.contains("staging"));
        assert_eq!(of_staging, None);
        let policy = &documents(file(&files, "policy/gitops-policy.yaml"))[0]["spec"];
        assert_eq!(policy["engine"]["environment"], "prod");
        assert_eq!(policy["environments"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn versions_are_pinned_where_argo_cd_reads_them() {
        let versions = vec!["kyverno=3.9.9".parse().unwrap()];
        let argocd_version = Some("v3.6.1".parse().unwrap());
        let files = layout(&Answers {
            versions,
            argocd_version,
            ..answers()
        });
        let version = |addon: &str| {
            let chart = documents(file(&files, &format!("charts/{addon}/Chart.yaml")));
            chart[0]["dependencies"][0]["version"].clone()
        };
        assert_eq!(version("kyverno"), "3.9.9");
        assert_eq!(
            version("cert-manager"),
            Addon::CertManager.published().version
        );
        let values = documents(file(&files, "charts/argo-cd/values.yaml"));
        assert_eq!(values[0]["argo-cd"]["global"]["image"]["tag"], "v3.6.1");
    }

    #[test]
    fn no_secret_is_laid_out() {
        for answers in variants() {
            for file in layout(&answers).iter().filter(|file| is_manifest(file)) {
                for object in documents(file) {
                    assert_ne!(object["kind"], "Secret", "{}", file.path);
                }
            }
        }
    }
}
