//! Members that are strings, in one step.
//!
//! Prompts are made of little else: a role, a text. One token after the other, a reader asks
//! again and again where it is, and most of that is known here.

use super::{Next, Text, Walker, not_json_or_deep, text};
use crate::unreadable::Unreadable;

impl<'a> Walker<'a> {
    /// The next member's value in the innermost nest, an object, if that is a string under a
    /// short key for which `suits` holds. `None` says nothing and has read nothing.
    ///
    /// Between its parts a member may have one space, as most writers have who have any.
    #[inline(always)]
    pub(crate) fn string_under(
        &mut self,
        suits: impl Fn(Text<'a>) -> bool,
    ) -> Result<Option<Text<'a>>, Unreadable> {
        debug_assert!(self.in_object(), "only objects have keys");
        let bytes = self.text.as_bytes();
        // Where the next string begins, perhaps behind a space. Not by adding one if there
        // is one, which the processor would have to wait for.
        let string = |at: usize| match bytes.get(at) {
            Some(b'"') => Some(at),
            Some(b' ') if bytes.get(at + 1) == Some(&b'"') => Some(at + 1),
            _ => None,
        };
        let key = match (self.next, bytes.get(self.at)) {
            (Next::Comma, Some(b',')) => string(self.at + 1),
            (Next::First, _) => string(self.at),
            _ => None,
        };
        let Some(key) = key else { return Ok(None) };
        let Some(end) = text::near_end(bytes, key + 1) else { return Ok(None) };
        let value = if bytes.get(end + 1) == Some(&b':') { string(end + 2) } else { None };
        let Some(start) = value else { return Ok(None) };
        if !suits(Text::new(self.text, key + 1, end, 0)) {
            return Ok(None);
        }
        self.start = start;
        self.at = start;
        match self.string() {
            Ok(text) => {
                self.next = Next::Comma;
                Ok(Some(text))
            }
            Err(fault) => Err(not_json_or_deep(fault)),
        }
    }

    /// The string behind a beginning of the next item of the innermost nest, an array: behind
    /// the brace of an object, members, and the quote of that string. `beginning` tells how
    /// long it is of the bytes from there on, if they begin as expected. `None` says nothing
    /// and has read nothing.
    ///
    /// Whether the object ends behind the string is told, too; else its other members are
    /// next. A beginning that is guessed costs nothing to pass over. One that is read is
    /// waited for.
    #[inline(always)]
    pub(crate) fn string_behind(
        &mut self,
        beginning: impl FnOnce(&[u8]) -> Option<usize>,
    ) -> Result<Option<(Text<'a>, bool)>, Unreadable> {
        debug_assert!(!self.in_object(), "only arrays have items");
        let bytes = self.text.as_bytes();
        let start = match (self.next, bytes.get(self.at)) {
            (Next::Comma, Some(b',')) => self.at + 1,
            (Next::First, _) => self.at,
            _ => return Ok(None),
        };
        let Some(length) = bytes.get(start..).and_then(beginning) else { return Ok(None) };
        if self.depth == Self::MOST_DEPTH {
            return Ok(None);
        }
        let from = start + length;
        let (end, shrinks) = match text::end_of_text(bytes, from) {
            Ok(end) => end,
            Err(fault) => return Err(not_json_or_deep(fault)),
        };
        self.next = Next::Comma; // within the object, or behind it
        let ends = bytes.get(end + 1) == Some(&b'}');
        if ends {
            self.start = end + 1;
            self.at = end + 2;
        } else {
            self.depth += 1;
            self.objects = self.objects << 1 | 1;
            self.start = from - 1;
            self.at = end + 1;
        }
        Ok(Some((Text::new(self.text, from, end, shrinks), ends)))
    }
}
