//! Takes the white space out of openapi.json, which people read in the tree, for the Worker, which every cold start loads.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=openapi.json");
    let text = fs::read_to_string("openapi.json")?;
    // What is no JSON stays as it is: a test refuses it, and `make openapi`, which builds this first, can mend it.
    let document = serde_json::from_str(&text).map_or(text, |document: serde_json::Value| document.to_string());
    fs::write(Path::new(&env::var("OUT_DIR")?).join("openapi.json"), document)?;
    Ok(())
}
