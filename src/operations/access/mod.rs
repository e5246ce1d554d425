//! `GET /session/access`: whom Cloudflare Access has signed in, is signed in here.
//!
//! It is the one path that stands behind Access. What Access vouches for, an address, is exchanged for the session of a key
//! that was made for that address, or for its domain ([`crate::operations::admin::people`]).

use estop_protocol::limits::MAX_ID;
use serde::Deserialize;

use crate::access::{Lookup, PublicKey, Team, Token, domain};
use crate::buckets::Bucket;
use crate::database::Home;
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation, Outcome};
use crate::http::query::Parameters;
use crate::http::reply::Reply;
use crate::http::request::Call;
use crate::key::KeyHash;
use crate::operations::directory;
use crate::runtime::{DbError, Limit, Sql, Statement, random_id, sql};
use crate::session::{LASTS, Session};

/// Signs in. A HEAD would sign in too, so there is none.
pub const OPERATION: Operation = Operation {
    method: Method::GetOnly,
    pattern: "/session/access",
    access: Access::Open(|call| Box::pin(sign_in(call))),
};

const GRANT: Sql = sql!("access/grant.sql");
const ADMITTED: Sql = sql!("access/admitted.sql");

/// How many databases that are silent a person waits for at most.
const MOST_SILENCES: i64 = 3;

/// The row that lets somebody in.
#[derive(Deserialize)]
struct Admitted {
    id: i64,
    hash: String,
    bucket: String,
}

/// No `Origin` is asked for: a browser that comes back from Access's sign-in sends none. Another site's page can make a
/// browser ask, as any link can; then whoever is signed in at Access is signed in here, as nobody but themselves, and that page
/// reads nothing of it. What the session may then be used for is held to the service's own page, as ever.
async fn sign_in(call: &Call<'_>) -> Outcome {
    let secret = call.session_secret()?;
    let team = call.config.access.as_ref().ok_or(ApiError::NoSuchRoute)?;
    // Links are passed on by chats and mail programs, which append parameters of their own.
    let project = Parameters::read(call.request.query)?.number("project", 1, MAX_ID)?;
    let now = call.request.now;
    let text = call.request.assertion.ok_or(ApiError::BadAssertion("there is none"))?;
    let token = Token::read(text, team, now).map_err(ApiError::BadAssertion)?;
    let key = team_key(call, team, &token.kid).await?;
    if !call.runtime.has_signed(&key, token.signed, &token.signature).await {
        return Err(ApiError::BadAssertion("its signature is wrong"));
    }
    let address = token.address.as_str();
    if !call.runtime.within_rate(Limit::Caller, address).await {
        return Err(ApiError::TooManyRequests("person"));
    }
    // For a row that the domain's makes. It is no key's: no text that could be one has it for its hash.
    let hash = KeyHash::of(&format!("access:{address}:{}", random_id(call.runtime)));
    let grant = vec![address.into(), now.0.into(), domain(address).into(), project.into(), hash.as_str().into()];
    let statements = vec![
        Statement::new(GRANT, grant),
        Statement::new(ADMITTED, vec![address.into(), now.0.into(), project.into()]),
    ];
    let admitted = match project {
        Some(project) => {
            directory::go_to(call, project).await?;
            call.batch(statements).await?.first(1)?
        }
        None => first_that_admits(call, statements).await?,
    };
    let Admitted { id, hash, bucket } = admitted.ok_or_else(|| ApiError::NotAdmitted(token.address.clone()))?;
    call.runtime.accepted().add(&hash, id, now.0);
    let bucket = Bucket::parse(&bucket).ok_or(DbError::Unreadable(ADMITTED.file))?;
    let session = Session { key: KeyHash::written(bucket, &hash), ends: now.plus(LASTS) };
    let headers = vec![("Location", "/".to_owned()), ("Set-Cookie", session.cookie(secret))];
    Ok(Reply { headers, key_id: Some(id), ..Reply::text(303, "signed_in", String::new()) })
}

/// Asks one database after the other, as the first that lets somebody in may make a row for them. One that does not answer keeps nobody
/// out whom another lets in.
async fn first_that_admits(call: &Call<'_>, statements: Vec<Statement<'_>>) -> Result<Option<Admitted>, DbError> {
    let (begun, mut failure) = (call.runtime.elapsed(), None);
    for number in call.runtime.databases() {
        match directory::at(call, Home::Database(*number))
            .batch(statements.clone())
            .await
            .and_then(|rows| rows.first(1))
        {
            Ok(None) => {}
            Ok(admitted) => return Ok(admitted),
            Err(error) => failure = Some(error),
        }
        // Nobody waits for many that are silent.
        if failure.is_some() && call.runtime.elapsed() - begun > MOST_SILENCES * call.config.d1_deadline {
            break;
        }
    }
    failure.map_or(Ok(None), Err)
}

/// The team's key of this name.
async fn team_key(call: &Call<'_>, team: &Team, kid: &str) -> Result<PublicKey, ApiError> {
    let (ring, now) = (call.runtime.team_keys(), call.request.now);
    let found = match ring.find(kid, now) {
        Lookup::Ask => {
            let certs = call.runtime.get(&team.certs()).await;
            certs.and_then(|certs| ring.learn(&certs, kid, now)).ok_or(ApiError::NoTeamKeys)?
        }
        known => known,
    };
    match found {
        Lookup::Found(key) => Ok(key),
        Lookup::Unknown | Lookup::Ask => Err(ApiError::BadAssertion("the team has no key of its name")),
    }
}
