//! The npm packages, installed by npm, pnpm and Yarn without any script.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::machine::{Shop, packed, registry, succeeds, variable};
use crate::support::Running;

const VERSION: &str = concat!("estop ", env!("CARGO_PKG_VERSION"));

#[cfg(target_arch = "x86_64")]
const PLATFORM: &str = "linux-x64";
#[cfg(target_arch = "aarch64")]
const PLATFORM: &str = "linux-arm64";

#[test]
fn npm_brings_this_platforms_binary_and_links_straight_to_it() {
    let shop = Shop::new();
    shop.npm_installs(&["estop"]);
    let installed = fs::read_dir(shop.file("node_modules/@estop")).expect("a package").count();
    assert_eq!(installed, 1, "the other platforms' packages");
    let linked = fs::canonicalize(shop.file("node_modules/.bin/estop")).expect("a link");
    assert!(linked.ends_with(format!("@estop/cli-{PLATFORM}/bin/estop")), "{}", linked.display());
    assert!(succeeds(shop.npx().arg("--version")).contains(VERSION));
    shop.stops_a_run(|| shop.npx());
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
fn a_platform_without_a_package_is_told_what_to_do() {
    let shop = Shop::new();
    let omitted = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional", "estop"];
    succeeds(shop.command("npm").args(omitted));
    let ended = Running::of(shop.npx().arg("--version")).end().expect_code(126);
    let missing = format!("estop: the package @estop/cli-{PLATFORM} is not installed.");
    assert!(ended.stderr.contains(&missing) && ended.stderr.contains("--include=optional"), "{ended:?}");
    shop.write("windows.cjs", "Object.defineProperty(process, 'platform', { value: 'win32' });");
    let mut command = shop.command("node");
    let ended = Running::of(command.args(["--require", "./windows.cjs", "node_modules/estop/bin/estop"])).end();
    let ended = ended.expect_code(126);
    assert!(ended.stderr.contains("there is no binary for win32-x64") && ended.stderr.contains("WSL"), "{ended:?}");
}

/// The package.json of an archive.
fn manifest(archive: &Path) -> Value {
    let mut tar = std::process::Command::new("tar");
    let manifest = succeeds(tar.arg("-xzOf").arg(archive).arg("package/package.json"));
    serde_json::from_str(&manifest).expect("JSON")
}

#[test]
fn every_package_has_the_version_and_the_licence_and_no_script() {
    let folder = variable("ESTOP_TEST_DIST");
    let files = fs::read_dir(folder).expect("packages").map(|entry| entry.expect("a file").path());
    let archives: Vec<_> = files.filter(|file| file.extension().is_some_and(|extension| extension == "tgz")).collect();
    assert!(archives.len() >= 3, "one for a platform, estop and the reporter: {archives:?}");
    for archive in archives {
        let manifest = manifest(&archive);
        assert!(manifest.get("scripts").is_none() && manifest["version"] == env!("CARGO_PKG_VERSION"), "{manifest}");
        let files = succeeds(std::process::Command::new("tar").arg("-tzf").arg(&archive));
        assert!(files.contains("package/LICENSE") && files.contains("package/README.md"), "{files}");
        assert_eq!(files.contains("package/bin/estop"), manifest.get("bin").is_some(), "{files}");
    }
}

#[test]
fn a_package_for_a_platform_says_which_and_estop_depends_on_all_of_them() {
    let (os, cpu) = PLATFORM.split_once('-').expect("two");
    let archive = packed(&format!("estop-cli-{PLATFORM}-"), ".tgz");
    let of_platform = manifest(&archive);
    assert_eq!((&of_platform["os"], &of_platform["cpu"]), (&json!([os]), &json!([cpu])), "{of_platform}");
    // It is static, and runs with every C library.
    assert!(of_platform.get("libc").is_none() && of_platform.get("dependencies").is_none(), "{of_platform}");
    let estop = manifest(&packed("estop-0", ".tgz"));
    let all = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];
    let all = all.map(|platform| (format!("@estop/cli-{platform}"), json!(env!("CARGO_PKG_VERSION"))));
    assert_eq!(estop["optionalDependencies"], Value::Object(all.into_iter().collect()), "{estop}");
    assert!(estop.get("dependencies").is_none(), "{estop}");
}
