//! Git's pathspecs, as `git ls-files PATHSPEC` understands them.

/// A compiled pathspec. Unlike in a shell, `*` and `?` also match `/`.
#[derive(Clone, Debug)]
pub(super) struct PathSpec {
    tokens: Vec<Token>,
    /// Without wildcards it means a file, or a folder with everything in it.
    literal: bool,
}

#[derive(Clone, Debug)]
enum Token {
    Character(char),
    AnyCharacter,
    AnyText,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl PathSpec {
    pub(super) fn new(pattern: &str) -> Self {
        let pattern = pattern.trim_start_matches("./").trim_start_matches('/');
        let characters: Vec<char> = pattern.chars().collect();
        let mut tokens = Vec::new();
        let mut rest = characters.as_slice();
        while let [first, tail @ ..] = rest {
            rest = tail;
            tokens.push(match first {
                '*' => {
                    while let ['*', tail @ ..] = rest {
                        rest = tail;
                    }
                    Token::AnyText
                }
                '?' => Token::AnyCharacter,
                '\\' => match rest {
                    [escaped, tail @ ..] => {
                        rest = tail;
                        Token::Character(*escaped)
                    }
                    [] => Token::Character('\\'),
                },
                '[' => match class(rest) {
                    Some((class, tail)) => {
                        rest = tail;
                        class
                    }
                    None => Token::Character('['),
                },
                other => Token::Character(*other),
            });
        }
        PathSpec {
            literal: !pattern.contains(['*', '?', '[']),
            tokens,
        }
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let characters: Vec<char> = path.chars().collect();
        if !self.literal {
            return matches(&self.tokens, &characters);
        }
        let starts = self.tokens.len() <= characters.len()
            && matches(&self.tokens, &characters[..self.tokens.len()]);
        let folder_ends = match characters.get(self.tokens.len()) {
            None => true,
            Some(next) => *next == '/' || self.ends_with_slash(),
        };
        starts && folder_ends
    }

    fn ends_with_slash(&self) -> bool {
        self.tokens.is_empty() || matches!(self.tokens.last(), Some(Token::Character('/')))
    }
}

/// What stands behind `[`, up to its `]`.
fn class(rest: &[char]) -> Option<(Token, &[char])> {
    let (negated, mut rest) = match rest {
        ['!' | '^', tail @ ..] => (true, tail),
        _ => (false, rest),
    };
    let mut ranges = Vec::new();
    loop {
        match rest {
            [']', tail @ ..] if !ranges.is_empty() => {
                return Some((Token::Class { negated, ranges }, tail));
            }
            [low, '-', high, tail @ ..] if *high != ']' => {
                ranges.push((*low, *high));
                rest = tail;
            }
            [one, tail @ ..] => {
                ranges.push((*one, *one));
                rest = tail;
            }
            [] => return None,
        }
    }
}

/// Goes back to the last `*` only, so that the work is the product of both lengths at most.
fn matches(tokens: &[Token], text: &[char]) -> bool {
    let (mut token, mut place) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while place < text.len() {
        let fits = match tokens.get(token) {
            Some(Token::AnyText) => {
                last_star = Some((token, place));
                token += 1;
                continue;
            }
            Some(Token::AnyCharacter) => true,
            Some(Token::Character(character)) => *character == text[place],
            Some(Token::Class { negated, ranges }) => {
                let inside = |(low, high): &(char, char)| (*low..=*high).contains(&text[place]);
                ranges.iter().any(inside) != *negated
            }
            None => false,
        };
        if fits {
            token += 1;
            place += 1;
        } else if let Some((star, from)) = last_star {
            last_star = Some((star, from + 1));
            token = star + 1;
            place = from + 1;
        } else {
            return false;
        }
    }
    tokens[token..]
        .iter()
        .all(|token| matches!(token, Token::AnyText))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_cross_slashes_and_a_folder_means_everything_in_it() {
        for (pattern, path, expected) in [
            ("apps/*/config.json", "apps/a/config.json", true),
            ("apps/*/config.json", "apps/a/b/config.json", true),
            ("apps/**/config.json", "apps/a/config.json", true),
            ("apps/**/config.json", "apps/config.json", false),
            ("apps", "apps/a/config.json", true),
            ("apps/", "apps/a/config.json", true),
            ("apps", "apps2/a", false),
            ("*.json", "a/b.json", true),
            ("a?b", "a/b", true),
            ("[ab].yaml", "b.yaml", true),
            ("[!ab].yaml", "b.yaml", false),
            ("\\*.yaml", "*.yaml", true),
            ("apps/a.yaml", "apps/a.yaml", true),
            ("", "anything", true),
        ] {
            assert_eq!(
                PathSpec::new(pattern).matches(path),
                expected,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn many_stars_end() {
        let pattern = PathSpec::new(&"*a".repeat(200));
        assert!(!pattern.matches(&"a".repeat(150)));
        assert!(pattern.matches(&"a".repeat(250)));
    }
}
