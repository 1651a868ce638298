//! Links, and what they lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::pages::{BOOK, Page, pages};

/// The book's table of contents; what it does not name is in no book.
const CONTENTS: &str = "docs/src/SUMMARY.md";

/// What is wrong with the links of all pages below the root of a repository, each with its place.
///
/// A link of a page must lead to a file or folder of the repository, and to a heading if it names
/// one. Pages of the book lead only to pages of the book, as nothing else is published with them,
/// and its table of contents names each. None is called README.md, which mdBook publishes by
/// another name than links to it say.
///
/// # Errors
/// A page cannot be read.
pub fn broken_links(root: &Path) -> Result<Vec<String>> {
    let pages = pages(root)?;
    let anchors: BTreeMap<_, _> = pages
        .iter()
        .map(|page| (page.path.clone(), anchors(page)))
        .collect();
    let mut broken = Vec::new();
    let mut contents = BTreeSet::from([PathBuf::from(CONTENTS)]);
    for page in &pages {
        for link in links(page) {
            let target = match target(page, &link) {
                Some(target) if root.join(&target.path).exists() => target,
                _ => {
                    broken.push(link.is(page, "leads to nothing"));
                    continue;
                }
            };
            if page.path.starts_with(BOOK) && !target.path.starts_with(BOOK) {
                broken.push(link.is(page, "leads out of the book"));
            }
            if let Some(anchor) = &target.anchor {
                let there = anchors.get(&target.path);
                if !there.is_some_and(|there| there.contains(anchor)) {
                    broken.push(link.is(page, "leads to no heading"));
                }
            }
            if page.path == Path::new(CONTENTS) {
                contents.insert(target.path);
            }
        }
    }
    for page in &pages {
        if !page.path.starts_with(BOOK) {
            continue;
        }
        let path = page.path.display();
        if !contents.contains(&page.path) {
            broken.push(format!("{path} is not in {CONTENTS}"));
        }
        if page.path.ends_with("README.md") {
            broken.push(format!("{path} has a name that mdBook changes"));
        }
    }
    Ok(broken)
}

struct Link {
    line: usize,
    destination: String,
}

impl Link {
    fn is(&self, page: &Page, what: &str) -> String {
        format!(
            "{}:{}: {} {what}",
            page.path.display(),
            self.line,
            self.destination
        )
    }
}

struct Target {
    path: PathBuf,
    anchor: Option<String>,
}

/// The links of a page, but for those to other places than this repository.
fn links(page: &Page) -> Vec<Link> {
    let events = Parser::new_ext(&page.text, Options::ENABLE_TABLES).into_offset_iter();
    let links = events.filter_map(|(event, range)| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(Link {
            line: page.text[..range.start].lines().count().max(1),
            destination: dest_url.into_string(),
        }),
        _ => None,
    });
    links
        .filter(|link| !link.destination.contains("://"))
        .collect()
}

/// What a link means, if that is in the repository.
fn target(page: &Page, link: &Link) -> Option<Target> {
    let (path, anchor) = match link.destination.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (&*link.destination, None),
    };
    if path.is_empty() {
        let path = page.path.clone();
        return Some(Target { path, anchor });
    }
    let mut target = page.path.parent()?.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !target.pop() {
                    return None;
                }
            }
            Component::Normal(name) => target.push(name),
            Component::Prefix(_) | Component::RootDir => return None,
        }
    }
    Some(Target {
        path: target,
        anchor,
    })
}

/// What its headings are called in links, as GitHub and mdBook do.
fn anchors(page: &Page) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(&page.text, Options::ENABLE_TABLES) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
            (Event::End(TagEnd::Heading(_)), _) => {
                if let Some(text) = heading.take() {
                    let anchor = anchor(&text);
                    let repeated = (1..).map(|count| format!("{anchor}-{count}"));
                    let mut candidates = std::iter::once(anchor.clone()).chain(repeated);
                    anchors.extend(candidates.find(|anchor| !anchors.contains(anchor)));
                }
            }
            _ => {}
        }
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    let kept: String = kept.collect();
    kept.to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::root;

    #[test]
    fn every_link_of_the_documentation_leads_somewhere() {
        let broken = broken_links(&root()).expect("the pages are there");
        assert!(broken.is_empty(), "{broken:#?}");
    }

    /// What is wrong in a repository with these pages beside empty ones.
    fn broken(written: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let empty = [
            "README.md",
            "ARCHITECTURE.md",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "manifests/README.md",
            CONTENTS,
        ];
        let empty = empty.iter().map(|path| (*path, ""));
        for (path, text) in empty.chain(written.iter().copied()) {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it is made");
            fs::write(path, text).expect("it is written");
        }
        broken_links(folder.path()).expect("the pages are there")
    }

    #[test]
    fn a_link_must_lead_to_a_file_and_to_a_heading() {
        let page = "# Two `words`!\n\n## Again\n\n## Again\n\n\
            [a](#two-words) [b](#again-1) [c](manifests/README.md#x) [d](manifests) [e](Cargo.toml)\n\
            [f](https://example.com/x#y) `[g](nowhere)` [h](../README.md) [i](#again-2)\n\n\
            | [j](nowhere.md) |\n|---|\n";
        assert_eq!(
            broken(&[("README.md", page)]),
            [
                "README.md:7: manifests/README.md#x leads to no heading",
                "README.md:7: Cargo.toml leads to nothing",
                "README.md:8: ../README.md leads to nothing",
                "README.md:8: #again-2 leads to no heading",
                "README.md:10: nowhere.md leads to nothing",
            ]
        );
    }

    #[test]
    fn a_page_of_the_book_is_in_its_contents_and_leads_to_others_of_it() {
        assert_eq!(
            broken(&[
                (CONTENTS, "[one](one.md)\n"),
                (
                    "docs/src/one.md",
                    "[two](deep/two.md) [out](../../Cargo.toml)\n"
                ),
                ("docs/src/deep/two.md", "[one](../one.md)\n"),
                ("docs/src/deep/README.md", ""),
                ("Cargo.toml", ""),
            ]),
            [
                "docs/src/one.md:1: ../../Cargo.toml leads out of the book",
                "docs/src/deep/README.md is not in docs/src/SUMMARY.md",
                "docs/src/deep/README.md has a name that mdBook changes",
                "docs/src/deep/two.md is not in docs/src/SUMMARY.md",
            ]
        );
    }
}
