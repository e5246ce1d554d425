//! The Worker's size: every cold start loads it. What people ask for on the page (sessions, cancels, analytics, badges, filters) is
//! 45 KB of it, 5 KB of that the document; Cloudflare Access and the people whom it lets in are 18 KB; webhooks
//! are 36 KB, what goes to GitHub is 7 KB more, and the moving of buckets is 45 KB.

use crate::process;

#[test]
fn the_upload_stays_within_its_budget() {
    let budget: serde_json::Value = serde_json::from_str(include_str!("../budget.json")).expect("the budget");
    let most = budget["upload, gzipped bytes"].as_u64().expect("a number");
    let (bytes, gzipped) = process::size(&process::built());
    println!("upload: {bytes} bytes, {gzipped} gzipped, of {most}");
    assert!(gzipped as u64 <= most, "{gzipped} bytes gzipped, the budget is {most}");
}
