//! A piece of a move: what is done in each phase.

use std::rc::Rc;

use estop_protocol::buckets::MoveReport;

use super::copy::{Compared, Tables};
use super::progress::{Known, Phase, Progress, fence};
use super::{
    ANNOUNCE, CLOSE, END, FLIP, FREEZE, Goal, KNOWN, LEASES, MOST_BATCHES, MOST_HOPS, MOST_MS, OPEN, OVERTAKEN, POINT,
    SAVE, STAY, Stop, TABLES, THAW,
};
use crate::buckets::{Bucket, State};
use crate::config::Config;
use crate::database::{Answer, Database, Home};
use crate::http::json;
use crate::runtime::{DbError, Runtime, Statement};

/// A piece of a move.
pub struct Piece<'a> {
    runtime: &'a dyn Runtime,
    config: &'a Config,
    pub bucket: Bucket,
    now: i64,
    /// The database that has the bucket, or that it moved away from just now.
    pub from: i64,
    /// What its row says.
    state: State,
    stored: Option<String>,
    /// How far the move is; what is stored may be a little behind.
    pub progress: Progress,
    /// What is known of the tables, once it was read.
    tables: Option<Rc<Tables>>,
    batches: u32,
    begun: i64,
}

impl<'a> Piece<'a> {
    /// Finds the bucket: it began in `DB`, and each database that it left says where it went.
    pub async fn find(runtime: &'a dyn Runtime, config: &'a Config, bucket: Bucket, now: i64) -> Result<Self, Stop> {
        let begun = runtime.elapsed();
        let progress = Progress::default();
        let (state, stored, tables, from, batches) = (State::Here, None, None, 0, 0);
        let mut piece = Self { runtime, config, bucket, now, from, state, stored, progress, tables, batches, begun };
        for _ in 0..MOST_HOPS {
            let known: Known = piece.ask(piece.from, Vec::new()).await?;
            match known {
                Known { state: Some(State::Moved), moved_to: Some(to), frozen: Some(0), .. } => piece.from = to,
                // It was here before, and is on its way back.
                Known { state: Some(State::Arriving), moved_from: Some(from), .. } => piece.from = from,
                Known { state: None, .. } if piece.from > 0 => return Err(DbError::Moved(piece.from).into()),
                known => {
                    piece.take(known);
                    piece.finish_what_was_begun().await?;
                    return Ok(piece);
                }
            }
        }
        Err(OVERTAKEN)
    }

    fn take(&mut self, known: Known) {
        self.state = known.state.unwrap_or(State::Here);
        self.progress = known.progress();
        self.stored = known.progress;
    }

    /// The bucket may have come to where it is just now, and its old rows are not removed yet.
    async fn finish_what_was_begun(&mut self) -> Result<(), Stop> {
        let last = self.progress.former.last().copied().filter(|_| self.progress.phase == Phase::Idle);
        let Some(number) = last.filter(|number| self.runtime.databases().contains(number)) else { return Ok(()) };
        let known = self.ask(number, Vec::new()).await?;
        if known.state == Some(State::Moved) && known.frozen == Some(1) {
            self.from = number;
            self.take(known);
        }
        Ok(())
    }

    /// Works until the goal or the piece's end is reached.
    pub async fn work(mut self, goal: Goal) -> Result<MoveReport, Stop> {
        while self.batches < MOST_BATCHES && self.runtime.elapsed() - self.begun < MOST_MS {
            match (self.progress.phase, goal) {
                (Phase::Idle, Goal::Stay) => return Ok(self.report(true)),
                (Phase::Idle, Goal::To(to)) if to == self.from => return Ok(self.report(true)),
                (Phase::Idle, Goal::To(to)) => self.begin(to).await?,
                (Phase::Undo, _) => self.undo().await?,
                (Phase::Thaw | Phase::Remove, Goal::Stay) => return Err(Stop::HasMoved(self.progress.to)),
                (_, Goal::Stay) => self.stay().await?,
                (_, Goal::To(to)) if to != self.progress.to => return Err(Stop::OnItsWay(self.progress.to)),
                (Phase::Clear, _) => self.clear().await?,
                (Phase::Copy, _) => self.copy().await?,
                (Phase::Check, _) => self.check().await?,
                (Phase::Differs, _) => return Err(Stop::Differs(self.table())),
                (Phase::Thaw, _) => self.thaw().await?,
                (Phase::Remove, _) => {
                    self.remove().await?;
                    if self.progress.phase == Phase::Idle {
                        return Ok(self.report(true));
                    }
                }
            }
        }
        let progress = self.progress.clone();
        if self.stored.as_deref() != Some(json(&progress).as_str()) {
            self.save(progress).await?;
        }
        Ok(self.report(false))
    }

    fn report(&self, done: bool) -> MoveReport {
        let Progress { phase, to, copied, checked, removed, .. } = self.progress;
        let bucket = self.bucket.as_str().to_owned();
        let to = if phase == Phase::Idle && !(done && removed > 0) { self.from } else { to };
        MoveReport { bucket, from: self.from, to, phase: phase.name().to_owned(), copied, checked, removed, done }
    }

    async fn tables(&mut self) -> Result<Rc<Tables>, Stop> {
        if let Some(tables) = &self.tables {
            return Ok(Rc::clone(tables));
        }
        let tables = Rc::new(Tables::read(self).await?);
        self.tables = Some(Rc::clone(&tables));
        Ok(tables)
    }

    fn table(&self) -> &'static str {
        TABLES.get(self.progress.table).map_or("", |table| table.name)
    }

    /// Sends a batch to the database of this number.
    pub async fn batch(&mut self, number: i64, statements: Vec<Statement<'_>>) -> Result<Answer, Stop> {
        self.batches += 1;
        let database = Database { runtime: self.runtime, config: self.config, home: Home::Database(number) };
        Ok(database.batch(statements).await?)
    }

    /// Sends a batch, and asks what the database knows of the bucket after it.
    async fn ask(&mut self, number: i64, mut statements: Vec<Statement<'_>>) -> Result<Known, Stop> {
        let bucket = self.bucket;
        statements.push(Statement::new(KNOWN, vec![bucket.as_str().into()]));
        let last = statements.len() - 1;
        Ok(self.batch(number, statements).await?.only(last)?)
    }

    /// Changes the bucket's row in the database that it leaves, by a statement that does so only if the row is as it was read.
    async fn change(
        &mut self,
        statement: Statement<'_>,
        state: State,
        progress: Progress,
        text: &str,
    ) -> Result<(), Stop> {
        self.change_all(vec![statement], state, progress, text).await
    }

    /// The same with what follows from it.
    async fn change_all(
        &mut self,
        statements: Vec<Statement<'_>>,
        state: State,
        progress: Progress,
        text: &str,
    ) -> Result<(), Stop> {
        let known = self.ask(self.from, statements).await?;
        if known.progress.as_deref() != Some(text) || known.state != Some(state) {
            return Err(OVERTAKEN);
        }
        if self.state != state {
            // Its projects stand still from the freeze on, and not before.
            self.tables = None;
        }
        (self.state, self.progress, self.stored) = (state, progress, known.progress);
        Ok(())
    }

    /// Stores how far it is.
    async fn save(&mut self, progress: Progress) -> Result<(), Stop> {
        let (bucket, text, stored, state) = (self.bucket, json(&progress), self.stored.clone(), self.state);
        let params = vec![bucket.as_str().into(), state.name().into(), text.as_str().into(), stored.as_deref().into()];
        self.change(Statement::new(SAVE, params), state, progress, &text).await
    }

    async fn begin(&mut self, to: i64) -> Result<(), Stop> {
        let (bucket, stored) = (self.bucket, self.stored.clone());
        if self.ask(self.from, Vec::new()).await?.has_projects && to < self.from {
            return Err(Stop::Downwards(self.from));
        }
        let former = self.progress.former.clone();
        let progress =
            Progress { epoch: self.progress.epoch + 1, phase: Phase::Clear, to, former, ..Progress::default() };
        let text = json(&progress);
        let params = vec![bucket.as_str().into(), self.now.into(), text.as_str().into(), stored.as_deref().into()];
        self.change(Statement::new(ANNOUNCE, params), State::Here, progress, &text).await
    }

    /// Lets the other database await the bucket, and says what it knows of it then.
    async fn open(&mut self) -> Result<Known, Stop> {
        let (bucket, epoch) = (self.bucket, self.progress.epoch);
        let text = fence(epoch, false);
        let params =
            vec![bucket.as_str().into(), self.from.into(), self.now.into(), text.as_str().into(), epoch.into()];
        self.ask(self.progress.to, vec![Statement::new(OPEN, params)]).await
    }

    async fn clear(&mut self) -> Result<(), Stop> {
        let (bucket, open, to) = (self.bucket, fence(self.progress.epoch, false), self.progress.to);
        let known = self.open().await?;
        if known.state != Some(State::Arriving) || known.progress.as_deref() != Some(open.as_str()) {
            return Err(OVERTAKEN);
        }
        if known.has_projects && self.tables().await?.remove(self, to, State::Arriving, &open).await?.1 {
            return Ok(());
        }
        let progress = self.progress.next(Phase::Copy);
        if self.state == State::Leaving {
            return self.save(progress).await;
        }
        // What makes a move impossible is better known before anything stands still.
        self.tables().await?;
        let (text, stored) = (json(&progress), self.stored.clone());
        let params = vec![
            bucket.as_str().into(),
            to.into(),
            self.from.into(),
            self.now.into(),
            text.as_str().into(),
            stored.as_deref().into(),
        ];
        self.change(Statement::new(FREEZE, params), State::Leaving, progress, &text).await
    }

    async fn copy(&mut self) -> Result<(), Stop> {
        let (bucket, to, epoch) = (self.bucket, self.progress.to, self.progress.epoch);
        let (open, sealed) = (fence(epoch, false), fence(epoch, true));
        let known = self.ask(to, Vec::new()).await?;
        match known.progress.as_deref().filter(|_| known.state == Some(State::Arriving)) {
            Some(text) if text == sealed => return self.save(self.progress.next(Phase::Check)).await,
            Some(text) if text == open => {}
            // Nothing that this move did: the database was restored, say. So all is copied anew.
            _ => return self.save(Progress { epoch: epoch + 1, ..self.progress.next(Phase::Clear) }).await,
        }
        if self.tables().await?.copy(self, &open).await? {
            return Ok(());
        }
        let seal =
            vec![bucket.as_str().into(), State::Arriving.name().into(), sealed.as_str().into(), open.as_str().into()];
        let known = self.ask(to, vec![Statement::new(SAVE, seal)]).await?;
        if known.progress.as_deref() != Some(sealed.as_str()) {
            return Err(OVERTAKEN);
        }
        self.save(self.progress.next(Phase::Check)).await
    }

    async fn check(&mut self) -> Result<(), Stop> {
        match self.tables().await?.check(self).await? {
            Compared::GoesOn => Ok(()),
            Compared::Same => {
                let (bucket, stored, progress) = (self.bucket, self.stored.clone(), self.progress.next(Phase::Thaw));
                let text = json(&progress);
                let params =
                    vec![bucket.as_str().into(), self.now.into(), text.as_str().into(), stored.as_deref().into()];
                self.change(Statement::new(FLIP, params), State::Moved, progress, &text).await
            }
            Compared::Differs if self.progress.again => {
                self.save(Progress { phase: Phase::Differs, ..self.progress.clone() }).await
            }
            Compared::Differs => {
                let Progress { epoch, to, ref former, .. } = self.progress;
                let (epoch, former) = (epoch + 1, former.clone());
                self.save(Progress { epoch, to, former, again: true, phase: Phase::Clear, ..Progress::default() }).await
            }
        }
    }

    async fn thaw(&mut self) -> Result<(), Stop> {
        let (bucket, to, epoch) = (self.bucket, self.progress.to, self.progress.epoch);
        let mut former = self.progress.former.clone();
        former.retain(|number| *number != self.from && *number != to);
        let others = former.clone();
        former.push(self.from);
        former.drain(..former.len().saturating_sub(MOST_HOPS));
        let (sealed, text) = (fence(epoch, true), json(&Progress { epoch, former, ..Progress::default() }));
        let params = vec![bucket.as_str().into(), self.now.into(), text.as_str().into(), sealed.as_str().into()];
        let leases = self.leases(&bucket, &text);
        let known = self.ask(to, vec![Statement::new(THAW, params), leases]).await?;
        if known.state != Some(State::Here) {
            return Err(OVERTAKEN);
        }
        for number in others {
            // Without this, whoever has an old map goes there by a longer way.
            let _ = self.batch(number, vec![Statement::new(POINT, vec![bucket.as_str().into(), to.into()])]).await;
        }
        self.save(self.progress.next(Phase::Remove)).await
    }

    async fn remove(&mut self) -> Result<(), Stop> {
        let (bucket, from, stored) = (self.bucket, self.from, self.stored.clone().unwrap_or_default());
        let (removed, goes_on) = self.tables().await?.remove(self, from, State::Moved, &stored).await?;
        self.progress.removed += removed;
        if goes_on {
            return Ok(());
        }
        let progress = self.progress.next(Phase::Idle);
        let text = json(&progress);
        let params = vec![bucket.as_str().into(), text.as_str().into(), stored.as_str().into()];
        self.change(Statement::new(END, params), State::Moved, progress, &text).await
    }

    async fn stay(&mut self) -> Result<(), Stop> {
        let (bucket, stored) = (self.bucket, self.stored.clone());
        let progress = Progress { epoch: self.progress.epoch + 1, ..self.progress.next(Phase::Undo) };
        let text = json(&progress);
        let params = vec![bucket.as_str().into(), self.now.into(), text.as_str().into(), stored.as_deref().into()];
        let leases = self.leases(&bucket, &text);
        self.change_all(vec![Statement::new(STAY, params), leases], State::Here, progress, &text).await
    }

    /// Whoever runs tests has a whole lease once the bucket is here with this progress.
    fn leases<'b>(&self, bucket: &'b Bucket, progress: &'b str) -> Statement<'b> {
        let until = self.now + self.config.lease;
        Statement::new(LEASES, vec![bucket.as_str().into(), until.into(), progress.into()])
    }

    async fn undo(&mut self) -> Result<(), Stop> {
        let (bucket, to, open) = (self.bucket, self.progress.to, fence(self.progress.epoch, false));
        // What a database that is not bound any more has of it is removed if the bucket ever goes there.
        if self.runtime.databases().contains(&to) {
            let known = self.open().await?;
            if known.progress.as_deref() != Some(open.as_str()) {
                return Err(OVERTAKEN);
            }
            if known.has_projects {
                let (removed, goes_on) = self.tables().await?.remove(self, to, State::Arriving, &open).await?;
                self.progress.removed += removed;
                if goes_on {
                    return Ok(());
                }
            }
            let params = vec![bucket.as_str().into(), self.from.into(), self.now.into(), open.as_str().into()];
            if self.ask(to, vec![Statement::new(CLOSE, params)]).await?.state != Some(State::Moved) {
                return Err(OVERTAKEN);
            }
        }
        let Progress { epoch, ref former, .. } = self.progress;
        self.save(Progress { epoch, former: former.clone(), ..Progress::default() }).await
    }
}
