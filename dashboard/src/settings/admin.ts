import { signal } from '@preact/signals';
import { api, Failure, idempotencyKey, type Schemas, said, take } from '../api/client';
import { whenAnother } from '../session';
import { say } from '../ui/toast';

export type Project = Schemas['Project'];
export type Environment = Schemas['Environment'];
export type Key = Schemas['Key'];
export type AdminEvent = Schemas['AdminEvent'];

/** The admin token, in this page's memory alone: a reload forgets it. */
export const token = signal<string | null>(null);
export const projects = signal<Project[]>([]);
export const current = signal<number | null>(null);
/** The project whose environments and keys are here; null while they are on their way. */
export const loaded = signal<number | null>(null);
export const environments = signal<Environment[]>([]);
export const keys = signal<Key[]>([]);
/** Keys that were made and cannot be had again, until somebody has them. */
export const made = signal<{ of: Key; token: string }[]>([]);
export const events = signal<AdminEvent[]>([]);
/** Where the older ones go on; null at the end. */
export const olderEvents = signal<number | null>(null);

export const as = (admin = token.peek()) => ({ Authorization: `Bearer ${admin}` });
export const repeatable = () => ({ header: { 'Idempotency-Key': idempotencyKey() } });

/** So many pages of a list are read. */
const PAGES = 20;

/** All of a list, or its newest 2,000. */
async function all<T>(page: (query: { before?: number; per_page: number }) => Promise<[T[], number | null]>) {
  const found: T[] = [];
  let before: number | null = null;
  for (let pages = 0; pages < PAGES; pages++) {
    const [items, next]: [T[], number | null] = await page({ per_page: 100, ...(before === null ? {} : { before }) });
    found.push(...items);
    before = next;
    if (before === null) break;
  }
  return found;
}

/** Tries the token on the list of projects, and keeps it if the service takes it. */
export async function unlock(given: string, own: number | undefined) {
  try {
    const found = await all(async (query) => {
      const { data, pagination } = await take(api.GET('/api/projects', { params: { query }, headers: as(given) }));
      return [data.projects, pagination.next_before];
    });
    token.value = given;
    projects.value = found;
    current.value = found.find(({ id }) => id === own)?.id ?? found[0]?.id ?? null;
  } catch (error) {
    if (error instanceof Failure && error.status === 401) throw new Failure('That is not the admin token.', 401);
    if (error instanceof Failure && error.status === 404) {
      throw new Failure('This service has no admin token. `make deploy` sets one.', 404);
    }
    throw error;
  }
}

export function lock() {
  token.value = null;
  projects.value = [];
  current.value = null;
  loaded.value = null;
  environments.value = [];
  keys.value = [];
  made.value = [];
  events.value = [];
  olderEvents.value = null;
}
whenAnother(lock);

/** Does what an admin asked for, and says what came of it. Gives nothing if it failed. */
export async function attempt<T>(what: () => Promise<T>, done: string): Promise<T | undefined> {
  try {
    const answer = await what();
    say(done);
    void loadEvents();
    return answer;
  } catch (error) {
    say(said(error));
    return undefined;
  }
}

export async function loadProject(id: number) {
  loaded.value = null;
  const [found] = await Promise.all([
    all(async (query) => {
      const params = { path: { id }, query };
      const { data, pagination } = await take(api.GET('/api/projects/{id}/environments', { params, headers: as() }));
      return [data.environments, pagination.next_before];
    }),
    loadKeys(id),
  ]);
  if (current.peek() !== id) return;
  environments.value = found;
  loaded.value = id;
}

async function loadKeys(id: number) {
  const found = await all(async (query) => {
    const params = { query: { project_id: id, ...query } };
    const { data, pagination } = await take(api.GET('/api/keys', { params, headers: as() }));
    return [data.keys, pagination.next_before];
  });
  if (current.peek() === id) keys.value = found;
}

export async function loadEvents(before?: number) {
  const query = { per_page: 20, ...(before ? { before } : {}) };
  const admin = token.peek();
  const { data, pagination } = await take(api.GET('/api/admin-events', { params: { query }, headers: as() }));
  if (token.peek() !== admin) return;
  events.value = before ? [...events.peek(), ...data.events] : data.events;
  olderEvents.value = pagination.next_before;
}

export const createProject = async (body: Schemas['CreateProjectRequest']) => {
  const { data } = await take(api.POST('/api/projects', { params: repeatable(), headers: as(), body }));
  projects.value = [data.project, ...projects.peek()];
  current.value = data.project.id;
  return data.project;
};

const put = (project: Project) => {
  projects.value = projects.peek().map((one) => (one.id === project.id ? project : one));
};

export const changeProject = async (id: number, body: Schemas['ChangeProjectRequest']) => {
  const { data } = await take(api.PATCH('/api/projects/{id}', { params: { path: { id } }, headers: as(), body }));
  put(data.project);
  return data.project;
};

/** Gives the runs that the limit of before still holds. */
export const limit = async (id: number, body: Schemas['Concurrency']) => {
  const { data } = await take(
    api.PUT('/api/projects/{id}/concurrency', { params: { path: { id } }, headers: as(), body }),
  );
  put(data.project);
  return data.under_earlier_limit;
};

export const createEnvironment = async (id: number, body: Schemas['CreateEnvironmentRequest']) => {
  const params = { path: { id }, ...repeatable() };
  const { data } = await take(api.POST('/api/projects/{id}/environments', { params, headers: as(), body }));
  if (loaded.peek() === id) environments.value = [data.environment, ...environments.peek()];
  return data.environment;
};

export const changeEnvironment = async (id: number, body: Schemas['ChangeEnvironmentRequest']) => {
  const { data } = await take(api.PATCH('/api/environments/{id}', { params: { path: { id } }, headers: as(), body }));
  environments.value = environments.peek().map((one) => (one.id === id ? data.environment : one));
};

/** The key itself is then among those that were `made`. */
export const createKey = async (body: Schemas['CreateKeyRequest']) => {
  const { data } = await take(api.POST('/api/keys', { params: repeatable(), headers: as(), body }));
  if (loaded.peek() === body.project_id) keys.value = [data.key, ...keys.peek()];
  made.value = [{ of: data.key, token: data.token }, ...made.peek()];
  return data.key;
};

/** Revokes a key, and with that of a domain those of its people. */
export const revokeKey = async (id: number) => {
  const { data } = await take(api.DELETE('/api/keys/{id}', { params: { path: { id } }, headers: as() }));
  const { revoked_at } = data.key;
  keys.value = keys
    .peek()
    .map((one) =>
      one.id === id ? data.key : one.granted_by === id ? { ...one, revoked_at: one.revoked_at ?? revoked_at } : one,
    );
};

/** Lets a person or a domain's people in; what was said of them before is revoked with it. */
export const admit = async (body: Schemas['AdmitRequest']) => {
  await take(api.POST('/api/people', { params: repeatable(), headers: as(), body }));
  await loadKeys(body.project_id);
};
