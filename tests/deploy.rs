//! `make deploy`'s steps, against a stand-in for wrangler that keeps account, database and secrets in a folder.
//! The database is a real SQLite, asked and migrated through the SQLite of the pinned Node.js.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::Connection;

const STAND_IN: &str = r#"#!/bin/sh
echo "$*" >> "$ACCOUNT/calls"
[ -z "${ADMIN_TOKEN+set}" ] || echo "ADMIN_TOKEN is in the environment" >> "$ACCOUNT/calls"
for config; do :; done
# Of `d1 …`, the database that it is about.
case "$1 $2" in "d1 migrations") name=$4 ;; *) name=$3 ;; esac
case "$name" in ${DATABASE:-estop}) file=database ;; *-1) file=database-1 ;; esac
export FILE="$ACCOUNT/$file"
ask="const database = new (require('node:sqlite').DatabaseSync)(process.env.FILE);
    console.log(JSON.stringify([{ results: database.prepare(process.argv[1]).all(), success: true, meta: {} }]))"
apply="const fs = require('fs'), database = new (require('node:sqlite').DatabaseSync)(process.env.FILE);
    database.exec('CREATE TABLE IF NOT EXISTS d1_migrations (name TEXT UNIQUE); CREATE TABLE IF NOT EXISTS _cf_KV (key TEXT)');
    for (const file of fs.readdirSync('migrations').sort()) {
        if (database.prepare('SELECT 1 FROM d1_migrations WHERE name = ?').get(file)) continue;
        database.exec(fs.readFileSync('migrations/' + file, 'utf8'));
        database.prepare('INSERT INTO d1_migrations VALUES (?)').run(file);
    }"
case "$*" in
    "d1 info $name --json") [ -f "$FILE" ] && echo '{"uuid":"11111111-2222-3333-4444-'$file'","name":"estop"}' ;;
    "d1 create $name") [ -f "$ACCOUNT/logged-in" ] && touch "$FILE" ;;
    "d1 execute $name --remote --json --command "*)
        echo 'a warning' >&2
        if [ -f "$ACCOUNT/silent" ]; then echo '{"error":{"text":"D1 says no"}}'; exit 1; fi
        grep -q 'database_id = "11111111' "$config" && node --no-warnings -e "$ask" "$7" ;;
    "d1 migrations apply $name --remote"*)
        [ ! -f "$ACCOUNT/broken" ] && grep -q 'database_id = "11111111' "$config" && node --no-warnings -e "$apply" ;;
    "r2 bucket info estop-archives --json") [ -f "$ACCOUNT/bucket" ] && echo '{"name":"estop-archives"}' ;;
    "r2 bucket create estop-archives") [ -f "$ACCOUNT/r2" ] && touch "$ACCOUNT/bucket" ;;
    "deploy"*) grep -q 'crons' "$config" && cp "$config" "$ACCOUNT/deployed.toml" && echo 'https://estop.acme.workers.dev' ;;
    "secret list"*) [ ! -f "$ACCOUNT/hiccup" ] || exit 1; echo "[$(cat "$ACCOUNT/secrets" 2>/dev/null)]" ;;
    "secret put ADMIN_TOKEN"*) cat > "$ACCOUNT/token"; echo '{"name":"ADMIN_TOKEN","type":"secret_text"}' >> "$ACCOUNT/secrets" ;;
    "secret put SESSION_SECRET"*) cat > "$ACCOUNT/sessions"; echo '{"name":"SESSION_SECRET","type":"secret_text"}' >> "$ACCOUNT/secrets" ;;
    "secret put WEBHOOK_SECRET"*) cat > "$ACCOUNT/webhooks"; echo '{"name":"WEBHOOK_SECRET","type":"secret_text"}' >> "$ACCOUNT/secrets" ;;
    *) exit 1 ;;
esac
"#;

/// Runs its arguments in a pseudoterminal and prints what that shows.
const TERMINAL: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

struct Account(PathBuf);

impl Account {
    /// An account that wrangler is not logged in to.
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("estop-account-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let wrangler = folder.join("wrangler");
        std::fs::write(&wrangler, STAND_IN).expect("a script");
        std::fs::set_permissions(&wrangler, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        Self(folder)
    }

    fn logged_in(name: &str) -> Self {
        let account = Self::new(name);
        account.mark("logged-in");
        account
    }

    /// An account with a database called estop, which this SQL has made.
    fn with_database(name: &str, sql: &str) -> Self {
        let account = Self::logged_in(name);
        account.database().execute_batch(sql).expect("a database");
        account.mark("database"); // SQLite makes no file for nothing
        account
    }

    fn database(&self) -> Connection {
        Connection::open(self.0.join("database")).expect("a database")
    }

    fn mark(&self, name: &str) {
        std::fs::File::options().create(true).append(true).open(self.0.join(name)).expect("a file");
    }

    fn unmark(&self, name: &str) {
        std::fs::remove_file(self.0.join(name)).expect("a file");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("ACCOUNT", &self.0)
            .env("ESTOP_WRANGLER", self.0.join("wrangler"));
        for name in ["ADMIN_TOKEN", "ESTOP_PRINT_TOKEN", "CI"] {
            command.env_remove(name);
        }
        command
    }

    /// Standard output is a pipe.
    fn deploy(&self) -> Output {
        self.deploy_with(&[])
    }

    fn deploy_with(&self, environment: &[(&str, &str)]) -> Output {
        self.command("scripts/deploy").envs(environment.iter().copied()).output().expect("scripts/deploy")
    }

    fn deploy_at_a_terminal(&self, environment: &[(&str, &str)]) -> Output {
        let mut command = self.command("python3");
        command.args(["-c", TERMINAL, "scripts/deploy"]).envs(environment.iter().copied());
        command.output().expect("python3, which make test needs")
    }

    /// A clone of its own, with other settings.
    fn checkout(&self, change: impl FnOnce(&str) -> String) -> PathBuf {
        let (source, checkout) = (Path::new(env!("CARGO_MANIFEST_DIR")), self.0.join("checkout"));
        std::fs::create_dir(&checkout).expect("a folder");
        for name in ["scripts", "migrations", "Cargo.lock", "package.json", "package-lock.json", "rust-toolchain.toml"]
        {
            symlink(source.join(name), checkout.join(name)).expect("a link");
        }
        let settings = std::fs::read_to_string(source.join("wrangler.toml")).expect("wrangler.toml");
        std::fs::write(checkout.join("wrangler.toml"), change(&settings)).expect("a file");
        checkout
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    fn version(&self) -> i64 {
        self.database().query_row("SELECT version FROM schema_version", [], |row| row.get(0)).expect("a version")
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The files in migrations/, oldest first.
fn migrations() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn newest() -> i64 {
    i64::try_from(migrations().len()).expect("a version")
}

/// estop's database with this statement after the migrations.
fn migrated_and(sql: &str) -> String {
    migrations().iter().map(|file| std::fs::read_to_string(file).expect("a migration")).collect::<String>() + sql
}

#[test]
fn a_deployment_makes_what_is_missing_once_and_never_loads_the_seed() {
    let account = Account::new("whole");
    let refused = account.deploy();
    assert!(!refused.status.success() && text(&refused.stderr).contains("make login"), "{refused:?}");

    account.mark("logged-in");
    let first = account.deploy_with(&[("ESTOP_PRINT_TOKEN", "1")]);
    assert!(first.status.success(), "{first:?}");
    let token = account.file("token");
    assert!(token.len() == 43 && text(&first.stdout).contains(&token), "{first:?}");
    assert!(text(&first.stdout).contains("https://estop.acme.workers.dev"), "{first:?}");
    let sessions = account.file("sessions");
    assert!(sessions.len() == 43 && sessions != token && !text(&first.stdout).contains(&sessions), "{first:?}");
    let webhooks = account.file("webhooks");
    assert!(webhooks.len() == 43 && webhooks != sessions && !text(&first.stdout).contains(&webhooks), "{first:?}");
    assert_eq!(account.version(), newest());

    account.mark("hiccup");
    assert!(!account.deploy().status.success(), "secrets that cannot be listed are not taken for none");
    account.unmark("hiccup");
    let again = account.deploy();
    assert!(again.status.success(), "{again:?}");
    assert_eq!(account.file("token"), token, "an upgrade keeps the admin token");
    assert_eq!(account.file("sessions"), sessions, "and the sessions");
    assert_eq!(account.file("webhooks"), webhooks, "and the secrets of the webhooks");
    account.mark("broken");
    let broken = account.deploy();
    assert!(!broken.status.success() && text(&broken.stderr).contains("nothing was uploaded"), "{broken:?}");
    let calls = account.file("calls");
    let (migrations, uploads) =
        (calls.matches("d1 migrations apply").count(), calls.matches("deploy --config").count());
    assert_eq!((migrations, uploads), (4, 3), "a database that was not migrated gets no new Worker: {calls}");
    let order = ["d1 migrations apply", "deploy --config"].map(|call| calls.find(call).expect("a call"));
    assert!(order[0] < order[1], "the database first: {calls}");
    assert_eq!(calls.matches("d1 create").count(), 2, "one refused, one done: {calls}");
    for secret in ["ADMIN_TOKEN", "SESSION_SECRET", "WEBHOOK_SECRET"] {
        assert_eq!(calls.matches(&format!("secret put {secret}")).count(), 1, "{calls}");
    }
    assert!(!calls.contains("seed"), "{calls}");
    let deployed = account.file("deployed.toml");
    assert!(!deployed.contains("ESTOP_LOCAL") && !deployed.contains("ADMIN_TOKEN"), "{deployed}");
}

#[test]
fn a_database_that_is_not_estops_or_is_ahead_of_this_checkout_is_refused() {
    let newer = migrated_and(&format!("UPDATE schema_version SET version = {};", newest() + 1));
    let newer_says = format!(
        "this checkout is older than the database \"estop\", whose schema has version {} and not {}: deploy from a newer one",
        newest() + 1,
        newest()
    );
    // estop's own table is STRICT and has one row, so it could not hold these.
    let versioned = |rows: &str| {
        format!("CREATE TABLE schema_version (only_row INTEGER, version); INSERT INTO schema_version SELECT 1, {rows};")
    };
    let (four, zero, none, two) =
        (versioned("'4'"), versioned("0"), versioned("1 WHERE 0"), versioned("4 UNION ALL SELECT 1, 4"));
    let unreadable = "has a table schema_version like estop's, but no whole number from 1 up in it";
    let cases: [(&str, &str, &str); 10] = [
        ("one", "CREATE TABLE invoices (id);", "is not estop's: it contains invoices. Delete it"),
        (
            "seven",
            "CREATE TABLE g (a); CREATE TABLE f (a); CREATE TABLE e (a); CREATE TABLE \"d\u{1b}[2J\" (a); \
             CREATE TABLE c (a); CREATE TABLE b (a); CREATE VIEW a AS SELECT 1;",
            "it contains a, b, c, d?[2J, e and 2 more. ",
        ),
        ("half", "CREATE TABLE runs (id); CREATE TABLE keys (id);", "it contains keys, runs. "),
        (
            "flyway",
            "CREATE TABLE schema_version (version TEXT); CREATE TABLE users (id);",
            "contains schema_version, users. ",
        ),
        (
            "flyway-and-ours",
            "CREATE TABLE schema_version (version TEXT); CREATE TABLE runs (id); CREATE TABLE run_events (id); \
             CREATE TABLE keys (id); CREATE TABLE projects (id); CREATE TABLE environments (id);",
            "it contains environments, keys, projects, run_events, runs and 1 more. ",
        ),
        ("text", &four, unreadable),
        ("zero", &zero, unreadable),
        ("none", &none, unreadable),
        ("two", &two, unreadable),
        ("newer", &newer, &newer_says),
    ];
    for (name, sql, says) in cases {
        let account = Account::with_database(name, sql);
        let before = std::fs::read(account.0.join("database")).expect("a database");
        let refused = account.deploy_with(&[("ADMIN_TOKEN", "a-token-that-must-not-be-set-here")]);
        let stderr = text(&refused.stderr);
        assert!(!refused.status.success() && stderr.contains(says), "{name}: {refused:?}");
        assert!(stderr.contains("No migration was applied and nothing was uploaded"), "{name}: {stderr}");
        let calls = account.file("calls");
        assert!(
            calls
                .lines()
                .all(|call| call.starts_with("d1 info") || call.starts_with("d1 execute estop --remote --json")),
            "{name}: {calls}"
        );
        assert!(std::fs::read(account.0.join("database")).expect("a database") == before, "{name}");
    }
}

#[test]
fn a_database_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let account = Account::with_database("silent", "");
    account.mark("silent");
    let refused = account.deploy();
    let stderr = text(&refused.stderr);
    assert!(!refused.status.success() && stderr.contains("cannot be read. Nothing was changed"), "{refused:?}");
    assert!(stderr.contains("D1 says no"), "{stderr}");
    assert!(!account.file("calls").contains("apply"), "{}", account.file("calls"));
}

#[test]
fn an_empty_database_and_those_of_every_earlier_version_are_taken_over() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade/0.1.0/database.sql");
    let first_release = std::fs::read_to_string(path).expect("0.1.0's database");
    let second = "CREATE TABLE d1_migrations (name TEXT UNIQUE); \
                  INSERT INTO d1_migrations VALUES ('0001_initial.sql'), ('0002_schema_version.sql');";
    let second = migrations()[..2]
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("a migration"))
        .fold(second.to_owned(), |sql, migration| sql + &migration);
    // What D1 and a failed deployment leave in a database that holds nothing else.
    let internals = "CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE); \
                     CREATE TABLE _cf_KV (key TEXT); DROP TABLE d1_migrations;";
    let own_table_too = second.clone() + "CREATE TABLE notes (text);";
    for (name, sql) in [
        ("empty", ""),
        ("internals", internals),
        ("first-release", &first_release),
        ("second-version", &second),
        ("own-table", &own_table_too),
    ] {
        let account = Account::with_database(name, sql);
        let deployed = account.deploy();
        assert!(deployed.status.success(), "{name}: {deployed:?}");
        assert_eq!(account.version(), newest(), "{name}");
        assert!(!account.file("calls").contains("d1 create"), "{name}");
    }
}

#[test]
fn the_database_may_have_another_name_in_wrangler_toml() {
    let account = Account::with_database("renamed", "");
    let checkout =
        account.checkout(|settings| settings.replace("database_name = \"estop\"", "database_name = \"estop-tests\""));
    let mut command = account.command("scripts/deploy");
    let deployed = command.current_dir(&checkout).env("DATABASE", "estop-tests").output().expect("scripts/deploy");
    assert!(deployed.status.success(), "{deployed:?}");
    assert!(account.file("deployed.toml").contains("database_name = \"estop-tests\"\ndatabase_id = \"11111111-"));
    let left = std::fs::read_dir(&checkout).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    assert_eq!(left.filter(|name| name.to_string_lossy().starts_with("wrangler.")).count(), 1, "only wrangler.toml");
}

#[test]
fn each_database_of_wrangler_toml_is_created_checked_and_migrated_before_the_upload() {
    let account = Account::logged_in("several");
    assert!(account.deploy().status.success());
    let checkout = account.checkout(|settings| {
        let (before, rest) = settings.split_once("#[[d1_databases]]\n").expect("the second database's lines");
        let (second, after) = rest.split_once("\n\n").expect("their end");
        format!("{before}[[d1_databases]]\n{}\n\n{after}", second.replace('#', ""))
    });
    let deploy = || account.command("scripts/deploy").current_dir(&checkout).output().expect("scripts/deploy");
    for _ in 0..2 {
        let deployed = deploy();
        assert!(deployed.status.success(), "{deployed:?}");
    }
    let second = Connection::open(account.0.join("database-1")).expect("a database");
    let version: i64 = second.query_row("SELECT version FROM schema_version", [], |row| row.get(0)).expect("a version");
    assert_eq!((account.version(), version), (newest(), newest()));
    let calls = account.file("calls");
    assert_eq!(calls.matches("d1 create estop-1").count(), 1, "{calls}");
    let deployed = account.file("deployed.toml");
    for (binding, name, id) in [("DB", "estop", "database"), ("DB_1", "estop-1", "database-1")] {
        let lines = format!(
            "binding = \"{binding}\"\ndatabase_name = \"{name}\"\ndatabase_id = \"11111111-2222-3333-4444-{id}\"\n"
        );
        assert!(deployed.contains(&lines), "{deployed}");
    }
    second.execute_batch("UPDATE schema_version SET version = 1000").expect("SQL");
    let refused = deploy();
    assert!(
        !refused.status.success() && text(&refused.stderr).contains("older than the database \"estop-1\""),
        "{refused:?}"
    );
}

#[test]
fn a_bucket_is_created_if_wrangler_toml_has_one() {
    let account = Account::logged_in("bucket");
    assert!(account.deploy().status.success());
    assert!(!account.file("calls").contains("r2 "), "no archive is wanted: {}", account.file("calls"));
    let checkout = account.checkout(|settings| {
        let (before, rest) = settings.split_once("#[[r2_buckets]]\n").expect("the bucket's lines");
        let (bucket, after) = rest.split_once("\n\n").expect("their end");
        format!("{before}[[r2_buckets]]\n{}\n\n{after}", bucket.replace('#', ""))
    });
    let deploy = || account.command("scripts/deploy").current_dir(&checkout).output().expect("scripts/deploy");
    let refused = deploy();
    assert!(!refused.status.success() && text(&refused.stderr).contains("Switch R2 on"), "{refused:?}");
    assert_eq!(account.file("calls").matches("deploy --config").count(), 1, "nothing was uploaded");
    account.mark("r2");
    for _ in 0..2 {
        let deployed = deploy();
        assert!(deployed.status.success(), "{deployed:?}");
    }
    assert_eq!(account.file("calls").matches("r2 bucket create").count(), 2, "one refused, one done");
    assert!(
        account
            .file("deployed.toml")
            .contains("[[r2_buckets]]\nbinding = \"ARCHIVES\"\nbucket_name = \"estop-archives\"\n")
    );
}

#[test]
fn a_new_admin_token_is_created_only_where_a_person_sees_it_or_it_is_asked_for() {
    let account = Account::logged_in("terminal");
    for (what, deployed) in [
        ("a pipe", account.deploy()),
        ("a pipe, and something else than 1", account.deploy_with(&[("ESTOP_PRINT_TOKEN", "0")])),
        ("the terminal of a CI job", account.deploy_at_a_terminal(&[("CI", "true")])),
    ] {
        let shown = text(&deployed.stdout);
        assert!(deployed.status.success() && shown.contains("estop is deployed"), "{what}: {deployed:?}");
        for way in ["at a terminal", "ESTOP_PRINT_TOKEN=1", "set ADMIN_TOKEN", "wrangler secret put ADMIN_TOKEN"] {
            assert!(shown.contains(way), "{what}, {way}: {shown}");
        }
        assert!(!shown.contains("shown this once"), "{what}: {shown}");
    }
    assert!(!account.file("calls").contains("secret put ADMIN_TOKEN"), "{}", account.file("calls"));

    let deployed = account.deploy_at_a_terminal(&[]);
    let (shown, token) = (text(&deployed.stdout), account.file("token"));
    assert!(deployed.status.success() && token.len() == 43, "{deployed:?}");
    assert_eq!(shown.matches(&token).count(), 1, "{shown}");
    let again = account.deploy_at_a_terminal(&[]);
    assert!(again.status.success() && !text(&again.stdout).contains(&token), "{again:?}");
    assert_eq!(account.file("token"), token);
}

#[test]
fn a_given_admin_token_is_set_and_never_printed() {
    let account = Account::logged_in("given");
    for bad in [
        "0123456789012345678901234567890",
        "with a space, 0123456789012345678901",
        "umlauts-äöü-0123456789012345678901",
    ] {
        let refused = account.deploy_with(&[("ADMIN_TOKEN", bad)]);
        assert!(!refused.status.success() && text(&refused.stderr).contains("at least 32 characters"), "{refused:?}");
        assert!(!text(&refused.stderr).contains(bad), "{refused:?}");
    }
    assert_eq!(account.file("calls"), "", "nothing is begun with a bad one");

    let one = "01234567-89ab-cdef/0123+456789==";
    let two = "another-one-of-thirty-two-or-more";
    let on_a_pipe = account.deploy_with(&[("ADMIN_TOKEN", one), ("ESTOP_PRINT_TOKEN", "1")]);
    assert_eq!(account.file("token"), one);
    let at_a_terminal = account.deploy_at_a_terminal(&[("ADMIN_TOKEN", two)]);
    assert_eq!(account.file("token"), two, "it takes the place of an earlier one");
    for deployed in [on_a_pipe, at_a_terminal] {
        assert!(deployed.status.success(), "{deployed:?}");
        let all = text(&deployed.stdout) + &text(&deployed.stderr);
        assert!(!all.contains(one) && !all.contains(two), "{all}");
    }
    let calls = account.file("calls");
    assert!(!calls.contains(one) && !calls.contains(two) && !calls.contains("in the environment"), "{calls}");

    let empty = account.deploy_with(&[("ADMIN_TOKEN", "")]);
    assert!(empty.status.success() && text(&empty.stdout).contains("stays as it is"), "{empty:?}");
    assert_eq!(account.file("token"), two);
}
