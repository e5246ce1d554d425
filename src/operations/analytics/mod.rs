//! `GET /api/analytics/test-runs`: what became of runs, day by day, as the sweeper has counted them; who stopped how many, how
//! long their stops took, and how many minutes that saved.

use estop_protocol::analytics::{Analytics, Causes, Counted, MinutesSaved, Outcomes, Percentiles};
use estop_protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::caller::{Caller, Key};
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::query::{Parameters, invalid};
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::Scope;
use crate::runtime::{Sql, sql};

pub const OPERATION: Operation = Operation {
    method: Method::Get,
    pattern: "/api/analytics/test-runs",
    access: Access::Key(Scope::Read, |call, caller| Box::pin(answer(call, caller))),
};

const ANALYTICS: Sql = sql!("analytics/analytics.sql");

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// As far back as an answer reaches.
const DAYS: i64 = 90;

async fn answer(call: &Call<'_>, caller: &Caller<'_>) -> Outcome {
    #[derive(Deserialize)]
    struct Row {
        key: Key,
        known: bool,
        as_of: Option<i64>,
        days: Vec<Day>,
    }
    let mut given = Parameters::read(call.request.query)?;
    let days = given.number("days", 1, DAYS)?.unwrap_or(14);
    let environment = given.text("environment")?;
    given.end("days, environment")?;
    let today = caller.now.0.div_euclid(DAY);
    let first = today - days + 1;
    let params = [environment.as_deref().into(), first.into()];
    call.may_lag();
    let Row { key, known, as_of, days } = call.batch(vec![caller.statement(ANALYTICS, params)]).await?.only(0)?;
    caller.check(key, Scope::Read)?;
    if !known {
        return Err(invalid("environment", "expected the slug of one of the project's environments"));
    }
    // To the minute: when exactly a run of another project closed is nobody's business here.
    let as_of = as_of.unwrap_or(caller.now.0).min(caller.now.0);
    let as_of = Timestamp(as_of - as_of.rem_euclid(MINUTE));
    let mut sum = Day::default();
    let daily = (first..=today).map(|day| {
        let found = days.iter().find(|Day([of, ..], _)| *of == day);
        found.inspect(|found| sum.add(found));
        let date = Some(Timestamp(day * DAY).to_string().chars().take(10).collect());
        Counted { date, ..found.map_or_else(|| Day::default().counted(), Day::counted) }
    });
    let daily = daily.collect();
    Ok(Reply::data("counted", Analytics { as_of, daily, summary: sum.counted() }))
}

/// What became of the runs that were over on a day, as its row has it: the day and its counts ([`Day::counted`] names them), and
/// how many stops took how long (where a bucket begins, in ms).
#[derive(Debug, Default, Deserialize)]
struct Day([i64; 15], Map<String, Value>);

impl Day {
    fn add(&mut self, Self(counts, stops): &Self) {
        for (sum, count) in self.0.iter_mut().zip(counts) {
            *sum += count;
        }
        for (bucket, count) in stops {
            let sum = self.1.get(bucket).and_then(Value::as_i64).unwrap_or(0);
            self.1.insert(bucket.clone(), (sum + count.as_i64().unwrap_or(0)).into());
        }
    }

    fn counted(&self) -> Counted {
        let [_, passed, failed, errors, user, stale, superseded, fail_fast, stops @ ..] = self.0;
        let [never_started, graceful, terminated, killed, lost, saved_user, saved_superseded] = stops;
        let cancelled_runs = user + stale + superseded + fail_fast;
        Counted {
            date: None,
            total: passed + failed + errors + cancelled_runs,
            passed,
            failed,
            errors,
            cancelled_runs,
            by_cause: Causes { user, stale, superseded, fail_fast },
            lost,
            outcomes: Outcomes { never_started, graceful, terminated, killed, lost },
            stop_ms: Percentiles { p50: self.percentile(50), p95: self.percentile(95) },
            minutes_saved: MinutesSaved { user: minutes(saved_user), superseded: minutes(saved_superseded) },
        }
    }

    /// How long so many in a hundred stops took at most, in milliseconds: the middle of their bucket, which is off by an eighth
    /// at most.
    fn percentile(&self, percent: i64) -> Option<i64> {
        let mut buckets: Vec<(i64, i64)> =
            self.1.iter().filter_map(|(from, count)| Some((from.parse().ok()?, count.as_i64()?))).collect();
        buckets.sort_unstable();
        let total: i64 = buckets.iter().map(|(_, count)| count).sum();
        let mut running = 0;
        let (from, _) = buckets.into_iter().find(|(_, count)| {
            running += count;
            running * 100 >= total * percent
        })?;
        // The first bucket is up to 10 ms.
        Some(if from == 0 { 5 } else { from + from / 8 })
    }
}

/// To a tenth of one.
fn minutes(ms: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a sum of minutes is far below 2^53")]
    let tenths = (ms / (MINUTE / 10)) as f64;
    tenths / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn day(counts: [i64; 15], stops: Value) -> Day {
        Day(counts, serde_json::from_value(stops).expect("a histogram"))
    }

    #[test]
    fn a_percentile_is_the_middle_of_its_bucket() {
        let day = |stops: Value| day([0; 15], stops);
        assert_eq!(day(json!({})).percentile(50), None);
        let stops = day(json!({"1000": 10, "80": 9, "20000": 1}));
        let found = [45, 50, 95, 96].map(|percent| stops.percentile(percent));
        assert_eq!(found, [Some(90), Some(1125), Some(1125), Some(22_500)]);
        assert_eq!(day(json!({"0": 1})).percentile(95), Some(5));
    }

    #[test]
    fn days_add_up() {
        let mut sum = day([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0], json!({"10": 1}));
        sum.add(&day([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 90_000, 6_000], json!({"10": 2, "13": 1})));
        let counted = sum.counted();
        let outcomes = counted.outcomes;
        assert_eq!((counted.total, counted.passed, counted.failed, counted.errors), (43, 4, 4, 5));
        let by = counted.by_cause;
        assert_eq!((counted.cancelled_runs, by.user, by.stale, by.superseded, by.fail_fast), (30, 6, 7, 8, 9));
        assert_eq!((counted.lost, outcomes.never_started, outcomes.graceful), (16, 10, 11));
        assert_eq!((outcomes.terminated, outcomes.killed, outcomes.lost), (12, 13, 16));
        assert_eq!(Value::Object(sum.1), json!({"10": 3, "13": 1}));
        assert_eq!(json!(counted.minutes_saved), json!({"user": 1.5, "superseded": 0.1}));
    }
}
