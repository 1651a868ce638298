//! Repository URLs, normalised as Argo CD does before it compares them.
//!
//! Follows `NormalizeGitURL` (Argo CD 3.5, `util/git/git.go`), which parses and prints the URL
//! with Go's `net/url`. What that package escapes on the way is part of the result.

use golang::strings::to_lower;
use golang::url;

/// The form in which Argo CD compares a repository URL, or a pattern for one, with another.
/// Empty if the URL cannot be parsed.
pub fn normalize(repository: &str) -> String {
    let mut text = to_lower(repository.trim());
    if is_ssh(&text) && !text.starts_with("ssh://") {
        text = format!("ssh://{}", text.replacen(':', "/", 1));
    }
    if let Some(without_suffix) = text.strip_suffix(".git") {
        text.truncate(without_suffix.len());
    }
    let printed = url::reprint(&text).unwrap_or_default();
    match printed.strip_prefix("ssh://") {
        Some(rest) => rest.to_owned(),
        None => printed,
    }
}

/// Argo CD's test: `^(ssh://)?([^/:]*?)@[^@]+$`.
fn is_ssh(url: &str) -> bool {
    let rest = url.strip_prefix("ssh://").unwrap_or(url);
    rest.rsplit_once('@')
        .is_some_and(|(user, host)| !user.contains(['/', ':']) && !host.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ssh_forms_agree_with_each_other_but_not_with_https() {
        for url in [
            "git@github.com:northwind/storefront.git",
            "ssh://git@github.com/northwind/storefront",
            "GIT@GitHub.com:Northwind/Storefront",
        ] {
            assert_eq!(normalize(url), "git@github.com/northwind/storefront");
        }
        assert_eq!(
            normalize("https://github.com/Northwind/Storefront.git"),
            "https://github.com/northwind/storefront"
        );
        assert_eq!(
            normalize("ssh://git@h:22/a/b"),
            "git@h:22/a/b",
            "a port makes another string"
        );
    }

    #[test]
    fn printing_escapes_what_patterns_need() {
        assert_eq!(normalize("https://h/{a,b}"), "https://h/%7Ba,b%7D");
        assert_eq!(normalize("https://{a,b}/c"), "");
        assert_eq!(normalize("*@h/a"), "%2A@h/a");
        assert_eq!(normalize("https://h:*/x"), "");
        assert_eq!(normalize("*://h/x"), "");
        assert_eq!(normalize("https://*.h/[a-c]?"), "https://*.h/[a-c]?");
        assert_eq!(normalize("https://h/a b"), normalize("https://h/a%20b"));
    }

    #[test]
    fn a_trailing_slash_stays() {
        assert_eq!(normalize("https://h/a/b/"), "https://h/a/b/");
        assert_eq!(normalize(" https://h/a "), "https://h/a");
        assert_eq!(normalize(""), "");
    }

    #[test]
    fn letters_are_made_small_one_by_one() {
        assert_eq!(
            normalize("https://h/ΟΔΟΣ"),
            "https://h/%CE%BF%CE%B4%CE%BF%CF%83"
        );
        assert_eq!(normalize("https://h/İ"), "https://h/i");
        assert_eq!(normalize("https://h/\u{212a}"), "https://h/k");
    }

    #[test]
    fn the_user_of_an_ssh_url_may_hold_an_at_sign() {
        assert_eq!(normalize("a@b@h:c/d"), "a%40b@h/c/d");
    }

    #[test]
    fn control_characters_are_allowed_in_a_fragment_only() {
        assert_eq!(normalize("https://h/a\u{7f}b"), "");
        assert_eq!(normalize("https://h/a#\u{7f}b"), "https://h/a#%7Fb");
    }

    /// A second formulation of what is printed of a path: as it is, if nothing in it must be
    /// escaped, else all of it that may be.
    fn naive_path(path: &str) -> String {
        let stays = |c: char| c.is_ascii_alphanumeric() || "-_.~$&+,/:;=@".contains(c);
        if path.chars().all(|c| stays(c) || "!'()*[]".contains(c)) {
            return path.to_owned();
        }
        let escaped = path.bytes().map(|byte| match char::from(byte) {
            plain if stays(plain) => plain.to_string(),
            _ => format!("%{byte:02X}"),
        });
        escaped.collect::<Vec<_>>().concat()
    }

    const PATHS: &str = "(/[a-zA-Z0-9._~*!'()\\[\\] {}^|\"<>`é$&+,:;=@-]{1,6}){1,3}";

    proptest! {
        #[test]
        fn a_url_is_put_together_from_its_parts(
            scheme in "https?|oci|ssh|GIT",
            user in "([a-zA-Z0-9._-]{1,5}@)?",
            host in "[a-zA-Z0-9.*-]{1,8}",
            port in "(:[0-9]{1,4})?",
            path in PATHS,
            suffix in "(\\.git|\\.GIT|/|)",
            space in "[ \t\n]{0,2}",
        ) {
            let url = format!("{space}{scheme}://{user}{host}{port}{path}{suffix}{space}");
            let path = format!("{path}{suffix}").trim_end().to_lowercase();
            let path = naive_path(path.strip_suffix(".git").unwrap_or(&path));
            let scheme = match scheme.to_lowercase().as_str() {
                "ssh" => String::new(),
                scheme => format!("{scheme}://"),
            };
            let parts = format!("{user}{host}{port}").to_lowercase();
            prop_assert_eq!(normalize(&url), format!("{scheme}{parts}{path}"));
        }

        #[test]
        fn the_ssh_form_with_a_colon_is_one_with_a_slash(
            user in "[a-z*]{1,5}",
            host in "[a-z0-9.-]{1,8}",
            path in "[a-z0-9_*-]{1,5}(/[a-z0-9_*-]{1,5}){0,2}",
        ) {
            let short = normalize(&format!("{user}@{host}:{path}.git"));
            prop_assert_eq!(&short, &normalize(&format!("ssh://{user}@{host}/{path}")));
            let user = user.replace('*', "%2A");
            prop_assert_eq!(short, format!("{user}@{host}/{path}"));
        }

        #[test]
        fn no_url_panics(url in "\\PC{0,60}|[a-z:/@?#%\\[\\]. ]{0,30}") {
            normalize(&url);
        }
    }
}
