//! Go's `path`, which on Linux is `path/filepath` too.

use super::{Argument, Function, text};
use crate::template::value::Value;

use Argument::Text;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::plain("base", &[Text], base),
    Function::plain("osBase", &[Text], base),
    Function::plain("dir", &[Text], dir),
    Function::plain("osDir", &[Text], dir),
    Function::new("clean", &[Text], |_, given| {
        Ok(Value::from(cleaned(text(given, 0))))
    }),
    Function::new("osClean", &[Text], |_, given| {
        Ok(Value::from(cleaned(text(given, 0))))
    }),
    Function::plain("ext", &[Text], ext),
    Function::plain("osExt", &[Text], ext),
    Function::plain("isAbs", &[Text], is_abs),
    Function::plain("osIsAbs", &[Text], is_abs),
];

fn base(given: &[Value]) -> Value {
    let path = text(given, 0);
    if path.is_empty() {
        return Value::from(".");
    }
    let path = path.trim_end_matches('/');
    let base = path.rsplit_once('/').map_or(path, |(_, base)| base);
    Value::from(if base.is_empty() { "/" } else { base })
}

fn dir(given: &[Value]) -> Value {
    let path = text(given, 0);
    let end = path.rfind('/').map_or(0, |slash| slash + 1);
    Value::from(cleaned(path.get(..end).unwrap_or_default()))
}

/// `path.Clean`.
fn cleaned(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn ext(given: &[Value]) -> Value {
    let path = text(given, 0);
    let name = path.rsplit('/').next().unwrap_or_default();
    let dot = name.rfind('.');
    Value::from(dot.and_then(|dot| name.get(dot..)).unwrap_or_default())
}

fn is_abs(given: &[Value]) -> Value {
    Value::from(text(given, 0).starts_with('/'))
}
