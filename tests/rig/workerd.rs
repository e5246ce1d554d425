//! Our Worker in plain workerd, and a driver beside it that lets the sweeper tick at any time. A rig starts in a tenth
//! of a second or so, so every test has its own.

use std::time::{Duration, Instant};

use estop::buckets::{self, Map};
use nix::unistd::Pid;

use crate::backend::Backend;
use crate::bucket::Bucket;
use crate::client::{ADMIN, Project, Server};
use crate::process::{self, Workerd};

/// How long the Worker waits for the database: short, so that silence ends soon, and yet enough for four attempts and
/// their pauses on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// What may be wrong with the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubFault {
    /// There is none.
    Missing,
    /// It throws, as an overloaded object does.
    Throwing,
    /// It answers 503.
    Refusing,
    /// It never answers.
    Silent,
    /// It answers after seconds.
    Slow,
}

impl HubFault {
    pub const ALL: [Self; 5] = [Self::Missing, Self::Throwing, Self::Refusing, Self::Silent, Self::Slow];
}

/// A Worker with a database of its own.
pub struct Rig {
    pub backend: Backend,
    /// Its databases of greater numbers: `DB_1` and so on.
    pub more: Vec<Backend>,
    pub server: Server,
    /// `127.0.0.1:port`, for requests that no HTTP client would send.
    pub address: String,
    driver: Server,
    /// workerd's configuration.
    config: String,
    workerd: Workerd,
}

impl Rig {
    pub fn start() -> Self {
        Self::of(|estop| estop)
    }

    /// With a route `/crash`, after which the Worker stands as if its WebAssembly had trapped.
    pub fn start_that_crashes() -> Self {
        const CRASH: &str = "import Estop from './index.js'; export { Hub } from './index.js'; export default { fetch(request, env, ctx) { \
             if (!request.url.endsWith('/crash')) return new Estop(ctx, env).fetch(request); \
             reportError(new WebAssembly.RuntimeError('unreachable')); return new Response(); } }";
        let module = format!("modules = [(name = \"crash.js\", esModule = \"{CRASH}\"), ");
        Self::of(|estop| estop.replacen("modules = [", &module, 1))
    }

    /// With so many databases, and this map of them. The buckets have their rows, as if they had been moved there.
    pub fn start_with_databases(databases: usize, map: &str) -> Self {
        Self::start_with_databases_and(databases, map, |config| config)
    }

    /// The same, with a change of workerd's configuration.
    pub fn start_with_databases_and(databases: usize, map: &str, change: impl FnOnce(String) -> String) -> Self {
        let (backend, more) = (Backend::start(), (1..databases).map(|_| Backend::start()).collect::<Vec<_>>());
        let (mut bindings, mut services) = (String::new(), String::new());
        for (number, other) in (1..).zip(&more) {
            bindings += &format!("{}, ", process::bound_d1(&format!("DB_{number}"), &format!("d1-{number}")));
            services += &format!(r#"(name = "d1-{number}", external = (address = "{}", http = ())), "#, other.address);
        }
        let estop =
            process::estop("d1", ADMIN, |name| if name == "BUCKETS" { Some(map.to_owned()) } else { setting(name) });
        let estop = estop.replacen("bindings = [", &format!("bindings = [{bindings}"), 1);
        let config = config(&backend, &estop).replacen("services = [", &format!("services = [{services}"), 1);
        for (number, other) in (1_i64..).zip(&more) {
            let last = (number << 44) - 1;
            other.sql(&format!("INSERT INTO this_database VALUES (1, {number}, {last}, {last}, {last})"));
        }
        let map = Map::parse(map).expect("a map");
        for name in (0..1296).map(|n| [n / 36, n % 36].map(|digit| char::from_digit(digit, 36).expect("a digit"))) {
            let name: String = name.iter().collect();
            let number = map.database(buckets::Bucket::parse(&name).expect("a bucket"));
            if let Some(other) = usize::try_from(number - 1).ok().and_then(|index| more.get(index)) {
                let row = |state: &str, moved_to: &str| {
                    format!(
                        "INSERT INTO buckets (bucket, state, moved_to, since, frozen) VALUES ('{name}', '{state}', {moved_to}, 0, 0)"
                    )
                };
                other.sql(&row("here", "NULL"));
                backend.sql(&row("moved", &number.to_string()));
            }
        }
        Self::over_all(backend, more, change(config))
    }

    /// The database of this number.
    pub fn database(&self, number: usize) -> &Backend {
        if number == 0 { &self.backend } else { &self.more[number - 1] }
    }

    /// With a bucket for the archive.
    pub fn start_with_bucket(bucket: &Bucket) -> Self {
        let backend = Backend::start();
        let config = with_bucket(&backend, bucket);
        Self::over(backend, config)
    }

    /// With a hub that does this with every `request`.
    pub fn start_with_hub(fetch: &str) -> Self {
        let hub = format!(
            "import Estop from './index.js'; export default Estop; export class Hub {{ async fetch(request) {{ {fetch}; }} }}"
        );
        let module = format!("modules = [(name = \"hub.js\", esModule = \"{hub}\"), ");
        Self::of(|estop| estop.replacen("modules = [", &module, 1))
    }

    pub fn start_with_hub_fault(fault: HubFault) -> Self {
        match fault {
            HubFault::Missing => {
                Self::of(|estop| estop.replace(r#"(name = "HUB", durableObjectNamespace = "Hub"), "#, ""))
            }
            HubFault::Throwing => Self::start_with_hub("throw new Error('overloaded')"),
            HubFault::Refusing => Self::start_with_hub("return new Response('', { status: 503 })"),
            HubFault::Silent => Self::start_with_hub("return new Promise(() => {})"),
            HubFault::Slow => Self::start_with_hub(
                "await new Promise(resolve => setTimeout(resolve, 3000)); return new Response('', { status: 503 })",
            ),
        }
    }

    pub fn of(change: impl FnOnce(String) -> String) -> Self {
        let backend = Backend::start();
        let config = config(&backend, &change(worker()));
        Self::over(backend, config)
    }

    fn over(backend: Backend, config: String) -> Self {
        Self::over_all(backend, Vec::new(), config)
    }

    fn over_all(backend: Backend, more: Vec<Backend>, config: String) -> Self {
        let workerd = Workerd::start(&config, &process::built(), &["main", "driver"]);
        let address = workerd.address("main");
        let server = Server::at(format!("http://{address}"));
        let driver = Server::at(format!("http://{}", workerd.address("driver")));
        let rig = Self { backend, more, server, address, driver, config, workerd };
        assert_eq!(rig.server.send("GET", "/healthz", &[], b"").status, 200, "{}", rig.log());
        rig.backend.count();
        rig
    }

    /// Kills the Worker in the middle of what it is doing, and starts another over the same database, at another address.
    pub fn kill_and_start_again(&mut self) {
        self.workerd.kill();
        self.serve(Workerd::start(&self.config, &process::built(), &["main", "driver"]));
    }

    /// The same, and its databases answer again.
    pub fn kill_and_heal(&mut self) {
        self.workerd.kill();
        self.backend.heal();
        for other in &self.more {
            other.heal();
        }
        self.kill_and_start_again();
    }

    fn serve(&mut self, workerd: Workerd) {
        self.address = workerd.address("main");
        self.server = Server::at(format!("http://{}", self.address));
        self.driver = Server::at(format!("http://{}", workerd.address("driver")));
        self.workerd = workerd;
        assert_eq!(self.server.send("GET", "/healthz", &[], b"").status, 200, "{}", self.log());
    }

    /// A project, two environments and a key on this rig.
    pub fn project(&self) -> Project {
        let project = Project::on(self.server.clone());
        self.backend.count();
        project
    }

    /// Lets the sweeper tick as if it were `at`.
    pub fn tick(&self, at: i64) {
        let answer = self.driver.send("GET", &format!("/?at={at}"), &[], b"");
        assert_eq!((answer.status, &answer.json()["outcome"]), (200, &serde_json::json!("ok")), "{answer:?}");
    }

    /// When the sweeper takes the only runner of a run for lost.
    pub fn lapsed_at(&self, run: i64) -> i64 {
        self.backend.value(&format!("SELECT lease_expires_at + 30000 FROM run_shards WHERE run_id = {run}"))
    }

    /// Sends a POST through a service binding, with a body of which no header tells the length: HTTP/2 has such bodies too.
    pub fn post_stream(&self, token: &str, path: &str, body: &str) -> crate::client::Answer {
        let authorization = format!("Bearer {token}");
        self.driver.send("POST", &format!("/?to={path}"), &[("Authorization", &authorization)], body.as_bytes())
    }

    /// The Worker's process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.workerd.pid().try_into().expect("a process id"))
    }

    /// What workerd has printed so far.
    pub fn log(&self) -> String {
        self.workerd.log()
    }
}

/// The Worker, as wrangler.toml has it but for what tests need.
fn worker() -> String {
    process::estop("d1", ADMIN, setting)
}

fn setting(name: &str) -> Option<String> {
    match name {
        "D1_DEADLINE_SECONDS" => Some(DEADLINE.as_secs().to_string()),
        // So that the log has every request.
        "LOG_HEARTBEATS" => Some("1".to_owned()),
        _ => None,
    }
}

fn config(backend: &Backend, estop: &str) -> String {
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "estop", worker = {estop}),
    {hubs},
    # Other services: webhooks, and Access. The tests have theirs on this machine.
    (name = "internet", network = (allow = ["public", "private"])),
    (name = "d1", external = (address = "{address}", http = ())),
    (name = "driver", worker = {driver})
  ],
  sockets = [
    (name = "main", address = "127.0.0.1:0", http = (), service = "estop"),
    (name = "driver", address = "127.0.0.1:0", http = (), service = "driver")
  ]
);
"#,
        address = backend.address,
        hubs = process::HUBS,
        driver = process::driver("estop"),
    )
}

fn with_bucket(backend: &Backend, bucket: &Bucket) -> String {
    let service = format!(r#"services = [ (name = "r2", external = (address = "{}", http = ())),"#, bucket.address);
    let binding = r#"bindings = [(name = "ARCHIVES", r2Bucket = "r2"), "#;
    let estop = worker().replacen("bindings = [", binding, 1);
    config(backend, &estop).replacen("services = [", &service, 1)
}

/// How long `work` takes.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = now();
    let made = work();
    (made, begun.elapsed())
}

#[expect(clippy::disallowed_methods, reason = "a test's stopwatch; the service gets its clock as an argument")]
pub fn now() -> Instant {
    Instant::now()
}
