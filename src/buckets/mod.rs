//! Buckets: what a project lives in, and which database has which.
//!
//! There are 1,296 of them, `00` to `zz`. A project is in one for good; a bucket moves from one database to another
//! (`estop admin move`). The setting `BUCKETS` is the Worker's map. It may be old: every batch for a bucket also asks the database
//! whether it has it, and where it went if not (`src/database/check_bucket.sql`).

mod known;
mod map;
mod state;

pub use known::Known;
pub use map::{Learned, Map, ranges};
pub use state::State;

/// The digits of a bucket's name.
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// How many buckets there are.
pub const BUCKETS: u16 = 36 * 36;

/// The greatest number that a database may have: run ids are below 2^53, and database n has those from n × 2^44.
pub const MAX_DATABASE: i64 = 511;

/// One of the buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket([u8; 2]);

impl Bucket {
    /// The one that everything of before 0.2.0 is in.
    pub const FIRST: Self = Self(*b"00");

    /// The bucket of this name.
    pub fn parse(name: &str) -> Option<Self> {
        match *name.as_bytes() {
            [a, b] if DIGITS.contains(&a) && DIGITS.contains(&b) => Some(Self([a, b])),
            _ => None,
        }
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// One of them by random bytes, for a new project.
    pub fn from_random(bytes: [u8; 4]) -> Self {
        Self::at(u32::from_le_bytes(bytes) as usize % usize::from(BUCKETS))
    }

    /// The one that comes so many after the first.
    pub fn at(index: usize) -> Self {
        let digit = |n: usize| DIGITS.get(n % 36).copied().unwrap_or(b'0');
        Self([digit(index / 36), digit(index)])
    }

    /// How many come before it.
    pub fn index(self) -> usize {
        self.0.iter().fold(0, |index, digit| index * 36 + DIGITS.iter().position(|other| other == digit).unwrap_or(0))
    }
}

/// The database that gave an id: those of database n begin at n × 2^44.
pub fn database_of(id: i64) -> i64 {
    id >> 44
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_two_digits() {
        for good in ["00", "0z", "zz", "k3"] {
            assert_eq!(Bucket::parse(good).map(|bucket| bucket.as_str().to_owned()).as_deref(), Some(good));
        }
        for bad in ["", "0", "000", "A0", "-1", "é", "0 "] {
            assert_eq!(Bucket::parse(bad), None, "{bad}");
        }
        assert_eq!(Bucket::parse("00"), Some(Bucket::FIRST));
        for index in 0..usize::from(BUCKETS) {
            assert_eq!(Bucket::at(index).index(), index);
        }
        assert_eq!(Bucket::at(usize::from(BUCKETS) - 1).as_str(), "zz");
    }

    #[test]
    fn an_id_says_which_database_gave_it() {
        assert_eq!([1, (1 << 44) - 1, 1 << 44, (1 << 53) - 1].map(database_of), [0, 0, 1, MAX_DATABASE]);
    }
}
