//! A part of a fleet: some of its clusters, for one of several machines.

use std::fmt;
use std::str::FromStr;

/// Which part of how many. All that is on one cluster is in one part.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Shard {
    /// How many there are.
    count: u32,
    /// Which of them it is: less than their number.
    index: u32,
}

/// A text names no part.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected I/N, such as 0/4 for the first of four: I counts from 0 and is less than N")]
pub(crate) struct NoShard;

impl Shard {
    /// One of several, counted from 0.
    pub(crate) fn new(index: u32, count: u32) -> Result<Self, NoShard> {
        if index < count {
            Ok(Shard { count, index })
        } else {
            Err(NoShard)
        }
    }

    /// Which of them it is, from 0.
    pub(crate) fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    pub(crate) fn count(self) -> u32 {
        self.count
    }

    /// All that there are of so many.
    pub(crate) fn all(count: u32) -> impl Iterator<Item = Shard> {
        (0..count).map(move |index| Shard { count, index })
    }

    /// Whether it is the first, which tells what is of no cluster.
    pub(crate) fn is_first(self) -> bool {
        self.index == 0
    }

    /// Whether a cluster is in it. That depends on nothing but what the cluster is called, so that
    /// parts agree that are read at different times.
    pub(crate) fn has(self, cluster: &str) -> bool {
        hash(cluster) % self.count == self.index
    }
}

/// FNV-1a with 32 bits, by which Argo CD gives clusters to its controllers as well.
fn hash(text: &str) -> u32 {
    const BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(PRIME);
    text.bytes().fold(BASIS, step)
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let (index, count) = text.split_once('/').ok_or(NoShard)?;
        let number = |text: &str| text.parse().map_err(|_| NoShard);
        Shard::new(number(index)?, number(count)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_one_of_several() {
        let shard: Shard = "3/4".parse().unwrap();
        assert_eq!((shard.index(), shard.count()), (3, 4));
        assert_eq!(shard.to_string(), "3/4");
        for wrong in [
            "",
            "1",
            "4/4",
            "5/4",
            "0/0",
            "-1/4",
            "a/b",
            "1/4/2",
            "/",
            "1/",
            " 1/4",
            "$(JOB_COMPLETION_INDEX)/4",
            "0/99999999999",
        ] {
            assert_eq!(wrong.parse::<Shard>(), Err(NoShard), "{wrong}");
        }
    }

    #[test]
    fn each_cluster_is_in_one_of_them() {
        let clusters = (0..100).map(|number| format!("https://{number}.example.com"));
        for cluster in clusters.chain([String::new()]) {
            for count in [1, 2, 3, 7, 100] {
                let having = Shard::all(count).filter(|shard| shard.has(&cluster));
                assert_eq!(having.count(), 1, "{cluster} of {count}");
            }
        }
    }

    /// A vector of the algorithm's authors, so that reports of different versions fit together.
    #[test]
    fn the_hash_stays_as_it_is() {
        assert_eq!(hash(""), 0x811c_9dc5);
        assert_eq!(hash("a"), 0xe40c_292c);
        assert_eq!(hash("foobar"), 0xbf9c_f968);
    }
}
