//! Durations, as Go reads and writes them (`time.ParseDuration`, `Duration.String`).

const NANOSECOND: u64 = 1;
const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// How Go writes a duration; `None` if it is not one.
pub(super) fn canonical(text: &str) -> Option<String> {
    let (negative, nanoseconds) = parse(text)?;
    Some(write(negative, nanoseconds))
}

fn parse(text: &str) -> Option<(bool, u64)> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some((false, 0));
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after
            .find(|one: char| one == '.' || one.is_ascii_digit())
            .unwrap_or(after.len());
        let unit = unit(&after[..end])?;
        rest = &after[end..];
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        total = total
            .checked_add(whole.checked_mul(unit)?)?
            .checked_add(part(fraction, unit))?;
        if total > 1 << 63 {
            return None;
        }
    }
    let is_representable = total < 1 << 63 || negative;
    is_representable.then_some((negative && total > 0, total))
}

/// A fraction of a unit. What is below a nanosecond is dropped.
fn part(fraction: &str, unit: u64) -> u64 {
    let mut numerator: u128 = 0;
    let mut denominator: u128 = 1;
    for digit in fraction.bytes().take(18) {
        numerator = numerator * 10 + u128::from(digit - b'0');
        denominator *= 10;
    }
    u64::try_from(numerator * u128::from(unit) / denominator).unwrap_or(u64::MAX)
}

fn digits(text: &str) -> (&str, &str) {
    let rest = text.trim_start_matches(|one: char| one.is_ascii_digit());
    text.split_at(text.len() - rest.len())
}

fn unit(name: &str) -> Option<u64> {
    Some(match name {
        "ns" => NANOSECOND,
        "us" | "\u{b5}s" | "\u{3bc}s" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    })
}

fn write(negative: bool, nanoseconds: u64) -> String {
    let sign = if negative { "-" } else { "" };
    let below = |unit: u64| {
        let fraction = format!(
            "{:0width$}",
            nanoseconds % unit,
            width = unit.ilog10() as usize
        );
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{point}{fraction}")
    };
    match nanoseconds {
        0 => "0s".to_owned(),
        1..MICROSECOND => format!("{sign}{nanoseconds}ns"),
        MICROSECOND..MILLISECOND => {
            format!(
                "{sign}{}{}\u{b5}s",
                nanoseconds / MICROSECOND,
                below(MICROSECOND)
            )
        }
        MILLISECOND..SECOND => {
            format!(
                "{sign}{}{}ms",
                nanoseconds / MILLISECOND,
                below(MILLISECOND)
            )
        }
        _ => {
            let seconds = nanoseconds / SECOND;
            let (hours, minutes) = (seconds / 3_600, seconds / 60);
            let seconds = format!("{}{}s", seconds % 60, below(SECOND));
            if hours > 0 {
                format!("{sign}{hours}h{}m{seconds}", minutes % 60)
            } else if minutes > 0 {
                format!("{sign}{minutes}m{seconds}")
            } else {
                format!("{sign}{seconds}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_one_way() {
        for (text, expected) in [
            ("1h", "1h0m0s"),
            ("60m", "1h0m0s"),
            ("90s", "1m30s"),
            ("1.5h", "1h30m0s"),
            ("2160h", "2160h0m0s"),
            ("1h1ms", "1h0m0.001s"),
            ("1500ms", "1.5s"),
            ("1500us", "1.5ms"),
            ("1500ns", "1.5\u{b5}s"),
            ("7ns", "7ns"),
            ("0", "0s"),
            ("-0", "0s"),
            ("-1.5s", "-1.5s"),
            (".5s", "500ms"),
            ("0h", "0s"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "1", "h", "1d", "1 h", "-", "1h.", "9999999999h"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
