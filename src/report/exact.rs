//! Decimal numbers of an invoice, exactly.

/// An amount of dollars in 10⁻¹⁸, which is as fine as invoices get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exact(u128);

const PLACES: i64 = 18;
const PER_NANO: u128 = 1_000_000_000;

impl Exact {
    /// Reads `12.5`, `$0.10`, `0.000012345678` and, as spreadsheets put it, `1.2e-5`.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const NO_NUMBER: &str = "expected digits, like 0.10 or $0.10";
        let text = text.trim();
        let text = text.strip_prefix('$').unwrap_or(text);
        if text.starts_with('-') {
            return Err("a credit is not what calls cost; leave it out");
        }
        let (number, power) = match text.split_once(['e', 'E']) {
            Some((number, power)) => (number, power.parse::<i8>().map_err(|_| NO_NUMBER)?),
            None => (text, 0),
        };
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(decimals) {
            return Err(NO_NUMBER);
        }
        let decimals = decimals.trim_end_matches('0');
        let digits = format!("{whole}{decimals}");
        let digits = digits.trim_start_matches('0');
        let places = PLACES + i64::from(power) - decimals.len() as i64;
        if digits.is_empty() {
            return Ok(Self(0));
        }
        let scale = u32::try_from(places).map_err(|_| "more than 18 decimals cannot be kept")?;
        let digits: Option<u128> = digits.parse().ok();
        let amount =
            digits.zip(10u128.checked_pow(scale)).and_then(|(one, ten)| one.checked_mul(ten));
        amount.filter(|amount| amount / PER_NANO <= u64::MAX.into()).map(Self).ok_or("too large")
    }

    pub(super) fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// In whole nano-dollars, rounded up as costs are.
    pub(super) fn nanos(self) -> u64 {
        u64::try_from(self.0.div_ceil(PER_NANO)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_the_last_digit() {
        let nanos = |text: &str| Exact::parse(text).expect(text).nanos();
        for (text, amount) in [
            ("0.10", 100_000_000),
            ("$1", 1_000_000_000),
            (" 12.5 ", 12_500_000_000),
            ("1.", 1_000_000_000),
            ("1.2e-5", 12_000),
            ("1E+3", 1_000_000_000_000),
            ("0.0000000001", 1),
            ("0.00", 0),
            ("0e-99", 0),
            ("18446744073.709551615", u64::MAX),
            ("0.10000000000000000000000", 100_000_000),
        ] {
            assert_eq!(nanos(text), amount, "{text}");
        }
        let tenth = Exact::parse("0.0000000001").unwrap();
        let sum = (0..10).fold(Exact::default(), |sum, _| sum.saturating_add(tenth));
        assert_eq!(sum.nanos(), 1);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        let bad =
            ["", "$", "-1", "1,000", "NaN", "1e", "1e999", "0x1", ".5", "1 2", "1e-19", "1e30"];
        for text in bad {
            assert!(Exact::parse(text).is_err(), "{text}");
        }
    }
}
