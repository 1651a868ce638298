//! Quantities, as Kubernetes reads and writes them.
//!
//! Follows `apimachinery/pkg/api/resource`: `ParseQuantity`, `CanonicalizeBytes`, `RoundUp`. A
//! quantity whose text is good enough keeps it, so `100Mi` stays while `1024Mi` becomes `1Gi`.

/// A quantity: an integer times a power of ten.
#[derive(Clone, Debug)]
pub(super) struct Quantity {
    value: i128,
    scale: i32,
    form: Form,
    /// The text that it keeps.
    text: Option<String>,
    /// Whether Go holds it as an arbitrary decimal, in which it rounds even what is exact.
    decimal: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Decimal,
    Binary,
    Exponent,
}

const NANO: i32 = -9;
const MILLI: i32 = -3;
/// Digits that always fit 64 bits.
const INT64_DIGITS: i32 = 18;
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
const BINARY: [(&str, i32); 6] = [
    ("Ki", 10),
    ("Mi", 20),
    ("Gi", 30),
    ("Ti", 40),
    ("Pi", 50),
    ("Ei", 60),
];

impl Quantity {
    /// Reads a quantity; `None` if it is not one, or has more digits than are worked out here.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Quantity {
                value: 0,
                scale: 0,
                form: Form::Decimal,
                text: Some(text.to_owned()),
                decimal: false,
            });
        }
        let parts = Parts::of(text)?;
        let (exponent, form) = suffix(parts.suffix)?;
        let digits = i32::try_from(parts.whole.len() + parts.fraction.len()).ok()?;
        let fraction = i32::try_from(parts.fraction.len()).ok()?;
        let precision = match form {
            Form::Binary if parts.fraction.is_empty() => {
                15 - i32::try_from(parts.whole.len()).ok()? - exponent * 3 / 10 - 1
            }
            Form::Binary => -1,
            Form::Decimal | Form::Exponent => INT64_DIGITS - digits,
        };
        let shifted = format!("{}{}", parts.whole, parts.fraction);
        let number: i128 = shifted.parse().ok()?;
        let sign = if parts.negative { -1 } else { 1 };
        let times = match form {
            Form::Binary => 1_i128.checked_shl(u32::try_from(exponent).ok()?)?,
            _ => 1,
        };
        let scale = match form {
            Form::Binary => 0,
            _ => exponent,
        }
        .checked_sub(fraction)?;
        let value = number.checked_mul(times)?;
        if precision >= 0 && scale >= NANO && i64::try_from(value).is_ok() {
            let keeps = match form {
                Form::Binary => exponent % 10 == 0 && number & 7 != 0,
                _ => scale % 3 == 0 && !shifted.ends_with("000") && !shifted.starts_with('0'),
            };
            return Some(Quantity {
                value: value * sign,
                scale,
                form,
                text: keeps.then(|| text.to_owned()),
                decimal: false,
            });
        }
        let mut quantity = Quantity {
            value,
            scale,
            form,
            text: None,
            decimal: true,
        };
        quantity.round(NANO)?;
        let form_is_binary = form == Form::Binary;
        if form_is_binary && quantity.at(0)? > i128::from(i64::MAX) {
            (quantity.value, quantity.scale) = (i128::from(i64::MAX), 0);
        }
        if form_is_binary && quantity.value > 0 && quantity.is_below_one()? {
            quantity.form = Form::Decimal;
        }
        quantity.value *= sign;
        Some(quantity)
    }

    /// Rounds away from zero to thousandths, as `SetDefaults_ResourceList` does.
    pub(super) fn round_to_thousandths(&mut self) -> Option<()> {
        if self.decimal || self.scale < MILLI {
            self.text = None;
            self.round(MILLI)?;
        }
        Some(())
    }

    /// How Kubernetes writes it.
    pub(super) fn text(&self) -> Option<String> {
        if let Some(text) = &self.text {
            return Some(text.clone());
        }
        if self.value == 0 {
            return Some("0".to_owned());
        }
        if self.form == Form::Binary {
            let whole = self.at(0)?;
            let is_exact = self.scale >= 0 || self.value % power(-self.scale)? == 0;
            if is_exact && (whole <= -1024 || whole >= 1024) {
                let (amount, times) = without_factors(whole, 1024);
                let suffix = BINARY
                    .iter()
                    .find(|(_, exponent)| *exponent == times * 10)
                    .map_or("", |(suffix, _)| suffix);
                return Some(format!("{amount}{suffix}"));
            }
        }
        let (mut amount, times) = without_factors(self.value, 10);
        let mut exponent = self.scale + times;
        while exponent % 3 != 0 {
            amount = amount.checked_mul(10)?;
            exponent -= 1;
        }
        Some(match self.form {
            Form::Exponent if exponent == 0 => amount.to_string(),
            Form::Exponent => format!("{amount}e{exponent}"),
            Form::Decimal | Form::Binary => {
                let suffix = DECIMAL
                    .iter()
                    .find(|(_, of)| *of == exponent)
                    .map_or("", |(suffix, _)| suffix);
                format!("{amount}{suffix}")
            }
        })
    }

    fn is_below_one(&self) -> Option<bool> {
        Some(self.scale < 0 && self.value < power(-self.scale)?)
    }

    /// As an integer at a scale, rounded away from zero.
    fn at(&self, scale: i32) -> Option<i128> {
        if self.scale >= scale {
            return self.value.checked_mul(power(self.scale - scale)?);
        }
        let Some(by) = power(scale - self.scale) else {
            return Some(self.value.signum());
        };
        let rest = if self.value % by == 0 {
            0
        } else {
            self.value.signum()
        };
        Some(self.value / by + rest)
    }

    fn round(&mut self, scale: i32) -> Option<()> {
        if self.scale < scale {
            (self.value, self.scale) = (self.at(scale)?, scale);
        }
        Some(())
    }
}

fn power(of_ten: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(of_ten).ok()?)
}

fn without_factors(mut value: i128, factor: i128) -> (i128, i32) {
    let mut times = 0;
    while value != 0 && value % factor == 0 {
        value /= factor;
        times += 1;
    }
    (value, times)
}

fn suffix(text: &str) -> Option<(i32, Form)> {
    let find = |table: &[(&str, i32)]| {
        let found = table.iter().find(|(suffix, _)| *suffix == text);
        found.map(|(_, exponent)| *exponent)
    };
    if let Some(exponent) = find(&DECIMAL) {
        return Some((exponent, Form::Decimal));
    }
    if let Some(exponent) = find(&BINARY) {
        return Some((exponent, Form::Binary));
    }
    let exponent = text.strip_prefix(['e', 'E'])?;
    Some((exponent.parse().ok()?, Form::Exponent))
}

/// What a quantity is made of: the digits before and behind the point, without leading zeros.
struct Parts<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    suffix: &'t str,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let rest = unsigned.trim_start_matches('0');
        let (whole, rest) = digits(rest);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => digits(rest),
            None => ("", rest),
        };
        let letters = suffix.trim_start_matches(|one| "eEinumkKMGTP".contains(one));
        let exponent = letters.strip_prefix(['-', '+']).unwrap_or(letters);
        if !digits(exponent).1.is_empty() {
            return None;
        }
        Some(Parts {
            negative: text.starts_with('-'),
            whole: if whole.is_empty() { "0" } else { whole },
            fraction,
            suffix,
        })
    }
}

fn digits(text: &str) -> (&str, &str) {
    let rest = text.trim_start_matches(|one: char| one.is_ascii_digit());
    text.split_at(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Option<String> {
        Quantity::parse(text)?.text()
    }

    /// As Kubernetes 1.34 writes them.
    #[test]
    fn quantities_are_written_in_one_way() {
        for (text, expected) in [
            ("0.5", "500m"),
            ("500m", "500m"),
            ("1", "1"),
            ("1000m", "1"),
            ("1.5", "1500m"),
            ("1.500", "1.500"),
            ("0.500", "500m"),
            ("1024Mi", "1Gi"),
            ("100Mi", "100Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Gi", "512Mi"),
            ("0.1Ki", "102400m"),
            ("1000", "1k"),
            ("1000000", "1M"),
            ("1e3", "1e3"),
            ("1E3", "1E3"),
            ("10e2", "1e3"),
            ("0", "0"),
            ("00", "0"),
            ("0Gi", "0"),
            ("+1", "+1"),
            ("-1", "-1"),
            ("-0.5", "-500m"),
            ("1.", "1."),
            (".5", "500m"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("12345678901234567890", "12345678901234567890"),
        ] {
            assert_eq!(written(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "x", "1x", "1 Gi", "1KiKi", "e", "1e", "--1", "1.5.5"] {
            assert_eq!(written(text), None, "{text}");
        }
    }

    #[test]
    fn rounding_to_thousandths_keeps_what_is_exact() {
        let rounded = |text: &str| {
            let mut quantity = Quantity::parse(text)?;
            quantity.round_to_thousandths()?;
            quantity.text()
        };
        assert_eq!(rounded("100u").as_deref(), Some("1m"));
        assert_eq!(rounded("1.500").as_deref(), Some("1.500"));
        assert_eq!(rounded("-1u").as_deref(), Some("-1m"));
    }
}
