//! `make deploy`'s steps, against a stand-in for wrangler that keeps account, database and secrets in a folder.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const STAND_IN: &str = r#"#!/bin/sh
echo "$*" >> "$ACCOUNT/calls"
case "$*" in
    "d1 info estop --json") [ -f "$ACCOUNT/database" ] && echo '{"uuid":"11111111-2222-3333-4444-555555555555","name":"estop"}' ;;
    "d1 create estop") [ -f "$ACCOUNT/logged-in" ] && touch "$ACCOUNT/database" ;;
    "d1 migrations apply estop --remote"*) [ ! -f "$ACCOUNT/broken" ] && grep -q 'database_id = "11111111' wrangler.deploy.toml ;;
    "deploy"*) grep -q 'crons' wrangler.deploy.toml && cp wrangler.deploy.toml "$ACCOUNT/deployed.toml" && echo 'https://estop.acme.workers.dev' ;;
    "secret list"*) [ ! -f "$ACCOUNT/hiccup" ] || exit 1; cat "$ACCOUNT/secrets" 2>/dev/null || echo '[]' ;;
    "secret put ADMIN_TOKEN"*) cat > "$ACCOUNT/token"; echo '[{"name":"ADMIN_TOKEN","type":"secret_text"}]' > "$ACCOUNT/secrets" ;;
    *) exit 1 ;;
esac
"#;

struct Account(PathBuf);

impl Account {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("estop-account-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let wrangler = folder.join("wrangler");
        std::fs::write(&wrangler, STAND_IN).expect("a script");
        std::fs::set_permissions(&wrangler, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        Self(folder)
    }

    fn deploy(&self) -> Output {
        let mut command = Command::new("scripts/deploy");
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("ACCOUNT", &self.0)
            .env("ESTOP_WRANGLER", self.0.join("wrangler"));
        command.output().expect("scripts/deploy")
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default()
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

#[test]
fn a_deployment_makes_what_is_missing_once_and_never_loads_the_seed() {
    let account = Account::new("whole");
    let refused = account.deploy();
    assert!(!refused.status.success() && text(&refused.stderr).contains("make login"), "{refused:?}");

    std::fs::write(account.0.join("logged-in"), "").expect("a file");
    let first = account.deploy();
    assert!(first.status.success(), "{first:?}");
    let token = account.file("token");
    assert!(token.len() == 43 && text(&first.stdout).contains(&token), "{first:?}");
    assert!(text(&first.stdout).contains("https://estop.acme.workers.dev"), "{first:?}");

    std::fs::write(account.0.join("hiccup"), "").expect("a file");
    assert!(!account.deploy().status.success(), "secrets that cannot be listed are not taken for none");
    std::fs::remove_file(account.0.join("hiccup")).expect("a file");
    let again = account.deploy();
    assert!(again.status.success(), "{again:?}");
    assert_eq!(account.file("token"), token, "an upgrade keeps the admin token");
    std::fs::write(account.0.join("broken"), "").expect("a file");
    let broken = account.deploy();
    assert!(!broken.status.success() && text(&broken.stderr).contains("nothing was uploaded"), "{broken:?}");
    let calls = account.file("calls");
    let (migrations, uploads) =
        (calls.matches("d1 migrations apply").count(), calls.matches("deploy --config").count());
    assert_eq!((migrations, uploads), (4, 3), "a database that was not migrated gets no new Worker: {calls}");
    let order = ["d1 migrations apply", "deploy --config"].map(|call| calls.find(call).expect("a call"));
    assert!(order[0] < order[1], "the database first: {calls}");
    assert_eq!(calls.matches("d1 create").count(), 2, "one refused, one done: {calls}");
    assert_eq!(calls.matches("secret put").count(), 1, "{calls}");
    assert!(!calls.contains("seed"), "{calls}");
    let deployed = account.file("deployed.toml");
    assert!(!deployed.contains("ESTOP_LOCAL") && !deployed.contains("ADMIN_TOKEN"), "{deployed}");
    assert!(!Path::new(env!("CARGO_MANIFEST_DIR")).join("wrangler.deploy.toml").exists());
}
