//! What estop is measured beside, each as the files that one would upload and its place in workerd's configuration.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use estop::operations::list::statement::{Filter, list};
use serde_json::json;

use crate::client::ADMIN;
use crate::counting;
use crate::process::{self, Workerd};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// The Worker that `make build` left.
    Estop,
    /// TypeScript with Hono, one query after the other.
    Typical,
    /// TypeScript with Hono around our batch.
    Best,
    /// Bare JavaScript around our batch, which checks nothing.
    Floor,
}

pub const PEERS: [Peer; 4] = [Peer::Estop, Peer::Typical, Peer::Best, Peer::Floor];

impl Peer {
    /// As the table has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Estop => "estop",
            Self::Typical => "typical",
            Self::Best => "best TypeScript",
            Self::Floor => "floor",
        }
    }

    fn module(self) -> &'static str {
        match self {
            Self::Estop => "index",
            Self::Typical => "typical",
            Self::Best => "best",
            Self::Floor => "floor",
        }
    }
}

/// Names the folder of another build of estop, which then takes the place of the typical Worker: two builds of ours in one
/// interleaved run.
pub const AGAINST: &str = "ESTOP_BENCH_AGAINST";

/// The peers, built.
pub struct Built {
    files: BTreeMap<Peer, Vec<PathBuf>>,
    folder: PathBuf,
    /// Hono's version.
    pub hono: String,
}

impl Built {
    /// Bundles the peers as wrangler would, with esbuild, around the very texts of our statements.
    pub fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shown = Command::new(root.join("scripts/setup")).arg("--bench").output().expect("scripts/setup");
        assert!(shown.status.success(), "scripts/setup failed: {}", String::from_utf8_lossy(&shown.stderr));
        let modules = PathBuf::from(String::from_utf8(shown.stdout).expect("a path").trim()).join("node_modules");
        let hono = fs::read_to_string(modules.join("hono/package.json")).expect("Hono");
        let hono: serde_json::Value = serde_json::from_str(&hono).expect("JSON");
        let folder = std::env::temp_dir().join(format!("estop-bench-{}", crate::client::unique()));
        fs::create_dir(&folder).expect("a folder");
        let filter = Filter::default();
        let [head, items] = list(&filter, "", 0, 0, 20);
        // As build.rs has made them.
        macro_rules! statement {
            ($file:literal) => {
                include_str!(concat!(env!("OUT_DIR"), "/sql/", $file))
            };
        }
        let statements = json!({
            "cancel": statement!("cancel/cancel.sql"),
            "diagnose_cancel": statement!("cancel/diagnose.sql"),
            "renew": statement!("heartbeat/renew.sql"),
            "diagnose_heartbeat": statement!("heartbeat/diagnose.sql"),
            "show": statement!("show/show.sql"),
            "list_head": head.text, "list_items": items.text,
        });
        fs::write(folder.join("statements.json"), statements.to_string()).expect("a file");
        for name in ["common", "typical", "best", "floor"] {
            let file = format!("{name}.ts");
            fs::copy(root.join("bench/peers").join(&file), folder.join(&file)).expect("a peer");
        }
        let mut files = BTreeMap::from([(Peer::Estop, process::built().to_vec())]);
        let another = std::env::var(AGAINST).map(PathBuf::from);
        for peer in [Peer::Typical, Peer::Best, Peer::Floor] {
            let name = peer.module();
            let bundled = Command::new(process::tool("esbuild"))
                .args([&format!("{name}.ts"), "--bundle", "--minify", "--format=esm", "--target=esnext"])
                .arg(format!("--outfile={name}.js"))
                .env("NODE_PATH", &modules)
                .current_dir(&folder)
                .output()
                .expect("esbuild");
            assert!(bundled.status.success(), "{}", String::from_utf8_lossy(&bundled.stderr));
            files.insert(peer, vec![folder.join(format!("{name}.js"))]);
        }
        if let Ok(build) = another {
            files.insert(Peer::Typical, ["index.js", "index_bg.wasm"].map(|name| build.join(name)).to_vec());
        }
        Self { files, folder, hono: hono["version"].as_str().expect("a version").to_owned() }
    }

    /// The files that one would upload.
    pub fn files(&self, peer: Peer) -> &[PathBuf] {
        &self.files[&peer]
    }

    /// Bytes of those files, and bytes of each gzipped, summed.
    pub fn size(&self, peer: Peer) -> (usize, usize) {
        process::size(self.files(peer))
    }

    /// Starts a workerd with this peer alone, over the D1 at `address`.
    pub fn start(&self, peer: Peer, address: &str) -> Workerd {
        let config = format!(
            r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "peer", worker = {worker}),
    {hubs},
    (name = "d1", external = (address = "{address}", http = ()))
  ],
  sockets = [(name = "peer", address = "127.0.0.1:0", http = (), service = "peer")]
);
"#,
            worker = worker(peer),
            hubs = process::HUBS,
        );
        Workerd::start(&config, self.files(peer), &["peer"])
    }

    /// Starts one workerd with all of them over a D1 that counts rows, and sockets `database`, `driver` and one a peer.
    pub fn start_counted(&self) -> Workerd {
        let mut files = vec![counting::file()];
        let (mut services, mut sockets) = (String::new(), String::new());
        for peer in PEERS {
            let name = peer.module();
            files.extend_from_slice(self.files(peer));
            let _ = writeln!(services, "(name = \"{name}\", worker = {}),", worker(peer));
            let _ =
                writeln!(sockets, "(name = \"{name}\", address = \"127.0.0.1:0\", http = (), service = \"{name}\"),");
        }
        let config = format!(
            r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    {services}
    {d1},
    {hubs},
    (name = "driver", worker = {driver})
  ],
  sockets = [
    {sockets}
    (name = "database", address = "127.0.0.1:0", http = (), service = "d1"),
    (name = "driver", address = "127.0.0.1:0", http = (), service = "driver")
  ]
);
"#,
            d1 = counting::services(),
            driver = process::driver("index"),
            hubs = process::HUBS,
        );
        let names = PEERS.map(Peer::module);
        Workerd::start(&config, &files, &[&names[..], &["database", "driver"]].concat())
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Where a peer is, among all of them in one workerd.
pub fn socket(peer: Peer) -> &'static str {
    peer.module()
}

fn worker(peer: Peer) -> String {
    if peer == Peer::Estop || (peer == Peer::Typical && std::env::var_os(AGAINST).is_some()) {
        return process::estop("d1", ADMIN, |_| None);
    }
    format!(
        r#"(modules = [(name = "{name}.js", esModule = embed "{name}.js")], compatibilityDate = {date}, bindings = [{d1}])"#,
        name = peer.module(),
        date = process::compatibility_date(),
        d1 = process::d1("d1"),
    )
}
