//! How a run ends: when its last shard does, and as badly as its worst.

use estop::operations::list;
use serde_json::{Value as Json, json};

use super::{Suite, broken, failed, message, passed};
use crate::world::{Ask, LEASE, data};

#[test]
fn a_run_is_over_when_its_last_shard_is() {
    let suite = Suite::started(3, 1..=3);
    for (shard, state) in [(2, "started"), (3, "started"), (1, "ended")] {
        let answer = data(&suite.finish(shard, passed()));
        assert_eq!(answer["test_run"]["state"], state, "after shard {shard}");
        assert_eq!(answer["shard"], json!({"shard": shard, "state": "ended", "result": "passed"}));
    }
    let run = suite.shown();
    assert_eq!((&run["state"], &run["result"]), (&json!("ended"), &json!("passed")));
    assert_eq!(suite.world.history(suite.id), ["queued", "started", "ended"]);
}

#[test]
fn finished_shards_are_counted_as_they_finish_in_the_list_too() {
    let suite = Suite::started(4, 1..=4);
    for (finished, shard) in (1..).zip([4, 2, 3, 1]) {
        let how = if shard == 3 { broken("worker_interrupted") } else { passed() };
        suite.finish(shard, how);
        let listed = data(&suite.world.send(&Ask::new(&list::OPERATION)))["test_runs"]["items"][0].take();
        for run in [suite.shown(), listed] {
            assert_eq!((&run["finished_shards"], &run["total_shards"]), (&json!(finished), &json!(4)));
        }
    }
}

#[test]
fn a_broken_shard_outweighs_a_failed_one_and_that_a_passed_one() {
    let merge = || broken("merge_reports_failed");
    let cases = [
        ([passed(), passed(), passed()], json!(["ended", "passed", null])),
        ([passed(), failed(), passed()], json!(["ended", "failed", null])),
        ([failed(), failed(), failed()], json!(["ended", "failed", null])),
        ([passed(), failed(), merge()], json!(["error", null, "merge_reports_failed"])),
        ([merge(), failed(), failed()], json!(["error", null, "merge_reports_failed"])),
        ([passed(), broken("worker_interrupted"), merge()], json!(["error", null, "worker_interrupted"])),
    ];
    for (bodies, expected) in cases {
        for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1]] {
            let suite = Suite::started(3, 1..=3);
            for shard in order {
                suite.finish_all([shard], &bodies[usize::try_from(shard).expect("a number") - 1]);
            }
            let run = suite.shown();
            // Of several that broke, the first by number speaks, whichever was the first to break.
            assert_eq!(
                json!([run["state"], run["result"], run["error_code"]]),
                expected,
                "{bodies:?} in order {order:?}"
            );
        }
    }
}

#[test]
fn counts_are_summed_over_the_shards_that_have_any() {
    let suite = Suite::started(3, 1..=3);
    let counts = |n: u32| json!({"total": 100 * n, "success": 50 * n, "failed": n, "skipped": 2 * n, "flaky": 3 * n});
    suite.finish(1, json!({"state": "ended", "result": "failed", "counts": counts(1)}));
    suite.finish(2, broken("worker_interrupted"));
    assert_eq!(suite.shown()["counts"], Json::Null, "the run's own counts come with its end");
    suite.finish(3, json!({"state": "ended", "result": "passed", "counts": counts(4)}));
    assert_eq!(suite.shown()["counts"], counts(5));
    assert_eq!((suite.shard(1)["counts"].clone(), suite.shard(2)["counts"].clone()), (counts(1), Json::Null));
}

#[test]
fn without_counts_of_any_shard_the_run_has_none() {
    let suite = Suite::started(2, 1..=2);
    suite.finish_all(1..=2, &passed());
    assert_eq!(suite.shown()["counts"], Json::Null);
}

#[test]
fn the_largest_counts_can_be_summed() {
    let suite = Suite::started(2, 1..=2);
    suite.finish_all(1..=2, &json!({"state": "ended", "result": "passed", "counts": {"total": 2_147_483_647}}));
    assert_eq!(suite.shown()["counts"]["total"], 4_294_967_294_u32);
}

#[test]
fn a_shard_finishes_once() {
    let suite = Suite::started(2, 1..=2);
    suite.finish_all([1], &passed());
    let before = suite.shown();
    let reply = suite.finish(1, failed());
    assert_eq!(reply.status, 412);
    assert_eq!(message(&reply), format!("Shard 1 of test run {} is finished already.", suite.id));
    assert_eq!(suite.heartbeat(1).status, 409, "its lease is over with it");
    assert_eq!(suite.shown(), before);
}

#[test]
fn a_shard_that_was_never_claimed_keeps_the_run_open() {
    let suite = Suite::started(3, [1, 3]);
    suite.finish_all([1, 3], &passed());
    let run = suite.shown();
    assert_eq!((&run["state"], &run["finished_shards"], &run["ended_at"]), (&json!("started"), &json!(2), &Json::Null));
}

#[test]
fn the_version_grows_by_one_with_each_change_of_the_run_and_with_nothing_else() {
    let mut suite = Suite::of(3);
    let mut version = 1;
    let mut check = |suite: &Suite, grows: i64, what: &str| {
        version += grows;
        assert_eq!(suite.shown()["version"], version, "{what}");
    };
    check(&suite, 0, "the registration");
    suite.claim_all([1]);
    check(&suite, 1, "a claim");
    suite.claim(1);
    check(&suite, 0, "a claim that is refused");
    suite.claim_all([2]);
    check(&suite, 1, "another claim");
    suite.heartbeat(1);
    suite.world.pass(LEASE);
    suite.heartbeat(1);
    check(&suite, 0, "heartbeats, of which one renewed the lease");
    suite.claim_all([2]);
    check(&suite, 1, "a claim of a shard that was lost");
    suite.heartbeat_with_failed(1, 2);
    check(&suite, 1, "more tests that failed");
    suite.finish_all([1], &passed());
    check(&suite, 1, "a shard that finishes");
    suite.finish(1, passed());
    check(&suite, 0, "and finishes again");
    suite.cancel();
    check(&suite, 1, "a cancel");
    suite.cancel();
    check(&suite, 0, "and another");
    suite.confirm(2, "graceful");
    check(&suite, 1, "a stop");
}

#[test]
fn a_run_may_have_a_thousand_shards_and_no_more() {
    let mut suite = Suite::of(1000);
    suite.claim_all([1000]);
    suite.finish_all([1000], &passed());
    assert_eq!(suite.shown()["finished_shards"], 1);
    let reply = super::register(&suite.world, json!({"environment": "staging", "total_shards": 1001}));
    assert_eq!(reply.status, 400);
}
