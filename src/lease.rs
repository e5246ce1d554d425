//! A lease's token: the fence that heartbeat and finish must carry.
//!
//! It is the bucket of the key that claimed, the shard's number and 128 random bits, like `00.3.rVqZ…`: by the first two a
//! heartbeat, which has no key, finds its row. Tokens from before 0.2.0 are the random bits alone, of a run with one shard.

use crate::buckets::Bucket;
use crate::runtime::{Runtime, random_id};

/// A new token for a shard of a run in this bucket.
pub fn token(runtime: &dyn Runtime, bucket: Bucket, shard: i64) -> String {
    format!("{}.{shard}.{}", bucket.as_str(), random_id(runtime))
}

/// The shard that a token is of; 0, which no shard has, if it is no token.
pub fn shard(token: &str) -> i64 {
    let mut parts = token.split('.');
    match (parts.next(), parts.next()) {
        (_, None) => 1,
        (Some(bucket), Some(shard)) if Bucket::parse(bucket).is_some() => {
            shard.parse().ok().filter(|shard| *shard > 0).unwrap_or(0)
        }
        _ => 0,
    }
}

/// The bucket that a token's run is in; the first, if it says none.
pub fn bucket(token: &str) -> Bucket {
    token.split_once('.').and_then(|(bucket, _)| Bucket::parse(bucket)).unwrap_or(Bucket::FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_which_shard_it_is_of() {
        assert_eq!(["00.3.abc", "00.1000.a-_c", "abc", "a-_c", ""].map(shard), [3, 1000, 1, 1, 1]);
        assert_eq!(["00.0.abc", "00.-1.abc", "00.x.abc", "0A.1.abc", "..", "00."].map(shard), [0; 6]);
    }

    #[test]
    fn a_token_says_which_bucket_its_run_is_in() {
        let name = |token| bucket(token).as_str().to_owned();
        assert_eq!(["k3.3.abc", "00.1.x", "abc", "k3", "0A.1.abc", ""].map(name), ["k3", "00", "00", "00", "00", "00"]);
    }
}
