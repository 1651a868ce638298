//! Numbers as Go's `fmt` prints them. What it makes of the values of a template is in
//! [`crate::template`].

/// A float in the shortest form that reads back the same, as `%v` has it: with an exponent from
/// 1e+06 on and below 1e-4.
pub fn float(value: f64) -> String {
    shortest(value, 6)
}

/// The same with exponents from 10 to this power on.
pub(crate) fn shortest(value: f64, limit: i32) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let power = scientific
        .split_once('e')
        .and_then(|(_, power)| power.parse::<i32>().ok())
        .unwrap_or(0);
    if value != 0.0 && !(-4..limit).contains(&power) {
        exponent(&scientific)
    } else {
        value.to_string()
    }
}

/// An exponent with a sign and at least two digits.
pub(crate) fn exponent(scientific: &str) -> String {
    let Some((mantissa, power)) = scientific.split_once('e') else {
        return scientific.to_owned();
    };
    let (sign, digits) = match power.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', power),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}
