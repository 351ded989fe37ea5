//! Decimal numbers near money and quantities. [`Decimal`] is what people and brokers write: exact, bounded, never a float.
//! [`Exact`] is what is computed with: fractions of any size, so nothing is lost before a line is rounded, once, half-even.

use std::fmt;
use std::str::FromStr;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow as _, Signed as _, Zero as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number without any loss: the quotient of two integers.
pub type Exact = BigRational;

/// Digits after the point that a [`Decimal`] may have.
pub const PLACES: u32 = 12;
/// Digits before the point that a [`Decimal`] may have.
pub const WHOLE_DIGITS_MAX: usize = 18;
/// Characters of a JSON number's digits, and how far its exponent may reach: more than any float needs.
const NUMBER_MAX: usize = 400;
const ONE: i128 = 10_i128.pow(PLACES);

/// A decimal number of at most 18 digits before the point and 12 after it; on the wire a string such as `"12.5"`. A sum of a
/// hundred million of them still fits [`Decimal::units`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i128);

/// Why a text is no [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not digits with at most one point between them.
    #[error("must be a decimal number in a string, such as \"12.5\"")]
    Form,
    /// Too many digits.
    #[error("may have at most 18 digits before the point and 12 after it")]
    Digits,
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The units of 1.
    pub const ONE_UNITS: i128 = ONE;

    /// So many millionths of a millionth.
    pub const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// In millionths of a millionth.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// The nearest one to a JSON number as it is written, half-even: it may have an exponent, and more digits after the point
    /// than twelve, as programs print their floats.
    ///
    /// # Errors
    /// Where the text is no number, or one that is too large.
    pub fn nearest(text: &str) -> Result<Self, DecimalError> {
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().map_err(|_| DecimalError::Form)?;
        let shift = exponent.unsigned_abs();
        if digits.len() > NUMBER_MAX || shift as usize > NUMBER_MAX {
            return Err(DecimalError::Digits);
        }
        let scale = BigInt::from(10).pow(shift);
        let value = if exponent < 0 { read(digits)? / scale } else { read(digits)? * scale };
        rounded(&value, PLACES).parse()
    }

    /// The same number to compute with.
    pub fn exact(self) -> Exact {
        Exact::new(BigInt::from(self.0), BigInt::from(ONE))
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(whole) || !plain(part) {
            return Err(DecimalError::Form);
        }
        let whole = whole.trim_start_matches('0');
        let part = part.trim_end_matches('0');
        if whole.len() > WHOLE_DIGITS_MAX || part.len() > PLACES as usize {
            return Err(DecimalError::Digits);
        }
        let number: i128 = format!("{whole}{part:0<12}").parse().map_err(|_| DecimalError::Form)?;
        Ok(Self(if negative { -number } else { number }))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) = (self.0.unsigned_abs() / ONE.unsigned_abs(), self.0.unsigned_abs() % ONE.unsigned_abs());
        let part = format!("{part:012}");
        match part.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            part => write!(f, "{sign}{whole}.{part}"),
        }
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The number with exactly so many digits after the point, rounded half-even (IEEE 754 roundTiesToEven).
pub fn rounded(value: &Exact, places: u32) -> String {
    let scale = BigInt::from(10).pow(places);
    let scaled = value.numer() * &scale;
    let (mut whole, rest) = num_integer::Integer::div_rem(&scaled, value.denom());
    let twice = rest.abs() * 2;
    if twice > *value.denom() || (twice == *value.denom() && num_integer::Integer::is_odd(&whole)) {
        whole += if scaled.is_negative() { -1 } else { 1 };
    }
    let sign = if whole.is_negative() { "-" } else { "" };
    let digits = whole.abs().to_string();
    let width = places as usize;
    let at_least = width + 1;
    let digits = format!("{digits:0>at_least$}");
    let (before, after) = digits.split_at(digits.len() - width);
    if after.is_empty() { format!("{sign}{before}") } else { format!("{sign}{before}.{after}") }
}

/// The number with at most twelve digits after the point, rounded half-even, and no zeros at the end.
pub fn plain(value: &Exact) -> String {
    let text = rounded(value, PLACES);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The number that [`rounded`] or [`plain`] wrote.
///
/// # Errors
/// Where the text is no decimal number.
pub fn read(text: &str) -> Result<Exact, DecimalError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{part}");
    if whole.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Form);
    }
    let number: BigInt = all.parse().map_err(|_| DecimalError::Form)?;
    let places = u32::try_from(part.len()).map_err(|_| DecimalError::Digits)?;
    let value = Exact::new(number, BigInt::from(10).pow(places));
    Ok(if text.starts_with('-') { -value } else { value })
}

/// The digits after the point of a currency's minor unit (ISO 4217); two for most.
pub fn minor_digits(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

/// Zero.
pub fn zero() -> Exact {
    Exact::zero()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: Result<&str, DecimalError>) {
        assert_eq!(text.parse::<Decimal>().map(|read| read.to_string()), shown.map(str::to_owned), "{text}");
    }

    #[test]
    fn what_is_written_is_kept_to_the_last_digit_or_refused() {
        for (text, shown) in [("0", "0"), ("12.50", "12.5"), ("-0.000000000001", "-0.000000000001"), ("007", "7")] {
            check(text, Ok(shown));
        }
        check("999999999999999999.999999999999", Ok("999999999999999999.999999999999"));
        for text in ["", "-", ".5", "5.", "1e3", "+1", " 1", "1,5", "0x1", "1.2.3", "٣", "--1"] {
            check(text, Err(DecimalError::Form));
        }
        for text in ["1000000000000000000", "0.0000000000001"] {
            check(text, Err(DecimalError::Digits));
        }
        check("0.5000000000000000", Ok("0.5"));
        assert!(serde_json::from_str::<Decimal>("1.5").is_err(), "a JSON number may be a float to whoever wrote it");
    }

    #[test]
    fn a_json_number_is_read_to_its_nearest_decimal_from_its_text() {
        for (text, shown) in [
            ("1.0E7", "10000000"),
            ("12e+2", "1200"),
            ("2.5e-3", "0.0025"),
            ("0.30000000000000004", "0.3"),
            ("0.0000000000005", "0"),
            ("0.0000000000015", "0.000000000002"),
            ("4.9E-324", "0"),
            ("-0.0", "0"),
            ("7", "7"),
        ] {
            assert_eq!(Decimal::nearest(text).map(|read| read.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for text in ["1e18", "1.8E308", "1e999999999", "0.1e-401"] {
            assert_eq!(Decimal::nearest(text), Err(DecimalError::Digits), "{text}");
        }
        for text in ["", "e5", "1e", "1e99999999999", "NaN", "1e5e5"] {
            assert_eq!(Decimal::nearest(text), Err(DecimalError::Form), "{text}");
        }
    }

    #[test]
    fn rounding_is_half_even_and_once() {
        let half = |numerator: i64, denominator: i64| Exact::new(numerator.into(), denominator.into());
        for (value, places, shown) in [
            (half(1, 8), 2, "0.12"),
            (half(3, 8), 2, "0.38"),
            (half(-1, 8), 2, "-0.12"),
            (half(-3, 8), 2, "-0.38"),
            (half(5, 2), 0, "2"),
            (half(7, 2), 0, "4"),
            (half(1, 3), 2, "0.33"),
            (half(2, 3), 2, "0.67"),
            (half(-1, 1000), 2, "0.00"),
            (half(199, 200), 2, "1.00"),
            (half(0, 1), 2, "0.00"),
        ] {
            assert_eq!(rounded(&value, places), shown, "{value}");
        }
        assert_eq!(plain(&half(1, 3)), "0.333333333333");
        assert_eq!(plain(&half(5, 2)), "2.5");
        assert_eq!(plain(&half(-1, 10_i64.pow(14))), "0");
        assert_eq!(read("-12.50"), Ok(half(-25, 2)));
        assert_eq!(read("1.2.3"), Err(DecimalError::Form));
    }
}
