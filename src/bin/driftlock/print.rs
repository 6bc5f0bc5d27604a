//! Where answers go, and how numbers look to people.

use std::io::Write;

use driftlock::{
    Amount, Timestamp, Usd,
    report::{Day, SignedUsd},
};
use serde::Serialize;

use crate::{failure::Failure, table::table};

/// Standard output, for people or for programs.
pub(crate) struct To<'a> {
    pub(crate) out: &'a mut dyn Write,
    pub(crate) is_json: bool,
    /// Whether there are several workspaces to be told apart.
    pub(crate) has_workspaces: bool,
}

impl To<'_> {
    /// A table, and below it what it had no room for.
    pub(crate) fn table<const N: usize>(
        &mut self,
        names: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Result<(), Failure> {
        let (table, left_out) = table(names, rows, width());
        self.line(table)?;
        match left_out.is_empty() {
            true => Ok(()),
            false => self.line(format_args!(
                "left out: {}; a wider terminal or --json shows them",
                left_out.join(", ")
            )),
        }
    }

    /// The name of a column that says nothing where there is one workspace.
    pub(crate) fn workspace(&self) -> &'static str {
        if self.has_workspaces { "workspace" } else { "" }
    }

    /// One document of JSON.
    pub(crate) fn json(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer_pretty(&mut *self.out, document)?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// One line of JSON.
    pub(crate) fn json_line(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut *self.out, object)?;
        Ok(self.out.write_all(b"\n")?)
    }

    pub(crate) fn line(&mut self, line: impl std::fmt::Display) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{line}")?)
    }
}

/// How wide the terminal is; nothing is known of what is no terminal.
pub(crate) fn width() -> Option<usize> {
    // As a person says who wants another.
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let told = told.filter(|columns| *columns > 0);
    told.or_else(|| terminal_size::terminal_size().map(|(width, _)| width.0.into()))
}

/// Dollars, rounded to the cent above a hundred, else to four decimals where they are more
/// than two; JSON has them all.
pub(crate) fn usd(usd: Usd) -> String {
    let nanos = u128::from(usd.as_nanos());
    let (unit, decimals) = if nanos < 100_000_000_000 { (100_000, 4) } else { (10_000_000, 2) };
    let rounded = (nanos + unit / 2) / unit;
    if rounded == 0 {
        return if nanos == 0 { "$0.00".into() } else { "<$0.0001".into() };
    }
    let scale = 10u128.pow(decimals);
    let (whole, part) = (grouped(rounded / scale), rounded % scale);
    match (decimals, part % 100) {
        (4, 0) => format!("${whole}.{:02}", part / 100),
        (4, _) => format!("${whole}.{part:04}"),
        _ => format!("${whole}.{part:02}"),
    }
}

/// As dollars are shown, with a minus where it is one, and with what stands for a plus.
pub(crate) fn signed(money: SignedUsd, plus: &str) -> String {
    let sign = match money.as_nanos().signum() {
        1 => plus,
        -1 => "-",
        _ => "",
    };
    format!("{sign}{}", usd(money.abs()))
}

/// `1 call`, `2 calls`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {what}{s}", grouped(number.into()))
}

pub(crate) fn amount(amount: Amount) -> String {
    match amount {
        Amount::Cost(cost) => usd(cost),
        Amount::Calls(calls) => grouped(calls.into()),
    }
}

/// Digits in threes.
pub(crate) fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// To the second, or to the minute if it is a whole one.
pub(crate) fn time(time: Timestamp) -> String {
    let text = time.to_string();
    let second = text.split(['.', 'Z']).next().unwrap_or_default().replace('T', " ");
    format!("{}Z", second.strip_suffix(":00").unwrap_or(&second))
}

/// A date where a day begins, else to the second.
pub(crate) fn moment(moment: Timestamp) -> String {
    let day = Day::of(moment);
    if day.start() == moment { day.to_string() } else { time(moment) }
}

/// What somebody else wrote: of a length that fits, and without what a terminal obeys.
pub(crate) fn foreign(text: &str) -> String {
    const LONGEST: usize = 48;
    let mut out: String = text.chars().take(LONGEST).map(tamed).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}

/// A text without what a terminal obeys, as errors are that quote what somebody else wrote.
pub(crate) fn tame(text: &str) -> String {
    text.chars().map(tamed).collect()
}

fn tamed(char: char) -> char {
    match char {
        // These turn the order of letters around, those of what stands beside them too.
        '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
            char::REPLACEMENT_CHARACTER
        }
        _ if char.is_control() => char::REPLACEMENT_CHARACTER,
        _ => char,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_rounded_for_people_and_never_to_nothing() {
        let shown = [0, 1, 50_000, 123_456_789, 99_999_960_000, 1_234_567_895_000_000, u64::MAX]
            .map(|nanos| usd(Usd::nanos(nanos)));
        let expected = [
            "$0.00",
            "<$0.0001",
            "$0.0001",
            "$0.1235",
            "$100.00",
            "$1,234,567.90",
            "$18,446,744,073.71",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do_by_a_label() {
        assert_eq!(foreign("\u{1b}[31mred\n"), "\u{fffd}[31mred\u{fffd}");
        assert_eq!(foreign("\u{202e}der\u{2069}"), "\u{fffd}der\u{fffd}");
        assert_eq!(foreign(&"x".repeat(60)).chars().count(), 49);
    }
}
