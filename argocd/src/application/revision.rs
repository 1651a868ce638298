//! What a `targetRevision` stands for, as far as its text tells.

use semver::Version;

use super::source::ApplicationSource;

/// Where the revision of a source is looked up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RepositoryKind {
    /// Commits, branches and tags of a Git repository.
    Git,
    /// Versions of a chart.
    Helm,
    /// Tags and digests of an OCI artifact.
    Oci,
}

/// What a `targetRevision` stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Revision {
    /// A full commit, a digest or the version of a chart.
    Exact,
    /// Whatever is newest: `HEAD`, `latest`, or nothing at all.
    Newest,
    /// The newest version that a constraint allows.
    Range,
    /// A branch, written out as `refs/heads/…`.
    Branch,
    /// A name. Only the repository can tell a tag from a branch.
    Name,
}

impl ApplicationSource<'_> {
    /// Where the revision is looked up (Argo CD 3.5, `IsHelm` and `IsOCI` of `ApplicationSource`).
    pub fn repository_kind(&self) -> RepositoryKind {
        if !self.chart.is_empty() {
            RepositoryKind::Helm
        } else if self.repo_url.starts_with("oci://") {
            RepositoryKind::Oci
        } else {
            RepositoryKind::Git
        }
    }
}

impl Revision {
    /// What a text stands for in a repository of a kind.
    pub fn of(text: &str, kind: RepositoryKind) -> Self {
        match kind {
            _ if text.is_empty() => Revision::Newest,
            RepositoryKind::Helm if is_version(text) => Revision::Exact,
            // Helm takes all else for a constraint, also `1.2`.
            RepositoryKind::Helm => Revision::Range,
            RepositoryKind::Oci if is_digest(text) => Revision::Exact,
            RepositoryKind::Oci if text == "latest" => Revision::Newest,
            RepositoryKind::Git if is_commit(text) => Revision::Exact,
            RepositoryKind::Git if text == "HEAD" => Revision::Newest,
            RepositoryKind::Git if text.starts_with("refs/heads/") => Revision::Branch,
            RepositoryKind::Git | RepositoryKind::Oci if is_constraint(text) => Revision::Range,
            RepositoryKind::Git | RepositoryKind::Oci => Revision::Name,
        }
    }
}

/// Whether a text is a full commit: a branch of that name would not be what it looks like.
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_digest(text: &str) -> bool {
    let digest = text.strip_prefix("sha256:").unwrap_or_default();
    digest.len() == 64 && is_commit(digest)
}

/// Whether a text is one version by Semantic Versioning, which may be written with a `v`. `=`
/// before it says the same.
fn is_version(text: &str) -> bool {
    let text = text.strip_prefix('=').unwrap_or(text);
    Version::parse(text.strip_prefix('v').unwrap_or(text)).is_ok()
}

/// Whether Argo CD resolves a text as a constraint on versions rather than look for a ref of that
/// name (Argo CD 3.5, `versions.IsConstraint`, by the grammar of Masterminds/semver 3).
fn is_constraint(text: &str) -> bool {
    let is_alternative = |alternative: &str| {
        let mut parts = alternative
            .split([',', ' '])
            .filter(|part| !part.is_empty())
            .peekable();
        parts.peek().is_some() && parts.all(is_condition)
    };
    !is_plain(text) && text.split("||").all(is_alternative)
}

/// An operator, a version with gaps, or both; or the hyphen between two versions.
fn is_condition(part: &str) -> bool {
    let version = part.trim_start_matches(['=', '!', '<', '>', '~', '^']);
    let has_operator = version.len() < part.len();
    part == "-" || (has_operator && version.is_empty()) || is_plain(version) || has_gaps(version)
}

/// One version of up to three numbers, of which those left out are zero.
fn is_plain(version: &str) -> bool {
    numbers(version).is_some_and(|mut numbers| numbers.all(is_number))
}

/// A version with a placeholder for a number.
fn has_gaps(version: &str) -> bool {
    numbers(version).is_some_and(|mut numbers| {
        numbers.all(|number| is_number(number) || matches!(number, "*" | "x" | "X"))
    })
}

/// What is between the dots of a version, if there are not too many.
fn numbers(version: &str) -> Option<std::str::Split<'_, char>> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let core = version.split(['-', '+']).next().unwrap_or_default();
    (core.split('.').count() <= 3).then(|| core.split('.'))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use RepositoryKind::{Git, Helm, Oci};

    const COMMIT: &str = "7c4b1f0e9a2d85c36e11f04b7d9a3c528e6f1b07";

    fn all_are(expected: Revision, kind: RepositoryKind, texts: &[&str]) {
        for text in texts {
            assert_eq!(Revision::of(text, kind), expected, "{text:?} in {kind:?}");
        }
    }

    #[test]
    fn a_chart_is_pinned_by_one_whole_version() {
        let exact = ["1.2.3", "v1.2.3", "1.2.3-rc.1+build.5", "0.0.0", "=1.2.3"];
        all_are(Revision::Exact, Helm, &exact);
        let ranges = [
            "*",
            "1.x",
            "1.2.x",
            "1.2.*",
            "1",
            "1.2",
            "v1.2",
            "^1.2.3",
            "~1.2.3",
            ">=1.2.3",
            ">= 1.2.3",
            "1.2.3 - 1.3.0",
            ">1.0.0,<2.0.0",
            "1.2.3 || 1.2.4",
            "!=1.2.3",
            "latest",
            "1.2.3.4",
            "01.2.3",
            " 1.2.3",
            "HEAD",
            COMMIT,
        ];
        all_are(Revision::Range, Helm, &ranges);
        all_are(Revision::Newest, Helm, &[""]);
    }

    #[test]
    fn a_constraint_on_tags_moves_and_a_tag_is_a_name() {
        let ranges = [
            "*",
            "x",
            "1.x",
            "v1.*",
            "1.2.X",
            "^1.2",
            "~1.2.3",
            "~>1.2",
            ">=1.2",
            "> 1.2",
            "=1.2.3",
            "1.2 - 1.4",
            ">1.0, <2.0",
            "1.2.* || 1.4.*",
            "1.x-0",
        ];
        all_are(Revision::Range, Git, &ranges);
        let names = [
            "v1.4.0",
            "1.4.0",
            "1.4",
            "release-1.x",
            "main",
            "orders-2.14.1",
            "feature/a,b",
            "refs/tags/v1",
            "7c4b1f0",
            "head",
            "x/y",
            "1.2.3.4",
            "||",
            "-1",
            "a=b",
        ];
        all_are(Revision::Name, Git, &names);
        all_are(Revision::Exact, Git, &[COMMIT, &"0a".repeat(32)]);
        all_are(Revision::Newest, Git, &["", "HEAD"]);
        all_are(Revision::Branch, Git, &["refs/heads/v1.4.0"]);
    }

    #[test]
    fn an_artifact_is_pinned_by_its_digest_and_named_by_its_tag() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        all_are(Revision::Exact, Oci, &[&digest]);
        all_are(Revision::Newest, Oci, &["", "latest"]);
        all_are(Revision::Range, Oci, &["1.*", ">=1"]);
        all_are(
            Revision::Name,
            Oci,
            &["1.2.3", "stable", "sha256:0a", "HEAD"],
        );
    }

    #[test]
    fn the_kind_of_a_source_is_told_by_chart_and_scheme() {
        let kind = |json: &str| {
            let source: ApplicationSource<'_> = serde_json::from_str(json).unwrap();
            source.repository_kind()
        };
        assert_eq!(
            kind(r#"{"repoURL":"oci://r.example.com/a","path":"."}"#),
            Oci
        );
        assert_eq!(
            kind(r#"{"repoURL":"r.example.com/charts","chart":"a"}"#),
            Helm
        );
        assert_eq!(
            kind(r#"{"repoURL":"https://git.example.com/a","path":"."}"#),
            Git
        );
    }
}
