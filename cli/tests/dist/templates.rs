//! The YAML that others run, held to the schemas of the systems that run it: the action, the workflows, and what
//! docs/ci.md shows.

use std::fs;
use std::process::{Command, Output};

use crate::machine::{source, variable};
use crate::support::Scratch;

/// The files that docs/ci.md shows, and the schema of each.
const SCHEMAS: [(&str, &str); 4] = [
    (".github/workflows/e2e.yml", "vendor.github-workflows"),
    (".gitlab-ci.yml", "vendor.gitlab-ci"),
    (".circleci/config.yml", "vendor.circle-ci"),
    (".buildkite/pipeline.yml", "vendor.buildkite"),
];

/// A YAML block of docs/ci.md: the file that its first line names, and its text.
struct Template {
    file: String,
    text: String,
}

fn templates() -> Vec<Template> {
    let document = fs::read_to_string(source("docs/ci.md")).expect("docs/ci.md");
    let blocks = document.split("```yaml\n").skip(1);
    let template = |block: &str| {
        let (text, _) = block.split_once("```").expect("an end");
        let first = text.lines().next().unwrap_or_default();
        let file = first.strip_prefix("# ").unwrap_or_else(|| panic!("no file is named by: {first}"));
        Template { file: file.split([':', ',']).next().unwrap_or_default().to_owned(), text: text.to_owned() }
    };
    blocks.map(template).collect()
}

fn check(schema: &str, text: &str) -> Output {
    let scratch = Scratch::new();
    let file = scratch.0.join("file.yml");
    fs::write(&file, text).expect("a file");
    let mut command = Command::new("python3");
    command.args(["-m", "check_jsonschema", "--builtin-schema", schema]).arg(file);
    if schema == "vendor.gitlab-ci" {
        command.args(["--data-transform", "gitlab-ci"]);
    }
    command.env("PYTHONPATH", variable("DIST_PACKAGES")).output().expect("python3")
}

#[test]
fn every_template_is_valid_where_it_is_pasted() {
    let templates = templates();
    for (file, schema) in SCHEMAS {
        let mut shown = templates.iter().filter(|template| template.file == file).peekable();
        assert!(shown.peek().is_some(), "docs/ci.md shows no {file}");
        for template in shown {
            let checked = check(schema, &template.text);
            assert!(checked.status.success(), "{}\n{checked:?}", template.text);
        }
    }
    let strange: Vec<_> =
        templates.iter().filter(|shown| SCHEMAS.iter().all(|(file, _)| shown.file != *file)).collect();
    assert!(strange.is_empty(), "no schema for {:?}", strange.iter().map(|shown| &shown.file).collect::<Vec<_>>());
}

#[test]
fn a_template_with_a_mistake_would_be_noticed() {
    for (schema, mistaken) in [
        ("vendor.github-workflows", "on: push\njobs:\n  e2e:\n    runs-on: x\n    stpes: []\n"),
        ("vendor.gitlab-ci", "e2e:\n  script: [true-ish]\n  paralel: 4\n  parallel: many\n"),
        ("vendor.circle-ci", "version: 2.1\njobs:\n  e2e:\n    parallelism: many\n    steps: []\n"),
        ("vendor.buildkite", "steps:\n  - command: x\n    parallelism: many\n"),
    ] {
        let checked = check(schema, mistaken);
        assert!(!checked.status.success(), "{schema}: {checked:?}");
        assert!(String::from_utf8_lossy(&checked.stdout).contains("Schema validation errors"), "{checked:?}");
    }
}

fn validate(file: &std::path::Path) -> Output {
    let validator = format!("{}/@action-validator/cli/cli.mjs", variable("DIST_NODE_MODULES"));
    Command::new("node").arg(validator).arg(file).current_dir(source("")).output().expect("node")
}

#[test]
fn the_action_and_the_workflows_are_valid() {
    let scratch = Scratch::new();
    let validated = validate(&source("action.yml"));
    assert!(validated.status.success(), "{validated:?}");
    let workflow = fs::read_to_string(source(".github/workflows/release.yml")).expect("a workflow");
    let checked = check("vendor.github-workflows", &workflow);
    assert!(checked.status.success(), "{checked:?}");
    // The validator's schema is older than this permission.
    let older = scratch.0.join("release.yml");
    fs::write(&older, workflow.replace("      attestations: write\n", "")).expect("a file");
    let validated = validate(&older);
    assert!(validated.status.success(), "{validated:?}");
    let broken = scratch.0.join("action.yml");
    fs::write(&broken, "name: x\ndescription: x\nruns:\n  using: composite\n  stpes: []\n").expect("a file");
    assert!(!validate(&broken).status.success());
}

#[test]
fn actions_of_others_are_pinned_to_a_commit() {
    let workflow = fs::read_to_string(source(".github/workflows/release.yml")).expect("a workflow");
    let used: Vec<_> =
        workflow.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: ")).collect();
    assert!(!used.is_empty());
    for used in used {
        let (_, pin) = used.split_once('@').expect("a pin");
        let (commit, comment) = pin.split_at(40.min(pin.len()));
        assert!(commit.bytes().all(|byte| byte.is_ascii_hexdigit()) && comment.starts_with(" # v"), "{used}");
    }
}
