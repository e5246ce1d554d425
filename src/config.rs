//! What an operator can set. Every number has a default that suits most, and bounds.

use crate::access::Team;
use crate::buckets::Map;
use crate::run::Timeout;

/// GitHub's own API.
pub const GITHUB_API: &str = "https://api.github.com";

/// What becomes of old runs where there is no bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archive {
    /// They stay.
    Wanted,
    /// They are deleted.
    None,
}

/// The settings of one Worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `LEASE_SECONDS`: how long a runner is believed to live after its last renewal. Milliseconds.
    pub lease: i64,
    /// `HEARTBEAT_SECONDS`: how often a runner is asked to send one.
    pub heartbeat_seconds: i64,
    /// `HEARTBEAT_SECONDS_WATCHED`: how often while its line to the hub is open, which brings orders sooner.
    pub heartbeat_seconds_watched: i64,
    /// `STOP_GRACE_SECONDS`: how long a runner gives the tests to end by themselves before it kills them.
    pub stop_grace_seconds: i64,
    /// `STOP_LIMIT_SECONDS`: how long after a cancel the heartbeats of a runner that is stopping still renew its lease.
    /// Milliseconds.
    pub stop_limit: i64,
    /// `D1_DEADLINE_SECONDS`: how long a request waits for the database in all. Milliseconds.
    pub d1_deadline: i64,
    /// `UNCLAIMED_AFTER_SECONDS`: a run that waited this long for a runner is stale. Milliseconds.
    pub unclaimed_after: i64,
    /// `LAPSED_AFTER_SECONDS`: a run whose lease ran out this long ago is stale. Milliseconds.
    pub lapsed_after: i64,
    /// `OVER_AGE_AFTER_SECONDS`: a run that started this long ago is stale, however alive. Milliseconds.
    pub over_age_after: i64,
    /// `UNCONFIRMED_AFTER_SECONDS`: a cancelled run's runner is lost this long after its lease ran out. Milliseconds.
    pub unconfirmed_after: i64,
    /// `SWEEP_ROWS`: how many runs one statement of the sweeper changes at most.
    pub sweep_rows: i64,
    /// `DATABASE_BYTES`: how large the database may become. From 95 % of it on no more runs are registered.
    pub database_bytes: i64,
    /// `ARCHIVE_RUNS`: how many runs a tick archives at most.
    pub archive_runs: i64,
    /// `ARCHIVE=none`: without a bucket, old runs are deleted all the same, and are nowhere from then on.
    pub archive: Archive,
    /// `BUCKETS`: which database has which bucket, if it is not `DB`.
    pub buckets: Map,
    /// `REPLICAS=1`: the databases have read replicas, and what may be a moment old is read there.
    pub replicas: bool,
    /// `LOG_HEARTBEATS=1`: also logs the heartbeats that change nothing.
    pub log_heartbeats: bool,
    /// `ADMIN_TOKEN`, a secret; unset or empty closes the admin routes.
    pub admin_token: Option<String>,
    /// `SESSION_SECRET`, a secret; unset or empty closes the routes with which a person signs in, and no cookie is a key.
    pub session_secret: Option<String>,
    /// `GITHUB_WEBHOOK_SECRET`, a secret; unset or empty closes the route that GitHub's webhook calls.
    pub github_webhook_secret: Option<String>,
    /// `ACCESS_TEAM_DOMAIN` and `ACCESS_AUD`: whom people sign in with. Without both, and without `SESSION_SECRET`, there is no
    /// `/session/access`.
    pub access: Option<Team>,
    /// `WEBHOOK_SECRET`, a secret; unset or empty closes the routes of webhooks, and nothing is sent.
    pub webhook_secret: Option<String>,
    /// `GITHUB_API`: where GitHub's API is, if the Worker is a GitHub App, by `GITHUB_APP_ID` and the secret
    /// `GITHUB_APP_PRIVATE_KEY`. Without both, and without `WEBHOOK_SECRET`, nothing is written there.
    pub github_api: Option<String>,
    /// `ESTOP_LOCAL=1`: a laptop, where the public demo key is let in, and webhooks may be on it. No deployment sets it.
    pub local: bool,
}

impl Config {
    /// Reads the settings through `var`, and gives a sentence for each that could not be used as it stands.
    pub fn read(var: impl Fn(&str) -> Option<String>) -> (Self, Vec<String>) {
        let mut complaints = Vec::new();
        let mut number = |name: &str, default: i64, least: i64, most: i64| match var(name) {
            None => default,
            Some(text) => match text.trim().parse::<i64>() {
                Ok(n) if (least..=most).contains(&n) => n,
                _ => {
                    complaints.push(format!(
                        "{name} must be a whole number from {least} to {most}; {default} is used instead."
                    ));
                    default
                }
            },
        };
        const WEEK: i64 = 7 * 24 * 3600;
        let mut config = Self {
            lease: 1000 * number("LEASE_SECONDS", 120, 1, 24 * 3600),
            heartbeat_seconds: number("HEARTBEAT_SECONDS", 2, 1, 300),
            heartbeat_seconds_watched: number("HEARTBEAT_SECONDS_WATCHED", 30, 1, 300),
            stop_grace_seconds: number("STOP_GRACE_SECONDS", 10, 0, 3600),
            stop_limit: 1000 * number("STOP_LIMIT_SECONDS", 300, 0, 24 * 3600),
            d1_deadline: 1000 * number("D1_DEADLINE_SECONDS", 5, 1, 25),
            unclaimed_after: 1000 * number("UNCLAIMED_AFTER_SECONDS", 3600, 1, 4 * WEEK),
            lapsed_after: 1000 * number("LAPSED_AFTER_SECONDS", 30, 0, WEEK),
            over_age_after: 1000 * number("OVER_AGE_AFTER_SECONDS", 6 * 3600, 1, 4 * WEEK),
            unconfirmed_after: 1000 * number("UNCONFIRMED_AFTER_SECONDS", 30, 0, WEEK),
            sweep_rows: number("SWEEP_ROWS", 100, 1, 1000),
            // D1 on Cloudflare's free plan.
            database_bytes: number("DATABASE_BYTES", 500_000_000, 1_000_000, 1_000_000_000_000),
            archive_runs: number("ARCHIVE_RUNS", 100, 1, 500),
            archive: Archive::Wanted,
            buckets: Map::default(),
            replicas: var("REPLICAS").as_deref() == Some("1"),
            log_heartbeats: var("LOG_HEARTBEATS").as_deref() == Some("1"),
            admin_token: var("ADMIN_TOKEN").filter(|token| !token.is_empty()),
            session_secret: var("SESSION_SECRET").filter(|secret| !secret.is_empty()),
            github_webhook_secret: var("GITHUB_WEBHOOK_SECRET").filter(|secret| !secret.is_empty()),
            access: None,
            webhook_secret: var("WEBHOOK_SECRET").filter(|secret| !secret.is_empty()),
            github_api: None,
            local: var("ESTOP_LOCAL").as_deref() == Some("1"),
        };
        let text = |name| var(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        match text("ARCHIVE").as_deref() {
            None => {}
            Some("none") => config.archive = Archive::None,
            Some(_) => complaints.push("ARCHIVE must be empty or none; no run is deleted without a bucket.".to_owned()),
        }
        match Map::parse(&var("BUCKETS").unwrap_or_default()) {
            Ok(map) => config.buckets = map,
            Err(part) => complaints.push(format!(
                "BUCKETS must be like `0a-0f=1 k3=2`, each bucket once; it is not used, because of `{part}`."
            )),
        }
        match team(text("ACCESS_TEAM_DOMAIN"), text("ACCESS_AUD"), &config) {
            Ok(team) => config.access = team,
            Err(complaint) => complaints.push(complaint.to_owned()),
        }
        let app = (text("GITHUB_APP_ID").is_some(), text("GITHUB_APP_PRIVATE_KEY").is_some());
        match github_api(app, text("GITHUB_API"), &config) {
            Ok(api) => config.github_api = api,
            Err(complaint) => complaints.push(complaint.to_owned()),
        }
        (config, complaints)
    }

    /// After how many milliseconds the sweeper acts.
    pub fn timeout(&self, timeout: Timeout) -> i64 {
        match timeout {
            Timeout::Unclaimed | Timeout::Incomplete => self.unclaimed_after,
            Timeout::Lapsed => self.lapsed_after,
            Timeout::OverAge => self.over_age_after,
            Timeout::Unconfirmed => self.unconfirmed_after,
        }
    }
}

/// The team whose people can sign in, or a sentence that says why nobody can though there is a setting for it.
fn team(domain: Option<String>, audience: Option<String>, config: &Config) -> Result<Option<Team>, &'static str> {
    let (domain, audience) = match (domain, audience) {
        (None, None) => return Ok(None),
        (Some(domain), Some(audience)) => (domain, audience),
        _ => {
            return Err(
                "ACCESS_TEAM_DOMAIN and ACCESS_AUD need each other; nobody can sign in with Cloudflare Access.",
            );
        }
    };
    if config.session_secret.is_none() {
        return Err("ACCESS_TEAM_DOMAIN needs SESSION_SECRET; nobody can sign in with Cloudflare Access.");
    }
    // A stand-in on the same machine, for tests.
    if config.local && domain.starts_with("http://") {
        return Ok(Some(Team { issuer: domain, audience }));
    }
    let host = domain.strip_prefix("https://").unwrap_or(&domain).trim_end_matches('/');
    if !is_host(host) {
        return Err(
            "ACCESS_TEAM_DOMAIN must be like team.cloudflareaccess.com; nobody can sign in with Cloudflare Access.",
        );
    }
    Ok(Some(Team { issuer: format!("https://{host}"), audience }))
}

/// Where GitHub's API is, or a sentence that says why nothing is written there though there is a setting for it. `app` says
/// whether there are an id and a key of the App.
fn github_api(app: (bool, bool), api: Option<String>, config: &Config) -> Result<Option<String>, &'static str> {
    match app {
        (false, false) => return Ok(None),
        (true, true) => {}
        _ => return Err("GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY need each other; nothing is written to GitHub."),
    }
    if config.webhook_secret.is_none() {
        return Err("GITHUB_APP_ID needs WEBHOOK_SECRET, as webhooks do; nothing is written to GitHub.");
    }
    let api = api.unwrap_or_else(|| GITHUB_API.to_owned());
    let api = api.trim_end_matches('/');
    // A stand-in on the same machine, for tests.
    let is_local = config.local && api.starts_with("http://");
    // GitHub Enterprise Server has it under a path.
    let host = api.strip_prefix("https://").map(|rest| rest.strip_suffix("/api/v3").unwrap_or(rest));
    if !is_local && !host.is_some_and(is_host) {
        return Err(
            "GITHUB_API must be like https://api.github.com or https://github.example.com/api/v3; nothing is written to GitHub.",
        );
    }
    Ok(Some(api.to_owned()))
}

fn is_host(host: &str) -> bool {
    host.contains('.') && host.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'.' || c == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The team's issuer and what is complained of, with these settings.
    fn access(domain: &str, aud: &str, secret: &str, local: &str) -> (Option<String>, Vec<String>) {
        let (config, complaints) = Config::read(|name| match name {
            "ACCESS_TEAM_DOMAIN" => Some(domain.into()),
            "ACCESS_AUD" => Some(aud.into()),
            "SESSION_SECRET" => Some(secret.into()),
            "ESTOP_LOCAL" => Some(local.into()),
            _ => None,
        });
        assert!(config.access.as_ref().is_none_or(|team| team.audience == "tag"));
        (config.access.map(|team| team.issuer), complaints)
    }

    #[test]
    fn a_team_has_a_domain_and_an_application() {
        let team = || Some("https://team.cloudflareaccess.com".to_owned());
        for domain in ["team.cloudflareaccess.com", " https://team.cloudflareaccess.com/ "] {
            assert_eq!(access(domain, "tag", "s", "0"), (team(), vec![]));
        }
        assert_eq!(access("", "", "", "0"), (None, vec![]));
        assert_eq!(access("http://127.0.0.1:1", "tag", "s", "1"), (Some("http://127.0.0.1:1".to_owned()), vec![]));
        for (domain, aud, secret, named) in [
            ("team.cloudflareaccess.com", "", "s", "ACCESS_AUD"),
            ("", "tag", "s", "ACCESS_TEAM_DOMAIN"),
            ("team.cloudflareaccess.com", "tag", "", "SESSION_SECRET"),
            ("http://127.0.0.1:1", "tag", "s", "ACCESS_TEAM_DOMAIN"),
            ("team", "tag", "s", "ACCESS_TEAM_DOMAIN"),
            ("team.cloudflareaccess.com/x", "tag", "s", "ACCESS_TEAM_DOMAIN"),
            ("user@team.cloudflareaccess.com", "tag", "s", "ACCESS_TEAM_DOMAIN"),
        ] {
            let (team, complaints) = access(domain, aud, secret, "0");
            assert!(
                team.is_none() && complaints.len() == 1 && complaints[0].contains(named),
                "{domain}: {complaints:?}"
            );
        }
    }

    #[test]
    fn nothing_set_is_a_working_service_with_its_admin_routes_closed() {
        let (config, complaints) = Config::read(|_| None);
        assert_eq!(complaints, Vec::<String>::new());
        assert_eq!(
            (config.lease, config.heartbeat_seconds, config.admin_token, config.local),
            (120_000, 2, None, false)
        );
    }

    #[test]
    fn a_slip_is_named_and_the_default_is_used() {
        let (config, complaints) = Config::read(|name| match name {
            "LEASE_SECONDS" => Some("two minutes".into()),
            "SWEEP_ROWS" => Some("0".into()),
            "ADMIN_TOKEN" => Some(String::new()),
            _ => None,
        });
        assert_eq!((config.lease, config.sweep_rows, config.admin_token), (120_000, 100, None));
        assert_eq!(
            complaints,
            [
                "LEASE_SECONDS must be a whole number from 1 to 86400; 120 is used instead.",
                "SWEEP_ROWS must be a whole number from 1 to 1000; 100 is used instead."
            ]
        );
    }
}
