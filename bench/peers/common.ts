// What the two TypeScript peers and the bare one share: none of it touches the database.

/** SHA-256 in lower-case hex, as the column keys.hash has it. */
export async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A moment in ms as the API gives it. */
export const iso = (ms?: number | null): string | null => (ms == null ? null : new Date(ms).toISOString());

export const cancelled = (id: number, by: string, at: number): string =>
  `Test run ${id} is cancelled: ${by} stopped it at ${iso(at)}.`;

export const over = (id: number, run: any): string =>
  run.state === 'cancelled'
    ? `Test run ${id} is over: ${run.cancel_by} cancelled it at ${iso(run.cancelled_at)}.`
    : `Test run ${id} is over: ${run.state} at ${iso(run.ended_at)}.`;

/** The body of a heartbeat's answer. */
export const beat = (run: any, graceSeconds: number): any => ({
  data: {
    state: run.state,
    lease: { expires_at: iso(run.lease_expires_at) },
    stop: run.state !== 'cancelled' ? null : {
      reason: run.cancel_reason, cause: run.cancel_cause, by: run.cancel_by, at: iso(run.cancelled_at),
      grace_seconds: graceSeconds, lease_lost: run.stop_outcome === 'lost',
    },
  },
});

/** The body of a list's answer. `total` is what the page is a part of. */
export const page = (project: any, items: any[], page: number, perPage: number, total: number, nextBefore: number | null): any => ({
  data: { project, test_runs: { items } },
  pagination: { page, per_page: perPage, total, total_pages: Math.ceil(total / perPage), next_before: nextBefore },
});

export const error = (message: string): any => ({ data: null, error: { message } });
