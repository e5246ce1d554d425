//! Reading one run of an archive.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::error::ApiError;
use crate::runtime::Runtime;

/// The archive that has a run, as statements give it from `archives`: the object's key and its members, both null if the runs were
/// deleted and are nowhere; and the newest run in it.
pub type Archived = (Option<String>, Option<Vec<i64>>, i64);

/// What the API shows of a run.
#[derive(Deserialize)]
pub struct Shown {
    /// The run, as `show` had it.
    pub test_run: Box<RawValue>,
    /// Its events, oldest first.
    pub events: Box<RawValue>,
    /// Its tests that failed, as far as they are listed.
    pub failures: Box<RawValue>,
}

/// The run that a line is of, if it is of one.
pub fn run_of(line: &str) -> Option<i64> {
    let (_, rest) = line.split_once(r#","run":"#)?;
    rest.split(',').next()?.parse().ok()
}

/// Whether a line is a run's first.
pub fn begins_run(line: &str) -> bool {
    line.starts_with(r#"{"kind":"run","#)
}

/// What is shown of test run `run`, which is not in the database, with one read of the bucket.
///
/// # Errors
/// 404 if no archive has it, or it is nowhere any more; 503 if the bucket gives no answer, or not what was put there.
pub async fn shown(runtime: &dyn Runtime, archived: Option<Archived>, run: i64) -> Result<Shown, ApiError> {
    let Some((Some(object), Some(members), _)) = archived else {
        return Err(ApiError::NotFound("test run"));
    };
    let (text, _) = member(runtime, &object, &members, run).await?;
    let line = text.lines().find(|line| begins_run(line) && run_of(line) == Some(run));
    line.and_then(|line| serde_json::from_str(line).ok()).ok_or(ApiError::NoArchive)
}

impl Shown {
    /// The run, and that it is archived.
    ///
    /// # Errors
    /// 503 if it is no object.
    pub fn archived_run(&self) -> Result<Box<RawValue>, ApiError> {
        let fields = self.test_run.get().strip_prefix('{').ok_or(ApiError::NoArchive)?;
        RawValue::from_string(format!(r#"{{"archived":true,{fields}"#)).map_err(|_| ApiError::NoArchive)
    }
}

/// The lines of the member that has the next runs after `run`, and after which run the next member begins: nothing, if the runs were
/// deleted and are nowhere.
///
/// # Errors
/// 503 as [`shown`].
pub async fn after(runtime: &dyn Runtime, archived: &Archived, run: i64) -> Result<(Vec<String>, i64), ApiError> {
    let (Some(object), Some(members), last_run) = archived else {
        return Ok((Vec::new(), archived.2));
    };
    let (text, next) = member(runtime, object, members, run + 1).await?;
    let lines = text.lines().filter(|line| run_of(line).is_none_or(|of| of > run)).map(str::to_owned).collect();
    Ok((lines, next.map_or(*last_run, |first| first - 1)))
}

/// The text of the member that has `run` or, if all are of later ones, of the first; and the first run of the member behind it.
async fn member(
    runtime: &dyn Runtime,
    object: &str,
    members: &[i64],
    run: i64,
) -> Result<(String, Option<i64>), ApiError> {
    let index = members.iter().step_by(3).rposition(|first| *first <= run).unwrap_or(0);
    let mut places = members.iter().skip(3 * index + 1);
    let (Some(offset), Some(length)) = (places.next(), places.next()) else { return Err(ApiError::NoArchive) };
    let text = runtime.get_member(object, *offset, *length).await.ok_or(ApiError::NoArchive)?;
    Ok((text, places.next().copied()))
}
