//! Sprig's `urlParse` and `urlJoin` (`url.go`), for URLs of which all is plain.

use super::{Argument, Body, Function, Outcome, text};
use crate::template::undecided;
use crate::template::value::{Element, Entries, Map, Value};
use crate::work::{PLACE, Work};
use std::sync::Arc;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("urlParse", &[Argument::Text], url_parse),
    Function::with_body("urlJoin", Body::Undecided),
];

/// `url.Parse`. What needs decoding, or might be refused, is left to Go.
fn url_parse(work: &Work, given: &[Value]) -> Outcome {
    work.spend(8 * PLACE)?;
    let url = text(given, 0);
    let special = || undecided("urlParse of such a URL");
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "-._~:/?#@!$&'()*+,;=".contains(one);
    if !url.chars().all(is_plain) || url.starts_with("//") {
        return Err(special());
    }
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if fragment.contains('#') || fragment.contains('&') && fragment.contains('%') {
        return Err(special());
    }
    let (scheme, authority, path) = match rest.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            (scheme.to_ascii_lowercase(), authority, path)
        }
        None if rest.contains(':') => return Err(special()),
        None => (String::new(), "", rest),
    };
    let is_scheme = scheme.starts_with(|one: char| one.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || "+-.".contains(one));
    if rest.contains("://") && !is_scheme {
        return Err(special());
    }
    let (userinfo, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let hostname = host.split_once(':').map_or(host, |(name, _)| name);
    let port = host.split_once(':').map_or("", |(_, port)| port);
    let is_name = |text: &str| {
        text.chars()
            .all(|one| one.is_ascii_alphanumeric() || "-._~".contains(one))
    };
    let plain_user = userinfo.split(':').all(is_name) && userinfo.matches(':').count() < 2;
    if !is_name(hostname) || !port.bytes().all(|byte| byte.is_ascii_digit()) || !plain_user {
        return Err(special());
    }
    let parts = [
        ("scheme", scheme.as_str()),
        ("host", host),
        ("hostname", hostname),
        ("path", path),
        ("query", query),
        ("opaque", ""),
        ("fragment", fragment),
        ("userinfo", userinfo),
    ];
    let members: Entries = parts
        .into_iter()
        .map(|(key, part)| (Arc::from(key), Value::from(part)))
        .collect();
    Map::open(Element::Any, members).map(Value::Map)
}
