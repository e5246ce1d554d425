// Real runs of Playwright with the reporter, installed from its package, each in a folder of its own.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const here = import.meta.dirname;
const scratch = mkdtempSync(join(tmpdir(), 'estop-reporter-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** The three newest minor versions, as package.json names them. */
export const versions = {
  '1.63': 'playwright-test-1.63',
  '1.64': 'playwright-test-1.64',
  '1.65': '@playwright/test',
};
export const newest = '1.65';

/** A folder into which npm has installed nothing but the package. */
export function installed(): string {
  const tarball = process.env.ESTOP_TEST_PACKAGE;
  assert.ok(tarball, 'ESTOP_TEST_PACKAGE names the package; scripts/reporter-tests makes it');
  const folder = join(scratch, 'installed');
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const options = ['--offline', '--legacy-peer-deps', '--ignore-scripts', '--no-audit', '--no-fund'];
  execFileSync('npm', ['install', ...options, tarball], { cwd: folder, stdio: 'pipe' });
  return join(folder, 'node_modules');
}

/** A project that uses one version of Playwright, and the reporter. */
export function projectWith(version: keyof typeof versions, nodeModules: string): string {
  const project = join(scratch, version);
  cpSync(join(here, 'project'), project, { recursive: true });
  mkdirSync(join(project, 'node_modules/@playwright'), { recursive: true });
  symlinkSync(join(here, '../node_modules', versions[version]), join(project, 'node_modules/@playwright/test'));
  symlinkSync(join(nodeModules, '@estop'), join(project, 'node_modules/@estop'));
  return project;
}

export interface Counts {
  total: number;
  done: number;
  failed: number;
  flaky: number;
  skipped: number;
  current: string;
}
export interface Failure {
  title: string;
  file: string;
  line?: number;
  message?: string;
  retracted?: boolean;
}

/** One run of Playwright. Variables are added to the environment, or taken from it. */
export class Run {
  readonly out = mkdtempSync(join(scratch, 'out-'));
  readonly progressFile = join(this.out, 'progress.jsonl');
  readonly stopFile = join(this.out, 'stop.json');
  stdout = '';
  stderr = '';
  code: number | null = null;
  private readonly child: ChildProcess;
  private readonly began = performance.now();
  private readonly ended: Promise<void>;
  private milliseconds = 0;

  constructor(project: string, args: string[], variables: Record<string, string | undefined> = {}) {
    writeFileSync(this.progressFile, '');
    const env = {
      ...process.env,
      FIXTURE_OUT: this.out,
      ESTOP_PROGRESS: this.progressFile,
      ESTOP_STOP: this.stopFile,
      // As on a terminal, where messages have colours.
      FORCE_COLOR: '1',
      NO_COLOR: undefined,
      NODE_TEST_CONTEXT: undefined,
      ...variables,
    };
    const cli = join(project, 'node_modules/@playwright/test/cli.js');
    // A process group of its own, as under `estop run`.
    this.child = spawn(process.execPath, [cli, 'test', ...args], { cwd: project, env, detached: true });
    this.child.stdout?.on('data', (part) => {
      this.stdout += part;
    });
    this.child.stderr?.on('data', (part) => {
      this.stderr += part;
    });
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code) => {
        this.code = code;
        this.milliseconds = performance.now() - this.began;
        resolve();
      });
    });
  }

  signal(signal: NodeJS.Signals): void {
    assert.ok(this.child.pid);
    process.kill(-this.child.pid, signal);
  }

  /** Waits for the end, and holds every line to what all of them have in common. */
  async end(code: number): Promise<this> {
    const killed = setTimeout(() => this.signal('SIGKILL'), 60_000);
    await this.ended;
    clearTimeout(killed);
    assert.equal(this.code, code, this.stdout + this.stderr);
    let done = 0;
    for (const counts of this.progress()) {
      for (const count of [counts.total, counts.done, counts.failed, counts.flaky, counts.skipped])
        assert.ok(Number.isSafeInteger(count) && count >= 0, JSON.stringify(counts));
      assert.ok(counts.done <= counts.total, JSON.stringify(counts));
      assert.ok(counts.failed + counts.flaky + counts.skipped <= counts.done, JSON.stringify(counts));
      assert.ok(counts.done >= done, `what is done stays done: ${JSON.stringify(counts)}`);
      done = counts.done;
    }
    const allowed = this.milliseconds / 500 + 2 * this.failures().length + 3;
    assert.ok(this.progress().length <= allowed, `${this.progress().length} lines in ${this.milliseconds} ms`);
    return this;
  }

  lines(): unknown[] {
    const text = readFileSync(this.progressFile, 'utf8');
    assert.ok(text === '' || text.endsWith('\n'));
    const lines = text.split('\n').slice(0, -1);
    for (const line of lines) assert.ok(Buffer.byteLength(line) < 64 * 1024);
    return lines.map((line) => JSON.parse(line));
  }

  progress(): Counts[] {
    return this.lines().filter((line): line is Counts => !(line as { failure?: Failure }).failure);
  }

  failures(): Failure[] {
    return this.lines().flatMap((line) => (line as { failure?: Failure }).failure ?? []);
  }

  /** Titles of what has failed and was not taken back. */
  failing(): string[] {
    const failing = new Set<string>();
    for (const { title, retracted } of this.failures()) {
      if (retracted) assert.ok(failing.delete(title), `${title} was taken back, but had not failed`);
      else assert.ok(!failing.has(title) && failing.add(title), `${title} was told of twice`);
    }
    return [...failing].sort();
  }

  last(): Counts {
    const last = this.progress().at(-1);
    assert.ok(last, `no progress: ${this.stdout}${this.stderr}`);
    return last;
  }

  /** The same, from Playwright's own JSON report. */
  reported(): Counts {
    const { stats } = JSON.parse(readFileSync(join(this.out, 'report.json'), 'utf8'));
    const total = stats.expected + stats.unexpected + stats.flaky + stats.skipped;
    return { total, done: total, failed: stats.unexpected, flaky: stats.flaky, skipped: stats.skipped, current: '' };
  }

  exists(name: string): boolean {
    return existsSync(join(this.out, name));
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const deadline = performance.now() + 30_000;
    while (!holds()) {
      assert.ok(performance.now() < deadline, `${what} in 30 s: ${this.stdout}${this.stderr}`);
      await sleep(20);
    }
  }
}
