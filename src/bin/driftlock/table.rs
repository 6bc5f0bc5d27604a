//! Tables for people.

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width,
    presets::UTF8_FULL_CONDENSED,
};

/// A table under these names. Names that begin with `>` are of columns of numbers, which go
/// to the right and are never cut; those with `=` are of what is typed again, which is cut
/// last. A column without a name is left out.
pub(crate) fn table<const N: usize>(
    names: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: Option<usize>,
) -> Table {
    let kinds = names.map(Kind::of);
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_truncation_indicator("…");
    let pick = |cells: [String; N]| {
        let cells = cells.into_iter().zip(names).zip(kinds);
        let cells = cells.filter(|((_, name), _)| !name.is_empty());
        Row::from(cells.map(|((text, _), kind)| Cell::new(text).set_alignment(kind.side())))
    };
    let mut header = pick(names.map(|name| name.trim_start_matches(['>', '=']).to_owned()));
    header.max_height(1);
    table.set_header(header);
    for row in rows {
        let mut row = pick(row);
        row.max_height(1);
        table.add_row(row);
    }
    if let Some(width) = width.and_then(|width| u16::try_from(width).ok()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        let kinds = kinds.into_iter().zip(names).filter(|(_, name)| !name.is_empty());
        let longest = table.column_max_content_widths().into_iter();
        let columns: Vec<_> = kinds.map(|(kind, _)| kind).zip(longest).collect();
        let fits = |cut: &&Cut| {
            let all: u16 = columns.iter().map(|(kind, longest)| cut.of(*kind, *longest) + 3).sum();
            all < width
        };
        let cut = CUTS.iter().find(fits).unwrap_or(&Cut { key: 1, text: 1 });
        table.set_constraints(columns.iter().map(|(kind, longest)| match kind {
            Kind::Number => ColumnConstraint::ContentWidth,
            _ => ColumnConstraint::LowerBoundary(Width::Fixed(cut.of(*kind, *longest) + 2)),
        }));
    }
    table
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Key,
    Text,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name.chars().next() {
            Some('>') => Self::Number,
            Some('=') => Self::Key,
            _ => Self::Text,
        }
    }

    fn side(self) -> CellAlignment {
        if self == Self::Number { CellAlignment::Right } else { CellAlignment::Left }
    }
}

/// How far columns may be cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    key: u16,
    text: u16,
}

/// No further than there is need to.
const CUTS: [Cut; 4] = [
    Cut { key: 28, text: 10 },
    Cut { key: 20, text: 8 },
    Cut { key: 14, text: 6 },
    Cut { key: 8, text: 4 },
];

impl Cut {
    /// How wide a column is at least that would be so wide.
    fn of(self, kind: Kind, longest: u16) -> u16 {
        match kind {
            Kind::Number => longest,
            Kind::Key => longest.min(self.key),
            Kind::Text => longest.min(self.text),
        }
    }
}
