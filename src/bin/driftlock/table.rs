//! Tables for people.

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

/// A table under these names. Names that begin with `>` are of columns of numbers, which
/// go to the right.
pub(crate) fn table<const N: usize>(
    names: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Table {
    let sides = names.map(|name| match name.starts_with('>') {
        true => CellAlignment::Right,
        false => CellAlignment::Left,
    });
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let heads = names.iter().map(|name| name.trim_start_matches('>'));
    table.set_header(heads.zip(sides).map(|(name, side)| Cell::new(name).set_alignment(side)));
    for row in rows {
        let cells = row.into_iter().zip(sides);
        table.add_row(cells.map(|(text, side)| Cell::new(text).set_alignment(side)));
    }
    table
}
