//! The core on real SQLite with the real schema: no Worker, no network.

mod answers;
mod api;
mod body;
mod bulk;
mod faults;
mod keys;
mod layers;
mod list;
mod machine;
mod openapi;
mod orders;
mod schema;
mod slots;
mod sweep;
mod world;
