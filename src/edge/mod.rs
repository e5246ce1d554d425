//! Where the core meets the Workers runtime: the entry points, and nothing that decides.

mod d1;
mod http;
mod hub;
mod log;
mod ticks;
mod webhooks;

use std::cell::{Cell, OnceCell};
use std::panic;
use std::rc::Rc;

use estop_protocol::bookmark;
use estop_protocol::health::DatabaseSize;
use estop_protocol::time::Timestamp;
use estop_protocol::watch::LEASE_HEADER;
use worker::{
    Context, Date, Env, Request, Response, Result, RouteContext, Router, ScheduleContext, ScheduledEvent, event,
};

use crate::config::Config;
use crate::database::{Database, Home};
use crate::http::error::ApiError;
use crate::http::operation::{Access, Method, Operation};
use crate::http::reply::Reply;
use crate::http::request::{self, Call};
use crate::operations::{self, OPERATIONS};
use crate::webhooks::Which;

thread_local! {
    /// The bindings of an isolate do not change, so its settings are read once.
    static CONFIG: OnceCell<Rc<Config>> = const { OnceCell::new() };
}

fn config(env: &Env) -> Rc<Config> {
    CONFIG.with(|cell| {
        Rc::clone(cell.get_or_init(|| {
            let (config, complaints) = Config::read(|name| env.var(name).ok().map(|var| var.to_string()));
            for complaint in &complaints {
                log::complaint(complaint);
            }
            Rc::new(config)
        }))
    })
}

/// Chains the two panic hooks. `worker` has installed its own, which marks the instance for a restart; replacing it, as
/// `console_error_panic_hook::set_once` does, would leave the panicking request hanging until the runtime kills it.
#[event(start)]
fn start() {
    let restart = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        console_error_panic_hook::hook(info);
        restart(info);
    }));
}

/// Answers a request.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    let arrival = now();
    // The Router's own 404 and 405 are plain text without `Allow`; it takes an empty segment for an id, and a method that
    // it does not know for GET. This costs some twenty comparisons of short texts.
    match operations::find(&request.inner().method(), &request.path()) {
        Ok(_) => router(Arrival { at: arrival, context }).run(request, env).await,
        Err(refusal) => {
            let request_id = http::request_id(request.headers());
            let reply = Reply::error(&refusal, &request_id);
            log::request(&request_id, None, &reply, now().since(arrival));
            http::response(reply, &request_id)
        }
    }
}

/// What the Router hands to each handler.
struct Arrival {
    /// When the request arrived.
    at: Timestamp,
    /// What goes on after the answer is handed to this.
    context: Context,
}

/// The Router, made from the table.
fn router(arrival: Arrival) -> Router<'static, Arrival> {
    OPERATIONS.iter().fold(Router::with_data(arrival), |router, operation| {
        let handler = move |request, context| serve(operation, request, context);
        match operation.method {
            Method::Get => router.get_async(operation.pattern, handler).head_async(operation.pattern, handler),
            Method::GetOnly => router.get_async(operation.pattern, handler),
            Method::Post => router.post_async(operation.pattern, handler),
            Method::Put => router.put_async(operation.pattern, handler),
            Method::Patch => router.patch_async(operation.pattern, handler),
            Method::Delete => router.delete_async(operation.pattern, handler),
        }
    })
}

/// Answers a request for `operation`.
async fn serve(operation: &Operation, mut incoming: Request, context: RouteContext<Arrival>) -> Result<Response> {
    let body = http::body(&mut incoming, operation.body_bytes()).await;
    let request_id = http::request_id(incoming.headers());
    let config = config(&context.env);
    let runtime = d1::EdgeRuntime::new(&context.env);
    let (query, header) = (http::query(&incoming), |name| http::header(&incoming, name));
    let (authorization, idempotency_key, content_type) =
        (header("authorization"), header("idempotency-key"), header("content-type"));
    let (client, lease) = (header("cf-connecting-ip"), header(LEASE_HEADER));
    let (cookie, origin, own_origin) = (header("cookie"), header("origin"), http::origin(&incoming));
    let if_none_match = header("if-none-match");
    // Where there are no replicas it says nothing.
    let seen = config.replicas.then(|| header(bookmark::HEADER)).flatten();
    // Each header is a step into JavaScript and back, so those that one route alone needs are read for it alone.
    let assertion = (operation.pattern == operations::access::OPERATION.pattern)
        .then(|| header("cf-access-jwt-assertion"))
        .flatten();
    let [event, delivery, signature] = match operation.access {
        Access::GitHub(_) => ["x-github-event", "x-github-delivery", "x-hub-signature-256"].map(header),
        _ => [const { None }; 3],
    };
    let segment = |name| context.param(name).map_or("", String::as_str);
    let plain = request::Request {
        request_id: &request_id,
        id: segment("id"),
        slugs: (segment("project"), segment("environment")),
        query: &query,
        client: client.as_deref(),
        authorization: authorization.as_deref(),
        cookie: cookie.as_deref(),
        origin: origin.as_deref(),
        own_origin: &own_origin,
        assertion: assertion.as_deref(),
        if_none_match: if_none_match.as_deref(),
        bookmark: seen.as_deref(),
        idempotency_key: idempotency_key.as_deref(),
        content_type: content_type.as_deref(),
        wants_websocket: header("upgrade").is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")),
        github: request::GitHub {
            event: event.as_deref(),
            delivery: delivery.as_deref(),
            signature: signature.as_deref(),
        },
        lease: lease.as_deref(),
        body: body.as_deref(),
        // When the whole request had arrived, which may have taken its time: the database judges the key as of now.
        now: now(),
    };
    let call = Call {
        operation,
        runtime: &runtime,
        config: &config,
        request: &plain,
        caller: OnceCell::new(),
        home: Cell::new(Home::FIRST),
    };
    let mut reply = operations::answer(&call).await;
    reply.headers.extend(runtime.bookmark().map(|seen| (bookmark::HEADER, seen)));
    if config.log_heartbeats || !reply.is_routine {
        log::request(&request_id, Some((operation, runtime.usage())), &reply, now().since(context.data.at));
    }
    let news = runtime.news();
    if !news.is_empty() {
        context.data.context.wait_until(hub::tell(context.env.clone(), news));
    }
    for database in runtime.delivers().into_iter().filter(|_| config.webhook_secret.is_some()) {
        let home = Home::Database(database);
        context.data.context.wait_until(webhooks::deliver(context.env.clone(), home, Which::Fresh, now()));
    }
    match &reply.line {
        Some(line) => match hub::open(&context.env, line).await {
            Some(response) => Ok(response),
            None => http::response(Reply::error(&ApiError::NoHub, &request_id), &request_id),
        },
        None => http::response(reply, &request_id),
    }
}

/// The ticks of all databases, at the time for which they were scheduled.
#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this era fit")]
    let scheduled_for = Timestamp(event.schedule() as i64);
    ticks::all(env, scheduled_for).await;
}

/// How much of a database is in use, as far as D1 has told it.
fn fullness(database: &Database<'_>) -> DatabaseSize {
    let bytes = database.runtime.database_bytes(database.number());
    DatabaseSize { bytes, most_bytes: database.config.database_bytes }
}

/// The runtime's clock: it stands still while the Worker computes and moves on at I/O.
fn now() -> Timestamp {
    Timestamp(i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX))
}
