//! A counter and for whom, as a person writes it.
//!
//! To reset a budget one has to say which one. A key is what the report of budgets
//! prints and what the command takes, so it must be short for what is common, survive
//! a shell without quotes, and mean one thing only.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Serialize, Serializer};

use crate::{
    claim::{Scope, Unit},
    window::{Period, Window, Zone},
};

/// Names a counter of a scope: `SCOPE[@WINDOW][#calls]`.
///
/// | part | |
/// |---|---|
/// | `SCOPE` | `workspace`, or a label and its value: `user=u-17`, `team=search` |
/// | `@WINDOW` | `@month`, the default, `@week`, `@day`, of a time zone: `@month/Europe/Berlin`; `@lifetime`; a sliding window: `@60s`, `@1h`, `@7d` |
/// | `#calls` | counts calls; else it is money |
///
/// A value is written as it is where that reads back as the same key, so
/// `user=ann@example.com` needs no care. Else, as in addresses of the web, `%` and two
/// hexadecimal digits stand for a byte: the user `ann@day` is `user=ann%40day`, and `%`
/// itself is `%25`.
///
/// # Example
/// ```
/// use driftlock::{Scope, Unit, Window, Zone, report::Key};
///
/// let key: Key = "user=ann@example.com@day#calls".parse()?;
/// assert_eq!(key.scope, Scope::user("ann@example.com"));
/// assert_eq!((key.window, key.unit), (Window::day(Zone::UTC), Unit::Calls));
/// assert_eq!(Key::cost(Scope::user("ann@day"), Window::month(Zone::UTC)).to_string(), "user=ann%40day");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// For whom it counts.
    pub scope: Scope,
    /// Over which time.
    pub window: Window,
    /// What it counts.
    pub unit: Unit,
}

const CALLS: &str = "#calls";
const WORKSPACE: &str = "workspace";

impl Key {
    /// What a scope spends within a window.
    pub fn cost(scope: Scope, window: Window) -> Self {
        Self { scope, window, unit: Unit::Cost }
    }

    /// How many calls a scope makes within a window.
    pub fn calls(scope: Scope, window: Window) -> Self {
        Self { scope, window, unit: Unit::Calls }
    }

    /// The label it counts by; `None` counts the workspace.
    pub fn label(&self) -> Option<&str> {
        match &self.scope {
            Scope::Workspace => None,
            Scope::Label { key, .. } => Some(key),
        }
    }

    /// The label's value, `""` of the workspace.
    pub fn value(&self) -> &str {
        match &self.scope {
            Scope::Workspace => "",
            Scope::Label { value, .. } => value,
        }
    }

    fn write(&self, spell: fn(&str) -> String) -> String {
        let scope = match &self.scope {
            Scope::Workspace => WORKSPACE.into(),
            Scope::Label { key, value } => format!("{}={}", spell(key), spell(value)),
        };
        let window = if self.window == Window::month(Zone::UTC) {
            String::new()
        } else {
            format!("@{}", window_word(self.window))
        };
        let unit = if self.unit == Unit::Calls { CALLS } else { "" };
        format!("{scope}{window}{unit}")
    }
}

/// The shortest spelling that reads back as this key.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.write(str::to_owned);
        // What a shell or a terminal would take for something else is never plain.
        let odd = |char: char| char.is_control() || char.is_whitespace();
        let is_plain = !plain.contains(odd) && plain.parse().as_ref() == Ok(self);
        f.pad(&if is_plain { plain } else { self.write(escaped) })
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let error = |reason| KeyError { text: text.chars().take(80).collect(), reason };
        let (rest, unit) = match text.strip_suffix(CALLS) {
            Some(rest) => (rest, Unit::Calls),
            None => (text, Unit::Cost),
        };
        // What follows an `@` and is no window belongs to the value, as in an address.
        let (scope, window) = rest
            .rsplit_once('@')
            .and_then(|(scope, word)| Some((scope, window_named(word)?)))
            .unwrap_or((rest, Window::month(Zone::UTC)));
        if scope == WORKSPACE {
            return Ok(Self { scope: Scope::Workspace, window, unit });
        }
        let Some((label, value)) = scope.split_once('=') else {
            let word = scope.strip_prefix(WORKSPACE).and_then(|rest| rest.strip_prefix('@'));
            return Err(error(if word.is_some() { Reason::Window } else { Reason::Scope }));
        };
        let read = |part| unescaped(part).ok_or_else(|| error(Reason::Escape));
        let (label, value) = (read(label)?, read(value)?);
        if label.is_empty() {
            return Err(error(Reason::Scope));
        }
        Ok(Self { scope: Scope::label(label, value), window, unit })
    }
}

/// `month`, `day/Europe/Berlin`, `lifetime`, `60s`.
fn window_word(window: Window) -> String {
    match window {
        Window::Lifetime => "lifetime".into(),
        Window::Calendar(period, Zone::UTC) => period.to_string(),
        Window::Calendar(period, zone) => format!("{period}/{zone}"),
        Window::Sliding(_) => {
            let nanos = window.sliding_nanos().unwrap_or(0);
            let units = LENGTHS.iter().filter(|(word, _)| *word != "m");
            let fits =
                units.filter(|(_, unit)| nanos.is_multiple_of(*unit)).max_by_key(|(_, unit)| *unit);
            fits.map_or_else(String::new, |(word, unit)| format!("{}{word}", nanos / unit))
        }
    }
}

/// Units of length in nanoseconds; `m` is read and never written, for it could be a month.
const LENGTHS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];

fn window_named(word: &str) -> Option<Window> {
    if word == "lifetime" {
        return Some(Window::Lifetime);
    }
    let (name, zone) = word.split_once('/').unwrap_or((word, "UTC"));
    let period = [Period::Day, Period::Week, Period::Month];
    if let Some(period) = period.into_iter().find(|period| period.to_string() == name) {
        return Some(Window::Calendar(period, Zone::named(zone).ok()?));
    }
    let digits = word.find(|char: char| !char.is_ascii_digit())?;
    let (number, unit) = word.split_at(digits);
    let (_, nanos) = LENGTHS.iter().find(|(known, _)| *known == unit)?;
    let nanos = number.parse::<u64>().ok()?.checked_mul(*nanos)?;
    // A length below the shortest would read as that one, which nobody meant.
    let window = Window::sliding(Duration::from_nanos(nanos));
    (window.sliding_nanos() == Some(nanos)).then_some(window)
}

/// Everything but letters, digits and `-_.:/+` as its bytes.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        if char.is_alphanumeric() || "-_.:/+()".contains(char) {
            out.push(char);
        } else {
            let mut buffer = [0; 4];
            for byte in char.encode_utf8(&mut buffer).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}

/// `None` if a `%` is followed by anything but two digits, or the bytes are no text.
fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2)?;
        let digit = |digit: u8| char::from(digit).to_digit(16);
        out.push(u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()?);
        rest = tail;
    }
    String::from_utf8(out).ok()
}

/// The text is not a [`Key`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    text: String,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Scope,
    Window,
    Escape,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            Reason::Scope => {
                "expected SCOPE[@WINDOW][#calls], like workspace, user=u-17 or team=search@day"
            }
            Reason::Window => {
                "no such window: month, week, day, month/Europe/Berlin, lifetime, or a length like 60s, 1h, 7d"
            }
            Reason::Escape => {
                "after `%`, two hexadecimal digits of a byte of text; `%` itself is `%25`"
            }
        };
        write!(f, "`{}` is not the key of a budget: {reason}", self.text)
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests;
