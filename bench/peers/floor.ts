// The floor: a bare Worker around exactly our statements. No framework, no validation, no refusals.

import { beat, cancelled, over, sha256, shardOf, windowed } from './common';
import sql from './statements.json';

export default {
  async fetch(request: Request, env: { DB: any }): Promise<Response> {
    const [, , , id, verb] = request.url.slice(request.url.indexOf('/', 8)).split('/');
    const now = Date.now();
    const batch = async (...statements: [string, ...unknown[]][]): Promise<string[][]> => {
      const answers = await env.DB.batch(statements.map(([text, ...params]) => env.DB.prepare(text).bind(...params)));
      return answers.map(({ results }: any) => results.map((result: any) => result.row));
    };
    if (verb === 'heartbeat') {
      const { lease, counts } = await request.json() as any;
      const shard = shardOf(lease);
      const [, explained] = await batch(
        [sql.renew, +id, shard, lease, now, 120_000, 300_000, counts ? JSON.stringify(counts) : null, counts?.failed ?? 0, null, null],
        [sql.diagnose_heartbeat, +id, shard, lease]);
      return Response.json(beat(JSON.parse(explained[0]), 10));
    }
    const key = await sha256(request.headers.get('authorization')!.slice(7));
    if (verb === 'cancel') {
      const { reason } = await request.json() as any;
      // It takes no Idempotency-Key, so its id is new each time, and a hash to tell a reused one is of no use.
      const own = crypto.randomUUID();
      const [, explained] = await batch([sql.cancel, key, now, +id, own, own, reason], [sql.diagnose_cancel, key, now, +id, own, own]);
      const { run, mine } = JSON.parse(explained[0]).found;
      if (mine === 'no') return Response.json({ message: over(+id, run) }, { status: 412 });
      return Response.json({ message: cancelled(+id, run.cancel_by, run.cancelled_at) });
    }
    if (id) {
      const [shown] = await batch([sql.show, key, now, +id]);
      return Response.json({ data: { test_run: JSON.parse(shown[0]).test_run } });
    }
    const [heads, rows] = await batch([sql.list_head, key, now], [sql.list_items, key, now, 20, 0]);
    const { project, seen } = JSON.parse(heads[0]);
    return Response.json(windowed(project, rows.map((row) => JSON.parse(row)), 1, 20, seen));
  },
};
