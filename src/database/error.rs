//! Why the database gave no answer that can be used.

/// Why a batch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DbError {
    /// The connection or the database's host went away, or the answer is not D1's. The batch may have been committed.
    Transient,
    /// D1 has more to do than it can.
    Overloaded,
    /// The database is as large as it may be. Nothing was committed.
    Full,
    /// No answer within the deadline. The batch may have been committed.
    Deadline,
    /// The schema lacks the table, column or index of this name. [`super::Database::batch`] finds out whether that is because of
    /// an upgrade.
    Missing(String),
    /// The schema has another version than this Worker expects, because an upgrade is under way.
    Upgrading,
    /// The schema has this version, which is older than the one that this Worker needs.
    SchemaTooOld(i64),
    /// The bucket is on its way to another database, and will be there in a moment. Nothing was committed.
    Moving,
    /// The bucket is in the database of this number, which this Worker does not have, or which knows nothing of it: its map or its
    /// bindings are wrong or old. Nothing was committed.
    Moved(i64),
    /// The binding of one database leads to another. Nothing was committed.
    OtherDatabase {
        /// The number that it is bound by.
        bound: i64,
        /// Its own number.
        is: i64,
    },
    /// A bug: the database refused a statement. The text names the statement files of the batch and the rule that they
    /// broke, and holds no value.
    Refused(String),
    /// A bug: a row of this statement file is not what the code expects.
    Unreadable(&'static str),
}

impl DbError {
    /// The name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Transient => "d1_transient",
            Self::Overloaded => "d1_overloaded",
            Self::Full => "d1_full",
            Self::Deadline => "d1_deadline",
            Self::Upgrading => "d1_upgrading",
            Self::SchemaTooOld(_) => "d1_schema_too_old",
            Self::Moving => "d1_moving",
            Self::Moved(_) => "d1_moved",
            Self::OtherDatabase { .. } => "d1_other_database",
            Self::Missing(_) | Self::Refused(_) => "d1_refused",
            Self::Unreadable(_) => "d1_unreadable",
        }
    }

    /// What an operator needs to know beyond the name: never a value, never the database's own sentence.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::SchemaTooOld(version) => Some(super::missing_migration(*version)),
            Self::Missing(what) | Self::Refused(what) => Some(what.clone()),
            Self::Unreadable(file) => Some((*file).to_owned()),
            Self::Moved(database) => Some(format!(
                "the bucket is not where the Worker looks for it: {database} is the number of its database. Bind that in wrangler.toml, \
                 write into BUCKETS what `estop admin buckets` prints, and run make deploy"
            )),
            Self::OtherDatabase { bound, is } => Some(format!(
                "the database bound with the number {bound} is number {is}: wrangler.toml has the names of two databases exchanged"
            )),
            Self::Transient | Self::Overloaded | Self::Full | Self::Deadline | Self::Upgrading | Self::Moving => None,
        }
    }

    /// Whether it is a fault of estop's, and not one that passes.
    pub fn is_bug(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::Refused(_) | Self::Unreadable(_))
    }

    /// Whether asking again at once can help. Overload must not be answered with more load.
    pub fn is_worth_retrying(&self) -> bool {
        *self == Self::Transient
    }

    /// Classifies a D1 error by its message, as the D1 documentation ("Debug D1", error list) words them. An unknown one
    /// is taken to pass: the batch may have been committed, and repeating it is safe.
    pub fn from_message(message: &str) -> Self {
        const LOST: [&str; 4] = [
            // "D1 DB storage operation exceeded timeout which caused object to be reset" is an overload.
            "reset because its code was updated",
            "starting up D1 DB storage caused object to be reset",
            "Internal error in D1 DB storage caused object to be reset",
            "Network connection lost",
        ];
        // SQLite errors about the machine, not about the statement.
        const MACHINE: [&str; 7] = [
            "SQLITE_BUSY",
            "SQLITE_LOCKED",
            "SQLITE_IOERR",
            "SQLITE_INTERRUPT",
            "SQLITE_PROTOCOL",
            "SQLITE_CANTOPEN",
            "SQLITE_READONLY",
        ];
        const OVERLOADED: [&str; 5] = ["overloaded", "Too many requests", "exceeded", "Memory limit", "SQLITE_NOMEM"];
        const FULL: [&str; 2] = ["SQLITE_FULL", "Exceeded maximum DB size"];
        // The D1 client refuses what we give it, or there is no binding.
        const MISUSED: [&str; 3] = ["D1_TYPE_ERROR", "Wrong number of parameter bindings", "Cannot read properties of"];
        let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if has(&FULL) {
            Self::Full
        } else if has(&LOST) || has(&MACHINE) {
            Self::Transient
        } else if has(&MISUSED) {
            Self::Refused("not a call that D1 takes".to_owned())
        } else if let Some(name) = missing(message) {
            Self::Missing(name)
        } else if message.contains("the bucket is being moved") {
            Self::Moving
        } else if message.contains("SQLITE_CONSTRAINT") {
            Self::Refused(broken_rule(message))
        } else if has(&OVERLOADED) {
            Self::Overloaded
        } else if message.contains("SQLITE_") {
            Self::Refused("not a statement that this schema takes".to_owned())
        } else {
            Self::Transient
        }
    }
}

/// What the schema lacks, if that is what the message says: `no such column: k.valid_until`.
fn missing(message: &str) -> Option<String> {
    ["no such table: ", "no such column: ", "no such index: ", "has no column named "].iter().find_map(|what| {
        let (_, rest) = message.split_once(what)?;
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')).collect();
        Some(format!("{what}{name}"))
    })
}

/// The rule of the schema that a statement broke: a constraint or a trigger's message, which are the schema's own text.
fn broken_rule(message: &str) -> String {
    let message = message.strip_prefix("D1_ERROR: ").unwrap_or(message);
    message.split(": SQLITE_CONSTRAINT").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_errors_are_classified_by_what_helps() {
        let refused = |rule: &str| DbError::Refused(rule.to_owned());
        let missing = |what: &str| DbError::Missing(what.to_owned());
        for (message, expected) in [
            ("D1_ERROR: Network connection lost.", DbError::Transient),
            ("D1 DB reset because its code was updated.", DbError::Transient),
            ("Cannot resolve D1 DB due to transient issue on remote node.", DbError::Transient),
            ("D1_ERROR: D1 DB is overloaded. Requests queued for too long.", DbError::Overloaded),
            ("D1 DB storage operation exceeded timeout which caused object to be reset.", DbError::Overloaded),
            ("D1_ERROR: database is locked: SQLITE_BUSY", DbError::Transient),
            ("D1_ERROR: unable to open database file: SQLITE_CANTOPEN", DbError::Transient),
            ("D1_ERROR: out of memory: SQLITE_NOMEM", DbError::Overloaded),
            ("D1_ERROR: database or disk is full: SQLITE_FULL", DbError::Full),
            ("D1_ERROR: Exceeded maximum DB size", DbError::Full),
            ("D1_TYPE_ERROR: Type 'bigint' not supported for value '1'", refused("not a call that D1 takes")),
            ("D1_ERROR: Wrong number of parameter bindings for SQL query.", refused("not a call that D1 takes")),
            ("Cannot read properties of undefined (reading 'prepare')", refused("not a call that D1 takes")),
            ("Unexpected token < in JSON at position 0", DbError::Transient),
            (
                "D1_ERROR: CHECK constraint failed: json_valid(tags): SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_CHECK)",
                refused("CHECK constraint failed: json_valid(tags)"),
            ),
            ("D1_ERROR: a run is claimed once: SQLITE_CONSTRAINT", refused("a run is claimed once")),
            ("D1_ERROR: the bucket is being moved: SQLITE_CONSTRAINT", DbError::Moving),
            (
                "D1_ERROR: near \"secret\": syntax error at offset 3: SQLITE_ERROR",
                refused("not a statement that this schema takes"),
            ),
            ("D1_ERROR: no such table: runs: SQLITE_ERROR", missing("no such table: runs")),
            (
                "D1_ERROR: no such column: k.valid_until at offset 7: SQLITE_ERROR",
                missing("no such column: k.valid_until"),
            ),
        ] {
            assert_eq!(DbError::from_message(message), expected, "{message}");
        }
    }
}
