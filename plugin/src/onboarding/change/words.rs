//! The words of a command, as a shell reads them.

use std::fmt;

use crate::text::shell_word;

/// What follows `aws`, or a part of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Words(Vec<String>);

impl Words {
    /// Begins a command, such as `eks create-access-entry`.
    pub(super) fn of(command: &str) -> Self {
        Words(command.split(' ').map(str::to_owned).collect())
    }

    pub(super) fn flag(self, flag: &str, value: &str) -> Self {
        self.word(flag).word(value)
    }

    /// A flag with all of these values; none without any.
    pub(super) fn flags<'v>(
        self,
        flag: &str,
        values: impl IntoIterator<Item = &'v String>,
    ) -> Self {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return self;
        }
        values.fold(self.word(flag), |words, value| words.word(value))
    }

    pub(super) fn word(mut self, word: &str) -> Self {
        self.0.push(word.to_owned());
        self
    }

    /// The command with more words at its end.
    pub(super) fn with(self, more: &Words) -> String {
        let Words(mut all) = self;
        all.extend(more.0.iter().cloned());
        Words(all).to_string()
    }
}

impl fmt::Display for Words {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("aws")?;
        let mut words = self.0.iter();
        words.try_for_each(|word| write!(formatter, " {}", shell_word(word)))
    }
}
