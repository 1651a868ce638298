//! Repositories, clusters and kinds that nobody has heard of.
//!
//! They are drawn at random, anew for each process, so that no pattern can leave out just these.
//! Each shape that such a text has in practice is drawn many times, with the letters that it begins
//! and ends with in equal shares, so that what a pattern matches of a shape hardly varies between
//! processes.

use std::sync::LazyLock;

use argocd::repository::git_url;
use fastrand::Rng;

/// Texts of one shape.
pub(super) type Shape = Vec<String>;

/// How many of a shape are drawn: so many times the letters that there are.
const ROUNDS: usize = 2;

const SMALL: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const CAPITALS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// What a name in the net often ends with. A name below one of these is anybody's.
const DOMAINS: [&str; 6] = ["", "com", "net", "org", "io", "dev"];
const PORTS: [&str; 4] = ["443", "6443", "8443", ""];
/// What stands between the parts of a cluster's name.
const SEPARATORS: [&str; 6] = ["-", ".", "/", ":", "_", "@"];

/// All that is drawn.
pub(super) struct Probes {
    /// Normalised.
    pub(super) repositories: Vec<Shape>,
    pub(super) names: Vec<Shape>,
    pub(super) servers: Vec<Shape>,
    pub(super) namespaces: Vec<Shape>,
    /// Group, kind and name.
    pub(super) resources: Vec<Vec<[String; 3]>>,
    /// Repositories of few letters, which are left where others are excluded by the letters in
    /// them.
    pub(super) sparse_repositories: Shape,
    /// Names and servers of clusters, likewise.
    pub(super) sparse_clusters: Vec<[String; 2]>,
}

pub(super) static PROBES: LazyLock<Probes> = LazyLock::new(|| Draw::new().probes());

struct Draw {
    random: Rng,
    /// The letters that are drawn from.
    letters: Vec<u8>,
    /// How many texts were drawn, each of which begins with another letter than the one before.
    turn: usize,
    /// How many words of the text were drawn.
    words: usize,
}

impl Draw {
    fn new() -> Self {
        Draw {
            random: Rng::new(),
            letters: SMALL.to_vec(),
            turn: 0,
            words: 0,
        }
    }

    fn probes(mut self) -> Probes {
        let every = |draw: &mut Self, shapes: &[fn(&mut Self) -> String]| -> Vec<Shape> {
            shapes.iter().map(|shape| draw.shape(*shape)).collect()
        };
        let repositories = every(&mut self, &REPOSITORIES);
        let names = every(&mut self, &NAMES);
        let servers = every(&mut self, &SERVERS);
        let namespaces = every(&mut self, &[Self::word, Self::numbered]);
        let resources = self.resources();
        let mut sparse_repositories = Shape::new();
        let mut sparse_clusters = Vec::new();
        for _ in 0..8 * SMALL.len() {
            self.next();
            self.letters = self.random.choose_multiple(SMALL.iter().copied(), 3);
            let shape = REPOSITORIES[self.turn % REPOSITORIES.len()];
            sparse_repositories.push(shape(&mut self));
            let server = SERVERS[self.turn % SERVERS.len()];
            let name = NAMES[self.turn % NAMES.len()];
            sparse_clusters.push([name(&mut self), server(&mut self)]);
        }
        let normalized =
            |shape: Shape| -> Shape { shape.iter().map(|url| git_url::normalize(url)).collect() };
        Probes {
            repositories: repositories.into_iter().map(normalized).collect(),
            names,
            servers,
            namespaces,
            resources,
            sparse_repositories: normalized(sparse_repositories),
            sparse_clusters,
        }
    }

    fn shape(&mut self, shape: fn(&mut Self) -> String) -> Shape {
        let drawn = 0..ROUNDS * SMALL.len();
        drawn
            .map(|_| {
                self.next();
                shape(self)
            })
            .collect()
    }

    /// Begins another text.
    fn next(&mut self) {
        self.turn += 1;
        self.words = 0;
    }

    fn resources(&mut self) -> Vec<Vec<[String; 3]>> {
        let groups: [fn(&mut Self) -> String; 2] = [Self::host, |draw| {
            format!("{}.{}", draw.word(), draw.host())
        }];
        let kinds: [fn(&mut Self) -> String; 2] =
            [Self::kind, |draw| format!("{}{}", draw.kind(), draw.kind())];
        let mut all = Vec::new();
        for group in groups {
            for kind in kinds {
                let drawn = 0..3 * CAPITALS.len();
                let mut one = |_| {
                    self.next();
                    [group(self), kind(self), self.word()]
                };
                all.push(drawn.map(&mut one).collect());
            }
        }
        all
    }

    fn letter(&mut self) -> char {
        let index = self.random.usize(..self.letters.len());
        char::from(self.letters[index])
    }

    /// The letters that the next word begins and ends with: each of them as often as any other, and
    /// together with each other.
    fn ends(&mut self, letters: &[u8]) -> [char; 2] {
        self.words += 1;
        let first = self.turn + 5 * self.words;
        let last = self.turn / letters.len() + 7 * self.turn + 11 * self.words;
        [first, last].map(|turn| char::from(letters[turn % letters.len()]))
    }

    /// A word of a name: letters and digits, now and then with a hyphen in it.
    fn word(&mut self) -> String {
        let letters = self.letters.clone();
        let [first, last] = self.ends(&letters);
        let mut word = String::from(first);
        for _ in 0..self.random.usize(2..10) {
            word.push(self.letter());
        }
        if self.random.u8(..8) == 0 {
            word.push('-');
        }
        word.push(last);
        word
    }

    fn numbered(&mut self) -> String {
        let digit = self.turn % 10;
        format!("{}-{}-{digit}", self.word(), self.word())
    }

    /// A word, or one below a domain.
    fn host(&mut self) -> String {
        let domain = if self.letters.len() < SMALL.len() {
            ""
        } else {
            DOMAINS[self.turn % DOMAINS.len()]
        };
        let word = self.word();
        match domain {
            "" => format!("{word}.{}", self.word()),
            domain => format!("{word}.{domain}"),
        }
    }

    fn port(&mut self) -> String {
        match PORTS[self.turn % PORTS.len()] {
            "" => self.random.u16(1024..).to_string(),
            port => port.to_owned(),
        }
    }

    fn address(&mut self) -> String {
        let octets = [0; 4].map(|_: u8| self.random.u8(1..).to_string());
        octets.join(".")
    }

    fn kind(&mut self) -> String {
        let [first, last] = self.ends(CAPITALS);
        let mut kind = String::from(first);
        for _ in 0..self.random.usize(3..9) {
            kind.push(self.random.lowercase());
        }
        kind.push(last.to_ascii_lowercase());
        kind
    }
}

const REPOSITORIES: [fn(&mut Draw) -> String; 16] = [
    |draw| format!("https://{}/{}/{}", draw.host(), draw.word(), draw.word()),
    |draw| format!("https://{}/{}", draw.host(), draw.word()),
    |draw| format!("https://{}", draw.host()),
    |draw| {
        let (group, team) = (draw.word(), draw.word());
        format!("https://{}/{group}/{team}/{}", draw.host(), draw.word())
    },
    |draw| format!("https://{}.{}/{}", draw.word(), draw.host(), draw.word()),
    |draw| {
        let (host, port) = (draw.host(), draw.port());
        format!("https://{host}:{port}/{}/{}", draw.word(), draw.word())
    },
    |draw| format!("http://{}/{}/{}", draw.host(), draw.word(), draw.word()),
    |draw| format!("git@{}:{}/{}", draw.host(), draw.word(), draw.word()),
    |draw| format!("git@{}:{}", draw.host(), draw.word()),
    |draw| {
        let (user, host) = (draw.word(), draw.host());
        format!("{user}@{host}:{}/{}", draw.word(), draw.word())
    },
    |draw| {
        let (host, port) = (draw.host(), draw.port());
        format!("ssh://git@{host}:{port}/{}/{}", draw.word(), draw.word())
    },
    |draw| format!("oci://{}/{}", draw.host(), draw.word()),
    |draw| format!("oci://{}/{}/{}", draw.host(), draw.word(), draw.word()),
    |draw| format!("{}/{}", draw.host(), draw.word()),
    |draw| format!("{}/{}/{}", draw.host(), draw.word(), draw.word()),
    |draw| format!("git://{}/{}/{}", draw.host(), draw.word(), draw.word()),
];

const NAMES: [fn(&mut Draw) -> String; 3] = [Draw::word, Draw::numbered, |draw| {
    let separator = SEPARATORS[draw.turn % SEPARATORS.len()];
    format!("{}{separator}{}", draw.word(), draw.word())
}];

const SERVERS: [fn(&mut Draw) -> String; 7] = [
    |draw| format!("https://{}", draw.word()),
    |draw| format!("https://{}", draw.host()),
    |draw| format!("https://{}.{}", draw.word(), draw.host()),
    |draw| format!("https://{}:{}", draw.host(), draw.port()),
    |draw| format!("https://{}:{}", draw.address(), draw.port()),
    |draw| format!("https://{}", draw.address()),
    |draw| format!("https://{}/{}/{}", draw.host(), draw.word(), draw.word()),
];
