//! Tables for people, as wide as the terminal. Text wraps between words, never within one: what is too narrow for a word
//! cuts it, visibly, and a terminal that is too narrow for the columns gets a block of lines for each row instead.

use anstyle::{AnsiColor, Style};
use estop_protocol::run::{ErrorCode, RunResult, State};
use estop_protocol::show::{RunProgress, TestRun};
use estop_protocol::time::Timestamp;
use terminal_size::{Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::terminal::{self, sanitize};

/// Between two columns.
const GAP: usize = 2;

/// The length of `estop: `.
const MARK: usize = 7;

/// A column is not made narrower than this to let others in.
const NARROWEST: usize = 10;

/// A line of text that is safe to print.
pub struct Cell {
    text: String,
    style: Style,
    /// Whether it is neither wrapped nor cut: half an id is another id.
    whole: bool,
}

pub struct Table {
    /// None of them: names and values, whose words are never cut, so that an address can still be copied.
    headings: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

/// Without headings it has no heading line.
pub fn new(headings: &[&str]) -> Table {
    let heading = |text: &&str| Cell { style: Style::new().bold(), whole: true, ..Cell::new((*text).to_owned()) };
    Table { headings: headings.iter().map(heading).collect(), rows: Vec::new() }
}

/// Prints it on standard output: to a terminal within its width, to anything else one line a row.
pub fn print(table: &Table) {
    let width = terminal_size_of(std::io::stdout()).map(|(Width(width), _)| usize::from(width));
    for line in table.lines(width) {
        terminal::print(line);
    }
}

/// Prints one row of a table that goes on, whose columns are at least so wide; the last one ends where its text does.
pub fn print_row(widths: &[usize], cells: &[Cell]) {
    let mut line = String::new();
    for (n, Cell { text, style, .. }) in cells.iter().enumerate() {
        let pad = widths.get(n).map_or(0, |width| width.saturating_sub(text.width()) + GAP);
        line.push_str(&format!("{style}{text}{style:#}{:pad$}", ""));
    }
    terminal::print(line);
}

/// Shows it on standard error, each line with estop's mark.
pub fn info(table: &Table) {
    let width = terminal_size_of(std::io::stderr()).map(|(Width(width), _)| usize::from(width).saturating_sub(MARK));
    for line in table.lines(width) {
        terminal::info(line);
    }
}

impl Table {
    pub fn add_row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Its lines, with colours.
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let Some(widths) = self.widths(width.unwrap_or(usize::MAX)) else {
            return self.blocks(width.unwrap_or_default());
        };
        let heading = (!self.headings.is_empty()).then_some(&self.headings);
        heading.into_iter().chain(&self.rows).flat_map(|row| self.row(row, &widths)).collect()
    }

    /// How wide each column is: as wide as its text, or the widest ones narrower, first down to their longest words, then
    /// down to [`NARROWEST`]. `None` if the table does not fit even so.
    fn widths(&self, available: usize) -> Option<Vec<usize>> {
        let columns = self.rows.iter().map(Vec::len).chain([self.headings.len()]).max().unwrap_or(0);
        let widest = |of: &dyn Fn(&Cell) -> usize| -> Vec<usize> {
            let rows = || self.rows.iter().chain([&self.headings]);
            (0..columns).map(|c| rows().filter_map(|row| row.get(c)).map(of).max().unwrap_or(0)).collect()
        };
        let available = available.saturating_sub(GAP * columns.saturating_sub(1));
        let fits = |widths: &[usize]| widths.iter().sum::<usize>() <= available;
        let longest_words = widest(&Cell::longest_word);
        let mut widths = widest(&|cell| cell.text.width());
        shrink(&mut widths, &longest_words, available);
        let narrowest = widest(&|cell| cell.longest_word().min(if cell.whole { usize::MAX } else { NARROWEST }));
        shrink(&mut widths, &narrowest, available);
        (fits(&widths) || self.headings.is_empty()).then_some(widths)
    }

    fn row(&self, row: &[Cell], widths: &[usize]) -> Vec<String> {
        let wrapped: Vec<Vec<String>> =
            row.iter().zip(widths).map(|(cell, width)| wrap(&cell.text, *width, !self.headings.is_empty())).collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        (0..height)
            .map(|n| {
                let mut line = String::new();
                let mut owed = 0;
                for ((cell, lines), width) in row.iter().zip(&wrapped).zip(widths) {
                    let text = lines.get(n).map_or("", String::as_str);
                    if !text.is_empty() {
                        let style = cell.style;
                        line.push_str(&format!("{:owed$}{style}{text}{style:#}", ""));
                        owed = 0;
                    }
                    owed += width.saturating_sub(text.width()) + GAP;
                }
                line
            })
            .collect()
    }

    /// A line for each cell, and an empty one between two rows.
    fn blocks(&self, width: usize) -> Vec<String> {
        let names = self.headings.iter().map(|heading| heading.text.width()).max().unwrap_or(0);
        let values = width.saturating_sub(names + GAP).max(NARROWEST);
        let mut lines = Vec::new();
        for row in &self.rows {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            for (heading, cell) in self.headings.iter().zip(row) {
                let (bold, style) = (heading.style, cell.style);
                let width = if cell.whole { usize::MAX } else { values };
                for (n, text) in wrap(&cell.text, width, true).into_iter().enumerate() {
                    let name = if n == 0 { heading.text.as_str() } else { "" };
                    lines.push(format!(
                        "{bold}{name}{bold:#}{:1$}{style}{text}{style:#}",
                        "",
                        names - name.width() + GAP
                    ));
                }
            }
        }
        lines
    }
}

/// Makes the widest columns narrower, none below its floor, until all of them fit.
fn shrink(widths: &mut [usize], floors: &[usize], available: usize) {
    let mut sum = widths.iter().sum::<usize>();
    while sum > available {
        let wider = widths.iter_mut().zip(floors).filter(|(width, floor)| **width > **floor);
        let Some((width, _)) = wider.max_by_key(|(width, _)| **width) else { return };
        *width -= 1;
        sum -= 1;
    }
}

/// The lines that a text takes, broken between words. With `cut`, a word that is too long ends in an ellipsis.
fn wrap(text: &str, width: usize, cut: bool) -> Vec<String> {
    if text.width() <= width {
        return vec![text.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let word = if cut { shorten(word, width) } else { word.to_owned() };
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

fn shorten(word: &str, width: usize) -> String {
    if word.width() <= width {
        return word.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let fits = c.width().unwrap_or(0) <= left;
        left = left.saturating_sub(c.width().unwrap_or(0));
        fits
    };
    word.chars().take_while(fits).chain(['…']).collect()
}

impl Cell {
    fn new(text: String) -> Self {
        Self { text, style: Style::new(), whole: false }
    }

    fn longest_word(&self) -> usize {
        if self.whole {
            return self.text.width();
        }
        self.text.split(' ').map(UnicodeWidthStr::width).max().unwrap_or(0)
    }
}

pub fn id(id: i64) -> Cell {
    Cell { whole: true, ..Cell::new(id.to_string()) }
}

/// What a table without headings has in its first column.
pub fn name(name: &str) -> Cell {
    Cell { whole: true, ..Cell::new(name.to_owned()) }
}

pub fn text(text: impl AsRef<str>) -> Cell {
    Cell::new(sanitize(text.as_ref()))
}

pub fn optional(text: Option<&str>) -> Cell {
    Cell::new(text.map_or_else(|| "-".to_owned(), sanitize))
}

/// To the second.
pub fn time(at: Timestamp) -> Cell {
    Cell::new(seconds(at))
}

pub fn optional_time(at: Option<Timestamp>) -> Cell {
    Cell::new(at.map_or_else(|| "-".to_owned(), seconds))
}

/// The same, as text.
pub fn seconds(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..19).map_or_else(|| text.clone(), |seconds| format!("{}Z", seconds.replace('T', " ")))
}

/// A run's state and how it ended, in colour.
pub fn state(run: &TestRun) -> Cell {
    let (text, colour) = match (run.state, run.result, run.error_code) {
        (State::Ended, Some(RunResult::Passed), _) => ("passed".to_owned(), Some(AnsiColor::Green)),
        (State::Ended, _, _) => ("failed".to_owned(), Some(AnsiColor::Red)),
        (State::Error, _, code) => {
            (format!("error: {}", code.map(ErrorCode::name).unwrap_or_default()), Some(AnsiColor::Red))
        }
        (State::Cancelled, ..) => {
            let outcome = run.stop.as_ref().map(|stop| format!(" ({})", stop.outcome.name().replace('_', " ")));
            (format!("cancelled{}", outcome.unwrap_or_default()), Some(AnsiColor::Yellow))
        }
        (state @ State::Started, ..) => (format!("{}{}", state.name(), finished_shards(run)), Some(AnsiColor::Cyan)),
        (state, ..) => (state.name().to_owned(), None),
    };
    Cell { style: colour.map_or(Style::new(), AnsiColor::on_default), ..Cell::new(text) }
}

/// How many shards of a run are finished, as ` 3/4`, if it has several.
fn finished_shards(run: &TestRun) -> String {
    let total = run.total_shards.filter(|total| *total > 1);
    total.map(|total| format!(" {}/{total}", run.finished_shards)).unwrap_or_default()
}

/// How far tests are: `170 of 412 tests, 41 %, 2 failed; now: checkout › pays`.
pub fn progress(progress: &RunProgress) -> String {
    let RunProgress { total, done, failed, flaky, current, .. } = progress;
    let mut text = match total.filter(|total| *total > 0) {
        Some(total) => {
            let percent = u64::from(*done) * 100 / u64::from(total);
            format!("{done} of {total} tests, {} %", percent.min(100))
        }
        None => format!("{done} tests"),
    };
    for (number, word) in [(failed, "failed"), (flaky, "flaky")] {
        if *number > 0 {
            text.push_str(&format!(", {number} {word}"));
        }
    }
    if let Some(current) = current {
        text.push_str(&format!("; now: {current}"));
    }
    text
}

/// How long ago something was, in its largest unit.
pub fn age(seconds: i64) -> Cell {
    let (number, unit) = match seconds.max(0) {
        seconds @ 0..120 => (seconds, "s"),
        seconds @ 120..7200 => (seconds / 60, "min"),
        seconds @ 7200..172_800 => (seconds / 3600, "h"),
        seconds => (seconds / 86_400, "d"),
    };
    Cell { whole: true, ..Cell::new(format!("{number} {unit}")) }
}

/// A span of ms in its two largest units: `2.1 s`, `6 m 12 s`, `3 h 5 m`.
pub fn span(ms: i64) -> String {
    let (tenths, seconds) = (ms.max(0).saturating_add(50) / 100, ms.max(0) / 1000);
    match seconds {
        0..60 => format!("{}.{} s", tenths / 10, tenths % 10),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A cell that is never broken.
pub fn whole(text: impl Into<String>) -> Cell {
    Cell { whole: true, ..Cell::new(text.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRANCH: &str = "feature/checkout-with-a-name-that-nobody-can-remember";

    fn runs() -> Table {
        let mut table = new(&["ID", "STATE", "ENVIRONMENT", "BRANCH", "REGISTERED", "BY", "WHY"]);
        let reason = "ada@example.com: the deploy before this one was broken";
        for (id, state, branch, why) in
            [(9_007_199_254, "cancelled (never started)", BRANCH, reason), (7, "started", "main", "-")]
        {
            let (at, by) = (Timestamp(1_795_340_000_999), text("ada@example.com"));
            table.add_row([super::id(id), text(state), text("staging"), text(branch), time(at), by, text(why)]);
        }
        table
    }

    fn plain(lines: Vec<String>) -> Vec<String> {
        lines.into_iter().map(|line| anstream::adapter::strip_str(&line).to_string()).collect()
    }

    #[test]
    fn a_span_has_its_two_largest_units() {
        let said = [-5, 49, 2_100, 59_960, 60_000, 372_000, 11_100_000].map(span);
        assert_eq!(said, ["0.0 s", "0.0 s", "2.1 s", "60.0 s", "1 m 0 s", "6 m 12 s", "3 h 5 m"]);
    }

    #[test]
    fn a_table_that_fits_has_one_line_a_row() {
        let lines = plain(runs().lines(None));
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("ID          STATE                      ENVIRONMENT  BRANCH "), "{lines:?}");
        assert!(lines[2].starts_with("7           started                    staging      main "), "{lines:?}");
        assert!(lines.iter().all(|line| line.trim_end() == line));
        let widest = lines.iter().map(|line| line.width()).max();
        assert_eq!(plain(runs().lines(widest)), lines);
    }

    #[test]
    fn no_word_is_broken_at_any_width() {
        let whole: Vec<String> = runs().lines(None).iter().flat_map(|line| words(line)).collect();
        for width in 30..=250 {
            for line in plain(runs().lines(Some(width))) {
                assert!(line.width() <= width, "{width}: {line}");
                for word in words(&line) {
                    let known = match word.strip_suffix('…') {
                        Some(start) => whole.iter().any(|whole| whole.starts_with(start)),
                        None => whole.contains(&word),
                    };
                    assert!(known, "{width}: {word}");
                }
            }
            let text = plain(runs().lines(Some(width))).join(" ");
            assert!(["9007199254 ", "cancelled ", "started", "main "].iter().all(|word| text.contains(word)), "{text}");
        }
    }

    fn words(line: &str) -> Vec<String> {
        anstream::adapter::strip_str(line).to_string().split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_narrow_table_wraps_then_cuts_and_then_becomes_blocks() {
        let lines = plain(runs().lines(Some(120)));
        assert!(
            lines[0].starts_with("ID          STATE") && lines[1].starts_with("9007199254  cancelled  "),
            "{lines:?}"
        );
        assert!(lines.iter().any(|line| line.contains("(never")), "{lines:?}");
        let lines = plain(runs().lines(Some(40)));
        assert_eq!(lines[..2], ["ID           9007199254", "STATE        cancelled (never started)"]);
        assert_eq!(lines[3], "BRANCH       feature/checkout-with-a-na…");
        let blank = lines.iter().position(String::is_empty).expect("two blocks");
        assert_eq!(lines[blank + 1], "ID           7");
    }

    #[test]
    fn names_and_values_wrap_and_keep_long_words_whole() {
        let mut table = new(&[]);
        table.add_row([name("commit url"), text("https://example.com/a/very/long/address/that/people/copy")]);
        table.add_row([name("reason"), text("the deploy before this one was broken")]);
        let lines = plain(table.lines(Some(40)));
        assert_eq!(lines[0], "commit url  https://example.com/a/very/long/address/that/people/copy");
        assert_eq!(lines[1..], ["reason      the deploy before this one", "            was broken"]);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(shorten("世界世界世界", 7), "世界世…");
        assert_eq!(shorten("世界世界世界", 6), "世界…");
        assert_eq!(wrap("世界 世界", 5, true), ["世界", "世界"]);
        assert_eq!(wrap("", 5, true), [""]);
    }

    #[test]
    fn progress_says_how_far_how_badly_and_what_runs() {
        let text = |total, done, failed, flaky, current: Option<&str>| {
            let current = current.map(str::to_owned);
            super::progress(&RunProgress { total, done, failed, flaky, skipped: 3, current })
        };
        let now = Some("checkout › pays");
        assert_eq!(text(Some(412), 170, 2, 0, now), "170 of 412 tests, 41 %, 2 failed; now: checkout › pays");
        assert_eq!(text(None, 170, 0, 1, None), "170 tests, 1 flaky");
        assert_eq!(text(Some(0), 0, 0, 0, None), "0 tests");
        assert_eq!(text(Some(3), 9, 0, 0, None), "9 of 3 tests, 100 %", "retries count twice, say");
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        for (seconds, text) in
            [(-5, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 d")]
        {
            assert_eq!(age(seconds).text, text);
        }
    }
}
