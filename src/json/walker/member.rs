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
}
