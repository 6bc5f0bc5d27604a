//! Why a text is no key.

use std::fmt;

/// The text is not a [`Key`](super::Key).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    text: String,
    reason: Reason,
}

impl KeyError {
    pub(super) fn new(text: &str, reason: Reason) -> Self {
        Self { text: shorten(text), reason }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Scope,
    /// What is no window, and what was perhaps meant.
    Window(String, Option<String>),
    /// The same of what is not `calls`.
    Counts(String, Option<String>),
    Escape,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not the key of a budget: ", self.text)?;
        let (sign, code, meant) = match &self.reason {
            Reason::Scope => {
                return f.write_str(
                    "expected SCOPE[@WINDOW][#calls], like workspace, user=u-17 or team=search@day",
                );
            }
            Reason::Escape => {
                return f.write_str(
                    "after `%`, two hexadecimal digits of a byte of text; `%` itself is `%25`",
                );
            }
            Reason::Window(word, meant) => {
                write!(
                    f,
                    "`{word}` after `@` is no window: month, week, day, \
                     month/Europe/Berlin, lifetime, or a length like 60s, 1h, 7d"
                )?;
                ('@', "%40", meant)
            }
            Reason::Counts(word, meant) => {
                write!(f, "`{word}` after `#` is not `calls`")?;
                ('#', "%23", meant)
            }
        };
        let Some(meant) = meant else { return Ok(()) };
        write!(f, "; in a value, `{sign}` is written {code}: {meant}")
    }
}

impl std::error::Error for KeyError {}

/// An error message should not repeat a megabyte of bad input.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}
