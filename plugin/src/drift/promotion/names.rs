//! What environments are called, in names of all kinds.

use serde_json::Value;

use super::ObjectName;

/// What stands for a word that names an environment.
const NEUTRAL: &str = "*";

/// Words that name an environment, the longest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Words(Vec<String>);

impl Words {
    pub(crate) fn new(words: impl IntoIterator<Item = String>) -> Self {
        let mut words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.sort_by_key(|word| (std::cmp::Reverse(word.len()), word.clone()));
        words.dedup();
        Words(words)
    }

    /// A text with one sign for each of the words, where it stands as a whole word.
    pub(crate) fn neutral_text(&self, text: &str) -> String {
        let mut neutral = String::with_capacity(text.len());
        let mut rest = text;
        let mut is_start = true;
        while let Some(c) = rest.chars().next() {
            let word = self.0.iter().find(|word| {
                let after = rest.strip_prefix(word.as_str());
                is_start && after.is_some_and(|after| !after.starts_with(char::is_alphanumeric))
            });
            let length = if let Some(word) = word {
                neutral.push_str(NEUTRAL);
                word.len()
            } else {
                neutral.push(c);
                c.len_utf8()
            };
            let (read, after) = rest.split_at(length);
            is_start = !read.ends_with(char::is_alphanumeric);
            rest = after;
        }
        neutral
    }

    /// A value with one sign for each of the words in its texts.
    pub(crate) fn neutral(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.neutral_text(text).into(),
            Value::Array(elements) => elements.iter().map(|one| self.neutral(one)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (self.neutral_text(name), self.neutral(value)))
                .collect(),
            other => other.clone(),
        }
    }

    /// What an object is called in all environments. Its namespace is the environment's affair.
    pub(super) fn key(&self, object: &ObjectName) -> ObjectName {
        ObjectName {
            namespace: self.neutral_text(&object.namespace),
            name: self.neutral_text(&object.name),
            ..object.clone()
        }
    }
}

/// The words of a name, between signs.
pub(crate) fn words_of(name: &str) -> impl Iterator<Item = &str> {
    let is_sign = |c: char| !c.is_alphanumeric();
    name.split(is_sign).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_name_an_environment() {
        let words = Words::new(["prod", "prod-eu", ""].map(str::to_owned));
        for (text, expected) in [
            ("shop-prod-eu", "shop-*"),
            ("prod", "*"),
            ("shop.prod.example.com", "shop.*.example.com"),
            ("https://shop-prod/prod", "https://shop-*/*"),
            ("product-reproduced", "product-reproduced"),
            ("prod1", "prod1"),
            ("", ""),
        ] {
            assert_eq!(words.neutral_text(text), expected);
        }
    }
}
