//! Tables for people.

use std::io::IsTerminal;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use estop_protocol::run::{ErrorCode, RunResult, State};
use estop_protocol::show::TestRun;
use estop_protocol::time::Timestamp;

use crate::terminal::{self, plain};

/// A table with these headings, as wide as the terminal.
pub fn with(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some((terminal_size::Width(width), _)) = terminal_size::terminal_size() {
        table.set_width(width);
    }
    let colour = std::io::stdout().is_terminal() && anstream::stdout().current_choice() != anstream::ColorChoice::Never;
    if !colour {
        table.force_no_tty();
    }
    if !headings.is_empty() {
        table.set_header(headings.iter().map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)));
    }
    table
}

/// Prints it.
pub fn print(table: &Table) {
    for line in table.lines() {
        terminal::print(line.trim_end());
    }
}

/// A text from the service.
pub fn text(text: impl AsRef<str>) -> Cell {
    Cell::new(plain(text.as_ref()))
}

/// A text that may be absent.
pub fn maybe(text: Option<&str>) -> Cell {
    Cell::new(text.map_or_else(|| "-".to_owned(), plain))
}

/// A moment, to the second.
pub fn moment(at: Timestamp) -> Cell {
    let text = at.to_string();
    Cell::new(text.get(..19).map_or_else(|| text.clone(), |second| format!("{}Z", second.replace('T', " "))))
}

/// A run's state, and how it ended, in colour.
pub fn state(run: &TestRun) -> Cell {
    let (words, colour) = match (run.state, run.result, run.error_code) {
        (State::Ended, Some(RunResult::Passed), _) => ("passed".to_owned(), Color::Green),
        (State::Ended, _, _) => ("failed".to_owned(), Color::Red),
        (State::Error, _, code) => (format!("error: {}", code.map(ErrorCode::name).unwrap_or_default()), Color::Red),
        (State::Cancelled, ..) => {
            let outcome = run.stop.as_ref().map(|stop| format!(" ({})", stop.outcome.name().replace('_', " ")));
            (format!("cancelled{}", outcome.unwrap_or_default()), Color::Yellow)
        }
        (state @ State::Started, ..) => (state.name().to_owned(), Color::Cyan),
        (state, ..) => (state.name().to_owned(), Color::Reset),
    };
    Cell::new(words).fg(colour)
}
