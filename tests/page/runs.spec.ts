import { call, type Runner } from './project';
import { expect, isAccessible, row, signIn, test } from './test';

test('an empty project says how to get a run', async ({ signedIn: page }) => {
  await expect(page.getByRole('heading', { name: 'No runs yet' })).toBeVisible();
  await expect(page.getByText('estop run --environment staging --')).toBeVisible();
  await isAccessible(page);
});

test('what another client does shows at once', async ({ signedIn: page, project }) => {
  const id = await project.register({ branch: 'feat/live', github_actor: 'ada', tags: ['e2e'] });
  await expect(row(page, id)).toContainText('feat/live');
  await expect(row(page, id)).toContainText('queued');
  const runner = await project.claim(id);
  await expect(row(page, id)).toContainText('running');
  await runner.finish({ state: 'ended', result: 'passed', counts: { total: 12, success: 12 } });
  await expect(row(page, id)).toContainText('passed');
  await expect(row(page, id)).toContainText('12 tests');
  await expect(page.getByText('live', { exact: true })).toBeVisible();
  await isAccessible(page);
});

test('one run is stopped, with a reason that everyone sees', async ({ signedIn: page, project }) => {
  const runner = await project.start({ branch: 'feat/stop' });
  const order = runner.stopsWhenTold();
  await row(page, runner.id)
    .getByRole('button', { name: `Stop run ${runner.id}` })
    .click();
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText(`Stop #${runner.id} feat/stop?`);
  await expect(dialog.getByRole('button', { name: 'Keep running' })).toBeFocused();
  await isAccessible(page);
  await dialog.getByLabel('Why? (optional)').fill('wrong branch');
  await dialog.getByRole('button', { name: /^Stop 1 run/ }).click();
  expect(await order).toMatchObject({ reason: 'wrong branch', by: 'ada@example.com' });
  await expect(row(page, runner.id)).toContainText('cancelled');
  await expect(row(page, runner.id)).toContainText('by ada@example.com: wrong branch');
  await expect(row(page, runner.id)).toContainText(/stopped in \d/);
});

test('many are stopped at once, and the dialog says before which', async ({ signedIn: page, project }) => {
  const runs = [
    await project.register({ branch: 'one' }),
    await project.register({ branch: 'two' }),
    await project.register({ branch: 'three' }),
  ];
  const [first, second, third] = runs as [number, number, number];
  await expect(row(page, third)).toBeVisible();
  await page.getByLabel(`Select run ${third}`).click();
  await page.getByLabel(`Select run ${first}`).click({ modifiers: ['Shift'] });
  await expect(page.getByText('3 selected')).toBeVisible();
  // Somebody else is faster with one of them.
  await project.cancel(second, 'mine');
  await expect(row(page, second)).toContainText('cancelled');
  await page.getByRole('button', { name: 'Stop…' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText(`#${third} three`);
  await expect(dialog).toContainText('These stay as they are');
  await expect(dialog).toContainText(`run ${second} is over`);
  expect((await project.show(first)).state).toBe('queued');
  await dialog.getByRole('button', { name: /^Stop 2 runs/ }).click();
  await expect(dialog).toContainText('Stopped 2 runs');
  await isAccessible(page);
  await dialog.getByRole('button', { name: 'Close' }).click();
  await expect(page.getByText('selected')).toHaveCount(0);
  expect((await project.show(first)).cancel.by).toBe('ada@example.com');
  expect((await project.show(third)).state).toBe('cancelled');
});

test('what could not be stopped says why, and stays selected', async ({ signedIn: page, project }) => {
  const [first, second] = [await project.register({ branch: 'one' }), await project.register({ branch: 'two' })];
  await expect(row(page, second)).toBeVisible();
  await page.getByLabel(`Select run ${first}`).click();
  await page.getByLabel(`Select run ${second}`).click();
  await page.getByRole('button', { name: 'Stop…' }).click();
  const go = page.getByRole('dialog').getByRole('button', { name: /^Stop 2 runs/ });
  await expect(go).toBeVisible();
  // Between the question and the answer, one of them is over.
  await project.cancel(first);
  await go.click();
  await expect(page.getByRole('dialog')).toContainText('Stopped 1 of 2 runs');
  await expect(page.getByRole('dialog')).toContainText(`run ${first} is over`);
  await page.getByRole('button', { name: 'Close' }).click();
  await expect(page.getByText('1 selected')).toBeVisible();
});

test('a new run does not move what one is about to click', async ({ signedIn: page, project }) => {
  const first = await project.register({ branch: 'here' });
  await expect(row(page, first)).toBeVisible();
  await row(page, first).hover();
  const before = await row(page, first).boundingBox();
  const next = await project.register({ branch: 'there' });
  const bar = page.getByRole('button', { name: '1 new run: show' });
  await expect(bar).toBeVisible();
  await project.register({ branch: 'there too' });
  await expect(page.getByRole('button', { name: '2 new runs: show' })).toBeVisible();
  await expect(row(page, next)).toHaveCount(0);
  expect((await row(page, first).boundingBox())?.y).toBe(before?.y);
  await page.getByRole('button', { name: '2 new runs: show' }).click();
  await expect(row(page, next)).toBeVisible();
});

test('a key that may not cancel sees why its buttons do nothing', async ({ page, project }) => {
  const { token } = await project.keyOf('reader@example.com', ['read']);
  const id = await project.register();
  await signIn(page, token);
  const button = row(page, id).getByRole('button', { name: `Stop run ${id}` });
  await expect(button).toHaveAttribute('aria-disabled', 'true');
  await expect(button).toHaveAccessibleDescription(/lacks the scope cancel/);
  await button.click({ force: true });
  await expect(page.getByText('it lacks the scope cancel').last()).toBeVisible();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  expect((await project.show(id)).state).toBe('queued');
});

test('thousands of rows are one list, of which only what is seen is drawn', async ({ signedIn: page, project }) => {
  const ids: number[] = [];
  for (let some = 0; some < 12; some++) {
    ids.push(...(await Promise.all(Array.from({ length: 20 }, () => project.register({ branch: `many/${some}` })))));
  }
  const oldest = Math.min(...ids);
  await page.reload();
  await expect(row(page, Math.max(...ids))).toBeVisible();
  await expect(async () => {
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await expect(row(page, oldest)).toBeVisible({ timeout: 300 });
  }).toPass();
  expect(await page.locator('tbody tr').count()).toBeLessThan(60);
});

test('shards and who superseded whom show in the list', async ({ signedIn: page, project }) => {
  await project.limit('branch_environment');
  const first = await project.register({ branch: 'main', total_shards: 2 });
  const runners: Runner[] = [await project.claim(first, 1), await project.claim(first, 2)];
  await runners[0]?.finish();
  await expect(row(page, first)).toContainText('1/2');
  const next = await project.register({ branch: 'main', total_shards: 2 });
  await expect(row(page, first)).toContainText(`superseded by #${next}`);
  await expect(row(page, first)).toContainText('stopping');
  await expect(row(page, next)).toContainText('queued');
  await runners[1]?.stopsWhenTold();
  await expect(row(page, first)).toContainText('cancelled');
  expect((await call('GET', `/api/test-runs/${next}`, project.key)).json.data.test_run.state).toBe('queued');
});
