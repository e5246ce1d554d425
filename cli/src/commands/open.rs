//! `estop open`.

use std::process::{Command, Stdio};

use crate::args::OpenArgs;
use crate::exit::Exit;
use crate::service::Service;
use crate::terminal;

/// What opens an address on macOS, on Linux and on Windows' Linux, in the order in which they are tried.
const OPENERS: [&str; 3] =
    if cfg!(target_os = "macos") { ["open", "xdg-open", "wslview"] } else { ["xdg-open", "wslview", "open"] };

/// Prints the address too: there may be no browser here.
pub fn open(args: &OpenArgs, service: &Service) -> Exit {
    let address = service.address();
    let address = args.id.map_or_else(|| format!("{address}/"), |id| format!("{address}/runs/{id}"));
    terminal::print(&address);
    let starts = |opener: &&str| {
        let mut command = Command::new(opener);
        command.arg(&address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().is_ok()
    };
    if !OPENERS.iter().any(starts) {
        terminal::info("no browser was found here: open this address in one");
    }
    Exit::Done
}
