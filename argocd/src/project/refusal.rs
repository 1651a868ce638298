//! Why a project does not permit something: the entry that excludes it, or the one that nearly
//! permits it.
//!
//! Argo CD says only that nothing matches. What is here is for people, and decides on nothing.

use super::destinations::{DestinationPattern, Effect};
use super::permissions::Permissions;
use super::sources::{self, SourcePattern};
use super::spec::ProjectDestination;
use crate::cluster::Cluster;
use crate::pattern::{Glob, Separators};
use crate::repository::git_url;

/// Why a repository is not permitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SourceRefusal<'p> {
    /// This entry excludes it.
    Excluded {
        /// The entry as it is written, with its `!`.
        entry: &'p str,
    },
    /// This entry would permit it but for this.
    Near {
        /// The entry as it is written.
        entry: &'p str,
        /// What differs.
        difference: Difference,
    },
    /// It is not a URL that can be parsed, so that no entry but `*` and what cannot be parsed
    /// either permits it.
    Unparsable,
    /// No entry comes near it.
    Unlisted,
}

/// In what a repository differs from an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Difference {
    /// `*` and `?` of the entry do not match a slash.
    Slash,
    /// One of them ends with a slash.
    TrailingSlash,
    /// One is reached by SSH and the other by HTTP.
    Ssh,
    /// The scheme, such as `oci://`, which may be absent.
    Scheme,
    /// The user in the URL.
    User,
    /// The port in the URL.
    Port,
    /// A part of the path more or less, where the entry ends with `/*` or has no wildcard.
    Below,
}

impl Permissions {
    /// Why a repository is not permitted. The entry that comes nearest is told.
    pub fn source_refusal(&self, repository: &str) -> SourceRefusal<'_> {
        let url = git_url::normalize(repository);
        let texts = || self.source_texts.iter().map(|text| &**text);
        let entries = || self.sources.iter().zip(texts());
        let excludes = |(pattern, _): &(&SourcePattern, &str)| matches!(pattern, SourcePattern::Exclude(glob) if glob.matches(&url));
        if let Some((_, entry)) = entries().find(excludes) {
            return SourceRefusal::Excluded { entry };
        }
        if url.is_empty() && !repository.trim().is_empty() {
            return SourceRefusal::Unparsable;
        }
        let near = entries().filter_map(|(pattern, entry)| {
            let SourcePattern::Include(_) = pattern else {
                return None;
            };
            let difference = difference(&sources::normalize(entry), &url)?;
            Some(SourceRefusal::Near { entry, difference })
        });
        near.take(1).next().unwrap_or(SourceRefusal::Unlisted)
    }

    /// Why a cluster and a namespace are not permitted.
    pub fn destination_refusal<'c>(
        &self,
        cluster: &Cluster,
        namespace: &str,
        mut scoped: impl Iterator<Item = &'c Cluster>,
    ) -> DestinationRefusal<'_> {
        let entries = || self.destinations.iter().zip(&self.destination_texts);
        let excludes = |(pattern, _): &(&DestinationPattern, &ProjectDestination)| {
            pattern.effect_on(cluster, namespace, self.reading) == Effect::Excludes
        };
        if let Some((pattern, written)) = entries().find(excludes) {
            let matches = pattern.matches_of(cluster, pattern.namespace.matches(namespace));
            let entry = if !matches.name && pattern.name.excludes {
                &written.name
            } else if !matches.server && pattern.server.excludes {
                &written.server
            } else {
                &written.namespace
            };
            return DestinationRefusal::Excluded { entry };
        }
        let is_listed = self.lists_destination(cluster, namespace);
        let is_own = |own: &Cluster| own.name == cluster.name || own.server == cluster.server;
        if is_listed && !scoped.any(is_own) {
            return DestinationRefusal::NotScoped;
        }
        let of_cluster = entries().find(|(pattern, _)| {
            let matches = pattern.matches_of(cluster, false);
            matches.name || matches.server
        });
        if let Some((_, written)) = of_cluster {
            return DestinationRefusal::OtherNamespace {
                entry: &written.namespace,
            };
        }
        let near = entries().find_map(|(pattern, written)| near(pattern, written, cluster));
        near.unwrap_or(DestinationRefusal::Unlisted)
    }
}

/// Why a cluster and a namespace are not permitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DestinationRefusal<'p> {
    /// This pattern of an entry excludes it.
    Excluded {
        /// The pattern as it is written, with its `!`.
        entry: &'p str,
    },
    /// The project permits only clusters of its own, and this is none of them.
    NotScoped,
    /// The cluster is permitted, in other namespaces.
    OtherNamespace {
        /// Which, as the first entry of the cluster has it.
        entry: &'p str,
    },
    /// This server would be the cluster's without the slash at its end.
    TrailingSlash {
        /// The server as it is written.
        entry: &'p str,
    },
    /// The name stands where a server is expected, or the server where a name is.
    OtherField {
        /// What stands there.
        entry: &'p str,
    },
    /// It differs from this in letters being capital.
    Case {
        /// The pattern as it is written.
        entry: &'p str,
    },
    /// No entry comes near it.
    Unlisted,
}

fn near<'p>(
    pattern: &DestinationPattern,
    written: &'p ProjectDestination,
    cluster: &Cluster,
) -> Option<DestinationRefusal<'p>> {
    let ProjectDestination { server, name, .. } = written;
    let matches = |entry: &str, text: &str| {
        !text.is_empty()
            && !entry.starts_with('!')
            && Glob::new(entry, Separators::None).matches(text)
    };
    let without_slash = server.trim_end_matches('/');
    if without_slash != server && matches(without_slash, &cluster.server) {
        return Some(DestinationRefusal::TrailingSlash { entry: server });
    }
    if !pattern.server.excludes && matches(server, &cluster.name) {
        return Some(DestinationRefusal::OtherField { entry: server });
    }
    if !pattern.name.excludes && matches(name, &cluster.server) {
        return Some(DestinationRefusal::OtherField { entry: name });
    }
    let ignoring_case =
        |entry: &str, text: &str| matches(&entry.to_lowercase(), &text.to_lowercase());
    if ignoring_case(server, &cluster.server) {
        return Some(DestinationRefusal::Case { entry: server });
    }
    ignoring_case(name, &cluster.name).then_some(DestinationRefusal::Case { entry: name })
}

/// In what a URL differs from a pattern that it nearly matches; both are normalised.
fn difference(pattern: &str, url: &str) -> Option<Difference> {
    let matches = |pattern: &str, url: &str, separators| {
        !pattern.is_empty() && Glob::new(pattern, separators).matches(url)
    };
    if matches(pattern, url, Separators::None) {
        return Some(Difference::Slash);
    }
    let trimmed = |text: &str| text.trim_end_matches('/').to_owned();
    let by_slash = |pattern: &str, url: &str| matches(pattern, url, Separators::Slash);
    if by_slash(&trimmed(pattern), &trimmed(url)) {
        return Some(Difference::TrailingSlash);
    }
    let (wanted, given) = (Address::of(pattern), Address::of(url));
    let is_same_place = by_slash(&trimmed(&wanted.place()), &trimmed(&given.place()));
    if is_same_place {
        return Some(if wanted.is_ssh() != given.is_ssh() {
            Difference::Ssh
        } else if wanted.scheme != given.scheme {
            Difference::Scheme
        } else if wanted.user != given.user {
            Difference::User
        } else {
            Difference::Port
        });
    }
    let below = pattern.trim_end_matches("/*");
    let is_below = by_slash(&format!("{below}/**"), url) || by_slash(below, url);
    is_below.then_some(Difference::Below)
}

/// A normalised URL in its parts.
struct Address<'u> {
    scheme: &'u str,
    user: &'u str,
    host: &'u str,
    path: &'u str,
}

impl<'u> Address<'u> {
    fn of(url: &'u str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let host = match host.rsplit_once(':') {
            Some((host, port)) if is_port(port) => host,
            _ => host,
        };
        Address {
            scheme,
            user,
            host,
            path,
        }
    }

    /// What Argo CD normalises has its user, but no scheme.
    fn is_ssh(&self) -> bool {
        self.scheme.is_empty() && !self.user.is_empty()
    }

    fn place(&self) -> String {
        format!("{}{}", self.host, self.path)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn permissions(spec: &Value) -> Permissions {
        Permissions::new(&serde_json::from_value(spec.clone()).unwrap())
    }

    fn near(entry: &str, repository: &str) -> Option<Difference> {
        let permissions =
            permissions(&json!({"sourceRepos": ["https://other.example.com/**", entry]}));
        assert!(
            !permissions.permits_source(repository),
            "{entry} {repository}"
        );
        match permissions.source_refusal(repository) {
            SourceRefusal::Near {
                entry: told,
                difference,
            } => {
                assert_eq!(told, entry);
                Some(difference)
            }
            _ => None,
        }
    }

    #[test]
    fn what_nearly_permits_a_repository_is_told() {
        for (entry, repository, difference) in [
            (
                "https://h/shop/*",
                "https://h/shop/a/b.git",
                Difference::Slash,
            ),
            ("https://*", "https://h/shop", Difference::Slash),
            (
                "https://h/shop/a",
                "https://h/shop/a/",
                Difference::TrailingSlash,
            ),
            (
                "https://h/shop/a/",
                "https://h/shop/a.git",
                Difference::TrailingSlash,
            ),
            ("https://h/shop/*", "git@h:shop/a.git", Difference::Ssh),
            ("git@h:shop/*", "https://h/shop/a", Difference::Ssh),
            ("oci://h/charts", "h/charts", Difference::Scheme),
            ("h/charts", "oci://h/charts", Difference::Scheme),
            ("http://h/shop/*", "https://h/shop/a", Difference::Scheme),
            (
                "https://h/shop/*",
                "https://user@h/shop/a",
                Difference::User,
            ),
            (
                "https://h:8443/shop/*",
                "https://h/shop/a",
                Difference::Port,
            ),
            ("https://h/shop", "https://h/shop/a", Difference::Below),
            ("https://h/shop/*", "https://h/shop", Difference::Below),
        ] {
            assert_eq!(
                near(entry, repository),
                Some(difference),
                "{entry} {repository}"
            );
        }
        for (entry, repository) in [
            ("https://h/shop/*", "https://h/cart/a"),
            ("https://h/shop", "https://g/shop"),
            ("https://h:x/shop", "https://h/shop"),
        ] {
            assert_eq!(near(entry, repository), None, "{entry} {repository}");
        }
    }

    #[test]
    fn what_excludes_a_repository_is_told() {
        let permissions =
            permissions(&json!({"sourceRepos": ["https://h/**", "!https://h/old/**"]}));
        assert_eq!(
            permissions.source_refusal("https://h/old/a"),
            SourceRefusal::Excluded {
                entry: "!https://h/old/**"
            }
        );
    }

    #[test]
    fn what_keeps_a_destination_out_is_told() {
        let refusal = |items: Value, namespace: &str| {
            let permissions = permissions(&json!({"destinations": items}));
            let cluster = Cluster {
                name: "eu-1".to_owned(),
                server: "https://eu-1.example.com".to_owned(),
                ..Cluster::default()
            };
            assert!(!permissions.permits_destination(&cluster, namespace, std::iter::empty()));
            format!(
                "{:?}",
                permissions.destination_refusal(&cluster, namespace, std::iter::empty())
            )
        };
        let everywhere = json!({"server": "*", "namespace": "*"});
        for (items, told) in [
            (
                json!([everywhere, {"name": "!eu-1"}]),
                r#"Excluded { entry: "!eu-1" }"#,
            ),
            (
                json!([everywhere, {"server": "!https://eu-1.example.com", "namespace": "web"}]),
                r#"Excluded { entry: "!https://eu-1.example.com" }"#,
            ),
            (
                json!([everywhere, {"server": "*", "namespace": "!web"}]),
                r#"Excluded { entry: "!web" }"#,
            ),
            (
                json!([{"name": "eu-1", "namespace": "shop-*"}]),
                r#"OtherNamespace { entry: "shop-*" }"#,
            ),
            (
                json!([{"server": "https://eu-1.example.com/", "namespace": "*"}]),
                r#"TrailingSlash { entry: "https://eu-1.example.com/" }"#,
            ),
            (
                json!([{"server": "eu-1", "namespace": "*"}]),
                r#"OtherField { entry: "eu-1" }"#,
            ),
            (
                json!([{"name": "EU-*", "namespace": "*"}]),
                r#"Case { entry: "EU-*" }"#,
            ),
            (json!([{"name": "us-1", "namespace": "*"}]), "Unlisted"),
        ] {
            assert_eq!(refusal(items.clone(), "web"), told, "{items}");
        }
    }
}
