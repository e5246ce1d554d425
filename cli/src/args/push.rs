//! Whether the service may tell by itself, for the commands that wait for something.

use clap::Args;
use clap::builder::FalseyValueParser;

#[derive(Debug, Args)]
pub struct PushArgs {
    /// Only ask the service, every other second, and open no WebSocket on which it could tell
    #[arg(long, env = "ESTOP_NO_PUSH", value_parser = FalseyValueParser::new(), hide_env_values = true)]
    no_push: bool,
}

impl PushArgs {
    pub fn is_on(&self) -> bool {
        !self.no_push
    }
}
