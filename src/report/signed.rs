//! Money that may be negative.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::usd::Usd;

/// A signed amount of money, in nano-dollars: a difference, or what was billed, which may
/// be a credit.
///
/// As text `$0.25` and `-$1.50`; with `{:+}`, as differences are told, also `+$0.25`. In
/// JSON `"0.25"` and `"-1.50"`.
///
/// # Example
/// ```
/// use driftlock::report::Invoice;
///
/// let invoice = Invoice::read("day,cost\n2026-11-01,2.00\n2026-11-01,-2.50\n".as_bytes())?;
/// assert_eq!(invoice.total().as_nanos(), -500_000_000);
/// assert_eq!(invoice.total().to_string(), "-$0.50");
/// # Ok::<(), driftlock::report::InvoiceError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedUsd(i128);

impl SignedUsd {
    /// So many nano-dollars.
    pub const fn nanos(nanos: i128) -> Self {
        Self(nanos)
    }

    /// In nano-dollars.
    pub const fn as_nanos(self) -> i128 {
        self.0
    }

    /// Without the sign; at most [`Usd::MAX`].
    pub fn abs(self) -> Usd {
        Usd::nanos(u64::try_from(self.0.unsigned_abs()).unwrap_or(u64::MAX))
    }

    /// What the sign is as text.
    fn sign(self, is_told: bool) -> &'static str {
        match self.0.signum() {
            1 if is_told => "+",
            -1 => "-",
            _ => "",
        }
    }
}

impl From<Usd> for SignedUsd {
    fn from(usd: Usd) -> Self {
        Self(usd.as_nanos().into())
    }
}

impl fmt::Display for SignedUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.sign(f.sign_plus()), self.abs())
    }
}

impl Serialize for SignedUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let usd = self.abs().to_string();
        serializer.collect_str(&format_args!("{}{}", self.sign(false), usd.trim_start_matches('$')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_is_before_the_dollar() {
        let texts = [0, 250_000_000, -1_500_000_000, i128::MIN]
            .map(SignedUsd::nanos)
            .map(|usd| (usd.to_string(), format!("{usd:+}"), serde_json::to_string(&usd).unwrap()));
        let expected = [
            ("$0.00", "$0.00", "\"0.00\""),
            ("$0.25", "+$0.25", "\"0.25\""),
            ("-$1.50", "-$1.50", "\"-1.50\""),
            ("-$18446744073.709551615", "-$18446744073.709551615", "\"-18446744073.709551615\""),
        ];
        let expected =
            expected.map(|(one, two, three)| (one.to_owned(), two.to_owned(), three.to_owned()));
        assert_eq!(texts, expected);
    }
}
