//! Being a well-behaved program.

use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Writes to standard output. Whoever reads it may have had enough (`| head`).
pub fn print(text: &str) -> Result<ExitCode, String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}"))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Says on standard error what is wrong. Nobody is left to tell if that is gone, too.
pub fn complain(why: &str) {
    let _ = writeln!(io::stderr(), "daedalusctl: {}", harmless(why));
}

/// Whether a character does something to a terminal other than to stand there: control characters, and those
/// that change the direction of what follows.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of others' making, fit for a terminal: each harmful character becomes a question mark.
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) { '?' } else { c }).collect()
}

/// JSON of several lines, fit for a terminal: harmful characters, which stand in strings alone, are escaped.
pub fn harmless_json(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        match is_harmful(c) && c != '\n' {
            // All of them are below U+10000.
            true => harmless.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => harmless.push(c),
        }
    }
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_harmless_has_no_character_that_does_something() {
        assert_eq!(harmless("\x1b]0;x\x07a\nb\r\u{9b}1m\u{7f}"), "?]0;x?a?b??1m?");
        assert_eq!(harmless("a\u{202e}b\u{2066}c\u{2069}\u{200f}\u{61c}"), "a?b?c???");
        let plain = "Müller 日本 é \u{301} – ok";
        assert_eq!(harmless(plain), plain);
    }

    #[test]
    fn json_that_is_harmless_says_the_same() {
        let value = serde_json::json!({"a": "\u{9b}\u{7f}\u{202e}\u{1b}\n", "b": [1, "ü"]});
        let text = harmless_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(text.chars().all(|c| c == '\n' || !is_harmful(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
