//! `make dev` as a newcomer uses it: paste the curl line, 200; paste it again, 412; look who did it; find the page, and the
//! demo runner at work; stop it; start it again and find the data kept.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const DEMO_KEY: &str = "estop_local-demo-key-for-your-own-laptop-only-000";

struct Dev {
    make: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn make_dev(port: u16, state: &Path) -> Command {
    let mut command = Command::new("make");
    command.current_dir(root()).args([
        "--no-print-directory",
        "dev",
        &format!("PORT={port}"),
        &format!("STATE={}", state.display()),
    ]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Dev {
    fn start(port: u16, state: &Path) -> Self {
        let mut make = make_dev(port, state).stderr(Stdio::inherit()).spawn().expect("make");
        let (sender, lines) = channel();
        let output = BufReader::new(make.stdout.take().expect("its output"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { make, lines, seen: Vec::new() }
    }

    /// The first line from here on that begins like this.
    fn line(&mut self, start: &str) -> String {
        loop {
            match self.lines.recv_timeout(Duration::from_secs(180)) {
                Ok(line) if line.starts_with(start) => return line,
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {
                    panic!("no line begins with {start:?}; it said:\n{}", self.seen.join("\n"))
                }
            }
        }
    }

    /// Sends SIGTERM to make alone, as a supervisor would, and waits for the end.
    fn stop(mut self) {
        assert!(Command::new("kill").args(["-TERM", &self.make.id().to_string()]).status().expect("kill").success());
        self.make.wait().expect("its end");
        // The pipe closes when the last process that holds it is gone: nothing that make started is left.
        while self
            .lines
            .recv_timeout(Duration::from_secs(30))
            .map_err(|e| assert_eq!(e, RecvTimeoutError::Disconnected))
            .is_ok()
        {}
    }
}

fn shell(command: &str) -> (String, String) {
    let output = Command::new("sh")
        .args(["-c", &format!("{command} --silent --write-out '\\n%{{http_code}}'")])
        .output()
        .expect("sh");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (body, status) = text.rsplit_once('\n').expect("a status");
    (status.to_owned(), body.to_owned())
}

fn get(port: u16, path: &str) -> String {
    shell(&format!("curl http://127.0.0.1:{port}{path} -H 'Authorization: Bearer {DEMO_KEY}'")).1
}

/// Asks until there is something.
fn within<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn the_demo_runner_stops_when_it_is_told_to(port: u16) {
    let run = within("a run of the demo runner", || {
        let list: serde_json::Value = serde_json::from_str(&get(port, "/api/test-runs?state=started")).ok()?;
        let runs = list["data"]["test_runs"]["items"].as_array()?;
        // The first twelve are there from the start.
        runs.iter().find_map(|run| run["id"].as_i64().filter(|id| *id > 12))
    });
    let url = format!("http://127.0.0.1:{port}/api/test-runs/{run}/cancel");
    let (status, body) = shell(&format!("curl -X POST {url} -H 'Authorization: Bearer {DEMO_KEY}'"));
    assert_eq!(status, "200", "{body}");
    within("it has stopped", || {
        get(port, &format!("/api/test-runs/{run}")).contains(r#""outcome":"graceful""#).then_some(())
    });
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

#[test]
fn a_newcomer_stops_a_run_and_finds_it_stopped_the_next_day() {
    let state = std::env::temp_dir().join(format!("estop-dev-{}", std::process::id()));
    let port = free_port();
    let mut dev = Dev::start(port, &state);
    let cancel = dev.line("curl -X POST");
    let show = dev.line("curl ");

    let (status, body) = shell(&cancel);
    assert_eq!(status, "200", "{body}");
    let (status, body) = shell(&cancel);
    assert_eq!(status, "412", "{body}");
    let (status, shown) = shell(&show);
    assert_eq!(status, "200");
    for fact in [
        r#""state":"cancelled""#,
        r#""reason":"wrong branch""#,
        r#""by":"demo@example.com""#,
        r#""cause":"user""#,
        r#""at":""#,
    ] {
        assert!(shown.contains(fact), "{fact} in {shown}");
    }

    let second = make_dev(port, &state).output().expect("make");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && said.contains(&format!("port {port} is in use")), "{said}");
    assert_eq!(shell(&show).1, shown, "the first one goes on undisturbed");

    let page = get(port, "/");
    assert!(page.contains("<title>estop</title>"), "{page}");
    assert_eq!(get(port, "/local.json").trim(), format!(r#"{{"demo_key":"{DEMO_KEY}"}}"#));
    the_demo_runner_stops_when_it_is_told_to(port);

    dev.stop();
    std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free again");

    let mut dev = Dev::start(port, &state);
    let next = dev.line("curl -X POST");
    assert_eq!(shell(&show).1, shown, "the data of before is kept");
    let (status, body) = shell(&next);
    assert_eq!(status, "200", "the line is about a run that is not over: {body}");
    dev.stop();
    std::fs::remove_dir_all(&state).expect("the database's folder");
}

#[test]
fn what_is_no_port_is_refused_before_anything_is_built() {
    for port in ["abc", "0", "65536"] {
        // There would be something to build.
        let refused = Command::new("make")
            .current_dir(root())
            .args(["--no-print-directory", "--what-if=Cargo.toml", "dev", &format!("PORT={port}")])
            .output()
            .expect("make");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("PORT must be a number"), "{said}");
        assert!(!said.contains("building"), "{said}");
    }
}

/// Runs the tools' wrangler on an embedded database, and gives what it prints.
fn wrangler(state: &Path, arguments: &str) -> String {
    let script = format!(
        "set -e; environment=$(scripts/setup --env); eval \"$environment\"; \
         export CI=1 NO_COLOR=1 WRANGLER_SEND_METRICS=false; \
         \"$WRANGLER_BIN\" d1 {arguments} --local --persist-to \"$STATE\""
    );
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(root()).env("STATE", state).output().expect("bash");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments}: {printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}

/// D1 is pickier than SQLite: it takes no transaction of ours, and not every way to change a table.
#[test]
fn the_embedded_d1_migrates_a_database_of_0_1_0_and_loses_nothing() {
    let folder = std::env::temp_dir().join(format!("estop-upgrade-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let dump = std::fs::read_to_string(root().join("tests/upgrade/0.1.0/database.sql")).expect("the dump");
    let ours = |line: &&str| !["PRAGMA ", "BEGIN TRANSACTION", "COMMIT"].iter().any(|word| line.starts_with(word));
    let file = folder.join("database.sql");
    std::fs::write(&file, dump.lines().filter(ours).collect::<Vec<_>>().join("\n")).expect("a file");
    let state = folder.join("state");
    wrangler(&state, &format!("execute estop --yes --file {}", file.display()));
    let count = "SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM run_events) AS events, \
                 (SELECT count(*) FROM keys) AS keys, (SELECT group_concat(state || coalesce(stop_outcome, '')) FROM runs) AS states";
    let ask = |query: &str| -> serde_json::Value {
        let printed = wrangler(&state, &format!("execute estop --json --command \"{query}\""));
        let json: serde_json::Value =
            serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        json[0]["results"][0].clone()
    };
    let before = ask(count);
    assert_eq!(before["runs"], 36, "{before}");
    wrangler(&state, "migrations apply estop");
    assert_eq!(ask(count), before);
    let version = i64::try_from(std::fs::read_dir(root().join("migrations")).expect("a folder").count()).expect("few");
    assert_eq!(ask("SELECT version FROM schema_version")["version"], version);
    assert!(wrangler(&state, "migrations apply estop").contains("No migrations to apply"));
    std::fs::remove_dir_all(&folder).expect("a folder to remove");
}
