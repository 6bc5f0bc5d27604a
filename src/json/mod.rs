//! A strict reader of JSON that allocates nothing.
//!
//! driftlock looks at a dozen keys of a body that may be a megabyte long, and must
//! read them exactly as the provider will. A tree of values would cost more than
//! the whole decision, and a lenient search would be a way around every rule. So a
//! [`Walker`] goes over the bytes once, hands out one [`Token`] after the other, and
//! refuses whatever is not JSON to the last byte.
//!
//! It is stricter than RFC 8259 where parsers are known to disagree: lone halves of
//! a `\u` surrogate pair, numbers beyond 1e308 and nesting beyond
//! [`Walker::MOST_DEPTH`] are refused.

mod cursor;
mod number;
mod space;
mod text;
mod walker;

pub(crate) use cursor::Cursor;
pub(crate) use text::Text;
pub(crate) use walker::{Nest, Span, Token, Walker};
