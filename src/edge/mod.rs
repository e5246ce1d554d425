//! Where the core meets the Workers runtime: the entry points, and nothing that decides.

mod d1;
mod http;
mod log;

use std::cell::OnceCell;
use std::panic;
use std::rc::Rc;

use worker::{Context, Env, Request, Response, Result, RouteContext, Router, ScheduleContext, ScheduledEvent, event};

use crate::api::{self, Method, Route, Row};
use crate::config::Config;
use crate::sweep;
use crate::time::Timestamp;

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

/// Chains the two panic hooks. `worker` has installed its own, which marks the instance for a restart; replacing it,
/// as `console_error_panic_hook::set_once` does, would leave the panicking request hanging until the runtime kills it.
#[event(start)]
fn start() {
    let restart = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        console_error_panic_hook::hook(info);
        restart(info);
    }));
}

/// Answers a request. The core never fails; an `Err`, of which the runtime would make a bare 500, can only come of
/// building the response itself.
#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> Result<web_sys::Response> {
    let call = Rc::new(http::Call::new(&request));
    if let Some(row) = api::find(&call.method, &call.path) {
        // The answer is left in the call.
        let _ = router(*row, Rc::clone(&call)).run(request, env).await;
    }
    call.respond()
}

/// A Router of the one row that it is about to find. It lives for one request, and adding a row costs more than finding it.
fn router((method, pattern, route): Row, call: Rc<http::Call>) -> Router<'static, Rc<http::Call>> {
    let router = Router::with_data(call);
    let handler = move |request, context| handle(route, request, context);
    match method {
        Method::Get => router.get_async(pattern, handler).head_async(pattern, handler),
        Method::Post => router.post_async(pattern, handler),
        Method::Put => router.put_async(pattern, handler),
        Method::Delete => router.delete_async(pattern, handler),
    }
}

/// Leaves the answer in the call: a `worker::Response` would be made of more objects than the response that it becomes.
async fn handle(route: Route, _: Request, context: RouteContext<Rc<http::Call>>) -> Result<Response> {
    let call = &context.data;
    let config = config(&context.env);
    let host = d1::EdgeHost::new(&context.env);
    let request = api::Request {
        route,
        id: context.param("id").map_or("", String::as_str),
        query: &call.query,
        authorization: call.authorization.as_deref(),
        idempotency_key: call.idempotency_key.as_deref(),
        content_type: call.content_type.as_deref(),
        body: call.body.as_deref(),
        now: call.now,
    };
    let reply = api::handle(&host, &config, &request).await;
    call.answer(route, reply, host.usage());
    Err(worker::Error::Infallible)
}

/// One tick of the sweeper, at the time for which it was scheduled: a tick that comes late sweeps no more than it would
/// have on time. There is nobody to answer, so the log has the tally and the failures.
#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this era fit")]
    let now = Timestamp(event.schedule() as i64);
    let begun = now_ms();
    let host = d1::EdgeHost::new(&env);
    let outcome = sweep::tick(&host, &config(&env), now).await;
    log::tick(now, now_ms().since(begun), &outcome, host.usage());
}

/// The runtime's clock: it stands still while the Worker computes and moves on at I/O.
fn now_ms() -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this era fit")]
    Timestamp(js_sys::Date::now() as i64)
}
