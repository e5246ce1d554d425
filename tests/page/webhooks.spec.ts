import type { Page } from '@playwright/test';
import { isSigned, Receiver } from './receiver';
import { test as base, expect, isAccessible, openSettings, signOut } from './test';

const test = base.extend<{ receiver: Receiver }>({
  receiver: async ({}, use) => {
    const receiver = await Receiver.start();
    await use(receiver);
    await receiver.end();
  },
});

test.beforeEach(async ({ signedIn: page }) => {
  await openSettings(page);
  await expect(section(page).getByText('None yet. A webhook is an address of yours')).toBeVisible();
});

const section = (page: Page) => page.getByRole('region', { name: 'Webhooks', exact: true });
const item = (page: Page) => section(page).locator('li.webhook');
const tested = (page: Page) => item(page).locator('.tested');
const button = (page: Page, name: string) => section(page).getByRole('button', { name });

/** Adds a webhook by the form, and gives the secret that is then shown. */
async function add(page: Page, url: string): Promise<string> {
  await section(page).getByLabel('Address').fill(url);
  await button(page, 'Add the webhook').click();
  const secret = (await page.locator('.made code').textContent()) ?? '';
  expect(secret).toMatch(/^whsec_/);
  return secret;
}

test('a webhook is added, its secret is shown once, and a test is delivered', async ({ page, project, receiver }) => {
  await section(page).getByLabel('Environment').selectOption('Staging');
  await section(page).getByLabel('Branches').fill('release/*');
  await section(page).getByLabel('started', { exact: true }).uncheck();
  const secret = await add(page, receiver.url);
  await isAccessible(page);
  await expect(item(page).locator('.address b')).toHaveText(receiver.host);
  await expect(item(page)).toContainText(
    'run.cancelled, run.stopped, run.ended, run.error · only staging · only branches like release/*',
  );
  await expect(item(page)).toContainText('on, no failures');
  await page.getByRole('button', { name: 'I have it' }).click();
  await expect(page.getByText(secret)).toHaveCount(0);

  await button(page, 'Send a test').click();
  await expect(tested(page)).toHaveText('Delivered: it answered 200.');
  expect(receiver.events).toEqual(['test']);
  expect(receiver.heard.map((message) => isSigned(message, secret))).toEqual([true]);

  // What happens to a run, and to one of another branch.
  await project.cancel(await project.register());
  const run = await project.register({ branch: 'release/1' });
  await project.cancel(run);
  await expect.poll(() => receiver.events).toEqual(['test', 'run.cancelled']);
  await button(page, 'Deliveries').click();
  const deliveries = page.getByRole('region', { name: /^Deliveries of webhook/ });
  await expect(async () => {
    await deliveries.getByRole('button', { name: 'Refresh' }).click();
    await expect(deliveries.getByText('delivered', { exact: true })).toHaveCount(2, { timeout: 1000 });
  }).toPass();
  const newest = deliveries.getByRole('listitem').first();
  await expect(newest).toContainText('run.cancelled');
  await expect(newest).toContainText('it answered 200 · 1 attempt');
  await expect(newest.getByText('thank you')).toBeHidden();
  await newest.locator('summary').click();
  await expect(newest.getByText('thank you')).toBeVisible();
  await isAccessible(page);

  // Once more, with the same id.
  await newest.getByRole('button', { name: 'Send again' }).click();
  await expect(page.getByText('Delivered: it answered 200.').last()).toBeVisible();
  await expect(deliveries.getByRole('listitem').first()).toContainText('once more');
  const [, first, again] = receiver.heard.map(({ headers }) => headers['webhook-id']);
  expect(again).toBe(first);
  await deliveries
    .getByRole('link', { name: `#${run}` })
    .first()
    .click();
  await expect(page).toHaveURL(new RegExp(`/runs/${run}$`));
});

test('a receiver that fails is seen to fail, and one that is gone is switched off and says what to do', async ({
  page,
  receiver,
}) => {
  receiver.status = 500;
  receiver.text = '<b>out of order</b>';
  await add(page, receiver.url);
  await button(page, 'Send a test').click();
  await expect(tested(page)).toHaveText(/^Not delivered: it answered 500\. It is tried again in (\d+ s|1 m)\.$/);
  await expect(item(page)).toContainText('failing since');
  await expect(item(page)).toContainText('If it fails for five, it is switched off.');
  await button(page, 'Deliveries').click();
  const delivery = page.getByRole('region', { name: /^Deliveries of webhook/ }).getByRole('listitem');
  await expect(delivery).toContainText('failed so far');
  // It is still to come by itself.
  await expect(delivery.getByRole('button', { name: 'Send again' })).toHaveCount(0);
  await delivery.locator('summary').click();
  await expect(delivery.getByText('<b>out of order</b>')).toBeVisible();
  await isAccessible(page);

  receiver.status = 410;
  await button(page, 'Send a test').click();
  await expect(tested(page)).toHaveText('Not delivered: it answered 410.');
  await expect(item(page)).toContainText(/switched off since .*: it answered 410 \(Gone\)/);
  await expect(item(page)).toContainText('Give it the address where its receiver is now');
  await button(page, 'Send a test').click();
  await expect(tested(page)).toContainText('The webhook is switched off.');

  receiver.status = 204;
  await button(page, 'Switch on').click();
  await expect(item(page)).toContainText('on, no failures');
  await button(page, 'Send a test').click();
  await expect(tested(page)).toHaveText('Delivered: it answered 204.');
});

test('a webhook that failed for five days says so and what to do', async ({ page, project }) => {
  await add(page, 'https://example.com/hooks');
  // Five days are not waited for: this is what the service's list has of one then.
  await page.route(`**/api/projects/${project.id}/webhooks`, async (route) => {
    const answer = await route.fetch();
    const json = await answer.json();
    const since = '2026-11-20T09:30:00.000Z';
    Object.assign(json.data.webhooks[0], {
      disabled: true,
      disabled_why: 'failing',
      disabled_at: since,
      failing_since: since,
    });
    await route.fulfill({ response: answer, json });
  });
  await page.getByRole('button', { name: 'forget the token' }).click();
  await openSettings(page);
  await expect(item(page)).toContainText(': it failed for five days');
  await expect(item(page)).toContainText('mend its receiver, switch it on, and send a test');
  await isAccessible(page);
});

test('a webhook is changed, switched off and on, and deleted', async ({ page, project, receiver }) => {
  await add(page, 'https://example.com/hooks');
  await button(page, 'Change').click();
  const form = item(page).locator('form');
  await expect(form.getByLabel('Address')).toBeFocused();
  await form.getByLabel('Address').fill(receiver.url);
  await form.getByLabel('Environment').selectOption('Production');
  await form.getByLabel('What is sent').selectOption('a sentence, for Slack');
  await form.getByLabel('Branches').fill('****');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('expected a pattern of 1 to 50 bytes')).toBeVisible();
  await form.getByLabel('Branches').fill('');
  await isAccessible(page);
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form).toHaveCount(0);
  await expect(button(page, 'Change')).toBeFocused();
  await expect(item(page).locator('.address b')).toHaveText(receiver.host);
  await expect(item(page)).toContainText('every event · only production · any branch · as Slack takes it');
  await button(page, 'Change').click();
  await expect(form.getByLabel('Environment')).toHaveValue('production');
  await expect(form.getByLabel('What is sent')).toHaveValue('slack');
  await form.getByRole('button', { name: 'Cancel' }).click();

  await button(page, 'Switch off').click();
  await expect(item(page)).toContainText('switched off since');
  await project.cancel(await project.register({ environment: 'production' }));
  await button(page, 'Switch on').click();
  await expect(item(page)).toContainText('on, no failures');
  await button(page, 'Send a test').click();
  await expect(tested(page)).toContainText('Delivered');
  expect(receiver.heard.length).toBe(1);

  await button(page, 'Delete').click();
  await expect(page.getByRole('button', { name: 'Leave it' })).toBeFocused();
  await isAccessible(page);
  await page.getByRole('button', { name: 'Leave it' }).click();
  await expect(item(page)).toHaveCount(1);
  await button(page, 'Delete').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(item(page)).toHaveCount(0);
  // The secret that nobody has taken is nobody's any more.
  await expect(page.locator('.made')).toHaveCount(0);
});

test('a new secret holds beside the one before, and says so', async ({ page, receiver }) => {
  const before = await add(page, receiver.url);
  await button(page, 'New secret').click();
  await expect(page.getByRole('dialog')).toContainText('For 24 hours what is sent is signed with both');
  await page.getByRole('button', { name: 'Make a new secret' }).click();
  await expect(page.locator('.made code')).not.toHaveText(before);
  const after = (await page.locator('.made code').textContent()) ?? '';
  await expect(item(page)).toContainText('the secret before holds too, until');
  await button(page, 'Send a test').click();
  await expect(tested(page)).toContainText('Delivered');
  expect([before, after].map((secret) => receiver.heard.every((message) => isSigned(message, secret)))).toEqual([
    true,
    true,
  ]);
});

test('nothing is left of webhooks and their secrets for whoever signs in next', async ({ page, project, receiver }) => {
  const secret = await add(page, receiver.url);
  await button(page, 'Deliveries').click();
  await expect(page.getByRole('region', { name: /^Deliveries of webhook/ })).toBeVisible();
  await signOut(page);
  // In the same page, without a reload.
  await page.getByLabel('Key', { exact: true }).fill((await project.keyOf('eve@example.com')).token);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByLabel('Admin token')).toBeVisible();
  await expect(page.getByText(secret)).toHaveCount(0);
  await openSettings(page);
  await expect(item(page)).toHaveCount(1);
  await expect(page.locator('.made')).toHaveCount(0);
  await expect(page.getByRole('region', { name: /^Deliveries of webhook/ })).toHaveCount(0);
});

test('a service without the secret of webhooks says what to set, and one that fails is asked again', async ({
  page,
  project,
}) => {
  const path = `**/api/projects/${project.id}/webhooks`;
  const message = 'Nothing is served at this path. GET /openapi.json lists all routes.';
  await page.route(path, (route) => route.fulfill({ status: 404, json: { data: null, error: { message } } }));
  await page.getByRole('button', { name: 'forget the token' }).click();
  await openSettings(page);
  await expect(section(page)).toContainText('WEBHOOK_SECRET');
  await expect(section(page)).toContainText('make deploy');
  await expect(button(page, 'Add the webhook')).toHaveCount(0);
  await isAccessible(page);
  await page.unroute(path);

  await page.route(path, (route) => route.fulfill({ status: 503, json: {} }));
  await page.getByRole('button', { name: 'forget the token' }).click();
  await openSettings(page);
  await expect(section(page).getByRole('alert')).toContainText('The service answered with 503');
  await isAccessible(page);
  await page.unroute(path);
  await section(page).getByRole('button', { name: 'Try again' }).click();
  await expect(section(page).getByText('None yet. A webhook is an address of yours')).toBeVisible();
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`webhooks can be used on a phone, ${colorScheme}`, async ({ page, receiver }) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 360, height: 780 });
    receiver.status = 500;
    receiver.text = 'a-long-word-without-any-space-in-it-'.repeat(20);
    await add(page, `${receiver.url}/${'a-long-address-'.repeat(20)}`);
    await button(page, 'Send a test').click();
    await expect(tested(page)).toContainText('Not delivered');
    await button(page, 'Deliveries').click();
    await page
      .getByRole('region', { name: /^Deliveries of webhook/ })
      .locator('summary')
      .click();
    await button(page, 'Change').click();
    await isAccessible(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  });
}
