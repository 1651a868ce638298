//! Which Git repository a URL means, whatever it is cloned by.

/// What a URL says of the repository that it means, without what logs in: CI clones with a token in
/// the URL, people clone by SSH what an ApplicationSet names by HTTPS.
///
/// This is for telling whether a clone is one of a repository. What a project permits is decided by
/// Argo CD's own comparison ([`argocd::repository::git_url`]), to which the two are different.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct RepositoryUrl {
    transport: Transport,
    /// In lower case, without the port.
    host: String,
    /// None where it is the usual one.
    port: Option<String>,
    /// In lower case as Argo CD compares it, without slashes around it and without `.git`.
    path: String,
}

/// How a repository is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Transport {
    Ssh,
    Http,
    /// Any other scheme, or none: a path.
    Other(String),
}

/// Hosts by which SSH reaches a service where its own host or port is closed.
const OTHER_HOSTS: [(&str, &str); 4] = [
    ("ssh.github.com", "github.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("altssh.bitbucket.org", "bitbucket.org"),
    ("ssh.dev.azure.com", AZURE),
];

/// Whose paths differ by transport.
const AZURE: &str = "dev.azure.com";

impl RepositoryUrl {
    /// Reads a URL, `[user@]host:path` or a path.
    pub(super) fn of(url: &str) -> Self {
        let url = url.trim().to_lowercase();
        let (transport, authority, path) = parts(&url);
        let host_and_port = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match host_and_port.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
            _ => (host_and_port, ""),
        };
        let usual: &[&str] = match transport {
            Transport::Ssh => &["", "22"],
            Transport::Http => &["", "80", "443"],
            Transport::Other(_) => &[""],
        };
        let other = OTHER_HOSTS.iter().find(|(other, _)| *other == host);
        let host = other.map_or(host, |(_, host)| host);
        let port = (other.is_none() && !usual.contains(&port)).then(|| port.to_owned());
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        RepositoryUrl {
            path: path_at(host, path),
            host: host.to_owned(),
            port,
            transport,
        }
    }

    /// Whether both mean one repository. A service has one port for each transport, so that ports
    /// tell nothing where these differ.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let reaches_alike = match (&self.transport, &other.transport) {
            (Transport::Ssh, Transport::Http) | (Transport::Http, Transport::Ssh) => true,
            (own, other_transport) => own == other_transport && self.port == other.port,
        };
        reaches_alike && self.host == other.host && self.path == other.path && !self.is_empty()
    }

    /// Whether it names nothing.
    fn is_empty(&self) -> bool {
        self.path.is_empty()
    }
}

/// The transport, the authority and the path of a URL in lower case.
fn parts(url: &str) -> (Transport, &str, &str) {
    if let Some((scheme, rest)) = url.split_once("://") {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let transport = match scheme {
            "ssh" | "git+ssh" | "ssh+git" => Transport::Ssh,
            "http" | "https" => Transport::Http,
            other => Transport::Other(other.to_owned()),
        };
        return (transport, authority, path);
    }
    match url.split_once(':') {
        Some((authority, path)) if !authority.contains('/') => (Transport::Ssh, authority, path),
        _ => (Transport::Other(String::new()), "", url),
    }
}

/// A path as it is by any transport.
fn path_at(host: &str, path: &str) -> String {
    let by_ssh = (host == AZURE)
        .then(|| path.strip_prefix("v3/")?.rsplit_once('/'))
        .flatten();
    match by_ssh {
        Some((project, repository)) => format!("{project}/_git/{repository}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        let [one, other] = [one, other].map(RepositoryUrl::of);
        assert_eq!(one.is_same(&other), other.is_same(&one));
        one.is_same(&other)
    }

    /// A clone by SSH of what is named by HTTPS had been taken for another repository.
    #[test]
    fn one_repository_has_many_urls() {
        let url = "https://github.com/org/repo.git";
        for other in [
            "https://github.com/org/repo",
            "https://github.com/org/repo/",
            "https://github.com/org/repo.git/",
            "http://github.com/org/repo",
            "https://GitHub.com/Org/Repo",
            "https://x-access-token:t0k3n@github.com/org/repo",
            "https://github.com:443/org/repo",
            "git@github.com:org/repo.git",
            "git@github.com:/org/repo",
            "github.com:org/repo.git",
            "org-1234@github.com:org/repo.git",
            "ssh://git@github.com/org/repo.git",
            "ssh://git@github.com:22/org/repo.git",
            "ssh://git@ssh.github.com:443/org/repo.git",
            "git+ssh://git@github.com/org/repo",
            " https://github.com/org/repo.git\n",
        ] {
            assert!(same(url, other), "{other}");
        }
        assert!(same(
            "https://git.example.com:8443/a/b/c.git",
            "ssh://git@git.example.com:2222/a/b/c"
        ));
        assert!(same(
            "git@ssh.dev.azure.com:v3/org/project/repo",
            "https://org@dev.azure.com/org/project/_git/repo"
        ));
        assert!(same("/srv/git/repo.git", "/srv/git/repo"));
    }

    #[test]
    fn others_are_not_taken_for_it() {
        let url = "https://github.com/org/repo.git";
        for other in [
            "https://github.com/org/repo2",
            "https://github.com/other/repo",
            "https://github.com/org/repo/deeper",
            "https://github.example.com/org/repo",
            "https://github.com.example.com/org/repo",
            "https://github.com:8443/org/repo",
            "git@gitlab.com:org/repo.git",
            "oci://github.com/org/repo",
            "/org/repo",
            "file:///org/repo",
            "https://example.com/@github.com/org/repo",
            "",
            "https://github.com",
        ] {
            assert!(!same(url, other), "{other}");
        }
        assert!(!same("", ""));
        assert!(!same(
            "ssh://git@git.example.com:2222/a/b",
            "ssh://git@git.example.com/a/b"
        ));
    }

    #[test]
    fn what_logs_in_is_not_kept() {
        let url = RepositoryUrl::of("https://ci:t0k3n@git.example.com/a/b?private_token=t0k3n");
        assert!(!format!("{url:?}").contains("t0k3n"));
    }
}
