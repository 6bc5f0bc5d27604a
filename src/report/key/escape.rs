//! A label's value as a shell leaves it alone.

/// Everything but letters, digits, `-_.:/+,` and what else is plain here, as its bytes.
pub(super) fn escaped(text: &str, plain: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        if char.is_alphanumeric() || "-_.:/+,".contains(char) || plain.contains(char) {
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
pub(super) fn unescaped(text: &str) -> Option<String> {
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
