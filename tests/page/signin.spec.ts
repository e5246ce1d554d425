import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Project } from './project';
import { behindAccess, expect, isAccessible, openSettings, row, signIn, signOut, test } from './test';

test('a person signs in with a key, and out again', async ({ page, project }) => {
  await page.goto('/');
  await isAccessible(page);
  await signIn(page, project.key);
  await expect(page.getByText(project.name).first()).toBeVisible();
  await page.locator('.who summary').click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByLabel('Key', { exact: true })).toBeVisible();
  await page.reload();
  await expect(page.getByLabel('Key', { exact: true })).toBeVisible();
});

test('a wrong key is refused, and the page says so', async ({ page }) => {
  await page.goto('/');
  await page.getByLabel('Key', { exact: true }).fill('estop_wrong');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('alert')).toContainText('No such key');
  await isAccessible(page);
});

test('no script can read the session, and nothing of it is stored', async ({ signedIn: page, project }) => {
  const readable = await page.evaluate(() => [
    document.cookie,
    JSON.stringify(localStorage),
    JSON.stringify(sessionStorage),
  ]);
  expect(readable).toEqual(['', '{}', '{}']);
  const cookies = await page.context().cookies();
  expect(cookies).toHaveLength(1);
  expect(cookies[0]).toMatchObject({
    name: '__Host-estop',
    httpOnly: true,
    secure: true,
    sameSite: 'Strict',
    path: '/',
  });
  expect(cookies[0]?.value).not.toContain(project.key);
});

test('the session is still there after a reload, and in a new tab', async ({ signedIn: page, project }) => {
  await project.register({ branch: 'here' });
  await page.reload();
  await expect(page.getByText('here')).toBeVisible();
  const tab = await page.context().newPage();
  await tab.goto('/');
  await expect(tab.getByText('here')).toBeVisible();
});

test('the session of a revoked key is over at the next request', async ({ signedIn: page, project }) => {
  const id = await project.register();
  await expect(page.getByText(`#${id}`)).toBeVisible();
  await project.revoke(project.keyId);
  await page.getByRole('button', { name: `Stop run ${id}` }).click();
  await expect(page.getByText('Your session is over')).toBeVisible();
  await expect(page.getByText(`#${id}`)).toHaveCount(0);
});

test('the demo key is one click away, where the service is local', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('button', { name: 'Sign in with the demo key' }).click();
  await expect(page.locator('.who summary')).toContainText('demo@example.com');
});

test('a person signs in with the company account, and the record has their address', async ({ page, project }) => {
  const address = `grace@page-${project.id}.example`;
  await project.admit(address);
  await behindAccess(page, address);
  await page.goto('/');
  const button = page.getByRole('button', { name: 'Sign in with your company account' });
  await expect(button).toBeVisible();
  await isAccessible(page);
  await button.click();
  await expect(page.locator('.who summary')).toContainText(address);
  await expect(page.getByText(project.name).first()).toBeVisible();
  expect(new URL(page.url()).pathname).toBe('/');
  const id = await project.register();
  await page.getByRole('button', { name: `Stop run ${id}` }).click();
  await page
    .getByRole('dialog')
    .getByRole('button', { name: /^Stop 1 run/ })
    .click();
  await expect.poll(async () => (await project.show(id)).cancel?.by).toBe(address);
  const [cookie] = await page.context().cookies();
  expect(cookie).toMatchObject({ name: '__Host-estop', httpOnly: true, secure: true, sameSite: 'Strict' });
});

test('a page of another origin can neither read nor stop', async ({ signedIn: page, project, baseURL }) => {
  const id = await project.register();
  const server = createServer((_, answer) =>
    answer.setHeader('content-type', 'text/html').end('<title>elsewhere</title>'),
  );
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  // Another port is the same site, so the cookie comes along; another name is another site.
  for (const host of ['127.0.0.1', 'localhost']) {
    const other = await page.context().newPage();
    await other.goto(`http://${host}:${port}/`);
    const outcome = await other.evaluate(
      async ({ service, run }) => {
        const tried = async (path: string, init: RequestInit) => {
          try {
            const answer = await fetch(service + path, { credentials: 'include', ...init });
            return answer.type === 'opaque' ? 'unread' : `read ${answer.status}`;
          } catch {
            return 'refused';
          }
        };
        const line = new Promise((resolve) => {
          const socket = new WebSocket(`${service.replace('http', 'ws')}/api/watch`);
          socket.onopen = () => resolve('open');
          socket.onerror = () => resolve('refused');
        });
        const cancel = `/api/test-runs/${run}/cancel`;
        return [
          await tried('/api/test-runs', {}),
          await tried('/api/test-runs', { mode: 'no-cors' }),
          await tried(cancel, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }),
          // A form's way, which asks nobody before it sends.
          await tried(cancel, { method: 'POST', mode: 'no-cors' }),
          await tried('/api/session', { method: 'DELETE' }),
          await line,
        ];
      },
      { service: baseURL ?? '', run: id },
    );
    expect(outcome).toEqual(['refused', 'unread', 'refused', 'unread', 'refused', 'refused']);
    await other.close();
  }
  server.close();
  expect((await project.show(id)).state).toBe('queued');
  await page.reload();
  await expect(page.getByText(`#${id}`)).toBeVisible();
});

test('whoever signs in next finds nothing of the one before', async ({ signedIn: page, project }) => {
  const id = await project.register({ branch: 'secret' });
  const done = await project.register({ branch: 'secret too' });
  await project.cancel(done, 'between us');
  await page.getByRole('link', { name: 'Stops' }).click();
  await expect(page.getByText('between us')).toBeVisible();
  await openSettings(page);
  await page.getByRole('link', { name: 'Runs', exact: true }).click();
  await row(page, id)
    .getByRole('button', { name: `Stop run ${id}` })
    .click();
  const go = page.getByRole('dialog').getByRole('button', { name: /^Stop 1 run/ });
  await expect(go).toHaveAttribute('aria-disabled', 'false');
  // The session ends while the dialog asks.
  await page.context().clearCookies();
  await go.click();
  await expect(page.getByText('Your session is over')).toBeVisible();

  const other = await Project.make();
  await page.getByLabel('Key', { exact: true }).fill(other.key);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'No runs yet' })).toBeVisible();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await page.route('**/api/cancels*', (route) => route.fulfill({ status: 503, body: '{}' }));
  await page.getByRole('link', { name: 'Stops' }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  await expect(page.getByText('between us')).toHaveCount(0);
  await page.getByRole('link', { name: 'Settings' }).click();
  await expect(page.getByLabel('Admin token')).toBeVisible();
  await expect(page.getByText(project.name)).toHaveCount(0);
});

test('who signs in in another tab is who is signed in here', async ({ signedIn: page, project }) => {
  const here = await project.register({ branch: 'one project' });
  await expect(row(page, here)).toBeVisible();
  const other = await Project.make();
  const there = await other.register({ branch: 'another project' });
  const tab = await page.context().newPage();
  await tab.goto('/');
  await signOut(tab);
  await signIn(tab, other.key);
  await expect(row(tab, there)).toBeVisible();

  // The list is read anew when the line opens.
  await page.evaluate(() => {
    dispatchEvent(new Event('offline'));
    dispatchEvent(new Event('online'));
  });
  await expect(row(page, there)).toBeVisible();
  await expect(row(page, here)).toHaveCount(0);
  await expect(page.locator('.who summary')).toContainText(other.name);

  const grace = await other.keyOf('grace@example.com');
  await signOut(tab);
  await signIn(tab, grace.token);
  // Who comes back to this tab sees as whom it would stop something.
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await expect(page.locator('.who summary')).toContainText('grace@example.com');
});

test('a browser that does not keep the session says so', async ({ page, project }) => {
  await page.route('**/api/session', (route) =>
    route.request().method() === 'POST' ? route.fulfill({ status: 204 }) : route.continue(),
  );
  await page.goto('/');
  await page.getByLabel('Key', { exact: true }).fill(project.key);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('alert')).toContainText('did not keep the session');
  await expect(page.getByRole('button', { name: 'Sign in', exact: true })).toHaveAttribute('aria-disabled', 'false');
});

test('a key that may not see runs is told so, and asks for none', async ({ page, project }) => {
  const { token } = await project.keyOf('ci', ['run']);
  const lines: string[] = [];
  page.on('websocket', (socket) => lines.push(socket.url()));
  await signIn(page, token);
  await expect(page.getByRole('heading', { name: 'This key may not see runs' })).toBeVisible();
  await isAccessible(page);
  await page.getByRole('link', { name: 'Stops' }).click();
  await expect(page.getByRole('heading', { name: 'This key may not see runs' })).toBeVisible();
  // What the admin token opens is not the key's.
  await openSettings(page);
  expect(lines).toEqual([]);
});
