//! `estop stats`: what became of the runs of the last days.

use estop_protocol::analytics::{Analytics, Counted};
use estop_protocol::envelope::Data;

use super::{RETRY_FOR, query};
use crate::args::StatsArgs;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Service};
use crate::table;
use crate::terminal::{self, sanitize_json};

/// The longest bar, in characters.
const BAR: i64 = 24;

pub fn stats(args: &StatsArgs, service: &Service) -> Result<Exit, Failure> {
    let parameters = [("days", Some(args.days.to_string())), ("environment", args.environment.clone())];
    let call = Call::new("GET", query("/api/analytics/test-runs", parameters));
    let response = retry::send(service, &call, RETRY_FOR)?;
    let Analytics { as_of, daily, summary } = response.read::<Data<Analytics>>()?.data;
    if args.json {
        terminal::print(sanitize_json(&response.text));
        return Ok(Exit::Done);
    }
    let most = daily.iter().map(|day| day.total).max().unwrap_or(0);
    let headings =
        ["DAY", "RUNS", "PASSED", "FAILED", "ERRORS", "STOPPED", "LOST", "STOP P50", "STOP P95", "SAVED", ""];
    let mut table = table::new(&headings);
    for day in &daily {
        let name = day.date.clone().unwrap_or_default();
        table.add_row(row(name, day).into_iter().chain([table::whole(bar(day, most))]));
    }
    table.add_row(row("all".to_owned(), &summary));
    table::print(&table);
    terminal::print("");
    terminal::print(in_words(&summary));
    terminal::info(format!("as of {as_of}; days are UTC's. In the bars: # passed, x failed or in error, - stopped"));
    Ok(Exit::Done)
}

fn row(name: String, day: &Counted) -> Vec<table::Cell> {
    let counts = [day.total, day.passed, day.failed, day.errors, day.cancelled_runs, day.lost];
    let spans = [day.stop_ms.p50, day.stop_ms.p95].map(|ms| ms.map_or_else(|| "-".to_owned(), table::span));
    let saved = minutes(day.minutes_saved.user + day.minutes_saved.superseded);
    let name = [table::whole(name)].into_iter();
    let counts = counts.into_iter().map(|count| table::whole(count.to_string()));
    name.chain(counts).chain(spans.map(table::whole)).chain([table::whole(saved)]).collect()
}

/// A day's runs as a bar, in proportion to the day that has most: `####x-`.
fn bar(day: &Counted, most: i64) -> String {
    // What there is, is seen, be it ever so little.
    let length = |count: i64| match count * BAR / most.max(1) {
        0 if count > 0 => 1,
        length => usize::try_from(length).unwrap_or(0),
    };
    let parts = [("#", day.passed), ("x", day.failed + day.errors), ("-", day.cancelled_runs)];
    parts.map(|(sign, count)| sign.repeat(length(count))).concat()
}

fn in_words(summary: &Counted) -> String {
    let causes = &summary.by_cause;
    let mut text = format!(
        "{} of {} runs were stopped: {} by people, {} by newer runs, {} as stale, {} by failed tests.",
        summary.cancelled_runs, summary.total, causes.user, causes.superseded, causes.stale, causes.fail_fast
    );
    let how = &summary.outcomes;
    text += &format!(
        " {} ended gracefully, {} on SIGTERM, {} on SIGKILL, {} were lost, {} had not started.",
        how.graceful, how.terminated, how.killed, how.lost, how.never_started
    );
    let saved = &summary.minutes_saved;
    text + &format!(" Saved: {} by people, {} by newer runs.", minutes(saved.user), minutes(saved.superseded))
}

fn minutes(minutes: f64) -> String {
    if minutes < 120.0 { format!("{minutes:.1} min") } else { format!("{:.1} h", minutes / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn counted(passed: i64, failed: i64, cancelled: i64) -> Counted {
        let none = json!({"never_started": 1, "graceful": 2, "terminated": 0, "killed": 0, "lost": 0});
        serde_json::from_value(json!({
            "total": passed + failed + cancelled, "passed": passed, "failed": failed, "errors": 0, "cancelled_runs": cancelled,
            "by_cause": {"user": cancelled, "stale": 0, "superseded": 0, "fail_fast": 0}, "lost": 0, "outcomes": none,
            "stop_ms": {"p50": 900, "p95": null}, "minutes_saved": {"user": 12.25, "superseded": 180.0},
        }))
        .expect("counts")
    }

    #[test]
    fn a_bar_is_in_proportion_and_shows_all_that_there_is() {
        assert_eq!(bar(&counted(12, 6, 6), 24), format!("{}{}{}", "#".repeat(12), "x".repeat(6), "-".repeat(6)));
        assert_eq!(bar(&counted(1, 1, 1), 10_000), "#x-");
        assert_eq!(bar(&counted(0, 0, 0), 0), "");
    }

    #[test]
    fn the_sum_is_said_in_words() {
        let words = in_words(&counted(4, 2, 3));
        assert!(words.starts_with("3 of 9 runs were stopped: 3 by people, 0 by newer runs"), "{words}");
        assert!(
            words.contains("2 ended gracefully") && words.ends_with("12.2 min by people, 3.0 h by newer runs."),
            "{words}"
        );
    }
}
