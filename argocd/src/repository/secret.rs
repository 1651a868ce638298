//! Repository Secrets: which repository belongs to a project. What they log in with is not read.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use golang::json::{Text, is_there, object};

/// A repository Secret that belongs to a project.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ScopedRepository {
    /// `data.url`.
    pub url: String,
    /// `data.project`.
    pub project: String,
}

/// A Secret with the label that makes it a repository.
///
/// It holds credentials beside what is read, so that the type prints nothing.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RepositorySecret<'a> {
    #[serde(borrow, deserialize_with = "object")]
    data: RepositoryData<'a>,
    /// Whether SOPS has left its own data in the manifest. No API server stores it.
    #[serde(rename = "sops", deserialize_with = "is_there")]
    has_sops: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RepositoryData<'a> {
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(borrow)]
    project: Text<'a>,
}

impl fmt::Debug for RepositorySecret<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RepositorySecret")
    }
}

/// A value of `data` is not base64 or not text. Which value it is, not what it holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("data.{0} is not base64 of a text")]
pub struct RepositorySecretError(&'static str);

impl RepositorySecret<'_> {
    /// The repository, if it belongs to a project (Argo CD 3.5, `secretToRepository`). Nothing is
    /// known of one whose values SOPS has encrypted.
    ///
    /// # Errors
    /// The project is not base64, or it is not empty and the URL is not.
    pub fn scoped(&self) -> Result<Option<ScopedRepository>, RepositorySecretError> {
        let RepositoryData { url, project } = &self.data;
        if self.has_sops && (is_encrypted(url) || is_encrypted(project)) {
            return Ok(None);
        }
        let project = decode("project", &self.data.project)?;
        if project.is_empty() {
            return Ok(None);
        }
        let url = decode("url", &self.data.url)?;
        Ok(Some(ScopedRepository { url, project }))
    }
}

/// Whether a value is what SOPS leaves in its place, as it stands or in base64.
fn is_encrypted(value: &str) -> bool {
    let decoded = BASE64_STANDARD.decode(value);
    value.starts_with("ENC[") || decoded.is_ok_and(|bytes| bytes.starts_with(b"ENC["))
}

fn decode(name: &'static str, value: &str) -> Result<String, RepositorySecretError> {
    let bytes = BASE64_STANDARD.decode(value).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or(RepositorySecretError(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scoped(data: &serde_json::Value) -> Result<Option<ScopedRepository>, RepositorySecretError> {
        let secret = json!({"metadata": {"name": "r"}, "data": data}).to_string();
        serde_json::from_str::<RepositorySecret<'_>>(&secret)
            .unwrap()
            .scoped()
    }

    fn base64(text: &str) -> String {
        BASE64_STANDARD.encode(text)
    }

    #[test]
    fn only_a_repository_of_a_project_is_told() {
        let url = base64("https://git/x");
        let own = json!({"url": url, "project": base64("shop"), "password": "x"});
        let repository = ScopedRepository {
            url: "https://git/x".to_owned(),
            project: "shop".to_owned(),
        };
        assert_eq!(scoped(&own), Ok(Some(repository)));
        assert_eq!(scoped(&json!({"url": url})), Ok(None));
        assert_eq!(scoped(&json!({"url": "*"})), Ok(None));
        assert_eq!(scoped(&json!(null)), Ok(None));
    }

    #[test]
    fn nothing_is_known_of_what_sops_has_encrypted() {
        const ENCRYPTED: &str = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]";
        for value in [ENCRYPTED, &base64(ENCRYPTED)] {
            for (url, project) in [(value, value), ("Zw==", value), (value, "Zw==")] {
                let secret =
                    json!({"data": {"url": url, "project": project}, "sops": {"mac": "x"}});
                let text = secret.to_string();
                let secret: RepositorySecret<'_> = serde_json::from_str(&text).unwrap();
                assert_eq!(secret.scoped(), Ok(None));
            }
        }
    }

    #[test]
    fn what_is_not_base64_is_named_and_not_repeated() {
        let error = scoped(&json!({"project": "hunter2!"})).unwrap_err();
        assert_eq!(error.to_string(), "data.project is not base64 of a text");
    }
}
