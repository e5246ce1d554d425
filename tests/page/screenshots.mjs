// Pictures of each page for docs/page/: `make screenshots`. They show a project of its own, with runs as on a busy day.
import { mkdirSync } from 'node:fs';
import { chromium } from '@playwright/test';
import { ADMIN, call, Project, SERVICE, within } from './project.ts';

const folder = new URL('../../docs/page/', import.meta.url).pathname;
mkdirSync(folder, { recursive: true });
const project = await Project.make(undefined, { name: 'Shop' });
const grace = await project.keyOf('grace@example.com');

let number = 8800;
const build = (branch) => ({
  branch,
  commit: '089732f4c1d2aa07b3',
  commit_url: 'https://code.example.com/acme/shop/commit/089732f4c1d2',
  url: `https://ci.example.com/builds/${number}`,
});
const register = (branch, actor, shards = 4, more = {}) =>
  project.register({
    build: build(branch),
    github_actor: actor,
    total_shards: shards,
    tags: ['e2e', branch.split('/').at(-1)],
    metadata: { ci_run_id: number++ },
    ...more,
  });
const start = async (id, shards = 4) =>
  Promise.all(Array.from({ length: shards }, (_, at) => project.claim(id, at + 1)));
const finish = async (runners, result, failed = 0) => {
  for (const [at, runner] of runners.entries()) {
    const lost = at === 0 ? failed : 0;
    await runner.finish({
      state: 'ended',
      result: at === 0 ? result : 'passed',
      counts: { total: 103, success: 103 - lost, failed: lost },
    });
  }
};
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// What is over.
await finish(await start(await register('main', 'ada')), 'passed');
await finish(await start(await register('fix/login', 'linus', 2, { environment: 'production' }), 2), 'failed', 2);
const wrong = await register('feat/checkout', 'ada');
const stopped = await start(wrong);
await pause(2);
await project.cancel(wrong, 'wrong branch', grace.token);
for (const runner of stopped) {
  await pause(0.3);
  await runner.finish({ state: 'ended', result: 'failed', stop: { outcome: 'graceful' } });
}
await project.limit('branch_environment');
const before = await start(await register('feat/search', 'grace', 2), 2);
const after = await register('feat/search', 'grace', 2);
await Promise.all(before.map((runner) => runner.stopsWhenTold()));
await project.limit('none');
await finish(await start(after, 2), 'passed');
const broken = await start(await register('main', 'ada', 1), 1);
await broken[0].finish({ state: 'error', error_code: 'worker_interrupted' });
await project.cancel(await register('feat/banner', 'linus', 2), 'not before the release');
// What goes on.
await start(await register('main', 'ada'));
await register('fix/login', 'linus', 2, { environment: 'production' });
const live = await register('feat/checkout', 'grace');
const [one, two] = await start(live);

const browser = await chromium.launch(JSON.parse(process.env.ESTOP_TEST_BROWSER ?? '{}'));
const context = await browser.newContext({
  baseURL: process.env.ESTOP_TEST_URL,
  viewport: { width: 1200, height: 760 },
  deviceScaleFactor: 2,
  locale: 'en-GB',
});
const page = await context.newPage();
const shot = async (name) => {
  await page.mouse.move(0, 0);
  await page.screenshot({ path: `${folder}${name}.png` });
  console.log(`docs/page/${name}.png`);
};
await page.goto('/');
await page.getByRole('button', { name: 'Sign in with the demo key' }).waitFor();
await shot('sign-in');
await page.getByLabel('Key', { exact: true }).fill(project.key);
await page.getByRole('button', { name: 'Sign in', exact: true }).click();
await page.locator('tr[data-run]').first().waitFor();
await pause(3);
await shot('runs');
await page.emulateMedia({ colorScheme: 'dark' });
await shot('runs-dark');
await page.emulateMedia({ colorScheme: 'light' });
await page.getByLabel(`Select run ${live}`).click();
await page.getByRole('button', { name: `Stop run ${live}` }).click();
await page.getByRole('dialog').getByText('feat/checkout').last().waitFor();
await page.getByLabel('Why? (optional)').fill('wrong branch');
await shot('stop');
await page
  .getByRole('dialog')
  .getByRole('button', { name: /^Stop 1 run/ })
  .click();
await page.getByRole('dialog').waitFor({ state: 'detached' });
await one.finish({ state: 'ended', result: 'failed', stop: { outcome: 'graceful' } });
await pause(0.4);
await two.finish({ state: 'ended', result: 'failed', stop: { outcome: 'graceful' } });
await page.goto(`/runs/${live}`);
await page.getByText('stopped gracefully').first().waitFor();
await shot('run');
await page.setViewportSize({ width: 360, height: 760 });
await shot('run-phone');
await page.goto('/');
await page.locator('tr[data-run]').first().waitFor();
await shot('runs-phone');
await page.setViewportSize({ width: 1200, height: 1080 });
// A run is counted a minute or two after its end.
await within(
  'the stops are counted',
  async () => {
    await fetch(`${SERVICE}/__scheduled?cron=*+*+*+*+*`);
    await pause(3);
    const answer = await call('GET', '/api/analytics/test-runs', project.key);
    return answer.json.data.summary.cancelled_runs > 2;
  },
  180_000,
);
await page.goto('/stops');
await page.getByRole('heading', { name: /^Stops/ }).waitFor();
await pause(1);
await shot('stops');
await page.goto('/settings');
await page.getByLabel('Admin token').fill(ADMIN);
await page.getByRole('button', { name: 'Open settings' }).click();
await page.getByRole('heading', { name: 'Keys' }).waitFor();
await pause(1);
await shot('settings');
await browser.close();
await call('DELETE', `/api/keys/${project.keyId}`, ADMIN);
