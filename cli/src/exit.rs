//! How estop ends: every exit code that is not COMMAND's own.
//!
//! 120 to 124 lie above the codes of test runners and below those of shells, so that a pipeline can tell "cancelled"
//! from "failed". A COMMAND that itself exits with one of them is passed through all the same.

use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is done; for `wait`, the run passed.
    Done,
    /// For `wait`: the run failed or ended in an error. For `self-check`: processes cannot be stopped here. For `webhooks
    /// test` and `webhooks redeliver`: the webhook did not take it.
    Failed,
    /// COMMAND's own code, or 128+N if signal N ended it.
    Command(u8),
    /// The command line or the environment is wrong, or a question is needed and there is nobody to ask.
    Usage,
    /// The run was cancelled.
    Cancelled,
    /// The run's lease was lost or, with `--exclusive`, ran out: another runner may hold the environment. For those who
    /// wait for a stop: its runner was lost.
    Fenced,
    /// The service refused the request, or is required and unavailable; or the user answered no.
    Refused,
    /// The run to be cancelled was already over; the run to be killed is not stopping.
    AlreadyOver,
    /// The service could not be reached, or time ran out.
    Timeout,
    /// COMMAND was found but cannot be executed.
    CannotExecute,
    /// COMMAND was not found.
    NotFound,
}

/// The table at the end of `estop --help`.
pub const TABLE: &str = "\
Exit codes:
  any   `estop run`: COMMAND's own exit code; 128+N if signal N ended it
  0     success; `estop wait`: the run passed; `estop finish`: recorded
  1     `estop wait`: the run failed or ended in an error; `estop self-check`:
        processes cannot be stopped here; `estop webhooks test` and `redeliver`:
        the webhook did not take it
  2     the command line is wrong, an environment variable or the file of
        `estop finish` is missing, or `estop cancel` needs --yes
  120   the run was cancelled (`estop wait --stopped`: and has stopped)
  121   the run's lease was lost or, with --exclusive, ran out: another runner
        may hold the environment; `estop cancel --wait`, `estop wait --stopped`:
        the runner was lost, and nobody knows whether its tests have stopped
  122   the service refused (key, scope, request), or is required and
        unavailable; `estop cancel`: the answer was no
  123   the run to be cancelled was already over; `estop kill`: nothing to stop
  124   the service could not be reached, or time ran out
  126   COMMAND cannot be executed
  127   COMMAND was not found";

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Command(code) => code,
            Self::Usage => 2,
            Self::Cancelled => 120,
            Self::Fenced => 121,
            Self::Refused => 122,
            Self::AlreadyOver => 123,
            Self::Timeout => 124,
            Self::CannotExecute => 126,
            Self::NotFound => 127,
        }
    }

    /// The way shells report a signal: 128 plus its number.
    pub fn signal(number: i32) -> Self {
        Self::Command(u8::try_from(number.saturating_add(128)).unwrap_or(u8::MAX))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_distinct_and_in_the_table() {
        let all = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::Cancelled, 120),
            (Exit::Fenced, 121),
            (Exit::Refused, 122),
            (Exit::AlreadyOver, 123),
            (Exit::Timeout, 124),
            (Exit::CannotExecute, 126),
            (Exit::NotFound, 127),
        ];
        for (exit, code) in all {
            assert_eq!(exit.code(), code);
            assert!(TABLE.lines().any(|line| line.starts_with(&format!("  {code:<6}"))), "{code}");
        }
    }

    #[test]
    fn signals_are_reported_the_way_shells_do() {
        assert_eq!(Exit::signal(2).code(), 130);
        assert_eq!(Exit::signal(9).code(), 137);
        assert_eq!(Exit::signal(15).code(), 143);
        assert_eq!(Exit::signal(i32::MAX).code(), 255);
    }
}
