//! In which buckets projects are, as far as an isolate has heard: that never changes.

use std::cell::RefCell;

use super::Bucket;

/// How many names are remembered at most.
const MOST: usize = 1000;

/// Projects by name (`#7` for an id, or a slug), with their buckets. So few are looked through from end to end.
#[derive(Debug, Default)]
pub struct Known(RefCell<Vec<(String, Bucket)>>);

impl Known {
    /// The bucket of the project with this name.
    pub fn get(&self, name: &str) -> Option<Bucket> {
        self.0.borrow().iter().find(|(known, _)| known == name).map(|(_, bucket)| *bucket)
    }

    /// A project is in this bucket. When there are too many, the one that was heard of first is forgotten.
    pub fn add(&self, name: String, bucket: Bucket) {
        let mut known = self.0.borrow_mut();
        known.retain(|(other, _)| *other != name);
        if known.len() >= MOST {
            known.remove(0);
        }
        known.push((name, bucket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_projects_are_known_and_no_more() {
        let known = Known::default();
        let bucket = Bucket::parse("k3").expect("a bucket");
        for id in 1..=3000 {
            known.add(format!("#{id}"), bucket);
            known.add(format!("#{id}"), bucket);
        }
        assert_eq!(known.0.borrow().len(), MOST);
        let asked = ["#2000", "#2001", "#3000", "3000"].map(|name| known.get(name));
        assert_eq!(asked, [None, Some(bucket), Some(bucket), None]);
    }
}
