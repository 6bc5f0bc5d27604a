//! Money, as whole nano-dollars.
//!
//! A budget that is compared with `f64` sums drifts with every call it adds.
//! [`Usd`] is an integer, so sums are exact, and it saturates upwards, so that
//! an overflow can only ever deny a call, never admit one.

use std::{fmt, iter::Sum, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of money: a whole number of nano-dollars (10⁻⁹ US dollars).
///
/// The range is $0 to [`Usd::MAX`], about $18.4 billion. Arithmetic saturates at
/// both ends; an amount that reached [`Usd::MAX`] is treated as "more than any
/// limit".
///
/// # Example
/// ```
/// use driftlock::Usd;
///
/// let price: Usd = "$0.10".parse()?;
/// assert_eq!(price, Usd::cents(10));
/// assert_eq!(price.saturating_mul(3).to_string(), "$0.30");
/// assert_eq!(Usd::nanos(17_250).to_string(), "$0.00001725");
/// # Ok::<(), driftlock::ParseUsdError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(u64);

const NANOS_PER_DOLLAR: u64 = 1_000_000_000;
const NANOS_PER_CENT: u64 = NANOS_PER_DOLLAR / 100;
/// A nano-dollar is the ninth decimal.
const DECIMALS: usize = 9;

impl Usd {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The largest amount, about $18.4 billion; it exceeds every limit.
    pub const MAX: Self = Self(u64::MAX);

    /// Whole dollars; saturates at [`Usd::MAX`].
    pub const fn dollars(dollars: u64) -> Self {
        Self(dollars.saturating_mul(NANOS_PER_DOLLAR))
    }

    /// Whole cents; saturates at [`Usd::MAX`].
    pub const fn cents(cents: u64) -> Self {
        Self(cents.saturating_mul(NANOS_PER_CENT))
    }

    /// Whole nano-dollars, the unit everything is counted in.
    pub const fn nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// This amount in nano-dollars.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whether this is exactly $0.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` above [`Usd::MAX`].
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The sum, at most [`Usd::MAX`].
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, at least [`Usd::ZERO`].
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The product, at most [`Usd::MAX`].
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

/// Dollars with at least two decimals and no trailing zeros after them.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, nanos) = (self.0 / NANOS_PER_DOLLAR, self.0 % NANOS_PER_DOLLAR);
        let digits = format!("{nanos:09}");
        let kept = digits.trim_end_matches('0').len().max(2);
        f.pad(&format!("${dollars}.{}", &digits[..kept]))
    }
}

impl fmt::Debug for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads `"0.10"`, `"$0.10"` and `"12"`. Refuses signs, exponents, separators,
/// more than nine decimals and amounts above [`Usd::MAX`].
impl FromStr for Usd {
    type Err = ParseUsdError;

    fn from_str(text: &str) -> Result<Self, ParseUsdError> {
        let error = |reason| ParseUsdError { text: shorten(text), reason };
        let number = text.trim();
        let number = number.strip_prefix('$').unwrap_or(number);
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !is_digits(decimals) {
            return Err(error(Reason::NotANumber));
        }
        if decimals.len() > DECIMALS {
            return Err(error(Reason::TooPrecise));
        }
        let parse = |part: &str| part.parse::<u64>().map_err(|_| error(Reason::TooLarge));
        let nanos = parse(&format!("{decimals:0<DECIMALS$}"))?;
        parse(whole)?
            .checked_mul(NANOS_PER_DOLLAR)
            .and_then(|whole| whole.checked_add(nanos))
            .map(Self)
            .ok_or_else(|| error(Reason::TooLarge))
    }
}

/// An error message should not repeat a megabyte of bad input.
fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

/// As a decimal string without the dollar sign, for example `"0.10"`.
impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.to_string().trim_start_matches('$'))
    }
}

/// From a decimal string; numbers are refused because JSON numbers are floats to
/// many readers.
impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is not an amount of US dollars; see [`Usd`]'s `FromStr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseUsdError {
    text: String,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    NotANumber,
    TooPrecise,
    TooLarge,
}

impl fmt::Display for ParseUsdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            Reason::NotANumber => "expected digits, like \"0.10\" or \"$0.10\"",
            Reason::TooPrecise => "at most nine decimals, a nano-dollar, can be kept",
            Reason::TooLarge => "the largest amount is about 18.4 billion dollars",
        };
        write!(f, "`{}` is not an amount of US dollars: {reason}", self.text)
    }
}

impl std::error::Error for ParseUsdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_displayed_parses_back() {
        for nanos in [0, 1, 10_000_000, 999_999_999, NANOS_PER_DOLLAR, 499_200_000_000, u64::MAX] {
            let usd = Usd::nanos(nanos);
            assert_eq!(usd.to_string().parse(), Ok(usd));
            let json = serde_json::to_string(&usd).unwrap();
            assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), usd);
        }
    }

    #[test]
    fn bad_amounts_are_refused_with_a_reason() {
        for bad in ["", "$", ".5", "1.", "-1", "+1", "1e3", "1,000", "0.1234567890", "1 2", "NaN"] {
            assert!(bad.parse::<Usd>().is_err(), "{bad}");
        }
        let error = "18446744073.709551616".parse::<Usd>().unwrap_err();
        assert!(error.to_string().contains("largest"), "{error}");
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Usd::dollars(u64::MAX), Usd::MAX);
        assert_eq!(Usd::MAX.saturating_add(Usd::nanos(1)), Usd::MAX);
        assert_eq!(Usd::MAX.checked_add(Usd::nanos(1)), None);
        assert_eq!(Usd::cents(1).saturating_sub(Usd::cents(2)), Usd::ZERO);
    }
}
