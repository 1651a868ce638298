//! Endpoints, whose subsets come in any order.

use serde_json::Value;

use crate::comparison::object::text;
use crate::comparison::scheme::{Scheme, Type, decode, encode};

/// Sorts subsets, and what is in them.
///
/// Argo CD sorts ports and subsets by a hash. Any order that both sides have in common gives the
/// same verdict, so it is that of their text here.
pub(super) fn normalize(object: &mut Value) {
    let Some(endpoints) = Scheme::kubernetes().named("core/v1.Endpoints") else {
        return;
    };
    let of = Type::Struct(endpoints);
    let Ok(mut typed) = decode(&of, object) else {
        return;
    };
    if let Some(Value::Array(subsets)) = typed.get_mut("subsets") {
        subsets.iter_mut().for_each(sort_subset);
    }
    *object = encode(&of, &typed);
    if let Some(Value::Array(subsets)) = object.get_mut("subsets") {
        subsets.sort_by_cached_key(Value::to_string);
    }
}

fn sort_subset(subset: &mut Value) {
    for name in ["addresses", "notReadyAddresses"] {
        if let Some(Value::Array(addresses)) = subset.get_mut(name) {
            addresses.sort_by_cached_key(|address| {
                let ip = text(address, "/ip").to_owned();
                // One without a target comes before those that have one.
                let target = address
                    .get("targetRef")
                    .map(|_| text(address, "/targetRef/uid"));
                (ip, target.map(str::to_owned))
            });
        }
    }
    if let Some(Value::Array(ports)) = subset.get_mut("ports") {
        for port in ports.iter_mut().filter_map(Value::as_object_mut) {
            port.entry("protocol").or_insert_with(|| "TCP".into());
        }
        ports.sort_by_cached_key(Value::to_string);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_subsets_addresses_and_ports_does_not_matter() {
        let mut one = json!({"subsets": [
            {"addresses": [{"ip": "10.0.0.2"}, {"ip": "10.0.0.1"}], "ports": [{"port": 1}]},
            {"addresses": [], "ports": [{"port": 3}, {"port": 2, "protocol": "UDP"}]},
        ]});
        let mut other = json!({"subsets": [
            {"ports": [{"port": 2, "protocol": "UDP"}, {"port": 3, "protocol": "TCP"}]},
            {"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}], "ports": [{"port": 1}]},
        ]});
        normalize(&mut one);
        normalize(&mut other);
        assert_eq!(one["subsets"].as_array().map(Vec::len), Some(2));
        assert!(one.to_string().contains("\"TCP\""));
        assert_eq!(one["subsets"], other["subsets"]);
    }
}
