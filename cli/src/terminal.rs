//! What people read: one line an error, and nothing from the service that could drive their terminal.

use std::fmt::{Display, Write};
use std::io::Write as _;

use anstyle::{AnsiColor, Style};

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// A text from elsewhere as one harmless line: control characters, and those that turn the direction of writing, are
/// spelt out. A reason may say anything, an escape sequence that renames the window included.
pub fn plain(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => line.push(' '),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            c if drives(c) => {
                // Writing to a String cannot fail.
                let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}

/// JSON from the service, the same to a program, with nothing in it that could drive a terminal: such characters can
/// only stand in strings, where their escapes mean the same.
pub fn plain_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' | '\r' | '\t' => text.push(' '),
            c if drives(c) => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text
}

/// Whether a character does something to a terminal other than to appear: controls, and Unicode's bidirectional ones.
fn drives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Says something on standard error.
pub fn say(line: impl Display) {
    to_stderr(DIM, line);
}

/// Says that something is not as it should be, and goes on.
pub fn warn(line: impl Display) {
    to_stderr(YELLOW, line);
}

/// Says what went wrong and what to do next.
pub fn error(line: impl Display) {
    to_stderr(RED, line);
}

fn to_stderr(style: Style, line: impl Display) {
    // Colour only on a terminal, and not with NO_COLOR: anstream sees to both. A closed stderr is no reason to fail.
    let _ = writeln!(anstream::stderr().lock(), "{style}estop:{style:#} {line}");
}

/// Prints a line of the answer on standard output. A reader that has gone away has read enough.
pub fn print(line: impl Display) {
    let _ = writeln!(anstream::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_the_service_can_drive_a_terminal() {
        assert_eq!(plain("wrong branch"), "wrong branch");
        assert_eq!(plain("\u{1b}]0;owned\u{7}"), "\\u{1b}]0;owned\\u{7}");
        assert_eq!(plain("a\r\nb\tc"), "a\\r\\nb c");
        assert_eq!(plain("\u{9b}2J\u{7f}\0"), "\\u{9b}2J\\u{7f}\\u{0}");
        assert_eq!(plain("\u{202e}txt.exe"), "\\u{202e}txt.exe");
        assert_eq!(plain("Grüße, 世界 🛑"), "Grüße, 世界 🛑");
    }

    #[test]
    fn every_control_character_is_spelt_out() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| c.is_control()) {
            assert!(!plain(&c.to_string()).chars().any(char::is_control), "{c:?}");
            assert!(!plain_json(&c.to_string()).chars().any(char::is_control), "{c:?}");
        }
    }

    #[test]
    fn json_means_the_same_to_a_program() {
        let sent = "{\"reason\":\"\u{9b}2J \u{202e} \u{7f} ok\",\n \"n\": 1}";
        let shown = plain_json(sent);
        assert!(!shown.contains(['\u{9b}', '\u{202e}', '\u{7f}']));
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(read(sent), read(&shown));
    }
}
