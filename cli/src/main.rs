//! The binary `estop`.

use std::process::ExitCode;

use clap::Parser;
use estop_cli::args::Cli;
use estop_cli::{dispatch, terminal};

fn main() -> ExitCode {
    match dispatch(&Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            terminal::error(failure.message);
            failure.exit.into()
        }
    }
}
