//! The wheels, and the binaries in them.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::machine::{Shop, packed, succeeds, variable};

/// A virtual environment with pytest in it, into which pip installs these wheels.
pub fn environment(shop: &Shop, wheels: &[PathBuf]) -> PathBuf {
    let venv = shop.file("venv");
    succeeds(shop.command("python3").args(["-m", "venv", "--without-pip"]).arg(&venv));
    let python = venv.join("bin/python");
    let python = || shop.command(python.to_str().expect("a path"));
    // pytest, and pip, are where scripts/setup has put them.
    let packages = succeeds(python().args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]));
    fs::write(Path::new(packages.trim()).join("pytest.pth"), variable("DIST_PYTEST")).expect("a file");
    let script =
        format!("#!{}/bin/python\nfrom pytest import console_main\nraise SystemExit(console_main())\n", venv.display());
    fs::write(venv.join("bin/pytest"), script).expect("a script");
    fs::set_permissions(venv.join("bin/pytest"), Permissions::from_mode(0o755)).expect("a script");
    succeeds(python().args(["-m", "pip", "install", "--no-index", "--disable-pip-version-check"]).args(wheels));
    venv
}

/// The wheel for this machine.
pub fn wheel() -> PathBuf {
    packed("estop-", &format!("{ARCH}.whl"))
}

#[test]
fn pip_brings_the_binary_and_it_stops_a_run() {
    let shop = Shop::new();
    let estop = environment(&shop, &[wheel()]).join("bin/estop");
    let estop = || shop.command(estop.to_str().expect("a path"));
    assert!(succeeds(estop().arg("--version")).contains(env!("CARGO_PKG_VERSION")));
    shop.stops_a_run(estop);
}

#[test]
fn pip_finds_a_wheel_whatever_the_c_library() {
    let shop = Shop::new();
    let dist = variable("ESTOP_TEST_DIST");
    for (platform, there) in [
        ("manylinux2014_x86_64", true),
        ("musllinux_1_1_x86_64", true),
        ("manylinux2014_aarch64", has_arm64()),
        ("musllinux_1_1_aarch64", has_arm64()),
        ("win_amd64", false),
    ] {
        let mut pip = shop.command("python3");
        pip.args(["-m", "pip", "download", "--disable-pip-version-check", "--no-index", "--only-binary", ":all:"]);
        pip.args(["--find-links", &dist, "--platform", platform, "--dest", "downloaded", "estop"]);
        let ended = pip.output().expect("pip");
        assert_eq!(ended.status.success(), there, "{platform}: {ended:?}");
    }
}

/// Whether scripts/dist was asked for it.
fn has_arm64() -> bool {
    fs::exists(format!("{}/estop-linux-arm64", variable("ESTOP_TEST_DIST"))).expect("a folder")
}

#[test]
fn the_binaries_are_small_and_need_no_library() {
    let machines = BTreeMap::from([("estop-linux-x64", 62_u16), ("estop-linux-arm64", 183)]);
    for (name, machine) in machines.into_iter().filter(|(name, _)| !name.ends_with("arm64") || has_arm64()) {
        let binary = fs::read(packed(name, "")).expect("a binary");
        assert!(binary.len() <= 6_000_000, "{name} has {} bytes", binary.len());
        // ELF of 64 bits, least significant byte first: the machine, then where the program headers are and how many.
        assert_eq!(&binary[..6], b"\x7fELF\x02\x01", "{name}");
        let number = |at: usize, length: usize| {
            let bytes = binary[at..at + length].iter().rev();
            bytes.fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
        };
        assert_eq!(number(18, 2), usize::from(machine), "{name}");
        let (start, size, count) = (number(32, 8), number(54, 2), number(56, 2));
        // PT_INTERP (3) names the dynamic linker that a program is loaded by.
        assert!((0..count).all(|header| number(start + header * size, 4) != 3), "{name} is not static");
    }
}

#[test]
fn the_sums_are_those_of_every_file() {
    let shop = Shop::new();
    let dist = variable("ESTOP_TEST_DIST");
    succeeds(shop.command("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&dist));
    let sums = fs::read_to_string(format!("{dist}/SHA256SUMS")).expect("sums");
    assert_eq!(sums.lines().count() + 1, fs::read_dir(&dist).expect("a folder").count(), "{sums}");
}
