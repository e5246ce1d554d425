//! A lease's token: the fence that heartbeat and finish must carry.
//!
//! It is the bucket of the key that claimed, the shard's number and 128 random bits, like `00.3.rVqZ…`: by the first two a
//! heartbeat, which has no key, finds its row. Tokens from before 0.2.0 are the random bits alone, of a run with one shard.

use crate::key::BUCKET;
use crate::runtime::{Runtime, random_id};

/// A new token for a shard.
pub fn token(runtime: &dyn Runtime, shard: i64) -> String {
    format!("{BUCKET}.{shard}.{}", random_id(runtime))
}

/// The shard that a token is of; 0, which no shard has, if it is no token.
pub fn shard(token: &str) -> i64 {
    let mut parts = token.split('.');
    match (parts.next(), parts.next()) {
        (_, None) => 1,
        (Some(BUCKET), Some(shard)) => shard.parse().ok().filter(|shard| *shard > 0).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_which_shard_it_is_of() {
        assert_eq!(["00.3.abc", "00.1000.a-_c", "abc", "a-_c", ""].map(shard), [3, 1000, 1, 1, 1]);
        assert_eq!(["00.0.abc", "00.-1.abc", "00.x.abc", "01.1.abc", "..", "00."].map(shard), [0; 6]);
    }
}
