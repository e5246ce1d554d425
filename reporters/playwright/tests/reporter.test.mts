import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Counts, installed, newest, projectWith, Run, versions } from './run.mts';

const require = createRequire(import.meta.url);
const nodeModules = installed();

test('the package has what is needed and nothing else', () => {
  const files = readdirSync(nodeModules, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name).slice(nodeModules.length + 1))
    .sort();
  const modules = ['failures', 'index', 'outcome', 'progress', 'stop', 'text'];
  assert.deepEqual(files, [
    ...['LICENSE', 'README.md'].map((name) => `@estop/playwright/${name}`),
    ...modules.flatMap((name) => [`@estop/playwright/dist/${name}.d.ts`, `@estop/playwright/dist/${name}.js`]),
    '@estop/playwright/package.json',
  ]);
});

for (const version of Object.keys(versions) as (keyof typeof versions)[]) {
  const project = projectWith(version, nodeModules);

  describe(`with Playwright ${version}`, { concurrency: 2 }, () => {
    test('a whole run counts as in Playwright’s own report', async () => {
      const run = await new Run(project, ['outcomes', 'serial']).end(1);
      const counts: Counts = { total: 17, done: 17, failed: 6, flaky: 2, skipped: 4, current: '' };
      assert.deepEqual(run.last(), counts);
      assert.deepEqual(run.reported(), counts);
      assert.deepEqual(run.progress()[0], { total: 17, done: 0, failed: 0, flaky: 0, skipped: 0, current: '' });
      assert.ok(run.progress().some(({ current }) => current !== ''));

      const long = `has a long title ${'and '.repeat(200)}`.slice(0, 499);
      assert.deepEqual(run.failing(), [
        'a return › is refused',
        'checkout › pays',
        `${long}…`,
        'passes although it should fail',
        'takes too long',
        'without a database › the first fails',
      ]);
      const told = (title: string) => run.failures().filter((failure) => failure.title === title);
      assert.deepEqual(told('checkout › pays'), [
        {
          title: 'checkout › pays',
          file: 'specs/outcomes.spec.ts',
          line: 6,
          message: 'Error: expect(received).toBe(expected) // Object.is equality\n\nExpected: 4\nReceived: 3',
        },
      ]);
      const [flaky, retracted] = told('checkout › pays at the second try');
      assert.equal(flaky?.retracted, undefined);
      assert.deepEqual(retracted, { title: flaky?.title, file: 'specs/outcomes.spec.ts', retracted: true });
      assert.equal(told('passes although it should fail')[0]?.message, 'Expected to fail, but passed.');
      assert.equal(told('takes too long')[0]?.message, 'Test timeout of 100ms exceeded.');
      const cut = told(`${long}…`)[0]?.message ?? '';
      assert.match(cut, /^Error: red 😀+…$/u);
      assert.ok(cut.length > 1990 && cut.length <= 2000);
    });

    test('what does not run because of -x is not done', async () => {
      const run = await new Run(project, ['outcomes', '-x', '--workers=1', '--retries=0']).end(1);
      assert.deepEqual(run.last(), { total: 9, done: 1, failed: 1, flaky: 0, skipped: 0, current: '' });
    });

    test('a file that cannot be loaded is a failure', async () => {
      const run = await new Run(project, ['broken', 'after']).end(1);
      const last = run.last();
      assert.equal(last.failed, 1);
      assert.equal(last.done, 1);
      const [failure] = run.failures();
      assert.match(failure?.title ?? '', /Cannot find module '.*nowhere'/);
      assert.equal(failure?.file, 'specs/broken.spec.ts');
    });

    test('a run that is stopped says last who stopped it and why', async () => {
      const run = new Run(project, ['slow']);
      await run.until('the slow test begins', () => run.exists('slow'));
      // Although it began right after another, which was told of: what changes between two lines is not lost.
      await run.until('its title is told', () => run.last().current === 'the payment takes its time');
      assert.equal(run.last().done, 1);
      const stop = {
        by: 'ada@example.com',
        reason: 'wrong\x1b[31m\nbranch\x07',
        cause: 'user',
        at: '2026-11-30T09:30:00Z',
      };
      writeFileSync(run.stopFile, JSON.stringify(stop));
      run.signal('SIGINT');
      await run.end(130);
      assert.equal(run.stdout.trimEnd().split('\n').at(-1), 'stopped by ada@example.com: wrong branch');
      assert.deepEqual(run.last(), { total: 3, done: 1, failed: 0, flaky: 0, skipped: 0, current: '' });
      assert.deepEqual(run.failures(), []);
    });

    // What no version does in a way of its own.
    if (version !== newest) return;

    test('projects with the same titles, repeated tests, and tests after a failed dependency', async () => {
      const run = await new Run(project, ['--config', 'several.config.ts']).end(1);
      const counts: Counts = { total: 9, done: 9, failed: 3, flaky: 1, skipped: 1, current: '' };
      assert.deepEqual(run.last(), counts);
      assert.deepEqual(run.reported(), counts);
      assert.deepEqual(run.failing(), ['[often] › comes and goes', '[phone] › scrolls', '[setup] › signs in']);
    });

    test('each shard counts its own, and lines are rare however many tests there are', async () => {
      const shards = [1, 2].map((shard) => new Run(project, ['many', `--shard=${shard}/2`]).end(0));
      for (const run of await Promise.all(shards)) {
        assert.deepEqual(run.last(), { total: 50, done: 50, failed: 0, flaky: 0, skipped: 0, current: '' });
        assert.deepEqual(run.failures(), []);
      }
    });

    test('--last-failed counts what runs', async () => {
      const args = ['same', `--output=${join(project, 'kept')}`];
      await new Run(project, args).end(1);
      const again = await new Run(project, [...args, '--last-failed']).end(1);
      assert.deepEqual(again.last(), { total: 1, done: 1, failed: 1, flaky: 0, skipped: 0, current: '' });
    });

    test('--list does nothing, and so nothing is done', async () => {
      const run = await new Run(project, ['same', '--list']).end(0);
      assert.deepEqual(run.last(), { total: 2, done: 0, failed: 0, flaky: 0, skipped: 0, current: '' });
    });

    test('outside of estop it does nothing', async () => {
      const run = await new Run(project, ['after'], { ESTOP_PROGRESS: undefined, ESTOP_STOP: undefined }).end(0);
      assert.deepEqual(run.lines(), []);
      assert.equal(run.stderr, '');
      assert.doesNotMatch(run.stdout, /estop/);
    });

    test('a file that cannot be written does not fail the tests, and is said once', async () => {
      const missing = join(project, 'missing.jsonl');
      const run = await new Run(project, ['after'], { ESTOP_PROGRESS: missing }).end(0);
      assert.match(run.stderr, /^estop: progress cannot be reported, the tests go on without \(ENOENT: .*\)\n$/);
      assert.ok(!readdirSync(project).includes('missing.jsonl'));
    });
  });
}

test('of a thousand failures each is told of, and of more only the counts', () => {
  const { Failures } = require(
    join(nodeModules, '@estop/playwright/dist/failures.js'),
  ) as typeof import('../src/failures.ts');
  const { ProgressFile } = require(
    join(nodeModules, '@estop/playwright/dist/progress.js'),
  ) as typeof import('../src/progress.ts');
  const path = join(nodeModules, 'failures.jsonl');
  writeFileSync(path, '');
  const failures = new Failures(new ProgressFile(path));
  for (let number = 1; number <= 1500; number++)
    failures.add(`${number}`, { title: `test ${number}`, file: 'a.spec.ts' });
  assert.ok(failures.full);
  failures.retract('7', { title: 'test 7', file: 'a.spec.ts' });
  failures.retract('1200', { title: 'test 1200', file: 'a.spec.ts' });
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  assert.equal(lines.length, 1001);
  assert.equal(lines[999], '{"failure":{"title":"test 1000","file":"a.spec.ts"}}');
  assert.equal(lines[1000], '{"failure":{"title":"test 7","file":"a.spec.ts","retracted":true}}');
});

test('who stopped the run, as the file says it', () => {
  const { stoppedBy } = require(join(nodeModules, '@estop/playwright/dist/stop.js')) as typeof import('../src/stop.ts');
  const folder = join(nodeModules, 'stops');
  mkdirSync(folder);
  const said = (text: string) => {
    const path = join(folder, 'stop.json');
    writeFileSync(path, text);
    return stoppedBy(path);
  };
  assert.equal(said('{"by":"ada@example.com","reason":null,"cause":"user"}'), 'stopped by ada@example.com');
  assert.equal(
    said('{"by":"system:fail-fast","reason":"3 tests failed"}'),
    'stopped by system:fail-fast: 3 tests failed',
  );
  assert.equal(said('{"by":"ada","reason":"\\u001b[2J\\r\\n::error::x"}'), 'stopped by ada: ::error::x');
  for (const odd of ['', '{"by":"ad', 'null', '[]', '{"by":7}']) assert.equal(said(odd), undefined);
  assert.equal(stoppedBy(join(folder, 'missing.json')), undefined);
});
