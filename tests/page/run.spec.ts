import { expect, isAccessible, test } from './test';

test('a run tells its whole story, from its registration to the end of its stop', async ({
  signedIn: page,
  project,
}) => {
  const build = {
    branch: 'feat/story',
    commit: '089732f00000',
    commit_url: 'https://code.example.com/commit/089732f',
    url: 'https://ci.example.com/8816',
  };
  const id = await project.register({
    build,
    total_shards: 2,
    tags: ['e2e'],
    github_actor: 'grace',
    metadata: { ci_run_id: 8816 },
  });
  await page.goto(`/runs/${id}`);
  await expect(page.getByRole('heading', { name: `feat/story #${id}` })).toBeVisible();
  await expect(page.getByText('waits for a runner')).toHaveCount(2);
  const [one, two] = [await project.claim(id, 1), await project.claim(id, 2)];
  await expect(page.getByText('heard just now').first()).toBeVisible();
  await expect(page.getByRole('link', { name: '089732f00000' })).toHaveAttribute('href', build.commit_url);
  await expect(page.getByRole('link', { name: 'ci.example.com' })).toHaveAttribute('href', build.url);
  await isAccessible(page);

  await page.getByRole('button', { name: `Stop run ${id}` }).click();
  await page.getByRole('dialog').getByLabel('Why? (optional)').fill('wrong branch');
  await page
    .getByRole('dialog')
    .getByRole('button', { name: /^Stop 1 run/ })
    .click();
  await expect(page.getByRole('region', { name: 'State' })).toContainText('cancelled by ada@example.com');
  await expect(page.getByText('Already cancelled by ada@example.com.')).toBeVisible();
  await expect(page.getByText(/Its tests may clean up for \d+ s more/)).toBeVisible();
  await two.beat({ step: 'sigint' });
  await expect(page.getByText(/^SIGINT (just now|\d+ s ago)$/)).toBeVisible();
  await expect(page.getByRole('listitem', { name: 'SIGINT: done' })).toBeVisible();
  await expect(page.getByRole('listitem', { name: 'SIGTERM: not yet' })).toBeVisible();
  await one.stopsWhenTold();
  await expect(page.getByText(/^stopped gracefully/)).toBeVisible();
  await expect(page.getByText('Everything has stopped')).toHaveCount(0);
  await two.stopsWhenTold('terminated');
  await expect(page.getByText('Everything has stopped')).toBeVisible();
  await expect(page.getByText(/everything had stopped after/)).toBeVisible();
  for (const moment of [
    'Registered by ada@example.com',
    'Cancelled by ada@example.com: wrong branch',
    'Shard 2 stopped on SIGTERM',
  ]) {
    await expect(page.getByRole('listitem').filter({ hasText: moment })).toBeVisible();
  }
  await page.getByText('The record as JSON').click();
  await expect(page.getByText('"outcome": "terminated"').first()).toBeVisible();
  await isAccessible(page);
  // The exact moment, in UTC.
  await expect(page.locator('.timeline time').first()).toHaveAttribute(
    'title',
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC$/,
  );
});

test('what does not stop can be killed after the grace', async ({ signedIn: page, project }) => {
  const runner = await project.start({ branch: 'stubborn' });
  await project.cancel(runner.id, 'enough');
  await page.goto(`/runs/${runner.id}`);
  const kill = page.getByRole('button', { name: `Kill run ${runner.id}` });
  await expect(kill).toHaveAttribute('aria-disabled', 'true');
  await expect(kill).toHaveAttribute('aria-disabled', 'false', { timeout: 20_000 });
  await kill.click();
  await expect(page.getByRole('button', { name: 'Let it stop by itself' })).toBeFocused();
  await isAccessible(page);
  await page.getByRole('button', { name: /^Kill now/ }).click();
  await expect(page.getByText('ada@example.com ordered to kill what was left')).toBeVisible();
  await expect(page.getByText('ada@example.com has ordered it already.')).toBeVisible();
  expect((await runner.beat()).json.data.stop.kill).toBe(true);
  await runner.finish({ state: 'ended', result: 'failed', stop: { outcome: 'killed' } });
  await expect(page.getByText('Its tests were killed')).toBeVisible();
});

test('a run that was superseded, and the one that took its place, lead to each other', async ({
  signedIn: page,
  project,
}) => {
  await project.limit('project');
  const first = await project.start({ branch: 'main' });
  const next = await project.register({ branch: 'release', environment: 'production' });
  await first.stopsWhenTold();
  await page.goto(`/runs/${first.id}`);
  await page.getByRole('link', { name: `#${next}`, exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`/runs/${next}$`));
  await page.getByRole('link', { name: `#${first.id}`, exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`/runs/${first.id}$`));
});

test('a run that is not there says so', async ({ signedIn: page }) => {
  await page.goto('/runs/999999999');
  await expect(page.getByRole('heading', { name: 'There is no run #999999999' })).toBeVisible();
  await isAccessible(page);
});

test('steps of a stop that were not heard are not said to be missing', async ({ signedIn: page, project }) => {
  const runner = await project.start();
  await project.cancel(runner.id);
  await runner.beat({ step: 'sigint' });
  await page.goto(`/runs/${runner.id}`);
  await expect(page.getByRole('listitem', { name: 'told: not heard yet' })).toBeVisible();
  await expect(page.getByRole('listitem', { name: 'SIGINT: not heard yet' })).toBeVisible();
  await isAccessible(page);
  await expect(async () => {
    await runner.beat({ step: 'sigterm' });
    await expect(page.getByRole('listitem', { name: 'SIGINT: done' })).toBeVisible({ timeout: 500 });
  }).toPass();
  await expect(page.getByRole('listitem', { name: 'SIGKILL: not yet' })).toBeVisible();
});
