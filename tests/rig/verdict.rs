//! The record of a run that was raced for, against what everybody was told.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::Answer;
use crate::history;
use crate::soak::{LAST, LATE, Raced, Shard, Try};
use crate::workerd::Rig;

/// What was told about one shard.
#[derive(Debug, Default)]
struct Told {
    claimed: u32,
    finished: u32,
    /// That it is the holder, by a heartbeat.
    held: u32,
    /// That its lease is not this shard's.
    refused: u32,
    /// That its result is kept, although it comes too late.
    kept: u32,
    /// How its runner stopped, by a finish that came after a cancel.
    stopped: Vec<&'static str>,
}

/// Checks that everybody was told what the record says. Says how the run ended.
pub fn check(rig: &Rig, raced: &Raced, tries: &[Try], answers: &[Option<Answer>]) -> String {
    let (run, shards) = record(rig, raced.id);
    let shown = format!("{raced:?}: {tries:?} {answers:#?} {run} {shards:?}");
    let (state, cause) = (run["state"].as_str().expect("a state"), run["cause"].as_str());
    let over = matches!(state, "ended" | "error" | "cancelled");
    let shard = |number: i64| shards.get(&number).unwrap_or(&Value::Null);
    let finished = |number: i64| matches!(shard(number)["state"].as_str(), Some("ended" | "error"));
    let ticks = tries.iter().map(|one| if let Try::Tick { after } = one { *after } else { 0 });
    let latest = ticks.max().unwrap_or_default();
    let mut told: BTreeMap<i64, Told> =
        (1..=i64::try_from(raced.shards.len()).expect("few")).map(|number| (number, Told::default())).collect();
    let (mut cancels, mut kills, mut last_finishes) = (0, 0, 0);
    // The runs of a later attempt, and whether the answer says that it joined.
    let mut later: Vec<(&Value, &Value)> = Vec::new();
    let bodies: Vec<Value> = answers.iter().flatten().map(Answer::json).collect();
    let mut bodies = bodies.iter();
    for (n, (one, answer)) in tries.iter().zip(answers).enumerate() {
        let Some(answer) = answer else { continue };
        let body = bodies.next().expect("one for each answer");
        let data = &body["data"];
        match (*one, answer.status) {
            (Try::Cancel, 200) => {
                cancels += 1;
                assert_eq!((state, cause), ("cancelled", Some("user")), "{shown}");
                assert_eq!(run["reason"], format!("try {n}"), "{shown}");
            }
            (Try::Cancel, 412) => assert!(over, "{shown}"),
            (Try::Kill, 200) => kills += 1,
            (Try::Kill, 412) => {}
            (Try::Join { .. }, 200) if data["test_run"]["id"] == raced.id => {
                assert_eq!(data["joined"], true, "{shown}");
            }
            (Try::Join { attempt }, 200) => {
                assert!(attempt == 2 || data["joined"] == true, "{shown}");
                later.push((&data["test_run"]["id"], &data["joined"]));
            }
            (Try::Claim { shard: number }, 200) => {
                told.entry(number).or_default().claimed += 1;
                assert_eq!(data["test_run"]["shard"], number, "{shown}");
                assert_eq!(data["lease"]["token"], shard(number)["lease"], "{shown}");
                assert_eq!(shard(number)["runner"], format!("try {n}"), "{shown}");
            }
            (Try::Claim { shard: number }, 412) => assert!(over || !shard(number).is_null(), "{shown}"),
            (Try::Finish { shard: number, own: true, .. }, 200) => {
                told.entry(number).or_default().finished += 1;
                assert_eq!(shard(number)["total"], n, "{shown}");
                match data["test_run"]["state"].as_str() {
                    Some("started") => {}
                    Some("cancelled") => assert_eq!(state, "cancelled", "{shown}"),
                    Some(ended) => {
                        last_finishes += 1;
                        assert_eq!((state, &data["test_run"]["result"]), (ended, &run["result"]), "{shown}");
                    }
                    None => panic!("{shown}"),
                }
            }
            (Try::Finish { shard: number, own: true, .. }, 412) => {
                let (closed, lost) = (shard(number)["state"] == "cancelled", shard(number)["stop"] == "lost");
                assert!(closed || finished(number), "{shown}");
                assert_eq!(body["late_result_kept"], lost, "{shown}");
                let told = told.entry(number).or_default();
                told.kept += u32::from(lost);
                told.stopped.push(Try::stopped(n));
            }
            (Try::Heartbeat { shard: number, failed }, 200) => {
                told.entry(number).or_default().held += 1;
                let stop = &data["stop"];
                // It may have come before the end. What it was told of an end is final.
                assert_eq!(data["state"] == "cancelled", !stop.is_null(), "{shown}");
                if stop.is_null() {
                    assert_eq!(data["state"], "started", "{shown}");
                    // What was taken stays, until the finish has the last word.
                    let stored = shard(number)["failed"].as_i64();
                    assert!(finished(number) || stored >= failed, "{shown}");
                } else {
                    assert_eq!((state, stop["cause"].as_str()), ("cancelled", cause), "{shown}");
                    assert!(stop["lease_lost"] == false || shard(number)["stop"] == "lost", "{shown}");
                    assert!(stop["kill"] == false || run["killed"] == true, "{shown}");
                }
            }
            (Try::Heartbeat { shard: number, .. }, 409) => {
                let stopped = shard(number)["state"] == "cancelled" && shard(number)["stop"] != "lost";
                if !stopped && !finished(number) {
                    told.entry(number).or_default().refused += 1;
                }
            }
            (Try::Finish { shard: number, own: true, .. }, 409) => told.entry(number).or_default().refused += 1,
            (Try::Finish { own: false, .. }, 409) => {}
            other => panic!("{other:?} in {shown}"),
        }
    }

    let finishes: u32 = told.values().map(|told| told.finished).sum();
    let last = u32::from(told.values().all(|told| told.finished == 1));
    let by_itself = matches!(cause, Some("stale" | "fail_fast"));
    assert_eq!(cancels + last, u32::from(over && !by_itself), "one cancel, the last finish or the system: {shown}");
    assert_eq!(i64::from(finishes), run["finished_shards"].as_i64().expect("a count"), "{shown}");
    // A repeat after a lost answer may hear of an end that another shard's finish brought since.
    assert!(last_finishes == last || (raced.faulty && last == 1 && last_finishes > 1), "{shown}");
    assert_eq!(kills > 0, run["killed"] == true, "{shown}");
    for (number, told) in &told {
        assert_eq!(told.finished, u32::from(finished(*number)), "shard {number} finished once: {shown}");
        let (claims, others) = match raced.shard(*number) {
            Shard::Unclaimed => (u32::from(!shard(*number).is_null()), told.finished + told.held),
            Shard::Held(_) => (0, told.refused),
            // Who has been heard of is not replaced, and who was replaced is not heard of again.
            Shard::Lapsed(_) if told.claimed == 0 => (0, told.refused),
            Shard::Lapsed(_) => (1, told.finished + told.held),
        };
        assert_eq!((told.claimed, others), (claims, 0), "shard {number} has one holder at a time: {shown}");
        let stop = shard(*number)["stop"].as_str();
        assert!(
            stop.is_none_or(|stop| stop == "lost" || told.stopped.contains(&stop)),
            "shard {number} stopped as was said: {shown}"
        );
        assert_eq!(shard(*number)["late"] == true, told.kept > 0, "{shown}");
        // Early ticks take nobody for lost whose lease goes on, nor a run that has such a runner.
        let alive = matches!(raced.shard(*number), Shard::Held(_)) || told.claimed > 0;
        let given_up = stop == Some("lost") || (cause == Some("stale") && !finished(*number));
        assert!(!(alive && given_up) || latest >= LATE, "shard {number} is alive: {shown}");
    }
    if tries.contains(&Try::Cancel) || latest == LAST {
        assert!(over, "{shown}");
    }
    assert!(cause != Some("stale") || latest > 0, "{shown}");
    check_later(rig, &later, over, &run, &shards, &shown);
    assert_eq!(history::folds(&rig.backend.db(), &format!("r.id = {}", raced.id)), 1);
    let words = [run["result"].as_str(), cause, run["stop"].as_str()].into_iter().flatten();
    words.fold(state.to_owned(), |end, word| end + " " + word)
}

/// A later attempt makes one run, once this one is over, in which what passed here counts.
fn check_later(
    rig: &Rig,
    later: &[(&Value, &Value)],
    over: bool,
    run: &Value,
    shards: &BTreeMap<i64, Value>,
    shown: &str,
) {
    let Some((id, _)) = later.first() else { return };
    assert!(over && later.iter().all(|(other, _)| other == id), "{shown}");
    assert_eq!(later.iter().filter(|(_, joined)| *joined == false).count(), 1, "{shown}");
    let passed = shards.values().filter(|shard| shard["result"] == "passed" && run["result"] != "passed").count();
    let carried: i64 =
        rig.backend.value(&format!("SELECT count(*) FROM run_shards WHERE run_id = {id} AND carried = 1"));
    assert_eq!(usize::try_from(carried), Ok(passed), "{shown}");
}

/// The run and its shards by their numbers, as they are stored.
fn record(rig: &Rig, id: i64) -> (Value, BTreeMap<i64, Value>) {
    let read = |query: String| -> Value {
        serde_json::from_str(&rig.backend.value::<String>(&query)).expect("JSON of the database")
    };
    let run = read(format!(
        "SELECT json_object('state', state, 'result', result, 'cause', cancel_cause, 'reason', cancel_reason, \
            'finished_shards', finished_shards, 'stop', stop_outcome, \
            'killed', json(iif(kill_at IS NULL, 'false', 'true'))) FROM runs WHERE id = {id}"
    ));
    let shards = read(format!(
        "SELECT json_group_array(json_object('shard', shard, 'state', state, 'result', result, 'lease', lease_token, \
            'runner', runner, 'total', counts ->> 'total', 'failed', failed, 'stop', stop_outcome, \
            'late', json(iif(late_result IS NULL, 'false', 'true')))) FROM run_shards WHERE run_id = {id}"
    ));
    let Value::Array(shards) = shards else { panic!("no array: {shards}") };
    (run, shards.into_iter().map(|shard| (shard["shard"].as_i64().expect("a number"), shard)).collect())
}
