//! The supervisor's decisions, one by one, and in every order of five events.

use super::*;
use crate::runner::lease::ServiceTime;
use estop_protocol::run::Cause;

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
        kill: false,
    }
}

fn stop() -> Event {
    Event::Heartbeat(HeartbeatOutcome::Stop(order(Cause::User, 10)))
}

/// An order to kill at once.
fn kill() -> Event {
    Event::Heartbeat(HeartbeatOutcome::Stop(StopOrder { kill: true, ..order(Cause::User, 10) }))
}

fn failed() -> Event {
    Event::Heartbeat(HeartbeatOutcome::Failed("no answer".into()))
}

fn succeeded() -> Event {
    renewed(LEASE, 0)
}

/// A lease of a minute, claimed at 0 s.
const LEASE: i64 = 60_000;

fn lease() -> Lease {
    Lease::claimed(Timestamp(LEASE), Duration::ZERO, ServiceTime { date: None, counted: Timestamp(0) })
}

/// A heartbeat that was sent at this second and found the lease to last until `expires_at`.
fn renewed(expires_at: i64, sent: u64) -> Event {
    Event::Heartbeat(HeartbeatOutcome::Continue { expires_at: Timestamp(expires_at), sent: secs(sent) })
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets events happen at their second; returns the final state and each event's actions.
fn play(timeouts: StopTimeouts, events: Vec<(u64, Event)>) -> (State, Vec<Vec<Action>>) {
    play_from(State::new(timeouts, None), events)
}

fn play_exclusive(events: Vec<(u64, Event)>) -> (State, Vec<Vec<Action>>) {
    play_from(State::new(TIMEOUTS, Some(lease())), events)
}

fn play_from(mut state: State, events: Vec<(u64, Event)>) -> (State, Vec<Vec<Action>>) {
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
fn whoever_watches_is_told_of_the_steps_of_a_stop_that_was_ordered_and_of_no_other() {
    let steps = |event: Event| {
        let mut state = State::new(TIMEOUTS, None);
        let mut steps = Vec::new();
        let tick = |at| (at, Event::Tick(Remaining::Group));
        for (at, event) in [(1, event), tick(11), tick(16), tick(17)] {
            let (after, actions) = next(state, event, secs(at));
            state = after;
            steps.extend(actions.iter().filter_map(|action| state.step(action)));
        }
        steps
    };
    use StopStep::{Sigint, Sigkill, Sigterm, Told};
    assert_eq!(steps(stop()), [Told, Sigint, Sigterm, Sigkill, Sigkill]);
    assert_eq!(steps(kill()), [Told, Sigkill, Sigkill, Sigkill, Sigkill]);
    assert_eq!(steps(Event::Heartbeat(HeartbeatOutcome::LeaseLost("gone".into()))), []);
    assert_eq!(steps(Event::Signal(Signal::Terminate)), []);
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
fn an_order_to_kill_goes_to_sigkill_at_once_however_far_the_stop_is() {
    let (state, actions) = play(TIMEOUTS, vec![(1, kill())]);
    let expected = vec![Action::Report(Notice::Stopping), Action::Report(Notice::Killing), Action::Send(Signal::Kill)];
    assert_eq!(actions, [expected]);
    assert_eq!(state.confirmed_stop(), Some(ConfirmedStop::Killed));
    let tick = |at| (at, Event::Tick(Remaining::Group));
    for before in [
        vec![(1, stop())],
        vec![(1, stop()), tick(11)],
        vec![(1, stop()), (2, Event::Exited(ExitStatus::Code(0)))],
        vec![(1, stop()), (2, stop())],
        vec![(1, Event::Heartbeat(HeartbeatOutcome::LeaseLost(String::new())))],
    ] {
        let title = format!("{before:?}");
        let (state, actions) = play(TIMEOUTS, before.into_iter().chain([(12, kill())]).collect());
        let last = actions.last().map(Vec::as_slice);
        assert_eq!(last, Some(&[Action::Report(Notice::Killing), Action::Send(Signal::Kill)][..]), "{title}");
        assert_eq!(state.confirmed_stop(), Some(ConfirmedStop::Killed), "{title}");
    }
}

#[test]
fn a_stop_is_neither_begun_nor_reported_again() {
    for events in [vec![(1, kill()), (2, kill())], vec![(1, kill()), (2, stop())], vec![(1, stop()), (2, stop())]] {
        assert_eq!(last(events), []);
    }
    // The second order does not put off the end of the grace.
    let events = vec![(1, stop()), (9, stop()), (11, Event::Tick(Remaining::Group))];
    assert_eq!(last(events), [Action::Report(Notice::Terminating), Action::Send(Signal::Terminate)]);
    // Nor does it count for a command that has ended by itself.
    assert_eq!(last(vec![(1, Event::Exited(ExitStatus::Code(0))), (2, kill())]), []);
}

#[test]
fn a_stop_waits_for_the_whole_group() {
    let exited = || (2, Event::Exited(ExitStatus::Code(130)));
    for (at, left, actions) in [
        (3, Remaining::Group, vec![]),
        (3, Remaining::None, vec![Action::Finish]),
        (20, Remaining::None, vec![Action::Finish]),
    ] {
        assert_eq!(last(vec![(1, stop()), exited(), (at, Event::Tick(left))]), actions, "{at} {left:?}");
    }
}

#[test]
fn a_stop_is_confirmed_with_the_strongest_signal_that_it_took() {
    let tick = |at| (at, Event::Tick(Remaining::Group));
    let signal = |at, signal| (at, Event::Signal(signal));
    for (events, confirmed) in [
        (vec![(1, stop())], ConfirmedStop::Graceful),
        (vec![(1, stop()), tick(10)], ConfirmedStop::Graceful),
        (vec![(1, stop()), tick(11)], ConfirmedStop::Terminated),
        (vec![(1, stop()), tick(11), tick(15)], ConfirmedStop::Terminated),
        (vec![(1, stop()), tick(11), tick(16)], ConfirmedStop::Killed),
        (vec![(1, stop()), signal(2, Signal::Terminate)], ConfirmedStop::Terminated),
        (vec![(1, stop()), signal(2, Signal::Interrupt)], ConfirmedStop::Killed),
        (vec![signal(1, Signal::Interrupt), signal(2, Signal::Interrupt), (3, stop())], ConfirmedStop::Killed),
    ] {
        let title = format!("{events:?}");
        let ended = [(20, Event::Exited(ExitStatus::Code(0))), (21, Event::Tick(Remaining::None))];
        let (state, actions) = play(TIMEOUTS, events.into_iter().chain(ended).collect());
        assert_eq!(state.confirmed_stop(), Some(confirmed), "{title}");
        assert_eq!(actions.last(), Some(&vec![Action::Finish]), "{title}");
    }
}

#[test]
fn an_exclusive_run_is_stopped_when_its_lease_runs_out_whatever_the_event() {
    let events: [fn() -> Event; 3] = [|| Event::Tick(Remaining::Group), failed, || Event::Signal(Signal::Quit)];
    for event in events {
        let (state, actions) = play_exclusive(vec![(59, event()), (60, event())]);
        assert!(!actions[0].contains(&Action::Report(Notice::Stopping)), "{actions:?}");
        assert!(
            actions[1].ends_with(&[Action::Report(Notice::Stopping), Action::Send(Signal::Interrupt)]),
            "{actions:?}"
        );
        assert!(matches!(state.stop_reason(), Some(StopReason::LeaseRanOut)));
        assert_eq!(state.stop_reason().map(StopReason::exit), Some(Exit::Fenced));
        assert_eq!(play(TIMEOUTS, vec![(60, event()), (99_999, event())]).0.stop_reason().map(StopReason::exit), None);
    }
}

#[test]
fn the_end_of_a_lease_escalates_as_every_stop_does() {
    let tick = |at| (at, Event::Tick(Remaining::Group));
    let (state, actions) = play_exclusive(vec![tick(60), tick(69), tick(70), tick(75)]);
    let sent = |signal, notice| vec![Action::Report(notice), Action::Send(signal)];
    assert_eq!(
        actions[1..],
        [vec![], sent(Signal::Terminate, Notice::Terminating), sent(Signal::Kill, Notice::Killing)]
    );
    assert_eq!(state.confirmed_stop(), Some(ConfirmedStop::Killed));
}

#[test]
fn a_heartbeat_that_renews_the_lease_puts_its_end_off_and_one_that_does_not_changes_nothing() {
    let tick = |at| (at, Event::Tick(Remaining::Group));
    let stopped = |heartbeat, at| play_exclusive(vec![(31, heartbeat), (32, failed()), tick(at)]).0.is_stopping();
    assert!(!stopped(renewed(LEASE + 31_000, 31), 90) && stopped(renewed(LEASE + 31_000, 31), 91));
    assert!(!stopped(renewed(LEASE, 31), 59) && stopped(renewed(LEASE, 31), 60));
    // An answer on the very last moment counts: the service has renewed the lease.
    assert!(!play_exclusive(vec![(60, renewed(LEASE + 58_000, 58))]).0.is_stopping());
}

#[test]
fn a_service_that_comes_back_too_late_does_not_call_the_stop_off() {
    let events = vec![(60, failed()), (61, renewed(LEASE + 61_000, 61)), (62, stop())];
    let (state, actions) = play_exclusive(events);
    assert_eq!(actions[1..], [vec![], vec![]]);
    assert!(matches!(state.stop_reason(), Some(StopReason::LeaseRanOut)));
}

#[test]
fn a_command_that_has_exited_is_not_stopped_at_the_end_of_its_lease() {
    let (state, actions) = play_exclusive(vec![(60, Event::Exited(ExitStatus::Code(0)))]);
    assert_eq!(actions, [vec![Action::Send(Signal::Terminate), Action::Finish]]);
    assert!(state.stop_reason().is_none());
}

#[test]
fn ticks_come_only_where_time_matters() {
    assert_eq!(State::new(TIMEOUTS, None).next_tick(secs(5)), None);
    assert_eq!(play(TIMEOUTS, vec![(1, stop())]).0.next_tick(secs(5)), Some(STOP_TICK));
    let exclusive = State::new(TIMEOUTS, Some(lease()));
    assert_eq!(exclusive.next_tick(secs(5)), Some(LEASE_TICK));
    assert_eq!(exclusive.next_tick(Duration::from_millis(59_900)), Some(Duration::from_millis(100)));
    assert_eq!(exclusive.next_tick(secs(61)), Some(Duration::ZERO));
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

#[test]
fn suspending_and_resuming_reach_the_command_and_end_nothing() {
    let (state, actions) = play(TIMEOUTS, vec![(1, Event::Suspend), (2, Event::Suspended), (3, Event::Resume)]);
    assert_eq!(actions, [[Action::Suspend], [Action::Report(Notice::Suspended)], [Action::Resume]]);
    assert_eq!(state.next_tick(secs(4)), None);
    let (state, _) = next(state, Event::Exited(ExitStatus::Code(1)), secs(5));
    assert!(!state.was_interrupted(), "its tests have failed");
}

#[test]
fn a_command_that_is_being_stopped_or_has_exited_is_not_suspended() {
    let first: [fn() -> Event; 2] = [stop, || Event::Exited(ExitStatus::Code(0))];
    for first in first {
        let events = vec![(1, first()), (2, Event::Suspend), (3, Event::Suspended), (4, Event::Resume)];
        assert!(play(TIMEOUTS, events).1[1..].iter().all(Vec::is_empty));
    }
}

#[test]
fn the_guard_stops_the_command_of_a_killed_estop_as_every_stop_does() {
    let tick = |at| (at, Event::Tick(Remaining::Group));
    let (state, actions) = play(TIMEOUTS, vec![(0, Event::EstopDied), tick(9), tick(10), tick(15)]);
    let sent = |signal, notice| vec![Action::Report(notice), Action::Send(signal)];
    let expected = [
        sent(Signal::Interrupt, Notice::Stopping),
        vec![],
        sent(Signal::Terminate, Notice::Terminating),
        sent(Signal::Kill, Notice::Killing),
    ];
    assert_eq!(actions, expected);
    assert_eq!(state.confirmed_stop(), Some(ConfirmedStop::Killed));
}

#[test]
fn an_order_that_is_repeated_does_not_put_the_next_step_off() {
    let events = vec![(1, stop()), (10, stop()), (11, Event::Tick(Remaining::Group))];
    assert_eq!(last(events), [Action::Report(Notice::Terminating), Action::Send(Signal::Terminate)]);
}

#[test]
fn an_order_is_an_order_whoever_brought_it() {
    let told = |kill| Event::Order(StopOrder { kill, ..order(Cause::User, 10) });
    assert_eq!(last(vec![(1, told(false))]), last(vec![(1, stop())]));
    assert_eq!(last(vec![(1, told(true))]), last(vec![(1, kill())]));
    assert_eq!(last(vec![(1, told(false)), (2, stop())]), [], "the heartbeat repeats it");
    assert_eq!(last(vec![(1, stop()), (2, told(false))]), []);
    assert_eq!(last(vec![(1, stop()), (2, told(true))]), last(vec![(1, stop()), (2, kill())]));
    assert_eq!(last(vec![(1, told(true)), (2, told(false))]), [], "overtaken by a later one");
}

#[test]
fn news_from_before_the_start_changes_nothing() {
    assert_eq!(last(vec![(1, Event::News)]), []);
}

#[test]
fn an_outage_during_a_stop_is_nobodys_concern() {
    let events = [(1, stop())].into_iter().chain((2..6).map(|at| (at, failed())));
    assert!(play(TIMEOUTS, events.collect()).1[1..].iter().all(Vec::is_empty));
}

#[test]
fn other_children_are_not_the_commands() {
    let other = rustix::process::getpid();
    for status in [ChildStatus::Exited(ExitStatus::Code(0)), ChildStatus::Stopped(19)] {
        assert_eq!(last(vec![(1, Event::Child(other, status))]), []);
    }
}

/// Every kind of event, with the seconds that pass before it.
fn alphabet() -> Vec<fn() -> (u64, Event)> {
    vec![
        || (1, succeeded()),
        || (1, stop()),
        || (1, kill()),
        || (1, Event::Heartbeat(HeartbeatOutcome::LeaseLost(String::new()))),
        || (1, failed()),
        || (1, Event::Signal(Signal::Interrupt)),
        || (1, Event::Signal(Signal::Terminate)),
        || (1, Event::Exited(ExitStatus::Code(0))),
        || (1, Event::Suspend),
        || (1, Event::Tick(Remaining::Group)),
        || (35, Event::Tick(Remaining::Group)),
        || (35, Event::Tick(Remaining::Strays)),
        || (1, Event::Tick(Remaining::None)),
    ]
}

#[test]
fn the_invariants_hold_in_every_order_of_five_events() {
    let orders = alphabet().len().pow(5);
    assert_eq!(orders, 371_293);
    for code in 0..orders {
        check_invariants(code, None);
        check_invariants(code, Some(lease()));
    }
}

fn check_invariants(code: usize, lease: Option<Lease>) {
    let alphabet = alphabet();
    let picks = (0..5u32).map(|place| code / alphabet.len().pow(place) % alphabet.len());
    let (mut now, mut state) = (0, State::new(TIMEOUTS, lease));
    let (mut ordered, mut interrupts, mut exits, mut interrupted) = (false, 0, 0, 0);
    for pick in picks {
        let (passed, event) = alphabet[pick]();
        if matches!(event, Event::Exited(_)) && exits > 0 {
            return;
        }
        now += passed;
        ordered |= matches!(event, Event::Heartbeat(HeartbeatOutcome::Stop(_) | HeartbeatOutcome::LeaseLost(_)));
        exits += usize::from(matches!(event, Event::Exited(_)));
        interrupted += usize::from(matches!(event, Event::Signal(Signal::Interrupt)));
        let outside = matches!(event, Event::Signal(_) | Event::Exited(_));
        let (after, actions) = next(state, event, secs(now));
        state = after;
        ordered |= lease.is_some_and(|lease| lease.until() <= secs(now));
        interrupts += actions.iter().filter(|a| **a == Action::Send(Signal::Interrupt)).count();
        let sends = actions.iter().any(|a| matches!(a, Action::Send(_)));
        assert!(!sends || ordered || outside, "a signal for no reason: {code}");
        assert!(interrupts <= 1, "two interrupts: {code}");
        assert!(!ordered || exits > 0 || state.is_stopping(), "not stopped: {code}");
        if actions.contains(&Action::Send(Signal::Kill)) {
            assert!(ordered || interrupted >= 2, "killed for no reason: {code}");
        }
        if actions.contains(&Action::Finish) {
            assert!(exits == 1, "finished while the command runs: {code}");
            assert_eq!(state.confirmed_stop().is_some(), state.stop_reason().is_some());
            return;
        }
        assert!(exits == 0 || state.is_stopping(), "not finished after the exit: {code}");
    }
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
