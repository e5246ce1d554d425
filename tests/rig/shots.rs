//! What to send to a service that trusts nobody: requests over all routes in which any part may be wrong.

use estop::http::operation::Access;
use estop::operations::OPERATIONS;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::raw;

/// How a body comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Length,
    Chunked,
    /// In chunks, with another length announced.
    Both,
    /// More is announced than comes.
    Short,
    /// In chunks, and the last never comes.
    Unended,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Shot {
    pub method: &'static str,
    pub target: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub framing: Framing,
}

impl Shot {
    /// Whether it is sent to its end.
    pub fn whole(&self) -> bool {
        matches!(self.framing, Framing::Length | Framing::Chunked | Framing::Both)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: estop", self.method, self.target);
        for (name, value) in &self.headers {
            head += &format!("\r\n{name}: {value}");
        }
        match self.framing {
            Framing::Chunked => raw::chunked(&head, &self.body, true),
            Framing::Both => raw::chunked(&format!("{head}\r\nContent-Length: 7"), &self.body, true),
            Framing::Unended => raw::chunked(&head, &self.body, false),
            Framing::Length if self.body.is_empty() && self.method == "GET" => (head + "\r\n\r\n").into_bytes(),
            Framing::Length | Framing::Short => {
                let missing = if self.framing == Framing::Short { 10 } else { 0 };
                let head = format!("{head}\r\nContent-Length: {}\r\n\r\n", self.body.len() + missing);
                [head.as_bytes(), &self.body].concat()
            }
        }
    }
}

/// What of the service a shot may name rightly.
#[derive(Debug, Clone)]
pub struct Known {
    pub key: String,
    /// Runs with their leases, and one of another project.
    pub runs: Vec<(i64, String)>,
}

pub fn shots(known: Known) -> impl Strategy<Value = Shot> {
    let Known { key, runs } = known;
    (select(OPERATIONS), select(runs)).prop_flat_map(move |(operation, (id, lease))| {
        let (method, path) = (operation.method.name(), operation.pattern);
        let is_admin = matches!(operation.access, Access::Admin(_));
        let token = if is_admin { crate::client::ADMIN.to_owned() } else { key.clone() };
        let method = prop_oneof![
            12 => Just(method),
            1 => select(vec!["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"]),
        ];
        let target =
            (prop_oneof![3 => Just(id.to_string()), 2 => ids()], prop_oneof![2 => Just(String::new()), 1 => queries()])
                .prop_map(move |(id, query)| path.replace(":id", &id) + &query);
        (method, target, headers(token), bodies(lease), framings())
            .prop_map(|(method, target, headers, body, framing)| Shot { method, target, headers, body, framing })
    })
}

fn framings() -> impl Strategy<Value = Framing> {
    prop_oneof![
        12 => Just(Framing::Length),
        4 => Just(Framing::Chunked),
        1 => Just(Framing::Both),
        1 => Just(Framing::Short),
        1 => Just(Framing::Unended),
    ]
}

fn ids() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "0",
            "-1",
            "01",
            "1.0",
            "1e3",
            "+1",
            "%31",
            "%00",
            "%ff",
            "..%2f",
            "٣",
            "9007199254740991",
            "9007199254740992",
            "1%20",
            "1;",
            "~"
        ])
        .prop_map(str::to_owned),
        "[0-9]{1,400}",
        "[!-~]{1,40}".prop_map(|text| text.replace(['#', '?', '/'], "_")),
        "[^\\x00-\\x20\\x7f#?/]{1,12}",
        Just("7".repeat(6000)),
    ]
}

fn queries() -> impl Strategy<Value = String> {
    let names = vec![
        "id",
        "page",
        "per_page",
        "branch",
        "state",
        "result",
        "environment_ids",
        "interval_in_days",
        "before",
        "project_id",
        "x",
        "",
    ];
    let value = prop_oneof![
        select(vec![
            "",
            "1",
            "0",
            "-1",
            "queued",
            "passed",
            "1,2",
            "1,,2",
            ",",
            "%",
            "%zz",
            "%00",
            "%ff%fe",
            "1e9",
            "9223372036854775808",
            "a+b",
            "NaN"
        ])
        .prop_map(str::to_owned),
        "[!-~]{0,30}".prop_map(|text| text.replace('#', "_")),
        "[0-9]{1,30}",
    ];
    vec((select(names), value), 0..4)
        .prop_map(|pairs| pairs.iter().fold("?".to_owned(), |query, (name, value)| query + name + "=" + value + "&"))
}

fn headers(token: String) -> impl Strategy<Value = Vec<(&'static str, String)>> {
    // All that a header may hold on the wire, and more.
    let junk = || prop_oneof!["[ -~]{0,60}", "[^\\x00-\\x1f\\x7f]{0,20}", "[a-z]{300,3000}"];
    let bearer = prop_oneof![
        14 => Just(Some(format!("Bearer {token}"))),
        1 => Just(None),
        1 => Just(Some(format!("bearer  {token}"))),
        1 => Just(Some(format!("Bearer estop_{}", "A".repeat(43)))),
        2 => junk().prop_map(Some),
    ];
    let idempotency = prop_oneof![4 => Just(None), 2 => "[a-z]{1,3}".prop_map(Some), 1 => junk().prop_map(Some)];
    let kind = prop_oneof![
        10 => Just(Some("application/json".to_owned())),
        2 => select(vec!["application/json; charset=utf-8", "APPLICATION/JSON", "text/plain", "application/x-www-form-urlencoded", "application/json, text/plain", ";", "application/json; charset=utf-16"]).prop_map(|kind| Some(kind.to_owned())),
        1 => Just(None),
        1 => junk().prop_map(Some),
    ];
    let other = prop_oneof![
        6 => Just(None),
        1 => (select(vec!["Accept", "Content-Encoding", "Cookie", "Range", "If-None-Match", "X-Forwarded-For", "Origin", "cf-ray"]), junk()).prop_map(Some),
    ];
    (bearer, idempotency, kind, other).prop_map(|(bearer, idempotency, kind, other)| {
        let named = [("Authorization", bearer), ("Idempotency-Key", idempotency), ("Content-Type", kind)];
        named.into_iter().filter_map(|(name, value)| Some((name, value?))).chain(other).collect()
    })
}

fn bodies(lease: String) -> impl Strategy<Value = Vec<u8>> {
    let right = prop_oneof![
        Just("{}".to_owned()),
        Just(r#"{"reason":"wrong branch"}"#.to_owned()),
        Just(r#"{"environment":"staging","tags":["a"],"metadata":{"n":1.5}}"#.to_owned()),
        Just(r#"{"environment":"staging","total_shards":3,"group":"g","shard":2,"attempt":2}"#.to_owned()),
        Just(r#"{"shard":2,"runner":"r2","attempt":2}"#.to_owned()),
        Just(format!(r#"{{"lease":"{lease}"}}"#)),
        Just(format!(r#"{{"lease":"{lease}","progress":{{"done":3}},"failures":[{{"title":"t"}}]}}"#)),
        Just(format!(r#"{{"lease":"{lease}","state":"error","error_code":"merge_conflict"}}"#)),
        "[a-z]{1,6}".prop_map(|slug| format!(r#"{{"name":"N","slug":"{slug}"}}"#)),
        Just(r#"{"project_id":1,"user":"u","name":"n","scopes":["read"]}"#.to_owned()),
    ];
    let bent = (right.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    let objects = (vec((fields(), values()), 0..6), right.clone()).prop_map(|(members, right)| {
        let members: String = members.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
        (right.trim_end_matches('}').to_owned() + &members + "}").replace("{,", "{").into_bytes()
    });
    prop_oneof![
        6 => right.prop_map(String::into_bytes),
        3 => bent,
        6 => objects,
        2 => Just(Vec::new()),
        1 => vec(any::<u8>(), 0..200),
        1 => (select(vec!["[", "{\"a\":", " ", "\"", "9", "\u{feff}"]), 1..70_000usize).prop_map(|(text, length)| {
            text.repeat(length / text.len() + 1).into_bytes()
        }),
    ]
}

fn fields() -> impl Strategy<Value = &'static str> {
    select(vec![
        "reason",
        "environment",
        "build",
        "branch",
        "metadata",
        "tags",
        "total_shards",
        "shard",
        "group",
        "attempt",
        "fail_fast",
        "runner",
        "lease",
        "state",
        "result",
        "error_code",
        "counts",
        "progress",
        "failures",
        "stop",
        "name",
        "slug",
        "project_id",
        "scopes",
        "user",
        "expires_at",
        "protected",
        "github_actor",
        "repo_name",
        "",
        "\\u0000",
    ])
}

fn values() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec![
            "null",
            "true",
            "0",
            "-1",
            "1e308",
            "1e999",
            "-0",
            "9007199254740993",
            "[]",
            "{}",
            "\"\"",
            "\" \"",
            "\"\\u0000\"",
            "\"\\ud83d\"",
            "nul",
            "'x'"
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| serde_json::Value::String(text).to_string()),
        any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
        "[a-z]{900,1200}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
            vec(inner, 0..4).prop_map(|all| {
                let all: Vec<String> = all.iter().enumerate().map(|(n, value)| format!("\"k{n}\":{value}")).collect();
                format!("{{{}}}", all.join(","))
            }),
        ]
    })
}
