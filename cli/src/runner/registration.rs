//! The body of a registration, from facts and flags.

use serde_json::{Map, Number, Value, json};

use super::ci::Facts;

/// A `NAME=VALUE` of `--metadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// A string or a number.
    pub value: Value,
}

impl std::str::FromStr for Metadata {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self { name: name.to_owned(), value: number_or_text(value) }),
            _ => Err("expected NAME=VALUE".to_owned()),
        }
    }
}

/// A number if it reads the same when written back and every JSON reader holds it exactly, else the text: a commit
/// `12e4` and a build `007` are no numbers.
pub fn number_or_text(value: &str) -> Value {
    let number = value.parse::<Number>().ok().filter(|n| n.to_string() == value);
    let exact = |n: &Number| n.as_i64().map_or(n.is_f64(), |n| n.unsigned_abs() <= estop::wire::MAX_ID.unsigned_abs());
    match number {
        Some(number) if exact(&number) => Value::Number(number),
        _ => Value::String(value.to_owned()),
    }
}

/// What a run is registered with, beyond [`Facts`].
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The environment's slug.
    pub environment: String,
    /// The version under test.
    pub build_version: Option<String>,
    /// Words that say what kind of run it is.
    pub tags: Vec<String>,
    /// Names and values of the caller's own.
    pub metadata: Vec<Metadata>,
    /// How many shards report.
    pub shards: Option<i64>,
    /// Whether no newer run may take its place.
    pub protected: bool,
}

/// The body of `PUT /api/test-runs`.
pub fn body(facts: &Facts, flags: &Flags) -> Value {
    let mut body = Map::new();
    body.insert("environment".to_owned(), json!(flags.environment));
    let mut build = Map::new();
    for (name, value) in [
        ("url", &facts.build_url),
        ("commit", &facts.commit),
        ("commit_url", &facts.commit_url),
        ("version", &flags.build_version),
    ] {
        if let Some(value) = value {
            build.insert(name.to_owned(), json!(value));
        }
    }
    // The API takes a branch alone or in a build, never both.
    if let Some(branch) = &facts.branch {
        let holder = if build.is_empty() { &mut body } else { &mut build };
        holder.insert("branch".to_owned(), json!(branch));
    }
    if !build.is_empty() {
        body.insert("build".to_owned(), Value::Object(build));
    }
    let mut metadata = Map::new();
    if let Some(id) = &facts.run_id {
        metadata.insert("ci_run_id".to_owned(), number_or_text(id));
    }
    metadata.extend(flags.metadata.iter().map(|m| (m.name.clone(), m.value.clone())));
    if !metadata.is_empty() {
        body.insert("metadata".to_owned(), Value::Object(metadata));
    }
    if !flags.tags.is_empty() {
        body.insert("tags".to_owned(), json!(flags.tags));
    }
    if let Some(actor) = &facts.actor {
        body.insert("github_actor".to_owned(), json!(actor));
    }
    if let Some(shards) = flags.shards {
        body.insert("total_shards".to_owned(), json!(shards));
    }
    if flags.protected {
        body.insert("protected".to_owned(), json!(true));
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_numbers_and_look_alikes_stay_texts() {
        for (text, value) in [
            ("7", json!(7)),
            ("-3", json!(-3)),
            ("1.5", json!(1.5)),
            ("9007199254740991", json!(9_007_199_254_740_991_i64)),
        ] {
            assert_eq!(number_or_text(text), value, "{text}");
        }
        for text in
            ["", "007", "12e4", "1.", "+1", "NaN", " 7", "0x1", "9007199254740992", "123456789012345678901", "1.10"]
        {
            assert_eq!(number_or_text(text), json!(text), "{text}");
        }
    }

    #[test]
    fn metadata_is_a_name_and_a_value() {
        let read = |text: &str| text.parse::<Metadata>().map(|m| (m.name, m.value));
        assert_eq!(read("a=b=c"), Ok(("a".to_owned(), json!("b=c"))));
        assert_eq!(read("a="), Ok(("a".to_owned(), json!(""))));
        assert!(read("a").is_err() && read("=b").is_err() && read("").is_err());
    }

    #[test]
    fn a_branch_travels_alone_or_in_a_build_never_both() {
        let flags = Flags { environment: "staging".into(), ..Flags::default() };
        let facts = Facts { branch: Some("main".into()), ..Facts::default() };
        assert_eq!(body(&facts, &flags), json!({"environment": "staging", "branch": "main"}));
        let facts = Facts { commit: Some("c0ffee".into()), ..facts };
        assert_eq!(
            body(&facts, &flags),
            json!({"environment": "staging", "build": {"branch": "main", "commit": "c0ffee"}})
        );
    }

    #[test]
    fn a_flag_outweighs_the_ci_systems_run_id() {
        let facts = Facts { run_id: Some("19283746".into()), ..Facts::default() };
        let mut flags = Flags { environment: "staging".into(), ..Flags::default() };
        assert_eq!(body(&facts, &flags)["metadata"], json!({"ci_run_id": 19_283_746}));
        flags.metadata.push(Metadata { name: "ci_run_id".into(), value: json!("mine") });
        assert_eq!(body(&facts, &flags)["metadata"], json!({"ci_run_id": "mine"}));
    }
}
