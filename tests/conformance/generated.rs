//! A TypeScript client, generated from the document: it compiles under --strict and stops a run.

use std::fs;
use std::os::unix::fs::symlink;

use crate::tools::{Scratch, node, node_modules, npm_tool, source, succeed};
use crate::workerd::Rig;

#[test]
fn a_generated_client_compiles_and_cancels_a_run() {
    let scratch = Scratch::new();
    let folder = &scratch.0;
    for file in ["cancel.ts", "tsconfig.json"] {
        fs::copy(source("tests/conformance/typescript").join(file), folder.join(file)).expect("a copy");
    }
    symlink(node_modules(), folder.join("node_modules")).expect("a link");
    succeed(
        npm_tool("openapi-ts")
            .args(["--client", "@hey-api/client-fetch", "--output", "client", "--no-log-file", "--input"])
            .arg(source("openapi.yaml"))
            .current_dir(folder),
    );
    succeed(npm_tool("tsc").current_dir(folder));
    let rig = Rig::start();
    let project = rig.project();
    let printed =
        succeed(node().args(["out/cancel.js", &rig.server.url]).env("ESTOP_KEY", &project.key).current_dir(folder));
    let id: i64 = printed.trim().parse().unwrap_or_else(|_| panic!("no id: {printed}"));
    let run = project.show(id);
    assert_eq!((run["state"].as_str(), run["cancel"]["reason"].as_str()), (Some("cancelled"), Some("wrong branch")));
}
