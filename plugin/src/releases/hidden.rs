//! What may hold secrets.

use std::fmt;

/// Something that can be read, and not printed.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Hidden<T>(T);

impl<T> Hidden<T> {
    pub(crate) fn new(value: T) -> Self {
        Hidden(value)
    }

    /// What is hidden, for whoever compares it.
    pub(crate) fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hidden(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_not_printed() {
        let hidden = Hidden::new("hunter2".to_owned());
        assert_eq!(format!("{hidden:?} {hidden:#?}"), "Hidden(…) Hidden(…)");
        assert_eq!(hidden.expose(), "hunter2");
    }
}
