//! The npm packages, installed by npm, pnpm and Yarn without any script.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::client::within;
use crate::machine::{PATIENCE, Shop, packed, registry, source, succeeds, variable};
use crate::support::Running;

const VERSION: &str = concat!("estop ", env!("CARGO_PKG_VERSION"));

#[cfg(target_arch = "x86_64")]
const PLATFORM: &str = "linux-x64";
#[cfg(target_arch = "aarch64")]
const PLATFORM: &str = "linux-arm64";

fn npx(shop: &Shop) -> std::process::Command {
    let mut command = shop.command("npx");
    command.args(["--no", "--", "estop"]);
    command
}

#[test]
fn npm_brings_this_platforms_binary_and_links_straight_to_it() {
    let shop = Shop::new();
    shop.npm_installs_estop();
    let installed = fs::read_dir(shop.file("node_modules/@estop")).expect("a package").count();
    assert_eq!(installed, 1, "the other platforms' packages");
    let linked = fs::canonicalize(shop.file("node_modules/.bin/estop")).expect("a link");
    assert!(linked.ends_with(format!("@estop/cli-{PLATFORM}/bin/estop")), "{}", linked.display());
    assert!(succeeds(npx(&shop).arg("--version")).contains(VERSION));
    shop.stops_a_run(|| npx(&shop));
}

#[test]
fn pnpm_does_too() {
    let shop = Shop::new();
    let pnpm = || {
        let mut command = shop.tool("pnpm/bin/pnpm.cjs");
        command.env("CI", "1").env("PNPM_HOME", shop.file(".pnpm")).env("XDG_DATA_HOME", shop.file(".data"));
        command
    };
    succeeds(pnpm().args(["add", "--save-dev", "--ignore-scripts", "--registry", registry(), "estop"]));
    let estop = || {
        let mut command = pnpm();
        command.args(["exec", "estop"]);
        command
    };
    assert!(succeeds(estop().arg("--version")).contains(VERSION));
    shop.stops_a_run(estop);
}

#[test]
fn yarn_with_plug_n_play_does_too() {
    let shop = Shop::new();
    let yarn = || {
        let mut command = shop.tool("@yarnpkg/cli-dist/bin/yarn.js");
        command.env("YARN_ENABLE_TELEMETRY", "0");
        command
    };
    shop.write("yarn.lock", "");
    shop.write(
        ".yarnrc.yml",
        &format!(
            "nodeLinker: pnp\nenableScripts: false\nenableGlobalCache: false\nunsafeHttpWhitelist: [127.0.0.1]\nnpmRegistryServer: {}\n",
            registry()
        ),
    );
    succeeds(yarn().args(["add", "--dev", "estop"]));
    assert!(shop.file(".pnp.cjs").exists() && !shop.file("node_modules").exists());
    let estop = || {
        let mut command = yarn();
        command.args(["run", "estop"]);
        command
    };
    assert!(succeeds(estop().arg("--version")).contains(VERSION));
    shop.stops_a_run(estop);
}

#[test]
fn a_playwright_project_without_rust_is_stopped() {
    let shop = Shop::new();
    for file in ["playwright.config.js", "checkout.spec.js"] {
        fs::copy(source("cli/tests/playwright").join(file), shop.file(file)).expect("a copy");
    }
    shop.npm_installs_estop();
    let installed = Path::new(&variable("ESTOP_TEST_PLAYWRIGHT")).join("node_modules");
    for package in ["@playwright", "playwright", "playwright-core"] {
        symlink(installed.join(package), shop.file("node_modules").join(package)).expect("a link");
    }
    symlink(installed.join("playwright/cli.js"), shop.file("node_modules/.bin/playwright")).expect("a link");
    fs::create_dir(shop.file("out")).expect("a folder");
    let mut command = npx(&shop);
    command.args(["run", "--environment", "staging", "--grace", "60", "--", "npx", "--no", "playwright", "test"]);
    let mut running = Running::of(command.env("FIXTURE_OUT", shop.file("out")));
    within(PATIENCE, "two slow tests", || {
        let slow = fs::read_to_string(shop.file("out/slow")).unwrap_or_default();
        (slow.lines().count() == 2 || !running.is_running()).then_some(())
    });
    let id = running.id();
    succeeds(npx(&shop).args(["cancel", &id.to_string(), "--reason", "wrong branch", "--wait"]));
    let ended = running.end_within(PATIENCE).expect_code(120);
    assert!(shop.file("out/report.json").exists(), "{ended:?}");
    assert_eq!(shop.project.show(id)["stop"]["outcome"], "graceful");
}

#[test]
fn a_platform_without_a_package_is_told_what_to_do() {
    let shop = Shop::new();
    let omitted = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional", "estop"];
    succeeds(shop.command("npm").args(omitted));
    let ended = Running::of(npx(&shop).arg("--version")).end().expect_code(126);
    let missing = format!("estop: the package @estop/cli-{PLATFORM} is not installed.");
    assert!(ended.stderr.contains(&missing) && ended.stderr.contains("--include=optional"), "{ended:?}");
    shop.write("windows.cjs", "Object.defineProperty(process, 'platform', { value: 'win32' });");
    let mut command = shop.command("node");
    let ended = Running::of(command.args(["--require", "./windows.cjs", "node_modules/estop/bin/estop"])).end();
    let ended = ended.expect_code(126);
    assert!(ended.stderr.contains("there is no binary for win32-x64") && ended.stderr.contains("WSL"), "{ended:?}");
}

#[test]
fn no_package_has_a_script_and_every_one_has_the_licence() {
    for package in ["estop-0", "estop-cli-linux-x64-"] {
        let archive = packed(package, ".tgz");
        let mut tar = std::process::Command::new("tar");
        let manifest = succeeds(tar.arg("-xzOf").arg(&archive).arg("package/package.json"));
        let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
        assert!(manifest.get("scripts").is_none() && manifest["version"] == env!("CARGO_PKG_VERSION"), "{manifest}");
        let mut tar = std::process::Command::new("tar");
        let files = succeeds(tar.arg("-tzf").arg(&archive));
        assert!(files.contains("package/LICENSE") && files.contains("package/bin/estop"), "{files}");
    }
}
