//! A workerd of our own: started from a configuration in about a tenth of a second, without wrangler, Node or a proxy.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::client::unique;

/// What it prints, in its folder.
const LOG: &str = "log";
/// How often, and how many times, a start is looked at: for twenty seconds.
const LOOK: Duration = Duration::from_millis(2);
const LOOKS: usize = 10_000;

/// A running workerd, ended when dropped.
pub struct Workerd {
    child: Child,
    ports: HashMap<String, u64>,
    folder: PathBuf,
}

impl Workerd {
    /// Starts it with the text of a `config.capnp`, which may embed `files` by their names, and waits until each of
    /// `sockets` listens.
    ///
    /// It writes into a file: a pipe would wake its reader for every line of the log, at the expense of what is measured.
    pub fn start(config: &str, files: &[PathBuf], sockets: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("estop-workerd-{}", unique()));
        fs::create_dir_all(folder.join("hubs")).expect("a folder");
        for file in files {
            let name = file.file_name().expect("a name");
            fs::copy(file, folder.join(name)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
        fs::write(folder.join("config.capnp"), config).expect("a file");
        let output = File::options().create(true).append(true).open(folder.join(LOG)).expect("a file");
        let child = Command::new(tool("workerd"))
            .args(["serve", "config.capnp", "--experimental", "--control-fd=1"])
            .current_dir(&folder)
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .spawn()
            .expect("workerd");
        let mut workerd = Self { child, ports: HashMap::new(), folder };
        for _ in 0..LOOKS {
            workerd.ports = workerd.listening();
            if sockets.iter().all(|socket| workerd.ports.contains_key(*socket)) {
                return workerd;
            }
            if workerd.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                break;
            }
            std::thread::sleep(LOOK);
        }
        panic!("workerd did not start: {}", workerd.log());
    }

    /// The ports of the sockets that it says it listens on.
    fn listening(&self) -> HashMap<String, u64> {
        let events = self.log();
        let events = events.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        events.filter_map(|event| Some((event["socket"].as_str()?.to_owned(), event["port"].as_u64()?))).collect()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// `127.0.0.1:port` of a socket.
    pub fn address(&self, socket: &str) -> String {
        format!("127.0.0.1:{}", self.ports[socket])
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Workerd {
    fn drop(&mut self) {
        self.kill();
        let log = self.log();
        let _ = fs::remove_dir_all(&self.folder);
        if !std::thread::panicking() {
            assert!(!log.contains("panicked at"), "the Worker panicked: {log}");
        }
    }
}

/// A tool of those that `scripts/setup` installs from npm: workerd comes with wrangler.
pub fn tool(name: &str) -> PathBuf {
    static WRANGLER: OnceLock<PathBuf> = OnceLock::new();
    let wrangler = WRANGLER.get_or_init(|| {
        let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/setup");
        let shown = Command::new("bash")
            .args(["-c", "set -e; tools=$(\"$0\" --env); eval \"$tools\"; printf %s \"$WRANGLER_BIN\""])
            .arg(setup)
            .output()
            .expect("bash");
        assert!(shown.status.success(), "scripts/setup failed: {}", String::from_utf8_lossy(&shown.stderr));
        PathBuf::from(String::from_utf8(shown.stdout).expect("a path"))
    });
    wrangler.with_file_name(name)
}

/// Our Worker's two files, as `make build` left them.
pub fn built() -> [PathBuf; 2] {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("build");
    let files = ["index.js", "index_bg.wasm"].map(|name| build.join(name));
    assert!(files.iter().all(|file| file.exists()), "no built Worker: run `make build`");
    files
}

/// Bytes of the files that one would upload, and bytes of each gzipped, summed.
pub fn size(files: &[PathBuf]) -> (usize, usize) {
    files.iter().fold((0, 0), |(raw, small), file| {
        let bytes = fs::read(file).expect("a file");
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&bytes).expect("memory");
        (raw + bytes.len(), small + gzip.finish().expect("memory").len())
    })
}

/// Our Worker in a configuration, over the D1 at the service `database`: as wrangler.toml has it, but for the rate
/// limit, which plain workerd does not know, and the settings that `change` gives other values.
pub fn estop(database: &str, admin: &str, change: impl Fn(&str) -> Option<String>) -> String {
    let vars = pairs(WRANGLER.split_once("[vars]").expect("vars").1).fold(String::new(), |mut vars, (name, value)| {
        let value = change(name).map_or_else(|| value.to_owned(), |value| format!("\"{value}\""));
        let _ = write!(vars, "(name = \"{name}\", text = {value}), ");
        vars
    });
    format!(
        r#"(
      modules = [(name = "index.js", esModule = embed "index.js"), (name = "index_bg.wasm", wasm = embed "index_bg.wasm")],
      compatibilityDate = {date},
      durableObjectNamespaces = [(className = "Hub", uniqueKey = "estop-hub", enableSql = true)],
      durableObjectStorage = (localDisk = "hubs"),
      bindings = [{d1}, (name = "HUB", durableObjectNamespace = "Hub"), (name = "ADMIN_TOKEN", text = "{admin}"), (name = "SESSION_SECRET", text = "local-sessions"), (name = "WEBHOOK_SECRET", text = "local-webhooks"), (name = "GITHUB_WEBHOOK_SECRET", text = "local-github"), (name = "ESTOP_LOCAL", text = "1"), {vars}]
    )"#,
        date = compatibility_date(),
        d1 = d1(database),
    )
}

/// The service on which the hubs' alarms are kept: a hub that sleeps forgets what is in memory alone.
pub const HUBS: &str = r#"(name = "hubs", disk = (path = "hubs", writable = true))"#;

/// A Worker in a configuration that lets the sweeper of `service` tick as if it were the time in the query `at`, and
/// forwards a POST to the path in the query `to` with its body as a stream of unknown length.
pub fn driver(service: &str) -> String {
    const DRIVER: &str = "export default { async fetch(request, env) { \
         const query = new URL(request.url).searchParams; \
         if (query.has('to')) { \
             const { readable, writable } = new TransformStream(); \
             const sent = request.body.pipeTo(writable); \
             const headers = { authorization: request.headers.get('authorization'), 'content-type': 'application/json' }; \
             const answer = await env.MAIN.fetch('http://estop' + query.get('to'), { method: 'POST', headers, body: readable }); \
             await sent; \
             return answer; \
         } \
         const scheduledTime = Number(query.get('at')); \
         return Response.json(await env.MAIN.scheduled({ cron: '* * * * *', scheduledTime })); } }";
    format!(
        r#"(
      modules = [(name = "driver.js", esModule = "{DRIVER}")],
      compatibilityDate = {date}, compatibilityFlags = ["service_binding_extra_handlers"],
      bindings = [(name = "MAIN", service = "{service}")]
    )"#,
        date = compatibility_date(),
    )
}

/// The binding `DB`: the runtime's own D1 client over a service that speaks its protocol.
pub fn d1(service: &str) -> String {
    bound_d1("DB", service)
}

/// The same by another name.
pub fn bound_d1(name: &str, service: &str) -> String {
    format!(
        r#"(name = "{name}", wrapped = (moduleName = "cloudflare-internal:d1-api", innerBindings = [(name = "fetcher", service = "{service}")]))"#
    )
}

/// wrangler.toml's, in quotes.
pub fn compatibility_date() -> &'static str {
    pairs(WRANGLER).find(|(name, _)| *name == "compatibility_date").expect("a date").1
}

const WRANGLER: &str = include_str!("../../wrangler.toml");

fn pairs(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.lines().filter_map(|line| line.split_once(" = "))
}
