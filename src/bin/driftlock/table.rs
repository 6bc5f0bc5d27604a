//! Tables for people.

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width,
    presets::UTF8_FULL_CONDENSED,
};

/// A table under these names, no wider than there is room, and the names that were left out
/// for that. What a name begins with tells of
/// its column:
/// - `>` numbers, which go to the right and are never cut;
/// - `!` dates, which are never cut either;
/// - `=` what is typed again, which is cut last;
/// - `?` before these: it is left out where there is no room for it.
///
/// A column without a name is left out.
pub(crate) fn table<const N: usize>(
    names: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: Option<usize>,
) -> (Table, Vec<&str>) {
    let rows: Vec<_> = rows.into_iter().collect();
    let mut columns: Vec<Column<'_>> = names
        .into_iter()
        .enumerate()
        .filter(|(_, name)| !name.is_empty())
        .map(|(place, name)| Column::new(name, rows.iter().filter_map(|row| row.get(place)), place))
        .collect();
    let mut left_out = Vec::new();
    let cut = width.map(|width| make_room(&mut columns, width, &mut left_out));

    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_truncation_indicator("…");
    let names: Vec<_> = columns.iter().map(|column| column.name.to_owned()).collect();
    table.set_header(row(names.into_iter(), &columns));
    for cells in &rows {
        let cells = columns.iter().filter_map(|column| cells.get(column.place).cloned());
        table.add_row(row(cells, &columns));
    }
    if let Some((width, cut)) = width.and_then(|width| u16::try_from(width).ok()).zip(cut) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        table.set_constraints(columns.iter().map(|column| column.constraint(cut)));
    }
    (table, left_out)
}

fn row(cells: impl Iterator<Item = String>, columns: &[Column<'_>]) -> Row {
    let cells = cells.zip(columns);
    let mut row =
        Row::from(cells.map(|(text, column)| Cell::new(text).set_alignment(column.side())));
    row.max_height(1);
    row
}

/// How far columns may be cut, which is no further than there is need to; the last ones
/// that can be done without are left out before they are cut to nothing.
fn make_room<'a>(columns: &mut Vec<Column<'a>>, width: usize, left_out: &mut Vec<&'a str>) -> Cut {
    loop {
        let fits = |cut: &&Cut| {
            let all = columns.iter().map(|column| column.least(**cut) + BORDER);
            all.sum::<usize>() < width
        };
        if let Some(cut) = CUTS.iter().find(fits) {
            return *cut;
        }
        let Some(last) = columns.iter().rposition(|column| column.is_optional) else {
            return Cut { key: 1, text: 1 };
        };
        left_out.insert(0, columns.remove(last).name);
    }
}

const PADDING: usize = 2;
const BORDER: usize = PADDING + 1;

/// How wide columns are at least, if they have so much to tell.
#[derive(Clone, Copy, Debug)]
struct Cut {
    key: usize,
    text: usize,
}

const CUTS: [Cut; 4] = [
    Cut { key: 40, text: 20 },
    Cut { key: 30, text: 15 },
    Cut { key: 20, text: 10 },
    Cut { key: 14, text: 8 },
];

#[derive(Clone, Copy, Debug)]
struct Column<'a> {
    name: &'a str,
    kind: Kind,
    is_optional: bool,
    place: usize,
    longest: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Date,
    Key,
    Text,
}

impl<'a> Column<'a> {
    fn new<'c>(name: &'a str, cells: impl Iterator<Item = &'c String>, place: usize) -> Self {
        let (name, is_optional) = name.strip_prefix('?').map_or((name, false), |name| (name, true));
        let kind = match name.chars().next() {
            Some('>') => Kind::Number,
            Some('!') => Kind::Date,
            Some('=') => Kind::Key,
            _ => Kind::Text,
        };
        let name = name.trim_start_matches(['>', '!', '=']);
        let length = |text: &str| text.chars().count();
        let longest = cells.map(|cell| length(cell)).fold(length(name), usize::max);
        Self { name, kind, is_optional, place, longest }
    }

    fn side(&self) -> CellAlignment {
        match self.kind {
            Kind::Number => CellAlignment::Right,
            _ => CellAlignment::Left,
        }
    }

    fn least(&self, cut: Cut) -> usize {
        match self.kind {
            Kind::Number | Kind::Date => self.longest,
            Kind::Key => self.longest.min(cut.key),
            Kind::Text => self.longest.min(cut.text),
        }
    }

    fn constraint(&self, cut: Cut) -> ColumnConstraint {
        match self.kind {
            Kind::Number | Kind::Date => ColumnConstraint::ContentWidth,
            Kind::Key | Kind::Text => {
                let least = u16::try_from(self.least(cut) + PADDING).unwrap_or(u16::MAX);
                ColumnConstraint::LowerBoundary(Width::Fixed(least))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_first_is_what_is_missed_least() {
        let names = ["=key", "?>used", "!until", "why"];
        let cells = ["user=somebody", "1,000", "2026-11-22", "because it was said so"];
        let lines = |width| {
            let (table, left_out) = table(names, [cells.map(str::to_owned)], width);
            let (table, left_out) = (table.to_string(), left_out.join(", "));
            assert!(
                width.is_none_or(|width| table.lines().all(|line| line.chars().count() <= width))
            );
            format!("{}{left_out}", table.lines().nth(3).unwrap_or_default())
        };
        assert_eq!(lines(None), "│ user=somebody ┆ 1,000 ┆ 2026-11-22 ┆ because it was said so │");
        assert_eq!(lines(Some(63)), lines(None));
        assert_eq!(lines(Some(55)), "│ user=somebody ┆ 1,000 ┆ 2026-11-22 ┆ because it wa… │");
        assert_eq!(lines(Some(45)), "│ user=somebody ┆ 2026-11-22 ┆ because it…  │used");
    }
}
