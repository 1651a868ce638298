//! What the API server accepts as names, labels and annotations (k8s.io/apimachinery 0.34,
//! `util/validation`).

/// The most characters of an object's name, and of the prefix of a key.
const NAME_LIMIT: usize = 253;
/// The most characters of a label's value, of a namespace, and of a key without its prefix.
const LABEL_LIMIT: usize = 63;

/// Why the API server refuses a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It is empty where something is needed.
    #[error("it is empty")]
    Empty,
    /// A line break in it, as YAML's `>` and `|` leave one at the end.
    #[error("it has a line break: end a folded text by >- in place of >")]
    LineBreak,
    /// More characters than are allowed.
    #[error("it has more than {0} characters")]
    TooLong(usize),
    /// What a template leaves where there is no such parameter.
    #[error("it has a parameter that is not there")]
    NoValue,
    /// Braces of a template that was not rendered.
    #[error("it has a template that was not rendered")]
    NotRendered,
    /// A URL.
    #[error("it is a URL")]
    Url,
    /// Upper case where only lower case is allowed.
    #[error("it has upper case")]
    UpperCase,
    /// A character that is not allowed, or not where it is.
    #[error("it has {0:?} where that is not allowed")]
    Character(char),
    /// More than one slash in a key, or nothing before it or after it.
    #[error("it has a slash where that is not allowed")]
    Slash,
}

/// Whether a text can be the name of an object: a DNS subdomain (`IsDNS1123Subdomain`).
///
/// # Errors
/// It cannot.
pub fn check_name(name: &str) -> Result<(), Refused> {
    check_whole(name)?;
    if name.len() > NAME_LIMIT {
        return Err(Refused::TooLong(NAME_LIMIT));
    }
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if let Some(c) = name
        .chars()
        .find(|c| !is_alphanumeric(*c) && !matches!(c, '-' | '.'))
    {
        return Err(if c.is_ascii_uppercase() {
            Refused::UpperCase
        } else {
            Refused::Character(c)
        });
    }
    for part in name.split('.') {
        check_ends(part, is_alphanumeric, '.')?;
    }
    Ok(())
}

/// Whether a text can be the name of a namespace: a DNS label (`IsDNS1123Label`).
///
/// # Errors
/// It cannot.
pub fn check_namespace(name: &str) -> Result<(), Refused> {
    check_name(name)?;
    if name.contains('.') {
        Err(Refused::Character('.'))
    } else if name.len() > LABEL_LIMIT {
        Err(Refused::TooLong(LABEL_LIMIT))
    } else {
        Ok(())
    }
}

/// Whether a text can be the value of a label (`IsValidLabelValue`).
///
/// # Errors
/// It cannot.
pub fn check_label_value(value: &str) -> Result<(), Refused> {
    if value.is_empty() {
        return Ok(());
    }
    check_whole(value)?;
    check_label(value)
}

/// Whether a text can be the key of a label, or a finalizer (`IsQualifiedName`).
///
/// # Errors
/// It cannot.
pub fn check_key(key: &str) -> Result<(), Refused> {
    check_whole(key)?;
    match key.split_once('/') {
        None => check_label(key),
        Some((prefix, name)) if !prefix.is_empty() && !name.is_empty() && !name.contains('/') => {
            check_name(prefix)?;
            check_label(name)
        }
        Some(_) => Err(Refused::Slash),
    }
}

/// Whether a text can be the key of an annotation, in which case does not count
/// (`ValidateAnnotations`).
///
/// # Errors
/// It cannot.
pub fn check_annotation_key(key: &str) -> Result<(), Refused> {
    if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
        check_key(&key.to_ascii_lowercase())
    } else {
        check_key(key)
    }
}

/// What is wrong with a text as a whole, which says more than its first wrong character.
fn check_whole(text: &str) -> Result<(), Refused> {
    if text.is_empty() {
        Err(Refused::Empty)
    } else if text.contains("<no value>") || text.contains("<nil>") {
        Err(Refused::NoValue)
    } else if text.contains("{{") || text.contains("}}") {
        Err(Refused::NotRendered)
    } else if text.contains("://") {
        Err(Refused::Url)
    } else if text.contains(['\n', '\r']) {
        Err(Refused::LineBreak)
    } else {
        Ok(())
    }
}

fn check_label(text: &str) -> Result<(), Refused> {
    let is_alphanumeric = |c: char| c.is_ascii_alphanumeric();
    if let Some(c) = text
        .chars()
        .find(|c| !is_alphanumeric(*c) && !matches!(c, '-' | '_' | '.'))
    {
        return Err(Refused::Character(c));
    }
    if text.len() > LABEL_LIMIT {
        return Err(Refused::TooLong(LABEL_LIMIT));
    }
    check_ends(text, is_alphanumeric, '.')
}

/// Whether a text begins and ends with what it may. `between` is what an empty one is next to.
fn check_ends(text: &str, allowed: impl Fn(char) -> bool, between: char) -> Result<(), Refused> {
    let ends = [text.chars().next(), text.chars().next_back()];
    let wrong = ends.into_iter().find(|end| !end.is_some_and(&allowed));
    match wrong {
        None => Ok(()),
        Some(end) => Err(Refused::Character(end.unwrap_or(between))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_subdomains() {
        let long = "a".repeat(254);
        for (name, expected) in [
            ("shop-stg", Ok(())),
            ("a.b-c.9", Ok(())),
            (&long[..253], Ok(())),
            (&*long, Err(Refused::TooLong(253))),
            ("", Err(Refused::Empty)),
            ("Shop", Err(Refused::UpperCase)),
            ("shop_stg", Err(Refused::Character('_'))),
            ("shop stg", Err(Refused::Character(' '))),
            ("-shop", Err(Refused::Character('-'))),
            ("shop-", Err(Refused::Character('-'))),
            ("a..b", Err(Refused::Character('.'))),
            ("a.", Err(Refused::Character('.'))),
            ("https://stg.example.com-infra", Err(Refused::Url)),
            ("stg-infra\n", Err(Refused::LineBreak)),
            ("<no value>-infra", Err(Refused::NoValue)),
            ("{{name}}-infra", Err(Refused::NotRendered)),
            ("{name}-infra", Err(Refused::Character('{'))),
            ("stg/infra", Err(Refused::Character('/'))),
            ("größe", Err(Refused::Character('ö'))),
        ] {
            assert_eq!(check_name(name), expected, "{name}");
        }
    }

    #[test]
    fn namespaces_are_dns_labels() {
        let long = "a".repeat(64);
        for (name, expected) in [
            ("argocd-2", Ok(())),
            (&long[..63], Ok(())),
            (&*long, Err(Refused::TooLong(63))),
            ("argo.cd", Err(Refused::Character('.'))),
            ("ArgoCD", Err(Refused::UpperCase)),
            ("", Err(Refused::Empty)),
        ] {
            assert_eq!(check_namespace(name), expected, "{name}");
        }
    }

    #[test]
    fn label_values_are_short_words() {
        let long = "a".repeat(64);
        for (value, expected) in [
            ("", Ok(())),
            ("Prod_1.2-a", Ok(())),
            (&long[..63], Ok(())),
            (&*long, Err(Refused::TooLong(63))),
            ("https://stg.example.com", Err(Refused::Url)),
            ("apps/cart", Err(Refused::Character('/'))),
            ("<no value>", Err(Refused::NoValue)),
            ("{{ .x }}", Err(Refused::NotRendered)),
            ("-a", Err(Refused::Character('-'))),
            ("a.", Err(Refused::Character('.'))),
            ("a b", Err(Refused::Character(' '))),
            ("a\n", Err(Refused::LineBreak)),
        ] {
            assert_eq!(check_label_value(value), expected, "{value}");
        }
    }

    #[test]
    fn keys_may_have_a_prefix() {
        let long = "a".repeat(64);
        for (key, expected) in [
            ("team", Ok(())),
            ("example.com/Team_1", Ok(())),
            ("Example.com/team", Err(Refused::UpperCase)),
            ("a/b/c", Err(Refused::Slash)),
            ("/b", Err(Refused::Slash)),
            ("a/", Err(Refused::Slash)),
            ("", Err(Refused::Empty)),
            (&*long, Err(Refused::TooLong(63))),
            ("https://a/b", Err(Refused::Url)),
            ("<no value>", Err(Refused::NoValue)),
        ] {
            assert_eq!(check_key(key), expected, "{key}");
        }
        assert_eq!(check_annotation_key("Example.com/team"), Ok(()));
        assert_eq!(check_annotation_key("a/b/c"), Err(Refused::Slash));
    }
}
