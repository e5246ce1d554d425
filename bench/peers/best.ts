// The best that TypeScript can do with our design: Hono around exactly our statements, one batch a request.

import { Hono, type Context } from 'hono';
import { beat, cancelled, error, over, reach, sha256, shardOf, windowed } from './common';
import sql from './statements.json';

type App = { Bindings: { DB: any } };
type Statement = [text: string, ...params: unknown[]];

const LEASE = 120_000;
const STOP_LIMIT = 300_000;
const GRACE_SECONDS = 10;
const REFUSALS: Record<string, [401 | 403, string]> = {
  unknown: [401, 'This key is unknown.'], revoked: [401, 'This key was revoked.'], expired: [401, 'This key has expired.'],
  unscoped: [403, 'This key lacks the scope.'],
};
const app = new Hono<App>();

/** The key's hash, or nothing where the header holds no key. */
const keyOf = async (c: Context<App>): Promise<string | null> => {
  const [scheme, token] = (c.req.header('authorization') ?? '').split(' ');
  return scheme === 'Bearer' && token ? sha256(token) : null;
};

/** What a body says, or nothing where it is no JSON. */
const parsed = (text: string): any => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

const batch = async (c: Context<App>, ...statements: Statement[]): Promise<string[][]> => {
  const answers = await c.env.DB.batch(statements.map(([text, ...params]) => c.env.DB.prepare(text).bind(...params)));
  return answers.map(({ results }: any) => results.map((result: any) => result.row));
};

app.post('/api/test-runs/:id{[1-9][0-9]*}/cancel', async (c) => {
  const key = await keyOf(c);
  if (!key) return c.json(error('Send an API key.'), 401);
  const id = Number(c.req.param('id'));
  const text = await c.req.text();
  const body = parsed(text);
  if (body === null || (body.reason != null && typeof body.reason !== 'string')) return c.json(error('Field `reason`: a text.'), 400);
  const given = c.req.header('idempotency-key');
  const request = given ? `key:${given}` : `own:${crypto.randomUUID()}`;
  const hash = (await sha256(`POST /api/test-runs/:id/cancel ${id}\0${text}`)).slice(0, 32);
  const now = Date.now();
  const [, explained] = await batch(c,
    [sql.cancel, key, now, id, request, hash, body.reason ?? null], [sql.diagnose_cancel, key, now, id, request, hash]);
  const { key: { is }, found } = JSON.parse(explained[0]);
  if (is !== 'valid') return c.json(error(REFUSALS[is][1]), REFUSALS[is][0]);
  if (!found) return c.json(error('There is no such test run.'), 404);
  if (found.mine === 'reused') return c.json(error('This Idempotency-Key came with another request.'), 400);
  if (found.mine === 'yes') return c.json({ message: cancelled(id, found.run.cancel_by, found.run.cancelled_at) });
  return c.json({ message: over(id, found.run) }, 412);
});

app.post('/api/test-runs/:id{[1-9][0-9]*}/heartbeat', async (c) => {
  const id = Number(c.req.param('id'));
  const body = await c.req.json().catch(() => null);
  if (typeof body?.lease !== 'string') return c.json(error('Field `lease`: a text.'), 400);
  const shard = shardOf(body.lease);
  const { counts } = body;
  const [, explained] = await batch(c,
    [sql.renew, id, shard, body.lease, Date.now(), LEASE, STOP_LIMIT, counts ? JSON.stringify(counts) : null, counts?.failed ?? 0, null, null],
    [sql.diagnose_heartbeat, id, shard, body.lease]);
  const run = explained[0] ? JSON.parse(explained[0]) : null;
  if (run?.shard !== 'started' && run?.stop_outcome !== 'lost') return c.json(error('This lease does not hold the test run.'), 409);
  return c.json(beat(run, GRACE_SECONDS));
});

app.get('/api/test-runs', async (c) => {
  const key = await keyOf(c);
  if (!key) return c.json(error('Send an API key.'), 401);
  const number = Math.max(1, Number(c.req.query('page') ?? 1));
  const perPage = Math.min(100, Math.max(1, Number(c.req.query('per_page') ?? 20)));
  const now = Date.now();
  const [heads, rows] = await batch(c, [sql.list_head, key, now], [sql.list_items, key, now, perPage, (number - 1) * perPage]);
  const { key: { is }, project, seen } = JSON.parse(heads[0]);
  if (is !== 'valid') return c.json(error(REFUSALS[is][1]), REFUSALS[is][0]);
  const reached = reach(seen.matched, perPage);
  if (number > 1 && (number - 1) * perPage >= reached) return c.json(error(`\`page\`: one of the first ${reached} runs' pages.`), 400);
  return c.json(windowed(project, rows.map((row) => JSON.parse(row)), number, perPage, seen));
});

app.get('/api/test-runs/:id{[1-9][0-9]*}', async (c) => {
  const key = await keyOf(c);
  if (!key) return c.json(error('Send an API key.'), 401);
  const [shown] = await batch(c, [sql.show, key, Date.now(), Number(c.req.param('id'))]);
  const { key: { is }, test_run } = JSON.parse(shown[0]);
  if (is !== 'valid') return c.json(error(REFUSALS[is][1]), REFUSALS[is][0]);
  return test_run ? c.json({ data: { test_run } }) : c.json(error('There is no such test run.'), 404);
});

export default app;
