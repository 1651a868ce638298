//! Points in time, as `metav1.Time` and `MicroTime` read and write them.

/// A text of RFC 3339 in UTC, with as many digits behind the second; `None` if it is not one. If
/// there are to be digits, just as many have to be there already.
pub(super) fn canonical(text: &str, digits: usize) -> Option<String> {
    let (date, rest) = text.split_at_checked(10)?;
    let (year, month, day) = numbers(date, '-')?;
    let rest = rest.strip_prefix('T')?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let (hour, minute, second) = numbers(clock, ':')?;
    let (fraction, zone) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => {
            let end = rest.find(|one: char| !one.is_ascii_digit())?;
            let (fraction, zone) = rest.split_at(end);
            (!fraction.is_empty()).then_some((fraction, zone))?
        }
        None => ("", rest),
    };
    if digits > 0 && fraction.len() != digits {
        return None;
    }
    let is_valid = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_valid {
        return None;
    }
    let minutes = days_before(year, month, day) * 1_440 + hour * 60 + minute - offset(zone)?;
    let (year, month, day) = date_of(minutes.div_euclid(1_440));
    if !(0..=9_999).contains(&year) {
        return None;
    }
    let (hour, minute) = (minutes.rem_euclid(1_440) / 60, minutes.rem_euclid(60));
    let fraction = if digits > 0 {
        format!(".{fraction}")
    } else {
        String::new()
    };
    let is_zero = (year, month, day, hour, minute, second) == (1, 1, 1, 0, 0, 0);
    (!is_zero).then(|| {
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
    })
}

/// Three numbers of a fixed width, such as `2026-11-30`.
fn numbers(text: &str, separator: char) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(separator);
    let mut next = || {
        let part = parts.next()?;
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && part.len() >= 2).then(|| part.parse().ok())?
    };
    let found = (next()?, next()?, next()?);
    parts.next().is_none().then_some(found)
}

/// Minutes east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hour, minute) = zone[1..].split_once(':')?;
    let number = |text: &str| -> Option<i64> {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok())?
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    (hour <= 24 && minute < 60).then_some(sign * (hour * 60 + minute))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar, whose years are taken to begin in March.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        for (text, expected) in [
            ("2026-03-04T09:12:55Z", "2026-03-04T09:12:55Z"),
            ("2026-03-04T09:12:55.1234567Z", "2026-03-04T09:12:55Z"),
            ("2026-01-01T00:30:00+02:00", "2025-12-31T22:30:00Z"),
            ("2024-02-28T23:30:00-01:00", "2024-02-29T00:30:00Z"),
        ] {
            assert_eq!(canonical(text, 0).as_deref(), Some(expected));
        }
        let micro = "2026-03-04T09:12:55.000001Z";
        assert_eq!(canonical(micro, 6).as_deref(), Some(micro));
        assert_eq!(canonical("2026-03-04T09:12:55Z", 6), None);
        for text in [
            "",
            "2026-03-04",
            "2026-02-30T00:00:00Z",
            "2026-03-04T09:12:55",
            "x",
        ] {
            assert_eq!(canonical(text, 0), None, "{text}");
        }
    }
}
