//! Values of objects, as they are shown.

/// A JSON Pointer as people write field paths: `/spec/sources/1/repoURL` as
/// `spec.sources[1].repoURL`.
pub fn dotted(pointer: &str) -> String {
    let mut path = String::with_capacity(pointer.len());
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        let index = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
        if index || segment.contains(['.', '/']) {
            path.push('[');
            path.push_str(&segment);
            path.push(']');
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&segment);
        }
    }
    path
}

/// A text on one line, at most `limit` characters long, cut in the middle of nothing but itself.
///
/// Values come from whoever wrote the object: line breaks and control characters in them would
/// break a warning (the API server drops it) or forge a second line in a log.
pub fn shorten(text: &str, limit: usize) -> String {
    let printable = text.chars().map(|c| if is_printed(c) { c } else { ' ' });
    if text.chars().count() <= limit {
        return printable.collect();
    }
    let mut short: String = printable.take(limit.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The same, but that what gives way is in the middle: URLs often differ only at their ends.
pub(crate) fn shorten_middle(text: &str, limit: usize) -> String {
    let count = text.chars().count();
    if count <= limit {
        return shorten(text, limit);
    }
    let kept = limit.saturating_sub(1);
    let start: String = text.chars().take(kept / 2).collect();
    let end: String = text.chars().skip(count - (kept - kept / 2)).collect();
    let whole = format!("{start}…{end}");
    shorten(&whole, limit)
}

/// ` and 3 more`, behind the first of several; nothing if there are no others.
pub fn and_more(others: usize) -> String {
    match others {
        0 => String::new(),
        others => format!(" and {others} more"),
    }
}

/// Whether a character shows as itself, and leaves those around it where they are. Control
/// characters do not, nor do the marks that reorder a text, break a line, or have no width.
pub fn is_printed(c: char) -> bool {
    let reorders_or_hides = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !c.is_control() && !reorders_or_hides
}

/// A URL without what may be a password: only scheme, host and path remain.
pub(crate) fn without_user_info(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    match rest.rsplit_once('@') {
        // A password may hold anything, slashes included, so all that may be one goes.
        Some((user_info, host)) if !scheme.is_empty() || user_info.contains(':') => {
            format!("{scheme}{host}")
        }
        _ => format!("{scheme}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_read_like_field_paths() {
        assert_eq!(dotted("/spec/sources/1/repoURL"), "spec.sources[1].repoURL");
        assert_eq!(
            dotted("/metadata/annotations/kubectl-gitops.io~1autoscaled"),
            "metadata.annotations[kubectl-gitops.io/autoscaled]"
        );
        assert_eq!(dotted(""), "");
    }

    #[test]
    fn passwords_in_urls_are_not_repeated() {
        for (url, shown) in [
            ("https://deploy:hunter2@h/a/b", "https://h/a/b"),
            ("https://user:pa/hunter2@h/x", "https://h/x"),
            ("oauth2:hunter2@h/a.git", "h/a.git"),
            ("https://h/x.git?private_token=hunter2", "https://h/x.git"),
            ("https://h/x#hunter2", "https://h/x"),
            ("https:/user:hunter2@h/x", "h/x"),
        ] {
            assert_eq!(without_user_info(url), shown);
        }
        assert_eq!(without_user_info("git@h:a/b"), "git@h:a/b");
    }

    #[test]
    fn that_there_are_more_is_told_only_if_there_are() {
        assert_eq!(and_more(0), "");
        assert_eq!(and_more(2), " and 2 more");
    }

    #[test]
    fn the_ends_of_a_long_text_can_be_seen() {
        let url = "https://git.example.com/shop/some/long/path/orders";
        assert_eq!(shorten_middle(url, 60), url);
        assert_eq!(shorten_middle(url, 21), "https://gi…ath/orders");
        assert_eq!(shorten_middle("a\nb", 5), "a b");
    }
}
