//! The functions of a template that are neither Go's nor Sprig's (Argo CD 3.5,
//! `applicationset/utils`, gosimple/slug).

use std::sync::LazyLock;

use golang::strings::to_lower;
use golang::template::{
    Argument, Function, Functions, Outcome, TemplateError, Value, YAML_FUNCTIONS,
};
use golang::work::Work;

use Argument::{Any, Text};

/// What a DNS name may be long.
const NAME_LIMIT: usize = 253;

/// All functions that a template may call.
pub(super) static FUNCTIONS: LazyLock<Functions> =
    LazyLock::new(|| Functions::sprig().with(YAML_FUNCTIONS).with(OWN));

const OWN: &[Function] = &[
    Function::new("normalize", &[Text], |_, given| match given {
        [Value::Text(name), ..] => Ok(Value::from(sanitize_name(name))),
        _ => Ok(Value::from("")),
    }),
    Function::new("slugify", &[], slugify).variadic(Any),
    // Argo CD has it since 3.6 (applicationset/utils/template_functions.go, `tplFun`); before, it
    // is not defined.
    Function::undecided("tpl"),
];

/// A name in lower case of which every character that a DNS name cannot have is a dash: Argo CD's
/// `SanitizeName`, which `normalize` and `nameNormalized` are.
pub(super) fn sanitize_name(name: &str) -> String {
    let allowed = |one: char| matches!(one, '-' | '.' | 'a'..='z' | '0'..='9');
    let name = to_lower(name);
    let characters = name.chars().map(|one| if allowed(one) { one } else { '-' });
    let name: String = characters.take(NAME_LIMIT).collect();
    name.trim_matches(['-', '.']).to_owned()
}

fn fails(message: impl Into<String>) -> TemplateError {
    TemplateError::Fails(message.into())
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
        Err(_) => Err(TemplateError::Undecided(
            "slugify with a negative length".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use golang::template::{Engine, Parameters};
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    fn render(template: &str, parameters: &Json) -> Result<String, TemplateError> {
        let engine = Engine::new(&[], &FUNCTIONS, Work::new(1_000_000))?;
        let parameters = Parameters::from(parameters.as_object().unwrap());
        engine.parse(template)?.execute(&parameters)
    }

    /// `vectors.jsonl` holds what Go gives for each template, as the one of the templates without
    /// these functions does.
    #[test]
    fn every_vector_comes_out_as_in_argo_cd_or_is_known_to_be_undecided() {
        let mut lines = include_str!("functions/vectors.jsonl")
            .lines()
            .map(|line| serde_json::from_str::<Json>(line).unwrap());
        let parameters = lines.next().unwrap();
        let vectors: Vec<Json> = lines.collect();
        assert!(vectors.len() > 25, "only {} vectors", vectors.len());
        for vector in vectors {
            let template = vector["template"].as_str().unwrap();
            let answer = render(template, &parameters["parameters"]);
            let is_right = match &answer {
                Err(TemplateError::Undecided(_)) => vector["undecided"] == true,
                _ if vector["undecided"] == true => false,
                Ok(output) => vector["output"] == output.as_str(),
                Err(TemplateError::Fails(_)) => vector["error"].is_string(),
                Err(TemplateError::TooMuch(_)) => false,
            };
            assert!(is_right, "{vector}\n  ours: {answer:?}");
        }
    }

    #[test]
    fn what_only_newer_versions_of_argo_cd_have_is_undecided_and_named() {
        let expected = TemplateError::Undecided("the function tpl".to_owned());

        assert_eq!(render("{{ tpl .template . }}", &json!({})), Err(expected));
    }

    proptest! {
        #[test]
        fn no_call_panics(
            function in "normalize|slugify|tpl",
            numbers in "(-?[0-9]{1,3} )?(true |false )?",
            text in "\\PC{0,300}",
        ) {
            let template = format!("{{{{{function} {numbers}.text}}}}");
            let _ = render(&template, &json!({"text": text}));
        }
    }
}
