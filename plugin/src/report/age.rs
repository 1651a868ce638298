//! How far away a time is, as people say it.

use jiff::{SignedDuration, Timestamp};

/// `in 2h30m` or `2h30m ago`.
pub(super) fn away(time: Timestamp, now: Timestamp) -> String {
    let duration = time.duration_since(now);
    if duration.is_positive() {
        format!("in {}", rough(duration))
    } else {
        format!("{} ago", rough(-duration))
    }
}

/// As kubectl has ages: no more than two units.
pub(super) fn rough(duration: SignedDuration) -> String {
    let (minutes, hours) = (duration.as_mins(), duration.as_hours());
    match (hours, minutes) {
        (0, 0) => format!("{}s", duration.as_secs()),
        (0, _) => format!("{minutes}m"),
        (1..48, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{}d", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_as_far_away_as_people_say() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (time, said) in [
            ("2026-01-01T00:00:30Z", "in 30s"),
            ("2026-01-01T00:59:59Z", "in 59m"),
            ("2026-01-01T02:30:00Z", "in 2h30m"),
            ("2026-01-05T00:00:00Z", "in 4d"),
            ("2026-01-01T00:00:00Z", "0s ago"),
            ("2025-12-31T22:00:00Z", "2h0m ago"),
        ] {
            assert_eq!(away(time.parse().unwrap(), now), said);
        }
    }
}
