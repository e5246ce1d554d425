//! Whether to ask first: a slip of the keyboard must not stop everybody's tests.

use std::io::IsTerminal;

use estop_protocol::bulk_cancel::BulkCancelled;

use super::test_runs;
use crate::args::CancelArgs;
use crate::exit::Exit;
use crate::service::Failure;
use crate::table;
use crate::terminal;

/// More runs than this are not cancelled without a question.
const UNASKED: usize = 20;

#[derive(Debug, PartialEq, Eq)]
pub enum Confirmed {
    GoOn,
    NothingMatches,
}

/// Whether there is someone to ask.
pub fn at_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks if the command line selects many runs, or any number of them with nothing but a state. `preview` finds them, up to
/// a number that is enough; `ask` shows what was found and puts the question.
///
/// # Errors
/// If the answer is no, or if there is nobody to ask.
pub fn confirm(
    args: &CancelArgs,
    at_terminal: bool,
    preview: impl FnOnce(usize) -> Result<BulkCancelled, Failure>,
    ask: impl FnOnce(Option<&BulkCancelled>, &str) -> bool,
) -> Result<Confirmed, Failure> {
    let (what, found) = if !args.ids.is_empty() {
        if args.ids.len() <= UNASKED {
            return Ok(Confirmed::GoOn);
        }
        (test_runs(args.ids.len()), None)
    } else if is_broad(args) && !at_terminal {
        return Err(nobody_to_ask("every such run of the project"));
    } else {
        let found = preview(UNASKED + 1)?;
        let count = found.cancelled.len();
        if count == 0 {
            return Ok(Confirmed::NothingMatches);
        }
        if count <= UNASKED && !is_broad(args) {
            return Ok(Confirmed::GoOn);
        }
        // The preview stops once it has found enough.
        let is_all = !found.more || args.limit.is_some_and(|limit| usize::try_from(limit).is_ok_and(|n| n <= count));
        (if is_all { test_runs(count) } else { format!("{count} or more test runs") }, Some(found))
    };
    if !at_terminal {
        return Err(nobody_to_ask(&what));
    }
    if ask(found.as_ref(), &format!("Cancel {what}?")) {
        Ok(Confirmed::GoOn)
    } else {
        Err(Failure::new(Exit::Refused, "nothing was cancelled"))
    }
}

/// Whether it selects runs regardless of what they test: whoever mistakes the project stops them all.
fn is_broad(args: &CancelArgs) -> bool {
    let any_age = args.older_than_minutes.is_none_or(|minutes| minutes == 0);
    any_age && args.branch.is_none() && args.environment.is_none() && args.metadata.is_empty()
}

fn nobody_to_ask(what: &str) -> Failure {
    let message = format!(
        "nothing was cancelled: this would cancel {what}, and there is no terminal to ask at. Use --yes to cancel without \
         a question, or --dry-run to see which runs it would be"
    );
    Failure::new(Exit::Usage, message)
}

/// Shows the first of these runs, and asks.
pub fn ask(found: Option<&BulkCancelled>, question: &str) -> bool {
    if let Some(found) = found {
        show(found);
    }
    terminal::ask(question)
}

fn show(found: &BulkCancelled) {
    let shown = found.cancelled.get(..UNASKED).unwrap_or(&found.cancelled);
    table::info(&super::runs(shown));
    let others = found.cancelled.len() - shown.len();
    if others > 0 {
        terminal::info(format!("and {others} more"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::bulk::tests::{answer, args};
    use super::*;

    /// What the user was asked, if anything, and what came of it if the answer was yes.
    fn asked(line: &str, at_terminal: bool, found: BulkCancelled) -> (Option<String>, Result<Confirmed, Exit>) {
        let mut question = None;
        let ask = |_: Option<&BulkCancelled>, text: &str| {
            question = Some(text.to_owned());
            true
        };
        let confirmed = confirm(&args(line), at_terminal, |_| Ok(found), ask).map_err(|failure| failure.exit);
        (question, confirmed)
    }

    fn many_ids() -> String {
        let ids: Vec<String> = (1..=21).map(|id: i64| id.to_string()).collect();
        format!("estop cancel {}", ids.join(" "))
    }

    #[test]
    fn few_runs_are_cancelled_unasked() {
        for at_terminal in [true, false] {
            for line in ["estop cancel --branch main", "estop cancel --state queued --branch main", "estop cancel 7 8"]
            {
                assert_eq!(asked(line, at_terminal, answer(0..20, None)), (None, Ok(Confirmed::GoOn)), "{line}");
            }
        }
    }

    #[test]
    fn many_runs_or_only_a_state_take_a_question_and_a_terminal() {
        let only_state = "estop cancel --state started";
        for (line, found, question) in [
            ("estop cancel --branch main", answer(0..42, None), "Cancel 42 test runs?"),
            ("estop cancel --branch main", answer(0..42, Some("a")), "Cancel 42 or more test runs?"),
            ("estop cancel --branch main --limit 42", answer(0..42, Some("a")), "Cancel 42 test runs?"),
            (only_state, answer(0..1, None), "Cancel 1 test run?"),
            ("estop cancel --older-than-minutes 0", answer(0..2, None), "Cancel 2 test runs?"),
            (&many_ids(), answer(0..0, None), "Cancel 21 test runs?"),
        ] {
            let again = answer(0..i64::try_from(found.cancelled.len()).expect("few"), found.next.as_deref());
            assert_eq!(asked(line, true, found), (Some(question.to_owned()), Ok(Confirmed::GoOn)));
            assert_eq!(asked(line, false, again), (None, Err(Exit::Usage)), "{line}");
        }
        assert_eq!(asked(only_state, true, answer(0..0, None)), (None, Ok(Confirmed::NothingMatches)));
    }

    #[test]
    fn a_no_cancels_nothing() {
        let no = |line: &str| {
            confirm(&args(line), true, |_| Ok(answer(0..42, None)), |_, _| false).map_err(|f| (f.exit, f.message))
        };
        for line in ["estop cancel --branch main", &many_ids()] {
            assert_eq!(no(line), Err((Exit::Refused, "nothing was cancelled".to_owned())), "{line}");
        }
    }
}
