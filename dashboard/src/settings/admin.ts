import { signal } from '@preact/signals';
import { api, Failure, idempotencyKey, type Schemas, said, take } from '../api/client';
import { say } from '../ui/toast';

export type Project = Schemas['Project'];
export type Environment = Schemas['Environment'];
export type Key = Schemas['Key'];
export type AdminEvent = Schemas['AdminEvent'];

/** The admin token, in this page's memory alone: a reload forgets it. */
export const token = signal<string | null>(null);
export const projects = signal<Project[]>([]);
export const current = signal<number | null>(null);
export const environments = signal<Environment[]>([]);
export const keys = signal<Key[]>([]);
export const events = signal<AdminEvent[]>([]);
/** Where the older keys go on; null at the end. */
export const olderKeys = signal<number | null>(null);
/** Where the older ones go on; null at the end. */
export const olderEvents = signal<number | null>(null);

const as = (admin = token.peek()) => ({ Authorization: `Bearer ${admin}` });
const repeatable = () => ({ header: { 'Idempotency-Key': idempotencyKey() } });

/** Tries the token on the list of projects, and keeps it if the service takes it. */
export async function unlock(given: string, own: number | undefined) {
  try {
    const { data } = await take(api.GET('/api/projects', { headers: as(given) }));
    token.value = given;
    projects.value = data.projects;
    current.value = data.projects.find(({ id }) => id === own)?.id ?? data.projects[0]?.id ?? null;
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
  environments.value = [];
  keys.value = [];
  events.value = [];
}

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
  const path = { id };
  const [{ data }] = await Promise.all([
    take(api.GET('/api/projects/{id}/environments', { params: { path }, headers: as() })),
    loadKeys(id),
  ]);
  if (current.peek() === id) environments.value = data.environments;
}

export async function loadKeys(id: number, before?: number) {
  const query = { project_id: id, ...(before ? { before } : {}) };
  const { data, pagination } = await take(api.GET('/api/keys', { params: { query }, headers: as() }));
  if (current.peek() !== id) return;
  keys.value = before ? [...keys.peek(), ...data.keys] : data.keys;
  olderKeys.value = pagination.next_before;
}

export async function loadEvents(before?: number) {
  const query = { per_page: 20, ...(before ? { before } : {}) };
  const { data, pagination } = await take(api.GET('/api/admin-events', { params: { query }, headers: as() }));
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

export const changeProject = async (id: number, body: Schemas['ChangeProjectRequest']) =>
  put((await take(api.PATCH('/api/projects/{id}', { params: { path: { id } }, headers: as(), body }))).data.project);

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
  environments.value = [data.environment, ...environments.peek()];
  return data.environment;
};

export const changeEnvironment = async (id: number, body: Schemas['ChangeEnvironmentRequest']) => {
  const { data } = await take(api.PATCH('/api/environments/{id}', { params: { path: { id } }, headers: as(), body }));
  environments.value = environments.peek().map((one) => (one.id === id ? data.environment : one));
};

/** Gives the key itself, which can be had this once. */
export const createKey = async (body: Schemas['CreateKeyRequest']) => {
  const { data } = await take(api.POST('/api/keys', { params: repeatable(), headers: as(), body }));
  keys.value = [data.key, ...keys.peek()];
  return data.token;
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
