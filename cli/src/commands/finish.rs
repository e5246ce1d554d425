//! `estop finish`: sends a result that `estop run` could not record.

use super::RETRY_FOR;
use crate::args::FinishArgs;
use crate::exit::Exit;
use crate::retry;
use crate::runner::delivery::{Answer, Delivery};
use crate::runner::messages;
use crate::service::{Failure, Service};
use crate::terminal;

pub fn finish(args: &FinishArgs, service: &Service) -> Result<Exit, Failure> {
    let file = terminal::sanitize(&args.from.display().to_string());
    let delivery = Delivery::read(&args.from)
        .map_err(|error| Failure::new(Exit::Usage, format!("{file} cannot be sent: {error}. Check --from")))?;
    let left = |failure: Failure| {
        Failure::new(failure.exit, format!("{}. {file} is left as it is", failure.message.trim_end_matches('.')))
    };
    let (id, result) = (delivery.test_run, delivery.result());
    let response = retry::send(service, &delivery.call(), RETRY_FOR).map_err(|error| left(error.into()))?;
    let exit = match delivery.answer(&response) {
        Answer::Recorded => {
            terminal::print(format!("The result of test run {id} ({result}) is recorded."));
            Exit::Done
        }
        Answer::Cancelled { reason, message, result_kept } => {
            terminal::print(reason.as_ref().map_or(message, |reason| messages::stop_reason(id, reason)));
            if result_kept {
                terminal::print(messages::late_result_kept(id, &result));
            } else if reason.is_some_and(|reason| reason.exit() == Exit::Fenced) {
                // The service took the runner for lost and did not take what it has to say: this is the only copy.
                terminal::warn(format!("the result ({result}) is not part of the record. {file} is left as it is"));
                return Ok(Exit::Cancelled);
            }
            Exit::Cancelled
        }
        Answer::LeaseLost(message) => {
            let message = format!("{message} Check that ESTOP_URL is the service on which test run {id} ran");
            return Err(left(Failure::new(Exit::Refused, message)));
        }
        Answer::Refused(failure) => return Err(left(failure)),
    };
    if let Err(error) = std::fs::remove_file(&args.from) {
        terminal::warn(format!("{file} is no longer needed, but cannot be removed: {error}. Remove it"));
    }
    Ok(exit)
}
