// What the two TypeScript peers and the bare one share: none of it touches the database.

/** SHA-256 in lower-case hex, as the column keys.hash has it. */
export async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The shard that a lease's token is of: they are like `00.3.rVqZ…`. */
export const shardOf = (token: string): number => Number(token.split('.')[1] ?? 1) || 0;

/** A moment in ms as the API gives it. */
export const iso = (ms?: number | null): string | null => (ms == null ? null : new Date(ms).toISOString());

export const cancelled = (id: number, by: string, at: number): string =>
  `Test run ${id} is cancelled: ${by} stopped it at ${iso(at)}.`;

export const over = (id: number, run: any): string =>
  run.state === 'cancelled' ? `Test run ${id} is over: ${run.cancel_by} cancelled it at ${iso(run.cancelled_at)}.`
    : run.state === 'ended' ? `Test run ${id} is over: it ended (${run.result}) at ${iso(run.ended_at)}.`
    : `Test run ${id} is over: it broke (${run.error_code}) at ${iso(run.ended_at)}.`;

/** The body of a heartbeat's answer. */
export const beat = (run: any, graceSeconds: number): any => ({
  data: {
    state: run.state,
    lease: { expires_at: iso(run.lease_expires_at) },
    stop: run.state !== 'cancelled' ? null : {
      reason: run.cancel_reason, cause: run.cancel_cause, by: run.cancel_by, at: iso(run.cancelled_at),
      grace_seconds: graceSeconds, lease_lost: run.stop_outcome === 'lost', kill: run.kill_at != null,
    },
  },
});

type Counted = { total: number; atLeast: boolean };

/** How many of the counted runs the pages with a number reach. */
export const reach = (matched: number, perPage: number): number => Math.min(matched, Math.max(5 * perPage, 100));

/** The body of a list's answer. `total` is what the page is a part of. */
export const page = (project: any, items: any[], page: number, perPage: number, { total, atLeast }: Counted, nextBefore: number | null): any => ({
  // Nothing is archived here.
  data: { project, test_runs: { items }, archived_through: null },
  pagination: {
    page, per_page: perPage, total, total_pages: Math.ceil(reach(total, perPage) / perPage), total_is_lower_bound: atLeast, next_before: nextBefore,
  },
});

/** The same of a window that our statements looked at. */
export const windowed = (project: any, items: any[], number: number, perPage: number, seen: any): any => {
  const shown = (number - 1) * perPage + items.length;
  const next = shown < seen.matched ? items.at(-1).id : seen.more ? seen.last_id : null;
  return page(project, items, number, perPage, { total: seen.matched, atLeast: seen.more }, next);
};

export const error = (message: string): any => ({ data: null, error: { message } });
