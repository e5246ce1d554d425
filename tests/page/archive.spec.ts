import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { ADMIN, call, Project, within } from './project';
import { Server } from './server';
import { expect, isAccessible, row, signIn, signOut, test } from './test';

const DAY_MS = 24 * 3600 * 1000;

/** A project that keeps runs for a day, with runs that are over. */
async function keepsForADay(server: Server) {
  const project = await Project.make(server.url);
  const kept = await call('PATCH', `/api/projects/${project.id}`, ADMIN, { retention_days: 1 }, server.url);
  expect(kept.status).toBe(200);
  await (await project.start({ branch: 'old/passed' })).finish();
  const cancelled = await project.start({ branch: 'old/stopped' });
  await project.cancel(cancelled.id, 'wrong branch');
  await cancelled.stopsWhenTold();
  return { project, last: cancelled.id };
}

const archivedThrough = async ({ key, at }: Project) =>
  (await call('GET', '/api/test-runs', key, undefined, at)).json.data.archived_through;

test('what is archived is said where the list ends, and is opened by its number', async ({ page }) => {
  // A service of its own: its sweeper is told that days have passed.
  const server = await Server.start();
  try {
    const whole = await keepsForADay(server);
    const part = await keepsForADay(server);
    // The newest run of all is never archived.
    const newest = await part.project.register({ branch: 'newest' });
    let at = Date.now() + 3 * DAY_MS;
    await within('the runs are archived', async () => {
      at += 60_000;
      await fetch(`${server.url}/cdn-cgi/local/scheduled?cron=*+*+*+*+*&time=${at}`);
      const through = await Promise.all([whole, part].map(({ project }) => archivedThrough(project)));
      return through[0] === whole.last && through[1] === part.last;
    });

    await page.clock.install();
    await signIn(page, whole.project.key, server.url);
    await expect(page.getByRole('heading', { name: 'All runs are archived' })).toBeVisible();
    await expect(page.getByText(`Runs up to #${whole.last} are archived.`)).toBeVisible();
    const stops = page.getByRole('link', { name: 'Stops', exact: true });
    await stops.click();
    await expect(page.getByRole('heading', { name: 'No stop is listed' })).toBeVisible();
    await expect(page.getByText(`Runs up to #${whole.last} are archived, and their stops not listed.`)).toBeVisible();
    await isAccessible(page);
    await signOut(page);
    await signIn(page, part.project.key, server.url);
    const note = page.getByText(`Runs up to #${part.last} are archived.`);
    await expect(note).toBeVisible();
    await expect(row(page, newest)).toBeVisible();
    await expect(row(page, part.last)).toHaveCount(0);
    await isAccessible(page);
    const open = page.getByRole('button', { name: 'open', exact: true });
    await open.click();
    await expect(page.getByRole('heading', { name: 'No run matches' })).toBeVisible();
    await expect(note).toHaveCount(0);
    await open.click();
    await expect(note).toBeVisible();

    // Its stop is not listed, and that is said where the list ends. (The newest run was stopped, as nobody had claimed it for days.)
    await stops.click();
    const listed = page.getByRole('table', { name: 'Who stopped what' });
    await expect(listed.getByRole('link', { name: `#${newest}` })).toBeVisible();
    await expect(listed.getByRole('link', { name: `#${part.last}` })).toHaveCount(0);
    await expect(page.getByText(`Runs up to #${part.last} are archived, and their stops not listed.`)).toBeVisible();
    await isAccessible(page);
    await page.getByRole('link', { name: 'Runs', exact: true }).click();

    const lines: string[] = [];
    page.on('websocket', (line) => lines.push(new URL(line.url()).pathname));
    await page.getByLabel('Filter: branch, actor').fill(`#${part.last}`);
    await page.keyboard.press('Enter');
    await expect(page.getByRole('heading', { name: `old/stopped #${part.last}` })).toBeVisible();
    await expect(page.getByText('Archived: no list has it, and it never changes.')).toBeVisible();
    await expect(page.getByRole('region', { name: 'State' }).getByText('cancelled by')).toBeVisible();
    await expect(page.getByRole('listitem').filter({ hasText: 'Registered by ada@example.com' })).toBeVisible();
    await expect(page.getByRole('button', { name: /^(Stop|Kill) run/ })).toHaveCount(0);
    await isAccessible(page);
    // Nobody is asked again what became of it.
    await page.clock.runFor(120_000);
    expect(lines.filter((path) => path.startsWith('/api/test-runs/'))).toEqual([`/api/test-runs/${part.last}/watch`]);

    // The bucket loses it for a while.
    const blobs = join(server.state, 'v3/r2/estop-archives/blobs');
    await rename(blobs, `${blobs}-away`);
    await page.goto(`${server.url}/runs/${part.last}`);
    await expect(page.getByRole('heading', { name: `Run #${part.last} cannot be read now` })).toBeVisible();
    await expect(page.getByRole('alert')).toContainText('the archive cannot be read now');
    await isAccessible(page);
    // It would ask again by itself in a moment.
    await page.clock.pauseAt((await page.evaluate(() => Date.now())) + 1000);
    await rename(`${blobs}-away`, blobs);
    await page.getByRole('button', { name: 'Try again' }).click();
    await expect(page.getByText('Archived: no list has it, and it never changes.')).toBeVisible();
  } finally {
    await server.end();
  }
});
