// A project of its own for each test, and what others do in it while somebody looks at the page. Node.js runs this as it
// stands, so it has no syntax that would have to be compiled.
import { randomUUID } from 'node:crypto';

export const SERVICE = process.env.ESTOP_TEST_URL ?? '';
export const ADMIN = 'local-admin';

export interface Body {
  [name: string]: unknown;
}

export async function call(method: string, path: string, token: string, body?: Body, at = SERVICE) {
  const answer = await fetch(at + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, text, json: text ? JSON.parse(text) : null };
}

async function ok(method: string, path: string, token: string, body?: Body, at = SERVICE) {
  const answer = await call(method, path, token, body, at);
  if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.json.data;
}

/** Asks until there is something. */
export async function within<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false>,
  ms = 15_000,
): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const found = await ask();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The line of a shard's lease. */
export class Line {
  readonly socket: WebSocket;
  #watched = false;

  constructor(address: string, lease: string) {
    // Node.js takes headers, which browsers do not.
    this.socket = new WebSocket(address, { headers: { 'Estop-Lease': lease } } as never);
    this.socket.onmessage = ({ data }) => {
      const message = JSON.parse(data as string);
      if (message.type === 'watched') this.#watched = message.watched;
    };
  }

  /** Waits until it is told that somebody watches. */
  watched() {
    return within('somebody watches', async () => this.#watched);
  }

  report(progress: Body) {
    this.socket.send(JSON.stringify({ type: 'progress', progress }));
  }

  close() {
    this.socket.close();
  }
}

export class Runner {
  readonly project: Project;
  readonly id: number;
  readonly shard: number;
  readonly lease: string;

  constructor(project: Project, id: number, shard: number, lease: string) {
    this.project = project;
    this.id = id;
    this.shard = shard;
    this.lease = lease;
  }

  async beat(said: Body = {}) {
    return call('POST', `/api/test-runs/${this.id}/heartbeat`, '', { lease: this.lease, ...said }, this.project.at);
  }

  async finish(report: Body = { state: 'ended', result: 'passed' }) {
    return call('POST', `/api/test-runs/${this.id}/finish`, '', { lease: this.lease, ...report }, this.project.at);
  }

  async line(): Promise<Line> {
    const line = new Line(`${this.project.at.replace('http', 'ws')}/api/test-runs/${this.id}/watch`, this.lease);
    await within('an open line', async () => line.socket.readyState === WebSocket.OPEN);
    return line;
  }

  /** Waits for the order to stop, as its runner would, and gives it. */
  told() {
    return within(`run ${this.id} is told to stop`, async () => (await this.beat()).json?.data?.stop);
  }

  /** Stops as soon as it is told to. */
  async stopsWhenTold(outcome = 'graceful') {
    const order = await this.told();
    await this.finish({ state: 'ended', result: 'failed', stop: { outcome } });
    return order;
  }
}

export class Project {
  readonly id: number;
  readonly name: string;
  readonly key: string;
  readonly keyId: number;
  readonly at: string;

  /** The ids of those that it began with, oldest first. */
  readonly environments: number[];

  private constructor(id: number, name: string, key: string, keyId: number, at: string, environments: number[]) {
    this.environments = environments;
    this.id = id;
    this.name = name;
    this.key = key;
    this.keyId = keyId;
    this.at = at;
  }

  static async make(at = SERVICE, { environments = ['staging', 'production'], name = '' } = {}) {
    const slug = `page-${randomUUID().slice(0, 13)}`;
    const { project } = await ok(
      'POST',
      '/api/projects',
      ADMIN,
      { name: name || `Page ${slug.slice(5, 9)}`, slug },
      at,
    );
    const made: number[] = [];
    for (const slug of environments) {
      const name = slug[0]?.toUpperCase() + slug.slice(1);
      const { environment } = await ok('POST', `/api/projects/${project.id}/environments`, ADMIN, { name, slug }, at);
      made.push(environment.id);
    }
    const { key, token } = await Project.#key(project.id, 'ada@example.com', ['read', 'cancel', 'run'], at);
    return new Project(project.id, project.name, token, key.id, at, made);
  }

  static async #key(project: number, user: string, scopes: string[], at: string) {
    return ok('POST', '/api/keys', ADMIN, { project_id: project, user, name: `${user}'s`, scopes }, at);
  }

  async keyOf(user: string, scopes = ['read', 'cancel', 'run']): Promise<{ id: number; token: string }> {
    const { key, token } = await Project.#key(this.id, user, scopes, this.at);
    return { id: key.id, token };
  }

  async disable(environment: number) {
    await ok('PATCH', `/api/environments/${environment}`, ADMIN, { disabled: true }, this.at);
  }

  async revoke(keyId: number) {
    await ok('DELETE', `/api/keys/${keyId}`, ADMIN, undefined, this.at);
  }

  /** Lets somebody in by the company's account. */
  async admit(address: string, scopes = ['read', 'cancel']): Promise<number> {
    return (await ok('POST', '/api/people', ADMIN, { project_id: this.id, address, scopes }, this.at)).key.id;
  }

  async limit(scope: string, behaviour = 'cancel_previous') {
    await ok('PUT', `/api/projects/${this.id}/concurrency`, ADMIN, { scope, behaviour }, this.at);
  }

  async register(body: Body = {}, key = this.key): Promise<number> {
    const { branch = 'main', ...rest } = body;
    const what = rest.build ? {} : { branch };
    return (await ok('PUT', '/api/test-runs', key, { environment: 'staging', ...what, ...rest }, this.at)).test_run.id;
  }

  async claim(id: number, shard = 1): Promise<Runner> {
    const { lease } = await ok(
      'POST',
      `/api/test-runs/${id}/claim`,
      this.key,
      { runner: `vm-${shard}`, shard },
      this.at,
    );
    return new Runner(this, id, shard, lease.token);
  }

  async start(body: Body = {}): Promise<Runner> {
    return this.claim(await this.register(body));
  }

  async cancel(id: number, reason?: string, key = this.key) {
    return ok('POST', '/api/test-runs/cancel', key, { ids: [id], ...(reason ? { reason } : {}) }, this.at);
  }

  async show(id: number) {
    return (await ok('GET', `/api/test-runs/${id}`, this.key, undefined, this.at)).test_run;
  }
}
