//! What the service is told of how far the tests are: with each heartbeat, and while somebody watches on the line.

use std::sync::Arc;
use std::time::Duration;

use estop_protocol::progress::{Failure, Progress};
use estop_protocol::time::Timestamp;
use estop_protocol::watch::{Report, ReportKind};

use super::progress::{Exchange, Told};
use crate::push::Outbox;

/// How often to look what the tests have told.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a line reports at most. The hub takes one in `estop_protocol::watch::REPORT_SECONDS`.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Times are [`crate::clock`]'s, and arguments.
pub struct Teller {
    /// What the tests tell; `None` if they cannot.
    exchange: Option<Arc<Exchange>>,
    outbox: Outbox,
    told: Told,
    /// Whether a heartbeat with more failed tests is worth sending soon.
    is_fail_fast: bool,
    /// How many failed tests the last heartbeat told of.
    failed: u32,
    /// The failures of this number of changes are written down.
    written: u64,
    /// The lease's end by the last heartbeat. One that changes it was written down.
    expires_at: Option<Timestamp>,
    is_watched: bool,
    /// When a report was last put into the outbox, and what it said, unless somebody came since who has not heard it.
    reported: Option<(Duration, Option<Progress>)>,
}

/// What a heartbeat says of the tests.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Said {
    pub progress: Option<Progress>,
    pub failures: Option<Vec<Failure>>,
    changes: u64,
}

impl Teller {
    pub fn new(exchange: Option<Arc<Exchange>>, outbox: Outbox, is_fail_fast: bool) -> Self {
        Self {
            exchange,
            outbox,
            told: Told::default(),
            is_fail_fast,
            failed: 0,
            written: 0,
            expires_at: None,
            is_watched: false,
            reported: None,
        }
    }

    /// How long to wait at most before the next look.
    pub fn next_look(&self) -> Duration {
        if self.exchange.is_some() { LOOK_EVERY } else { Duration::MAX }
    }

    /// Looks what the tests have told, and reports it if it is time.
    pub fn look(&mut self, now: Duration) {
        if let Some(exchange) = &self.exchange {
            self.told = exchange.look();
            self.report(now);
        }
    }

    /// Whether somebody watches, as the hub says; nobody does whom a line that is closed could reach.
    pub fn watched(&mut self, is_watched: bool, now: Duration) {
        self.is_watched = is_watched;
        if let Some((_, heard)) = &mut self.reported {
            *heard = None;
        }
        self.report(now);
    }

    /// Whether more tests have failed than the service knows of, and it would stop the run for that.
    pub fn has_urgent_news(&self) -> bool {
        self.is_fail_fast && self.told.progress().is_some_and(|progress| progress.failed > self.failed)
    }

    /// What the next heartbeat says.
    pub fn say(&mut self) -> Said {
        let (progress, changes) = (self.told.progress().cloned(), self.told.changes());
        self.failed = progress.as_ref().map_or(0, |progress| progress.failed);
        let failures = (changes != self.written).then(|| self.told.failures());
        Said { progress, failures, changes }
    }

    /// The service has answered that heartbeat.
    pub fn answered(&mut self, said: &Said, expires_at: Timestamp) {
        if self.expires_at.replace(expires_at).is_some_and(|before| before != expires_at) {
            self.written = said.changes;
        }
    }

    fn report(&mut self, now: Duration) {
        let Some(progress) = self.told.progress().filter(|_| self.is_watched) else { return };
        let is_due = self
            .reported
            .as_ref()
            .is_none_or(|(at, heard)| now.saturating_sub(*at) >= REPORT_EVERY && heard.as_ref() != Some(progress));
        if is_due
            && let Ok(text) = serde_json::to_string(&Report { kind: ReportKind::Progress, progress: progress.clone() })
        {
            self.outbox.put(text);
            self.reported = Some((now, Some(progress.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    const S: fn(u64) -> Duration = Duration::from_secs;

    struct Tests {
        teller: Teller,
        exchange: Arc<Exchange>,
        outbox: Outbox,
    }

    impl Tests {
        fn new(is_fail_fast: bool) -> Self {
            let exchange = Arc::new(Exchange::new().expect("a folder"));
            let outbox = Outbox::default();
            let teller = Teller::new(Some(exchange.clone()), outbox.clone(), is_fail_fast);
            Self { teller, exchange, outbox }
        }

        /// The tests tell this, and it is looked at.
        fn tell(&mut self, line: &str, at: u64) {
            let [(_, path), _] = self.exchange.variables();
            let mut file = OpenOptions::new().append(true).open(path).expect("the file");
            writeln!(file, "{line}").expect("a line");
            self.teller.look(S(at));
        }

        /// How many tests are done by what is to be said on the line.
        fn reported(&self) -> Option<u32> {
            let Report { progress, .. } = serde_json::from_str(&self.outbox.take()?).expect("a report");
            Some(progress.done)
        }
    }

    #[test]
    fn a_line_reports_only_while_somebody_watches_and_at_most_every_five_seconds() {
        let mut tests = Tests::new(false);
        tests.tell(r#"{"total":9,"done":1}"#, 1);
        assert_eq!(tests.reported(), None, "nobody watches");
        tests.teller.watched(true, S(2));
        assert_eq!(tests.reported(), Some(1), "who comes hears at once");
        tests.tell(r#"{"done":2}"#, 3);
        tests.tell(r#"{"done":3}"#, 6);
        assert_eq!(tests.reported(), None, "not yet again");
        tests.teller.look(S(7));
        assert_eq!(tests.reported(), Some(3));
        tests.teller.look(S(100));
        assert_eq!(tests.reported(), None, "nothing new");
        tests.teller.watched(true, S(101));
        assert_eq!(tests.reported(), Some(3), "somebody else has come");
        tests.teller.watched(true, S(102));
        assert_eq!(tests.reported(), None, "and another, who waits");
        tests.teller.look(S(106));
        assert_eq!(tests.reported(), Some(3));
        tests.teller.watched(false, S(107));
        tests.tell(r#"{"done":4}"#, 200);
        assert_eq!(tests.reported(), None);
    }

    #[test]
    fn failures_are_sent_until_a_heartbeat_has_written_them_down() {
        let mut tests = Tests::new(false);
        let named = |said: &Said| said.failures.as_ref().map(Vec::len);
        assert_eq!(tests.teller.say(), Said::default(), "nothing is told");
        tests.teller.answered(&Said::default(), Timestamp(120));
        tests.tell(r#"{"done":1,"failed":1,"failure":{"title":"pays"}}"#, 1);
        let said = tests.teller.say();
        assert_eq!(named(&said), Some(1));
        tests.teller.answered(&said, Timestamp(120));
        let said = tests.teller.say();
        assert_eq!(named(&said), Some(1), "that one was only read");
        tests.teller.answered(&said, Timestamp(180));
        assert_eq!((named(&tests.teller.say()), tests.teller.say().progress.map(|p| p.done)), (None, Some(1)));
        tests.tell(r#"{"failure":{"title":"pays","retracted":true}}"#, 2);
        assert_eq!(named(&tests.teller.say()), Some(0), "taken back");
    }

    #[test]
    fn with_fail_fast_more_failed_tests_are_urgent_news_once() {
        for is_fail_fast in [true, false] {
            let mut tests = Tests::new(is_fail_fast);
            tests.tell(r#"{"done":1}"#, 1);
            assert!(!tests.teller.has_urgent_news());
            tests.tell(r#"{"failed":1}"#, 2);
            assert_eq!(tests.teller.has_urgent_news(), is_fail_fast);
            tests.teller.say();
            assert!(!tests.teller.has_urgent_news());
        }
    }
}
