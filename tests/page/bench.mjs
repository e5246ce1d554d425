// What the page costs, in figures: `make bench-page`. It fails if one of them is worse than what was promised.
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { chromium } from '@playwright/test';
import { Project } from './project.ts';

const PROMISED = { kilobytes: 70, firstRowsMs: 500, fps: 60 };
const ROWS = 2000;
const CHANGES_A_SECOND = 50;
const SECONDS = 10;

const failures = [];
const report = (what, value, unit, good) => {
  console.log(`${what.padEnd(52)} ${String(value).padStart(8)} ${unit}`);
  if (!good) failures.push(what);
};
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

// JavaScript that the first view loads: what index.html names.
const built = new URL('../../build/page/', import.meta.url);
const html = readFileSync(new URL('index.html', built), 'utf8');
const scripts = readdirSync(new URL('assets/', built)).filter((name) => name.endsWith('.js'));
const zipped = (names) =>
  names.reduce((sum, name) => sum + gzipSync(readFileSync(new URL(`assets/${name}`, built)), { level: 9 }).length, 0) /
  1024;
const first = zipped(scripts.filter((name) => html.includes(name)));
report('JavaScript of the first view, gzipped', first.toFixed(1), 'KB', first <= PROMISED.kilobytes);
report('all JavaScript, gzipped', zipped(scripts).toFixed(1), 'KB', true);

const project = await Project.make();
for (let made = 0; made < ROWS; made += 20) {
  await Promise.all(
    Array.from({ length: 20 }, (_, at) =>
      project.register({ branch: `feature/${(made + at) % 97}`, tags: ['e2e'], github_actor: `actor-${at}` }),
    ),
  );
}

const browser = await chromium.launch(JSON.parse(process.env.ESTOP_TEST_BROWSER ?? '{}'));
const context = await browser.newContext({
  baseURL: process.env.ESTOP_TEST_URL,
  viewport: { width: 1200, height: 800 },
});
const page = await context.newPage();
await page.goto('/');
await page.getByLabel('Key', { exact: true }).fill(project.key);
await page.getByRole('button', { name: 'Sign in', exact: true }).click();
await page.locator('tr[data-run]').first().waitFor();

// From the start of the navigation until the frame after the one with the first row.
const firstRows = async () => {
  await page.goto('/');
  return page.evaluate(
    () =>
      new Promise((resolve) => {
        const look = () => {
          if (document.querySelector('tr[data-run]')) requestAnimationFrame(() => resolve(performance.now()));
          else requestAnimationFrame(look);
        };
        look();
      }),
  );
};
const times = [];
for (let round = 0; round < 11; round++) times.push(await firstRows());
const ms = median(times);
report('first rows after the navigation, median of 11', ms.toFixed(0), 'ms', ms <= PROMISED.firstRowsMs);

// The changes come by the page's own line, made up here, so that the service's work is not part of the figure.
await page.routeWebSocket('**/api/watch', (line) => {
  const server = line.connectToServer();
  line.onMessage((message) => server.send(message));
  server.onMessage((message) => line.send(message));
  tell = (text) => line.send(text);
});
let tell = () => {};
await page.goto('/');
await page.locator('tr[data-run]').first().waitFor();
const loaded = () => page.locator('table').getAttribute('aria-rowcount');
while ((await loaded()) !== String(ROWS + 1)) {
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.waitForTimeout(50);
}
await page.evaluate(() => scrollTo(0, 0));
const runs = [];
for (let before; runs.length < ROWS; ) {
  const query = `per_page=100${before ? `&before=${before}` : ''}`;
  const answer = await (await page.request.get(`/api/test-runs?${query}`)).json();
  runs.push(...answer.data.test_runs.items);
  before = answer.pagination.next_before;
  if (!before) break;
}

const measure = (scrolls) =>
  page.evaluate(
    ({ seconds, scrolls }) =>
      new Promise((resolve) => {
        const frames = [];
        const start = performance.now();
        const frame = (now) => {
          frames.push(now);
          if (scrolls) scrollBy(0, 40);
          if (now - start < seconds * 1000) requestAnimationFrame(frame);
          else {
            const gaps = frames
              .slice(1)
              .map((at, i) => at - frames[i])
              .sort((a, b) => a - b);
            resolve({
              fps: (1000 * gaps.length) / (frames.at(-1) - frames[0]),
              p99: gaps[Math.floor(gaps.length * 0.99)],
              longest: gaps.at(-1),
            });
          }
        };
        requestAnimationFrame(frame);
      }),
    { seconds: SECONDS, scrolls },
  );

let change = 0;
const timer = setInterval(() => {
  // Half of them among the rows that are seen.
  const run = runs[change++ % 2 ? Math.floor(Math.random() * 20) : Math.floor(Math.random() * runs.length)];
  run.version++;
  run.state = run.state === 'queued' ? 'started' : 'queued';
  run.started_at = run.state === 'started' ? new Date().toISOString() : null;
  tell(JSON.stringify({ type: 'run', run }));
}, 1000 / CHANGES_A_SECOND);
for (const scrolls of [false, true]) {
  const { fps, p99, longest } = await measure(scrolls);
  const how = scrolls ? 'while it scrolls' : 'at rest';
  report(
    `frames a second, ${ROWS} rows, ${CHANGES_A_SECOND} changes/s, ${how}`,
    fps.toFixed(1),
    'fps',
    fps >= PROMISED.fps - 1.5,
  );
  report(`  99 of 100 frames within, ${how}`, p99.toFixed(1), 'ms', true);
  report(`  the longest frame, ${how}`, longest.toFixed(1), 'ms', true);
}
clearInterval(timer);
await browser.close();
if (failures.length > 0) {
  console.error(`estop: not what was promised: ${failures.join('; ')}`);
  process.exit(1);
}
