//! The document by Redocly's recommended rules.

use crate::tools::{npm_tool, source, succeed};

#[test]
fn the_document_follows_the_recommended_rules() {
    let printed = succeed(
        npm_tool("redocly")
            .args(["lint", "--format", "stylish", "--max-problems", "1000", "openapi.yaml", "--config"])
            .arg(source("tests/conformance/redocly.yaml"))
            .env("REDOCLY_TELEMETRY", "off")
            .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
            .current_dir(source("")),
    );
    // A warning alone does not make it fail.
    assert!(printed.contains("is valid") && !printed.contains("warning  "), "{printed}");
}
