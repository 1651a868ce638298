//! Addresses of resources, such as `module.addons["eu"].helm_release.karpenter[0]`.

/// An address without the keys of instances, as configuration and `removed` blocks name a resource:
/// `module.addons.helm_release.karpenter`.
pub(crate) fn without_keys(address: &str) -> String {
    let mut kept = String::with_capacity(address.len());
    let (mut is_in_key, mut is_in_text, mut is_escaped) = (false, false, false);
    for character in address.chars() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_in_text => is_escaped = true,
            '"' if is_in_key => is_in_text = !is_in_text,
            '[' if !is_in_key => is_in_key = true,
            ']' if is_in_key && !is_in_text => is_in_key = false,
            other if !is_in_key => kept.push(other),
            _ => {}
        }
    }
    kept
}

/// The modules that a resource is in, from the top, and its address in the last of them. The address
/// has no keys.
pub(super) fn modules_of(address: &str) -> (Vec<String>, String) {
    let mut modules = Vec::new();
    let mut rest = address;
    while let Some(below) = rest.strip_prefix("module.") {
        let (name, after) = below.split_once('.').unwrap_or((below, ""));
        modules.push(name.to_owned());
        rest = after;
    }
    (modules, rest.to_owned())
}

/// A text as one word of a POSIX shell.
pub(super) fn shell_word(text: &str) -> String {
    let is_plain = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | '/')
    };
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_instances_are_left_out() {
        for (address, expected) in [
            ("helm_release.x", "helm_release.x"),
            ("helm_release.x[0]", "helm_release.x"),
            (r#"helm_release.x["a.b"].name"#, "helm_release.x.name"),
            (
                r#"module.a["x]\"[y"].module.b[1].helm_release.x["k"]"#,
                "module.a.module.b.helm_release.x",
            ),
            (r#"helm_release.x["cut"#, "helm_release.x"),
        ] {
            assert_eq!(without_keys(address), expected);
        }
    }

    #[test]
    fn modules_are_told_from_the_resource() {
        let of = |address| {
            let (modules, rest) = modules_of(address);
            (modules.join("/"), rest)
        };
        assert_eq!(
            of("helm_release.x"),
            (String::new(), "helm_release.x".into())
        );
        assert_eq!(
            of("module.a.module.b.helm_release.x"),
            ("a/b".into(), "helm_release.x".into())
        );
        assert_eq!(of("module.a"), ("a".into(), String::new()));
    }

    #[test]
    fn a_shell_reads_a_word_as_it_was() {
        assert_eq!(shell_word("helm_release.x"), "helm_release.x");
        assert_eq!(
            shell_word(r#"helm_release.x["it's $HOME"]"#),
            r#"'helm_release.x["it'\''s $HOME"]'"#
        );
        assert_eq!(shell_word(""), "''");
    }
}
