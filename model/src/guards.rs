//! The guards of the protocol. The checker finds a counterexample for each one that is taken out (`tests/model.rs`), so none of
//! them is there in vain, and the model notices if one is missing.

macro_rules! guards {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Which guards are there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Guards {
            $($(#[$doc])* pub $name: bool),*
        }

        impl Guards {
            /// The protocol as it is.
            pub const ALL: Self = Self { $($name: true),* };

            /// Their names.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// All but the one of this name.
            ///
            /// # Panics
            /// If there is none.
            #[must_use]
            pub fn without(name: &str) -> Self {
                let mut guards = Self::ALL;
                match name {
                    $(stringify!($name) => guards.$name = false,)*
                    _ => panic!("there is no guard {name}"),
                }
                guards
            }
        }
    };
}

guards! {
    // The service's statements.
    /// `cancel.sql`: `open_state IS NOT NULL`.
    cancel_only_while_open,
    /// `claim.sql`: nobody has had the shard, or `lease_expires_at <= ?2`.
    claim_only_if_nobody_holds_the_shard,
    /// `claim.sql`: no other run has the `held_group`.
    claim_only_if_the_group_is_free,
    /// `claim.sql`: a stopping run holds its group until its leases ran out `UNCONFIRMED_AFTER_SECONDS` ago.
    claim_waits_for_a_stop,
    /// `renew.sql`: `lease_token = ?3`.
    heartbeat_only_with_own_lease,
    /// `renew.sql`: `r.state = 'started' OR r.cancelled_at > ?4 - ?6`.
    renewal_ends_at_the_stop_limit,
    /// `heartbeat/diagnose.sql` reads the order from the record with every heartbeat.
    heartbeats_carry_the_whole_order,
    /// `finish.sql`: `r.state = 'started'`.
    finish_only_while_started,
    /// `finish.sql` and `confirm_stop.sql`: `lease_token = ?3`.
    finish_only_with_own_lease,
    /// `confirm_stop.sql`: the shard's `state = 'started'`; the trigger `run_shards_stay`.
    stop_record_closes_once,
    /// The trigger `run_shards_finished`: `finished_shards + 1 = total_shards`.
    last_shard_ends_its_run,
    /// The trigger `run_shards_stopped`: `open_shards = 1`.
    last_shard_closes_the_stop_record,
    /// `lapsed.sql`: the latest of all the run's leases counts.
    lapsed_only_if_every_shard_is_silent,
    /// `lapsed.sql`: `live_until <= ?1 - ?2`, and not `<= ?1`.
    lapsed_waits_for_the_stop,
    /// `unconfirmed.sql` closes what nobody confirms.
    sweeper_closes_unconfirmed_stops,
    /// `unconfirmed.sql`: `lease_expires_at <= ?1 - ?2`, and not `<= ?1`.
    unconfirmed_waits_for_the_stop,
    /// `kill.sql`: `stop_outcome = 'stopping'`.
    kill_only_while_stopping,
    /// `diagnose.sql` of claim and cancel: `mine`.
    repeats_are_recognised,

    // The hub.
    /// It is told after the commit.
    told_after_the_commit,
    /// Whoever watches drops what is older than what it has.
    receiver_drops_older_versions,
    /// Whoever watches lists anew from time to time.
    watcher_lists_anew,

    // The runner.
    /// `--exclusive` stops the command when the lease runs out.
    exclusive_runner_stops_at_the_end_of_its_lease,
    /// A lease is counted from the moment its request was sent.
    lease_is_counted_from_when_the_request_was_sent,
    /// A lease that is over when the answer arrives starts nothing.
    no_start_under_a_lease_that_is_over,
    /// A heartbeat goes out as soon as the socket is open.
    heartbeat_after_the_socket_opens,
    /// A socket that is silent is pinged and, if dead, closed.
    silent_sockets_are_pinged,
    /// Only the first order begins a stop.
    first_order_begins_the_stop,
    /// An order to kill is obeyed after one to stop, too.
    kill_is_obeyed_while_stopping,
    /// A runner that waits asks from time to time, told or not.
    waiting_runner_polls,
}
