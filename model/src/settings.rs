//! The settings, in ticks of the model's clock. A tick is some 15 to 20 seconds: what is much shorter, a request or a push
//! message, happens between two ticks, in any order.
//!
//! Only how they compare matters. They keep the order of the defaults in docs/settings.md, with as little room between them as
//! that leaves.

/// A moment, in ticks from now: 0 is now, 2 is in two ticks, -2 was two ticks ago. A moment long past is kept as the latest
/// from which nothing new follows, so that a model that runs for ever has finitely many states.
pub type Moment = i8;

/// How many ticks something has lasted or will last.
pub type Ticks = u8;

/// The moment that is now.
pub const NOW: Moment = 0;

/// `LEASE_SECONDS`.
pub const LEASE: Moment = 6;
/// `HEARTBEAT_SECONDS`, and as long until a request is sent again that got no answer.
pub const HEARTBEAT: Ticks = 1;
/// `heartbeat_seconds_watched`: while the socket is open.
pub const HEARTBEAT_WATCHED: Ticks = 2;
/// How often a runner that waits for its turn asks, told or not.
pub const POLL: Ticks = 2;
/// After how long a runner has certainly noticed that its socket is dead: 20 s of silence, and 20 s for the ping.
pub const PING: Ticks = 2;
/// How often whoever watches lists anew.
pub const LIST_ANEW: Ticks = 2;
/// An answer that takes longer is none.
pub const REQUEST_TIMEOUT: Ticks = 1;
/// The grace and `--kill-after`: how long a stop lasts at most.
pub const STOP: Ticks = 1;
/// `STOP_LIMIT_SECONDS`.
pub const STOP_LIMIT: Ticks = 3;
/// `LAPSED_AFTER_SECONDS`.
pub const LAPSED_AFTER: Moment = 3;
/// `UNCONFIRMED_AFTER_SECONDS`.
pub const UNCONFIRMED_AFTER: Moment = 3;
/// How late the sweeper may come, once a timeout has passed.
pub const SWEEP: Moment = 1;
/// How far the clocks of the service and of a runner drift apart while the runner waits for the end of its lease.
pub const DRIFT: Moment = 1;

/// A lease's end, as far as it matters how long that is ago.
pub const LONG_AGO: Moment = -(if LAPSED_AFTER > UNCONFIRMED_AFTER { LAPSED_AFTER } else { UNCONFIRMED_AFTER }) - SWEEP;

/// Within how many ticks a runner that can be reached hears what the record says, if nothing goes wrong.
pub const HEARD_WITHIN: Ticks = HEARTBEAT;
/// How much later with an answer that is slow.
pub const HEARD_LATER_IF_SLOW: Ticks = REQUEST_TIMEOUT;
/// How much later with each fault: a push message is lost, or a request.
pub const HEARD_LATER: Ticks = HEARTBEAT_WATCHED - HEARTBEAT;
/// Within how many ticks of a working service a stop record closes: the limit, a last lease, the timeout, and the sweeper.
pub const STOP_CLOSES_WITHIN: Ticks = STOP_LIMIT + (LEASE + UNCONFIRMED_AFTER + SWEEP) as Ticks;
