//! As many requests as it takes: the service takes a hundred ids in one, or looks at a thousand open runs and says where
//! to go on.

use std::collections::HashSet;

use estop_protocol::bulk_cancel::{BulkCancelRequest, BulkCancelled, BulkFilter};
use estop_protocol::limits::{BULK_IDS, BULK_LIMIT};
use estop_protocol::whole::Whole;

use crate::args::CancelArgs;
use crate::exit::Exit;
use crate::service::Failure;

/// A walk over all runs that the command line selects.
pub struct Walk<'a> {
    pub args: &'a CancelArgs,
    pub dry_run: bool,
    /// It ends early once it has this many.
    pub enough: usize,
}

/// Nothing has been cancelled yet.
pub fn none(dry_run: bool) -> BulkCancelled {
    let (cancelled, already_over, not_found) = (Vec::new(), Vec::new(), Vec::new());
    BulkCancelled { dry_run, cancelled, already_over, not_found, more: false, next: None }
}

pub fn is_empty(bulk: &BulkCancelled) -> bool {
    bulk.cancelled.is_empty() && bulk.already_over.is_empty() && bulk.not_found.is_empty()
}

impl Walk<'_> {
    /// Sends the requests and adds up their answers. `progress` is called between two of them.
    ///
    /// # Errors
    /// If a request fails. What those before it did is in `total`.
    pub fn run(
        &self,
        total: &mut BulkCancelled,
        mut send: impl FnMut(&BulkCancelRequest) -> Result<BulkCancelled, Failure>,
        mut progress: impl FnMut(&BulkCancelled),
    ) -> Result<(), Failure> {
        if self.args.ids.is_empty() {
            return self.follow(total, send, progress);
        }
        for (n, ids) in self.args.ids.chunks(BULK_IDS).enumerate() {
            if n > 0 {
                progress(total);
            }
            let ids = Some(ids.iter().copied().map(Whole).collect());
            add(total, send(&BulkCancelRequest { ids, ..self.request() })?);
        }
        Ok(())
    }

    fn follow(
        &self,
        total: &mut BulkCancelled,
        mut send: impl FnMut(&BulkCancelRequest) -> Result<BulkCancelled, Failure>,
        mut progress: impl FnMut(&BulkCancelled),
    ) -> Result<(), Failure> {
        let mut request = BulkCancelRequest { filter: Some(filter(self.args)), ..self.request() };
        let mut seen = HashSet::new();
        loop {
            let left = self.limit().saturating_sub(total.cancelled.len());
            request.limit = Some(Whole(i64::try_from(left).unwrap_or(i64::MAX).min(BULK_LIMIT)));
            add(total, send(&request)?);
            if !total.more || total.cancelled.len() >= self.limit().min(self.enough) {
                return Ok(());
            }
            request.cursor.clone_from(&total.next);
            if !total.next.as_ref().is_some_and(|next| seen.insert(next.clone())) {
                let message = "the service says that there are more runs, but not where to go on. Report it as a bug";
                return Err(Failure::new(Exit::Refused, message));
            }
            progress(total);
        }
    }

    /// The most runs in all.
    fn limit(&self) -> usize {
        self.args.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
    }

    fn request(&self) -> BulkCancelRequest {
        let dry_run = self.dry_run.then_some(true);
        BulkCancelRequest { reason: self.args.reason.clone(), dry_run, ..BulkCancelRequest::default() }
    }
}

fn filter(args: &CancelArgs) -> BulkFilter {
    let metadata = (!args.metadata.is_empty())
        .then(|| args.metadata.iter().map(|entry| (entry.name.clone(), entry.value.clone())).collect());
    BulkFilter {
        environment: args.environment.clone(),
        branch: args.branch.clone(),
        state: args.state,
        older_than_minutes: args.older_than_minutes.map(Whole),
        metadata,
    }
}

fn add(total: &mut BulkCancelled, answer: BulkCancelled) {
    total.cancelled.extend(answer.cancelled);
    total.already_over.extend(answer.already_over);
    total.not_found.extend(answer.not_found);
    (total.more, total.next) = (answer.more, answer.next);
}

#[cfg(test)]
pub mod tests {
    use std::ops::Range;

    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use estop_protocol::bulk_cancel::BulkRun;
    use estop_protocol::run::State;
    use serde_json::{Value, json};

    pub fn args(line: &str) -> CancelArgs {
        let Command::Cancel(args) = Cli::try_parse_from(line.split(' ')).expect("a command line").command else {
            panic!("not cancel")
        };
        args
    }

    /// The answer that cancelled these, and where it says that there are more.
    pub fn answer(ids: Range<i64>, next: Option<&str>) -> BulkCancelled {
        let run = |id| BulkRun {
            id,
            state: State::Queued,
            environment: "staging".into(),
            branch: None,
            actor: "ada".into(),
            age_seconds: 60,
        };
        BulkCancelled {
            cancelled: ids.map(run).collect(),
            more: next.is_some(),
            next: next.map(str::to_owned),
            ..none(false)
        }
    }

    /// What a walk adds up to over these answers, whether it failed, and its requests.
    fn walk(line: &str, enough: usize, answers: Vec<Option<BulkCancelled>>) -> (BulkCancelled, bool, Vec<Value>) {
        let args = args(line);
        let (mut requests, mut answers) = (Vec::new(), answers.into_iter());
        let mut total = none(args.dry_run);
        let send = |request: &BulkCancelRequest| {
            requests.push(serde_json::to_value(request).expect("JSON"));
            let answer = answers.next().expect("no more requests than answers");
            answer.ok_or_else(|| Failure::new(Exit::Timeout, "down"))
        };
        let failed = Walk { args: &args, dry_run: args.dry_run, enough }.run(&mut total, send, |_| ()).is_err();
        assert!(answers.next().is_none(), "too few requests");
        (total, failed, requests)
    }

    fn count(total: &BulkCancelled) -> usize {
        total.cancelled.len()
    }

    #[test]
    fn a_bulk_cancel_asks_for_what_the_flags_say() {
        let (.., requests) = walk("estop cancel 7 8 --reason x", usize::MAX, vec![Some(answer(7..9, None))]);
        assert_eq!(requests, [json!({"ids": [7, 8], "reason": "x"})]);
        let line = "estop cancel --branch main --state queued --older-than-minutes 5 --metadata ci_run_id=9 --dry-run --limit 3";
        let (.., requests) = walk(line, usize::MAX, vec![Some(answer(0..0, None))]);
        assert_eq!(
            requests,
            [json!({
                "filter": {"branch": "main", "state": "queued", "older_than_minutes": 5, "metadata": {"ci_run_id": 9}},
                "dry_run": true,
                "limit": 3,
            })]
        );
    }

    #[test]
    fn a_walk_follows_the_cursor_to_the_end() {
        let answers = vec![Some(answer(0..0, Some("a"))), Some(answer(1..4, Some("b"))), Some(answer(4..6, None))];
        let (total, failed, requests) = walk("estop cancel --branch main", usize::MAX, answers);
        assert_eq!((count(&total), failed, total.more, total.next), (5, false, false, None));
        let cursors: Vec<&Value> = requests.iter().map(|request| &request["cursor"]).collect();
        assert_eq!(cursors, [&Value::Null, &json!("a"), &json!("b")]);
        assert!(
            requests.iter().all(|request| request["limit"] == 1000 && request["filter"] == json!({"branch": "main"}))
        );
    }

    #[test]
    fn a_limit_counts_over_all_requests() {
        let answers = vec![Some(answer(0..900, Some("a"))), Some(answer(900..1500, Some("b")))];
        let (total, failed, requests) = walk("estop cancel --branch main --limit 1500", usize::MAX, answers);
        assert_eq!((count(&total), failed, total.more, total.next.as_deref()), (1500, false, true, Some("b")));
        assert_eq!((&requests[0]["limit"], &requests[1]["limit"]), (&json!(1000), &json!(600)));
    }

    #[test]
    fn a_walk_that_has_enough_goes_no_further() {
        let (total, ..) = walk("estop cancel --branch main", 21, vec![Some(answer(0..30, Some("a")))]);
        assert_eq!((count(&total), total.more), (30, true));
    }

    #[test]
    fn a_cursor_that_comes_again_or_is_missing_ends_the_walk() {
        let circle = ["a", "b", "a"].map(|next| Some(answer(0..1, Some(next)))).into();
        let (total, failed, _) = walk("estop cancel --branch main", usize::MAX, circle);
        assert_eq!((count(&total), failed), (3, true));
        let missing = BulkCancelled { more: true, ..answer(0..1, None) };
        let (total, failed, _) = walk("estop cancel --branch main", usize::MAX, vec![Some(missing)]);
        assert_eq!((count(&total), failed), (1, true));
    }

    #[test]
    fn what_was_cancelled_before_a_failure_is_not_forgotten() {
        let (total, failed, _) =
            walk("estop cancel --branch main", usize::MAX, vec![Some(answer(0..5, Some("a"))), None]);
        assert_eq!((count(&total), failed, total.next.as_deref()), (5, true, Some("a")));
    }

    #[test]
    fn more_ids_than_a_request_takes_become_several() {
        let ids: Vec<String> = (1..=250).map(|id: i64| id.to_string()).collect();
        let answers = vec![Some(answer(1..101, None)), Some(answer(101..201, None)), Some(answer(201..251, None))];
        let (total, failed, requests) = walk(&format!("estop cancel {}", ids.join(" ")), usize::MAX, answers);
        assert_eq!((count(&total), failed), (250, false));
        assert_eq!(requests[2]["ids"].as_array().map(Vec::len), Some(50));
        assert!(requests.iter().all(|request| request.get("limit").is_none() && request.get("filter").is_none()));
    }
}
