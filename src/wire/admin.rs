//! Set-up: request and response bodies of projects, environments and keys.

use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::key::Scope;
use crate::time::Timestamp;
use crate::wire::MAX_ID;
use crate::wire::answers::{Environment, Project, named};
use crate::wire::check::{invalid, slug, text};
use crate::wire::whole::Whole;

/// A project to be made.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct CreateProjectRequest {
    /// For people.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    pub name: String,
    /// For machines: lower-case letters, digits and hyphens.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub slug: String,
    /// The repository under test, e.g. `acme/shop`.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    pub repo_name: Option<String>,
}

impl CreateProjectRequest {
    /// The request, if it is in order.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which field and what was expected.
    pub fn checked(self) -> Result<Self, ApiError> {
        text("name", Some(&self.name), 255)?;
        slug("slug", &self.slug)?;
        text("repo_name", self.repo_name.as_deref(), 255)?;
        Ok(self)
    }
}

/// An environment to be made.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct CreateEnvironmentRequest {
    /// For people.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    pub name: String,
    /// For machines: lower-case letters, digits and hyphens.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub slug: String,
}

impl CreateEnvironmentRequest {
    /// The request, if it is in order.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which field and what was expected.
    pub fn checked(self) -> Result<Self, ApiError> {
        text("name", Some(&self.name), 255)?;
        slug("slug", &self.slug)?;
        Ok(self)
    }
}

/// A key to be made.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct CreateKeyRequest {
    /// The project that it opens.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = i64, minimum = 1, maximum = 9007199254740991_i64))]
    pub project_id: Whole,
    /// Who acts with it: recorded in every run that it touches. Not `system:` and anything.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255, examples("ada@example.com")))]
    pub user: String,
    /// What it is for.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_length = 1, max_length = 255))]
    pub name: String,
    /// What it may do: at least one.
    #[cfg_attr(not(target_arch = "wasm32"), schema(min_items = 1))]
    pub scopes: Vec<Scope>,
    /// From this moment on it opens nothing. Without it the key does not expire. Not before 1970.
    #[cfg_attr(not(target_arch = "wasm32"), schema(value_type = Option<Timestamp>))]
    expires_at: Option<String>,
}

impl CreateKeyRequest {
    /// The request, if it is in order, and when the key expires.
    ///
    /// # Errors
    /// [`ApiError::Invalid`], saying which field and what was expected.
    pub fn checked(self) -> Result<(Self, Option<Timestamp>), ApiError> {
        if !(1..=MAX_ID).contains(&self.project_id.0) {
            return invalid("project_id", "expected a project's id");
        }
        text("user", Some(&self.user), 255)?;
        if self.user.starts_with("system:") {
            return invalid(
                "user",
                "expected a name that does not begin with `system:`, which estop's own parts sign with",
            );
        }
        text("name", Some(&self.name), 255)?;
        if self.scopes.is_empty() {
            return invalid("scopes", "expected at least one of `read`, `cancel`, `run`");
        }
        let expires_at = match self.expires_at.as_deref().map(Timestamp::parse) {
            Some(None) => return invalid("expires_at", "expected a date and time like 2026-11-22T09:30:00Z"),
            Some(at) => at,
            None => None,
        };
        Ok((self, expires_at))
    }
}

named! {
    /// The answer to the creation of a project.
    OneProject { project: Project },
    /// The answer to the creation of an environment.
    OneEnvironment { environment: Environment },
    /// The answer to a key's revocation.
    OneKey { key: Key },
}

/// A key, without the key.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Key {
    /// Its id.
    pub id: i64,
    /// The project that it opens.
    pub project_id: i64,
    /// Who acts with it.
    pub user: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it opens nothing; null: it does not expire.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked; null: it was not.
    pub revoked_at: Option<Timestamp>,
}

/// A new key.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct NewKey {
    /// What is stored of it.
    pub key: Key,
    /// The key itself. It is told this once and cannot be had again.
    pub token: String,
}

/// A list of keys.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct KeyList {
    /// The keys.
    pub data: Keys,
    /// Where this page lies.
    pub pagination: KeyPagination,
}

/// The keys, newest first.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct Keys {
    /// At most `per_page` of them.
    pub keys: Vec<Key>,
}

/// Where a page of keys lies.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct KeyPagination {
    /// Keys a page.
    pub per_page: i64,
    /// The `before` that goes on from here, maybe to an empty page; null where nothing older can be left.
    pub next_before: Option<i64>,
}
