//! The rate limit, on the server where it is low: 150 requests of one key in ten seconds.

use crate::client::{Project, Server};

#[test]
fn a_key_that_asks_too_often_is_429_with_retry_after_and_another_key_is_not() {
    let project = Project::on(Server::short());
    let busy = project.key("busy", &["read"], None).0;
    // The window is fixed, so 301 requests fill at least one wherever it begins, unless they take longer than two.
    let ask = || (0..100).map(|_| project.server.call(&busy, "GET", "/api/test-runs", None)).find(|a| a.status != 200);
    let limited = std::thread::scope(|scope| {
        let clients = [(); 8].map(|()| scope.spawn(ask));
        clients.into_iter().filter_map(|client| client.join().expect("a client")).last()
    });
    let limited = limited.expect("a limit");
    limited.is_error(429);
    let wait: u32 = limited.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((1..=60).contains(&wait));
    assert_eq!(project.get("/api/test-runs").status, 200, "another key has its own count");
}
