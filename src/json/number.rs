//! Numbers: where they end, and whether every parser can hold them.

use super::text::Fault;

/// Numbers of fewer bytes and without an exponent are below 1e308 for certain.
const SURELY_FINITE: usize = 300;

/// Finds the end of the number that begins at `from`.
pub(super) fn end(bytes: &[u8], from: usize) -> Result<usize, Fault> {
    let mut at = from;
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        _ => digits(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    let exponent = matches!(bytes.get(at), Some(b'e' | b'E'));
    if exponent {
        at += if matches!(bytes.get(at + 1), Some(b'+' | b'-')) { 2 } else { 1 };
        at = digits(bytes, at)?;
    }
    if exponent || at - from > SURELY_FINITE {
        check_size(bytes.get(from..at).unwrap_or_default(), from)?;
    }
    Ok(at)
}

/// The offset behind one or more digits.
fn digits(bytes: &[u8], from: usize) -> Result<usize, Fault> {
    let mut at = from;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at == from { Err(("a number without digits", from)) } else { Ok(at) }
}

// Some parsers make infinity of a number that is too large, others refuse it.
fn check_size(number: &[u8], from: usize) -> Result<(), Fault> {
    let value = std::str::from_utf8(number).ok().and_then(|number| number.parse::<f64>().ok());
    match value {
        Some(value) if value.abs() <= 1e308 => Ok(()),
        _ => Err(("a number beyond 1e308", from)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_json_says() {
        for (text, len) in [
            ("0", 1),
            ("-0", 2),
            ("10,", 2),
            ("0.50]", 4),
            ("1e5 ", 3),
            ("1E-05}", 5),
            ("01", 1),
            ("-12.5e+3x", 8),
        ] {
            assert_eq!(end(text.as_bytes(), 0), Ok(len), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let long = "9".repeat(400);
        for text in ["-", "-x", "1.", "1.e3", ".5", "1e", "1e+", "1e999", "-1e309", &long, "+1"] {
            assert!(end(text.as_bytes(), 0).is_err(), "{text}");
        }
    }
}
