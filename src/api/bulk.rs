//! The stop button for many runs at once.

use super::runs::{unknown_environment, why_over};
use super::{Api, Reply};
use crate::error::ApiError;
use crate::host::Host;
use crate::store::bulk::{BulkOutcome, cancel as store_cancel};
use crate::store::run::Caller;
use crate::wire::bulk::{BulkCancelled, BulkOver, BulkRequest, BulkRun, Which};

pub(super) async fn cancel<H: Host>(api: &Api<'_, H>, caller: &Caller<'_>) -> Result<Reply, ApiError> {
    let request_id = api.request_id()?;
    let bulk = api.body::<BulkRequest>()?.checked(api.request.now)?;
    let (runs, more) = match store_cancel(api.host, caller, &request_id, &bulk).await? {
        BulkOutcome::Done { runs, more } => (runs, more),
        BulkOutcome::UnknownEnvironment(known) => {
            let asked = match &bulk.which {
                Which::Matching { environment, .. } => environment.as_deref().unwrap_or_default(),
                Which::Given(_) => "",
            };
            return Err(unknown_environment("filter.environment", asked, &known));
        }
    };
    let not_found = match &bulk.which {
        Which::Given(ids) => ids.iter().copied().filter(|id| runs.iter().all(|run| run.id != *id)).collect(),
        Which::Matching { .. } => Vec::new(),
    };
    let (mut cancelled, mut already_over) = (Vec::new(), Vec::new());
    for run in &runs {
        let would = bulk.dry_run && !run.found.state.is_over();
        if run.found.is_mine() || would {
            cancelled.push(BulkRun { id: run.id });
        } else {
            already_over.push(BulkOver { id: run.id, message: why_over(run.id, &run.found) });
        }
    }
    let outcome = if bulk.dry_run { "dry_run" } else { "bulk_cancelled" };
    Ok(Reply::data(outcome, BulkCancelled { dry_run: bulk.dry_run, cancelled, already_over, not_found, more }))
}
