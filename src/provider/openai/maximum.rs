//! Stated output maxima, and where one is written.

use crate::{
    json::{Span, Walker},
    provider::{
        layout::{Slot, before},
        value,
    },
    unreadable::Unreadable,
};

/// A key that states an output maximum, with its value; `None` if that is `null`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maximum {
    pub(super) tokens: Option<u64>,
    at: Span,
}

impl Maximum {
    /// Reads the value of a key that states it.
    pub(super) fn read(walk: &mut Walker<'_>, key: &'static str) -> Result<Self, Unreadable> {
        let tokens = value::count(walk, key, u32::MAX, "a whole number from 1 to 4294967295")?;
        Ok(Self { tokens, at: walk.span() })
    }

    /// The same where nothing may be asked for, to learn how likely the prompt is.
    pub(super) fn read_or_nothing(
        walk: &mut Walker<'_>,
        key: &'static str,
    ) -> Result<Self, Unreadable> {
        let expected = "a whole number from 0 to 4294967295";
        let tokens = value::whole(walk, key, 0..=u32::MAX, expected)?;
        Ok(Self { tokens, at: walk.span() })
    }

    /// Where a lower one goes: here, if there is a number here.
    pub(super) fn stated_slot(self) -> Option<Slot> {
        self.tokens.map(|_| Slot::new(self.at, "", ""))
    }
}

/// Where a maximum goes that is to be stated at this key: at its value if it is there,
/// be that `null`, else before the request's closing brace, behind `inserted`.
pub(super) fn slot(maximum: Option<Maximum>, inserted: &'static str, end: u32) -> Slot {
    match maximum {
        Some(Maximum { at, .. }) => Slot::new(at, "", ""),
        None => Slot::new(before(end), inserted, ""),
    }
}
