//! Wildcards of IAM: `*` is any text, `?` any one character.

/// Whether a text is one of those that a pattern means.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at_pattern, mut at_text) = (0, 0);
    // Behind the last `*`, and the text that this has not taken.
    let mut last: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some('*') => {
                last = Some((at_pattern + 1, at_text));
                at_pattern += 1;
            }
            Some(&own) if own == '?' || own == text[at_text] => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => {
                let Some((behind, taken)) = last else {
                    return false;
                };
                at_pattern = behind;
                at_text = taken + 1;
                last = Some((behind, taken + 1));
            }
        }
    }
    pattern[at_pattern..].iter().all(|rest| *rest == '*')
}

/// The same without case, as names of actions are compared.
pub(crate) fn matches_without_case(pattern: &str, text: &str) -> bool {
    matches(&pattern.to_lowercase(), &text.to_lowercase())
}

/// The same for ARNs: no wildcard goes beyond a colon of the first five.
pub(crate) fn matches_arn(pattern: &str, arn: &str) -> bool {
    let patterns: Vec<&str> = pattern.splitn(6, ':').collect();
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    patterns.len() == parts.len()
        && patterns
            .iter()
            .zip(&parts)
            .all(|(pattern, part)| matches(pattern, part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is meant, said in the slowest way.
    fn means(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|taken| means(rest, &text[taken..])),
            [one, rest @ ..] => text
                .split_first()
                .is_some_and(|(first, text)| (*one == '?' || one == first) && means(rest, text)),
        }
    }

    proptest! {
        #[test]
        fn a_pattern_means_what_its_wildcards_say(pattern in "[ab*?:]{0,8}", text in "[ab:]{0,10}") {
            let all = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), means(&all(&pattern), &all(&text)));
        }

        #[test]
        fn a_text_without_wildcards_means_itself(text in "[^*?]{0,20}", other in "[^*?]{0,20}") {
            prop_assert!(matches(&text, &text));
            prop_assert_eq!(matches(&text, &other), text == other);
        }

        #[test]
        fn any_part_can_be_a_star(text in ".{0,12}", from in 0_usize..12, length in 0_usize..12) {
            let characters: Vec<char> = text.chars().filter(|c| !"*?".contains(*c)).collect();
            let from = from.min(characters.len());
            let to = (from + length).min(characters.len());
            let text: String = characters.iter().collect();
            let start: String = characters[..from].iter().collect();
            let end: String = characters[to..].iter().collect();
            let pattern = format!("{start}*{end}");
            prop_assert!(matches(&pattern, &text), "{pattern} {text}");
        }

        #[test]
        fn case_plays_no_part_in_actions(text in "[a-zA-Z:]{0,12}") {
            prop_assert!(matches_without_case(&text.to_uppercase(), &text.to_lowercase()));
        }
    }

    #[test]
    fn a_wildcard_of_an_arn_stays_between_colons() {
        let role = "arn:aws:iam::111122223333:role/team/argocd";
        for pattern in [
            role,
            "arn:aws:iam::111122223333:role/*",
            "arn:*:iam::*:role/team/argocd",
            "arn:aws:iam::??????223333:role/*argocd",
        ] {
            assert!(matches_arn(pattern, role), "{pattern}");
        }
        for pattern in ["*", "arn:aws:iam::*", "arn:*:role/team/argocd", ""] {
            assert!(!matches_arn(pattern, role), "{pattern}");
        }
    }
}
