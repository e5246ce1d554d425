//! Starts the binary, watches its output, signals it and waits for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::client::{Project, eventually, unique, within};

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A process that is running.
pub struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

struct Stream {
    text: Said,
    reader: JoinHandle<()>,
}

/// What a process has printed, for the report of a test that fails.
#[derive(Clone, Default)]
pub struct Said(Arc<Mutex<String>>);

impl Said {
    pub fn push(&self, text: &str) {
        self.0.lock().expect("a lock").push_str(text);
    }

    pub fn so_far(&self) -> String {
        self.0.lock().expect("a lock").clone()
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("printed until then: {:?}", self.so_far());
        }
    }
}

impl Stream {
    fn of(source: impl Read + Send + 'static) -> Self {
        let text = Said::default();
        let shared = text.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                shared.push(&format!("{}\n", String::from_utf8_lossy(&line)));
            }
        });
        Self { text, reader }
    }

    fn so_far(&self) -> String {
        self.text.so_far()
    }

    fn whole(self) -> String {
        self.reader.join().expect("a reader");
        self.text.so_far()
    }
}

/// Children inherit which signals are ignored, and `nohup` and a shell's `&` ignore some that tests send. Those that are
/// caught here are what a terminal's user has.
pub fn take_no_ignored_signals() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT};
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        for signal in [SIGHUP, SIGINT, SIGQUIT].into_iter().filter(|signal| ignored & (1 << (signal - 1)) != 0) {
            signal_hook::flag::register(signal, Arc::default()).expect("a handler");
        }
    });
}

/// `estop` with a server and a key, and without this CI job's own variables.
pub fn estop(url: &str, key: &str) -> Command {
    take_no_ignored_signals();
    let mut command = Command::new(env!("CARGO_BIN_EXE_estop"));
    for name in [
        "GITHUB_ACTIONS",
        "GITLAB_CI",
        "BUILDKITE",
        "CIRCLECI",
        "ESTOP_ENVIRONMENT",
        "ESTOP_SHARD",
        "ESTOP_GROUP",
        "ESTOP_ATTEMPT",
        "HTTP_PROXY",
        "http_proxy",
    ] {
        command.env_remove(name);
    }
    command.env("ESTOP_URL", url).env("ESTOP_KEY", key);
    command
}

/// A folder for files that estop leaves, gone with the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("estop-{}", unique()));
        std::fs::create_dir(&folder).expect("a folder");
        Self(folder)
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("a path")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts `estop ARGUMENTS` with a project's key.
pub fn start(project: &Project, arguments: &[&str]) -> Running {
    start_at(&project.server.url, project, arguments)
}

/// The same, with the service at another address.
pub fn start_at(url: &str, project: &Project, arguments: &[&str]) -> Running {
    Running::of(estop(url, &project.key).args(arguments))
}

/// Starts `estop run -e staging OPTIONS -- sh -c SCRIPT`.
pub fn run(project: &Project, options: &[&str], script: &str) -> Running {
    let arguments = [&["run", "-e", "staging"], options, &["--", "sh", "-c", script]].concat();
    start(project, &arguments)
}

impl Running {
    pub fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = Stream::of(child.stdout.take().expect("a pipe"));
        let stderr = Stream::of(child.stderr.take().expect("a pipe"));
        Self { child, stdout, stderr }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it lives");
    }

    /// The process that guards it, once there is one other than `earlier`.
    pub fn guard(&self, earlier: Option<Pid>) -> Pid {
        let estop = self.pid().as_raw_pid().to_string();
        eventually("a guard", || {
            let guards = processes().into_iter().filter(|p| p.parent == estop && p.command.ends_with("estop guard"));
            let mut pids = guards.filter_map(|process| Pid::from_raw(process.pid.parse().ok()?));
            pids.find(|pid| Some(*pid) != earlier)
        })
    }

    pub fn type_in(&mut self, text: &str) {
        self.child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    }

    /// The first word after `prefix` on a line of either stream, once it is there.
    #[track_caller]
    pub fn word_after(&mut self, prefix: &str) -> String {
        eventually(prefix, || {
            let both = self.so_far();
            let (_, rest) = both.split_once(prefix)?;
            rest.contains(['\n', ' ']).then(|| rest.split_whitespace().next().unwrap_or_default().to_owned())
        })
    }

    /// Waits until either stream contains this.
    #[track_caller]
    pub fn says(&mut self, text: &str) {
        eventually(text, || self.so_far().contains(text).then_some(()));
    }

    /// What it has printed on either stream.
    pub fn so_far(&self) -> String {
        format!("{}{}", self.stdout.so_far(), self.stderr.so_far())
    }

    /// The run's id, once it is registered.
    #[track_caller]
    pub fn id(&mut self) -> i64 {
        self.word_after("test run ").trim_end_matches('.').parse().expect("an id")
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for the end.
    #[track_caller]
    pub fn end(self) -> Ended {
        self.end_within(Duration::from_secs(20))
    }

    /// Waits for the end for at most so long.
    #[track_caller]
    pub fn end_within(mut self, patience: Duration) -> Ended {
        let status = within(patience, "the end of estop", || self.child.try_wait().expect("a child"));
        Ended { code: status.code(), stdout: self.stdout.whole(), stderr: self.stderr.whole() }
    }
}

impl Ended {
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// Every process there is, with its parent, state and command line.
pub fn processes() -> Vec<Process> {
    let output = Command::new("ps").args(["-A", "-o", "pid=,ppid=,stat=,args="]).output().expect("ps");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let process = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let (pid, parent, state) = (words.next()?, words.next()?, words.next()?);
        Some(Process { pid, parent, state, command: words.collect::<Vec<_>>().join(" ") })
    };
    lines.lines().filter_map(process).collect()
}

#[derive(Debug)]
pub struct Process {
    pub pid: String,
    pub parent: String,
    pub state: String,
    pub command: String,
}

/// All that descend from a process.
pub fn descendants(pid: Pid) -> Vec<String> {
    let processes = processes();
    let mut found = vec![pid.as_raw_pid().to_string()];
    let mut next = 0;
    while let Some(parent) = found.get(next).cloned() {
        next += 1;
        found.extend(processes.iter().filter(|process| process.parent == parent).map(|process| process.pid.clone()));
    }
    found.split_off(1)
}

/// Whether a process is alive. A zombie that nobody has reaped is not.
pub fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    if let Ok(stat) = stat {
        return !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
    }
    let pid = pid.parse().ok().and_then(Pid::from_raw).expect("a process id");
    cfg!(not(target_os = "linux")) && test_kill_process(pid).is_ok()
}
