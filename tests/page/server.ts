// A service of a test's own, which can be taken away and brought back.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { within } from './project';

const root = new URL('../..', import.meta.url).pathname;

export class Server {
  private child: ChildProcess | null = null;
  private said = '';

  private constructor(
    readonly port: number,
    readonly state: string,
  ) {}

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  static async start() {
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const server = new Server(port, await mkdtemp(join(tmpdir(), 'estop-page-')));
    await server.up();
    return server;
  }

  async up() {
    this.said = '';
    const env = { ...process.env, PORT: String(this.port), STATE: this.state, DEMO: '0' };
    const child = spawn(join(root, 'scripts/dev'), { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (this.said += text));
    await within(
      'the service is up',
      async () => {
        if (child.exitCode !== null) throw new Error(this.said);
        return this.said.includes('estop serves on');
      },
      90_000,
    );
  }

  async down() {
    const child = this.child;
    if (!child || child.exitCode !== null) return;
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
  }

  async end() {
    await this.down();
    await rm(this.state, { recursive: true, force: true });
  }
}
