// The floor: a bare Worker around exactly our statements. No framework, no validation, no refusals.

import { beat, cancelled, over, page, sha256 } from './common';
import sql from './statements.json';

export default {
  async fetch(request: Request, env: { DB: any }): Promise<Response> {
    const key = await sha256(request.headers.get('authorization')!.slice(7));
    const [, , , id, verb] = request.url.slice(request.url.indexOf('/', 8)).split('/');
    const now = Date.now();
    const batch = async (...statements: [string, ...unknown[]][]): Promise<string[][]> => {
      const answers = await env.DB.batch(statements.map(([text, ...params]) => env.DB.prepare(text).bind(...params)));
      return answers.map(({ results }: any) => results.map((result: any) => result.row));
    };
    if (verb === 'cancel') {
      const { reason } = await request.json() as any;
      const own = crypto.randomUUID();
      const [decided, explained] = await batch([sql.cancel, key, now, +id, own, reason], [sql.diagnose_cancel, key, now, +id, own]);
      if (!decided[0]) return Response.json({ message: over(+id, JSON.parse(explained[0]).run) }, { status: 412 });
      const { cancelled_at, cancel_by } = JSON.parse(decided[0]);
      return Response.json({ message: cancelled(+id, cancel_by, cancelled_at) });
    }
    if (verb === 'heartbeat') {
      const { lease } = await request.json() as any;
      const [, explained] = await batch([sql.renew, key, now, +id, lease, 120_000, 300_000], [sql.diagnose_heartbeat, key, now, +id, lease]);
      return Response.json(beat(JSON.parse(explained[0]).run, 10));
    }
    if (id) {
      const [shown] = await batch([sql.show, key, now, +id]);
      return Response.json({ data: { test_run: JSON.parse(shown[0]).test_run } });
    }
    const [heads, rows] = await batch([sql.list_head, key, now], [sql.list_items, key, now, 20, 0]);
    const head = JSON.parse(heads[0]);
    const items = rows.map((row) => JSON.parse(row));
    return Response.json(page(head.project, items, 1, 20, head.counted.matched, items.at(-1)?.id ?? null));
  },
};
