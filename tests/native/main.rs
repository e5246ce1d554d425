//! The core on real SQLite with the real schema: no Worker, no network.

mod admin;
mod analytics;
mod answers;
mod api;
mod archive;
mod badges;
mod body;
mod buckets;
mod bulk;
mod cancels;
mod check_runs;
#[path = "../support/contract.rs"]
mod contract;
mod costs;
mod databases;
mod day;
mod faults;
mod frozen;
mod github;
mod groups;
#[path = "../rig/history.rs"]
mod history;
mod idempotency;
mod keys;
mod layers;
mod limits;
mod list;
mod lists;
mod machine;
mod migrations;
#[path = "../support/month.rs"]
mod month;
mod moving;
mod old_worker;
mod openapi;
mod orders;
mod people;
mod progress;
#[path = "../rig/random.rs"]
mod random;
mod schema;
mod sessions;
mod shards;
mod sqlite;
mod statements;
mod sweep;
mod upgrade;
mod watch;
mod webhooks;
mod world;
