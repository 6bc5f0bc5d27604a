//! How far an invoice may be off.

use std::{fmt, str::FromStr};

use super::Reconciliation;
use crate::usd::Usd;

/// What difference between recorded and billed is of no interest: a share, or an amount.
///
/// # Example
/// ```
/// use driftlock::report::{Reconciliation, Tolerance};
///
/// let tolerance: Tolerance = "0.5%".parse()?;
/// assert!(tolerance.allows(&Reconciliation::default()));
/// assert!("$1.50".parse::<Tolerance>().is_ok());
/// # Ok::<(), driftlock::report::ToleranceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Amount(Usd),
    /// As many billionths of a percent of what was recorded.
    Share(u64),
}

impl Tolerance {
    /// At most this much, whichever side has more.
    pub const fn amount(most: Usd) -> Self {
        Self(Kind::Amount(most))
    }

    /// Whether the difference in all is within it, however it is spread over days and
    /// models.
    pub fn allows(self, compared: &Reconciliation) -> bool {
        let off = compared.difference.as_nanos().unsigned_abs();
        match self.0 {
            Kind::Amount(most) => off <= most.as_nanos().into(),
            Kind::Share(share) => {
                const WHOLE: u128 = 100 * 1_000_000_000;
                let most = u128::from(compared.recorded.as_nanos()) * u128::from(share);
                off.saturating_mul(WHOLE) <= most
            }
        }
    }
}

/// Reads `1%`, `0.25%` and `5.00`, `$5`.
impl FromStr for Tolerance {
    type Err = ToleranceError;

    fn from_str(text: &str) -> Result<Self, ToleranceError> {
        let share = text.strip_suffix('%');
        // Percent have as many decimals as dollars.
        let number: Result<Usd, _> = share.unwrap_or(text).trim().parse();
        let number = number.map_err(|_| ToleranceError(text.chars().take(40).collect()))?;
        Ok(Self(match share {
            Some(_) => Kind::Share(number.as_nanos()),
            None => Kind::Amount(number),
        }))
    }
}

/// The text is not a [`Tolerance`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToleranceError(String);

impl fmt::Display for ToleranceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no tolerance: expected a share like 1% or dollars like 5.00", self.0)
    }
}

impl std::error::Error for ToleranceError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SignedUsd;

    #[test]
    fn a_share_is_of_what_was_recorded_and_an_amount_is_an_amount() {
        let compared = |recorded, difference| {
            let difference = SignedUsd::nanos(difference);
            Reconciliation { recorded: Usd::nanos(recorded), difference, ..Default::default() }
        };
        let allows = |text: &str, recorded, difference| {
            text.parse::<Tolerance>().unwrap().allows(&compared(recorded, difference))
        };
        assert!(allows("1%", 1_000, 10) && allows("1%", 1_000, -10));
        assert!(!allows("1%", 1_000, 11) && !allows("1%", 1_000, -11));
        assert!(!allows("100%", 0, 1) && allows("0%", 0, 0));
        assert!(allows("0.000000001%", 100_000_000_000, 1));
        assert!(allows("$0.000000010", 0, -10) && !allows("0.000000010", 0, 11));
        assert!(!allows("18446744073%", 1, i128::MIN) && allows("200%", u64::MAX, 1));
        for bad in ["", "%", "-1%", "1 percent", "one"] {
            assert!(bad.parse::<Tolerance>().is_err(), "{bad}");
        }
    }
}
