//! What a watch told so far.

use std::collections::BTreeMap;

use super::{Change, Key};

/// The objects of one kind.
#[derive(Debug)]
pub struct Table<T> {
    objects: BTreeMap<Key, T>,
    is_listed: bool,
    is_kind_missing: bool,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table {
            objects: BTreeMap::new(),
            is_listed: false,
            is_kind_missing: false,
        }
    }
}

impl<T> Table<T> {
    /// Whether there has been a list: then these are all objects that there are.
    pub fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// Whether the API server does not know the kind.
    pub fn is_kind_missing(&self) -> bool {
        self.is_kind_missing
    }

    /// What is kept of an object.
    pub fn get(&self, key: &Key) -> Option<&T> {
        self.objects.get(key)
    }

    /// What is kept of each object, by key.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &T> {
        self.objects.values()
    }
}

impl<T: PartialEq> Table<T> {
    /// Takes in what a watch told, and says whether that changes anything.
    pub fn apply(&mut self, change: Change<T>) -> bool {
        match change {
            Change::Listed(objects) => {
                let is_news = !self.is_listed || self.is_kind_missing || self.objects != objects;
                *self = Table {
                    objects,
                    is_listed: true,
                    is_kind_missing: false,
                };
                is_news
            }
            Change::Applied(key, object) => {
                let is_news = self.objects.get(&key) != Some(&object);
                self.objects.insert(key, object);
                is_news
            }
            Change::Deleted(key) => self.objects.remove(&key).is_some(),
            Change::KindMissing => !std::mem::replace(&mut self.is_kind_missing, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(objects: &[(&str, u8)]) -> Change<u8> {
        let of = |(name, value): &(&str, u8)| (Key::without_namespace(name), *value);
        Change::Listed(objects.iter().map(of).collect())
    }

    #[test]
    fn a_list_is_news_the_first_time_and_where_it_differs() {
        let mut table = Table::default();
        assert!(!table.is_listed());
        assert!(table.apply(listed(&[])));
        assert!(table.is_listed());
        assert!(!table.apply(listed(&[])));
        assert!(table.apply(listed(&[("shop", 1)])));
        assert!(table.apply(listed(&[("shop", 2)])));
        assert!(!table.apply(listed(&[("shop", 2)])));
        assert!(table.apply(listed(&[])));
        assert_eq!(table.values().len(), 0);
    }

    #[test]
    fn an_object_is_news_where_it_differs() {
        let shop = || Key::without_namespace("shop");
        let mut table = Table::default();
        assert!(table.apply(Change::Applied(shop(), 1)));
        assert!(!table.apply(Change::Applied(shop(), 1)));
        assert!(table.apply(Change::Applied(shop(), 2)));
        assert_eq!(table.get(&shop()), Some(&2));
        assert!(table.apply(Change::Deleted(shop())));
        assert!(!table.apply(Change::Deleted(shop())));
        assert!(!table.is_listed());
    }

    #[test]
    fn a_kind_is_missing_until_there_is_a_list() {
        let mut table = Table::<u8>::default();
        assert!(table.apply(Change::KindMissing));
        assert!(!table.apply(Change::KindMissing));
        assert!(table.is_kind_missing() && !table.is_listed());
        assert!(table.apply(listed(&[])));
        assert!(!table.is_kind_missing());
    }
}
