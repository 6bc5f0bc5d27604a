//! Responses that come as an array of parts.
//!
//! Gemini streams so unless asked for events: one JSON array, in which every chunk is
//! an object. Each of them is then read as an event would be, when its brace closes.

/// Where in a response a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Before its first byte.
    Unknown,
    /// In a document that is no array.
    Single,
    /// In an array, before a part or the closing bracket.
    Between,
    /// In a part.
    Inside,
    /// Behind the closing bracket.
    Ended,
    /// In an array with something else than objects in it, which is not read on.
    Broken,
}

impl List {
    /// Passes over what stands outside of documents and parts; the rest, if there is
    /// any, begins or goes on in one.
    #[inline]
    pub(super) fn skip<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Single | Self::Inside => bytes,
            _ => self.skip_outside(bytes),
        }
    }

    fn skip_outside<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut rest = bytes;
        while let [first, after @ ..] = rest {
            match (*self, first) {
                (Self::Ended | Self::Broken, _) => break,
                (_, b' ' | b'\t' | b'\n' | b'\r') | (Self::Between, b',') => {}
                // a byte order mark
                (Self::Unknown, 0xEF | 0xBB | 0xBF) => {}
                (Self::Unknown, b'[') => *self = Self::Between,
                (Self::Between, b']') => *self = Self::Ended,
                (Self::Between, b'{') => {
                    *self = Self::Inside;
                    return rest;
                }
                (Self::Between, _) => *self = Self::Broken,
                (Self::Unknown | Self::Single | Self::Inside, _) => {
                    *self = Self::Single;
                    return rest;
                }
            }
            rest = after;
        }
        &[]
    }

    /// The part that was read has ended.
    pub(super) fn end_part(&mut self) {
        *self = Self::Between;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(from: List, bytes: &str) -> (List, &str) {
        let mut list = from;
        let rest = list.skip(bytes.as_bytes());
        (list, std::str::from_utf8(rest).unwrap())
    }

    #[test]
    fn an_array_is_told_from_a_document_by_its_first_byte() {
        assert_eq!(skip(List::Unknown, " \n{\"a\":1}"), (List::Single, "{\"a\":1}"));
        assert_eq!(skip(List::Unknown, "\u{FEFF} [\r\n{},"), (List::Inside, "{},"));
        assert_eq!(skip(List::Unknown, "  "), (List::Unknown, ""));
        assert_eq!(skip(List::Unknown, "7"), (List::Single, "7"));
    }

    #[test]
    fn only_objects_are_parts() {
        assert_eq!(skip(List::Between, "\n, {}"), (List::Inside, "{}"));
        assert_eq!(skip(List::Between, " ] {}"), (List::Ended, ""));
        assert_eq!(skip(List::Between, "1,{}"), (List::Broken, ""));
        assert_eq!(skip(List::Between, "[{}]"), (List::Broken, ""));
        assert_eq!(skip(List::Broken, "{}"), (List::Broken, ""));
    }
}
