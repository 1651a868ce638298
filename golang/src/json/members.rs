//! JSON as Go's `encoding/json` reads it into a struct.
//!
//! Field names match whatever their case, duplicates are applied in order so that the last one
//! counts, and `null` clears some types and leaves others. A derived serde struct sees none of
//! this, so a credential under another spelling would pass unseen. Here an object is read into its
//! members in order, and each name is folded to the field that it stands for.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Text;

/// The members of an object in their order, or `None` for `null`.
#[derive(Debug)]
pub struct Members<'a>(pub Option<Vec<(Text<'a>, &'a RawValue)>>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(Some(members)))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Members(None))
    }
}

/// How a field name is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Spelling {
    /// As its documentation has it.
    Canonical,
    /// In a way that only Go accepts.
    Other,
}

/// The field that a name stands for, as Go would match it.
pub fn fold<'f>(name: &str, fields: &[&'f str]) -> Option<(&'f str, Spelling)> {
    let exact = fields.iter().find(|field| **field == name);
    let folded = || fields.iter().find(|field| folds_to(name, field));
    exact
        .map(|field| (*field, Spelling::Canonical))
        .or_else(|| folded().map(|field| (*field, Spelling::Other)))
}

/// Unicode's simple folding on names of ASCII letters: beside the two cases there are only two
/// other characters that fold to an ASCII letter, the Kelvin sign and the long s.
pub fn folds_to(name: &str, field: &str) -> bool {
    let fold = |character: char| match character {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(field.chars().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_as_in_go() {
        let fields = ["bearerToken", "tlsClientConfig"];
        let canonical = Some(("bearerToken", Spelling::Canonical));
        let other = Some(("bearerToken", Spelling::Other));
        assert_eq!(fold("bearerToken", &fields), canonical);
        assert_eq!(fold("BEARERTOKEN", &fields), other);
        assert_eq!(fold("bearerTo\u{212a}en", &fields), other);
        assert_eq!(fold("bearer_token", &fields), None);
    }
}
