//! In which buckets projects are, as far as an isolate has heard: that never changes.

use std::cell::RefCell;

use super::Bucket;

/// How many projects are remembered at most.
const MOST: usize = 1000;

/// Projects by their ids and slugs, with their buckets. So few are looked through from end to end.
#[derive(Debug, Default)]
pub struct Known(RefCell<Vec<(i64, String, Bucket)>>);

impl Known {
    /// The bucket of the project with this id.
    pub fn by_id(&self, id: i64) -> Option<Bucket> {
        self.find(|(known, ..)| *known == id)
    }

    /// The bucket of the project with this slug.
    pub fn by_slug(&self, slug: &str) -> Option<Bucket> {
        self.find(|(_, known, _)| known == slug)
    }

    fn find(&self, is: impl Fn(&(i64, String, Bucket)) -> bool) -> Option<Bucket> {
        self.0.borrow().iter().find(|project| is(project)).map(|(.., bucket)| *bucket)
    }

    /// A project is in this bucket. When there are too many, the one that was heard of first is forgotten.
    pub fn add(&self, id: i64, slug: &str, bucket: Bucket) {
        let mut known = self.0.borrow_mut();
        if known.iter().any(|(other, ..)| *other == id) {
            return;
        }
        if known.len() >= MOST {
            known.remove(0);
        }
        known.push((id, slug.to_owned(), bucket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_known_by_its_id_and_by_its_slug() {
        let known = Known::default();
        let bucket = Bucket::parse("k3").expect("a bucket");
        known.add(7, "shop", bucket);
        assert_eq!((known.by_id(7), known.by_slug("shop")), (Some(bucket), Some(bucket)));
        assert_eq!((known.by_id(8), known.by_slug("7")), (None, None));
    }

    #[test]
    fn a_thousand_are_known_and_no_more() {
        let known = Known::default();
        for id in 1..=3000 {
            known.add(id, &format!("project-{id}"), Bucket::FIRST);
            known.add(id, "again", Bucket::FIRST);
        }
        assert_eq!(known.0.borrow().len(), MOST);
        assert_eq!((known.by_id(2000), known.by_id(2001)), (None, Some(Bucket::FIRST)));
    }
}
