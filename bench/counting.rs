//! A D1 that counts its rows (counting.js), as a service of workerd's.

use std::path::{Path, PathBuf};

use crate::process;

/// What workerd has to find beside its configuration.
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/counting.js")
}

/// The services: `d1`, and the disk that it is on.
pub fn services() -> String {
    format!(
        r#"(name = "d1", worker = (
      modules = [(name = "counting.js", esModule = embed "counting.js")],
      compatibilityDate = {date},
      bindings = [(name = "DATABASE", durableObjectNamespace = (className = "Database"))],
      durableObjectNamespaces = [(className = "Database", uniqueKey = "bench", enableSql = true)],
      durableObjectStorage = (localDisk = "disk")
    )),
    (name = "disk", disk = (path = ".", writable = true))"#,
        date = process::compatibility_date(),
    )
}
