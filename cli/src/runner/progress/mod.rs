//! What COMMAND's test runner and estop tell each other, in two files: how far the tests are, and why they are stopped.
//! docs/progress.md is for those who write a test runner's side of it.

pub mod junit;
mod lines;
mod told;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use estop_protocol::heartbeat::StopOrder;
use serde_json::json;

use lines::Lines;
pub use told::Told;

/// The variable that names the file to which COMMAND appends.
pub const PROGRESS: &str = "ESTOP_PROGRESS";

/// The variable that names the file that is there once COMMAND is being stopped.
pub const STOP: &str = "ESTOP_STOP";

/// How much is read at a time.
const BLOCK: usize = 64 * 1024;

/// How many blocks are read at a look, and at the last one.
const BLOCKS: usize = 16;
const LAST_BLOCKS: usize = 1024;

/// The two files, in a folder that nobody else can open. Dropping it removes them.
pub struct Exchange {
    folder: PathBuf,
    reader: Mutex<Reader>,
}

struct Reader {
    file: File,
    /// Up to where it has been read.
    at: u64,
    lines: Lines,
    told: Told,
}

impl Exchange {
    /// Makes the folder and the file for COMMAND.
    pub fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("estop-{:032x}", fastrand::u128(..)));
        DirBuilder::new().mode(0o700).create(&folder)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(progress(&folder))?;
        Self::of(folder)
    }

    /// One that is there, whose estop was killed.
    pub fn of(folder: PathBuf) -> io::Result<Self> {
        // Opened once: whatever COMMAND puts in its place is not waited for.
        let file = File::open(progress(&folder))?;
        let reader = Reader { file, at: 0, lines: Lines::default(), told: Told::default() };
        Ok(Self { folder, reader: Mutex::new(reader) })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The variables that COMMAND gets.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        let path = |file: PathBuf| file.display().to_string();
        [(PROGRESS, path(progress(&self.folder))), (STOP, path(stop(&self.folder)))]
    }

    /// Reads what has been told since the last look, or much of it, and gives all that is known.
    pub fn look(&self) -> Told {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.read(BLOCKS);
        reader.told.clone()
    }

    /// The same after COMMAND has ended.
    pub fn last_look(&self) -> Told {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.read(LAST_BLOCKS);
        let Reader { lines, told, .. } = &mut *reader;
        lines.end(|line| told.hear(line));
        told.end();
        told.clone()
    }

    /// Removes the files. What is known stays known.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }

    /// Says why COMMAND is about to be stopped. The file is there whole or not at all.
    pub fn stopping(&self, order: &StopOrder) -> io::Result<()> {
        let text = json!({"by": order.by, "reason": order.reason, "cause": order.cause, "at": order.at});
        let begun = self.folder.join("stop.json.new");
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&begun)?;
        file.write_all(format!("{text}\n").as_bytes())?;
        fs::rename(begun, stop(&self.folder))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.remove();
    }
}

fn progress(folder: &Path) -> PathBuf {
    folder.join("progress.jsonl")
}

fn stop(folder: &Path) -> PathBuf {
    folder.join("stop.json")
}

impl Reader {
    /// Reads at most so many blocks. A file that cannot be read says nothing.
    fn read(&mut self, blocks: usize) {
        let length = self.file.metadata().map_or(0, |metadata| metadata.len());
        if length < self.at {
            // It was emptied, and begins anew.
            self.at = 0;
            self.lines.forget();
        }
        let mut block = vec![0; BLOCK];
        for _ in 0..blocks {
            let Some(read) = self.file.read_at(&mut block, self.at).ok().filter(|read| *read > 0) else { return };
            self.at = self.at.saturating_add(read as u64);
            let Self { lines, told, .. } = self;
            lines.feed(block.get(..read).unwrap_or_default(), |line| told.hear(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use estop_protocol::run::Cause;
    use estop_protocol::time::Timestamp;
    use std::os::unix::fs::PermissionsExt;

    fn append(exchange: &Exchange, text: &str) {
        let path = progress(exchange.folder());
        let mut file = OpenOptions::new().append(true).open(path).expect("the file");
        file.write_all(text.as_bytes()).expect("a line");
    }

    fn done(told: &Told) -> Option<u32> {
        told.progress().map(|progress| progress.done)
    }

    #[test]
    fn the_file_is_followed_line_by_line_and_through_being_emptied() {
        let exchange = Exchange::new().expect("a folder");
        assert_eq!(done(&exchange.look()), None);
        append(&exchange, "{\"total\":9,\"done\":1}\n{\"done\":2}\n{\"do");
        assert_eq!(done(&exchange.look()), Some(2));
        append(&exchange, "ne\":3}\n");
        assert_eq!(done(&exchange.look()), Some(3));
        append(&exchange, "{\"done\":4,");
        exchange.look();
        File::create(progress(exchange.folder())).expect("emptied");
        append(&exchange, "{\"done\":5}\n");
        assert_eq!(done(&exchange.look()), Some(5));
        append(&exchange, "{\"done\":6}");
        assert_eq!((done(&exchange.look()), done(&exchange.last_look())), (Some(5), Some(6)), "its line has no end");
    }

    #[test]
    fn a_flood_is_read_in_pieces() {
        let exchange = Exchange::new().expect("a folder");
        let line = format!("{{\"done\":1,\"more\":\"{}\"}}\n", "x".repeat(1000));
        append(&exchange, &line.repeat(3 * BLOCK * BLOCKS / line.len()));
        append(&exchange, "{\"done\":2}\n");
        assert_eq!(done(&exchange.look()), Some(1));
        assert_eq!((done(&exchange.look()), done(&exchange.last_look())), (Some(1), Some(2)));
    }

    #[test]
    fn nobody_else_can_read_the_files_and_they_are_removed() {
        let exchange = Exchange::new().expect("a folder");
        let folder = exchange.folder().to_owned();
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let (reason, by) = (Some("wrong branch".to_owned()), "ada@example.com".to_owned());
        let (cause, at) = (Cause::User, Timestamp(0));
        let order = StopOrder { reason, cause, by, at, grace_seconds: 10, lease_lost: false, kill: false };
        assert!(!stop(&folder).exists());
        exchange.stopping(&order).expect("a file");
        let text = fs::read_to_string(stop(&folder)).expect("a text");
        let expected =
            r#"{"at":"1970-01-01T00:00:00.000Z","by":"ada@example.com","cause":"user","reason":"wrong branch"}"#;
        assert_eq!(text, format!("{expected}\n"));
        assert_eq!((mode(&folder), mode(&progress(&folder)), mode(&stop(&folder))), (0o700, 0o600, 0o600));
        drop(exchange);
        assert!(!folder.exists());
    }
}
