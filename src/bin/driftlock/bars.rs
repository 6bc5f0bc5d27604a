//! Bars in a terminal: what each day cost, at a glance.

use driftlock::{
    Usd,
    report::{Day, DaySpend},
};

use crate::print::usd;

/// As many lines as a screen shows; more days share lines.
const MOST_LINES: usize = 45;
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A line for each day, or each few days, with a bar as long as the dearest allows.
pub(crate) fn bars(days: &[DaySpend], width: usize) -> Vec<String> {
    let together = days.len().div_ceil(MOST_LINES).max(1);
    // From the end, so that the last line is whole.
    let mut lines: Vec<(Day, Usd)> = days
        .rchunks(together)
        .filter_map(|chunk| {
            let cost = chunk.iter().map(|day| day.spent.cost).sum();
            Some((chunk.first()?.day, cost))
        })
        .collect();
    lines.reverse();
    let most = lines.iter().map(|(_, cost)| cost.as_nanos()).max().unwrap_or(0);
    if most == 0 {
        return Vec::new();
    }
    let money: Vec<String> = lines.iter().map(|(_, cost)| usd(*cost)).collect();
    let widest = money.iter().map(String::len).max().unwrap_or(0);
    let day_width = "2026-11-22".len();
    let room = width.saturating_sub(day_width + widest + "    ".len()).max(10);
    let heading = match together {
        1 => "spend by day (UTC)".to_owned(),
        days => format!("spend by {days} days (UTC), from"),
    };
    let bar = |((day, cost), money): (&(Day, Usd), &String)| {
        format!("{day}  {money:>widest$}  {}", bar(cost.as_nanos(), most, room))
    };
    std::iter::once(heading).chain(lines.iter().zip(&money).map(bar)).collect()
}

/// A bar of eighths; where there is something, at least one.
fn bar(amount: u64, most: u64, room: usize) -> String {
    let eighths = u128::from(amount) * room as u128 * 8 / u128::from(most.max(1));
    let eighths = (eighths as usize).max(usize::from(amount > 0));
    let rest = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    format!("{}{rest}", "█".repeat(eighths / 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share_and_never_nothing() {
        assert_eq!(bar(100, 100, 10), "██████████");
        assert_eq!(bar(50, 100, 10), "█████");
        assert_eq!(bar(55, 100, 10), "█████▌");
        assert_eq!(bar(1, u64::MAX, 10), "▏");
        assert_eq!(bar(0, 100, 10), "");
        assert_eq!(bar(u64::MAX, u64::MAX, 10), "██████████");
    }
}
