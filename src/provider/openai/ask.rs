//! The ask for usage in a stream: `stream_options.include_usage`.

use crate::{
    json::{Span, Walker},
    provider::{
        governed::{Governed, Keys, keys},
        layout::{Slot, before},
        value,
    },
    unreadable::Unreadable,
};

/// What a request says in `stream_options`.
#[derive(Debug, Default)]
pub(super) enum StreamOptions {
    #[default]
    Absent,
    Null(Span),
    Given {
        inside: Span,
        empty: bool,
        include_usage: Option<(bool, Span)>,
    },
}

impl StreamOptions {
    /// Reads the value of `stream_options`.
    pub(super) fn read(walk: &mut Walker<'_>, key: &'static str) -> Result<Self, Unreadable> {
        if !value::enter_object(walk, key)? {
            return Ok(Self::Null(walk.span()));
        }
        let inside = before(walk.span().end);
        let (mut empty, mut include_usage) = (true, None);
        const KEYS: Keys<()> = &keys([("include_usage", ())]);
        let mut governed = const { Governed::new(KEYS) };
        while let Some(key) = walk.key()? {
            empty = false;
            match governed.find(key)? {
                Some((name, ())) => include_usage = Some((value::flag(walk, name)?, walk.span())),
                None => {
                    walk.skip()?;
                }
            }
        }
        Ok(Self::Given { inside, empty, include_usage })
    }

    /// Where the ask of a stream goes; nowhere if it is there already. `end` is where
    /// the request's closing brace is.
    pub(super) fn slot(&self, end: u32) -> Option<Slot> {
        Some(match *self {
            Self::Absent => {
                Slot::new(before(end), r#","stream_options":{"include_usage":true}"#, "")
            }
            Self::Null(at) => Slot::new(at, r#"{"include_usage":true}"#, ""),
            Self::Given { include_usage: Some((true, _)), .. } => return None,
            Self::Given { include_usage: Some((false, at)), .. } => Slot::new(at, "true", ""),
            Self::Given { inside, empty: true, .. } => {
                Slot::new(inside, r#""include_usage":true"#, "")
            }
            Self::Given { inside, .. } => Slot::new(inside, r#""include_usage":true,"#, ""),
        })
    }
}
