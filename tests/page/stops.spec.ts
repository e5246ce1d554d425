import { SERVICE, within } from './project';
import { expect, isAccessible, test } from './test';

test('who stopped what, and why, is found from the page alone', async ({ signedIn: page, project }) => {
  const grace = await project.keyOf('grace@example.com');
  const runner = await project.start({ branch: 'feat/checkout' });
  await project.cancel(runner.id, 'wrong branch', grace.token);
  await runner.stopsWhenTold();
  await project.limit('branch_environment');
  const before = await project.register({ branch: 'main' });
  const after = await project.register({ branch: 'main' });
  await page.getByRole('link', { name: 'Stops' }).click();
  const entry = page.getByRole('row').filter({ hasText: `#${runner.id}` });
  await expect(entry).toContainText('grace@example.com');
  await expect(entry).toContainText('wrong branch');
  await expect(entry).toContainText(/stopped gracefully, \d/);
  await expect(page.getByRole('row').filter({ hasText: `#${before}` })).toContainText(`#${after} took its place`);
  await isAccessible(page);

  await page.getByRole('button', { name: 'superseded' }).click();
  await expect(entry).toHaveCount(0);
  await page.getByRole('button', { name: 'superseded' }).click();
  await entry.getByRole('button', { name: 'grace@example.com' }).click();
  await expect(page.getByRole('row').filter({ hasText: `#${before}` })).toHaveCount(0);
  await expect(page).toHaveURL(/by=grace/);
  await page.reload();
  await expect(entry).toBeVisible();
  await entry.getByRole('link').click();
  await expect(page.getByText('cancelled by grace@example.com').first()).toBeVisible();
});

test('the charts count what the sweeper has counted', async ({ signedIn: page, project }) => {
  // A run is counted a minute or two after its end.
  test.setTimeout(200_000);
  const runner = await project.start();
  await project.cancel(runner.id);
  await runner.stopsWhenTold();
  await within(
    'the stop is counted',
    async () => {
      await fetch(`${SERVICE}/__scheduled?cron=*+*+*+*+*`);
      await page.goto('/stops');
      await page.locator('.tiles').waitFor();
      return page.getByText('of 1 run stopped, 1 by people').isVisible();
    },
    150_000,
  );
  await expect(page.locator('.chart canvas')).toHaveCount(2);
  await expect(page.getByText('100 % gracefully')).toBeVisible();
  await isAccessible(page);
});

test('a project in which nothing was stopped says so', async ({ signedIn: page }) => {
  await page.goto('/stops');
  await expect(page.getByText('Nobody has stopped anything yet')).toBeVisible();
  await expect(page.getByText('of 0 runs stopped')).toBeVisible();
  await isAccessible(page);
  await page.getByText('Figures').first().click();
  await isAccessible(page);
});

test('stops are listed as they happen, by day and by environment', async ({ signedIn: page, project }) => {
  await page.getByRole('link', { name: 'Stops' }).click();
  await expect(page.getByText('Nobody has stopped anything yet')).toBeVisible();
  const entry = (id: number) => page.getByRole('row').filter({ hasText: `#${id}` });
  const first = await project.start();
  await project.cancel(first.id, 'while you look');
  await expect(entry(first.id)).toContainText('while you look');
  await first.stopsWhenTold();
  await expect(entry(first.id)).toContainText('stopped gracefully');
  const second = await project.register({ environment: 'production' });
  await project.cancel(second);
  await expect(entry(second)).toBeVisible();

  await page.getByLabel('Environment').selectOption('production');
  await expect(entry(first.id)).toHaveCount(0);
  await expect(entry(second)).toBeVisible();
  await page.getByRole('button', { name: 'Remove the filter production' }).click();
  await expect(entry(first.id)).toBeVisible();

  const yesterday = page.getByRole('button', { name: 'yesterday' });
  await yesterday.click();
  await expect(page.getByText('No stop matches')).toBeVisible();
  await expect(page).toHaveURL(/from=\d{4}-\d\d-\d\d&to=\d{4}-\d\d-\d\d$/);
  await isAccessible(page);
  // Both days are of it: from yesterday to today.
  await page.getByLabel('to', { exact: true }).fill(
    await page.evaluate(() => {
      const now = new Date();
      return new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
    }),
  );
  await expect(entry(first.id)).toBeVisible();
  await expect(yesterday).toHaveAttribute('aria-pressed', 'false');
  await page.getByRole('button', { name: /^Remove the filter to / }).click();
  await page.getByRole('button', { name: /^Remove the filter from / }).click();
  await expect(page).toHaveURL(/\/stops$/);
  await expect(entry(second)).toBeVisible();
});

test('a filter that is rare is looked for further back', async ({ signedIn: page, project }) => {
  const id = await project.register();
  await project.cancel(id, 'long ago');
  let furthest = 0;
  await page.route('**/api/cancels?*', async (route) => {
    const url = route.request().url();
    const window = Number(/before=(\d+)/.exec(url)?.[1] ?? 0);
    furthest = Math.max(furthest, window);
    const answer = await (await route.fetch({ url: url.replace(/before=[^&]*&?/, '') })).json();
    // What there is is in the seventh window.
    if (window < 6) answer.data.cancels = [];
    answer.pagination.next_before = window < 6 ? `${window + 1}-1` : null;
    await route.fulfill({ json: answer });
  });
  await page.goto('/stops?by=ada@example.com');
  await expect(page.getByRole('heading', { name: 'None of the newest stops matches' })).toBeVisible();
  expect(furthest).toBe(4);
  await page.getByRole('button', { name: 'Look further back' }).click();
  await expect(page.getByRole('row').filter({ hasText: `#${id}` })).toContainText('long ago');
});
