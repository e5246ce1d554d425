//! A request on its way to an operation.

use estop_protocol::limits::MAX_ID;
use estop_protocol::time::Timestamp;
use serde::de::DeserializeOwned;

use super::body;
use super::error::ApiError;
use crate::config::Config;
use crate::database::{self, Answer};
use crate::key::{self, KeyHash};
use crate::runtime::{DbError, Runtime, Statement, random_id};

/// What an operation needs of an HTTP request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The id that the log and the answer's `X-Request-Id` have.
    pub request_id: &'a str,
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
    /// The body, or why it was not read, e.g. because it is longer than [`estop_protocol::limits::BODY_BYTES`].
    pub body: Result<&'a [u8], &'a ApiError>,
    /// When the whole request had arrived.
    pub now: Timestamp,
}

/// A request with its surroundings.
pub struct Call<'a> {
    /// The database and the like.
    pub runtime: &'a dyn Runtime,
    /// The settings.
    pub config: &'a Config,
    /// The request.
    pub request: &'a Request<'a>,
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

    /// The id by which this request recognises its own writes: the caller's Idempotency-Key or, without one, an id of our
    /// own for our own retries. The prefixes keep the two apart.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] if the Idempotency-Key is not 1 to 255 printable ASCII characters.
    pub fn write_id(&self) -> Result<String, ApiError> {
        match self.request.idempotency_key {
            None => Ok(format!("own:{}", random_id(self.runtime))),
            Some(key) if (1..=255).contains(&key.len()) && key.bytes().all(|b| (b' '..=b'~').contains(&b)) => {
                Ok(format!("key:{key}"))
            }
            Some(_) => Err(ApiError::Invalid(
                "The header Idempotency-Key must be 1 to 255 printable ASCII characters.".to_owned(),
            )),
        }
    }

    /// Reads the body.
    ///
    /// # Errors
    /// [`ApiError::BodyTooLarge`], or [`ApiError::Invalid`] saying which field and what was expected.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        body::parse(self.request.content_type, self.request.body.map_err(Clone::clone)?)
    }

    /// Runs a batch that is safe to repeat.
    ///
    /// # Errors
    /// As [`database::batch`].
    pub async fn batch(&self, statements: Vec<Statement<'_>>) -> Result<Answer, DbError> {
        database::batch(self.runtime, statements, self.config.d1_deadline).await
    }

    /// The caller's key, if the header could hold one and it is within its rate. The database judges the rest.
    ///
    /// # Errors
    /// 401 or 429.
    pub async fn key(&self) -> Result<KeyHash, ApiError> {
        let header = self.request.authorization.ok_or(ApiError::NoKey)?;
        let shown = key::bearer(header).ok_or(ApiError::NoKey)?;
        let key = key::api_key(header).ok_or(ApiError::UnknownKey)?;
        if !self.config.local && shown == key::LOCAL_DEMO {
            return Err(ApiError::UnknownKey);
        }
        if !self.runtime.within_rate(key.as_str()).await {
            return Err(ApiError::TooManyRequests);
        }
        Ok(key)
    }

    /// Checks the admin token. Where none is set, the admin operations do not exist.
    ///
    /// # Errors
    /// 404 or 401.
    pub fn check_admin(&self) -> Result<(), ApiError> {
        let token = self.config.admin_token.as_deref().ok_or(ApiError::NoSuchRoute)?;
        match self.request.authorization {
            Some(header) if key::is_admin(header, token) => Ok(()),
            _ => Err(ApiError::WrongAdminToken),
        }
    }
}
