//! What a source file imports, read from its tokens.
//!
//! Tokens are enough: a path of the crate begins with `crate`, `super` or `self`, or stands in a
//! `use` declaration, wherever in the file it is, also within a macro call. Comments and strings
//! are no tokens. What is there for tests only is left out: tests may look at anything.

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// A path that is named in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reference {
    /// The modules written out in the file that it stands in.
    pub(crate) within: Vec<String>,
    /// Its segments as they are written.
    pub(crate) path: Vec<String>,
    /// The name that a `use` declaration gives to what it brings; `None` elsewhere, and for `*`.
    pub(crate) name: Option<String>,
    pub(crate) is_use: bool,
    pub(crate) line: usize,
}

/// What is read of a file.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Source {
    pub(crate) references: Vec<Reference>,
    /// The modules written out in the file.
    pub(crate) modules: Vec<Vec<String>>,
    /// The modules that are there for tests only.
    pub(crate) test_modules: Vec<Vec<String>>,
}

impl Source {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is not Rust.
    pub(crate) fn read(text: &str) -> Result<Self, proc_macro2::LexError> {
        let mut source = Source::default();
        source.items(TokenStream::from_str(text)?, &[]);
        Ok(source)
    }

    fn items(&mut self, tokens: TokenStream, within: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = self.item(&tokens, at, within);
        }
    }

    /// Reads what begins at a token, and says where the next begins.
    fn item(&mut self, tokens: &[TokenTree], at: usize, within: &[String]) -> usize {
        match &tokens[at..] {
            [TokenTree::Punct(hash), TokenTree::Group(attribute), ..] if hash.as_char() == '#' => {
                if is_for_tests(attribute) {
                    self.skipped(tokens, at + 2, within)
                } else {
                    at + 2
                }
            }
            [TokenTree::Ident(word), TokenTree::Ident(name), rest, ..] if word == "mod" => {
                if let TokenTree::Group(body) = rest {
                    let inner: Vec<String> =
                        within.iter().cloned().chain([name.to_string()]).collect();
                    self.modules.push(inner.clone());
                    self.items(body.stream(), &inner);
                }
                at + 3
            }
            // `use<'a>` says what a type captures.
            [TokenTree::Ident(word), next, ..] if word == "use" && !is_punct(next, '<') => {
                let end = end_of_statement(tokens, at);
                self.import(&tokens[at + 1..end], &[], within);
                end
            }
            [TokenTree::Ident(_), ..] => self.path(tokens, at, within),
            [TokenTree::Group(group), ..] => {
                self.items(group.stream(), within);
                at + 1
            }
            _ => at + 1,
        }
    }

    /// Passes over an item that is there for tests only.
    fn skipped(&mut self, tokens: &[TokenTree], mut at: usize, within: &[String]) -> usize {
        while let [TokenTree::Punct(hash), TokenTree::Group(_), ..] = &tokens[at..]
            && hash.as_char() == '#'
        {
            at += 2;
        }
        if let [TokenTree::Ident(word), TokenTree::Ident(name), ..] = &tokens[at..]
            && word == "mod"
        {
            let module = within.iter().cloned().chain([name.to_string()]);
            self.test_modules.push(module.collect());
        }
        let is_use = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word == "use");
        let ends = |token: &TokenTree| {
            is_punct(token, ';')
                || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
        };
        let first = tokens[at..]
            .iter()
            .find(|token| is_use(token) || ends(token));
        if first.is_some_and(is_use) {
            return end_of_statement(tokens, at);
        }
        let end = tokens[at..].iter().position(ends);
        end.map_or(tokens.len(), |end| at + end + 1)
    }

    /// A path of the crate, if one begins here.
    fn path(&mut self, tokens: &[TokenTree], at: usize, within: &[String]) -> usize {
        let (path, end) = segments(tokens, at);
        if path.len() > 1 && ["crate", "super", "self"].contains(&path[0].as_str()) {
            self.references.push(Reference {
                within: within.to_vec(),
                path,
                name: None,
                is_use: false,
                line: line(&tokens[at]),
            });
        }
        end
    }

    /// The tree of a `use` declaration.
    fn import(&mut self, tokens: &[TokenTree], prefix: &[String], within: &[String]) {
        // `::name` is another crate.
        if prefix.is_empty() && tokens.first().is_some_and(|first| is_punct(first, ':')) {
            return;
        }
        for branch in tokens.split(|token| is_punct(token, ',')) {
            let (mut path, end) = segments(branch, 0);
            path.splice(0..0, prefix.iter().cloned());
            let Some(first) = branch.first() else {
                continue;
            };
            let name = match branch.get(end) {
                Some(TokenTree::Group(group)) => {
                    let branches: Vec<TokenTree> = group.stream().into_iter().collect();
                    self.import(&branches, &path, within);
                    continue;
                }
                Some(token) if is_punct(token, '*') => None,
                Some(TokenTree::Ident(word)) if word == "as" => {
                    branch.get(end + 1).map(ToString::to_string)
                }
                _ => {
                    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                        path.pop();
                    }
                    path.last().cloned()
                }
            };
            self.references.push(Reference {
                within: within.to_vec(),
                path,
                name,
                is_use: true,
                line: line(first),
            });
        }
    }
}

/// The names that `::` joins, from a token on, and where what follows them begins.
fn segments(tokens: &[TokenTree], mut at: usize) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    while let Some(TokenTree::Ident(segment)) = tokens.get(at) {
        if segment == "as" && !path.is_empty() {
            break;
        }
        path.push(segment.to_string());
        at += 1;
        match tokens.get(at..at + 2) {
            Some([TokenTree::Punct(one), TokenTree::Punct(two)])
                if one.as_char() == ':'
                    && one.spacing() == Spacing::Joint
                    && two.as_char() == ':' =>
            {
                at += 2;
            }
            _ => break,
        }
    }
    (path, at)
}

/// Whether an attribute is `cfg(test)`.
fn is_for_tests(attribute: &Group) -> bool {
    let text: String = attribute.stream().to_string();
    text.split_whitespace().collect::<String>() == "cfg(test)"
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

fn end_of_statement(tokens: &[TokenTree], at: usize) -> usize {
    let end = tokens[at..].iter().position(|token| is_punct(token, ';'));
    end.map_or(tokens.len(), |end| at + end)
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let source = Source::read(text).unwrap();
        let path = |one: &Reference| one.path.join("::");
        source.references.iter().map(path).collect()
    }

    #[test]
    fn every_branch_of_a_use_declaration_is_a_path() {
        let text = "use crate::a::{self, B, c::{D as E, *}};\npub(crate) use super::f;";
        let found = paths(text);
        assert_eq!(
            found,
            [
                "crate::a",
                "crate::a::B",
                "crate::a::c::D",
                "crate::a::c",
                "super::f"
            ]
        );
        let source = Source::read(text).unwrap();
        let names: Vec<Option<&str>> = source
            .references
            .iter()
            .map(|one| one.name.as_deref())
            .collect();
        assert_eq!(names, [Some("a"), Some("B"), Some("E"), None, Some("f")]);
        assert_eq!(source.references[4].line, 2);
    }

    #[test]
    fn paths_are_found_wherever_they_stand() {
        assert_eq!(
            paths("fn f() -> crate::a::B { vec![super::c::<u8>(), g(self::d)] }"),
            ["crate::a::B", "super::c", "self::d"]
        );
        assert_eq!(paths("impl<T: crate::a::B> C for T {}"), ["crate::a::B"]);
        assert_eq!(
            paths("macro_rules! m { () => { $crate::a::b() }; }"),
            ["crate::a::b"]
        );
    }

    #[test]
    fn comments_texts_and_fields_are_no_paths() {
        assert!(paths("// use crate::a;\n/* crate::b */ const C: &str = \"crate::d\";").is_empty());
        assert!(
            paths("fn f(self) -> impl Fn() + use<'_> { self.crate_name; r#\"super::x\"# }")
                .is_empty()
        );
    }

    #[test]
    fn what_is_for_tests_only_is_left_out() {
        let text = "#[cfg(test)] use crate::{a, b};\n#[cfg(test)] #[allow(x)] fn f() { crate::c::d() }\n\
                    #[cfg(test)] mod tests { use crate::e; }\n#[cfg(test)] mod more;\nuse crate::g;";
        assert_eq!(paths(text), ["crate::g"]);
        assert_eq!(
            Source::read(text).unwrap().test_modules,
            [["tests".to_owned()], ["more".to_owned()]]
        );
    }

    #[test]
    fn a_module_that_is_written_out_is_one_of_its_own() {
        let source = Source::read("mod a { mod b { use super::c; } }").unwrap();
        assert_eq!(source.references[0].within, ["a", "b"]);
        assert_eq!(source.modules.len(), 2);
    }
}
