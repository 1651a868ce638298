//! URLs as Go's `net/url` parses and prints them (Go 1.26).
//!
//! What that package escapes on the way is part of the result, so a general URL crate, which
//! follows another standard, would give other strings.

use std::borrow::Cow;

/// Which part of a URL is escaped; each has its own set of plain characters.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Part {
    User,
    Host,
    Path,
    Fragment,
}

impl Part {
    fn is_plain(self, byte: u8) -> bool {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            return true;
        }
        match self {
            Part::User => b"$&+,;=".contains(&byte),
            Part::Host => b"!$&'()*+,;=:[]<>\"".contains(&byte),
            Part::Path => b"$&+,/:;=@".contains(&byte),
            Part::Fragment => b"$&+,/:;=?@!()*".contains(&byte),
        }
    }
}

fn escape(text: &[u8], part: Part) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for &byte in text {
        if part.is_plain(byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The bytes behind the percent escapes, or `None` if an escape is malformed or a character is
/// not allowed in a host.
fn unescape(text: &str, part: Part) -> Option<Cow<'_, [u8]>> {
    let bytes = text.as_bytes();
    if part == Part::Host
        && bytes
            .iter()
            .any(|&byte| byte.is_ascii() && byte != b'%' && !part.is_plain(byte))
    {
        return None;
    }
    if !bytes.contains(&b'%') {
        return Some(Cow::Borrowed(bytes));
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'%' {
            plain.push(byte);
            rest = tail;
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let value = u8::from_str_radix(digits, 16).ok()?;
        // In a host, Go allows escapes for bytes beyond ASCII and for the percent sign only.
        if part == Part::Host && value < 0x80 && value != b'%' {
            return None;
        }
        plain.push(value);
        rest = &tail[2..];
    }
    Some(Cow::Owned(plain))
}

/// A path or fragment as Go prints it: as it was written where that is valid, else escaped anew.
fn print_component(written: &str, part: Part, plain_as_written: &[u8]) -> Option<String> {
    let unescaped = unescape(written, part)?;
    let escaped = escape(&unescaped, part);
    let valid = written
        .bytes()
        .all(|byte| byte == b'%' || plain_as_written.contains(&byte) || part.is_plain(byte));
    Some(if escaped == written || valid {
        written.to_owned()
    } else {
        escaped
    })
}

/// Characters that Go leaves alone in a path or fragment that was written with them.
const PLAIN_AS_WRITTEN: &[u8] = b"!$&'()*+,;=:@[]";

/// `url.Parse(text).String()`, or `None` where parsing fails.
pub fn reprint(text: &str) -> Option<String> {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return None;
    }
    let mut printed = if text == "*" {
        "*".to_owned()
    } else {
        reprint_without_fragment(text)?
    };
    if !fragment.is_empty() {
        printed.push('#');
        printed.push_str(&print_component(
            fragment,
            Part::Fragment,
            PLAIN_AS_WRITTEN,
        )?);
    }
    Some(printed)
}

/// Whether Go takes a text for a URL with a scheme: `url.Parse(text).Scheme` is there.
pub fn has_scheme(text: &str) -> bool {
    let scheme = split_scheme(text).map_or("", |(scheme, _)| scheme);
    !scheme.is_empty() && reprint(text).is_some()
}

fn reprint_without_fragment(text: &str) -> Option<String> {
    let (scheme, rest) = split_scheme(text)?;
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let mut printed = String::with_capacity(text.len());
    if !scheme.is_empty() {
        printed.push_str(scheme);
        printed.push(':');
    }
    if !scheme.is_empty() && !rest.starts_with('/') {
        printed.push_str(rest);
    } else {
        print_hierarchy(scheme, rest, &mut printed)?;
    }
    if let Some(query) = query {
        printed.push('?');
        printed.push_str(query);
    }
    Some(printed)
}

fn print_hierarchy(scheme: &str, rest: &str, printed: &mut String) -> Option<()> {
    let relative = !rest.starts_with('/');
    if relative
        && rest
            .split('/')
            .next()
            .is_some_and(|first| first.contains(':'))
    {
        return None;
    }
    let has_authority = rest.starts_with("//") && (!scheme.is_empty() || !rest.starts_with("///"));
    let path = if has_authority {
        let authority_and_path = &rest[2..];
        let end = authority_and_path
            .find('/')
            .unwrap_or(authority_and_path.len());
        let (authority, path) = authority_and_path.split_at(end);
        if !scheme.is_empty() || !authority.is_empty() {
            let printed_authority = reprint_authority(scheme, authority)?;
            if !printed_authority.is_empty() || !path.is_empty() {
                printed.push_str("//");
                printed.push_str(&printed_authority);
            }
        }
        path
    } else {
        rest
    };
    let path = if path == "*" {
        path.to_owned()
    } else {
        print_component(path, Part::Path, PLAIN_AS_WRITTEN)?
    };
    printed.push_str(&path);
    Some(())
}

/// The scheme, empty if there is none, and what follows. `None` for a leading colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return None,
            b':' => return Some((&text[..index], &text[index + 1..])),
            _ => break,
        }
    }
    Some(("", text))
}

fn reprint_authority(scheme: &str, authority: &str) -> Option<String> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let mut printed = String::new();
    if let Some(user) = user {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
        if !user.chars().all(allowed) {
            return None;
        }
        let parts: Option<Vec<String>> = user
            .splitn(2, ':')
            .map(|part| Some(escape(&unescape(part, Part::User)?, Part::User)))
            .collect();
        printed.push_str(&parts?.join(":"));
        printed.push('@');
    }
    if !has_valid_port(scheme, host) {
        return None;
    }
    printed.push_str(&escape(&unescape(host, Part::Host)?, Part::Host));
    Some(printed)
}

fn has_valid_port(scheme: &str, host: &str) -> bool {
    if let Some(bracketed) = host.strip_prefix('[') {
        let Some((address, port)) = bracketed.rsplit_once(']') else {
            return false;
        };
        let address = address.split("%25").next().unwrap_or_default();
        return address.parse::<std::net::Ipv6Addr>().is_ok() && is_optional_port(port);
    }
    if host.contains('[') {
        return false;
    }
    let strict = matches!(scheme, "http" | "https");
    let colon = if strict {
        host.find(':')
    } else {
        host.rfind(':')
    };
    colon.is_none_or(|colon| is_optional_port(&host[colon..]))
}

fn is_optional_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}
