//! What can go wrong. Each of these uses up one of the faults that the configuration allows. What becomes of a single request
//! is in [`crate::runner::Way`].

use crate::configuration::Configuration;
use crate::hub;
use crate::runner;
use crate::service;
use crate::state::{Order, Phase, Socket, State};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The machine is gone, and the command with it.
    MachineCrashes(usize),
    /// `estop` is killed. Its guard stops the command, and sends no heartbeats.
    EstopIsKilled(usize),
    /// The machine's network is down, for as long as it takes.
    NetworkFails(usize),
    /// The command does not end when it should.
    StopHangs(usize),
    /// Nobody reaches D1 or the Worker, for as long as it takes. The sweeper does not come either.
    ServiceFails,
    /// The answer to a cancel is lost after its commit.
    CancelAnswerLost(usize),
    /// All sockets are closed, and whoever had one notices at once.
    HubCrashes,
    /// One socket is dead, and nobody notices at once.
    LineIsCut(usize),
    /// A push message is lost.
    PushLost(usize, Order),
    /// It comes at any time.
    PushLate(usize, Order),
    /// It comes, and once more at any time.
    PushDoubled(usize, Order),
    /// The same for whoever watches, by the message's version.
    FeedLost(u8),
    FeedLate(u8),
    FeedDoubled(u8),
}

impl Fault {
    /// All that could happen to this state, and a few that cannot.
    pub fn candidates(c: &Configuration, s: &State, candidates: &mut Vec<Self>) {
        candidates.extend([Self::ServiceFails, Self::HubCrashes]);
        candidates.extend((0..c.runs).map(Self::CancelAnswerLost));
        for runner in 0..c.runners() {
            let me = &s.runners[runner];
            if matches!(me.phase, Phase::Idle | Phase::Gone) {
                continue;
            }
            candidates.extend([Self::MachineCrashes(runner), Self::EstopIsKilled(runner), Self::NetworkFails(runner)]);
            if me.phase == Phase::Stopping {
                candidates.push(Self::StopHangs(runner));
            }
            if me.socket == Socket::Open {
                candidates.push(Self::LineIsCut(runner));
            }
            let on_their_way = [(me.stops, Order::Stop), (me.kills, Order::Kill)];
            for (_, order) in on_their_way.into_iter().filter(|(messages, _)| messages.prompt > 0) {
                candidates.extend([Self::PushLost(runner, order), Self::PushLate(runner, order)]);
                candidates.push(Self::PushDoubled(runner, order));
            }
        }
        if s.watcher.prompt != 0 {
            for version in 1..=s.watcher.version {
                candidates.extend([Self::FeedLost(version), Self::FeedLate(version), Self::FeedDoubled(version)]);
            }
        }
    }

    pub fn strike(self, c: &Configuration, s: &mut State) -> bool {
        match self {
            Self::MachineCrashes(runner) => s.runners[runner].leave(),
            Self::EstopIsKilled(runner) => return runner::guard_takes_over(&mut s.runners[runner]),
            Self::NetworkFails(runner) => {
                if s.runners[runner].is_cut_off {
                    return false;
                }
                s.runners[runner].is_cut_off = true;
                hub::cut(&mut s.runners[runner]);
            }
            Self::StopHangs(runner) => {
                let me = &mut s.runners[runner];
                if me.phase != Phase::Stopping || me.hangs || me.heard == Order::Kill {
                    return false;
                }
                me.hangs = true;
            }
            Self::ServiceFails => {
                if std::mem::replace(&mut s.service_is_down, true) {
                    return false;
                }
            }
            Self::CancelAnswerLost(run) => {
                if s.service_is_down || !service::cancel(c, s, run) {
                    return false;
                }
                s.runs[run].cancel_is_unanswered = true;
            }
            Self::HubCrashes => {
                let mut any = false;
                for runner in &mut s.runners {
                    any |= runner.socket == Socket::Open;
                    if runner.socket == Socket::Open {
                        hub::close(runner);
                    }
                }
                return any;
            }
            Self::LineIsCut(runner) => {
                if s.runners[runner].socket != Socket::Open {
                    return false;
                }
                hub::cut(&mut s.runners[runner]);
            }
            Self::PushLost(runner, order) | Self::PushLate(runner, order) | Self::PushDoubled(runner, order) => {
                let messages = s.runners[runner].messages(order);
                if messages.prompt == 0 {
                    return false;
                }
                messages.prompt -= u8::from(!matches!(self, Self::PushDoubled(..)));
                messages.late = (messages.late + u8::from(!matches!(self, Self::PushLost(..)))).min(2);
            }
            Self::FeedLost(version) | Self::FeedLate(version) | Self::FeedDoubled(version) => {
                let bit = 1 << version;
                if s.watcher.prompt & bit == 0 {
                    return false;
                }
                if !matches!(self, Self::FeedDoubled(_)) {
                    s.watcher.prompt &= !bit;
                }
                if !matches!(self, Self::FeedLost(_)) {
                    s.watcher.late |= bit;
                }
            }
        }
        true
    }
}
