import type { Page } from '@playwright/test';
import { ADMIN, call, Project } from './project';
import { behindAccess, expect, isAccessible, openSettings, signIn, test } from './test';

test.beforeEach(async ({ signedIn: page }) => {
  await page.getByRole('link', { name: 'Settings' }).click();
  // It is fetched when it is first opened.
  await expect(page.getByRole('heading', { name: 'Settings' })).toBeVisible();
  await isAccessible(page);
  await openSettings(page);
});

test('a wrong admin token opens nothing, and the right one is forgotten by a reload', async ({ page }) => {
  await page.reload();
  await page.getByLabel('Admin token').fill('wrong');
  await page.getByRole('button', { name: 'Open settings' }).click();
  await expect(page.getByRole('alert')).toHaveText('That is not the admin token.');
  expect(await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]))).toBe('[{},{}]');
});

test('a key is made, shown once, used and revoked', async ({ page, project, browser }) => {
  await page.getByLabel('Who uses it').fill('linus@example.com');
  await page.getByLabel('What for').fill('laptop');
  await page.getByRole('button', { name: 'Make a key' }).click();
  const key = (await page.locator('.made code').textContent()) ?? '';
  expect(key).toMatch(/^estop_/);
  await isAccessible(page);
  const other = await (await browser.newContext({ baseURL: project.at })).newPage();
  await signIn(other, key);
  await page.getByRole('button', { name: 'I have it' }).click();
  await expect(page.getByText(key)).toHaveCount(0);
  await page.getByRole('button', { name: 'Revoke the key laptop of linus@example.com' }).click();
  await expect(page.getByRole('button', { name: 'Keep it' })).toBeFocused();
  await page.getByRole('button', { name: 'Revoke', exact: true }).click();
  await expect(page.getByText(/revoked (just now|\d+ s ago)/)).toBeVisible();
  await other.reload();
  await expect(other.getByLabel('Key', { exact: true })).toBeVisible();
});

test('a person is let in by the company account, comes by the link, and is shut out', async ({
  page,
  project,
  browser,
}) => {
  const domain = `@settings-${project.id}.example`;
  await page.getByLabel('Address, or @domain').fill(domain);
  await page.getByRole('button', { name: 'Let them in' }).click();
  await expect(page.getByText('company account, for all of that domain')).toBeVisible();
  await isAccessible(page);
  const link = (await page.locator('.copyable code', { hasText: '/session/access' }).textContent()) ?? '';
  const other = await (await browser.newContext({ baseURL: project.at })).newPage();
  await behindAccess(other, `linus${domain}`);
  await other.goto(link);
  await expect(other.locator('.who summary')).toContainText(`linus${domain}`);
  await page.getByRole('button', { name: 'forget the token' }).click();
  await page.getByLabel('Admin token').fill(ADMIN);
  await page.getByRole('button', { name: 'Open settings' }).click();
  await expect(page.getByText(`let in by ${domain}`)).toBeVisible();
  await page.getByRole('button', { name: `Revoke the key company account of linus${domain}` }).click();
  await expect(page.getByText('stay out until an admin lets them in again')).toBeVisible();
  await page.getByRole('button', { name: 'Revoke', exact: true }).click();
  await expect(page.getByText(/revoked (just now|\d+ s ago)/)).toBeVisible();
  await other.reload();
  await expect(other.getByLabel('Key', { exact: true })).toBeVisible();
  await other.goto(link);
  await expect(other.getByText('who is not let in here')).toBeVisible();
});

test('environments are added, renamed and disabled', async ({ page, project }) => {
  const section = page.getByRole('region', { name: 'Environments' });
  await section.getByLabel('Name', { exact: true }).fill('Preview');
  await section.getByLabel('Name in commands').fill('preview');
  await section.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('button', { name: 'Rename environment Preview' }).click();
  await page.getByLabel('New name of environment Preview').fill('Pull requests');
  await page.keyboard.press('Enter');
  await expect(section.getByText('Pull requests', { exact: true })).toBeVisible();
  await project.register({ environment: 'preview' });
  await page.getByRole('button', { name: 'Disable environment Pull requests' }).click();
  await expect(section.getByText('it takes no new runs')).toBeVisible();
  await expect(project.register({ environment: 'preview' })).rejects.toThrow(/disabled/);
  await expect(page.getByRole('region', { name: 'What was changed' }).getByRole('listitem').first()).toBeVisible();
  await isAccessible(page);
});

test('the limit of a project, and its badges', async ({ page, project, request }) => {
  await page.getByLabel('Limit').selectOption('environment');
  await expect(page.getByLabel('What a newer run does')).toBeVisible();
  await page.getByLabel('Badges that anyone may see').check();
  const badge = page.getByRole('img', { name: 'Badge of Staging' });
  await expect(badge).toBeVisible();
  expect((await request.get((await badge.getAttribute('src')) ?? '')).headers()['content-type']).toContain(
    'image/svg+xml',
  );
  await isAccessible(page);
  const first = await project.register();
  const next = await project.register();
  expect((await project.show(first)).superseded_by).toBe(next);
});

test('how long runs are kept is set, within what is allowed', async ({ page, project }) => {
  const days = page.getByLabel('Keep runs for so many days');
  const save = page.getByRole('region', { name: 'Project' }).getByRole('button', { name: 'Save' });
  let sent = 0;
  page.on('request', (request) => {
    if (request.method() === 'PATCH') sent++;
  });
  const kept = async () => (await call('GET', '/api/test-runs', project.key)).json.data.project.retention_days;
  await expect(days).toHaveValue('90');
  for (const wrong of ['', '-1', '1.5', '3651']) {
    await days.fill(wrong);
    await save.click();
    expect(await days.evaluate((field: HTMLInputElement) => field.validity.valid)).toBe(false);
  }
  await days.fill('3650');
  await save.click();
  await expect(page.getByText('Older runs are archived from now on.')).toBeVisible();
  expect([sent, await kept()]).toEqual([1, 3650]);
  await days.fill('0');
  await save.click();
  await expect(page.getByText('Runs are kept for ever.')).toBeVisible();
  expect(await kept()).toBe(0);
  await expect(days).toHaveValue('0');
  await isAccessible(page);
  await page.reload();
  await openSettings(page);
  await expect(days).toHaveValue('0');
});

test('check runs are turned on for a repository, and what GitHub does not take is said', async ({ page, project }) => {
  const runs = page.getByLabel('Each run is a check run at GitHub');
  await expect(runs).toHaveCount(0);
  const rename = async (repository: string) => {
    await page.getByRole('button', { name: /^Rename repository/ }).click();
    await page.getByRole('textbox', { name: /^New name of repository/ }).fill(repository);
    await page.keyboard.press('Enter');
  };
  await rename('not one of GitHub’s');
  await runs.click();
  await expect(page.getByText('like `acme/shop`')).toBeVisible();
  await expect(runs).not.toBeChecked();
  await rename('acme/shop');
  await runs.check();
  await expect(page.getByText('Runs are check runs from now on.')).toBeVisible();
  await page.getByLabel('The workflow run of a cancelled run').check();
  await isAccessible(page);
  await project.start({ build: { branch: 'main', commit: 'c0ffee00'.repeat(5) } });
  const said = page.getByText('GitHub has not taken check runs since');
  await expect(async () => {
    await page.reload();
    await openSettings(page);
    await expect(said).toBeVisible({ timeout: 1000 });
  }).toPass();
  await expect(said).toContainText('GITHUB_APP_PRIVATE_KEY is no private key');
  await expect(runs).toBeChecked();
  await isAccessible(page);
  await runs.uncheck();
  await expect(said).toHaveCount(0);
});

/** Few projects are chips, and many a list. */
async function choose(page: Page, project: string) {
  const list = page.getByLabel('Project', { exact: true }).and(page.locator('select'));
  if (await list.isVisible()) await list.selectOption({ label: project });
  else await page.getByRole('button', { name: project, exact: true }).click();
}

const make = async (page: Page, user: string) => {
  await page.getByLabel('Who uses it').fill(user);
  await page.getByLabel('What for').fill('laptop');
  await page.getByRole('button', { name: 'Make a key' }).click();
};

test('a key that was made stays until somebody has it, and a project is never shown as another', async ({ page }) => {
  const other = await Project.make();
  await page.reload();
  await openSettings(page);
  await page.getByRole('region', { name: 'Keys' }).getByLabel('Until (optional)').first().fill('2099-12-31');
  await make(page, 'linus@example.com');
  const key = (await page.locator('.made code').textContent()) ?? '';
  // To the end of the day, where the admin is.
  await expect(
    page.getByRole('region', { name: 'Keys' }).locator('time[datetime^="2099-12-31T22:59:59"]'),
  ).toBeVisible();
  await page.route('**/api/keys', (route) =>
    route.request().method() === 'POST' ? route.fulfill({ status: 503, json: {} }) : route.continue(),
  );
  await make(page, 'margaret@example.com');
  await expect(page.getByText('The service answered with 503')).toBeVisible();
  await expect(page.getByText(key)).toBeVisible();

  // The other project cannot be read.
  const ada = page.getByRole('button', { name: `Revoke the key ada@example.com's of ada@example.com` });
  await expect(ada).toBeVisible();
  await page.route(`**/api/projects/${other.id}/environments*`, (route) => route.abort());
  await choose(page, other.name);
  await expect(page.getByRole('alert')).toContainText('The service does not answer');
  await expect(page.getByRole('region', { name: 'Project' })).toContainText(other.name);
  await expect(ada).toHaveCount(0);
  await expect(page.getByRole('heading', { name: 'Environments' })).toHaveCount(0);
  await expect(page.getByText(key)).toBeVisible();
  await page.unroute(`**/api/projects/${other.id}/environments*`);
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByRole('heading', { name: 'Environments' })).toBeVisible();
  await page.getByRole('button', { name: 'I have it' }).click();
  await expect(page.getByText(key)).toHaveCount(0);
});

test('the oldest of many keys can be revoked, too', async ({ page, project }) => {
  for (let some = 0; some < 5; some++) {
    await Promise.all(Array.from({ length: 21 }, (_, at) => project.keyOf(`ci-${some}-${at}@example.com`)));
  }
  await page.reload();
  await openSettings(page);
  await page.getByRole('button', { name: `Revoke the key ada@example.com's of ada@example.com` }).click();
  await page.getByRole('button', { name: 'Revoke', exact: true }).click();
  await expect.poll(async () => (await call('GET', '/api/test-runs', project.key)).status).toBe(401);
});

test('a change that is refused does not look as if it had been made', async ({ page }) => {
  await page.route(/\/api\/projects\/\d+(\/concurrency)?$/, (route) => route.fulfill({ status: 503, json: {} }));
  const badges = page.getByLabel('Badges that anyone may see');
  await badges.click();
  await expect(page.getByText('The service answered with 503')).toBeVisible();
  await expect(badges).not.toBeChecked();
  await page.getByLabel('Limit').selectOption('project');
  await expect(page.getByLabel('Limit')).toHaveValue('none');
});
