//! The supervisor's decisions, one by one, and in every order of five events.

use super::*;
use estop_protocol::run::Cause;
use estop_protocol::time::Timestamp;

const TIMEOUTS: StopTimeouts =
    StopTimeouts { grace: None, default_grace: Duration::from_secs(10), kill_after: Duration::from_secs(5) };

fn order(cause: Cause, grace_seconds: i64) -> StopOrder {
    StopOrder {
        reason: Some("wrong branch".into()),
        cause,
        by: "ada".into(),
        at: Timestamp(0),
        grace_seconds,
        lease_lost: false,
    }
}

fn stop() -> Event {
    Event::Heartbeat(HeartbeatOutcome::Stop(order(Cause::User, 10)))
}

fn failed() -> Event {
    Event::Heartbeat(HeartbeatOutcome::Failed("no answer".into()))
}

fn succeeded() -> Event {
    Event::Heartbeat(HeartbeatOutcome::Continue)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets events happen at their second; returns the final state and each event's actions.
fn play(timeouts: StopTimeouts, events: Vec<(u64, Event)>) -> (State, Vec<Vec<Action>>) {
    let mut state = State::new(timeouts);
    let mut all = Vec::new();
    for (at, event) in events {
        let (after, actions) = next(state, event, secs(at));
        state = after;
        all.push(actions);
    }
    (state, all)
}

fn last(events: Vec<(u64, Event)>) -> Vec<Action> {
    play(TIMEOUTS, events).1.pop().unwrap_or_default()
}

#[test]
fn a_command_that_exits_by_itself_finishes_the_run_and_its_leftovers_are_terminated() {
    for exited in [ExitStatus::Code(0), ExitStatus::Code(7), ExitStatus::Signal(11)] {
        let (state, actions) = play(TIMEOUTS, vec![(1, Event::Exited(exited))]);
        assert_eq!(actions, [vec![Action::Send(Signal::Terminate), Action::Finish]]);
        assert_eq!((state.exited(), state.confirmed_stop(), state.died_of_our_signal()), (Some(exited), None, false));
    }
}

#[test]
fn time_and_successful_heartbeats_do_nothing() {
    for left in [Remaining::Group, Remaining::Strays, Remaining::None] {
        assert_eq!(last(vec![(99_999, Event::Tick(left))]), []);
    }
    assert_eq!(last(vec![(1, succeeded())]), []);
}

#[test]
fn a_stop_order_is_reported_and_sends_one_interrupt() {
    let (state, actions) = play(TIMEOUTS, vec![(1, stop()), (2, stop())]);
    assert_eq!(actions, [vec![Action::Report(Notice::Stopping), Action::Send(Signal::Interrupt)], vec![]]);
    assert_eq!(state.stop_reason().map(StopReason::exit), Some(Exit::Cancelled));
}

#[test]
fn a_command_that_ignores_signals_gets_sigterm_after_the_grace_and_sigkill_after_that() {
    let tick = |at| (at, Event::Tick(Remaining::Group));
    let (state, actions) = play(
        TIMEOUTS,
        vec![
            (100, stop()),
            tick(109),
            tick(110),
            tick(114),
            tick(115),
            tick(116),
            (116, Event::Exited(ExitStatus::Signal(9))),
            (117, Event::Tick(Remaining::None)),
        ],
    );
    let expected = [
        vec![Action::Report(Notice::Stopping), Action::Send(Signal::Interrupt)],
        vec![],
        vec![Action::Report(Notice::Terminating), Action::Send(Signal::Terminate)],
        vec![],
        vec![Action::Report(Notice::Killing), Action::Send(Signal::Kill)],
        vec![Action::Send(Signal::Kill)],
        vec![],
        vec![Action::Finish],
    ];
    assert_eq!(actions, expected);
    assert_eq!((state.confirmed_stop(), state.died_of_our_signal()), (Some(ConfirmedStop::Killed), true));
}

#[test]
fn a_stop_waits_for_the_whole_group_and_is_graceful_up_to_sigterm() {
    let exited = || (2, Event::Exited(ExitStatus::Code(130)));
    for (at, left, actions) in [
        (3, Remaining::Group, vec![]),
        (3, Remaining::None, vec![Action::Finish]),
        (20, Remaining::None, vec![Action::Finish]),
    ] {
        assert_eq!(last(vec![(1, stop()), exited(), (at, Event::Tick(left))]), actions, "{at} {left:?}");
    }
    let (state, _) = play(
        TIMEOUTS,
        vec![(1, stop()), exited(), (11, Event::Tick(Remaining::Group)), (12, Event::Tick(Remaining::None))],
    );
    assert_eq!(state.confirmed_stop(), Some(ConfirmedStop::Graceful));
}

#[test]
fn strays_without_a_group_get_sigterm_at_once() {
    let events = vec![(1, stop()), (2, Event::Exited(ExitStatus::Code(0))), (3, Event::Tick(Remaining::Strays))];
    assert_eq!(last(events), [Action::Report(Notice::Terminating), Action::Send(Signal::Terminate)]);
    let events = vec![(1, stop()), (3, Event::Tick(Remaining::Strays))];
    assert_eq!(last(events), [], "the command itself is still in its grace");
}

#[test]
fn what_survives_sigkill_is_not_waited_for_forever() {
    let tick = |at| (at, Event::Tick(Remaining::Group));
    let events = vec![(0, stop()), (1, Event::Exited(ExitStatus::Code(0))), tick(10), tick(15), tick(20)];
    assert_eq!(last(events), [Action::Finish]);
}

#[test]
fn the_grace_is_the_flags_or_the_orders_or_ten_seconds() {
    let with = |grace: Option<u64>, event: Event, at: u64| {
        let timeouts = StopTimeouts { grace: grace.map(secs), ..TIMEOUTS };
        play(timeouts, vec![(0, event), (at, Event::Tick(Remaining::Group))]).1.pop().is_some_and(|a| !a.is_empty())
    };
    let ordered = |seconds| Event::Heartbeat(HeartbeatOutcome::Stop(order(Cause::User, seconds)));
    assert!(!with(Some(3), ordered(1), 2) && with(Some(3), ordered(1), 3));
    assert!(!with(None, ordered(7), 6) && with(None, ordered(7), 7));
    assert!(with(Some(0), ordered(7), 0));
    assert!(!with(None, ordered(-1), 9) && with(None, ordered(-1), 10));
    assert!(
        !with(None, Event::Heartbeat(HeartbeatOutcome::LeaseLost(String::new())), 9)
            && with(None, Event::Heartbeat(HeartbeatOutcome::LeaseLost(String::new())), 10)
    );
    assert!(!with(None, ordered(i64::MAX), i64::MAX.unsigned_abs() - 1));
}

#[test]
fn a_lost_lease_and_a_run_that_was_given_up_exit_as_fenced() {
    let given_up = StopOrder { lease_lost: true, ..order(Cause::Stale, 10) };
    for outcome in [HeartbeatOutcome::LeaseLost("not yours".into()), HeartbeatOutcome::Stop(given_up)] {
        let (state, actions) = play(TIMEOUTS, vec![(1, Event::Heartbeat(outcome))]);
        assert_eq!(actions, [vec![Action::Report(Notice::Stopping), Action::Send(Signal::Interrupt)]]);
        assert_eq!(state.stop_reason().map(StopReason::exit), Some(Exit::Fenced));
    }
    for cause in [Cause::User, Cause::Superseded, Cause::Stale] {
        assert_eq!(StopReason::Ordered(order(cause, 1)).exit(), Exit::Cancelled);
    }
}

#[test]
fn the_first_interrupt_is_forwarded_and_the_second_kills() {
    let interrupt = || (1, Event::Signal(Signal::Interrupt));
    assert_eq!(last(vec![interrupt()]), [Action::Send(Signal::Interrupt)]);
    assert_eq!(last(vec![interrupt(), interrupt()]), [Action::Report(Notice::Killing), Action::Send(Signal::Kill)]);
    let (state, _) = play(TIMEOUTS, vec![interrupt(), interrupt(), (2, Event::Exited(ExitStatus::Signal(9)))]);
    assert!(state.died_of_our_signal());
    assert_eq!(state.confirmed_stop(), None, "nobody cancelled the run");
}

#[test]
fn an_interrupt_during_a_stop_kills_at_once() {
    let (state, actions) = play(TIMEOUTS, vec![(1, stop()), (2, Event::Signal(Signal::Interrupt))]);
    assert_eq!(actions.last(), Some(&vec![Action::Report(Notice::Killing), Action::Send(Signal::Kill)]));
    assert_eq!(state.confirmed_stop(), Some(ConfirmedStop::Killed));
}

#[test]
fn a_stop_after_an_interrupt_does_not_interrupt_twice() {
    let events = vec![(1, Event::Signal(Signal::Interrupt)), (2, stop())];
    assert_eq!(last(events), [Action::Report(Notice::Stopping)]);
}

#[test]
fn other_signals_are_forwarded() {
    for signal in [Signal::Hangup, Signal::Quit, Signal::Terminate] {
        assert_eq!(last(vec![(1, Event::Signal(signal))]), [Action::Send(signal)]);
        let exited = Event::Exited(ExitStatus::Signal(signal.number()));
        assert!(play(TIMEOUTS, vec![(1, Event::Signal(signal)), (2, exited)]).0.died_of_our_signal());
    }
}

#[test]
fn an_outage_is_reported_once_and_so_is_its_end() {
    let (_, actions) = play(
        TIMEOUTS,
        (0..6).map(|at| (at, failed())).chain([(6, succeeded()), (7, succeeded()), (8, failed())]).collect(),
    );
    let notices: Vec<&Action> = actions.iter().flatten().collect();
    assert_eq!(
        notices,
        [&Action::Report(Notice::ServiceDown("no answer".into())), &Action::Report(Notice::ServiceBack)]
    );
}

#[test]
fn one_failed_heartbeat_is_not_reported() {
    let (_, actions) = play(TIMEOUTS, vec![(1, failed()), (2, succeeded()), (3, failed()), (4, succeeded())]);
    assert!(actions.iter().all(Vec::is_empty));
}

/// Every kind of event, with the seconds that pass before it.
fn alphabet() -> Vec<fn() -> (u64, Event)> {
    vec![
        || (1, succeeded()),
        || (1, stop()),
        || (1, Event::Heartbeat(HeartbeatOutcome::LeaseLost(String::new()))),
        || (1, failed()),
        || (1, Event::Signal(Signal::Interrupt)),
        || (1, Event::Signal(Signal::Terminate)),
        || (1, Event::Exited(ExitStatus::Code(0))),
        || (1, Event::Tick(Remaining::Group)),
        || (12, Event::Tick(Remaining::Group)),
        || (12, Event::Tick(Remaining::Strays)),
        || (1, Event::Tick(Remaining::None)),
    ]
}

#[test]
fn the_invariants_hold_in_every_order_of_five_events() {
    let alphabet = alphabet();
    let mut orders = 0;
    for code in 0..alphabet.len().pow(5) {
        let picks = (0..5u32).map(|place| code / alphabet.len().pow(place) % alphabet.len());
        let (mut now, mut state) = (0, State::new(TIMEOUTS));
        let (mut ordered, mut interrupts, mut exits, mut interrupted) = (false, 0, 0, 0);
        for pick in picks {
            let (passed, event) = alphabet[pick]();
            if matches!(event, Event::Exited(_)) && exits > 0 {
                break;
            }
            now += passed;
            ordered |= matches!(event, Event::Heartbeat(HeartbeatOutcome::Stop(_) | HeartbeatOutcome::LeaseLost(_)));
            exits += usize::from(matches!(event, Event::Exited(_)));
            interrupted += usize::from(matches!(event, Event::Signal(Signal::Interrupt)));
            let outside = matches!(event, Event::Signal(_) | Event::Exited(_));
            let (after, actions) = next(state, event, secs(now));
            state = after;
            interrupts += actions.iter().filter(|a| **a == Action::Send(Signal::Interrupt)).count();
            let sends = actions.iter().any(|a| matches!(a, Action::Send(_)));
            assert!(!sends || ordered || outside, "a signal for no reason: {code}");
            assert!(interrupts <= 1, "two interrupts: {code}");
            if actions.contains(&Action::Send(Signal::Kill)) {
                assert!(ordered || interrupted >= 2, "killed for no reason: {code}");
            }
            if actions.contains(&Action::Finish) {
                assert!(exits == 1, "finished while the command runs: {code}");
                assert_eq!(state.confirmed_stop().is_some(), state.stop_reason().is_some());
                break;
            }
            assert!(exits == 0 || state.is_stopping(), "not finished after the exit: {code}");
        }
        orders += 1;
    }
    assert_eq!(orders, 161_051);
}

#[test]
fn a_failure_after_a_signal_counts_as_interrupted_and_a_success_or_a_crash_does_not() {
    use ExitStatus::{Code, Signal as Died};
    for (forwarded, exited, interrupted) in [
        (None, Code(0), false),
        (None, Code(1), false),
        (None, Code(130), true),
        (None, Code(143), true),
        (None, Died(2), true),
        (None, Died(15), true),
        (None, Died(9), false),
        (None, Died(11), false),
        (Some(Signal::Interrupt), Code(0), false),
        (Some(Signal::Interrupt), Code(1), true),
        (Some(Signal::Terminate), Code(1), true),
        (Some(Signal::Quit), Code(1), false),
        (Some(Signal::Quit), Died(3), true),
    ] {
        let mut events: Vec<_> = forwarded.map(|signal| (1, Event::Signal(signal))).into_iter().collect();
        events.push((2, Event::Exited(exited)));
        assert_eq!(play(TIMEOUTS, events).0.was_interrupted(), interrupted, "{forwarded:?} {exited:?}");
    }
    let stopped = play(TIMEOUTS, vec![(1, stop()), (2, Event::Exited(Code(130)))]).0;
    assert!(!stopped.was_interrupted(), "the service asked for it");
}
