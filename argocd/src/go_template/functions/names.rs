//! Argo CD's `normalize` and `slugify` (`applicationset/utils`, gosimple/slug).

use super::strings::to_lower;
use super::{Argument, Function, Outcome, text};
use crate::go_template::value::Value;
use crate::go_template::work::Work;
use crate::go_template::{fails, undecided};

use Argument::{Any, Text};

/// What a DNS name may be long.
const NAME_LIMIT: usize = 253;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("normalize", &[Text], |_, given| {
        Ok(Value::from(sanitize_name(text(given, 0))))
    }),
    Function::new("slugify", &[], slugify).variadic(Any),
];

/// A name in lower case of which every character that a DNS name cannot have is a dash: Argo CD's
/// `SanitizeName`.
pub(in crate::go_template) fn sanitize_name(name: &str) -> String {
    let allowed = |one: char| matches!(one, '-' | '.' | 'a'..='z' | '0'..='9');
    let name = to_lower(name);
    let characters = name.chars().map(|one| if allowed(one) { one } else { '-' });
    let name: String = characters.take(NAME_LIMIT).collect();
    name.trim_matches(['-', '.']).to_owned()
}

/// `slugify [maximum [smart]] name`.
fn slugify(_: &Work, given: &[Value]) -> Outcome {
    let (maximum, smart, name) = match given {
        [] => (50, true, ""),
        [Value::Text(name)] => (50, true, &**name),
        [Value::Int(maximum), Value::Text(name)] => (*maximum, true, &**name),
        [
            Value::Int(maximum),
            Value::Bool(smart),
            ..,
            Value::Text(name),
        ] => (*maximum, *smart, &**name),
        _ => return Err(fails("slugify takes an int, a bool and a string")),
    };
    let mut slug = sanitize_name(name);
    if !smart {
        let limit = usize::try_from(maximum)
            .map_err(|_| fails(format!("slice bounds out of range [:{maximum}]")))?;
        slug.truncate(limit);
    }
    let mut slug = slug.replace('.', "-");
    while slug.contains("--") {
        slug = slug.replace("--", "-");
    }
    let slug = slug.trim_matches(['-', '_']);
    match usize::try_from(maximum) {
        Ok(limit @ 1..) if smart && slug.len() > limit => {
            let head = slug.get(..=limit).unwrap_or(slug);
            let end = head.rfind('-').unwrap_or(limit);
            Ok(Value::from(slug.get(..end).unwrap_or(slug)))
        }
        Ok(_) => Ok(Value::from(slug)),
        Err(_) if smart => Ok(Value::from(slug)),
        Err(_) => Err(undecided("slugify with a negative length")),
    }
}
