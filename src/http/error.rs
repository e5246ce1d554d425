//! Every way in which a request can be refused, and what the caller is told: one table.

use crate::database::SCHEMA_VERSION;
use crate::key::Scope;
use crate::runtime::DbError;
use estop_protocol::envelope::NO_SUCH_ROUTE;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// No `Authorization` header that could hold a key (or, on an admin route, the admin token).
    NoKey,
    /// The key was never made, or is not for this deployment.
    UnknownKey,
    /// The key is past its `expires_at`.
    ExpiredKey,
    /// The key was revoked.
    RevokedKey,
    /// Not the admin token.
    WrongAdminToken,
    /// GitHub has not signed it, or with another secret.
    WrongSignature,
    /// The cookie is no session of ours, or one that is over.
    NoSession,
    /// Cloudflare Access does not vouch for anybody: its token is missing, or wrong in a way that the log is told.
    BadAssertion(&'static str),
    /// Access vouches for this address, and no project lets it in.
    NotAdmitted(String),
    /// The keys of Access could not be had, so nobody knows whom it vouches for.
    NoTeamKeys,
    /// The run is archived, and the bucket cannot be read, or does not have what was put there.
    NoArchive,
    /// The key lacks this scope.
    MissingScope(Scope),
    /// It comes with a session's cookie, or would begin or end a session, and not from a page of the service itself.
    ForeignOrigin,
    /// The request is not valid; the sentence says what was expected.
    Invalid(String),
    /// The body is longer than so many bytes.
    BodyTooLarge(usize),
    /// No such thing, or not one that this key may see; the text says what. It holds no id, so that the answer for
    /// another project's run is the same to the byte as for a run that never was.
    NotFound(&'static str),
    /// Nothing is served at this path.
    NoSuchRoute,
    /// The path takes other methods; the text is the `Allow` header.
    MethodNotAllowed(String),
    /// The request contradicts what is there.
    Conflict(String),
    /// The route is a WebSocket's, and none was asked for.
    UpgradeRequired,
    /// There is no hub that takes a WebSocket.
    NoHub,
    /// The caller does not hold the lease that this write needs, and did once.
    NotTheHolder(String),
    /// Nobody holds this run with this lease. The same whether there is such a run or not: without a credential, nobody
    /// learns more.
    UnknownLease(i64),
    /// The Idempotency-Key came with another request before.
    ReusedKey,
    /// Too many requests of one key, one lease or one person; the text says which.
    TooManyRequests(&'static str),
    /// Too many refused requests of one address. So many milliseconds are left.
    TooManyRefusals(i64),
    /// The database is nearly full, and takes no more runs.
    DatabaseFull,
    /// The database gave no answer, and that passes.
    Unavailable(DbError),
    /// A bug of ours.
    Internal(DbError),
}

/// A failure that passes is an outage; any other is a bug, and must not look like one.
impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        if error.is_bug() { Self::Internal(error) } else { Self::Unavailable(error) }
    }
}

impl ApiError {
    /// Whether the caller has shown no credential: then it counts against his address.
    pub fn is_unauthenticated(&self) -> bool {
        self.status() == 401 || matches!(self, Self::UnknownLease(_))
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::NoKey
            | Self::UnknownKey
            | Self::ExpiredKey
            | Self::RevokedKey
            | Self::WrongAdminToken
            | Self::WrongSignature
            | Self::NoSession
            | Self::BadAssertion(_) => 401,
            Self::MissingScope(_) | Self::ForeignOrigin | Self::NotAdmitted(_) => 403,
            Self::Invalid(_) => 400,
            Self::BodyTooLarge(_) => 413,
            Self::NotFound(_) | Self::NoSuchRoute => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::Conflict(_) | Self::NotTheHolder(_) | Self::UnknownLease(_) => 409,
            Self::ReusedKey => 422,
            Self::UpgradeRequired => 426,
            Self::TooManyRequests(_) | Self::TooManyRefusals(_) => 429,
            Self::DatabaseFull => 507,
            Self::Unavailable(_) | Self::NoHub | Self::NoTeamKeys | Self::NoArchive => 503,
            Self::Internal(_) => 500,
        }
    }

    /// What the caller is told: what is wrong and what to do next.
    pub fn message(&self, request_id: &str) -> String {
        match self {
            Self::NoKey => "This route needs a key: send the header `Authorization: Bearer estop_…`.".to_owned(),
            Self::UnknownKey => "This key is not known here. Check that it was copied whole.".to_owned(),
            Self::ExpiredKey => "This key has expired. Ask whoever administers estop for a new one.".to_owned(),
            Self::RevokedKey => "This key was revoked. Ask whoever administers estop for a new one.".to_owned(),
            Self::WrongAdminToken => {
                "This route needs the admin token: send the header `Authorization: Bearer <ADMIN_TOKEN>`.".to_owned()
            }
            Self::WrongSignature => "The header X-Hub-Signature-256 is not this body's. Give the webhook at GitHub the secret that \
                                     GITHUB_WEBHOOK_SECRET has here."
                .to_owned(),
            Self::NoSession => "This session is over. Sign in again.".to_owned(),
            Self::BadAssertion(_) => "Nobody is signed in at Cloudflare Access, as far as this service can tell. Open this address in a \
                                      browser again. If that does not help, whoever runs the service finds the reason in its \
                                      log; meanwhile, sign in with a key."
                .to_owned(),
            Self::NotAdmitted(address) => format!(
                "You are signed in as {address}, who is not let in here, or not any more. Ask whoever administers estop to let \
                 you in: `estop people add {address}`, or Settings on the page, under Keys."
            ),
            Self::NoTeamKeys => "The keys of Cloudflare Access could not be fetched, so nobody can be signed in by it now. Open \
                                 this address again after `Retry-After` seconds, or sign in with a key."
                .to_owned(),
            Self::NoArchive => "This test run is archived, and the archive cannot be read now. Ask again after `Retry-After` \
                                seconds. If that does not help, whoever runs the service finds the request in its log."
                .to_owned(),
            Self::ForeignOrigin => "Sessions are for the service's own page: its address has to be the `Origin` of the \
                                    request. Programs send a key in the header `Authorization: Bearer estop_…` instead."
                .to_owned(),
            Self::MissingScope(scope) => {
                format!("This key lacks the scope `{}`. Use a key that has it.", scope.name())
            }
            Self::Invalid(what) | Self::Conflict(what) | Self::NotTheHolder(what) => what.clone(),
            Self::UnknownLease(id) => format!(
                "This lease does not hold test run {id}. Stop what it started; only the run's own runner may go on."
            ),
            Self::BodyTooLarge(most) => format!("The body is longer than {most} bytes."),
            Self::NotFound(what) => format!("There is no such {what}, or not one that this key may see."),
            Self::NoSuchRoute => format!("{NO_SUCH_ROUTE} GET /openapi.json lists all routes."),
            Self::MethodNotAllowed(allow) => format!("This path takes {allow}."),
            Self::UpgradeRequired => "This route is a WebSocket's: send `Connection: Upgrade` and `Upgrade: websocket`, as \
                                      WebSocket clients do. To ask once, use GET /api/test-runs/{id}."
                .to_owned(),
            Self::NoHub => "The service cannot open a WebSocket now. Heartbeats and GET /api/test-runs/{id} tell the same: use \
                            them, and try again after `Retry-After` seconds."
                .to_owned(),
            Self::ReusedKey => "This Idempotency-Key came with another request before: another body or another route. Send a \
                                repeat just as it was, and anything else with a key of its own."
                .to_owned(),
            Self::TooManyRefusals(_) => "Too many requests from this address were refused. Check the key, and wait as long as \
                                         `Retry-After` says."
                .to_owned(),
            Self::DatabaseFull => "The database is nearly full, so no more runs can be registered; those that are there can be \
                                   claimed, finished and cancelled. Whoever runs the service moves it to a plan with a \
                                   larger database, if need be, and sets `DATABASE_BYTES` to what the plan allows."
                .to_owned(),
            Self::TooManyRequests(who) => {
                format!("This {who} sends more requests than it may. Wait as long as `Retry-After` says.")
            }
            Self::Unavailable(DbError::Full) => {
                "The database is full. Whoever runs the service has to give it a larger one; the request can be sent again then."
                    .to_owned()
            }
            Self::Unavailable(error) => {
                let what = match error {
                    DbError::Overloaded => "The database is too busy.".to_owned(),
                    DbError::Deadline => "The database did not answer in time.".to_owned(),
                    DbError::Upgrading => "The service is being upgraded.".to_owned(),
                    DbError::Moving => "The project is being moved to another database.".to_owned(),
                    DbError::Moved(_) => "The project was moved to another database.".to_owned(),
                    DbError::SchemaTooOld(version) => format!(
                        "The service is being upgraded: its database has schema version {version} and needs {SCHEMA_VERSION}."
                    ),
                    _ => "The connection to the database was lost.".to_owned(),
                };
                format!(
                    "{what} Nothing is wrong with the request: send it again after `Retry-After` seconds, with the same \
                     Idempotency-Key if it had one."
                )
            }
            Self::Internal(_) => format!(
                "This is a bug in estop, not a fault of the request. Whoever runs the service finds it in the log under \
                 request {request_id}."
            ),
        }
    }

    /// Headers beyond the usual.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::NoKey
            | Self::UnknownKey
            | Self::ExpiredKey
            | Self::RevokedKey
            | Self::WrongAdminToken
            | Self::NoSession
            | Self::BadAssertion(_) => vec![("WWW-Authenticate", "Bearer".to_owned())],
            // A 401 names what would be let in (RFC 9110 section 15.5.2).
            Self::WrongSignature => vec![("WWW-Authenticate", "X-Hub-Signature-256".to_owned())],
            Self::MethodNotAllowed(allow) => vec![("Allow", allow.clone())],
            // RFC 9110 section 15.5.22.
            Self::UpgradeRequired => vec![("Upgrade", "websocket".to_owned()), ("Connection", "Upgrade".to_owned())],
            Self::NoHub | Self::NoTeamKeys | Self::NoArchive => vec![("Retry-After", "10".to_owned())],
            // As long as the window in wrangler.toml.
            Self::TooManyRequests(_) => vec![("Retry-After", "60".to_owned())],
            Self::TooManyRefusals(left) => vec![("Retry-After", (left / 1000 + 1).to_string())],
            Self::Unavailable(DbError::Upgrading | DbError::SchemaTooOld(_)) => vec![("Retry-After", "5".to_owned())],
            Self::Unavailable(DbError::Full) => vec![("Retry-After", "60".to_owned())],
            Self::Unavailable(_) => vec![("Retry-After", "2".to_owned())],
            _ => Vec::new(),
        }
    }

    /// The outcome in the log.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::UnknownKey => "unknown_key",
            Self::ExpiredKey => "expired_key",
            Self::RevokedKey => "revoked_key",
            Self::WrongAdminToken => "wrong_admin_token",
            Self::WrongSignature => "wrong_signature",
            Self::NoSession => "no_session",
            Self::BadAssertion(_) => "bad_assertion",
            Self::NotAdmitted(_) => "not_admitted",
            Self::NoTeamKeys => "no_team_keys",
            Self::NoArchive => "no_archive",
            Self::MissingScope(_) => "missing_scope",
            Self::ForeignOrigin => "foreign_origin",
            Self::Invalid(_) => "invalid",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::NotFound(_) => "not_found",
            Self::NoSuchRoute => "no_such_route",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::Conflict(_) => "conflict",
            Self::UpgradeRequired => "upgrade_required",
            Self::NoHub => "no_hub",
            Self::NotTheHolder(_) => "not_the_holder",
            Self::UnknownLease(_) => "unknown_lease",
            Self::ReusedKey => "reused_idempotency_key",
            Self::TooManyRequests(_) => "too_many_requests",
            Self::TooManyRefusals(_) => "too_many_refusals",
            Self::DatabaseFull => "database_full",
            Self::Unavailable(error) | Self::Internal(error) => error.name(),
        }
    }

    /// What the log says beyond the outcome.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Unavailable(error) | Self::Internal(error) => error.detail(),
            Self::BadAssertion(why) => Some(format!("the token of Cloudflare Access: {why}")),
            Self::NoArchive => {
                Some("the bucket ARCHIVES gave no such object, or not what the row in archives says".to_owned())
            }
            Self::NoTeamKeys => Some("ACCESS_TEAM_DOMAIN gave no keys at /cdn-cgi/access/certs within 5 s".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use estop_protocol::limits::BODY_BYTES;

    #[test]
    fn the_table() {
        let rows: Vec<(u16, &str, String)> = [
            ApiError::NoKey,
            ApiError::UnknownKey,
            ApiError::ExpiredKey,
            ApiError::RevokedKey,
            ApiError::WrongAdminToken,
            ApiError::WrongSignature,
            ApiError::NoSession,
            ApiError::BadAssertion("it has expired"),
            ApiError::NotAdmitted("ada@example.com".into()),
            ApiError::NoTeamKeys,
            ApiError::NoArchive,
            ApiError::MissingScope(Scope::Cancel),
            ApiError::ForeignOrigin,
            ApiError::Invalid("x".into()),
            ApiError::BodyTooLarge(BODY_BYTES),
            ApiError::NotFound("test run"),
            ApiError::NoSuchRoute,
            ApiError::MethodNotAllowed("GET, HEAD".into()),
            ApiError::Conflict("x".into()),
            ApiError::NotTheHolder("x".into()),
            ApiError::UnknownLease(7),
            ApiError::ReusedKey,
            ApiError::TooManyRequests("key"),
            ApiError::TooManyRefusals(1_500),
            ApiError::DatabaseFull,
            DbError::Overloaded.into(),
            DbError::Full.into(),
            DbError::Upgrading.into(),
            DbError::Refused("cancel/cancel.sql: a rule".into()).into(),
            DbError::Unreadable("cancel/cancel.sql").into(),
        ]
        .into_iter()
        .map(|e| (e.status(), e.outcome(), format!("{:?}", e.headers())))
        .collect();
        let bearer = r#"[("WWW-Authenticate", "Bearer")]"#;
        let expected = [
            (401, "no_key", bearer),
            (401, "unknown_key", bearer),
            (401, "expired_key", bearer),
            (401, "revoked_key", bearer),
            (401, "wrong_admin_token", bearer),
            (401, "wrong_signature", r#"[("WWW-Authenticate", "X-Hub-Signature-256")]"#),
            (401, "no_session", bearer),
            (401, "bad_assertion", bearer),
            (403, "not_admitted", "[]"),
            (503, "no_team_keys", r#"[("Retry-After", "10")]"#),
            (503, "no_archive", r#"[("Retry-After", "10")]"#),
            (403, "missing_scope", "[]"),
            (403, "foreign_origin", "[]"),
            (400, "invalid", "[]"),
            (413, "body_too_large", "[]"),
            (404, "not_found", "[]"),
            (404, "no_such_route", "[]"),
            (405, "method_not_allowed", r#"[("Allow", "GET, HEAD")]"#),
            (409, "conflict", "[]"),
            (409, "not_the_holder", "[]"),
            (409, "unknown_lease", "[]"),
            (422, "reused_idempotency_key", "[]"),
            (429, "too_many_requests", r#"[("Retry-After", "60")]"#),
            (429, "too_many_refusals", r#"[("Retry-After", "2")]"#),
            (507, "database_full", "[]"),
            (503, "d1_overloaded", r#"[("Retry-After", "2")]"#),
            (503, "d1_full", r#"[("Retry-After", "60")]"#),
            (503, "d1_upgrading", r#"[("Retry-After", "5")]"#),
            (500, "d1_refused", "[]"),
            (500, "d1_unreadable", "[]"),
        ];
        assert_eq!(rows, expected.map(|(s, o, h)| (s, o, h.to_owned())));
        let bug = ApiError::from(DbError::Refused("cancel/cancel.sql: a rule".into()));
        assert_eq!(bug.detail().as_deref(), Some("cancel/cancel.sql: a rule"));
        let told = bug.message("r-1");
        assert!(told.contains("r-1") && !told.contains("rule") && !told.contains("sql"), "{told}");
        assert_eq!(
            ApiError::MissingScope(Scope::Cancel).message("r"),
            "This key lacks the scope `cancel`. Use a key that has it."
        );
    }
}
