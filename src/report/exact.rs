//! Decimal numbers of an invoice, exactly.

/// An amount of dollars in 10⁻¹⁸, which is as fine as invoices get. Credits are negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exact(i128);

const PLACES: i64 = 18;
const PER_NANO: i128 = 1_000_000_000;
const NO_NUMBER: &str = "expected digits, like 0.10 or $0.10";

impl Exact {
    /// Reads `12.5`, `$0.10`, `0.30 USD`, `1,000.30`, `-2`, `0.000012345678` and, as
    /// spreadsheets put it, `1.2e-5`.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (text, is_credit) = signed(text.trim());
        let (number, power) = match text.split_once(['e', 'E']) {
            Some((number, power)) => (number, power.parse::<i8>().map_err(|_| NO_NUMBER)?),
            None => (text, 0),
        };
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let whole = ungrouped(whole)?;
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(&whole) || !is_digits(decimals) {
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
        let digits: Option<i128> = digits.parse().ok();
        let amount =
            digits.zip(10i128.checked_pow(scale)).and_then(|(one, ten)| one.checked_mul(ten));
        let amount = amount.filter(|amount| amount / PER_NANO <= u64::MAX.into());
        amount.map(|amount| Self(if is_credit { -amount } else { amount })).ok_or("too large")
    }

    pub(super) fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// In whole nano-dollars, rounded up as costs are.
    pub(super) fn nanos(self) -> i128 {
        self.0.div_euclid(PER_NANO) + i128::from(self.0.rem_euclid(PER_NANO) > 0)
    }
}

/// The number without its sign and currency, and whether it is a credit: `-$0.30`,
/// `$-0.30`, `0.30 USD`.
fn signed(text: &str) -> (&str, bool) {
    let currency = |text: &'_ str| -> usize {
        let is_usd = text.get(text.len().saturating_sub(3)..);
        if is_usd.is_some_and(|end| end.eq_ignore_ascii_case("usd")) { 3 } else { 0 }
    };
    let text = text[..text.len() - currency(text)].trim_end();
    let (text, before) = text.strip_prefix('-').map_or((text, false), |rest| (rest, true));
    let text = text.strip_prefix('$').unwrap_or(text);
    let within = if before { None } else { text.strip_prefix('-') };
    (within.unwrap_or(text), before || within.is_some())
}

/// The digits of `1,000`; a comma anywhere but between thousands may be one of decimals.
fn ungrouped(whole: &str) -> Result<String, &'static str> {
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    if first.len() == whole.len() {
        return Ok(whole.to_owned());
    }
    let is_grouped = (1..=3).contains(&first.len())
        && !first.starts_with('0')
        && groups.all(|group| group.len() == 3);
    match is_grouped {
        true => Ok(whole.replace(',', "")),
        false => Err("a comma goes between thousands; decimals follow a point, like 1,000.30"),
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
            ("-0", 0),
            ("0e-99", 0),
            ("18446744073.709551615", u64::MAX.into()),
            ("0.10000000000000000000000", 100_000_000),
            ("1,000.30", 1_000_300_000_000),
            ("12,345,678", 12_345_678_000_000_000),
            ("0.30 USD", 300_000_000),
            ("$0.30usd", 300_000_000),
            ("-1", -1_000_000_000),
            ("-$0.30", -300_000_000),
            ("$-0.30", -300_000_000),
            ("-0.0000000019", -1),
        ] {
            assert_eq!(nanos(text), amount, "{text}");
        }
        let tenth = Exact::parse("0.0000000001").unwrap();
        let sum = (0..10).fold(Exact::default(), |sum, _| sum.saturating_add(tenth));
        assert_eq!(sum.nanos(), 1);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        let bad = [
            "", "$", "USD", "-", "--1", "NaN", "1e", "1e999", "0x1", ".5", "1 2", "1e-19", "1e30",
            "0,30", "0,300", "1,00", "1,0000", ",100", "1.000,30", "0.30 EUR", "é", "1é",
        ];
        for text in bad {
            assert!(Exact::parse(text).is_err(), "{text}");
        }
    }
}
