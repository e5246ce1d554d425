import { expect, isAccessible, row, test } from './test';

const progress = (done: number, failed = 0, current: string | null = null) => ({ total: 412, done, failed, current });

test('the rows say how far their tests are while somebody looks, and nothing moves', async ({
  signedIn: page,
  project,
}) => {
  const runner = await project.start({ branch: 'far' });
  const line = await runner.line();
  const cells = row(page, runner.id).locator('td.state');
  await expect(cells).toContainText('running');
  const before = await row(page, runner.id).boundingBox();
  await line.watched();
  line.report(progress(170, 2, 'checkout › pays'));
  await expect(cells).toContainText('41 %, 2 failed');
  await expect(cells.getByRole('progressbar', { name: `Tests of run ${runner.id}` })).toHaveAttribute('value', '170');
  expect(await row(page, runner.id).boundingBox()).toEqual(before);
  await isAccessible(page);
  await runner.finish({ state: 'ended', result: 'passed', progress: progress(412) });
  await expect(cells).toContainText('412 tests');
  await expect(cells.getByRole('progressbar')).toHaveCount(0);
  line.close();
});

test('a run shows how far each of its shards is, together and apart, from the record and live', async ({
  signedIn: page,
  project,
}) => {
  const id = await project.register({ branch: 'far', total_shards: 3 });
  const [one, two] = [await project.claim(id, 1), await project.claim(id, 2)];
  await page.goto(`/runs/${id}`);
  const story = page.getByRole('heading', { name: 'What happened' });
  await expect(page.getByText('waits for a runner')).toBeVisible();
  const before = await story.boundingBox();
  const line = await two.line();
  await line.watched();
  line.report(progress(170, 0, 'checkout › pays'));
  await expect(page.getByText('170 of 412 tests, now: checkout › pays')).toBeVisible();
  expect(await story.boundingBox(), 'nothing moves').toEqual(before);
  // More failed tests are in the record at once, with their titles.
  const failures = [
    { title: 'checkout › refunds', file: 'tests/checkout.spec.ts', line: 12, message: 'expected 3\n  to be 4' },
    { title: 'search › finds <b>nothing</b>' },
  ];
  await one.beat({ progress: progress(5, 2), failures });
  await expect(page.getByText('5 of 412 tests, 2 failed')).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Shards' })).toContainText('175 of 824 tests, 2 failed');
  await expect(page.getByRole('progressbar', { name: 'Tests of shard 2' })).toHaveAttribute('value', '170');
  const listed = page.getByRole('list').filter({ hasText: 'checkout › refunds' });
  await expect(listed).toContainText('tests/checkout.spec.ts:12 · shard 1');
  await expect(listed).toContainText('search › finds <b>nothing</b>');
  await expect(listed.getByText('to be 4')).toBeHidden();
  await listed.getByText('checkout › refunds').click();
  await expect(listed.getByText('to be 4')).toBeVisible();
  await isAccessible(page);
  await page.setViewportSize({ width: 360, height: 740 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await isAccessible(page);
  await two.finish({ state: 'ended', result: 'passed', progress: progress(412) });
  await expect(page.getByText('412 of 412 tests', { exact: true })).toBeVisible();
  line.close();
});

test('a run that is over shows its failed tests with the first look', async ({ signedIn: page, project }) => {
  const runner = await project.start({ branch: 'failed' });
  const failures = Array.from({ length: 50 }, (_, n) => ({ title: `test ${n}`, message: 'no' }));
  await runner.finish({ state: 'ended', result: 'failed', progress: progress(412, 60), failures });
  await page.goto(`/runs/${runner.id}`);
  await expect(page.getByRole('heading', { name: 'The first 50 failed tests' })).toBeVisible();
  await expect(page.getByText('test 49')).toBeVisible();
  await isAccessible(page);
});
