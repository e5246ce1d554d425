//! HTTP without a server: a [`Request`] in, a [`Reply`] out. One file a noun; each handler checks what was sent, calls
//! the store and shapes the answer.

mod admin;
mod bulk;
mod lists;
mod routes;
mod runs;

pub use routes::{Method, ROUTES, Route, Row, allowed, find};

use serde::Serialize;

use crate::config::Config;
use crate::error::ApiError;
use crate::host::{self, Host};
use crate::key::{self, KeyHash};
use crate::store::run::Caller;
use crate::time::Timestamp;
use crate::wire;
use crate::wire::answers::{CancelTestRunFailureResponse, ErrorDetail, ErrorResponse, Health};

/// The OpenAPI document, written by `make openapi` from the types of [`crate::wire`], without white space (build.rs).
pub const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// What a handler needs of an HTTP request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What is asked for.
    pub route: Route,
    /// The `:id` of the path, not decoded.
    pub id: &'a str,
    /// The query string, without `?`, not decoded.
    pub query: &'a str,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<&'a str>,
    /// The header `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The body, or why it was not read, e.g. because it is longer than [`crate::config::BODY_LIMIT`].
    pub body: Result<&'a [u8], &'a ApiError>,
    /// When all of the request had come.
    pub now: Timestamp,
}

/// What to answer, and what to log of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
    /// Headers beyond the content type.
    pub headers: Vec<(&'static str, String)>,
    /// What came of it, in a word or two, for the log.
    pub outcome: &'static str,
    /// The run that it was about, for the log.
    pub run_id: Option<i64>,
}

impl Reply {
    fn json(status: u16, outcome: &'static str, body: &impl Serialize) -> Self {
        Self { status, body: wire::json(body), headers: Vec::new(), outcome, run_id: None }
    }

    fn data(outcome: &'static str, data: impl Serialize) -> Self {
        Self::json(200, outcome, &wire::answers::Data { data })
    }

    /// The 412 of cancel, claim and finish.
    fn refused(outcome: &'static str, message: &str) -> Self {
        Self::json(412, outcome, &CancelTestRunFailureResponse { message })
    }

    fn about(mut self, run_id: i64) -> Self {
        self.run_id = (run_id > 0).then_some(run_id);
        self
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let message = error.message();
        let body = ErrorResponse { data: (), error: ErrorDetail { message: &message } };
        Self { headers: error.headers(), ..Self::json(error.status(), error.outcome(), &body) }
    }
}

/// Answers a request. Every refusal is a [`Reply`] too: nothing that a client sends makes this fail.
pub async fn handle(host: &impl Host, config: &Config, request: &Request<'_>) -> Reply {
    let api = Api { host, config, request };
    match api.route().await {
        Ok(reply) => reply,
        Err(error) => {
            let run_id = request.route.is_about_a_run().then(|| wire::id(request.id).ok()).flatten().unwrap_or(0);
            Reply::from(error).about(run_id)
        }
    }
}

/// One request on its way.
struct Api<'a, H> {
    host: &'a H,
    config: &'a Config,
    request: &'a Request<'a>,
}

impl<'a, H: Host> Api<'a, H> {
    async fn route(&self) -> Result<Reply, ApiError> {
        match self.request.route {
            Route::OpenApi => {
                Ok(Reply { status: 200, body: OPENAPI.to_owned(), headers: Vec::new(), outcome: "ok", run_id: None })
            }
            Route::Health => self.health().await,
            Route::Cancel | Route::Register | Route::Claim | Route::Heartbeat | Route::Finish => {
                let key = self.key().await?;
                runs::write(self, &self.caller(&key)).await
            }
            Route::BulkCancel => {
                let key = self.key().await?;
                bulk::cancel(self, &self.caller(&key)).await
            }
            Route::List | Route::Show | Route::Events => {
                let key = self.key().await?;
                lists::read(self, &self.caller(&key)).await
            }
            Route::CreateProject
            | Route::SetConcurrency
            | Route::CreateEnvironment
            | Route::CreateKey
            | Route::RevokeKey
            | Route::ListKeys => {
                self.admin()?;
                admin::handle(self).await
            }
        }
    }

    /// The caller's key, if the header could hold one and it has not asked too often. The database judges the rest.
    async fn key(&self) -> Result<KeyHash, ApiError> {
        let header = self.request.authorization.ok_or(ApiError::NoKey)?;
        let shown = key::bearer(header).ok_or(ApiError::NoKey)?;
        let key = key::api_key(header).ok_or(ApiError::UnknownKey)?;
        if !self.config.local && shown == key::LOCAL_DEMO {
            return Err(ApiError::UnknownKey);
        }
        if !self.host.within_rate(key.as_str()).await {
            return Err(ApiError::TooManyRequests);
        }
        Ok(key)
    }

    fn caller<'k>(&self, key: &'k KeyHash) -> Caller<'k> {
        Caller { key, now: self.request.now, deadline: self.config.d1_deadline }
    }

    fn admin(&self) -> Result<(), ApiError> {
        let token = self.config.admin_token.as_deref().ok_or(ApiError::NoSuchRoute)?;
        match self.request.authorization {
            Some(header) if key::is_admin(header, token) => Ok(()),
            _ => Err(ApiError::WrongAdminToken),
        }
    }

    async fn health(&self) -> Result<Reply, ApiError> {
        let question = [host::Statement::new(crate::sql::HEALTH, Vec::new())];
        host::batch(self.host, &question, self.config.d1_deadline).await?;
        Ok(Reply::data("ok", Health { status: "ok" }))
    }

    fn id(&self) -> Result<i64, ApiError> {
        wire::id(self.request.id)
    }

    /// The id of this request: the caller's Idempotency-Key, or one of our own for the repeats that we make ourselves.
    /// The prefixes keep the two apart.
    fn request_id(&self) -> Result<String, ApiError> {
        Ok(match self.request.idempotency_key {
            Some(header) => format!("key:{}", wire::idempotency_key(header)?),
            None => format!("own:{}", host::random_id(self.host)),
        })
    }

    fn body<T: serde::de::DeserializeOwned>(&self) -> Result<T, ApiError> {
        let bytes = self.request.body.map_err(Clone::clone)?;
        wire::body::parse(self.request.content_type, bytes)
    }
}
