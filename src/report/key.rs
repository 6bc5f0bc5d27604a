//! A counter and for whom, as a person writes it.
//!
//! To reset a budget one has to say which one. A key is what the report of budgets
//! prints and what the command takes, so it must be short for what is common, survive
//! a shell without quotes, and mean one thing only.

mod error;
mod escape;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr, time::Duration};

use serde::{Serialize, Serializer};

pub use error::KeyError;

use self::{
    error::{Reason, shorten},
    escape::{escaped, unescaped},
};
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
/// In a label and its value, as in addresses of the web, `%` and two hexadecimal digits stand
/// for a byte. `@`, `#` and `%` have to be written so (`%40`, `%23`, `%25`); whatever else a
/// shell takes for something is printed so and may be typed plainly: `user=(none)` is
/// `user=%28none%29`.
///
/// # Example
/// ```
/// use driftlock::{Scope, Unit, Window, Zone, report::Key};
///
/// let key: Key = "user=ann%40example.com@day#calls".parse()?;
/// assert_eq!(key.scope, Scope::user("ann@example.com"));
/// assert_eq!((key.window, key.unit), (Window::day(Zone::UTC), Unit::Calls));
/// assert_eq!(key.to_string(), "user=ann%40example.com@day#calls");
///
/// let error = "user=ann@example.com".parse::<Key>().unwrap_err();
/// assert!(error.to_string().ends_with("in a value, `@` is written %40: user=ann%40example.com"));
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
}

/// The shortest spelling, which reads back as this key and needs no quotes in a shell.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match &self.scope {
            Scope::Workspace => WORKSPACE.into(),
            Scope::Label { key, value } => format!("{}={}", escaped(key, ""), escaped(value, "=")),
        };
        let window = if self.window == Window::month(Zone::UTC) {
            String::new()
        } else {
            format!("@{}", window_word(self.window))
        };
        let unit = if self.unit == Unit::Calls { "#calls" } else { "" };
        f.pad(&format!("{scope}{window}{unit}"))
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
        let error = |reason| KeyError::new(text, reason);
        // A value has neither sign, so what follows one has to make sense.
        let (scope, rest) = text.split_at(text.find(['@', '#']).unwrap_or(text.len()));
        let (window, counts) =
            rest.split_once('#').map_or((rest, None), |(window, counts)| (window, Some(counts)));
        if scope != WORKSPACE && !scope.contains('=') {
            return Err(error(Reason::Scope));
        }
        let window = match window.strip_prefix('@') {
            None => Window::month(Zone::UTC),
            Some(word) => window_named(word)
                .ok_or_else(|| error(Reason::Window(shorten(word), meant(text))))?,
        };
        let unit = match counts {
            None => Unit::Cost,
            Some("calls") => Unit::Calls,
            Some(word) => return Err(error(Reason::Counts(shorten(word), meant(text)))),
        };
        if scope == WORKSPACE {
            return Ok(Self { scope: Scope::Workspace, window, unit });
        }
        let (label, value) = scope.split_once('=').ok_or_else(|| error(Reason::Scope))?;
        let read = |part| unescaped(part).ok_or_else(|| error(Reason::Escape));
        let (label, value) = (read(label)?, read(value)?);
        if label.is_empty() {
            return Err(error(Reason::Scope));
        }
        Ok(Self { scope: Scope::label(label, value), window, unit })
    }
}

/// `month`, `day/Europe/Berlin`, `lifetime`, `60s`.
pub(super) fn window_word(window: Window) -> String {
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

/// What was perhaps meant by a key with an `@` or `#` that is part of a value.
fn meant(text: &str) -> Option<String> {
    let (label, rest) = text.split_once('=')?;
    let (rest, calls) = rest.strip_suffix("#calls").map_or((rest, ""), |rest| (rest, "#calls"));
    let (value, window) = rest
        .rsplit_once('@')
        .filter(|(_, word)| window_named(word).is_some())
        .map_or((rest, String::new()), |(value, word)| (value, format!("@{word}")));
    let value = value.replace('@', "%40").replace('#', "%23");
    Some(shorten(&format!("{label}={value}{window}{calls}")))
}
