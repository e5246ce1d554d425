//! Crash: workerd is killed with SIGKILL while clients are at it, its database on disk as `make dev` keeps it. After a
//! restart on the same data every acknowledged change is there, nothing is there by half, and whoever repeats the
//! request whose answer was lost is told the truth: `cargo test --test crash` after `make build`.
//!
//! What a killed process had written is still in the operating system's cache, so this says nothing about a power cut.
//!
//! `ESTOP_CRASH_ROUNDS` sets how often, `ESTOP_SOAK_SEED` the seed; the clients' threads take turns as they
//! like, so a seed repeats what is tried and about when it is killed, not the very interleaving.

#[allow(dead_code, reason = "shared with the HTTP tests, which use all of it")]
#[path = "../http/client.rs"]
mod client;
#[path = "../support/contract.rs"]
mod contract;
#[path = "../rig/history.rs"]
mod history;
mod ledger;
#[allow(dead_code, reason = "shared with the HTTP tests, which use all of it")]
#[path = "../http/line.rs"]
mod line;
mod listener;
mod load;
#[path = "../rig/random.rs"]
mod random;
mod record;
mod service;

use serde_json::json;

use crate::client::{Project, Server};
use crate::ledger::{Act, Deed, Said, broken};
use crate::line::Line;
use crate::listener::Listener;
use crate::random::{Random, setting};
use crate::record::Record;
use crate::service::{Data, Service};

/// A project without a limit and one where runs take each other's place.
struct World {
    projects: [Project; 2],
    /// All that was ever asked.
    deeds: Vec<Deed>,
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_a_lost_answer_is_found_out() {
    let (rounds, seed) = (setting("ESTOP_CRASH_ROUNDS", 3), setting("ESTOP_SOAK_SEED", 4));
    let mut random = Random(seed);
    let data = Data::new();
    let mut service = Service::start(&data);
    let mut world =
        World { projects: [(); 2].map(|()| Project::on(Server::at(service.url.clone()))), deeds: Vec::new() };
    let mut before = None;
    let mut total = [0; 4];
    for round in 1..=rounds {
        limit(&world.projects[1], round);
        let enough = 100 + random.below(200);
        let listeners = world.projects.each_ref().map(Listener::of);
        let deeds = load::until_killed(&world.projects, round, &mut random, service, enough);
        let acknowledged = deeds.iter().filter(|deed| deed.changed()).count();
        let in_flight = deeds.iter().filter(|deed| deed.said == Said::CutOff).count();
        assert!(in_flight > 0, "round {round}: it was killed at rest");
        assert!(acknowledged >= 100, "round {round}: only {acknowledged} changes were at stake");
        let earlier = world.deeds.len();
        world.deeds.extend(deeds);

        let record = Record::read(&data.copy());
        holds(&world.deeds, &record);
        let told: usize = listeners.into_iter().map(|listener| listener.was_told_the_truth(&record)).sum();
        assert!(told > 100, "round {round}: the sockets were told of {told} changes only");
        if let Some(before) = before.replace(record) {
            // The check itself, tried on a database that has lost what this round was told.
            let missed = broken(&world.deeds, &before).len();
            assert!(missed >= acknowledged, "round {round}: it has found {missed} of {acknowledged} lost changes");
        }
        let record = before.as_ref().expect("just read");
        let landed = world.deeds.iter().filter(|deed| deed.said.is_unknown() && record.has(deed)).count();

        service = Service::start(&data);
        for (n, project) in world.projects.iter_mut().enumerate() {
            project.server = Server::at(service.url.clone());
            record.is_served(project);
            let registered = |deed: &&Deed| deed.project == n && deed.act == Act::Register && deed.changed();
            a_line_works(project, world.deeds.iter().rfind(registered).expect("a registration"));
        }
        let repeated = repeat(&world.projects, &mut world.deeds[earlier..], record, &mut random);
        println!(
            "crash: round {round} of {rounds} from seed {seed}: {acknowledged} changes acknowledged; {in_flight} \
             requests in flight at the kill, {landed} of them stored; {repeated} repeated; {told} changes told on \
             sockets that were open"
        );
        for (sum, n) in total.iter_mut().zip([acknowledged, in_flight, landed, repeated]) {
            *sum += n;
        }
    }
    service.stop();
    holds(&world.deeds, &Record::read(&data.copy()));
    println!("crash: {rounds} rounds: acknowledged, in flight, of them stored, repeated: {total:?}");
}

/// Checks that whoever opens a line after the restart hears what is told: a repeat of a registration.
fn a_line_works(project: &Project, registration: &Deed) {
    let mut line = Line::of_project(project);
    let again = registration.send(project).expect("an answer").ok();
    assert_eq!(line.message("run")["run"]["id"], again["data"]["test_run"]["id"]);
}

/// Sets the limit under which the second project's runs take each other's place, the other way each round.
fn limit(project: &Project, round: u64) {
    let behaviour = ["cancel_previous", "queue_new"][usize::try_from(round % 2).expect("small")];
    let body = json!({"scope": "branch_environment", "behaviour": behaviour});
    project.server.admin("PUT", &format!("/api/projects/{}/concurrency", project.id), Some(&body)).ok();
}

/// Checks all that must hold of what is stored.
#[track_caller]
fn holds(deeds: &[Deed], record: &Record) {
    assert_eq!(record.contradictions, [""; 0]);
    let broken = broken(deeds, record);
    assert!(broken.is_empty(), "{} promises are broken, such as {:#?}", broken.len(), &broken[..broken.len().min(3)]);
}

/// Sends again every request whose answer was lost, and some of those that were answered. Says how many.
fn repeat(projects: &[Project; 2], deeds: &mut [Deed], record: &Record, random: &mut Random) -> usize {
    let mut repeated = 0;
    for deed in deeds {
        let unknown = deed.said.is_unknown();
        if !unknown && (!deed.changed() || deed.act == Act::Heartbeat || random.below(20) > 0) {
            continue;
        }
        let answers = [(); 2].map(|()| deed.send(&projects[deed.project]).expect("an answer"));
        let [first, second] = answers.map(|answer| (answer.status, answer.text));
        if !unknown || record.has(deed) {
            assert_eq!(first.0, 200, "its own success: {deed:?} {first:?}");
        }
        assert_eq!(first, second, "{deed:?}");
        if unknown {
            deed.said = Said::Answer(first.0, serde_json::from_str(&first.1).expect("JSON"));
        }
        repeated += 1;
    }
    repeated
}
