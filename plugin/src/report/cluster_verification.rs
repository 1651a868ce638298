//! What was proven of the logins to clusters.

use serde::Serialize;

use super::{API_VERSION, Cell, Detail, Page, Report, Tone};
use crate::login::{Proof, State, Verdict, Verification};
use crate::text::printable;

/// What was found of each cluster.
pub(crate) struct ClusterVerifications {
    pub(crate) all: Vec<Verification>,
    /// Of some it is not known which cluster they are.
    pub(crate) is_partial: bool,
}

impl Report for ClusterVerifications {
    fn document(&self) -> impl Serialize {
        Document::new(self)
    }

    fn page(&self, detail: Detail) -> Page {
        match detail {
            Detail::Table => Page::of_table(
                ["NAME", "LOGIN", "LINK", "DETAIL"],
                self.all.iter().map(row),
            ),
            Detail::Wide => Page::of_table(
                ["NAME", "LINK", "STATE", "DETAIL", "MEND"],
                self.all.iter().flat_map(rows),
            ),
        }
    }
}

fn row(found: &Verification) -> Vec<Cell> {
    let verdict = found.verdict();
    let (link, detail) = match found.first_flaw() {
        Some(proof) => {
            let mend = proof.mend.as_ref();
            let detail = match mend {
                Some(mend) => format!("{}; {mend}", proof.detail),
                None => proof.detail.clone(),
            };
            (proof.link.name(), detail)
        }
        None => ("", found.server.clone()),
    };
    let tone = match verdict {
        Verdict::Proven => Tone::Good,
        Verdict::Broken => Tone::Bad,
        Verdict::Unknown => Tone::Unknown,
    };
    vec![
        Cell::from(printable(&found.name)),
        Cell::new(word(verdict), tone),
        Cell::from(link),
        Cell::from(printable(&detail)),
    ]
}

fn rows(found: &Verification) -> impl Iterator<Item = Vec<Cell>> {
    found.proofs.iter().map(|proof| {
        let tone = match proof.state {
            State::Ok => Tone::Good,
            State::Wrong => Tone::Bad,
            State::Unknown => Tone::Unknown,
        };
        vec![
            Cell::from(printable(&found.name)),
            Cell::from(proof.link.name()),
            Cell::new(state(proof), tone),
            Cell::from(printable(&proof.detail)),
            Cell::from(printable(proof.mend.as_deref().unwrap_or_default())),
        ]
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Proven => "proven",
        Verdict::Broken => "broken",
        Verdict::Unknown => "unknown",
    }
}

fn state(proof: &Proof) -> &'static str {
    match proof.state {
        State::Ok => "ok",
        State::Wrong => "wrong",
        State::Unknown => "unknown",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'v> {
    api_version: &'static str,
    kind: &'static str,
    clusters: Vec<ClusterDocument<'v>>,
    summary: Summary,
}

#[derive(Serialize)]
struct ClusterDocument<'v> {
    name: &'v str,
    server: &'v str,
    login: &'static str,
    links: Vec<LinkDocument<'v>>,
}

#[derive(Serialize)]
struct LinkDocument<'v> {
    link: &'static str,
    state: &'static str,
    detail: &'v str,
    mend: Option<&'v str>,
}

#[derive(Default, Serialize)]
struct Summary {
    proven: usize,
    broken: usize,
    unknown: usize,
}

impl<'v> Document<'v> {
    fn new(found: &'v ClusterVerifications) -> Self {
        let count = |verdict| {
            let all = found.all.iter();
            all.filter(|found| found.verdict() == verdict).count()
        };
        Document {
            api_version: API_VERSION,
            kind: "ClusterVerification",
            clusters: found.all.iter().map(ClusterDocument::new).collect(),
            summary: Summary {
                proven: count(Verdict::Proven),
                broken: count(Verdict::Broken),
                unknown: count(Verdict::Unknown),
            },
        }
    }
}

impl<'v> ClusterDocument<'v> {
    fn new(found: &'v Verification) -> Self {
        let links = found.proofs.iter().map(|proof| LinkDocument {
            link: proof.link.name(),
            state: state(proof),
            detail: &proof.detail,
            mend: proof.mend.as_deref(),
        });
        ClusterDocument {
            name: &found.name,
            server: &found.server,
            login: word(found.verdict()),
            links: links.collect(),
        }
    }
}
