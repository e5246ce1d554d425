//! Which paths there are. The edge's Router is made from this table, and so are 405's `Allow` and the tests' matrices.

/// An HTTP method that some route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET, and HEAD with it (RFC 9110 section 9.3.2).
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the table below says what each is")]
pub enum Route {
    Cancel,
    Register,
    List,
    Show,
    Events,
    Claim,
    Heartbeat,
    Finish,
    BulkCancel,
    CreateProject,
    SetConcurrency,
    CreateEnvironment,
    CreateKey,
    ListKeys,
    RevokeKey,
    OpenApi,
    Health,
}

/// A method and a pattern, in which `:id` stands for one segment, and what they ask for.
pub type Row = (Method, &'static str, Route);

/// Every route.
pub static ROUTES: [Row; 17] = [
    (Method::Post, "/api/test-runs/:id/cancel", Route::Cancel),
    (Method::Put, "/api/test-runs", Route::Register),
    (Method::Get, "/api/test-runs", Route::List),
    (Method::Get, "/api/test-runs/:id", Route::Show),
    (Method::Get, "/api/test-runs/:id/events", Route::Events),
    (Method::Post, "/api/test-runs/:id/claim", Route::Claim),
    (Method::Post, "/api/test-runs/:id/heartbeat", Route::Heartbeat),
    (Method::Post, "/api/test-runs/:id/finish", Route::Finish),
    (Method::Post, "/api/test-runs/cancel", Route::BulkCancel),
    (Method::Post, "/api/projects", Route::CreateProject),
    (Method::Put, "/api/projects/:id/concurrency", Route::SetConcurrency),
    (Method::Post, "/api/projects/:id/environments", Route::CreateEnvironment),
    (Method::Post, "/api/keys", Route::CreateKey),
    (Method::Get, "/api/keys", Route::ListKeys),
    (Method::Delete, "/api/keys/:id", Route::RevokeKey),
    (Method::Get, "/openapi.json", Route::OpenApi),
    (Method::Get, "/healthz", Route::Health),
];

impl Method {
    /// The names that a route with this method answers to.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET", "HEAD"],
            Self::Post => &["POST"],
            Self::Put => &["PUT"],
            Self::Delete => &["DELETE"],
        }
    }
}

impl Route {
    /// Whether the id in its path is a run's.
    pub fn is_about_a_run(self) -> bool {
        matches!(self, Self::Cancel | Self::Show | Self::Events | Self::Claim | Self::Heartbeat | Self::Finish)
    }

    /// The route's pattern with its method, as the log names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancel => "POST /api/test-runs/:id/cancel",
            Self::Register => "PUT /api/test-runs",
            Self::List => "GET /api/test-runs",
            Self::Show => "GET /api/test-runs/:id",
            Self::Events => "GET /api/test-runs/:id/events",
            Self::Claim => "POST /api/test-runs/:id/claim",
            Self::Heartbeat => "POST /api/test-runs/:id/heartbeat",
            Self::Finish => "POST /api/test-runs/:id/finish",
            Self::BulkCancel => "POST /api/test-runs/cancel",
            Self::CreateProject => "POST /api/projects",
            Self::SetConcurrency => "PUT /api/projects/:id/concurrency",
            Self::CreateEnvironment => "POST /api/projects/:id/environments",
            Self::CreateKey => "POST /api/keys",
            Self::ListKeys => "GET /api/keys",
            Self::RevokeKey => "DELETE /api/keys/:id",
            Self::OpenApi => "GET /openapi.json",
            Self::Health => "GET /healthz",
        }
    }
}

/// The route that serves this method at this path.
pub fn find(method: &str, path: &str) -> Option<&'static Row> {
    at(path).find(|(served, ..)| served.names().contains(&method))
}

/// The `Allow` header for a path: the methods that it takes (RFC 9110 section 10.2.1); `None` if there is no such path.
pub fn allowed(path: &str) -> Option<String> {
    let names: Vec<&str> = at(path).flat_map(|(method, ..)| method.names().iter().copied()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// The routes of a path, one a method: those of a pattern without an id, if one matches, and else of those with one. The
/// Router's own matcher is laxer: it takes an empty segment for an id, and a word of the table's own if the method is
/// another's.
fn at(path: &str) -> impl Iterator<Item = &'static Row> {
    let literal = ROUTES.iter().any(|(_, pattern, _)| *pattern == path);
    ROUTES.iter().filter(move |(_, pattern, _)| if literal { *pattern == path } else { matches(pattern, path) })
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    pattern.split('/').all(|expected| match segments.next() {
        Some(segment) => expected == segment || (expected == ":id" && !segment.is_empty()),
        None => false,
    }) && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_allows_the_methods_that_the_table_gives_it() {
        assert_eq!(allowed("/api/test-runs").as_deref(), Some("PUT, GET, HEAD"));
        assert_eq!(allowed("/api/test-runs/7/cancel").as_deref(), Some("POST"));
        assert_eq!(allowed("/api/keys/7").as_deref(), Some("DELETE"));
        for nowhere in [
            "",
            "/",
            "/api",
            "/api/test-runs/",
            "/api/test-runs//cancel",
            "/api/test-runs/7/cancel/",
            "/api/test-runs/7/stop",
        ] {
            assert_eq!((allowed(nowhere), find("GET", nowhere)), (None, None), "{nowhere}");
        }
    }

    #[test]
    fn a_word_of_the_table_is_no_id() {
        let served = |method, path| find(method, path).map(|(.., route)| *route);
        assert_eq!(allowed("/api/test-runs/cancel").as_deref(), Some("POST"));
        assert_eq!(served("POST", "/api/test-runs/cancel"), Some(Route::BulkCancel));
        assert_eq!(served("GET", "/api/test-runs/cancel"), None);
        assert_eq!(served("HEAD", "/api/test-runs/x"), Some(Route::Show), "which is a bad id, and said to be one");
    }

    #[test]
    fn a_route_is_logged_under_its_row_of_the_table() {
        for (method, pattern, route) in ROUTES {
            let name = method.names().first().map(|m| format!("{m} {pattern}"));
            assert_eq!(name.as_deref(), Some(route.name()));
        }
    }
}
