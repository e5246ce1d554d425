//! What people read: everything on standard error starts with `estop:`, and nothing from the service can control their
//! terminal.

use std::fmt::{Display, Write};
use std::io::Write as _;

use anstyle::{AnsiColor, Style};

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Text from elsewhere as a single line that is safe to print, with control and bidirectional characters escaped. A
/// cancel reason may contain anything, such as an escape sequence that renames the window.
pub fn sanitize(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => line.push(' '),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            c if is_unsafe(c) => {
                // Writing to a String cannot fail.
                let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}

/// JSON from the service as a single line that is safe to print and means the same: unsafe characters can only occur in
/// strings, where JSON has escapes for them.
pub fn sanitize_json(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if is_unsafe(c) => {
                // Beyond 16 bits, JSON takes a surrogate pair.
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
            c => line.push(c),
        }
    }
    line
}

/// Whether a character can do more to a terminal than appear, or does not appear at all: control characters, those that
/// change the writing direction or break lines, and Unicode's `Default_Ignorable_Code_Point` and format characters, which
/// hide text from people and make different names look the same. An emoji that is joined from several falls apart.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

pub fn info(message: impl Display) {
    print_to_stderr(DIM, message);
}

pub fn warn(message: impl Display) {
    print_to_stderr(YELLOW, message);
}

pub fn error(message: impl Display) {
    print_to_stderr(RED, message);
}

fn print_to_stderr(style: Style, message: impl Display) {
    // anstream strips the colour unless this is a terminal and NO_COLOR is unset. A closed stderr is no reason to fail.
    let _ = writeln!(anstream::stderr().lock(), "{style}estop:{style:#} {message}");
}

/// Asks a question at the terminal. Anything but a yes is a no. Ctrl-C ends estop, as nothing has been done yet.
pub fn ask(question: &str) -> bool {
    let mut stderr = anstream::stderr().lock();
    let _ = write!(stderr, "{YELLOW}estop:{YELLOW:#} {question} [y/N] ");
    let _ = stderr.flush();
    drop(stderr);
    let mut answer = String::new();
    match std::io::stdin().read_line(&mut answer) {
        // The end of input leaves the cursor on the line of the question.
        Ok(0) | Err(_) => {
            let _ = writeln!(anstream::stderr().lock());
            false
        }
        Ok(_) => matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"),
    }
}

/// Prints a line of the result on standard output.
pub fn print(line: impl Display) {
    // A reader that has closed the pipe has seen enough.
    let _ = writeln!(anstream::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_the_service_can_control_the_terminal() {
        assert_eq!(sanitize("wrong branch"), "wrong branch");
        assert_eq!(sanitize("\u{1b}]0;owned\u{7}"), "\\u{1b}]0;owned\\u{7}");
        assert_eq!(sanitize("a\r\nb\tc"), "a\\r\\nb c");
        assert_eq!(sanitize("\u{9b}2J\u{7f}\0"), "\\u{9b}2J\\u{7f}\\u{0}");
        assert_eq!(sanitize("\u{202e}txt.exe"), "\\u{202e}txt.exe");
        assert_eq!(sanitize("Grüße, 世界 🛑"), "Grüße, 世界 🛑");
    }

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        let joined = "👩\u{200d}💻";
        assert_eq!(sanitize(joined), "👩\\u{200d}💻");
        let ranges = [
            ('\u{61c}', '\u{61c}'),
            ('\u{200b}', '\u{200f}'),
            ('\u{2028}', '\u{202e}'),
            ('\u{2060}', '\u{206f}'),
            ('\u{fe00}', '\u{fe0f}'),
            ('\u{feff}', '\u{feff}'),
            ('\u{e0000}', '\u{e007f}'),
            ('\u{e0100}', '\u{e01ef}'),
        ];
        for c in ranges.into_iter().flat_map(|(first, last)| first..=last) {
            assert_eq!(sanitize(&format!("a{c}b")), format!("a\\u{{{:x}}}b", u32::from(c)));
            assert!(!sanitize_json(&c.to_string()).contains(c), "{c:?}");
        }
        for seen in ["é", "e\u{301}", "ß", "क्", "مرحبا", "שלום", "한국어", "日本", "🛑", "…"] {
            assert_eq!(sanitize(seen), seen);
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| c.is_control()) {
            assert!(!sanitize(&c.to_string()).chars().any(char::is_control), "{c:?}");
            assert!(!sanitize_json(&c.to_string()).chars().any(char::is_control), "{c:?}");
        }
    }

    #[test]
    fn sanitized_json_means_the_same() {
        let sent = "{\"reason\":\"\u{9b}2J \u{202e} \u{7f} \u{e0041} ok\",\n \"n\": 1}";
        let shown = sanitize_json(sent);
        assert!(!shown.contains(['\u{9b}', '\u{202e}', '\u{7f}', '\u{e0041}']));
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(read(sent), read(&shown));
    }
}
