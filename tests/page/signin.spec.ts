import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { behindAccess, expect, isAccessible, signIn, test } from './test';

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
