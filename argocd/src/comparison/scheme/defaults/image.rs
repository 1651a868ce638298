//! Names of container images.

use std::sync::LazyLock;

use regex::Regex;

/// Longest name that is read, in bytes; registries refuse longer ones.
const LENGTH_LIMIT: usize = 1_024;

static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let host = format!(r"(?:{label}(?:\.{label})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?");
    let part = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
    let tag = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
    let digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
    Regex::new(&format!(
        "^{host}(?:/{part})+(?::({tag}))?(?:@({digest}))?$"
    ))
    .ok()
});

/// Whether an image is always pulled by default: it has the tag `latest`, or neither tag nor
/// digest. What is not a name of an image has none of them (Kubernetes `ParseImageName`, with
/// distribution's `ParseNormalizedNamed`).
pub(super) fn is_latest(image: &str) -> bool {
    let Some(reference) = REFERENCE.as_ref() else {
        return false;
    };
    let is_identifier = |text: &str| {
        text.len() == 64
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if image.len() > LENGTH_LIMIT || is_identifier(image) {
        return false;
    }
    let host = image.split_once('/').map(|(host, _)| host);
    let is_host = host.is_some_and(|host| {
        host.contains(['.', ':']) || host == "localhost" || host.chars().any(char::is_uppercase)
    });
    let full = match is_host {
        true => image.to_owned(),
        false if image.contains('/') => format!("docker.io/{image}"),
        false => format!("docker.io/library/{image}"),
    };
    reference.captures(&full).is_some_and(|found| {
        found.get(2).is_none() && found.get(1).is_none_or(|tag| tag.as_str() == "latest")
            || found.get(1).is_some_and(|tag| tag.as_str() == "latest")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_pulled_always_if_it_has_no_other_tag() {
        let digest = format!("@sha256:{}", "0".repeat(64));
        for image in [
            "nginx",
            "nginx:latest",
            "shop/web",
            "registry.example.org:5000/web",
            "localhost/web",
            &format!("nginx:latest{digest}"),
        ] {
            assert!(is_latest(image), "{image}");
        }
        for image in [
            "nginx:1.25",
            "registry.example.org:5000/web:1",
            &format!("nginx{digest}"),
            &format!("nginx:1{digest}"),
            "",
            "Nginx",
            "nginx:",
            "a b",
            "shop/Web",
            &"0".repeat(64),
        ] {
            assert!(!is_latest(image), "{image}");
        }
    }
}
