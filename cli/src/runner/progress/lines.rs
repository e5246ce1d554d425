//! The lines of a file that others append to, as they come.

/// The longest line that is read; what goes beyond it is passed over to the next line.
const LONGEST: usize = 64 * 1024;

#[derive(Debug, Default)]
pub struct Lines {
    /// What has come of a line whose end has not.
    half: Vec<u8>,
    /// Whether that was too long already.
    is_too_long: bool,
}

impl Lines {
    /// Takes what has come, and hands over each line that is whole.
    pub fn feed(&mut self, bytes: &[u8], mut hear: impl FnMut(&[u8])) {
        let mut parts = bytes.split(|byte| *byte == b'\n');
        let rest = parts.next_back().unwrap_or_default();
        for part in parts {
            self.add(part);
            self.end(&mut hear);
        }
        self.add(rest);
    }

    /// Nothing more comes: a line may lack its end.
    pub fn end(&mut self, mut hear: impl FnMut(&[u8])) {
        if !self.is_too_long && !self.half.is_empty() {
            hear(&self.half);
        }
        self.forget();
    }

    /// What has come of a line was cut off.
    pub fn forget(&mut self) {
        self.half.clear();
        self.is_too_long = false;
    }

    fn add(&mut self, part: &[u8]) {
        self.is_too_long |= self.half.len().saturating_add(part.len()) > LONGEST;
        if self.is_too_long {
            self.half.clear();
        } else {
            self.half.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut heard) = (Lines::default(), Vec::new());
        let mut hear = |line: &[u8]| heard.push(String::from_utf8_lossy(line).into_owned());
        for piece in pieces {
            lines.feed(piece, &mut hear);
        }
        lines.end(&mut hear);
        heard
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let text = "one\ntwo\n\n{\"done\":1}\r\nthe last";
        let expected = ["one", "two", "{\"done\":1}\r", "the last"];
        assert_eq!(heard(&[text.as_bytes()]), expected);
        for size in 1..text.len() {
            assert_eq!(heard(&text.as_bytes().chunks(size).collect::<Vec<_>>()), expected, "{size}");
        }
        assert_eq!(heard(&[]), [""; 0]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_takes_no_memory() {
        let fits = "x".repeat(LONGEST);
        assert_eq!(heard(&[fits.as_bytes(), b"\nnext\n"]), [fits.as_str(), "next"]);
        let piece = [b'y'; 10_000];
        let mut lines = Lines::default();
        for _ in 0..1000 {
            lines.feed(&piece, |_| panic!("no line has ended"));
            assert!(lines.half.len() <= LONGEST);
        }
        let mut next = Vec::new();
        lines.feed(b"\nnext\n", |line| next.push(line.to_vec()));
        assert_eq!(next, [b"next"]);
        assert_eq!(heard(&[&[b'z'; LONGEST + 1]]), [""; 0]);
    }
}
