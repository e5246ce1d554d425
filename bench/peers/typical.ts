// As a careful user of Hono and D1 would write it: each question to the database when it comes up, one after the other.
// The UPDATE is guarded, the key is hashed, scopes and projects are checked. Its total is exact: it counts all runs.

import { Hono } from 'hono';
import { beat, cancelled, error, iso, over, page, sha256, shardOf } from './common';

type Key = { id: number; project_id: number; user: string; can_read: number; can_cancel: number };
type App = { Bindings: { DB: any }; Variables: { key: Key } };

const LEASE = 120_000;
const GRACE_SECONDS = 10;
const app = new Hono<App>();

// Before the key's check: the lease is the credential.
app.post('/api/test-runs/:id{[1-9][0-9]*}/heartbeat', async (c) => {
  const id = Number(c.req.param('id'));
  const body = await c.req.json().catch(() => null);
  if (typeof body?.lease !== 'string') return c.json(error('Field `lease`: a text.'), 400);
  const shard = shardOf(body.lease);
  const run = await c.env.DB.prepare(
    `SELECT r.state, r.cancel_reason, r.cancel_cause, r.cancel_by, r.cancelled_at, r.kill_at,
            s.state AS shard, s.lease_expires_at, s.stop_outcome
      FROM run_shards s JOIN runs r ON r.id = s.run_id WHERE s.run_id = ? AND s.shard = ? AND s.lease_token = ?`,
  ).bind(id, shard, body.lease).first();
  if (run?.shard !== 'started' && run?.stop_outcome !== 'lost') return c.json(error('This lease does not hold the test run.'), 409);
  const now = Date.now();
  const { counts } = body;
  const renewed = await c.env.DB.prepare(
    `UPDATE run_shards SET lease_renewed_at = ?, lease_expires_at = ?, counts = coalesce(?, counts), failed = max(failed, ?)
      WHERE run_id = ? AND shard = ? AND lease_token = ? AND state = 'started' RETURNING lease_expires_at`,
  ).bind(now, now + LEASE, counts ? JSON.stringify(counts) : null, counts?.failed ?? 0, id, shard, body.lease).first();
  return c.json(beat({ ...run, ...renewed }, GRACE_SECONDS));
});

app.use('/api/*', async (c, next) => {
  const [scheme, token] = (c.req.header('authorization') ?? '').split(' ');
  if (scheme !== 'Bearer' || !token) return c.json(error('Send an API key.'), 401);
  const key = await c.env.DB.prepare(
    'SELECT * FROM keys WHERE hash = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)',
  ).bind(await sha256(token), Date.now()).first();
  if (!key) return c.json(error('This key is unknown, revoked or expired.'), 401);
  c.set('key', key);
  await next();
});

app.post('/api/test-runs/:id{[1-9][0-9]*}/cancel', async (c) => {
  const key = c.get('key');
  if (!key.can_cancel) return c.json(error('This key lacks the scope cancel.'), 403);
  const id = Number(c.req.param('id'));
  const body = await c.req.json().catch(() => null);
  if (body === null || (body.reason != null && typeof body.reason !== 'string')) return c.json(error('Field `reason`: a text.'), 400);
  const find = () => c.env.DB.prepare(
    'SELECT state, result, error_code, ended_at, cancelled_at, cancel_by FROM runs WHERE id = ? AND project_id = ?',
  ).bind(id, key.project_id).first();
  const run = await find();
  if (!run) return c.json(error('There is no such test run.'), 404);
  if (!['pending', 'queued', 'started'].includes(run.state)) return c.json({ message: over(id, run) }, 412);
  const now = Date.now();
  const reason = body.reason ?? null;
  const changed = await c.env.DB.prepare(
    `UPDATE runs SET version = version + 1, state = 'cancelled', cancelled_at = ?, cancel_reason = ?, cancel_cause = 'user', cancel_by = ?,
        cancel_request_id = ?, stop_outcome = iif(open_shards = 0, 'never_started', 'stopping')
      WHERE id = ? AND state IN ('pending', 'queued', 'started') RETURNING id`,
  ).bind(now, reason, key.user, crypto.randomUUID(), id).first();
  if (!changed) return c.json({ message: over(id, await find()) }, 412);
  // In this schema a trigger has written the event already, and another refuses a second one. Without them a user would
  // write it here: one more round trip.
  await c.env.DB.prepare(
    `INSERT INTO run_events (run_id, step, at, from_state, to_state, cause, by, reason)
      SELECT ?1, 4, ?2, ?3, 'cancelled', 'user', ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM run_events WHERE run_id = ?1 AND step = 4)`,
  ).bind(id, now, run.state, key.user, reason).run();
  return c.json({ message: cancelled(id, key.user, now) });
});

const COLUMNS = `r.*, e.slug AS environment_slug, e.name AS environment_name
  FROM runs r JOIN environments e ON e.id = r.environment_id`;

function shaped(row: any): any {
  return {
    id: row.id, version: row.version, state: row.state, result: row.result, error_code: row.error_code,
    environment: { id: row.environment_id, name: row.environment_name, slug: row.environment_slug },
    test_run_branch: row.branch, build: JSON.parse(row.build), metadata: JSON.parse(row.metadata), tags: JSON.parse(row.tags),
    github_actor: row.github_actor, total_shards: row.total_shards, finished_shards: row.finished_shards, counts: JSON.parse(row.counts),
    created_at: iso(row.created_at), created_by: row.created_by, group: row.run_group, attempt: row.attempt, fail_fast: row.fail_fast,
    started_at: iso(row.started_at), started_by: row.started_by, ended_at: iso(row.ended_at), ended_by: row.ended_by,
    cancel: row.state === 'cancelled'
      ? { reason: row.cancel_reason, cause: row.cancel_cause, by: row.cancel_by, at: iso(row.cancelled_at) } : null,
    stop: row.state === 'cancelled'
      ? {
        ...stopped(row), late_result_at: iso(row.late_at),
        duration_ms: row.stop_outcome === 'lost' || row.stop_closed_at === null ? null : row.stop_closed_at - row.cancelled_at,
        kill: row.kill_at === null ? null : { by: row.kill_by, at: iso(row.kill_at) },
      } : null,
    superseded_by: row.superseded_by, protected: row.protected === 1,
  };
}

const stopped = (row: any): any => ({
  outcome: row.stop_outcome ?? 'stopping', confirmed_at: row.stop_outcome === 'lost' ? null : iso(row.stop_closed_at),
});

function shapedShard(row: any, cancelled: boolean): any {
  const late = JSON.parse(row.late_result);
  return {
    shard: row.shard, state: row.state, result: row.result, error_code: row.error_code, counts: JSON.parse(row.counts),
    progress: JSON.parse(row.progress), runner: row.runner,
    started_at: iso(row.started_at), started_by: row.started_by, ended_at: iso(row.ended_at),
    lease: row.state === 'started' ? { renewed_at: iso(row.lease_renewed_at), expires_at: iso(row.lease_expires_at) } : null,
    stop: row.state === 'cancelled' || (row.state === 'started' && cancelled) ? stopped(row) : null,
    late_result: late && { ...late, at: iso(late.at) }, carried: row.carried === 1,
  };
}

app.get('/api/test-runs', async (c) => {
  const key = c.get('key');
  if (!key.can_read) return c.json(error('This key lacks the scope read.'), 403);
  const number = Math.max(1, Number(c.req.query('page') ?? 1));
  const perPage = Math.min(100, Math.max(1, Number(c.req.query('per_page') ?? 20)));
  const project = await c.env.DB.prepare('SELECT * FROM projects WHERE id = ?').bind(key.project_id).first();
  const total = await c.env.DB.prepare('SELECT count(*) AS n FROM runs WHERE project_id = ?').bind(key.project_id).first('n');
  const { results } = await c.env.DB.prepare(`SELECT ${COLUMNS} WHERE r.project_id = ? ORDER BY r.id DESC LIMIT ? OFFSET ?`)
    .bind(key.project_id, perPage, (number - 1) * perPage).all();
  const { id, name, slug, repo_name, badges, stop_on_close, retention_days, concurrency_scope: scope, concurrency_behaviour: behaviour } = project;
  const next = results.length === perPage ? results[perPage - 1].id : null;
  return c.json(page({ id, name, slug, repo_name, badges: badges === 1, stop_on_close: stop_on_close === 1, retention_days, concurrency: { scope, behaviour } }, results.map(shaped), number, perPage, { total, atLeast: false }, next));
});

app.get('/api/test-runs/:id{[1-9][0-9]*}', async (c) => {
  const key = c.get('key');
  if (!key.can_read) return c.json(error('This key lacks the scope read.'), 403);
  const id = Number(c.req.param('id'));
  const run = await c.env.DB.prepare(`SELECT ${COLUMNS} WHERE r.id = ? AND r.project_id = ?`).bind(id, key.project_id).first();
  if (!run) return c.json(error('There is no such test run.'), 404);
  const { results } = await c.env.DB.prepare('SELECT * FROM run_shards WHERE run_id = ? ORDER BY shard').bind(id).all();
  const shards = results.map((row: any) => shapedShard(row, run.state === 'cancelled'));
  const superseded = await c.env.DB.prepare('SELECT id FROM runs WHERE superseded_by = ? ORDER BY id DESC LIMIT 20').bind(id).all();
  const took_the_place_of = superseded.results.map((row: any) => row.id);
  return c.json({ data: { test_run: { ...shaped(run), shards, took_the_place_of } } });
});

export default app;
