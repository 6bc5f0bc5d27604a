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
    table.set_header(pick(names.map(|name| name.trim_start_matches(['>', '=']).to_owned())));
    for row in rows {
        let mut row = pick(row);
        row.max_height(1);
        table.add_row(row);
    }
    if let Some(width) = width.and_then(|width| u16::try_from(width).ok()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        let longest = table.column_max_content_widths();
        let kinds = kinds.iter().zip(names).filter(|(_, name)| !name.is_empty());
        let constraint = |((kind, _), longest): ((&Kind, _), u16)| kind.constraint(longest);
        table.set_constraints(kinds.zip(longest).map(constraint));
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

    /// How far a column may be cut that is so wide.
    fn constraint(self, longest: u16) -> ColumnConstraint {
        const PADDING: u16 = 2;
        let least = match self {
            Self::Number => return ColumnConstraint::ContentWidth,
            Self::Key => 28,
            Self::Text => 10,
        };
        ColumnConstraint::LowerBoundary(Width::Fixed(longest.min(least) + PADDING))
    }
}
