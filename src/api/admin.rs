//! Set-up, behind the admin token: projects, environments, keys.

use super::{Api, Reply, Route};
use crate::concurrency::Concurrency;
use crate::error::ApiError;
use crate::host::Host;
use crate::key::PlainKey;
use crate::store::admin as store;
use crate::wire::admin::{
    CreateEnvironmentRequest, CreateKeyRequest, CreateProjectRequest, KeyList, KeyPagination, Keys, NewKey,
    OneEnvironment, OneKey, OneProject,
};
use crate::wire::query::KeysQuery;

pub(super) async fn handle<H: Host>(api: &Api<'_, H>) -> Result<Reply, ApiError> {
    let (host, deadline, now) = (api.host, api.config.d1_deadline, api.request.now);
    match api.request.route {
        Route::CreateProject => {
            let request_id = api.request_id()?;
            let wanted = api.body::<CreateProjectRequest>()?.checked()?;
            let project = store::create_project(host, deadline, now, &request_id, &wanted).await?;
            Ok(Reply::data("created", OneProject { project }))
        }
        Route::SetConcurrency => {
            let project_id = api.id()?;
            let limit = api.body::<Concurrency>()?;
            let project = store::set_concurrency(host, deadline, project_id, limit).await?;
            Ok(Reply::data("configured", OneProject { project }))
        }
        Route::CreateEnvironment => {
            let project_id = api.id()?;
            let request_id = api.request_id()?;
            let wanted = api.body::<CreateEnvironmentRequest>()?.checked()?;
            let environment = store::create_environment(host, deadline, now, &request_id, project_id, &wanted).await?;
            Ok(Reply::data("created", OneEnvironment { environment }))
        }
        Route::CreateKey => {
            let (wanted, expires_at) = api.body::<CreateKeyRequest>()?.checked()?;
            let mut secret = [0; 32];
            host.random(&mut secret);
            let plain = PlainKey::from_random(secret);
            let key = store::create_key(host, deadline, now, &plain.hash(), &wanted, expires_at).await?;
            Ok(Reply::data("created", NewKey { key, token: plain.reveal() }))
        }
        Route::RevokeKey => {
            let key = store::revoke_key(host, deadline, now, api.id()?).await?;
            Ok(Reply::data("revoked", OneKey { key }))
        }
        Route::ListKeys => {
            let query = KeysQuery::parse(api.request.query)?;
            let keys = store::list_keys(host, deadline, &query).await?;
            let full = i64::try_from(keys.len()) == Ok(query.per_page);
            let next_before = keys.last().map(|key| key.id).filter(|_| full);
            let pagination = KeyPagination { per_page: query.per_page, next_before };
            Ok(Reply::json(200, "listed", &KeyList { data: Keys { keys }, pagination }))
        }
        _ => Err(ApiError::NoSuchRoute),
    }
}
