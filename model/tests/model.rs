//! Explores the small configurations to their end, and takes each guard out in turn.

use std::fs;
use std::path::Path;

use estop_model::configuration::Configuration;
use estop_model::guards::Guards;
use estop_model::properties as p;
use stateright::{Checker, HasDiscoveries, Model};

fn assert_holds(configuration: Configuration) {
    let checker = configuration.checker().spawn_bfs().join();
    assert!(checker.is_done());
    checker.assert_properties();
}

#[test]
fn one_shard_with_every_single_fault() {
    assert_holds(Configuration::ONE_SHARD);
}

#[test]
fn one_shard_for_which_two_runners_come_with_every_single_fault() {
    assert_holds(Configuration::TWO_RUNNERS);
}

#[test]
fn a_run_that_someone_watches_with_every_single_fault() {
    assert_holds(Configuration::WATCHED);
}

#[test]
fn a_run_that_takes_anothers_place_with_every_single_fault() {
    assert_holds(Configuration::SUPERSEDING);
}

#[test]
fn a_run_that_waits_for_another_with_every_single_fault() {
    assert_holds(Configuration::QUEUEING);
}

#[test]
fn two_runs_that_may_both_start_with_every_single_fault() {
    assert_holds(Configuration::PROTECTED);
}

#[test]
fn two_runs_of_two_shards_without_a_fault() {
    assert_holds(Configuration::FULL.with_faults(0));
}

fn assert_happens(configuration: Configuration, limit: &'static str) {
    let configuration = Configuration { limits: true, ..configuration };
    let checker = configuration.checker().finish_when(HasDiscoveries::AnyOf([limit].into())).spawn_bfs().join();
    println!("{:?}", checker.assert_any_discovery(limit).into_actions());
}

#[test]
fn without_exclusive_an_outage_can_leave_two_runs_live() {
    assert_happens(Configuration { exclusive: false, ..Configuration::SUPERSEDING }, p::TWO_RUNS_LIVE);
}

#[test]
fn a_stop_that_takes_too_long_can_leave_two_runs_live() {
    assert_happens(Configuration::SUPERSEDING, p::TWO_RUNS_LIVE);
}

#[test]
fn a_machine_that_stood_still_can_leave_two_runs_live() {
    let configuration = Configuration { machines_pause: true, faults: 0, ..Configuration::SUPERSEDING };
    assert_happens(configuration, p::TWO_RUNS_LIVE);
}

#[test]
fn the_next_runner_of_a_shard_does_not_wait_for_the_stop_of_the_one_before() {
    assert_happens(Configuration::TWO_RUNNERS, p::TWO_RUNNERS_LIVE);
}

#[test]
fn a_repeated_claim_is_granted_although_the_run_was_cancelled_meanwhile() {
    assert_happens(Configuration::ONE_SHARD, p::CLAIM_OF_CANCELLED);
}

/// What does not hold without each guard, and where that shows.
const COUNTEREXAMPLES: &[(&str, Configuration, &str)] = &[
    ("cancel_only_while_open", Configuration::ONE_SHARD, p::DECIDED_ONCE),
    ("claim_only_if_nobody_holds_the_shard", Configuration::TWO_RUNNERS, p::LEASE_IS_TRUE),
    ("claim_only_if_the_group_is_free", Configuration::SUPERSEDING, p::ALONE),
    ("claim_waits_for_a_stop", Configuration::SUPERSEDING, p::ALONE),
    ("heartbeat_only_with_own_lease", Configuration::TWO_RUNNERS, p::LEASE_IS_TRUE),
    ("renewal_ends_at_the_stop_limit", Configuration::ONE_SHARD, p::CLOSES),
    ("heartbeats_carry_the_whole_order", Configuration::ONE_SHARD, p::HEARD),
    ("finish_only_while_started", Configuration::ONE_SHARD, p::DECIDED_ONCE),
    ("finish_only_with_own_lease", Configuration::TWO_RUNNERS, p::STOPPED),
    ("stop_record_closes_once", Configuration::ONE_SHARD, p::CLOSED_ONCE),
    ("last_shard_ends_its_run", Configuration::TWO_SHARDS, p::LAST_SHARD),
    ("last_shard_closes_the_stop_record", Configuration::FULL.with_faults(0), p::ALONE),
    ("lapsed_only_if_every_shard_is_silent", Configuration::TWO_SHARDS, p::LEASE_IS_TRUE),
    ("lapsed_waits_for_the_stop", Configuration::SUPERSEDING, p::ALONE),
    ("sweeper_closes_unconfirmed_stops", Configuration::ONE_SHARD, p::CLOSES),
    ("unconfirmed_waits_for_the_stop", Configuration::SUPERSEDING, p::ALONE),
    ("kill_only_while_stopping", Configuration::ONE_SHARD, p::CLOSED_ONCE),
    ("repeats_are_recognised", Configuration::ONE_SHARD, p::ANSWERED),
    ("told_after_the_commit", Configuration::ONE_SHARD, p::NO_STOP_WITHOUT_CANCEL),
    ("receiver_drops_older_versions", Configuration::WATCHED, p::FORWARD),
    ("watcher_lists_anew", Configuration::WATCHED, p::UP_TO_DATE),
    ("exclusive_runner_stops_at_the_end_of_its_lease", Configuration::SUPERSEDING, p::ALONE),
    ("lease_is_counted_from_when_the_request_was_sent", Configuration::TWO_RUNNERS, p::LEASE_IS_TRUE),
    ("no_start_under_a_lease_that_is_over", Configuration::SUPERSEDING.with_faults(2), p::ALONE),
    ("heartbeat_after_the_socket_opens", Configuration::ONE_SHARD, p::HEARD),
    ("silent_sockets_are_pinged", Configuration::ONE_SHARD, p::SHORT_HEARTBEATS),
    ("first_order_begins_the_stop", Configuration::ONE_SHARD, p::STOPS_IN_TIME),
    ("kill_is_obeyed_while_stopping", Configuration::ONE_SHARD, p::HEARD),
    ("waiting_runner_polls", Configuration::QUEUEING, p::CLAIMED),
];

#[test]
fn the_checker_finds_a_counterexample_when_a_guard_is_taken_out() {
    let tried: Vec<&str> = COUNTEREXAMPLES.iter().map(|(guard, ..)| *guard).collect();
    assert_eq!(tried, Guards::NAMES, "every guard, in their order");
    let mut missing = Vec::new();
    for (guard, configuration, property) in COUNTEREXAMPLES {
        let configuration = configuration.with_guards(Guards::without(guard));
        let wanted = HasDiscoveries::AnyOf([*property].into());
        let checker = configuration.checker().finish_when(wanted).spawn_bfs().join();
        match checker.discovery(property) {
            Some(path) => println!("without {guard}, not: {property}\n    {:?}", path.into_actions()),
            None => missing.push((guard, checker.discoveries().into_keys().collect::<Vec<_>>())),
        }
    }
    assert!(missing.is_empty(), "no counterexample without {missing:#?}");
}

/// The guards of the record, word for word as the statements and the schema have them.
const STATEMENTS: &[(&str, &str, &str)] = &[
    ("cancel_only_while_open", "src/operations/cancel/cancel.sql", "runs.open_state IS NOT NULL"),
    (
        "claim_only_if_nobody_holds_the_shard",
        "src/operations/claim/claim.sql",
        "(state = 'started' AND lease_expires_at <= ?2 AND claim_request_id <> excluded.claim_request_id)",
    ),
    ("claim_only_if_the_group_is_free", "src/operations/claim/claim.sql", "o.held_group = r.concurrency_group"),
    ("claim_waits_for_a_stop", "src/operations/claim/claim.sql", "s.lease_expires_at > ?2 - ?11"),
    ("heartbeat_only_with_own_lease", "src/operations/heartbeat/renew.sql", "lease_token = ?3"),
    (
        "renewal_ends_at_the_stop_limit",
        "src/operations/heartbeat/renew.sql",
        "r.state = 'started' OR r.cancelled_at > ?4 - ?6",
    ),
    ("heartbeats_carry_the_whole_order", "src/operations/heartbeat/diagnose.sql", "'kill_at', r.kill_at"),
    ("finish_only_while_started", "src/operations/finish/finish.sql", "r.id = ?1 AND r.state = 'started'"),
    ("finish_only_with_own_lease", "src/operations/finish/finish.sql", "lease_token = ?3"),
    ("finish_only_with_own_lease", "src/operations/finish/confirm_stop.sql", "lease_token = ?3"),
    ("stop_record_closes_once", "src/operations/finish/confirm_stop.sql", "lease_token = ?3 AND state = 'started'"),
    ("last_shard_ends_its_run", "schema.sql", "iif(runs.finished_shards + 1 = runs.total_shards, NEW.run_id, NULL)"),
    ("last_shard_closes_the_stop_record", "schema.sql", "iif(runs.open_shards = 1, NEW.run_id, NULL)"),
    (
        "lapsed_only_if_every_shard_is_silent",
        "src/sweeper/lapsed.sql",
        "(SELECT max(coalesce(ended_at, lease_expires_at)) FROM run_shards WHERE run_id = r.id) AS live_until",
    ),
    ("lapsed_waits_for_the_stop", "src/sweeper/lapsed.sql", "live_until <= ?1 - ?2"),
    ("sweeper_closes_unconfirmed_stops", "src/sweeper/unconfirmed.sql", "stop_outcome = 'lost'"),
    ("unconfirmed_waits_for_the_stop", "src/sweeper/unconfirmed.sql", "s.lease_expires_at <= ?1 - ?2"),
    ("kill_only_while_stopping", "src/operations/kill/kill.sql", "runs.stop_outcome = 'stopping'"),
    ("repeats_are_recognised", "src/operations/claim/diagnose.sql", "'mine'"),
    ("repeats_are_recognised", "src/operations/cancel/diagnose.sql", "'mine'"),
];

#[test]
fn the_guards_of_the_record_stand_in_the_statements() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (guard, file, text) in STATEMENTS {
        assert!(Guards::NAMES.contains(guard), "{guard}");
        let statement = fs::read_to_string(root.join(file)).expect("a statement");
        assert!(statement.contains(text), "{file} has no `{text}` ({guard}): does docs/protocol.md still hold?");
    }
}
