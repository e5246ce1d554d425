//! A model of estop's protocol, which a model checker (stateright) explores in every order of events, with every single fault.
//! docs/protocol.md says in words what the protocol is, what was proven, and what was assumed.
//!
//! - [`service`] is the record and the statements that change it, guard by guard as in `src/operations` and `src/sweeper`
//! - [`runner`] is `estop run`, [`hub`] what pushes to it, [`clock`] time
//! - [`fault`] is what goes wrong, [`guards`] what can be taken out
//! - [`properties`] is what holds, [`configuration`] for how many of each
//! - [`model`] puts them together, over one [`state`]
//!
//! A step is as large as what nothing can come between: a batch in D1 is one, and so is a request with its answer, unless a
//! fault comes between.

pub mod clock;
pub mod configuration;
pub mod fault;
pub mod guards;
pub mod hub;
pub mod model;
pub mod properties;
pub mod runner;
pub mod service;
pub mod settings;
pub mod state;
