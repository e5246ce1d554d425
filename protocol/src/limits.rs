//! The limits of requests. The Worker refuses what exceeds them with 400, a longer body with 413.

/// The longest request body, in bytes. The Worker does not read past it.
pub const BODY_BYTES: usize = 64 * 1024;

/// The longest body of a delivery of GitHub's, in bytes. GitHub itself allows 25 MB; an event about a pull request has some 30 KB.
pub const GITHUB_BODY_BYTES: usize = 512 * 1024;

/// The largest id, and the largest integer in any request: 2^53 - 1, which JSON's common readers and D1's parameters
/// hold exactly (RFC 8259 section 6).
pub const MAX_ID: i64 = 9_007_199_254_740_991;

/// The longest cancel reason, in characters.
pub const REASON_CHARS: usize = 1024;

/// The longest name of anything (a branch, a user, a tag, a runner), in characters.
pub const NAME_CHARS: usize = 255;

/// The longest address of a person, in characters (RFC 5321 section 4.5.3.1.3, without its brackets).
pub const ADDRESS_CHARS: usize = 254;

/// The longest URL, in characters.
pub const URL_CHARS: usize = 2048;

/// The most metadata, tags and build of one run together, in bytes of JSON: a page of the list holds a hundred of them.
pub const EXTRAS_BYTES: usize = 8 * 1024;

/// The most names in the metadata of one run.
pub const METADATA_NAMES: usize = 50;

/// The most tags of one run.
pub const TAGS: usize = 50;

/// The most shards of one run: an answer holds them all.
pub const SHARDS: i64 = 1000;

/// The largest attempt of a run's group.
pub const ATTEMPTS: i64 = 1_000_000;

/// The most failed tests that `fail_fast` waits for.
pub const FAIL_FAST: i64 = 1_000_000;

/// The most failed tests that a heartbeat or a finish names, and that are listed of a run.
pub const FAILURES: usize = 50;

/// The longest title or file of a test, in characters.
pub const TITLE_CHARS: usize = 500;

/// The longest message of a failed test, in characters.
pub const FAILURE_CHARS: usize = 2000;

/// The most failures of one request together, in bytes of JSON: each shard of a run keeps them.
pub const FAILURES_BYTES: usize = 32 * 1024;

/// The longest text that a shard's line takes, in bytes.
pub const LINE_BYTES: usize = 4 * 1024;

/// The most runs that a bulk cancel takes by id.
pub const BULK_IDS: usize = 100;

/// The most runs that a bulk cancel takes by filter; without a limit in the request it is 100.
pub const BULK_LIMIT: i64 = 1000;

/// How many open runs a bulk cancel by filter looks at in one request.
pub const BULK_WALK: i64 = 1000;

/// The most names in a bulk cancel's metadata filter.
pub const BULK_METADATA_NAMES: usize = 5;

/// The largest age in a bulk cancel's filter, in minutes: ten years.
pub const BULK_AGE_MINUTES: i64 = 5_256_000;

/// The longest page of any list.
pub const PER_PAGE: i64 = 100;

/// The most webhooks of a project: each is written to with every change of a run.
pub const WEBHOOKS: usize = 10;

/// The longest address of a webhook, in characters.
pub const WEBHOOK_URL_CHARS: usize = 2000;

/// The longest branch pattern of a webhook, in bytes: D1 takes no longer GLOB pattern.
pub const BRANCH_PATTERN_BYTES: usize = 50;

/// The most `*` of a branch pattern: each multiplies what a comparison costs.
pub const BRANCH_PATTERN_STARS: usize = 3;

/// How much is kept of a webhook's answer, in bytes.
pub const WEBHOOK_ANSWER_BYTES: usize = 8 * 1024;

/// How many deliveries of a webhook are kept.
pub const DELIVERIES: usize = 100;

/// The most days for which a project keeps its runs in the database; 0 is for ever.
pub const RETENTION_DAYS: i64 = 3650;
