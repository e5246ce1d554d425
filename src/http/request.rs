//! A request on its way to an operation.

use std::cell::{Cell, OnceCell};

use estop_protocol::limits::{MAX_ID, NAME_CHARS};
use estop_protocol::time::Timestamp;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::operation::{Method, Operation};
use super::write_id::WriteId;
use super::{body, check};
use crate::config::Config;
use crate::database::{self, Answer, Database, Home};
use crate::key::{self, KeyHash};
use crate::lease;
use crate::recent::network;
use crate::runtime::{ANY, DbError, LATEST, Limit, Runtime, Statement, random_id};
use crate::session::{self, Session};

/// What an operation needs of an HTTP request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The id that the log and the answer's `X-Request-Id` have.
    pub request_id: &'a str,
    /// The `:id` of the path, not decoded.
    pub id: &'a str,
    /// The `:project` and the `:environment` of the path, not decoded.
    pub slugs: (&'a str, &'a str),
    /// The query string, without `?`, not decoded.
    pub query: &'a str,
    /// The client's address (`cf-connecting-ip`), which Cloudflare always sets.
    pub client: Option<&'a str>,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The header `Cookie`.
    pub cookie: Option<&'a str>,
    /// The header `Origin`: the origin of the page that sends this, if it is one (RFC 6454).
    pub origin: Option<&'a str>,
    /// The service's own origin, by the address that was asked.
    pub own_origin: &'a str,
    /// The header `Cf-Access-Jwt-Assertion`: whom Cloudflare Access has signed in.
    pub assertion: Option<&'a str>,
    /// The header `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// The header `Estop-Bookmark`: what the caller has seen of a database.
    pub bookmark: Option<&'a str>,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<&'a str>,
    /// The header `Content-Type`.
    pub content_type: Option<&'a str>,
    /// Whether it asks for a WebSocket (RFC 6455 section 4.1).
    pub wants_websocket: bool,
    /// Of a delivery of GitHub's, what its headers say.
    pub github: GitHub<'a>,
    /// The header `Estop-Lease`: a lease's token.
    pub lease: Option<&'a str>,
    /// The body, or why it was not read, e.g. because it is longer than [`estop_protocol::limits::BODY_BYTES`].
    pub body: Result<&'a [u8], &'a ApiError>,
    /// When the whole request had arrived.
    pub now: Timestamp,
}

/// The headers of a delivery of GitHub's.
#[derive(Debug, Default, Clone, Copy)]
pub struct GitHub<'a> {
    /// `X-GitHub-Event`: of which kind it is.
    pub event: Option<&'a str>,
    /// `X-GitHub-Delivery`: its id, which stays when it is sent again.
    pub delivery: Option<&'a str>,
    /// `X-Hub-Signature-256`.
    pub signature: Option<&'a str>,
}

/// A request with its surroundings.
pub struct Call<'a> {
    /// What is asked for.
    pub operation: &'a Operation,
    /// The database and the like.
    pub runtime: &'a dyn Runtime,
    /// The settings.
    pub config: &'a Config,
    /// The request.
    pub request: &'a Request<'a>,
    /// The key that it came with, once that is known.
    pub caller: OnceCell<KeyHash>,
    /// Where what it is about lives: the first database, until a key, a lease or a project says more.
    pub home: Cell<Home>,
}

impl<'a> Call<'a> {
    /// The id in the path: a plain decimal integer from 1.
    ///
    /// One that is too large to exist gives 0, an id that no row has: the database then answers as for any unknown id,
    /// and nothing is rounded to a neighbour's.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if it is not a plain decimal integer from 1.
    pub fn id(&self) -> Result<i64, ApiError> {
        let text = self.request.id;
        let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() && !text.starts_with('0');
        if !plain {
            let message = "The id in the path must be a plain decimal integer from 1, like 42.";
            return Err(ApiError::Invalid(message.to_owned()));
        }
        Ok(text.parse().ok().filter(|id| *id <= MAX_ID).unwrap_or(0))
    }

    /// The id in the path, of something that can exist.
    ///
    /// # Errors
    /// As [`Call::id`], and [`ApiError::NotFound`] if it is too large to exist.
    pub fn existing_id(&self) -> Result<i64, ApiError> {
        self.id().and_then(|id| if id == 0 { Err(ApiError::NotFound("test run")) } else { Ok(id) })
    }

    /// The id by which this request recognises its own writes.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if the Idempotency-Key is not 1 to 255 printable ASCII characters.
    pub fn write_id(&self) -> Result<WriteId, ApiError> {
        let id = match self.request.idempotency_key {
            None => format!("own:{}", random_id(self.runtime)),
            Some(key) if (1..=255).contains(&key.len()) && key.bytes().all(|b| (b' '..=b'~').contains(&b)) => {
                format!("key:{key}")
            }
            Some(_) => {
                let message = "The header Idempotency-Key must be 1 to 255 printable ASCII characters.";
                return Err(ApiError::Invalid(message.to_owned()));
            }
        };
        let route = format!("{} {}", self.operation.name(), self.request.id);
        Ok(WriteId::new(id, &route, self.request.body.unwrap_or_default()))
    }

    /// Reads the body.
    ///
    /// # Errors
    /// [`ApiError::BodyTooLarge`], or [`ApiError::Invalid`] saying which field and what was expected.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        body::parse(self.request.content_type, self.request.body.map_err(Clone::clone)?)
    }

    /// The database that this is about.
    pub fn database(&self) -> Database<'a> {
        Database { runtime: self.runtime, config: self.config, home: self.home.get() }
    }

    /// Runs a batch that is safe to repeat. It also notes that the caller's key is used today.
    ///
    /// # Errors
    /// As [`Database::batch`].
    pub async fn batch(&self, mut statements: Vec<Statement<'_>>) -> Result<Answer, DbError> {
        let now = self.request.now;
        let key = self.caller.get().filter(|key| !self.runtime.noted().has(key, now));
        statements.extend(key.map(|key| database::note_use(key, now)));
        self.database().batch(statements).await
    }

    /// What is read from now on may be a moment old, but no older than what the caller has seen. Whoever has seen another database, or
    /// asks for the latest, reads the latest.
    pub fn may_lag(&self) {
        let database = self.database().number();
        let of_database = |bookmark: &'a str| {
            let (number, seen) = bookmark.split_once(':')?;
            let plain =
                !seen.is_empty() && seen.len() <= 200 && seen.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            (number.parse() == Ok(database) && plain).then_some(seen)
        };
        let seen = self.request.bookmark.map_or(ANY, |bookmark| of_database(bookmark).unwrap_or(LATEST));
        self.runtime.read_as_of(database, seen);
    }

    /// The size in bytes of the database that this is about, as D1 told it last; `None` if it has not yet.
    pub fn database_bytes(&self) -> Option<i64> {
        self.runtime.database_bytes(self.database().number())
    }

    /// The caller's key, if the request could show one and it is within its rate, and the end of the session that stands
    /// for it, if one does. The database judges the rest.
    ///
    /// # Errors
    /// 401, 403 or 429.
    pub async fn key(&self) -> Result<(KeyHash, Option<Timestamp>), ApiError> {
        let shown = self.shown_key();
        self.check_address(shown.as_ref().map(|(key, _)| key.as_str()).ok())?;
        let (key, session_ends) = shown?;
        self.check_rate(&key).await?;
        let _ = self.caller.set(key.clone());
        self.home.set(Home::Bucket(key.bucket));
        Ok((key, session_ends))
    }

    /// Counts one request of a key.
    ///
    /// # Errors
    /// 429.
    pub async fn check_rate(&self, key: &KeyHash) -> Result<(), ApiError> {
        let within = self.runtime.within_rate(Limit::Caller, key.as_str()).await;
        if within { Ok(()) } else { Err(ApiError::TooManyRequests("key")) }
    }

    /// The id of the caller's key, if it was let in a moment ago: for the log of what is refused without the database.
    pub fn known_key_id(&self) -> Option<i64> {
        let (key, _) = self.shown_key().ok()?;
        self.runtime.accepted().get(key.as_str(), self.request.now.0).map(|(_, id)| id)
    }

    /// The key in `Authorization` or, without that, the one that a session's cookie stands for.
    fn shown_key(&self) -> Result<(KeyHash, Option<Timestamp>), ApiError> {
        let cookie = self.request.cookie.and_then(session::value);
        match (self.request.authorization, cookie, self.config.session_secret.as_deref()) {
            (Some(header), ..) => {
                let shown = key::bearer(header).ok_or(ApiError::NoKey)?;
                Ok((self.plain_key(shown)?, None))
            }
            (None, Some(cookie), Some(secret)) => {
                let session = Session::open(cookie, secret, self.request.now).ok_or(ApiError::NoSession)?;
                // The browser sends the cookie by itself, and so for whichever page makes it. Where only something is
                // read, which another page cannot do, browsers leave their own page's origin out.
                let reads = self.operation.method == Method::Get && !self.request.wants_websocket;
                if !reads || self.request.origin.is_some() {
                    self.check_origin()?;
                }
                Ok((session.key, Some(session.ends)))
            }
            _ => Err(ApiError::NoKey),
        }
    }

    /// What the database knows this key by, if the text can be one.
    ///
    /// # Errors
    /// [`ApiError::UnknownKey`].
    pub fn plain_key(&self, text: &str) -> Result<KeyHash, ApiError> {
        if !self.config.local && text == key::LOCAL_DEMO {
            return Err(ApiError::UnknownKey);
        }
        key::plain_key(text).ok_or(ApiError::UnknownKey)
    }

    /// Lets nobody on but the service's own page.
    ///
    /// # Errors
    /// [`ApiError::ForeignOrigin`].
    pub fn check_origin(&self) -> Result<(), ApiError> {
        if self.request.origin == Some(self.request.own_origin) { Ok(()) } else { Err(ApiError::ForeignOrigin) }
    }

    /// The secret that sessions are sealed with. Where none is set, there are none, nor their routes.
    ///
    /// # Errors
    /// 404.
    pub fn session_secret(&self) -> Result<&str, ApiError> {
        self.config.session_secret.as_deref().ok_or(ApiError::NoSuchRoute)
    }

    /// Checks the shape of a lease's token and its rate. The database judges the rest.
    ///
    /// # Errors
    /// 400 or 429.
    pub async fn lease(&self, token: &str) -> Result<(), ApiError> {
        check::text("lease", Some(token), NAME_CHARS)?;
        let lease = lease_name(token);
        self.check_address(Some(&lease))?;
        if !self.runtime.within_rate(Limit::Caller, &lease).await {
            return Err(ApiError::TooManyRequests("lease"));
        }
        self.home.set(Home::Bucket(lease::bucket(token)));
        Ok(())
    }

    /// The lease was let in.
    pub fn accept_lease(&self, token: &str) {
        self.runtime.accepted().add(&lease_name(token), 0, self.request.now.0);
    }

    /// Lets nobody in from a network that sent too many requests which were refused, but for a key or lease that was let
    /// in a moment ago.
    ///
    /// # Errors
    /// 429.
    pub fn check_address(&self, credential: Option<&str>) -> Result<(), ApiError> {
        let now = self.request.now.0;
        let blocked = self.request.client.and_then(|client| self.runtime.blocked().get(&network(client), now));
        match (blocked, credential.and_then(|credential| self.runtime.accepted().get(credential, now))) {
            (Some((left, _)), None) => Err(ApiError::TooManyRefusals(left)),
            _ => Ok(()),
        }
    }

    /// Counts this request against its address; `false` if that was one too many, and the address is refused from now on.
    pub async fn count_against_address(&self) -> bool {
        let Some(client) = self.request.client else { return true };
        let network = network(client);
        let within = self.runtime.within_rate(Limit::Refusals, &network).await;
        if !within {
            self.runtime.blocked().add(&network, 0, self.request.now.0);
        }
        within
    }

    /// Lets in what GitHub has signed. Where no secret is set, the route does not exist.
    ///
    /// # Errors
    /// 404, 401, or why the body was not read.
    pub fn check_github(&self) -> Result<(), ApiError> {
        let secret = self.config.github_webhook_secret.as_deref().ok_or(ApiError::NoSuchRoute)?;
        let body = self.request.body.map_err(Clone::clone)?;
        match self.request.github.signature {
            Some(signature) if key::is_signed(secret, signature, body) => Ok(()),
            _ => self.check_address(None).and(Err(ApiError::WrongSignature)),
        }
    }

    /// Checks the admin token. Where none is set, the admin operations do not exist.
    ///
    /// # Errors
    /// 404 or 401.
    pub fn check_admin(&self) -> Result<(), ApiError> {
        let token = self.config.admin_token.as_deref().ok_or(ApiError::NoSuchRoute)?;
        match self.request.authorization {
            Some(header) if key::is_admin(header, token) => Ok(()),
            _ => self.check_address(None).and(Err(ApiError::WrongAdminToken)),
        }
    }
}

/// What a lease is called among keys.
fn lease_name(token: &str) -> String {
    format!("lease {token}")
}
