//! Tables for people.

use std::io::IsTerminal;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use estop_protocol::run::{ErrorCode, RunResult, State};
use estop_protocol::show::TestRun;
use estop_protocol::time::Timestamp;

use crate::terminal::{self, sanitize};

/// A table as wide as the terminal. Without headings it has no heading line.
pub fn new(headings: &[&str]) -> Table {
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

pub fn print(table: &Table) {
    for line in table.lines() {
        terminal::print(line.trim_end());
    }
}

pub fn id(id: i64) -> Cell {
    Cell::new(id)
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

fn seconds(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..19).map_or_else(|| text.clone(), |seconds| format!("{}Z", seconds.replace('T', " ")))
}

/// A run's state and how it ended, in colour.
pub fn state(run: &TestRun) -> Cell {
    let (text, colour) = match (run.state, run.result, run.error_code) {
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
    Cell::new(text).fg(colour)
}
