//! Sprig's arithmetic (`numeric.go`; cast, decimal).

use super::strings::strval;
use super::{Argument, Function, Outcome, any, int, rest, text};
use crate::strconv::{parse_integer, whole};
use crate::template::format;
use crate::template::value::{Element, List, Value};
use crate::template::{TemplateError, fails, undecided};
use crate::work::{PLACE, Work};

use Argument::{Any, Float, Int, Text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("atoi", &[Text], |_, given| {
        let number = text(given, 0).strip_prefix('+').unwrap_or(text(given, 0));
        let signs = number.starts_with('+');
        Ok(Value::Int(if signs {
            0
        } else {
            number.parse().unwrap_or(0)
        }))
    }),
    Function::new("int", &[Any], |_, given| {
        to_int(any(given, 0)).map(Value::Int)
    }),
    Function::new("int64", &[Any], |_, given| {
        to_int(any(given, 0)).map(Value::Int64)
    }),
    Function::new("float64", &[Any], |_, given| {
        to_float(any(given, 0)).map(Value::Float)
    }),
    Function::new("toDecimal", &[Any], to_decimal),
    Function::new("add1", &[Any], |_, given| {
        Ok(Value::Int64(to_int(any(given, 0))?.wrapping_add(1)))
    }),
    Function::new("add", &[], |_, given| fold(0, given, i64::wrapping_add)).variadic(Any),
    Function::new("sub", &[Any, Any], |_, given| {
        fold(to_int(any(given, 0))?, rest(given, 1), i64::wrapping_sub)
    }),
    Function::new("mul", &[Any], |_, given| {
        fold(to_int(any(given, 0))?, rest(given, 1), i64::wrapping_mul)
    })
    .variadic(Any),
    Function::new("div", &[Any, Any], |_, given| {
        divided(given, i64::wrapping_div)
    }),
    Function::new("mod", &[Any, Any], |_, given| {
        divided(given, i64::wrapping_rem)
    }),
    Function::new("max", &[Any], |_, given| {
        fold(to_int(any(given, 0))?, rest(given, 1), i64::max)
    })
    .variadic(Any),
    Function::new("biggest", &[Any], |_, given| {
        fold(to_int(any(given, 0))?, rest(given, 1), i64::max)
    })
    .variadic(Any),
    Function::new("min", &[Any], |_, given| {
        fold(to_int(any(given, 0))?, rest(given, 1), i64::min)
    })
    .variadic(Any),
    Function::new("maxf", &[Any], |_, given| fold_floats(given, f64::max)).variadic(Any),
    Function::new("minf", &[Any], |_, given| fold_floats(given, f64::min)).variadic(Any),
    Function::new("floor", &[Any], |_, given| {
        Ok(Value::Float(to_float(any(given, 0))?.floor()))
    }),
    Function::new("ceil", &[Any], |_, given| {
        Ok(Value::Float(to_float(any(given, 0))?.ceil()))
    }),
    Function::new("round", &[Any, Int], round).variadic(Float),
    Function::new("add1f", &[Any], |_, given| {
        decimals(any(given, 0), &[Value::Int(1)], Decimal::add)
    }),
    Function::new("addf", &[], |_, given| {
        decimals(&Value::Int(0), given, Decimal::add)
    })
    .variadic(Any),
    Function::new("subf", &[Any], |_, given| {
        decimals(any(given, 0), rest(given, 1), Decimal::subtract)
    })
    .variadic(Any),
    Function::new("mulf", &[Any], |_, given| {
        decimals(any(given, 0), rest(given, 1), Decimal::multiply)
    })
    .variadic(Any),
    Function::new("divf", &[Any], |_, given| {
        decimals(any(given, 0), rest(given, 1), Decimal::divide)
    })
    .variadic(Any),
    Function::new("until", &[Int], |work, given| {
        let count = int(given, 0);
        listed(until_step(work, 0, count, if count < 0 { -1 } else { 1 })?)
    }),
    Function::new("untilStep", &[Int, Int, Int], |work, given| {
        listed(until_step(
            work,
            int(given, 0),
            int(given, 1),
            int(given, 2),
        )?)
    }),
    Function::new("seq", &[], seq).variadic(Int),
];

/// cast's `ToInt64`: what is not a number is 0.
pub(super) fn to_int(value: &Value) -> Result<i64, TemplateError> {
    match value {
        Value::Int(value) | Value::Int64(value) => Ok(*value),
        Value::Uint64(value) => Ok(value.cast_signed()),
        Value::Bool(value) => Ok(i64::from(*value)),
        Value::Float(value) => whole(value.trunc())
            .ok_or_else(|| undecided("a float64 that is too large for an int64")),
        Value::Text(text) => {
            let integer = parse_integer(without_zero_decimals(text));
            Ok(integer
                .and_then(|value| i64::try_from(value).ok())
                .unwrap_or(0))
        }
        _ => Ok(0),
    }
}

/// cast's `trimZeroDecimal`: `1.00` is `1`.
fn without_zero_decimals(text: &str) -> &str {
    let zeros = text.trim_end_matches('0');
    match zeros.strip_suffix('.') {
        Some(whole) if zeros.len() < text.len() => whole,
        _ => text,
    }
}

/// cast's `ToFloat64`: what is not a number is 0.
#[expect(clippy::cast_precision_loss, reason = "as Go converts them")]
fn to_float(value: &Value) -> Result<f64, TemplateError> {
    match value {
        Value::Int(value) | Value::Int64(value) => Ok(*value as f64),
        Value::Uint64(value) => Ok(*value as f64),
        Value::Float(value) => Ok(*value),
        Value::Bool(value) => Ok(f64::from(u8::from(*value))),
        Value::Text(text) => parse_float(text),
        _ => Ok(0.0),
    }
}

fn parse_float(text: &str) -> Result<f64, TemplateError> {
    let lower = text.to_ascii_lowercase();
    if ["0x", "_", "inf", "nan"]
        .iter()
        .any(|special| lower.contains(special))
    {
        return Err(undecided("this way to write a number"));
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Ok(0.0),
    }
}

fn to_decimal(work: &Work, given: &[Value]) -> Outcome {
    let text = strval(work, any(given, 0))?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let is_octal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let value = i64::from_str_radix(&text, 8).ok().filter(|_| is_octal);
    Ok(Value::Int64(value.unwrap_or(0)))
}

fn fold(start: i64, given: &[Value], operate: fn(i64, i64) -> i64) -> Outcome {
    let mut result = start;
    for value in given {
        result = operate(result, to_int(value)?);
    }
    Ok(Value::Int64(result))
}

fn divided(given: &[Value], operate: fn(i64, i64) -> i64) -> Outcome {
    match to_int(any(given, 1))? {
        0 => Err(fails("runtime error: integer divide by zero")),
        divisor => Ok(Value::Int64(operate(to_int(any(given, 0))?, divisor))),
    }
}

fn fold_floats(given: &[Value], operate: fn(f64, f64) -> f64) -> Outcome {
    let mut result = to_float(any(given, 0))?;
    for value in rest(given, 1) {
        result = operate(result, to_float(value)?);
    }
    Ok(Value::Float(result))
}

fn round(_: &Work, given: &[Value]) -> Outcome {
    let value = to_float(any(given, 0))?;
    let Ok(places @ 0..=15) = i32::try_from(int(given, 1)) else {
        return Err(undecided("round to so many places"));
    };
    let up_from = match given.get(2) {
        Some(Value::Float(up_from)) => *up_from,
        _ => 0.5,
    };
    let power = 10_f64.powi(places);
    let digits = power * value;
    let rounded = if digits.fract() >= up_from {
        digits.ceil()
    } else {
        digits.floor()
    };
    Ok(Value::Float(rounded / power))
}

/// Sprig's `untilStep`, paid for before it is done.
fn until_step(work: &Work, start: i64, end: i64, step: i64) -> Result<Vec<i64>, TemplateError> {
    let advances = if end < start { step < 0 } else { step > 0 };
    if !advances {
        return Ok(Vec::new());
    }
    let distance = start.abs_diff(end);
    let count = distance.div_ceil(step.unsigned_abs());
    work.spend(count.saturating_mul(PLACE))?;
    let mut numbers = Vec::new();
    let mut next = start;
    for _ in 0..count {
        numbers.push(next);
        next = next.wrapping_add(step);
    }
    Ok(numbers)
}

fn listed(numbers: Vec<i64>) -> Outcome {
    let numbers = numbers.into_iter().map(Value::Int).collect();
    List::new(Element::Int, numbers).map(Value::List)
}

fn seq(work: &Work, given: &[Value]) -> Outcome {
    let direction = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let (start, step, end) = match given.len() {
        1 => (1, direction(1, int(given, 0)), int(given, 0)),
        2 => {
            let (start, end) = (int(given, 0), int(given, 1));
            (start, direction(start, end), end)
        }
        3 => {
            let (start, step, end) = (int(given, 0), int(given, 1), int(given, 2));
            if end < start && step > 0 {
                return Ok(Value::from(""));
            }
            (start, step, end)
        }
        _ => return Ok(Value::from("")),
    };
    let beyond = end.saturating_add(direction(start, end));
    let mut text = format::Text::new(work);
    for (index, number) in until_step(work, start, beyond, step)?.iter().enumerate() {
        if index > 0 {
            text.push(" ")?;
        }
        text.push(&number.to_string())?;
    }
    Ok(Value::from(text.finish()))
}

/// A decimal number, as far as 128 bits carry it.
#[derive(Clone, Copy, Debug)]
struct Decimal {
    digits: i128,
    /// Of the digits, how many stand after the point.
    scale: u32,
}

/// The digits after the point that a division gives.
const DIVISION_SCALE: u32 = 16;

impl Decimal {
    /// The shortest decimal that is this float.
    fn from_float(value: f64) -> Option<Self> {
        let text = value.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        Some(Decimal {
            digits: format!("{whole}{fraction}").parse().ok()?,
            scale: u32::try_from(fraction.len()).ok()?,
        })
    }

    fn at_scale(self, scale: u32) -> Option<i128> {
        let power = 10_i128.checked_pow(scale.checked_sub(self.scale)?)?;
        self.digits.checked_mul(power)
    }

    fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let digits = self.at_scale(scale)?.checked_add(other.at_scale(scale)?)?;
        Some(Decimal { digits, scale })
    }

    fn subtract(self, other: Self) -> Option<Self> {
        self.add(Decimal {
            digits: other.digits.checked_neg()?,
            ..other
        })
    }

    fn multiply(self, other: Self) -> Option<Self> {
        Some(Decimal {
            digits: self.digits.checked_mul(other.digits)?,
            scale: self.scale.checked_add(other.scale)?,
        })
    }

    /// Rounds half away from zero.
    fn divide(self, other: Self) -> Option<Self> {
        let scale = DIVISION_SCALE.checked_add(other.scale)?;
        let dividend = self.at_scale(scale.max(self.scale))?;
        if self.scale > scale {
            return None;
        }
        let quotient = dividend.checked_div(other.digits)?;
        let remainder = dividend.checked_rem(other.digits)?;
        let rounds = remainder.unsigned_abs().checked_mul(2)? >= other.digits.unsigned_abs();
        let away = dividend.signum() * other.digits.signum();
        Some(Decimal {
            digits: quotient + if rounds { away } else { 0 },
            scale: DIVISION_SCALE,
        })
    }

    fn to_float(self) -> Option<f64> {
        format!("{}e-{}", self.digits, self.scale).parse().ok()
    }
}

fn decimals(
    first: &Value,
    others: &[Value],
    operate: fn(Decimal, Decimal) -> Option<Decimal>,
) -> Outcome {
    let exact = || undecided("arithmetic with numbers of so many digits");
    let decimal = |value: &Value| Decimal::from_float(to_float(value)?).ok_or_else(exact);
    let mut result = decimal(first)?;
    for value in others {
        let value = decimal(value)?;
        let divides_by_zero = value.digits == 0
            && std::ptr::fn_addr_eq(
                operate,
                Decimal::divide as fn(Decimal, Decimal) -> Option<Decimal>,
            );
        if divides_by_zero {
            return Err(fails("decimal division by 0"));
        }
        result = operate(result, value).ok_or_else(exact)?;
    }
    result.to_float().map(Value::Float).ok_or_else(exact)
}
