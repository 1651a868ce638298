//! `spec.sourceNamespaces`, and the lists of namespaces among Argo CD's parameters: globs, and
//! regular expressions between slashes.

use fancy_regex::{Regex, RegexBuilder};

use super::spec::ProjectReading;
use crate::pattern::{Glob, Separators, dotnet};

/// How often a regular expression of a project may try again before it counts as not matching.
/// Namespace names have 63 characters at most, so an expression that needs more is pathological.
const BACKTRACK_LIMIT: usize = 20_000;

/// How much a compiled expression may take, in bytes. Repetitions multiply.
const SIZE_LIMIT: usize = 1024 * 1024;

/// An entry, compiled. An expression that does not match is tried as a glob all the same.
#[derive(Clone, Debug)]
pub(crate) struct NamespacePattern {
    expression: Option<Regex>,
    glob: Glob,
}

impl NamespacePattern {
    /// `//` is the empty expression, which matches every namespace, and no expression since Argo CD
    /// 3.6 (`MatchStringInList`).
    pub(crate) fn new(pattern: &str, reading: ProjectReading) -> Self {
        let expression = pattern
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'))
            .filter(|expression| reading == ProjectReading::UpTo35 || !expression.is_empty());
        NamespacePattern {
            expression: expression.and_then(compile),
            glob: Glob::new(pattern, Separators::None),
        }
    }

    pub(crate) fn matches(&self, namespace: &str) -> bool {
        let by_expression = self
            .expression
            .as_ref()
            .is_some_and(|expression| expression.is_match(namespace).unwrap_or(false));
        by_expression || self.glob.matches(namespace)
    }
}

/// `None` if the expression is not valid: it then matches nothing.
fn compile(expression: &str) -> Option<Regex> {
    RegexBuilder::new(&dotnet::translate(expression)?)
        .backtrack_limit(BACKTRACK_LIMIT)
        .delegate_size_limit(SIZE_LIMIT)
        .max_prog_size(SIZE_LIMIT)
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, namespace: &str) -> bool {
        NamespacePattern::new(pattern, ProjectReading::UpTo35).matches(namespace)
    }

    #[test]
    fn the_empty_expression_matches_every_namespace_until_it_matches_none() {
        let matches = |reading| NamespacePattern::new("//", reading).matches("web");
        assert!(matches(ProjectReading::UpTo35));
        assert!(!matches(ProjectReading::Since36));
    }

    #[test]
    fn an_expression_is_not_anchored_and_a_glob_is() {
        assert!(matches("/team-[0-9]+/", "old-team-12-x"));
        assert!(!matches("/^team-[0-9]+$/", "old-team-12-x"));
        assert!(matches("team-*", "team-12"));
        assert!(!matches("team-*", "old-team-12"));
    }

    #[test]
    fn only_what_starts_and_ends_with_a_slash_is_an_expression() {
        assert!(!matches("/team-.*", "team-a"));
        assert!(!matches("team-.*/", "team-a"));
        assert!(!matches("/", "team-a"));
    }

    #[test]
    fn an_expression_that_does_not_match_is_tried_as_a_glob() {
        assert!(matches("/*/", "/a/"));
        assert!(matches("/{a,b}/", "/a/"));
    }

    #[test]
    fn look_around_and_back_references_work() {
        assert!(matches("/^(?!kube-)/", "web"));
        assert!(!matches("/^(?!kube-)/", "kube-system"));
        assert!(matches("/(?<=team-)a$/", "team-a"));
        assert!(matches(r"/^(\w+)-\1$/", "web-web"));
        assert!(!matches(r"/^(\w+)-\1$/", "web-shop"));
    }

    #[test]
    fn a_runaway_expression_does_not_match() {
        let pattern = NamespacePattern::new(r"/^(a|aa)+\1$/", ProjectReading::Since36);
        let namespace = format!("{}b", "a".repeat(60));
        assert!(!pattern.matches(&namespace));
        // It ends at the limit, not because it has been tried to its end.
        let limited = pattern.expression.as_ref().unwrap();
        assert!(limited.is_match(&namespace).is_err());
    }

    #[test]
    fn an_expression_that_multiplies_is_bounded() {
        assert!(compile("((((a{1000}){1000}){1000}){1000})").is_none());
        let counting = compile(r"^(a)((((a*\1{1000}){1000}){1000}){1000})").unwrap();
        assert!(!counting.is_match(&"a".repeat(63)).unwrap_or(false));
    }
}
