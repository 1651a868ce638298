//! Blocks of code, and the commands in them.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::pages::Page;

/// A block of code.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// What stands behind the opening fence, such as `sh`.
    pub language: String,
    /// What is in it.
    pub text: String,
    /// Where that stands in the page, in bytes.
    pub range: Range<usize>,
}

/// A command that a page shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The line as one would type it.
    pub line: String,
}

/// Which test runs a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RunBy {
    /// `plugin/tests/docs.rs`: what needs no cluster.
    Plugin,
    /// `tests/pages`, on a real API server.
    ApiServer,
    /// `tests/pages`, which installs the plugin.
    Installation,
    /// `tests/xtask`, which asks whether there is such a command; CI runs them.
    Xtask,
}

impl Page {
    /// Its blocks of code.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (event, range) in Parser::new(&self.text).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    let fence = self.text[range.clone()].find('\n');
                    let start = fence.map_or(range.end, |end| range.start + end + 1);
                    open = Some(Block {
                        language: language.into_string(),
                        text: String::new(),
                        range: start..start,
                    });
                }
                Event::Text(text) => {
                    if let Some(block) = &mut open {
                        block.range.end = range.end;
                        block.text.push_str(&text);
                    }
                }
                Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
                _ => {}
            }
        }
        blocks
    }

    /// What is code in its prose and in its comments, such as `cargo xtask test`.
    pub fn inline_code(&self) -> Vec<String> {
        let mut found = Vec::new();
        for event in Parser::new_ext(&self.text, Options::ENABLE_TABLES) {
            match event {
                Event::Code(code) => found.push(code.into_string()),
                Event::Html(html) | Event::InlineHtml(html) => {
                    found.extend(html.split('`').skip(1).step_by(2).map(str::to_owned));
                }
                _ => {}
            }
        }
        found
    }

    /// The commands in its blocks of the language `sh`, without comments, and the steps of a
    /// pipeline of continuous integration in its YAML.
    pub fn commands(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        for block in self.blocks() {
            for line in block.text.replace("\\\n", "").lines() {
                let line = match &*block.language {
                    "sh" => Some(line),
                    "yaml" => line.trim_start().strip_prefix("- run: "),
                    _ => None,
                };
                let line = line.map(|line| line.split(" # ").next().unwrap_or(line).trim());
                let line = line.filter(|line| !line.is_empty() && !line.starts_with('#'));
                commands.extend(line.map(|line| Command {
                    line: line.to_owned(),
                }));
            }
        }
        commands
    }
}

impl Command {
    /// Which test runs it; none if none does.
    pub fn run_by(&self) -> Option<RunBy> {
        if self.arguments().is_some() {
            let words: Vec<_> = self.line.split_whitespace().collect();
            let needs_cluster = ["audit", "break-glass", "live", "--live"];
            let needs_cluster = words.iter().any(|word| needs_cluster.contains(word));
            return Some(if needs_cluster {
                RunBy::ApiServer
            } else {
                RunBy::Plugin
            });
        }
        let starts = |prefix| self.line.starts_with(prefix);
        if starts("cargo install --path plugin") {
            Some(RunBy::Installation)
        } else if starts("cargo xtask ") {
            Some(RunBy::Xtask)
        } else if starts("kubectl ") {
            Some(RunBy::ApiServer)
        } else {
            None
        }
    }

    /// What the plugin gets, if the line does nothing but call it.
    pub fn arguments(&self) -> Option<&str> {
        let ways = [
            "kubectl gitops ",
            "kubectl-gitops ",
            "cargo run -q -p kubectl-gitops -- ",
        ];
        ways.iter().find_map(|way| self.line.strip_prefix(way))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pages, root};

    fn page(text: &str) -> Page {
        Page {
            path: "page.md".into(),
            text: text.to_owned(),
        }
    }

    fn lines(text: &str) -> Vec<String> {
        let commands = page(text).commands().into_iter();
        commands.map(|command| command.line).collect()
    }

    #[test]
    fn code_is_found_in_prose_tables_and_comments() {
        let page = page(
            "<!-- written by `a b` -->\n# About `c`\n\n| d |\n|---|\n| `e --f` |\n\n```sh\ng `h`\n```\n",
        );

        assert_eq!(page.inline_code(), ["a b", "c", "e --f"]);
    }

    #[test]
    fn each_command_is_run_by_a_test() {
        for page in pages(&root()).expect("the pages are there") {
            for command in page.commands() {
                assert!(
                    command.run_by().is_some(),
                    "{}: no test runs `{}`; where none can, the block says `sh,no_run`",
                    page.path.display(),
                    command.line
                );
            }
        }
    }

    #[test]
    fn commands_are_lines_of_sh_without_comments_and_steps_of_a_pipeline() {
        let text = "```sh\n# first\nkubectl gitops check    # of this folder\n\n```\n\
            ```sh,no_run\npodman push\n```\n```text\nno command\n```\n\
            - in a list:\n\n  ```sh\n  kubectl get \\\n    pods\n  ```\n\
            ```yaml\nsteps:\n  - run: kubectl-gitops check\n    name: no command\n```\n";
        assert_eq!(
            lines(text),
            [
                "kubectl gitops check",
                "kubectl get   pods",
                "kubectl-gitops check"
            ]
        );
    }

    #[test]
    fn a_block_is_where_it_says() {
        let text = "before\n\n```console\n$ true\n\n$ false\n```\n\n```console\n```\nafter\n";
        let blocks = page(text).blocks();
        assert_eq!(blocks.len(), 2);
        assert_eq!(&text[blocks[0].range.clone()], "$ true\n\n$ false\n");
        assert_eq!(blocks[0].text, "$ true\n\n$ false\n");
        assert_eq!(&text[blocks[1].range.start..], "```\nafter\n");
        assert!(blocks[1].range.is_empty());
    }

    #[test]
    fn who_runs_a_command_goes_by_what_it_needs() {
        let run_by = |line: &str| {
            let line = line.to_owned();
            Command { line }.run_by()
        };
        for (line, expected) in [
            ("kubectl gitops check a", Some(RunBy::Plugin)),
            (
                "cargo run -q -p kubectl-gitops -- check a",
                Some(RunBy::Plugin),
            ),
            (
                "kubectl gitops check a --facts live",
                Some(RunBy::ApiServer),
            ),
            ("kubectl gitops check --live -A", Some(RunBy::ApiServer)),
            ("kubectl gitops audit -A", Some(RunBy::ApiServer)),
            ("kubectl gitops break-glass list -A", Some(RunBy::ApiServer)),
            ("kubectl apply -k manifests/crds", Some(RunBy::ApiServer)),
            ("cargo install --path plugin", Some(RunBy::Installation)),
            ("cargo xtask demo", Some(RunBy::Xtask)),
            ("podman push", None),
            ("cargo install mdbook", None),
        ] {
            assert_eq!(run_by(line), expected, "{line}");
        }
    }
}
