//! How much may still be done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// More was asked for than may be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it does too much work")]
pub struct TooMuchWork;

/// What a node of a template costs when it is evaluated.
pub(crate) const STEP: u64 = 16;
/// What a place in a list or a map costs.
pub(crate) const PLACE: u64 = 64;

/// How much work may still be done. All clones share what remains.
///
/// The unit is about one byte that is read or written; evaluating a node of a template costs 16,
/// an item of a list or a map 64. It counts what is done and asks no clock, so the same templates
/// with the same parameters always end in the same place. Time, and the memory that templates
/// hold at once, are proportional to what is spent.
#[derive(Clone, Debug)]
pub struct Work(Arc<AtomicU64>);

impl Work {
    /// Work of which `limit` units may be done.
    pub fn new(limit: u64) -> Self {
        Work(Arc::new(AtomicU64::new(limit)))
    }

    /// Takes `units` off what remains.
    ///
    /// # Errors
    /// [`TooMuchWork`] where less remains; then nothing remains for anybody else.
    pub fn spend(&self, units: u64) -> Result<(), TooMuchWork> {
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_sub(units))
            });
        match taken {
            Ok(left) if left >= units => Ok(()),
            _ => Err(TooMuchWork),
        }
    }

    /// What remains.
    pub fn left(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// What a text of this many bytes costs.
    pub(crate) fn bytes(&self, bytes: usize) -> Result<(), TooMuchWork> {
        self.spend(bytes as u64)
    }

    /// What a list or map of this many places costs.
    pub(crate) fn places(&self, places: usize) -> Result<(), TooMuchWork> {
        self.spend((places as u64).saturating_mul(PLACE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_what_remains() {
        let work = Work::new(10);
        let other = work.clone();
        assert_eq!(work.spend(6), Ok(()));
        assert_eq!(other.spend(4), Ok(()));
        assert_eq!(work.spend(1), Err(TooMuchWork));
    }

    #[test]
    fn what_was_asked_too_much_for_is_used_up() {
        let work = Work::new(10);
        assert!(work.spend(11).is_err());
        assert!(work.spend(1).is_err());
        assert!(work.spend(u64::MAX).is_err());
    }
}
