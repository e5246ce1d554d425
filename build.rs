//! What the Worker carries is made from what people read: openapi.yaml becomes the compact JSON that it serves, and each
//! statement file loses its comments and indentation, which would be 6 KB of the upload and be sent with every request.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

type Anyhow = Result<(), Box<dyn Error>>;

fn main() -> Anyhow {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=openapi.yaml");
    let document: serde_json::Value = serde_norway::from_str(&fs::read_to_string("openapi.yaml")?)?;
    fs::write(out.join("openapi.json"), document.to_string())?;
    println!("cargo::rerun-if-changed=src");
    statements(Path::new("src"), &out.join("sql"))
}

/// Writes what is sent of the statement files in `folder`, each at its path below `src`, or below `src/operations`.
fn statements(folder: &Path, out: &Path) -> Anyhow {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            statements(&path, out)?;
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            let name = path.strip_prefix("src")?;
            let target = out.join(name.strip_prefix("operations").unwrap_or(name));
            fs::create_dir_all(target.parent().ok_or("no folder")?)?;
            fs::write(target, statement(&fs::read_to_string(&path)?))?;
        }
    }
    Ok(())
}

/// A statement as it is sent. No text in it begins a line with blanks or a comment; a test compares.
fn statement(file: &str) -> String {
    let lines: Vec<&str> =
        file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--")).collect();
    lines.join("\n")
}
