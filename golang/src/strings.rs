//! Texts as Go's `strings` changes them.

/// Go's `strings.ToLower`, which maps character by character.
pub fn to_lower(text: &str) -> String {
    text.chars().map(lower).collect()
}

pub(crate) fn lower(character: char) -> char {
    // Only U+0130 becomes two characters, of which Go takes the first.
    character.to_lowercase().next().unwrap_or(character)
}
