//! Metrics with labels: all their series, made at the start.

use std::marker::PhantomData;

use prometheus_client::metrics::family::Family;

use crate::labels::Label;

/// The labels of a series: names and values.
pub(super) type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Something for each value of a label: a handle to a series, or [`Series`] by a further label.
#[derive(Clone, Debug)]
pub(super) struct Series<L, T> {
    /// In the order of [`Label::ALL`].
    each: Box<[T]>,
    label: PhantomData<L>,
}

impl<L: Label, T> Series<L, T> {
    /// Makes something for each value.
    pub(super) fn new(make: impl FnMut(L) -> T) -> Self {
        Series {
            each: L::ALL.iter().copied().map(make).collect(),
            label: PhantomData,
        }
    }

    /// What was made for a value.
    pub(super) fn of(&self, value: L) -> &T {
        &self.each[value.index()]
    }

    /// What was made for each value.
    pub(super) fn iter(&self) -> impl Iterator<Item = (L, &T)> {
        L::ALL.iter().copied().zip(&self.each)
    }
}

impl<L: Label, T: Clone + Default> Series<L, T> {
    /// The series of a metric that has this label alone.
    pub(super) fn of_family(family: &Family<Labels<1>, T>, label: &'static str) -> Self {
        Series::new(|value: L| family.get_or_create_owned(&[(label, value.name())]))
    }
}
