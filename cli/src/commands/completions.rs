//! `estop completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::Exit;
use crate::terminal;

pub fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "estop", &mut script);
    terminal::print(String::from_utf8_lossy(&script).trim_end());
    Exit::Done
}
