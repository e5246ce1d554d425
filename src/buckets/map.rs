//! The map: which database has which bucket.

use std::cell::RefCell;

use super::{Bucket, MAX_DATABASE};

/// What the setting `BUCKETS` says: `0a-0f=1 k3=2`. A bucket that it does not name is in `DB`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Map(Vec<(Bucket, Bucket, i64)>);

impl Map {
    /// Reads the setting.
    ///
    /// # Errors
    /// The part that is none, or names a bucket twice.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut ranges: Vec<(Bucket, Bucket, i64)> = Vec::new();
        for part in text.split_whitespace() {
            let range = range(part).ok_or(part)?;
            if ranges.iter().any(|(first, last, _)| range.0 <= *last && *first <= range.1) {
                return Err(part.to_owned());
            }
            ranges.push(range);
        }
        Ok(Self(ranges))
    }

    /// The number of the database that has it.
    pub fn database(&self, bucket: Bucket) -> i64 {
        let found = self.0.iter().find(|(first, last, _)| (*first..=*last).contains(&bucket));
        found.map_or(0, |(.., database)| *database)
    }
}

/// `0a-0f=1` or `k3=2`.
fn range(part: &str) -> Option<(Bucket, Bucket, i64)> {
    let (buckets, database) = part.split_once('=')?;
    let (first, last) = buckets.split_once('-').unwrap_or((buckets, buckets));
    let (first, last) = (Bucket::parse(first)?, Bucket::parse(last)?);
    let database = database.parse().ok().filter(|number| (0..=MAX_DATABASE).contains(number))?;
    (first <= last).then_some((first, last, database))
}

/// Buckets, in their order, as ranges: `0a-0f`, `k3`.
pub fn ranges(buckets: impl Iterator<Item = Bucket>) -> Vec<String> {
    let mut ranges: Vec<(Bucket, Bucket)> = Vec::new();
    for bucket in buckets {
        match ranges.last_mut() {
            Some((_, last)) if last.index() + 1 == bucket.index() => *last = bucket,
            _ => ranges.push((bucket, bucket)),
        }
    }
    let text = |(first, last): (Bucket, Bucket)| match first == last {
        true => first.as_str().to_owned(),
        false => format!("{}-{}", first.as_str(), last.as_str()),
    };
    ranges.into_iter().map(text).collect()
}

/// What an isolate has learned of buckets that the map has elsewhere: they moved.
#[derive(Debug, Default)]
pub struct Learned(RefCell<Vec<(Bucket, i64)>>);

impl Learned {
    /// Where a bucket moved, if that is known.
    pub fn get(&self, bucket: Bucket) -> Option<i64> {
        self.0.borrow().iter().find(|(known, _)| *known == bucket).map(|(_, database)| *database)
    }

    /// A bucket moved to this database. There are no more entries than buckets.
    pub fn learn(&self, bucket: Bucket, database: i64) {
        let mut known = self.0.borrow_mut();
        known.retain(|(other, _)| *other != bucket);
        known.push((bucket, database));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(name: &str) -> Bucket {
        Bucket::parse(name).expect("a bucket")
    }

    #[test]
    fn the_map_says_where_a_bucket_is_and_all_others_are_in_the_first_database() {
        let map = Map::parse(" 0a-0f=1  k3=2\nr0-zz=511 ").expect("a map");
        for (name, database) in
            [("00", 0), ("09", 0), ("0a", 1), ("0f", 1), ("0g", 0), ("k3", 2), ("qz", 0), ("r0", 511), ("zz", 511)]
        {
            assert_eq!(map.database(bucket(name)), database, "{name}");
        }
        assert_eq!(Map::parse("").expect("a map").database(bucket("zz")), 0);
    }

    #[test]
    fn a_slip_is_named() {
        for (text, part) in [
            ("k3", "k3"),
            ("k3=512", "k3=512"),
            ("k3=-1", "k3=-1"),
            ("k=1", "k=1"),
            ("0f-0a=1", "0f-0a=1"),
            ("0a-0f=1 0c=2", "0c=2"),
            ("0c=2 0a-0f=2", "0a-0f=2"),
            ("0a=1,0b=2", "0a=1,0b=2"),
        ] {
            assert_eq!(Map::parse(text), Err(part.to_owned()), "{text}");
        }
    }

    #[test]
    fn neighbours_make_a_range() {
        let names = ["0a", "0b", "0c", "0z", "10", "k3", "zz"];
        assert_eq!(ranges(names.into_iter().map(bucket)), ["0a-0c", "0z-10", "k3", "zz"]);
        assert_eq!(ranges(std::iter::empty()), Vec::<String>::new());
    }

    #[test]
    fn where_a_bucket_moved_last_counts() {
        let learned = Learned::default();
        assert_eq!(learned.get(Bucket::FIRST), None);
        learned.learn(Bucket::FIRST, 1);
        learned.learn(bucket("k3"), 4);
        learned.learn(Bucket::FIRST, 2);
        assert_eq!((learned.get(Bucket::FIRST), learned.get(bucket("k3"))), (Some(2), Some(4)));
    }
}
