//! Signing in with Cloudflare Access, against the real Worker: its RSA is the runtime's, the tokens are signed for real, and the
//! certificates come over HTTP from a stand-in of the team.

use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Answer, Project, Server};
use crate::process;
use crate::team::{AUDIENCE, Access, arrive};
use crate::workerd::{Rig, timed};

/// The stand-in, ended when dropped.
struct Team {
    access: Access,
    child: Child,
}

impl Team {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rig/access.mjs");
        let mut child =
            Command::new(process::tool("node")).arg(script).stdout(Stdio::piped()).spawn().expect("Node.js");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut address).expect("its address");
        Self { access: Access(Server::at(address.trim().to_owned())), child }
    }

    fn trouble(&self, what: &str) {
        self.0.send("POST", "/trouble", &[], what.as_bytes());
    }

    /// How often its certificates were asked for.
    fn asked(&self) -> u32 {
        self.0.send("GET", "/asked", &[], b"").text.parse().expect("a count")
    }
}

impl Deref for Team {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Worker that trusts this team.
fn rig_of(team: &Team) -> Rig {
    let set = |estop: String, name: &str, value: &str| {
        let unset = format!(r#"(name = "{name}", text = "")"#);
        assert!(estop.contains(&unset), "{name} is in wrangler.toml");
        estop.replace(&unset, &format!(r#"(name = "{name}", text = "{value}")"#))
    };
    Rig::of(|estop| {
        let estop = set(estop, "ACCESS_TEAM_DOMAIN", &team.0.url);
        set(estop, "ACCESS_AUD", AUDIENCE)
    })
}

fn admit(project: &Project, address: &str, scopes: &[&str]) -> i64 {
    let body = json!({"project_id": project.id, "address": address, "scopes": scopes});
    let key = project.server.admin("POST", "/api/people", Some(&body)).ok()["data"]["key"].take();
    key["id"].as_i64().expect("an id")
}

fn revoke(project: &Project, id: i64) {
    project.server.admin("DELETE", &format!("/api/keys/{id}"), None).ok();
}

/// What the browser sends back once somebody is signed in.
#[track_caller]
fn cookie(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.text.as_str(), answer.header("location")), (303, "", Some("/")), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let set = answer.header("set-cookie").expect("a cookie");
    assert!(set.starts_with("__Host-estop=") && set.contains("; HttpOnly; SameSite=Strict; "), "{set}");
    set.split(';').next().expect("a pair").to_owned()
}

fn by(cookie: &str, server: &Server, method: &str, path: &str, origin: Option<&str>) -> Answer {
    let mut headers = vec![("Cookie", cookie)];
    headers.extend(origin.map(|origin| ("Origin", origin)));
    server.send(method, path, &headers, b"")
}

/// The line of the log for an answer.
fn line(rig: &Rig, answer: &Answer) -> Value {
    let id = answer.header("x-request-id").expect("an id");
    crate::client::eventually("the log line", || {
        let log = rig.log();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["request_id"] == id)
    })
}

#[test]
fn the_record_of_a_stop_has_the_address_of_whoever_access_vouched_for() {
    let team = Team::start();
    let rig = rig_of(&team);
    let project = rig.project();
    admit(&project, "ada@example.com", &["read", "cancel"]);
    admit(&project, "@other.example", &["read", "cancel"]);
    rig.backend.count();
    for email in ["ada@example.com", "Grace@Other.example", "grace@other.example"] {
        let answer = arrive(&rig.server, &team.token_of(email), "");
        assert_eq!(rig.backend.count().0, 1, "one round trip");
        let cookie = cookie(&answer);
        let (id, _) = project.started();
        let cancelled = by(&cookie, &rig.server, "POST", &format!("/api/test-runs/{id}/cancel"), Some(&rig.server.url));
        assert_eq!(cancelled.status, 200, "{cancelled:?}");
        assert_eq!(project.show(id)["cancel"]["by"], json!(email.to_ascii_lowercase()));
        let session = by(&cookie, &rig.server, "GET", "/api/session", None).ok()["data"].take();
        assert_eq!(session["session"]["user"], json!(email.to_ascii_lowercase()));
        assert_eq!(
            (&line(&rig, &answer)["outcome"], &line(&rig, &answer)["status"]),
            (&json!("signed_in"), &json!(303))
        );
        rig.backend.count();
    }
    assert_eq!(team.asked(), 1, "the keys are fetched once");
    assert_eq!(rig.backend.value::<i64>("SELECT count(*) FROM keys WHERE access IS NOT NULL"), 3);
    assert!(!rig.log().contains("eyJ"), "no token is in the log");
}

#[test]
fn a_token_that_is_wrong_in_any_way_signs_nobody_in() {
    let team = Team::start();
    let rig = rig_of(&team);
    let project = rig.project();
    admit(&project, "ada@example.com", &["read"]);
    admit(&project, "@example.com", &["read"]);
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs()).expect("seconds");
    let claim = |name: &str, value: Value| json!({"claims": {name: value}});
    let good = team.token(&json!({}));
    cookie(&arrive(&rig.server, &good, ""));
    let (signed, signature) = good.rsplit_once('.').expect("a signature");
    let of_grace = team.token_of("grace@example.com");
    let forged = format!("{}.{signature}", of_grace.rsplit_once('.').expect("a signature").0);
    let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
    let mut wrong = vec![
        ("expired", team.token(&claim("exp", json!(now - 1)))),
        ("without an end", team.token(&claim("exp", Value::Null))),
        ("not valid yet", team.token(&claim("nbf", json!(now + 300)))),
        ("of the future", team.token(&claim("iat", json!(now + 300)))),
        ("for another application", team.token(&claim("aud", json!(["another-tag"])))),
        ("for no application", team.token(&claim("aud", Value::Null))),
        ("of another team", team.token(&claim("iss", json!("https://evil.cloudflareaccess.com")))),
        ("of no team", team.token(&claim("iss", Value::Null))),
        ("signed by another key of the same name", team.token(&json!({"key": "foreign"}))),
        ("signed by a key that the team has not", team.token(&json!({"key": "next"}))),
        ("of a key of another name", team.token(&json!({"header": {"kid": "unknown"}}))),
        ("of no key", team.token(&json!({"header": {"kid": null}}))),
        ("alg none", team.token(&json!({"forge": "none"}))),
        ("alg none with a signature", team.token(&json!({"header": {"alg": "none"}}))),
        ("HS256 with the public key", team.token(&json!({"forge": "hs256"}))),
        ("RS256 said of an HMAC", team.token(&json!({"forge": "hs256", "header": {"alg": "RS256"}}))),
        ("RS512", team.token(&json!({"header": {"alg": "RS512"}}))),
        ("critical", team.token(&json!({"header": {"crit": ["exp"]}}))),
        ("a service's", team.token(&json!({"claims": {"email": null, "common_name": "x.access", "sub": ""}}))),
        ("without a name", team.token(&claim("email", json!("")))),
        ("a domain's", team.token(&claim("email", json!("@example.com")))),
        ("with another's signature", forged),
        ("with a signature that is off", format!("{signed}.{flipped}{}", &signature[1..])),
        ("without a signature", format!("{signed}.")),
        ("with half a signature", format!("{signed}.{}", &signature[..signature.len() / 2])),
        ("a session's cookie", "__Host-estop=x".to_owned()),
        ("nothing", String::new()),
        ("garbage", "\u{ff}\u{fe}..".to_owned()),
        ("huge", team.token(&claim("custom", json!("x".repeat(9000))))),
    ];
    wrong.extend(["a", "a.b", "a.b.c", "....", "bnVsbA.bnVsbA.bnVsbA"].map(|text| ("no token", text.to_owned())));
    rig.backend.count();
    for (what, token) in &wrong {
        let answer = arrive(&rig.server, token, "");
        answer.is_error(401);
        assert_eq!(answer.header("set-cookie"), None, "{what}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert!(answer.message().contains("Open this address in a browser again"), "{what}: {answer:?}");
        let line = line(&rig, &answer);
        assert!(
            line["detail"].as_str().is_some_and(|why| why.starts_with("the token of Cloudflare Access: ")),
            "{line}"
        );
    }
    rig.server.send("GET", "/session/access", &[], b"").is_error(401);
    // The cookie that Access sets beside the header can be sent by any page; the header is what counts.
    rig.server.send("GET", "/session/access", &[("Cookie", &format!("CF_Authorization={good}"))], b"").is_error(401);
    assert_eq!(rig.backend.count().0, 0, "and the database was not asked");
    assert_eq!(team.asked(), 1, "nor the team");
    let head = rig.server.send("HEAD", "/session/access", &[("Cf-Access-Jwt-Assertion", &good)], b"");
    assert_eq!((head.status, head.header("set-cookie"), head.header("allow")), (405, None, Some("GET")));
    cookie(&arrive(&rig.server, &good, ""));
}

#[test]
fn whoever_is_not_let_in_or_not_any_more_is_403_and_a_session_of_theirs_is_over() {
    let team = Team::start();
    let rig = rig_of(&team);
    let project = rig.project();
    let other = rig.project();
    let ada = || arrive(&rig.server, &team.token_of("ada@example.com"), "");
    let refused = ada();
    refused.is_error(403);
    assert!(refused.message().contains("ada@example.com") && refused.header("set-cookie").is_none(), "{refused:?}");
    let domain = admit(&project, "@example.com", &["read"]);
    let by_domain = cookie(&ada());
    let own = admit(&project, "ada@example.com", &["read", "cancel"]);
    by(&by_domain, &rig.server, "GET", "/api/test-runs", None).is_error(401);
    let session = cookie(&ada());
    by(&session, &rig.server, "GET", "/api/test-runs", None).ok();
    revoke(&project, own);
    let ended = by(&session, &rig.server, "GET", "/api/test-runs", None);
    ended.is_error(401);
    assert!(ended.message().contains("revoked"), "{ended:?}");
    ada().is_error(403);
    let grace = cookie(&arrive(&rig.server, &team.token_of("grace@example.com"), ""));
    by(&grace, &rig.server, "GET", "/api/test-runs", None).ok();
    revoke(&project, domain);
    by(&grace, &rig.server, "GET", "/api/test-runs", None).is_error(401);
    admit(&project, "ada@example.com", &["read"]);
    admit(&other, "ada@example.com", &["read"]);
    by(&session, &rig.server, "GET", "/api/test-runs", None).is_error(401);
    for (query, id) in [
        (String::new(), project.id),
        (format!("?project={}", other.id), other.id),
        (format!("?project={}", project.id), project.id),
    ] {
        let cookie = cookie(&arrive(&rig.server, &team.token_of("ada@example.com"), &query));
        assert_eq!(by(&cookie, &rig.server, "GET", "/api/session", None).ok()["data"]["project"]["id"], id, "{query}");
    }
}

#[test]
fn a_page_of_another_origin_cannot_use_the_session() {
    let team = Team::start();
    let rig = rig_of(&team);
    let project = rig.project();
    admit(&project, "ada@example.com", &["read", "cancel"]);
    let (id, _) = project.started();
    let token = team.token(&json!({}));
    // Such a page can send a browser here, as a link can; it reads nothing of that.
    let headers = [("Cf-Access-Jwt-Assertion", token.as_str()), ("Origin", "https://evil.example")];
    let answer = rig.server.send("GET", "/session/access", &headers, b"");
    let session = cookie(&answer);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{answer:?}");
    for origin in [None, Some("https://evil.example"), Some("null")] {
        by(&session, &rig.server, "POST", &format!("/api/test-runs/{id}/cancel"), origin).is_error(403);
    }
    by(&session, &rig.server, "GET", "/api/test-runs", Some("https://evil.example")).is_error(403);
    assert_eq!(project.show(id)["state"], "started");
}

#[test]
fn certificates_that_cannot_be_had_are_503_and_had_as_soon_as_they_can() {
    let team = Team::start();
    let rig = rig_of(&team);
    let project = rig.project();
    admit(&project, "ada@example.com", &["read"]);
    rig.backend.count();
    for trouble in ["down", "html", "huge", "redirect", "silent", "slow"] {
        team.trouble(trouble);
        let (answer, took) = timed(|| arrive(&rig.server, &team.token(&json!({})), ""));
        answer.is_error(503);
        assert!(answer.message().contains("keys of Cloudflare Access could not be fetched"), "{trouble}: {answer:?}");
        assert_eq!((answer.header("retry-after"), answer.header("set-cookie")), (Some("10"), None), "{trouble}");
        assert!(took < Duration::from_secs(8), "{trouble}: took {took:?}");
        assert!(line(&rig, &answer)["detail"].as_str().is_some_and(|why| why.contains("ACCESS_TEAM_DOMAIN")));
    }
    assert_eq!(rig.backend.count().0, 0);
    team.trouble("none");
    cookie(&arrive(&rig.server, &team.token(&json!({})), ""));
    // From now on they are known, and of other names nobody asks again so soon.
    team.trouble("down");
    let asked = team.asked();
    cookie(&arrive(&rig.server, &team.token(&json!({})), ""));
    arrive(&rig.server, &team.token(&json!({"key": "next"})), "").is_error(401);
    assert_eq!(team.asked(), asked);
}

#[test]
fn a_second_key_of_the_team_is_as_good_as_the_first() {
    let team = Team::start();
    team.0.send("POST", "/rotate", &[], b"");
    let rig = rig_of(&team);
    let project = rig.project();
    admit(&project, "ada@example.com", &["read"]);
    for key in ["next", "team"] {
        cookie(&arrive(&rig.server, &team.token(&json!({"key": key})), ""));
    }
    arrive(&rig.server, &team.token(&json!({"key": "foreign"})), "").is_error(401);
}

#[test]
fn without_a_team_there_is_no_such_route() {
    let team = Team::start();
    let rig = Rig::start();
    arrive(&rig.server, &team.token(&json!({})), "").is_error(404);
    assert_eq!(rig.server.send("GET", "/healthz", &[], b"").ok()["data"]["access"], false);
    let trusting = rig_of(&team);
    assert_eq!(trusting.server.send("GET", "/healthz", &[], b"").ok()["data"]["access"], true);
    // One setting of two is a complaint, and no route.
    let half =
        Rig::of(|estop| estop.replace(r#"(name = "ACCESS_AUD", text = "")"#, r#"(name = "ACCESS_AUD", text = "x")"#));
    arrive(&half.server, &team.token(&json!({})), "").is_error(404);
    let complaint = "ACCESS_TEAM_DOMAIN and ACCESS_AUD need each other";
    assert!(half.log().contains(complaint), "{}", half.log());
}
