//! `estop self-check`: whether estop works here. A line for each check, with what to do next.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use estop_protocol::envelope::{Data, NO_SUCH_ROUTE};
use estop_protocol::health::SchemaVersions;
use estop_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::args::SelfCheckArgs;
use crate::clock;
use crate::exit::Exit;
use crate::push::{self, Obstacle};
use crate::runner::{self, Reach};
use crate::secret;
use crate::service::{Call, Failure, Response, Service};
use crate::table;
use crate::terminal::{self, sanitize};

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How far the clocks may be apart, in milliseconds.
const TOLERATED_SKEW: i64 = 5_000;

const HEALTH: &str = "/healthz";
const FEED: &str = "/api/watch";

pub fn self_check(args: &SelfCheckArgs, url: &str) -> Exit {
    let mut report = Report { json: args.json, checks: Vec::new() };
    let reached = Service::without_key(url, TIMEOUT).and_then(|service| reach(&service));
    let skew = reached.as_ref().ok().map(|reached| reached.skew);
    report.add("service", reached.map_or_else(Finding::from, |reached| reached.finding));

    let key = secret("ESTOP_KEY", "a key of the project");
    let service =
        key.and_then(|key| if skew.is_some() { Service::new(url, &key, TIMEOUT).map(Some) } else { Ok(None) });
    let known = match &service {
        Ok(Some(service)) => identify(service).map(Some),
        _ => Ok(None),
    };
    let may_read = known.as_ref().ok().and_then(Option::as_ref).map(|known| known.may_read);
    report.add(
        "key",
        match (service.as_ref().err(), known) {
            (Some(failure), _) => Finding::failed(failure.exit, &failure.message),
            (None, Err(failure)) => failure.into(),
            (None, Ok(Some(known))) => Finding::new(Status::Ok, known.message),
            (None, Ok(None)) => Finding::not_reached(),
        },
    );
    report.add("clock", skew.map_or_else(Finding::not_reached, clocks));
    report.add(
        "websocket",
        match (may_read, &service) {
            _ if !args.push.is_on() => Finding::new(Status::Skipped, "not used, because of --no-push or ESTOP_NO_PUSH"),
            (Some(true), Ok(Some(service))) => websocket(service),
            (Some(false), _) => Finding::new(Status::Skipped, "this takes a key with the scope read"),
            _ if skew.is_none() => Finding::not_reached(),
            _ => Finding::new(Status::Skipped, "this takes a valid key"),
        },
    );
    report.add("processes", processes());
    report.end()
}

/// The service, as it answered.
struct Reached {
    finding: Finding,
    /// By how many milliseconds this machine's clock is ahead; `None` if the service told no time.
    skew: Option<i64>,
}

fn reach(service: &Service) -> Result<Reached, Failure> {
    #[derive(Deserialize)]
    struct Health {
        /// A service of 0.1.0 has none.
        schema: Option<SchemaVersions>,
    }
    #[derive(Deserialize)]
    struct Document {
        info: Info,
    }
    #[derive(Deserialize)]
    struct Info {
        version: String,
    }
    let get = |path| -> Result<Response, Failure> { Ok(service.send(&Call::new("GET", path))?) };
    let before = clock::date();
    let answer = get(HEALTH)?;
    let after = clock::date();
    let health: Health = answer.read::<Data<Health>>()?.data;
    let document: Document = get("/openapi.json")?.read()?;
    // By now there is a connection, as there is for heartbeats.
    let asked = clock::now();
    get(HEALTH)?;
    let took = clock::since(asked).as_millis();

    let (address, version) = (sanitize(service.address()), sanitize(&document.info.version));
    let behind = health.schema.filter(|schema| schema.database < schema.worker);
    let finding = match behind {
        Some(SchemaVersions { worker, database }) => Finding::new(
            Status::Warning,
            format!(
                "{address} is estop {version}, but its database has schema {database} and it needs {worker}. Whoever \
                 administers it should run `make deploy` again"
            ),
        ),
        None => Finding::new(Status::Ok, format!("{address} is estop {version} and answers within {took} ms")),
    };
    Ok(Reached { finding, skew: answer.date.map(|date| ahead(date, before, after)) })
}

/// By how many milliseconds this machine's clock is ahead of the service's, at least: that showed `date`, cut to the
/// second, at some moment between these two of ours.
fn ahead(date: Timestamp, before: Timestamp, after: Timestamp) -> i64 {
    let earliest = before.0.saturating_sub(date.0).saturating_sub(1_000);
    let latest = after.0.saturating_sub(date.0);
    if earliest > 0 { earliest } else { latest.min(0) }
}

fn clocks(skew: Option<i64>) -> Finding {
    let Some(skew) = skew else {
        return Finding::new(Status::Skipped, "the service's answer has no date");
    };
    if skew.abs() <= TOLERATED_SKEW {
        return Finding::new(Status::Ok, "this machine's and the service's agree");
    }
    let by = table::span(skew.abs());
    let how = if skew > 0 { "ahead of" } else { "behind" };
    Finding::new(
        Status::Warning,
        format!(
            "this machine's is {by} {how} the service's. Leases do not go by it, but --since, --until and the times in \
             your logs do: set it (NTP)"
        ),
    )
}

/// A key that is valid.
struct Known {
    may_read: bool,
    message: String,
}

fn identify(service: &Service) -> Result<Known, Failure> {
    #[derive(Deserialize)]
    struct SignedIn {
        session: Session,
        project: Project,
    }
    #[derive(Deserialize)]
    struct Session {
        user: String,
        name: String,
        /// As text: a service may know scopes that we do not.
        scopes: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Project {
        slug: String,
    }
    let response = service.send(&Call::new("GET", "/api/session"))?;
    let is_served = response.status != 404 || response.error().is_none_or(|error| !error.starts_with(NO_SUCH_ROUTE));
    if !is_served {
        return identify_by_list(service);
    }
    let SignedIn { session, project } = response.read::<Data<SignedIn>>()?.data;
    let names = |has: bool| {
        let known = ["read", "cancel", "run"].into_iter();
        known.filter(|name| session.scopes.iter().any(|scope| scope == name) == has).collect::<Vec<_>>()
    };
    let mut message = format!(
        "{} ({}) in project {}, scopes {}",
        session.user,
        session.name,
        project.slug,
        session.scopes.join(", ")
    );
    if !names(false).is_empty() {
        message += &format!("; not {}", names(false).join(", "));
    }
    Ok(Known { may_read: names(true).contains(&"read"), message })
}

/// Where nobody can sign in, a service does not tell what a key is. One request more tells whether it is valid.
fn identify_by_list(service: &Service) -> Result<Known, Failure> {
    let response = service.send(&Call::new("GET", "/api/test-runs?id=1"))?;
    let (may_read, message) = match response.status {
        200 => {
            (true, "valid, and may read. Where SESSION_SECRET is not set, the service does not tell its other scopes")
        }
        403 if response.error().is_some() => (false, "valid, but lacks the scope read"),
        _ => return Err(response.refusal()),
    };
    Ok(Known { may_read, message: message.to_owned() })
}

fn websocket(service: &Service) -> Finding {
    let why = match push::probe(service, FEED) {
        Ok(took) => return Finding::new(Status::Ok, format!("opened and answered within {} ms", took.as_millis())),
        Err(Obstacle::Refused(status)) => format!("was answered with {status}"),
        Err(Obstacle::Failed) => "could not be opened".to_owned(),
        Err(Obstacle::Mute) => "opened, but nothing comes through it".to_owned(),
    };
    let address = service.address();
    Finding::new(
        Status::Warning,
        format!(
            "{why}. estop works without it, but a cancel takes up to 2 s and a run makes 15 times as many requests. Have \
             proxies and firewalls let WebSockets to {address} through, or set ESTOP_NO_PUSH=1"
        ),
    )
}

fn processes() -> Finding {
    match runner::reach() {
        Ok(Reach::Everything) => Finding::new(Status::Ok, "what a command starts can be stopped"),
        Ok(Reach::Group) if cfg!(target_os = "linux") => Finding::new(
            Status::Warning,
            "a command's process group can be stopped, but what leaves it is not seen: it may outlive a stop, as browsers \
             do. Give estop a /proc in which it sees its own processes",
        ),
        Ok(Reach::Group) => {
            Finding::new(Status::Ok, "a command's process group can be stopped; what leaves it cannot, on this system")
        }
        Err(what) => Finding::failed(
            Exit::Failed,
            &format!("{what}. `estop run` cannot stop tests here: try another machine or image"),
        ),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    /// Something else has to be right first.
    Skipped,
    /// It works, but not as well as it should.
    Warning,
    Failed,
}

struct Finding {
    status: Status,
    exit: Exit,
    message: String,
}

impl Finding {
    fn new(status: Status, message: impl AsRef<str>) -> Self {
        Self { status, exit: Exit::Done, message: sanitize(message.as_ref()) }
    }

    fn failed(exit: Exit, message: &str) -> Self {
        Self { exit, ..Self::new(Status::Failed, message) }
    }

    fn not_reached() -> Self {
        Self::new(Status::Skipped, "the service was not reached")
    }
}

impl From<Failure> for Finding {
    fn from(failure: Failure) -> Self {
        Self::failed(failure.exit, &failure.message)
    }
}

impl Status {
    /// As people read it.
    fn name(self) -> (&'static str, Style) {
        match self {
            Self::Ok => ("ok", AnsiColor::Green.on_default()),
            Self::Skipped => ("skipped", Style::new().dimmed()),
            Self::Warning => ("warning", AnsiColor::Yellow.on_default().bold()),
            Self::Failed => ("FAILED", AnsiColor::Red.on_default().bold()),
        }
    }
}

struct Report {
    json: bool,
    checks: Vec<(&'static str, Finding)>,
}

impl Report {
    /// For people it is printed at once: the next check may take its time.
    fn add(&mut self, check: &'static str, finding: Finding) {
        if !self.json {
            let (status, style) = finding.status.name();
            terminal::print(format!("{style}{status:<7}{style:#}  {check:<9}  {}", finding.message));
        }
        self.checks.push((check, finding));
    }

    /// How estop ends: as the first check that failed says.
    fn end(self) -> Exit {
        if self.json {
            let checks = self
                .checks
                .iter()
                .map(|(check, finding)| json!({"check": check, "status": finding.status, "message": finding.message}));
            terminal::print(json!({"checks": checks.collect::<Vec<_>>()}));
        }
        let failed = self.checks.iter().find(|(_, finding)| finding.status == Status::Failed);
        failed.map_or(Exit::Done, |(_, finding)| finding.exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_apart_by_no_less_than_the_answer_proves() {
        let ahead = |before, after| ahead(Timestamp(60_000), Timestamp(before), Timestamp(after));
        for (before, after, skew) in [
            (60_000, 60_100, 0),
            // The service's clock showed anything from 60.000 to 60.999.
            (60_900, 61_000, 0),
            (61_000, 61_100, 0),
            (61_500, 61_600, 500),
            (71_000, 71_100, 10_000),
            (59_000, 59_500, -500),
            (50_000, 50_100, -9_900),
            // An answer that took long proves little.
            (50_000, 70_000, 0),
        ] {
            assert_eq!(ahead(before, after), skew, "{before} {after}");
        }
    }

    #[test]
    fn it_ends_as_the_first_failed_check_says() {
        let end = |findings: Vec<Finding>| {
            let checks = findings.into_iter().map(|finding| ("check", finding)).collect();
            Report { json: false, checks }.end()
        };
        let (ok, warning) = (|| Finding::new(Status::Ok, ""), || Finding::new(Status::Warning, ""));
        assert_eq!(end(vec![ok(), warning(), Finding::not_reached()]), Exit::Done);
        let failed = |exit| Finding::failed(exit, "");
        assert_eq!(end(vec![ok(), failed(Exit::Timeout), failed(Exit::Usage)]), Exit::Timeout);
    }
}
