//! A database of one size with a Worker before it, in a workerd of its own.

use std::time::Duration;

use estop::operations;
use serde_json::Value;

use crate::bucket::Bucket;
use crate::client::{ADMIN, Server};
use crate::counting;
use crate::fixture;
use crate::history;
use crate::load::{Connection, now};
use crate::process::{self, Workerd};

/// How many runs a tick archives. So many fit into an object, whatever they have.
pub const ARCHIVED: usize = 60;

/// What a request or a tick cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub read: u64,
    pub written: u64,
    pub time: Duration,
}

pub struct World {
    /// How many runs were there at first.
    pub runs: i64,
    /// Where its archive goes.
    bucket: Bucket,
    workerd: Workerd,
    worker: Connection,
    database: Server,
    /// The operations that were asked for.
    pub asked: Vec<String>,
}

impl World {
    /// Makes the database, and everything in it but for the newest runs.
    pub fn new(runs: i64, at: i64) -> Self {
        let files = [vec![counting::file()], process::built().to_vec()].concat();
        let bucket = Bucket::start();
        let binding = r#"bindings = [(name = "ARCHIVES", r2Bucket = "r2"), "#;
        let config = format!(
            r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = {worker}),
    {d1},
    (name = "r2", external = (address = "{r2}", http = ())),
    {hubs},
    (name = "driver", worker = {driver})
  ],
  sockets = [
    (name = "worker", address = "127.0.0.1:0", http = (), service = "worker"),
    (name = "database", address = "127.0.0.1:0", http = (), service = "d1"),
    (name = "driver", address = "127.0.0.1:0", http = (), service = "driver")
  ]
);
"#,
            worker = process::estop("d1", ADMIN, |name| (name == "ARCHIVE_RUNS").then(|| ARCHIVED.to_string()))
                .replacen("bindings = [", binding, 1),
            r2 = bucket.address,
            d1 = counting::services(),
            driver = process::driver("worker"),
            hubs = process::HUBS,
        );
        let workerd = Workerd::start(&config, &files, &["worker", "database", "driver"]);
        let database = Server::at(format!("http://{}", workerd.address("database")));
        let worker = Connection::open(&workerd.address("worker"));
        let world = Self { runs, bucket, workerd, worker, database, asked: Vec::new() };
        world.script(include_str!("../../schema.sql"));
        world.script(&history::beginning(at));
        for step in history::of(runs, at) {
            world.script(&step);
        }
        world
    }

    /// Opens its connection to the Worker anew, which hangs up after a while without a request.
    pub fn connect(&mut self) {
        self.worker = Connection::open(&self.workerd.address("worker"));
    }

    /// Runs SQL past the Worker.
    pub fn script(&self, sql: &str) {
        let answer = self.database.send("POST", "/script", &[], sql.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}: {}", self.workerd.log());
    }

    /// Bytes of the database.
    pub fn bytes(&self) -> u64 {
        self.database.send("GET", "/size", &[], b"").json().as_u64().expect("a size")
    }

    /// The objects in its bucket, each as the first and the last run that it has.
    pub fn archives(&self) -> Vec<(i64, i64)> {
        let range = |key: &String| {
            let mut ids = key.split(['/', '-']).skip(1).map_while(|id| id.parse().ok());
            Some((ids.next()?, ids.next()?))
        };
        let mut ranges: Vec<_> = self.bucket.objects().keys().filter_map(range).collect();
        ranges.sort_unstable();
        ranges
    }

    /// Rows read and written since it was last asked.
    fn rows(&self) -> (u64, u64) {
        let counted = self.database.send("GET", "/count", &[], b"").json();
        (counted["read"].as_u64().expect("a count"), counted["written"].as_u64().expect("a count"))
    }

    /// Asks the Worker, as whoever has the first project's key or, with `admin`, the admin token.
    pub fn ask(&mut self, token: &str, method: &str, path: &str, body: &str, status: u16) -> (Cost, Value) {
        let route = operations::find(method, path.split('?').next().unwrap_or(path)).expect("an operation");
        self.asked.push(route.name());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: estop\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.rows();
        let begun = now();
        let (answered, text) = self.worker.send(request.as_bytes());
        let time = begun.elapsed();
        let (read, written) = self.rows();
        let text = String::from_utf8_lossy(&text);
        assert_eq!(answered, status, "{method} {path} {body}: {text} {}", self.workerd.log());
        (Cost { read, written, time }, serde_json::from_str(&text).unwrap_or_default())
    }

    /// Lets the sweeper tick as if it were `at` (ms).
    pub fn tick(&mut self, at: i64) -> Cost {
        let mut driver = Connection::open(&self.workerd.address("driver"));
        self.rows();
        let begun = now();
        let (status, text) = driver.send(format!("GET /?at={at} HTTP/1.1\r\nHost: estop\r\n\r\n").as_bytes());
        let time = begun.elapsed();
        let (read, written) = self.rows();
        let text = String::from_utf8_lossy(&text);
        assert!(status == 200 && text.contains("\"ok\""), "{text}: {}", self.workerd.log());
        Cost { read, written, time }
    }

    /// Runs of the first project that runners hold until `lease_expires_at`: past the Worker, as many as a tick sweeps.
    pub fn started(&self, count: i64, first: i64, lease_expires_at: i64) {
        self.script(&fixture::started(fixture::OLD, &(first..first + count), lease_expires_at));
    }
}
