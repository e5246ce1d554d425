//! The Worker in plain workerd, without wrangler, Node or a proxy, and a driver beside it that lets the sweeper tick at
//! any time. A rig starts in a tenth of a second or so, so every test has its own.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::client::{ADMIN, Project, Server, unique};

/// How long the Worker waits for the database: short, so that silence ends soon, and yet enough for four attempts and
/// their pauses on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(2);

const DRIVER: &str = "export default { async fetch(request, env) { \
     const scheduledTime = Number(new URL(request.url).searchParams.get('at')); \
     return Response.json(await env.MAIN.scheduled({ cron: '* * * * *', scheduledTime })); } }";

/// A Worker with a database of its own.
pub struct Rig {
    pub backend: Backend,
    pub server: Server,
    /// `127.0.0.1:port`, for requests that no HTTP client would send.
    pub address: String,
    driver: Server,
    log: Arc<Mutex<String>>,
    workerd: Child,
    folder: PathBuf,
}

impl Rig {
    pub fn start() -> Self {
        let backend = Backend::start();
        let folder = std::env::temp_dir().join(format!("estop-rig-{}", unique()));
        fs::create_dir(&folder).expect("a folder");
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("build");
        for file in ["index.js", "index_bg.wasm"] {
            fs::copy(build.join(file), folder.join(file)).expect("a built Worker: run `make build`");
        }
        fs::write(folder.join("config.capnp"), config(&backend)).expect("a file");
        let mut workerd = Command::new(binary())
            .args(["serve", "config.capnp", "--experimental", "--control-fd=1"])
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("workerd");
        let log = Arc::<Mutex<String>>::default();
        let (ports, listening) = mpsc::channel();
        let stdout = BufReader::new(workerd.stdout.take().expect("a pipe"));
        let stderr = BufReader::new(workerd.stderr.take().expect("a pipe"));
        let copy = Arc::clone(&log);
        std::thread::spawn(move || keep(stderr, &copy, |_| {}));
        let copy = Arc::clone(&log);
        std::thread::spawn(move || {
            keep(stdout, &copy, |line| {
                let event: Option<serde_json::Value> = serde_json::from_str(line).ok();
                if let Some(port) = event.as_ref().and_then(|event| event["port"].as_u64()) {
                    let socket = event.as_ref().and_then(|event| event["socket"].as_str()).unwrap_or_default();
                    let _ = ports.send((socket == "main", port));
                }
            });
        });
        let mut urls = [String::new(), String::new()];
        for _ in 0..2 {
            let Ok((main, port)) = listening.recv_timeout(Duration::from_secs(20)) else {
                let _ = workerd.kill();
                panic!("workerd did not start: {}", log.lock().unwrap_or_else(PoisonError::into_inner));
            };
            urls[usize::from(!main)] = format!("127.0.0.1:{port}");
        }
        let [address, driver] = urls;
        let (server, driver) = (Server::at(format!("http://{address}")), Server::at(format!("http://{driver}")));
        let rig = Self { backend, server, address, driver, log, workerd, folder };
        assert_eq!(rig.server.send("GET", "/healthz", &[], b"").status, 200, "{}", rig.log());
        rig.backend.count();
        rig
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

    /// What workerd has printed so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.workerd.kill();
        let _ = self.workerd.wait();
        let _ = fs::remove_dir_all(&self.folder);
        if !std::thread::panicking() {
            assert!(!self.log().contains("panicked at"), "the Worker panicked: {}", self.log());
        }
    }
}

fn keep(lines: impl BufRead, log: &Mutex<String>, mut look: impl FnMut(&str)) {
    for line in lines.lines().map_while(Result::ok) {
        look(&line);
        let _ = writeln!(log.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
    }
}

/// The workerd that wrangler brings.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/setup");
        let shown = Command::new("bash")
            .args(["-c", "set -e; tools=$(\"$0\" --env); eval \"$tools\"; printf %s \"$WRANGLER_BIN\""])
            .arg(setup)
            .output()
            .expect("bash");
        assert!(shown.status.success(), "scripts/setup failed: {}", String::from_utf8_lossy(&shown.stderr));
        let wrangler = PathBuf::from(String::from_utf8(shown.stdout).expect("a path"));
        wrangler.with_file_name("workerd")
    })
}

/// As wrangler.toml has it, but for the deadline and the rate limit, which plain workerd does not know.
fn config(backend: &Backend) -> String {
    let wrangler = include_str!("../../wrangler.toml");
    let pairs = |text: &'static str| text.lines().filter_map(|line| line.split_once(" = "));
    let date = pairs(wrangler).find(|(name, _)| *name == "compatibility_date").expect("a date").1;
    let vars = pairs(wrangler.split_once("[vars]").expect("vars").1).fold(String::new(), |mut vars, (name, value)| {
        let value = if name == "D1_DEADLINE_SECONDS" { format!("\"{}\"", DEADLINE.as_secs()) } else { value.into() };
        let _ = write!(vars, "(name = \"{name}\", text = {value}), ");
        vars
    });
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "estop", worker = (
      modules = [(name = "index.js", esModule = embed "index.js"), (name = "index_bg.wasm", wasm = embed "index_bg.wasm")],
      compatibilityDate = {date},
      bindings = [
        (name = "DB", wrapped = (moduleName = "cloudflare-internal:d1-api", innerBindings = [(name = "fetcher", service = "d1")])),
        (name = "ADMIN_TOKEN", text = "{ADMIN}"), (name = "ESTOP_LOCAL", text = "1"), {vars}
      ])),
    (name = "d1", external = (address = "{address}", http = ())),
    (name = "driver", worker = (
      modules = [(name = "driver.js", esModule = "{DRIVER}")],
      compatibilityDate = {date}, compatibilityFlags = ["service_binding_extra_handlers"],
      bindings = [(name = "MAIN", service = "estop")]))
  ],
  sockets = [
    (name = "main", address = "127.0.0.1:0", http = (), service = "estop"),
    (name = "driver", address = "127.0.0.1:0", http = (), service = "driver")
  ]
);
"#,
        address = backend.address
    )
}

/// How long `work` takes.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = now();
    let made = work();
    (made, begun.elapsed())
}

#[expect(clippy::disallowed_methods, reason = "a test's stopwatch; the service gets its clock as an argument")]
fn now() -> Instant {
    Instant::now()
}
