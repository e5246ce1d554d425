import { signal } from '@preact/signals';
import { api, Failure, idempotencyKey, type Schemas, take } from '../api/client';
import { whenAnother } from '../session';

/** The runs that the dialog asks about. */
export const asking = signal<readonly number[] | null>(null);
/** The run that the dialog about killing asks about. */
export const askingToKill = signal<number | null>(null);

whenAnother(() => {
  asking.value = null;
  askingToKill.value = null;
});

/** At most so many ids are in one request. */
const AT_ONCE = 100;

export interface Outcome {
  cancelled: Schemas['BulkRun'][];
  left: { id: number; message: string }[];
}

const chunks = (ids: readonly number[]) =>
  Array.from({ length: Math.ceil(ids.length / AT_ONCE) }, (_, i) => ids.slice(i * AT_ONCE, (i + 1) * AT_ONCE));

async function ask(
  body: { ids: number[]; reason?: string; dry_run?: boolean },
  key?: string,
): Promise<Schemas['BulkCancelled']> {
  const params = key ? { header: { 'Idempotency-Key': key } } : {};
  return (await take(api.POST('/api/test-runs/cancel', { params, body }))).data;
}

const add = (outcome: Outcome, { cancelled, already_over, not_found }: Schemas['BulkCancelled']) => {
  outcome.cancelled.push(...cancelled);
  outcome.left.push(...already_over);
  outcome.left.push(
    ...not_found.map((id) => ({ id, message: `Run ${id} is gone, or not one that this key may see.` })),
  );
};

/** What would be stopped. */
export async function dryRun(ids: readonly number[]): Promise<Outcome> {
  const outcome: Outcome = { cancelled: [], left: [] };
  for (const some of chunks(ids)) add(outcome, await ask({ ids: [...some], dry_run: true }));
  return outcome;
}

/** Stops them. What could not be asked for is left, each with the reason; a repeat of a request changes nothing twice. */
export async function stop(ids: readonly number[], reason: string): Promise<Outcome> {
  const outcome: Outcome = { cancelled: [], left: [] };
  for (const some of chunks(ids)) {
    const body = { ids: [...some], ...(reason.trim() ? { reason } : {}) };
    const key = idempotencyKey();
    try {
      const again = (error: unknown) => {
        if (error instanceof Failure && (error.status === 0 || error.status >= 500)) return ask(body, key);
        throw error;
      };
      add(outcome, await ask(body, key).catch(again));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const { message } = error;
      outcome.left.push(...some.map((id) => ({ id, message: `#${id}: ${message}` })));
    }
  }
  return outcome;
}

/** Has what is still stopping killed at once. Gives the service's sentence. */
export async function kill(id: number): Promise<string> {
  const params = { path: { id }, header: { 'Idempotency-Key': idempotencyKey() } };
  return (await take(api.POST('/api/test-runs/{id}/kill', { params }))).message;
}
