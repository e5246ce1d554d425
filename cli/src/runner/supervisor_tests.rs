//! The supervisor's decisions, one by one and in every short order of events.

use super::*;
use estop_protocol::run::Cause;
use estop_protocol::time::Timestamp;

const PATIENCE: Patience =
    Patience { grace: None, default_grace: Duration::from_secs(10), kill_after: Duration::from_secs(5) };

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
    Event::Beat(Beat::Stop(order(Cause::User, 10)))
}

fn trouble() -> Event {
    Event::Beat(Beat::Trouble("no answer".into()))
}

fn alive() -> Event {
    Event::Beat(Beat::Alive)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets events happen at their seconds; gives the end state and each event's actions.
fn play(patience: Patience, events: Vec<(u64, Event)>) -> (State, Vec<Vec<Action>>) {
    let mut state = State::new(patience);
    let mut all = Vec::new();
    for (at, event) in events {
        let (after, actions) = next(state, event, secs(at));
        state = after;
        all.push(actions);
    }
    (state, all)
}

fn last(events: Vec<(u64, Event)>) -> Vec<Action> {
    play(PATIENCE, events).1.pop().unwrap_or_default()
}

#[test]
fn a_command_that_exits_by_itself_concludes_and_its_leftovers_are_told_to_go() {
    for exited in [Exited::Code(0), Exited::Code(7), Exited::Signal(11)] {
        let (state, actions) = play(PATIENCE, vec![(1, Event::Exited(exited))]);
        assert_eq!(actions, [vec![Action::Send(Signal::Terminate), Action::Conclude]]);
        assert_eq!((state.exited(), state.stopped(), state.died_of_ours()), (Some(exited), None, false));
    }
}

#[test]
fn time_and_good_heartbeats_alone_do_nothing() {
    for left in [Left::Group, Left::Strays, Left::Nobody] {
        assert_eq!(last(vec![(99_999, Event::Tick(left))]), []);
    }
    assert_eq!(last(vec![(1, alive())]), []);
}

#[test]
fn a_stop_order_sends_one_interrupt_to_the_group_and_says_why() {
    let (state, actions) = play(PATIENCE, vec![(1, stop()), (2, stop())]);
    assert_eq!(actions, [vec![Action::Say(Notice::Stopping), Action::Send(Signal::Interrupt)], vec![]]);
    assert_eq!(state.why().map(Why::exit), Some(Exit::Cancelled));
}

#[test]
fn a_deaf_command_gets_sigterm_after_the_grace_and_sigkill_after_that() {
    let tick = |at| (at, Event::Tick(Left::Group));
    let (state, actions) = play(
        PATIENCE,
        vec![
            (100, stop()),
            tick(109),
            tick(110),
            tick(114),
            tick(115),
            tick(116),
            (116, Event::Exited(Exited::Signal(9))),
            (117, Event::Tick(Left::Nobody)),
        ],
    );
    let expected = [
        vec![Action::Say(Notice::Stopping), Action::Send(Signal::Interrupt)],
        vec![],
        vec![Action::Say(Notice::Terminating), Action::Send(Signal::Terminate)],
        vec![],
        vec![Action::Say(Notice::Killing), Action::Send(Signal::Kill)],
        vec![Action::Send(Signal::Kill)],
        vec![],
        vec![Action::Conclude],
    ];
    assert_eq!(actions, expected);
    assert_eq!((state.stopped(), state.died_of_ours()), (Some(ConfirmedStop::Killed), true));
}

#[test]
fn a_stop_waits_for_the_whole_group_and_is_graceful_up_to_sigterm() {
    let exited = || (2, Event::Exited(Exited::Code(130)));
    for (at, left, actions) in [
        (3, Left::Group, vec![]),
        (3, Left::Nobody, vec![Action::Conclude]),
        (20, Left::Nobody, vec![Action::Conclude]),
    ] {
        assert_eq!(last(vec![(1, stop()), exited(), (at, Event::Tick(left))]), actions, "{at} {left:?}");
    }
    let (state, _) =
        play(PATIENCE, vec![(1, stop()), exited(), (11, Event::Tick(Left::Group)), (12, Event::Tick(Left::Nobody))]);
    assert_eq!(state.stopped(), Some(ConfirmedStop::Graceful));
}

#[test]
fn strays_without_a_group_get_sigterm_at_once() {
    let events = vec![(1, stop()), (2, Event::Exited(Exited::Code(0))), (3, Event::Tick(Left::Strays))];
    assert_eq!(last(events), [Action::Say(Notice::Terminating), Action::Send(Signal::Terminate)]);
    let events = vec![(1, stop()), (3, Event::Tick(Left::Strays))];
    assert_eq!(last(events), [], "the command itself still has its grace");
}

#[test]
fn what_even_sigkill_does_not_end_is_left_to_the_kernel() {
    let tick = |at| (at, Event::Tick(Left::Group));
    let events = vec![(0, stop()), (1, Event::Exited(Exited::Code(0))), tick(10), tick(15), tick(20)];
    assert_eq!(last(events), [Action::Conclude]);
}

#[test]
fn the_grace_is_the_flags_else_the_orders_else_ten_seconds() {
    let with = |grace: Option<u64>, event: Event, at: u64| {
        let patience = Patience { grace: grace.map(secs), ..PATIENCE };
        play(patience, vec![(0, event), (at, Event::Tick(Left::Group))]).1.pop().is_some_and(|a| !a.is_empty())
    };
    let ordered = |seconds| Event::Beat(Beat::Stop(order(Cause::User, seconds)));
    assert!(!with(Some(3), ordered(1), 2) && with(Some(3), ordered(1), 3));
    assert!(!with(None, ordered(7), 6) && with(None, ordered(7), 7));
    assert!(with(Some(0), ordered(7), 0));
    assert!(!with(None, ordered(-1), 9) && with(None, ordered(-1), 10));
    assert!(
        !with(None, Event::Beat(Beat::Lost(String::new())), 9)
            && with(None, Event::Beat(Beat::Lost(String::new())), 10)
    );
    assert!(!with(None, ordered(i64::MAX), i64::MAX.unsigned_abs() - 1));
}

#[test]
fn a_lost_lease_and_a_run_given_up_stop_the_command_as_fenced() {
    let given_up = StopOrder { lease_lost: true, ..order(Cause::Stale, 10) };
    for event in [Beat::Lost("not yours".into()), Beat::Stop(given_up)] {
        let (state, actions) = play(PATIENCE, vec![(1, Event::Beat(event))]);
        assert_eq!(actions, [vec![Action::Say(Notice::Stopping), Action::Send(Signal::Interrupt)]]);
        assert_eq!(state.why().map(Why::exit), Some(Exit::Fenced));
    }
    for cause in [Cause::User, Cause::Superseded, Cause::Stale] {
        assert_eq!(Why::Order(order(cause, 1)).exit(), Exit::Cancelled);
    }
}

#[test]
fn the_first_interrupt_is_passed_on_and_the_second_kills() {
    let interrupt = || (1, Event::Signal(Signal::Interrupt));
    assert_eq!(last(vec![interrupt()]), [Action::Send(Signal::Interrupt)]);
    assert_eq!(last(vec![interrupt(), interrupt()]), [Action::Say(Notice::Killing), Action::Send(Signal::Kill)]);
    let (state, _) = play(PATIENCE, vec![interrupt(), interrupt(), (2, Event::Exited(Exited::Signal(9)))]);
    assert!(state.died_of_ours());
    assert_eq!(state.stopped(), None, "nobody cancelled the run");
}

#[test]
fn an_interrupt_during_a_stop_kills_at_once() {
    let (state, actions) = play(PATIENCE, vec![(1, stop()), (2, Event::Signal(Signal::Interrupt))]);
    assert_eq!(actions.last(), Some(&vec![Action::Say(Notice::Killing), Action::Send(Signal::Kill)]));
    assert_eq!(state.stopped(), Some(ConfirmedStop::Killed));
}

#[test]
fn a_stop_after_an_interrupt_does_not_interrupt_twice() {
    let events = vec![(1, Event::Signal(Signal::Interrupt)), (2, stop())];
    assert_eq!(last(events), [Action::Say(Notice::Stopping)]);
}

#[test]
fn other_signals_are_passed_on() {
    for signal in [Signal::Hangup, Signal::Quit, Signal::Terminate] {
        assert_eq!(last(vec![(1, Event::Signal(signal))]), [Action::Send(signal)]);
        let exited = Event::Exited(Exited::Signal(signal.number()));
        assert!(play(PATIENCE, vec![(1, Event::Signal(signal)), (2, exited)]).0.died_of_ours());
    }
}

#[test]
fn an_outage_is_told_once_and_so_is_its_end() {
    let (_, actions) =
        play(PATIENCE, (0..6).map(|at| (at, trouble())).chain([(6, alive()), (7, alive()), (8, trouble())]).collect());
    let told: Vec<&Action> = actions.iter().flatten().collect();
    assert_eq!(told, [&Action::Say(Notice::ServiceDown("no answer".into())), &Action::Say(Notice::ServiceBack)]);
}

#[test]
fn one_lost_heartbeat_is_not_worth_a_word() {
    let (_, actions) = play(PATIENCE, vec![(1, trouble()), (2, alive()), (3, trouble()), (4, alive())]);
    assert!(actions.iter().all(Vec::is_empty));
}

/// Every kind of event, with the seconds that pass before it.
fn alphabet() -> Vec<fn() -> (u64, Event)> {
    vec![
        || (1, alive()),
        || (1, stop()),
        || (1, Event::Beat(Beat::Lost(String::new()))),
        || (1, trouble()),
        || (1, Event::Signal(Signal::Interrupt)),
        || (1, Event::Signal(Signal::Terminate)),
        || (1, Event::Exited(Exited::Code(0))),
        || (1, Event::Tick(Left::Group)),
        || (12, Event::Tick(Left::Group)),
        || (12, Event::Tick(Left::Strays)),
        || (1, Event::Tick(Left::Nobody)),
    ]
}

#[test]
fn in_every_order_of_five_events_the_promises_hold() {
    let alphabet = alphabet();
    let mut orders = 0;
    for code in 0..alphabet.len().pow(5) {
        let picks = (0..5u32).map(|place| code / alphabet.len().pow(place) % alphabet.len());
        let (mut now, mut state) = (0, State::new(PATIENCE));
        let (mut ordered, mut interrupts, mut exits, mut interrupted) = (false, 0, 0, 0);
        for pick in picks {
            let (passed, event) = alphabet[pick]();
            if matches!(event, Event::Exited(_)) && exits > 0 {
                break;
            }
            now += passed;
            ordered |= matches!(event, Event::Beat(Beat::Stop(_) | Beat::Lost(_)));
            exits += usize::from(matches!(event, Event::Exited(_)));
            interrupted += usize::from(matches!(event, Event::Signal(Signal::Interrupt)));
            let outside = matches!(event, Event::Signal(_) | Event::Exited(_));
            let (after, actions) = next(state, event, secs(now));
            state = after;
            interrupts += actions.iter().filter(|a| **a == Action::Send(Signal::Interrupt)).count();
            let sends = actions.iter().any(|a| matches!(a, Action::Send(_)));
            assert!(!sends || ordered || outside, "a signal out of nowhere: {code}");
            assert!(interrupts <= 1, "two interrupts: {code}");
            if actions.contains(&Action::Send(Signal::Kill)) {
                assert!(ordered || interrupted >= 2, "killed without need: {code}");
            }
            if actions.contains(&Action::Conclude) {
                assert!(exits == 1, "concluded while the command runs: {code}");
                assert_eq!(state.stopped().is_some(), state.why().is_some());
                break;
            }
            assert!(exits == 0 || state.is_stopping(), "not concluded after the exit: {code}");
        }
        orders += 1;
    }
    assert_eq!(orders, 161_051);
}

#[test]
fn a_failure_after_a_signal_was_an_interruption_and_a_success_or_a_crash_was_not() {
    use Exited::{Code, Signal as Died};
    for (passed_on, exited, interrupted) in [
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
        let mut events: Vec<_> = passed_on.map(|signal| (1, Event::Signal(signal))).into_iter().collect();
        events.push((2, Event::Exited(exited)));
        assert_eq!(play(PATIENCE, events).0.was_interrupted(), interrupted, "{passed_on:?} {exited:?}");
    }
    let stopped = play(PATIENCE, vec![(1, stop()), (2, Event::Exited(Code(130)))]).0;
    assert!(!stopped.was_interrupted(), "the service asked for it");
}
