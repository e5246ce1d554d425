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

test('only what one sees is selected', async ({ signedIn: page, project }) => {
  const branches = ['main', 'hidden', 'main'];
  const ids: number[] = [];
  for (const branch of branches) ids.push(await project.register({ branch }));
  const [first, hidden, last] = ids as [number, number, number];
  await expect(row(page, last)).toBeVisible();
  await page.getByRole('searchbox').fill('main');
  await expect(row(page, hidden)).toHaveCount(0);
  await page.getByLabel('Select all open runs').click();
  await expect(page.getByText('2 selected')).toBeVisible();
  await page.getByLabel('Clear the selection').click();
  await page.getByLabel(`Select run ${last}`).click();
  await page.getByLabel(`Select run ${first}`).click({ modifiers: ['Shift'] });
  await expect(page.getByText('2 selected')).toBeVisible();
  await page.getByRole('searchbox').fill('hidden');
  await expect(page.getByText('2 selected, 2 of them out of sight')).toBeVisible();
});

test('a page of older runs that fails is asked for again by a click', async ({ signedIn: page, project }) => {
  const ids = await Promise.all(Array.from({ length: 60 }, () => project.register()));
  let asked = 0;
  await page.route('**/api/test-runs?*before=*', (route) => {
    asked++;
    return route.abort();
  });
  await page.reload();
  await expect(row(page, Math.max(...ids))).toBeVisible();
  const again = page.getByRole('button', { name: 'Try again' });
  await expect(async () => {
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await expect(again).toBeVisible({ timeout: 300 });
  }).toPass();
  const before = asked;
  await again.click();
  await expect.poll(() => asked).toBe(before + 1);
  await expect(again).toBeVisible();
  // As a browser without anything else to do would ask at once.
  await page.evaluate(() => new Promise((resolve) => requestIdleCallback(resolve)));
  expect(asked).toBe(before + 1);
  await page.unroute('**/api/test-runs?*before=*');
  await again.click();
  await expect(async () => {
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await expect(row(page, Math.min(...ids))).toBeVisible({ timeout: 300 });
  }).toPass();
});

test('to stop one run leaves the others selected, and a failure names the run', async ({ signedIn: page, project }) => {
  const [first, second] = [await project.register({ branch: 'one' }), await project.register({ branch: 'two' })];
  await expect(row(page, second)).toBeVisible();
  await page.getByLabel(`Select run ${first}`).click();
  const dialog = page.getByRole('dialog');
  const stop = async () => {
    await row(page, second)
      .getByRole('button', { name: `Stop run ${second}` })
      .click();
    await dialog.getByRole('button', { name: /^Stop 1 run/ }).click();
  };
  await page.route('**/api/test-runs/cancel', (route) =>
    route.request().postDataJSON().dry_run ? route.continue() : route.abort(),
  );
  await stop();
  await expect(dialog).toContainText('Not stopped:');
  await expect(dialog).toContainText(
    `#${second}: The service does not answer, so whether this got through is not known.`,
  );
  await dialog.getByRole('button', { name: 'Close' }).click();
  await expect(page.getByText('1 selected')).toBeVisible();
  await page.unroute('**/api/test-runs/cancel');
  await stop();
  await expect(row(page, second)).toContainText('cancelled');
  await expect(page.getByText('1 selected')).toBeVisible();
  expect((await project.show(first)).state).toBe('queued');
  // The button that had the focus is gone with the run's end.
  await expect(row(page, second)).toBeFocused();
});

test('a dialog stays when a selection is dragged out of it, and what it did is told when it does not', async ({
  signedIn: page,
  project,
}) => {
  const [first, second] = [await project.register({ branch: 'one' }), await project.register({ branch: 'two' })];
  await expect(row(page, second)).toBeVisible();
  await page.getByLabel('Select all open runs').click();
  await page.getByRole('button', { name: 'Stop…' }).click();
  const dialog = page.getByRole('dialog');
  const reason = dialog.getByLabel('Why? (optional)');
  const go = dialog.getByRole('button', { name: /^Stop 2 runs/ });
  await expect(go).toHaveAttribute('aria-disabled', 'false');
  await reason.fill('a reason that is long');
  const box = (await reason.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(5, 400);
  await page.mouse.up();
  await expect(reason).toHaveValue('a reason that is long');

  let goOn = () => {};
  const held = new Promise<void>((resolve) => (goOn = resolve));
  await page.route('**/api/test-runs/cancel', async (route) => {
    await held;
    await route.continue();
  });
  await go.click();
  await expect(dialog.getByRole('button', { name: 'Stopping…' })).toBeVisible();
  await page.mouse.click(5, 400);
  await expect(dialog).toHaveCount(0);
  goOn();
  await expect(page.getByText('Stopped 2 of 2 runs.')).toBeVisible();
  expect((await project.show(first)).state).toBe('cancelled');
});

test('a run that stopped while nobody heard of it leaves the list of those that stop', async ({
  signedIn: page,
  project,
}) => {
  const runner = await project.start();
  await project.cancel(runner.id);
  await page.goto('/?stop=stopping');
  await expect(row(page, runner.id)).toBeVisible();
  await expect(page.locator('header .line')).toHaveText('live');
  await page.context().setOffline(true);
  await expect(page.locator('header .line')).toHaveText('offline');
  await runner.stopsWhenTold();
  await page.context().setOffline(false);
  await expect(row(page, runner.id)).toHaveCount(0);
});

test('a run that is registered while the list is on its way is in it', async ({ signedIn: page, project }) => {
  const first = await project.register({ environment: 'production' });
  await expect(row(page, first)).toBeVisible();
  const next = new Promise<number>((resolve) => {
    void page.route('**/api/test-runs?*environment=production*', async (route) => {
      const answer = await route.fetch();
      const id = await project.register({ environment: 'production' });
      await expect(row(page, id)).toBeVisible();
      await route.fulfill({ response: answer });
      resolve(id);
    });
  });
  await page.getByRole('button', { name: 'production' }).click();
  const id = await next;
  await expect(page.locator('.list')).toHaveAttribute('data-listed', 'ready');
  await expect(row(page, first)).toBeVisible();
  await expect(row(page, id)).toBeVisible();
});

test('the line to try is one that works', async ({ signedIn: page, project }) => {
  // The list has the oldest last, and that is the one that it names.
  await project.disable(project.environments[0] ?? 0);
  await page.reload();
  await expect(page.getByText('estop run --environment production --')).toBeVisible();
});
