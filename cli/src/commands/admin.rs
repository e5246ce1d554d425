//! `estop admin`, with the admin token: which database has what, and moving it.

use std::time::Duration;

use estop_protocol::buckets::{Buckets, MoveReport, MoveRequest, OneMove};
use estop_protocol::envelope::Data;
use estop_protocol::whole::Whole;

use super::RETRY_FOR;
use crate::args::{AdminCommand, MoveArgs};
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::terminal::{self, sanitize, sanitize_json};

/// How long each piece of a move is tried again. Its bucket stands still meanwhile, so this does not give up soon.
const MOVE_FOR: Duration = Duration::from_secs(120);

pub fn admin(command: &AdminCommand, service: &Service) -> Result<Exit, Failure> {
    match command {
        AdminCommand::Buckets { json } => buckets(*json, service),
        AdminCommand::Move(args) => move_all(args, service),
    }
}

fn read(service: &Service) -> Result<(Buckets, String), Failure> {
    let response = retry::send(service, &Call::new("GET", "/api/buckets"), RETRY_FOR)?;
    Ok((response.read::<Data<Buckets>>()?.data, response.text))
}

fn buckets(json: bool, service: &Service) -> Result<Exit, Failure> {
    let (Buckets { databases, moves, setting }, text) = read(service)?;
    if json {
        terminal::print(sanitize_json(&text));
        return Ok(Exit::Done);
    }
    for database in databases {
        let projects = match database.projects {
            Some(1) => "1 project".to_owned(),
            Some(projects) => format!("{projects} projects"),
            None => "gives no answer".to_owned(),
        };
        let buckets = if database.buckets.is_empty() { "no buckets" } else { &database.buckets };
        terminal::print(format!("database {}: {projects}; {}", database.number, sanitize(buckets)));
    }
    for one in moves {
        let (bucket, phase) = (sanitize(&one.bucket), sanitize(&one.phase));
        terminal::print(format!("moving: {bucket} from database {} to {} ({phase})", one.from, one.to));
    }
    print_setting(setting.as_deref());
    Ok(Exit::Done)
}

fn print_setting(setting: Option<&str>) {
    match setting {
        Some(setting) => terminal::print(format!("BUCKETS = \"{}\"", sanitize(setting))),
        None => terminal::warn("the first database gives no answer, so it cannot be said what BUCKETS should be"),
    }
}

fn move_all(args: &MoveArgs, service: &Service) -> Result<Exit, Failure> {
    for bucket in args.buckets.names() {
        let report = until_done(&bucket, args.to, service)?;
        terminal::info(match args.to {
            Some(to) if report.copied == 0 && report.from == to => format!("{bucket} is in database {to}"),
            Some(to) => format!("{bucket} has moved to database {to}: {} rows", report.checked),
            None => format!("{bucket} is in database {}, and no move is under way", report.from),
        });
    }
    if args.to.is_some() {
        terminal::info(
            "write this into wrangler.toml and run make deploy, so that no request has to look for a bucket:",
        );
        print_setting(read(service)?.0.setting.as_deref());
    }
    Ok(Exit::Done)
}

/// Asks for one piece after another.
fn until_done(bucket: &str, to: Option<i64>, service: &Service) -> Result<MoveReport, Failure> {
    let path = format!("/api/buckets/{bucket}/move");
    let call = match to {
        Some(to) => Call::new("POST", path).with_body(&MoveRequest { to: Whole(to) }),
        None => Call::new("DELETE", path),
    };
    let mut told = String::new();
    loop {
        let response = retry::send(service, &call, MOVE_FOR).map_err(|error| carry_on(bucket, to, error.into()))?;
        let OneMove { report } = response.read::<Data<OneMove>>()?.data;
        if report.done {
            return Ok(report);
        }
        let line = progress(&report);
        if line != told {
            terminal::info(&line);
            told = line;
        }
    }
}

/// An outage that is too long: what to do.
fn carry_on(bucket: &str, to: Option<i64>, failure: Failure) -> Failure {
    let flag = to.map_or_else(|| "--abort".to_owned(), |to| format!("--to {to}"));
    let message = format!(
        "{}. Nothing is lost: `estop admin move {bucket} {flag}` carries on",
        failure.message.trim_end_matches('.')
    );
    Failure::new(failure.exit, message)
}

fn progress(report: &MoveReport) -> String {
    let bucket = &report.bucket;
    let what = match report.phase.as_str() {
        "clear" => "making room".to_owned(),
        "copy" => format!("copied {} rows", report.copied),
        "check" => format!("compared {} of {} rows", report.checked, report.copied),
        "thaw" => "moved".to_owned(),
        "remove" => format!("moved; removed {} rows that it left", report.removed),
        "undo" => format!("called off; removed {} rows that were copied", report.removed),
        other => other.to_owned(),
    };
    sanitize(&format!("{bucket}: {what}"))
}
