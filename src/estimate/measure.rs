//! What texts come to in the tokens of a family.

use crate::call::Input;

/// The numbers behind an estimate from bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measure {
    /// Tokens for thirty bytes: the factor `k`, in tenths.
    pub(super) tenths: u8,
    /// Tokens around a prompt that is otherwise empty.
    pub(super) per_call: u8,
    /// Tokens that the mere presence of tools costs.
    pub(super) tools: u16,
    /// Whether nothing is billed as input but the request and known framing.
    pub(crate) is_bounded: bool,
}

pub(super) const PER_MESSAGE: u64 = 6;
/// A byte is `k / 3` tokens.
const BYTES_PER_TENTH: u64 = 30;
const ROUND_UP: u64 = BYTES_PER_TENTH - 1;
/// More bytes and messages than requests have, whose tokens do not fill 32 bits.
const MANY: u64 = 1 << 24;

impl Measure {
    /// The tokens of a chat about texts: how many are expected, and the most there can be,
    /// which is never less. `None` if it is too large to be counted without
    /// minding overflow.
    #[inline]
    pub(crate) fn of_chat(self, input: Input, has_tools: bool) -> Option<(u64, u64)> {
        if (input.text_bytes | input.schema_bytes | input.messages) >= MANY {
            return None;
        }
        // Everything here is below 2^25 * 2^8 + 2^24 * 6 + 2^17, and so below 2^34.
        let bytes = input.text_bytes + input.schema_bytes;
        let tools = if has_tools { u64::from(self.tools) } else { 0 };
        let framing = input.messages * PER_MESSAGE + u64::from(self.per_call) + tools;
        let expected = (ROUND_UP + bytes * u64::from(self.tenths)) / BYTES_PER_TENTH + framing;
        Some((expected, bytes + framing))
    }
}
