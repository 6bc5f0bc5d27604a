//! What goes into a prompt, gathered on the way.

use crate::{
    call::{Call, Input, Needs, SERVER_TOOLS},
    json::{Token, Walker},
    unreadable::Unreadable,
};

/// How large a prompt is, what it takes to answer it, and whether it is all there.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    pub(super) input: Input,
    pub(super) needs: Needs,
    pub(super) open_ended: Option<&'static str>,
}

impl Prompt {
    /// Notes why the input cannot be known from the request. The first reason stays,
    /// unless there are tools on the server, which may cost more than what they read.
    pub(super) fn open_end(&mut self, is_open: bool, why: &'static str) {
        if is_open && (self.open_ended.is_none() || why == SERVER_TOOLS) {
            self.open_ended = Some(why);
        }
    }

    /// Puts it all on a call.
    pub(super) fn put_on(&mut self, call: Call) -> Call {
        self.needs.media |= self.input.media > 0;
        let call = call.with_input(self.input).with_needs(self.needs);
        match self.open_ended {
            Some(why) => call.with_open_ended(why),
            None => call,
        }
    }
}

/// Passes over a value and counts the bytes of the strings in it.
pub(super) fn text_bytes(walk: &mut Walker<'_>) -> Result<u64, Unreadable> {
    up_to(walk.depth(), walk)
}

/// The same for the rest of an object or array that was entered.
pub(super) fn rest_of_text(walk: &mut Walker<'_>) -> Result<u64, Unreadable> {
    up_to(walk.depth().saturating_sub(1), walk)
}

fn up_to(depth: usize, walk: &mut Walker<'_>) -> Result<u64, Unreadable> {
    let mut bytes = 0;
    loop {
        if let Token::Str(text) = walk.token()? {
            bytes += text.len() as u64;
        }
        if walk.depth() == depth {
            return Ok(bytes);
        }
    }
}
