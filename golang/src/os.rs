//! Go's `os.Expand`.

/// Replaces `$name` and `${name}` by what the names mean (Go 1.26, `os.Expand`). A name that is not
/// in braces is one of the shell's special characters, such as `$` itself or a digit, or as many
/// letters, digits and underscores as there are. A `$` before anything else stays; `${}` and a `${`
/// without its end do not.
pub fn expand<'t>(text: &'t str, mut meaning: impl FnMut(&'t str) -> String) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        let after = &from[1..];
        expanded.push_str(before);
        if after.is_empty() {
            rest = from;
            break;
        }
        let (name, length) = name_at(after);
        match name {
            "" if length == 0 => expanded.push('$'),
            "" => {}
            name => expanded.push_str(&meaning(name)),
        }
        rest = &after[length..];
    }
    expanded.push_str(rest);
    expanded
}

/// The name that a text begins with, and the bytes that it takes with its braces
/// (`os.getShellName`).
fn name_at(text: &str) -> (&str, usize) {
    let bytes = text.as_bytes();
    if bytes[0] == b'{' {
        if bytes.len() > 2 && is_special(bytes[1]) && bytes[2] == b'}' {
            return (&text[1..2], 3);
        }
        return match text.find('}') {
            Some(1) => ("", 2),
            Some(end) => (&text[1..end], end + 1),
            None => ("", 1),
        };
    }
    if is_special(bytes[0]) {
        return (&text[..1], 1);
    }
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = bytes.iter().take_while(|byte| is_part(byte)).count();
    (&text[..length], length)
}

fn is_special(byte: u8) -> bool {
    matches!(
        byte,
        b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expanded(text: &str) -> String {
        expand(text, |name| match name {
            "APP" => "orders".to_owned(),
            "$" => "$".to_owned(),
            name => format!("<{name}>"),
        })
    }

    /// The answers are those of Go's own tests and of `os.Expand`, tried by hand.
    #[test]
    fn names_are_replaced_as_go_does() {
        for (text, expected) in [
            ("", ""),
            ("none", "none"),
            ("$APP/values.yaml", "orders/values.yaml"),
            ("${APP}-x", "orders-x"),
            ("$APPx", "<APPx>"),
            ("$$APP", "$APP"),
            ("${$}APP", "$APP"),
            ("$1x", "<1>x"),
            ("$-a", "<->a"),
            ("a$", "a$"),
            ("$(APP)", "$(APP)"),
            ("$é", "$é"),
            ("${}x", "x"),
            ("${APP", "APP"),
            ("${a b}", "<a b>"),
        ] {
            assert_eq!(expanded(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "[${}a-z0-9é*]{0,20}") {
            expanded(&text);
        }
    }
}
