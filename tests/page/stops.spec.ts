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
