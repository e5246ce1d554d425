//! What COMMAND and `--on-stop` have in their environment otherwise than estop.

use std::process::Command;

use super::npm::LAUNCHER;
use super::progress::{Exchange, PROGRESS, STOP};
use crate::args::RunArgs;

/// The variable that marks COMMAND's processes.
pub const MARK: &str = "ESTOP_MARK";

/// Variables and their values; `None` removes one.
pub struct Environment(Vec<(&'static str, Option<String>)>);

impl Environment {
    /// It has no secrets: tests run other people's code, and whoever reads their logs could stop every run.
    pub fn new(args: &RunArgs, id: Option<i64>, mark: &str, exchange: Option<&Exchange>) -> Self {
        let mut changes = vec![("ESTOP_ADMIN_TOKEN", None), (LAUNCHER, None), (MARK, Some(mark.to_owned()))];
        // An estop that COMMAND starts is another run, and not a shard of this one.
        changes.extend(["ESTOP_SHARD", "ESTOP_GROUP", "ESTOP_ATTEMPT", PROGRESS, STOP].map(|name| (name, None)));
        changes.extend(exchange.into_iter().flat_map(Exchange::variables).map(|(name, path)| (name, Some(path))));
        if !args.pass_key {
            changes.push(("ESTOP_KEY", None));
        }
        if let Some(id) = id {
            changes.push(("ESTOP_RUN_ID", Some(id.to_string())));
        }
        Self(changes)
    }

    pub fn apply_to(&self, command: &mut Command) {
        for (name, value) in &self.0 {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    }
}
