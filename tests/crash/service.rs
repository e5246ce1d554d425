//! `scripts/dev` on data that outlives it, and its end by SIGKILL.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::client::{unique, within};

/// The folder that the embedded database is kept in, gone at the end of a test that passes.
pub struct Data(PathBuf);

impl Data {
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("estop-crash-{}", unique()));
        fs::create_dir(&folder).expect("a folder");
        let wrangler = fs::read_to_string(root().join("wrangler.toml")).expect("a configuration");
        // Short, so that heartbeats renew their leases while the clients are at it.
        let short = wrangler.replace("LEASE_SECONDS = \"120\"", "LEASE_SECONDS = \"1\"");
        assert_ne!(short, wrangler);
        fs::write(folder.join("wrangler.toml"), short).expect("a file");
        Self(folder)
    }

    /// A copy of the database's files as they lie there, for SQLite to open as the restarted server would.
    pub fn copy(&self) -> PathBuf {
        let stored = self.0.join("state/v3/d1/miniflare-D1DatabaseObject");
        let files = fs::read_dir(&stored).expect("the database's folder");
        let names = files.map(|file| file.expect("a file").file_name().into_string().expect("ASCII"));
        let databases: Vec<String> =
            names.filter(|name| name.ends_with(".sqlite") && name != "metadata.sqlite").collect();
        let [database] = databases.as_slice() else { panic!("one database, not {databases:?}") };
        let copy = self.0.join(format!("copy-{}.sqlite", unique()));
        // Not the -shm file: it is an index of the -wal file, and SQLite makes it anew.
        for suffix in ["", "-wal", "-journal"] {
            let from = stored.join(format!("{database}{suffix}"));
            if from.exists() {
                fs::copy(from, format!("{}{suffix}", copy.display())).expect("a copy");
            }
        }
        copy
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the data is kept in {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

pub struct Service {
    pub url: String,
    script: Child,
    /// Wrangler, whose process group everything is in that it starts.
    leader: String,
    /// What SIGKILL goes to: every workerd first, and then the whole group.
    targets: Vec<String>,
}

impl Service {
    pub fn start(data: &Data) -> Self {
        let folder = &data.0;
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let log = folder.join("log");
        let file = File::create(&log).expect("a log");
        let script = Command::new(root().join("scripts/dev"))
            .env("DEMO", "0")
            .env("PORT", port.to_string())
            .env("STATE", folder.join("state"))
            .env("CONFIG", folder.join("wrangler.toml"))
            .stdin(Stdio::null())
            .stderr(file.try_clone().expect("a log"))
            .stdout(file)
            .spawn()
            .expect("scripts/dev");
        let url = format!("http://127.0.0.1:{port}");
        let mut service = Self { url, script, leader: String::new(), targets: Vec::new() };
        let said = || fs::read_to_string(&log).expect("the log");
        within(Duration::from_secs(120), "the server", || {
            let ended = service.script.try_wait().expect("its state");
            assert!(ended.is_none(), "the server did not start: {}", said());
            said().contains("estop serves on").then_some(())
        });
        let (script, all) = (service.script.id().to_string(), processes());
        let leader = all.iter().find(|one| one.parent == script && one.id == one.group).expect("wrangler");
        let workerds = all.iter().filter(|one| one.group == leader.id && one.name.ends_with("workerd"));
        service.targets = workerds.map(|one| one.id.clone()).collect();
        assert!(!service.targets.is_empty(), "wrangler serves without workerd?");
        service.targets.push(format!("-{}", leader.id));
        service.leader.clone_from(&leader.id);
        service
    }

    /// Ends every workerd in the middle of what it is doing, and waits until none of them can write any more.
    pub fn kill(self) {
        assert!(Command::new("kill").args(["-KILL", "--"]).args(&self.targets).status().expect("kill").success());
        within(Duration::from_secs(20), "the end of every workerd", || {
            let left = processes().iter().any(|one| one.group == self.leader && one.alive);
            (!left).then_some(())
        });
        // The script sees that its server has gone and clears up, which takes it seconds where nobody reaps orphans.
        std::thread::spawn(move || drop(self));
    }

    /// Ends it as Ctrl-C does.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.script.id().to_string()]).status();
        let _ = self.script.wait();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if !matches!(self.script.try_wait(), Ok(Some(_))) {
            self.end();
        }
    }
}

struct Process {
    id: String,
    parent: String,
    group: String,
    /// Not a zombie, which only waits for its parent to look.
    alive: bool,
    name: String,
}

fn processes() -> Vec<Process> {
    let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid=,pgid=,stat=,comm="]).output().expect("ps");
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    let processes = listed.lines().map(|line| {
        let mut words = line.split_whitespace();
        let mut next = || words.next().expect("five columns").to_owned();
        Process { id: next(), parent: next(), group: next(), alive: !next().starts_with('Z'), name: next() }
    });
    processes.collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
