//! `estop admin`.

use std::str::FromStr;

use clap::{ArgGroup, Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// List which database has which buckets, and which of them are moving
    #[command(after_help = "\
Examples:
  estop admin buckets
  estop admin buckets --json

Each project lives in one of 1,296 buckets, 00 to zz. The last line is what BUCKETS in
wrangler.toml should be.")]
    Buckets {
        /// Print the service's JSON
        #[arg(long)]
        json: bool,
    },
    /// Move buckets to another database, or call that off
    #[command(after_help = "\
Examples:
  estop admin move k3 --to 1
  estop admin move 0a-0f --to 2
  estop admin move k3 --abort

While a bucket is copied, its projects are answered 503, and clients try again: for seconds.
Whatever fails, the same command carries on.")]
    Move(MoveArgs),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").args(["to", "abort"]).required(true)))]
pub struct MoveArgs {
    /// A bucket, e.g. k3, or a range of them, e.g. 0a-0f; `estop projects list --json` shows a project's
    #[arg(value_name = "BUCKET")]
    pub buckets: Buckets,
    /// The number of the database that they move to: N for the binding DB_N, 0 for DB
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..=511))]
    pub to: Option<i64>,
    /// Call the move off: the buckets are served where they were
    #[arg(long)]
    pub abort: bool,
}

/// A range of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buckets {
    first: u32,
    last: u32,
}

impl FromStr for Buckets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (index(first), index(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err("expected two lower-case letters or digits as in k3, or a range as in 0a-0f".to_owned()),
        }
    }
}

fn index(name: &str) -> Option<u32> {
    let digits =
        name.chars().map(|c| c.to_digit(36).filter(|_| !c.is_ascii_uppercase())).collect::<Option<Vec<_>>>()?;
    match digits[..] {
        [a, b] => Some(a * 36 + b),
        _ => None,
    }
}

impl Buckets {
    /// Their names, in order.
    pub fn names(self) -> impl Iterator<Item = String> {
        let digit = |n: u32| char::from_digit(n, 36).unwrap_or('0');
        (self.first..=self.last).map(move |index| [digit(index / 36), digit(index % 36)].iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_names_its_buckets() {
        let names = |text: &str| text.parse::<Buckets>().map(|buckets| buckets.names().collect::<Vec<_>>());
        assert_eq!(names("k3"), Ok(vec!["k3".to_owned()]));
        assert_eq!(names("0y-11").expect("a range"), ["0y", "0z", "10", "11"]);
        assert_eq!(names("00-zz").expect("all").len(), 1296);
        for bad in ["", "k", "K3", "k33", "k3-", "11-0y", "\u{e9}a"] {
            assert!(names(bad).is_err(), "{bad}");
        }
    }
}
