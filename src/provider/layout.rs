//! The places in a body where a policy may write.

use bytes::{Bytes, BytesMut};
use smol_str::{SmolStr, ToSmolStr};

use crate::json::Span;

/// Where a policy may write, found while reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Where the model goes; nowhere if the body has none.
    pub(crate) model: Option<Slot>,
    /// Where the ask for usage goes; nowhere if it is there already or out of place.
    pub(crate) usage: Option<Slot>,
    /// Where the output maximum goes, at each key that states one.
    pub(crate) output: [Option<Slot>; 2],
}

/// A place, and what has to stand around the value there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// What is replaced; empty if something is inserted.
    pub(crate) at: Span,
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

impl Slot {
    pub(crate) fn new(at: Span, before: &'static str, after: &'static str) -> Self {
        Self { at, before, after }
    }

    fn range(self) -> std::ops::Range<usize> {
        self.at.start as usize..self.at.end as usize
    }
}

/// The empty place before a byte.
pub(crate) fn before(at: u32) -> Span {
    Span { start: at, end: at }
}

/// What to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edits<'a> {
    /// The model, if it is another one.
    pub(crate) model: Option<&'a str>,
    /// Whether to ask for usage.
    pub(crate) include_usage: bool,
    /// The output maximum per choice, if it is to be stated or lowered; a lower one that
    /// is there already stays.
    pub(crate) max_output_tokens: Option<u64>,
}

impl Edits<'_> {
    fn are_none(&self) -> bool {
        self.model.is_none() && !self.include_usage && self.max_output_tokens.is_none()
    }
}

/// Writes the edits into a body and leaves every other byte as it was; `false` if there is
/// nothing to write.
///
/// The layout must be that of this body.
#[inline]
pub(crate) fn prepare(body: &mut Bytes, layout: &Layout, edits: &Edits<'_>) -> bool {
    // So nearly every call.
    !edits.are_none() && write(body, layout, edits)
}

fn write(body: &mut Bytes, layout: &Layout, edits: &Edits<'_>) -> bool {
    let model = edits.model.map(escaped);
    let usage = edits.include_usage.then(SmolStr::default);
    let output = edits.max_output_tokens.map(|tokens| tokens.to_smolstr());
    let lower = |slot: Option<Slot>| {
        slot.filter(|slot| stated(body, *slot) > edits.max_output_tokens.map_or(0, u128::from))
    };
    let mut pieces = [
        Piece::new(body, layout.model, model.as_ref()),
        Piece::new(body, layout.usage, usage.as_ref()),
        Piece::new(body, lower(layout.output[0]), output.as_ref()),
        Piece::new(body, lower(layout.output[1]), output.as_ref()),
    ];
    // Stable, so that what goes to the same place keeps its order.
    pieces.sort_by_key(|piece| piece.map(|piece| piece.slot.at.start));
    let is_changed = pieces.iter().any(Option::is_some);
    if is_changed {
        // New memory for a long body takes longer than to move what is in it.
        *body = match std::mem::take(body).try_into_mut() {
            Ok(own) => put_in(own, &pieces),
            Err(shared) => splice(&shared, &pieces),
        };
    }
    is_changed
}

/// Puts pieces into a body that nobody else has, the last one first.
fn put_in(mut body: BytesMut, pieces: &[Option<Piece<'_>>]) -> Bytes {
    for piece in pieces.iter().rev().flatten() {
        let (old, length) = (piece.replaced(), body.len());
        let Some(behind) = length.checked_sub(old.end) else { continue };
        let end = old.start + piece.len();
        body.resize(length.max(end + behind), 0);
        body.copy_within(old.end..length, end);
        body.truncate(end + behind);
        let mut at = old.start;
        for part in piece.parts() {
            body[at..at + part.len()].copy_from_slice(part.as_bytes());
            at += part.len();
        }
    }
    body.freeze()
}

/// The number that stands in a slot, beyond every maximum if there is none.
fn stated(body: &[u8], slot: Slot) -> u128 {
    let old = body.get(slot.range()).and_then(|old| std::str::from_utf8(old).ok());
    old.and_then(|old| old.parse().ok()).unwrap_or(u128::MAX)
}

/// A body with pieces in it, in memory of exactly its length.
fn splice(body: &[u8], pieces: &[Option<Piece<'_>>]) -> Bytes {
    let pieces = || pieces.iter().flatten();
    let replaced: usize = pieces().map(|piece| piece.replaced().len()).sum();
    let written: usize = pieces().map(Piece::len).sum();
    let mut out = Vec::with_capacity((body.len() + written).saturating_sub(replaced));
    let mut from = 0;
    for piece in pieces() {
        let at = piece.replaced();
        out.extend_from_slice(body.get(from..at.start).unwrap_or_default());
        piece.parts().iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        from = at.end;
    }
    out.extend_from_slice(body.get(from..).unwrap_or_default());
    out.into()
}

/// A value in its slot.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    slot: Slot,
    value: &'a str,
}

impl<'a> Piece<'a> {
    /// `None` if there is nothing to write, no place for it, or the same text there.
    fn new(body: &[u8], slot: Option<Slot>, value: Option<&'a SmolStr>) -> Option<Self> {
        let piece = Self { slot: slot?, value: value? };
        let old = body.get(piece.replaced()).unwrap_or_default();
        let same = piece.len() == old.len()
            && old.iter().eq(piece.parts().iter().flat_map(|part| part.as_bytes()));
        (!same).then_some(piece)
    }

    fn replaced(&self) -> std::ops::Range<usize> {
        self.slot.range()
    }

    fn parts(&self) -> [&str; 3] {
        [self.slot.before, self.value, self.slot.after]
    }

    fn len(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }
}

/// A string as JSON writes it between the quotes.
fn escaped(text: &str) -> SmolStr {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        return text.into();
    }
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(start: u32, end: u32, before: &'static str, after: &'static str) -> Option<Slot> {
        Some(Slot::new(Span { start, end }, before, after))
    }

    /// What becomes of a body, be it shared or not; `None` if nothing does.
    fn written(body: &'static [u8], layout: &Layout, edits: &Edits<'_>) -> Option<Bytes> {
        let (mut own, mut shared) = (Bytes::copy_from_slice(body), Bytes::from_static(body));
        let is_changed = prepare(&mut own, layout, edits);
        assert_eq!(prepare(&mut shared, layout, edits), is_changed);
        assert_eq!(own, shared);
        assert!(is_changed || own == body);
        is_changed.then_some(own)
    }

    #[test]
    fn pieces_go_to_their_places_in_any_order() {
        let body = br#"{"n":900,"m":"a"}"#;
        let layout = Layout {
            model: slot(13, 16, "\"", "\""),
            usage: slot(16, 16, ",\"u\":1", ""),
            output: [slot(5, 8, "", ""), slot(16, 16, ",\"o\":", "")],
        };
        let edits =
            Edits { model: Some("b\"\\\n"), include_usage: true, max_output_tokens: Some(700) };
        let out = written(body, &layout, &edits).unwrap();
        assert_eq!(out, r#"{"n":700,"m":"b\"\\\n","u":1,"o":700}"#);
        assert!(out.is_unique());
        let edits = Edits { max_output_tokens: Some(901), ..Edits::default() };
        assert_eq!(written(body, &layout, &edits).unwrap(), r#"{"n":900,"m":"a","o":901}"#);
        let layout = Layout { output: layout.output, ..Layout::default() };
        let edits = Edits { max_output_tokens: Some(1), ..Edits::default() };
        assert_eq!(written(body, &layout, &edits).unwrap(), r#"{"n":1,"m":"a","o":1}"#);
    }

    #[test]
    fn what_is_there_already_is_no_change() {
        let body = br#"{"n":1,"m":"a"}"#;
        let layout = Layout {
            model: slot(11, 14, "\"", "\""),
            output: [slot(5, 6, "", ""), None],
            ..Layout::default()
        };
        let edits = Edits { model: Some("a"), include_usage: true, max_output_tokens: Some(1) };
        assert_eq!(written(body, &layout, &edits), None);
        assert_eq!(written(body, &layout, &Edits::default()), None);
    }
}
