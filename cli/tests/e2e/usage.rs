//! What the command line says about itself. These need no service.

use crate::support::{Ended, Running, estop};

const NOWHERE: &str = "http://127.0.0.1:1";

fn with_url(url: Option<&str>, arguments: &[&str]) -> Ended {
    let mut command = estop(NOWHERE, "a-key");
    match url {
        Some(url) => command.env("ESTOP_URL", url),
        None => command.env_remove("ESTOP_URL"),
    };
    Running::of(command.args(arguments)).end()
}

#[test]
fn a_usage_line_shows_no_url_whether_or_not_the_environment_has_one() {
    for arguments in [
        &["show"][..],
        &["show", "0"],
        &["cancel"],
        &["cancel", "7", "--branch", "main"],
        &["run", "-e", "staging"],
        &["keys", "create"],
        &["projects", "limit"],
        &["nonsense"],
    ] {
        let with = with_url(Some(NOWHERE), arguments).expect_code(2);
        let without = with_url(None, arguments).expect_code(2);
        assert!(!with.stderr.contains("url"), "{with:?}");
        assert_eq!(with.stderr, without.stderr);
    }
}

#[test]
fn the_address_is_the_flags_or_the_environments_or_this_machines() {
    for (url, flag, address) in [
        (Some("http://127.0.0.1:1"), &["--url", "http://127.0.0.1:2"][..], "http://127.0.0.1:2"),
        (Some("http://127.0.0.1:1"), &[], "http://127.0.0.1:1"),
    ] {
        let arguments = [&["wait", "7", "--timeout", "0"], flag].concat();
        let ended = with_url(url, &arguments).expect_code(124);
        assert!(ended.stderr.contains(&format!("no response from {address}")), "{ended:?}");
    }
    let ended = with_url(Some(""), &["wait", "7"]).expect_code(2);
    assert!(ended.stderr.contains("ESTOP_URL is not a valid URL"), "{ended:?}");
    let ended = with_url(None, &["show", "--help"]).expect_code(0);
    assert!(ended.stdout.contains("ESTOP_URL") && ended.stdout.contains("http://127.0.0.1:8787"), "{ended:?}");
}
