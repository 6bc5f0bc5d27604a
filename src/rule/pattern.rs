//! Names of models with `*` for any part.

use std::fmt;

use smol_str::SmolStr;

/// A name in which `*` stands for any run of characters. Upper and lower case are
/// the same, as they are to providers.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pattern(SmolStr);

impl Pattern {
    pub(crate) fn new(pattern: impl Into<SmolStr>) -> Self {
        let pattern: SmolStr = pattern.into();
        Self(pattern.to_ascii_lowercase().into())
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.as_bytes())
    }
}

/// Greedy matching that goes back to the last star only: linear in practice and
/// at worst pattern × name, both short.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            last_star = Some((p, n));
            p += 1;
        } else if pattern.get(p) == Some(&name[n].to_ascii_lowercase()) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((star, from)) = last_star {
            last_star = Some((star, from + 1));
            (p, n) = (star + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run_and_nothing_else_does() {
        let cases = [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o-mini", true),
            ("*-mini", "gpt-4o-mini", true),
            ("*o*i", "gpt-4o-mini", true),
            ("a*b*c", "aXXbYYbZZc", true),
            ("a*b*c", "aXXbYYbZZ", false),
            ("GPT-*", "gpt-4.1", true),
            ("gpt.4o", "gpt-4o", false),
            ("", "", true),
            ("*", "", true),
            ("", "x", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} {name}");
        }
    }
}
