//! Fields of custom resources that hold values of Kubernetes' own types.
//!
//! Follows Argo CD 3.5, `util/argo/normalizers/knowntypes_normalizer.go`.

use serde_json::Value;

use super::object::{group_of, kind_of};
use super::scheme::{Mismatch, Scheme, Type, decode, encode};
use super::settings::KnownTypeField;

/// Writes the fields of an object that are configured for its kind in one way. The pods of a
/// Rollout are configured by default.
///
/// # Errors
/// A value is not of its type. What comes after it is left as it is.
pub(super) fn normalize(object: &mut Value, fields: &[KnownTypeField]) -> Result<(), Mismatch> {
    let (group, kind) = (group_of(object).to_owned(), kind_of(object).1.to_owned());
    let mut is_configured = false;
    for field in fields {
        let is_meant = field.group == group && field.kind == kind;
        if let Some(of) = named(&field.type_name).filter(|_| is_meant) {
            is_configured = true;
            rewrite(object, &field.path, &of)?;
        }
    }
    if !is_configured && group == "argoproj.io" && kind == "Rollout" {
        let path = ["spec", "template", "spec"].map(str::to_owned);
        if let Some(of) = named("core/v1/PodSpec") {
            rewrite(object, &path, &of)?;
        }
    }
    Ok(())
}

/// The type that Argo CD has a name for.
fn named(name: &str) -> Option<Type> {
    match name {
        "core/Quantity" => Some(Type::Quantity),
        "meta/v1/Duration" => Some(Type::Duration),
        _ => {
            let of = name.strip_prefix("core/v1/")?;
            let number = Scheme::kubernetes().named(&format!("core/v1.{of}"))?;
            Some(Type::Struct(number))
        }
    }
}

fn rewrite(value: &mut Value, path: &[String], of: &Type) -> Result<(), Mismatch> {
    let mut value = value;
    for (at, name) in path.iter().enumerate() {
        let Some(below) = value
            .as_object_mut()
            .and_then(|members| members.get_mut(name))
        else {
            return Ok(());
        };
        value = below;
        if let Value::Array(items) = value {
            let rest = &path[at + 1..];
            for item in items.iter_mut().filter(|item| item.is_object()) {
                if rest.is_empty() {
                    *item = encode(of, &decode(of, item)?);
                } else {
                    rewrite(item, rest, of)?;
                }
            }
            return Ok(());
        }
    }
    *value = encode(of, &decode(of, value)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(path: &str, type_name: &str) -> KnownTypeField {
        KnownTypeField {
            group: "x.io".to_owned(),
            kind: "X".to_owned(),
            path: path.split('.').map(str::to_owned).collect(),
            type_name: type_name.to_owned(),
        }
    }

    fn normalized(spec: &Value, fields: &[KnownTypeField]) -> Value {
        let mut object = json!({"apiVersion": "x.io/v1", "kind": "X", "spec": spec});
        let _ = normalize(&mut object, fields);
        object["spec"].take()
    }

    #[test]
    fn quantities_and_durations_are_written_in_one_way() {
        let fields = [
            field("spec.q", "core/Quantity"),
            field("spec.d", "meta/v1/Duration"),
        ];
        assert_eq!(
            normalized(&json!({"q": 0.5, "d": "90s", "x": 1}), &fields),
            json!({"q": "500m", "d": "1m30s", "x": 1})
        );
        // What comes after a value that cannot be read is left alone.
        assert_eq!(
            normalized(&json!({"q": "x", "d": "90s"}), &fields),
            json!({"q": "x", "d": "90s"})
        );
        assert_eq!(
            normalized(&json!({"q": "1000m"}), &[field("spec.q", "core/v1/Bogus")])["q"],
            "1000m"
        );
    }

    #[test]
    fn lists_are_passed_through() {
        let fields = [field("spec.items.r", "core/v1/ResourceRequirements")];
        assert_eq!(
            normalized(
                &json!({"items": [{"r": {"limits": {"cpu": "0.1"}, "other": 1}}, 1]}),
                &fields
            ),
            json!({"items": [{"r": {"limits": {"cpu": "100m"}}}, 1]})
        );
    }
}
