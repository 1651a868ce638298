//! A chart with another as its only dependency, pinned by a lock.

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::split::Values;
use super::{Places, yaml};
use crate::bootstrap::File;
use crate::releases::ChartMetadata;

/// The chart that is wrapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upstream<'u> {
    pub(crate) chart: &'u ChartMetadata,
    /// The URL of the repository that has it.
    pub(crate) repository: &'u str,
}

/// A repository of charts that Argo CD cannot fetch from. Nothing of the URL is quoted: it may have
/// a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum RepositoryError {
    #[error("--chart-repository: expected a URL that begins with https://, http:// or oci://")]
    Scheme,
    #[error(
        "--chart-repository: a name or password in the URL would be in the repository; give it to \
         Argo CD as a repository"
    )]
    Credentials,
}

/// Whether Argo CD may be told of a repository in a file.
///
/// # Errors
/// It is none, or has credentials in it.
pub(crate) fn check(repository: &str) -> Result<(), RepositoryError> {
    let schemes = ["https://", "http://", "oci://"].into_iter();
    let mut rest = schemes.filter_map(|scheme| repository.strip_prefix(scheme));
    let rest = rest.next().filter(|rest| !rest.is_empty());
    let rest = rest.ok_or(RepositoryError::Scheme)?;
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return Err(RepositoryError::Credentials);
    }
    Ok(())
}

/// A dependency as Helm writes it (Helm 4.3, `chart.Dependency`).
#[derive(Serialize)]
struct Dependency<'u> {
    name: &'u str,
    version: &'u str,
    repository: &'u str,
}

impl Upstream<'_> {
    fn dependency(&self) -> Dependency<'_> {
        Dependency {
            name: &self.chart.name,
            version: &self.chart.version,
            repository: self.repository,
        }
    }

    /// `Chart.yaml` and `Chart.lock`. The wrapper has the version of what it wraps.
    pub(crate) fn files(&self, places: Places<'_>) -> [File; 2] {
        let (chart, folder) = (self.chart, places.chart());
        let dependency = self.dependency();
        let mut definition = json!({
            "apiVersion": "v2",
            "name": places.name,
            "version": chart.version,
            "dependencies": [dependency],
        });
        if !chart.app_version.is_empty() {
            definition["appVersion"] = chart.app_version.as_str().into();
        }
        let lock = json!({"dependencies": [dependency], "digest": self.digest()});
        let comment = format!(
            "# The chart {} {}, which Argo CD fetches. Its values are below its name.\n",
            chart.name, chart.version
        );
        [
            File {
                path: format!("{folder}/Chart.yaml"),
                text: comment + &mapping(definition),
            },
            File {
                path: format!("{folder}/Chart.lock"),
                text: mapping(lock),
            },
        ]
    }

    /// By which Helm knows that a lock is that of a chart (Helm 4.3, `resolver.HashReq`).
    fn digest(&self) -> String {
        let both = [[self.dependency()], [self.dependency()]];
        let json = serde_json::to_string(&both).unwrap_or_default();
        // As Go writes JSON.
        let escaped = [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026")];
        let json = escaped
            .into_iter()
            .fold(json, |json, (from, to)| json.replace(from, to));
        let digest = Sha256::digest(json.as_bytes());
        let digits: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{}", digits.concat())
    }

    /// Values for the wrapper. Helm reads `tags` at the top alone, for all charts below it.
    pub(crate) fn nested(&self, values: &Values) -> Values {
        const TAGS: &str = "tags";
        let mut own = values.clone();
        let tags = own.remove(TAGS);
        let own = (!own.is_empty()).then_some((self.chart.name.clone(), Value::Object(own)));
        let tags = tags.map(|tags| (TAGS.to_owned(), tags));
        own.into_iter().chain(tags).collect()
    }
}

fn mapping(value: Value) -> String {
    match value {
        Value::Object(members) => yaml::mapping(&members),
        _ => yaml::mapping(&Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> ChartMetadata {
        ChartMetadata {
            name: "external-dns".to_owned(),
            version: "1.2.3".to_owned(),
            app_version: "v4".to_owned(),
        }
    }

    #[test]
    fn the_chart_is_pinned_by_its_version_and_a_lock() {
        let chart = chart();
        let upstream = Upstream {
            chart: &chart,
            repository: "https://charts.example.com/a?b&c",
        };
        let [definition, lock] = upstream.files(Places { name: "dns" });
        assert_eq!(definition.path, "charts/dns/Chart.yaml");
        assert_eq!(
            definition.text,
            "\
# The chart external-dns 1.2.3, which Argo CD fetches. Its values are below its name.
apiVersion: v2
appVersion: v4
dependencies:
  - name: external-dns
    repository: \"https://charts.example.com/a?b&c\"
    version: \"1.2.3\"
name: dns
version: \"1.2.3\"
"
        );
        assert_eq!(lock.path, "charts/dns/Chart.lock");
        let lock = golang::yaml::value(&lock.text).unwrap();
        // What sha256sum says of that JSON, as Go writes it.
        assert_eq!(lock["digest"], DIGEST);
        assert_eq!(lock["dependencies"][0]["version"], "1.2.3");
    }

    const DIGEST: &str = "sha256:64f62a9eb1300cf6518e77b8081c697455d01506ead935802f907e235d963ad0";

    #[test]
    fn values_are_below_the_name_of_the_chart_but_for_tags() {
        let chart = chart();
        let upstream = Upstream {
            chart: &chart,
            repository: "https://charts.example.com",
        };
        let nested = |values: Value| Value::Object(upstream.nested(values.as_object().unwrap()));
        assert_eq!(
            nested(json!({"port": 53, "global": {"a": 1}, "tags": {"metrics": true}})),
            json!({
                "external-dns": {"port": 53, "global": {"a": 1}},
                "tags": {"metrics": true},
            })
        );
        assert_eq!(nested(json!({})), json!({}));
        assert_eq!(nested(json!({"tags": {}})), json!({"tags": {}}));
    }

    #[test]
    fn a_repository_is_one_that_argo_cd_may_be_told_of() {
        for repository in [
            "https://charts.example.com",
            "http://127.0.0.1:8080/charts",
            "oci://registry.example.com/charts",
            "https://charts.example.com/a@b",
        ] {
            assert_eq!(check(repository), Ok(()), "{repository}");
        }
        for (repository, error) in [
            ("charts.example.com", RepositoryError::Scheme),
            ("file://../charts", RepositoryError::Scheme),
            ("https://", RepositoryError::Scheme),
            ("", RepositoryError::Scheme),
            (
                "https://a:hunter2@example.com",
                RepositoryError::Credentials,
            ),
        ] {
            assert_eq!(check(repository), Err(error));
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
