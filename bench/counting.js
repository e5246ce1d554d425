// D1's protocol over the runtime's own SQLite, in a Durable Object, as D1 itself is made: for its counts of rows.
import { DurableObject } from 'cloudflare:workers';

export class Database extends DurableObject {
  rows = { read: 0, written: 0 };

  async fetch(request) {
    const { pathname } = new URL(request.url);
    const { sql } = this.ctx.storage;
    if (pathname === '/script') {
      sql.exec(await request.text()).toArray();
      return new Response();
    }
    if (pathname === '/count') {
      const rows = this.rows;
      this.rows = { read: 0, written: 0 };
      return Response.json(rows);
    }
    if (pathname === '/size') {
      return Response.json(sql.databaseSize);
    }
    const asked = await request.json();
    const run = (statement) => {
      const cursor = sql.exec(statement.sql, ...(statement.params ?? []));
      const rows = [...cursor.raw()];
      this.rows.read += cursor.rowsRead;
      this.rows.written += cursor.rowsWritten;
      return { success: true, results: { columns: cursor.columnNames, rows }, meta: {} };
    };
    try {
      const batch = Array.isArray(asked);
      const answers = this.ctx.storage.transactionSync(() => (batch ? asked : [asked]).map(run));
      return Response.json(batch ? answers : answers[0]);
    } catch (error) {
      return Response.json({ success: false, error: String(error) });
    }
  }
}

export default {
  fetch: (request, env) => env.DATABASE.get(env.DATABASE.idFromName('bench')).fetch(request),
};
