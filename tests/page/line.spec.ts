import { Project } from './project';
import { Server } from './server';
import { expect, row, signIn, test } from './test';

test('the page says that the line broke, and is live again when the service is back', async ({ page }) => {
  test.setTimeout(180_000);
  const server = await Server.start();
  try {
    const project = await Project.make(server.url);
    const first = await project.register({ branch: 'before' });
    await signIn(page, project.key, server.url);
    await expect(row(page, first)).toBeVisible();
    const line = page.locator('header .line');
    await expect(line).toHaveText('live');
    await server.down();
    await expect(line).toHaveText('reconnecting');
    // What is known is still there to be read.
    await expect(row(page, first)).toBeVisible();
    await server.up();
    // The session outlives the service, and what was missed is caught up with.
    const second = await project.register({ branch: 'after' });
    await expect(line).toHaveText('live', { timeout: 40_000 });
    await expect(row(page, second)).toBeVisible();
    await project.cancel(first, 'still heard');
    await expect(row(page, first)).toContainText('still heard');
  } finally {
    await server.end();
  }
});

test('without a network the page says so, and catches up afterwards', async ({ signedIn: page, project }) => {
  const first = await project.register({ branch: 'before' });
  await expect(row(page, first)).toBeVisible();
  await page.context().setOffline(true);
  await expect(page.locator('header .line')).toHaveText('offline');
  await expect(page.getByText('You are offline. This is what was known before.')).toBeVisible();
  const second = await project.register({ branch: 'meanwhile' });
  await page.context().setOffline(false);
  await expect(page.locator('header .line')).toHaveText('live');
  await expect(row(page, second)).toBeVisible();
});

test('there is one line at a time', async ({ page, project }) => {
  await page.addInitScript(() => {
    const all: WebSocket[] = [];
    Object.assign(window, { lines: all });
    window.WebSocket = class extends WebSocket {
      constructor(url: string | URL) {
        super(url);
        all.push(this);
      }
    };
  });
  await signIn(page, project.key);
  await expect(page.locator('header .line')).toHaveText('live');
  /** Those that are open, or being opened. */
  const lines = () =>
    page.evaluate(() => {
      const { lines } = window as unknown as { lines: WebSocket[] };
      return lines.filter(({ readyState }) => readyState <= WebSocket.OPEN).length;
    });
  await page.evaluate(() => {
    dispatchEvent(new Event('offline'));
    // The second comes while the first line is being opened.
    dispatchEvent(new Event('online'));
    dispatchEvent(new Event('online'));
  });
  await expect(page.locator('header .line')).toHaveText('live');
  await expect.poll(() => lines()).toBe(1);
  await page.locator('.who summary').click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect.poll(() => lines()).toBe(0);
});
