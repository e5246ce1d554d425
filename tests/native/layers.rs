//! The architecture, executable: arrows go one way, and each kind of text has one place.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).expect("a file");
            found.push((path, text));
        }
    }
    found
}

fn source_files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&root)
        .into_iter()
        .map(|(path, text)| {
            let name = path.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
            let code: String = text
                .split("#[cfg(test)]")
                .next()
                .unwrap_or_default()
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(|line| format!("{line}\n"))
                .collect();
            (name, code)
        })
        .collect()
}

/// From the bottom up. A module uses modules of lower rows only (and its own).
const LAYERS: [&[&str]; 11] = [
    &["run", "buckets", "recent", "access"],
    &["key"],
    &["last_use"],
    &["config", "session"],
    &["runtime", "database"],
    &["lease"],
    &["http"],
    &["archive", "hub", "webhooks"],
    &["operations"],
    &["sweeper"],
    &["edge"],
];

fn layer(module: &str) -> usize {
    LAYERS.iter().position(|row| row.contains(&module)).unwrap_or_else(|| panic!("`{module}` has no layer"))
}

#[test]
fn arrows_point_one_way() {
    for (name, code) in source_files() {
        let module = name.trim_end_matches(".rs").split('/').next().unwrap_or_default().to_owned();
        if module == "lib" {
            continue;
        }
        for used in code.split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // An error says which migration is missing, so these two are one layer.
            let one_layer = [module.as_str(), &used].iter().all(|m| ["runtime", "database"].contains(m));
            assert!(used == module || one_layer || layer(&used) < layer(&module), "{name} uses crate::{used}");
        }
    }
}

#[test]
fn the_runtime_is_known_under_edge_only() {
    for (name, code) in source_files() {
        if !name.starts_with("edge/") {
            for word in ["worker::", "wasm_bindgen", "js_sys", "web_sys"] {
                assert!(!code.contains(word), "{name} names {word}");
            }
        }
    }
}

/// But for the list's, which depends on the filters given.
#[test]
fn sql_text_is_in_statement_files_only() {
    for (name, code) in source_files().into_iter().filter(|(name, _)| name != "operations/list/statement.rs") {
        for word in ["SELECT ", "UPDATE ", "INSERT ", "DELETE FROM"] {
            assert!(!code.contains(word), "{name} holds {word}");
        }
    }
}

#[test]
fn the_cli_compiles_no_worker() {
    let manifest = include_str!("../../cli/Cargo.toml");
    assert!(!manifest.contains("path = \"..\""), "cli/Cargo.toml depends on the Worker");
}

#[test]
fn nothing_that_input_can_reach_panics() {
    for (name, code) in source_files() {
        for word in [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!("] {
            assert!(!code.contains(word), "{name} holds {word}");
        }
    }
}

#[test]
fn a_file_is_one_concept() {
    for (path, text) in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        assert!(text.lines().count() <= 400, "{} is longer than 400 lines", path.display());
    }
}
