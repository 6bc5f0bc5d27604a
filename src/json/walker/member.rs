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

    /// The string behind `beginning`, if the next item of the innermost nest, an array, begins
    /// so: with the brace of an object, with members, and with the quote of that string. The
    /// object's other members are next. `None` says nothing and has read nothing.
    ///
    /// A beginning that is guessed costs nothing to pass over. One that is read is waited for.
    #[inline(always)]
    pub(crate) fn string_behind<const N: usize>(
        &mut self,
        beginning: &[u8; N],
    ) -> Result<Option<Text<'a>>, Unreadable> {
        debug_assert!(!self.in_object(), "only arrays have items");
        let bytes = self.text.as_bytes();
        let start = match (self.next, bytes.get(self.at)) {
            (Next::Comma, Some(b',')) => self.at + 1,
            (Next::First, _) => self.at,
            _ => return Ok(None),
        };
        let begins = bytes.get(start..).and_then(|rest| rest.first_chunk()) == Some(beginning);
        if !begins || self.depth == Self::MOST_DEPTH {
            return Ok(None);
        }
        let from = start + N;
        match text::end_of_long(bytes, from) {
            Ok((end, shrinks)) => {
                self.depth += 1;
                self.objects = self.objects << 1 | 1;
                self.next = Next::Comma;
                self.start = from - 1;
                self.at = end + 1;
                Ok(Some(Text::new(self.text, from, end, shrinks)))
            }
            Err(fault) => Err(not_json_or_deep(fault)),
        }
    }

    /// Ends the innermost nest, an object that has members, if its brace is the next byte.
    #[inline(always)]
    pub(crate) fn ends(&mut self) -> bool {
        debug_assert!(self.in_object() && self.next == Next::Comma, "a member was read");
        let ends = self.text.as_bytes().get(self.at) == Some(&b'}');
        if ends {
            self.start = self.at;
            self.close();
        }
        ends
    }
}
