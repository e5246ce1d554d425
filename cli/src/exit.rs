//! How estop ends: every exit code that is not COMMAND's own, in one place.
//!
//! 120 to 124 lie above what test runners use and below what shells use, so that a pipeline can tell "cancelled" from
//! "failed". A COMMAND that itself exits with one of them is passed on all the same.

use std::process::ExitCode;

/// How estop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is done; with `wait`, the run passed.
    Done,
    /// With `wait`: the run failed or broke.
    Failed,
    /// COMMAND's own code, or 128 and the number of the signal that ended it.
    Command(u8),
    /// The command line or the environment is not as it should be.
    Usage,
    /// The run was cancelled.
    Cancelled,
    /// The run's lease was lost: another may hold the environment.
    Fenced,
    /// The service refused, or is required and missing.
    Refused,
    /// The run to be cancelled was over already.
    AlreadyOver,
    /// The service could not be reached, or did not say so in time.
    Timeout,
    /// COMMAND was found and cannot be executed.
    CannotExecute,
    /// COMMAND was not found.
    NotFound,
}

/// The table at the end of `estop --help`.
pub const TABLE: &str = "\
Exit codes:
  0…    what COMMAND exited with; 128+N if signal N ended it
  0     done; `estop wait`: the run passed
  1     `estop wait`: the run failed or broke
  2     usage: the command line or the environment is not as it should be
  120   the run was cancelled
  121   the run's lease was lost: another may hold the environment
  122   the service refused (key, scope, request), or is required and missing
  123   the run to be cancelled was over already
  124   the service could not be reached, or the time was up
  126   COMMAND cannot be executed
  127   COMMAND was not found";

impl Exit {
    /// The number.
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

    /// As a shell says it: 128 and the signal's number.
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
    fn every_code_is_its_own_and_in_the_table() {
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
    fn a_signal_is_told_as_shells_tell_it() {
        assert_eq!(Exit::signal(2).code(), 130);
        assert_eq!(Exit::signal(9).code(), 137);
        assert_eq!(Exit::signal(15).code(), 143);
        assert_eq!(Exit::signal(i32::MAX).code(), 255);
    }
}
