import createClient from 'openapi-fetch';
import type { components, paths } from '../../generated/openapi';

export type Schemas = components['schemas'];
export type Run = Schemas['TestRun'];
export type Shard = Schemas['Shard'];

/** What went wrong, in a sentence for the person who looks at the page. */
export class Failure extends Error {
  /** 0 if there was no answer at all. */
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

const PATIENCE_MS = 15_000;

/** How far the service's clock is ahead of this machine's, so that ages are right on a laptop whose clock is not. */
let ahead = 0;
export const serverNow = () => Date.now() + ahead;

function learnTheTime(answer: Response) {
  const date = Date.parse(answer.headers.get('date') ?? '');
  // The header has whole seconds, and the answer took some time.
  if (Number.isFinite(date)) ahead = Math.abs(date - Date.now()) > 2000 ? date + 500 - Date.now() : 0;
}

/** What the answers so far have seen of the database, so that one from a replica does not lag behind them. */
let seen: string | null = null;

let onSignedOut = () => {};
/** Calls this when the service no longer takes the session. */
export const whenSignedOut = (then: () => void) => {
  onSignedOut = then;
};

async function send(request: Request): Promise<Response> {
  if (!navigator.onLine) throw new Failure('You are offline. Nothing was sent.', 0);
  if (seen) request.headers.set('estop-bookmark', seen);
  let answer: Response;
  try {
    answer = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    const unknown = request.method === 'GET' ? '' : ', so whether this got through is not known';
    throw new Failure(`The service does not answer${unknown}. Try again in a moment.`, 0);
  }
  learnTheTime(answer);
  seen = answer.headers.get('estop-bookmark') ?? seen;
  // An admin token that is wrong says nothing about the session.
  if (answer.status === 401 && !request.headers.has('authorization') && !request.url.endsWith('/api/session')) {
    onSignedOut();
  }
  return answer;
}

export const api = createClient<paths>({
  baseUrl: location.origin,
  fetch: send,
  // `state=queued&state=started` and `environment_ids=1,2` are both what the service reads.
  querySerializer: { array: { style: 'form', explode: true } },
});

interface Answer<T> {
  data?: T | undefined;
  error?: unknown;
  response: Response;
}

/** The sentence of an error, wherever its shape has it. */
export function sentence(error: unknown, status: number): string {
  const shape = error as { message?: string; error?: { message?: string } } | undefined;
  return shape?.error?.message ?? shape?.message ?? `The service answered with ${status}. Try again in a moment.`;
}

/** The body of an answer, or its error as a Failure. */
export async function take<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) throw new Failure(sentence(error, response.status), response.status);
  return data as T;
}

/** Makes a repeat of the same request harmless. */
export const idempotencyKey = () => `page-${crypto.randomUUID()}`;

/** The sentence of whatever was thrown. */
export const said = (error: unknown) =>
  error instanceof Failure ? error.message : 'Something in this page broke. Reload it, and tell us if it comes again.';
