//! Numbers from texts, as Go's `strconv` reads them, and integers from floats.

/// Go's `strconv.ParseInt` with base 0, without its limit.
pub(crate) fn parse_integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits, prefixed) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, lower.get(2..)?, true),
        [b'0', b'o', ..] => (8, lower.get(2..)?, true),
        [b'0', b'b', ..] => (2, lower.get(2..)?, true),
        [b'0', _, ..] => (8, lower.get(1..)?, true),
        _ => (10, lower.as_str(), false),
    };
    let digits = without_underscores(digits, prefixed)?;
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(&digits, radix).ok()?;
    let value = if negative { -value } else { value };
    (i128::from(i64::MIN)..=i128::from(u64::MAX))
        .contains(&value)
        .then_some(value)
}

/// Underscores may stand between digits, or after the prefix of the base.
fn without_underscores(digits: &str, prefixed: bool) -> Option<String> {
    let misplaced =
        digits.contains("__") || digits.ends_with('_') || (digits.starts_with('_') && !prefixed);
    (!misplaced).then(|| digits.replace('_', ""))
}

/// A float that is an integer, and small enough for one.
pub(crate) fn whole(float: f64) -> Option<i64> {
    let limit = 9_223_372_036_854_775_808.0;
    let fits = float.fract() == 0.0 && float >= -limit && float < limit;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it fits and has no fraction"
    )]
    fits.then_some(float as i64)
}
