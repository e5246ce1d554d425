//! A finish on its way to the service: the request, what an answer to it means, and the file that keeps it if the
//! service cannot be reached, for `estop finish`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use estop_protocol::envelope::Data;
use estop_protocol::finish::{FinishRefused, FinishRequest, Finished};
use estop_protocol::run::{ErrorCode, RunResult};
use serde::{Deserialize, Serialize};

use super::heartbeat;
use super::messages;
use super::progress::Told;
use super::supervisor::StopReason;
use crate::service::{Call, Failure, Response, idempotency_key};
use crate::terminal::{self, sanitize};

/// The version of the file's format.
const VERSION: u32 = 1;

/// A finish, and the JSON of the file. It holds the lease token, which is a secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    version: u32,
    pub test_run: i64,
    /// However often and whenever it is sent, the service takes it for one request.
    idempotency_key: String,
    request: FinishRequest,
}

/// What the service made of it.
#[derive(Debug)]
pub enum Answer {
    /// The run is finished, now or by an earlier attempt.
    Recorded,
    /// The run had been cancelled, and stays so. The stop of its runner, if it was still open, is now on record.
    Cancelled {
        /// Who, why and when. A service before 0.2.0 only has the message.
        reason: Option<StopReason>,
        message: String,
        /// Whether the result is in the record all the same.
        result_kept: bool,
    },
    /// The lease is not, or no longer, that of a run; with the service's message.
    LeaseLost(String),
    /// It says nothing about the run, and another attempt may have another answer.
    Refused(Failure),
}

impl Delivery {
    pub fn new(test_run: i64, request: FinishRequest) -> Self {
        Self { version: VERSION, test_run, idempotency_key: idempotency_key(), request }
    }

    /// With what COMMAND has told of its tests, if it has.
    #[must_use]
    pub fn with_tests(mut self, told: &Told) -> Self {
        self.request.progress = told.progress().cloned();
        self.request.failures = (told.changes() > 0).then(|| told.failures());
        self
    }

    pub fn call(&self) -> Call {
        let call = Call::new("POST", format!("/api/test-runs/{}/finish", self.test_run));
        call.with_body(&self.request).with_idempotency_key(&self.idempotency_key)
    }

    /// The result, for people.
    pub fn result(&self) -> String {
        match (self.request.result, self.request.error_code) {
            (Some(result), _) => RunResult::name(result).to_owned(),
            (None, code) => format!("error: {}", code.map(ErrorCode::name).unwrap_or_default()),
        }
    }

    pub fn answer(&self, response: &Response) -> Answer {
        if response.status == 412
            && let Ok(FinishRefused { message, stop, late_result_kept }) = serde_json::from_str(&response.text)
        {
            let (reason, message) = (stop.map(StopReason::Ordered), sanitize(&message));
            return Answer::Cancelled { reason, message, result_kept: late_result_kept };
        }
        if let Some(message) = heartbeat::lease_lost(response) {
            return Answer::LeaseLost(message);
        }
        match response.read::<Data<Finished>>() {
            Ok(_) => Answer::Recorded,
            Err(failure) => Answer::Refused(failure),
        }
    }

    /// Leaves the result in a file for `estop finish`, and says so. `why`: it could not be recorded.
    pub fn leave(&self, directory: &Path, why: &str) {
        let (id, result) = (self.test_run, self.result());
        match self.keep(directory) {
            Ok(path) => terminal::warn(messages::finish_kept(id, &result, why, &path)),
            Err(error) => terminal::error(messages::finish_not_kept(id, &result, why, &error.to_string())),
        }
    }

    /// Writes the file, which nobody else can read, and gives its path.
    ///
    /// # Errors
    /// If it cannot be written, or is there already: it may be that of another service's run.
    fn keep(&self, directory: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(directory)?;
        let path = std::path::absolute(directory)?.join(format!("estop-finish-{}.json", self.test_run));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(format!("{}\n", serde_json::to_string(self)?).as_bytes())?;
        file.sync_all()?;
        Ok(path)
    }

    /// Reads such a file.
    ///
    /// # Errors
    /// If there is none, or it is something else.
    pub fn read(path: &Path) -> io::Result<Self> {
        let delivery: Self = serde_json::from_str(&fs::read_to_string(path)?)?;
        if delivery.version != VERSION {
            let message = format!("it has the format {}, and this estop reads {VERSION}", delivery.version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use estop_protocol::run::Finish;
    use serde_json::{Value, json};
    use std::os::unix::fs::PermissionsExt;

    fn delivery() -> Delivery {
        let (lease, result) = ("secret".to_owned(), Some(RunResult::Passed));
        Delivery {
            version: VERSION,
            test_run: 7,
            idempotency_key: "k".to_owned(),
            request: FinishRequest {
                lease,
                state: Finish::Ended,
                result,
                error_code: None,
                counts: None,
                progress: None,
                failures: None,
                stop: None,
            },
        }
    }

    const FILE: &str = r#"{"version":1,"test_run":7,"idempotency_key":"k","request":{"lease":"secret","state":"ended","result":"passed"}}"#;

    /// An empty folder of its own.
    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("estop-delivery-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn the_file_is_json_that_only_its_owner_can_read_and_is_never_overwritten() {
        let folder = scratch("keep");
        let path = delivery().keep(&folder).expect("a file");
        assert!(path.is_absolute() && path.ends_with("estop-finish-7.json"), "{path:?}");
        assert_eq!(fs::read_to_string(&path).expect("a text"), format!("{FILE}\n"));
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        let error = delivery().keep(&folder).expect_err("it is there already");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let read = Delivery::read(&path).expect("the file");
        assert_eq!((read.test_run, read.call()), (7, delivery().call()));
        fs::remove_dir_all(folder).expect("a folder");
    }

    #[test]
    fn a_file_that_is_something_else_is_not_sent() {
        let folder = scratch("read");
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("file");
        assert!(Delivery::read(&path).is_err(), "there is none");
        for text in ["", "{}", &FILE.replace("\"version\":1", "\"version\":2"), &FILE.replace("test_run", "run")] {
            fs::write(&path, text).expect("a file");
            assert!(Delivery::read(&path).is_err(), "{text}");
        }
        fs::remove_dir_all(folder).expect("a folder");
    }

    #[test]
    fn the_result_is_told_in_a_word() {
        let mut delivery = delivery();
        assert_eq!(delivery.result(), "passed");
        (delivery.request.result, delivery.request.error_code) = (None, Some(ErrorCode::WorkerInterrupted));
        assert_eq!(delivery.result(), "error: worker_interrupted");
    }

    fn answer(status: u16, body: &Value) -> Answer {
        delivery().answer(&Response::of(status, &body.to_string()))
    }

    #[test]
    fn an_answer_says_what_became_of_the_result() {
        let finished = json!({"data": {"test_run": {"id": 7, "state": "ended", "result": "passed"}}});
        assert!(matches!(answer(200, &finished), Answer::Recorded));
        let error = json!({"data": null, "error": {"message": "No."}});
        assert!(matches!(answer(409, &error), Answer::LeaseLost(message) if message == "No."));
        for (status, body) in [(200, json!("a page")), (403, json!("a page")), (412, json!("a page")), (422, error)] {
            assert!(
                matches!(answer(status, &body), Answer::Refused(Failure { exit: Exit::Refused, .. })),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn a_cancel_is_told_from_its_order_and_says_whether_the_result_is_kept() {
        let order = json!({
            "reason": "no heartbeat", "cause": "stale", "by": "system:sweeper", "at": "2026-11-24T09:30:00.000Z",
            "grace_seconds": 10, "lease_lost": true,
        });
        for (body, exit, kept) in [
            (json!({"message": "over"}), None, false),
            (json!({"message": "over", "stop": order}), Some(Exit::Fenced), false),
            (json!({"message": "over", "stop": order, "late_result_kept": true}), Some(Exit::Fenced), true),
        ] {
            let Answer::Cancelled { reason, message, result_kept } = answer(412, &body) else {
                panic!("not cancelled: {body}")
            };
            assert_eq!(
                (reason.map(|reason| reason.exit()), message.as_str(), result_kept),
                (exit, "over", kept),
                "{body}"
            );
        }
    }
}
