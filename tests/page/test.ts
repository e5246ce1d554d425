// Every test has a project of its own, and fails if the browser had anything to complain about.

import AxeBuilder from '@axe-core/playwright';
import { test as base, expect, type Page } from '@playwright/test';
import { ADMIN, Project } from './project';

export { expect };

/** Signs in by the form, as a person does. */
export async function signIn(page: Page, key: string, path = '/') {
  await page.goto(path);
  await page.getByLabel('Key', { exact: true }).fill(key);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('navigation', { name: 'Pages' })).toBeVisible();
}

/** Has Cloudflare Access stand before the one path that is for it, with this person signed in there. */
export async function behindAccess(page: Page, email: string) {
  const minted = await fetch(`${process.env.ESTOP_TEST_ACCESS}/tokens`, {
    method: 'POST',
    body: JSON.stringify({ claims: { email } }),
  });
  const token = await minted.text();
  await page.route('**/session/access*', (route) =>
    route.continue({ headers: { ...route.request().headers(), 'cf-access-jwt-assertion': token } }),
  );
}

export async function signOut(page: Page) {
  await page.locator('.who summary').click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByLabel('Key', { exact: true })).toBeVisible();
}

/** Opens Settings with the admin token. */
export async function openSettings(page: Page) {
  await page.getByRole('link', { name: 'Settings' }).click();
  await page.getByLabel('Admin token').fill(ADMIN);
  await page.getByRole('button', { name: 'Open settings' }).click();
  await expect(page.getByRole('heading', { name: 'Keys' })).toBeVisible();
}

export const row = (page: Page, id: number) => page.locator(`tr[data-run="${id}"]`);

/** What axe finds wrong: nothing. */
export async function isAccessible(page: Page) {
  // Not of a page that is still to come.
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toEqual([]);
}

interface Fixtures {
  project: Project;
  /** The page, with somebody signed in to the project. */
  signedIn: Page;
  complaints: string[];
}

export const test = base.extend<Fixtures>({
  project: async ({}, use) => use(await Project.make()),
  complaints: [
    async ({ page }, use) => {
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
      page.on('console', (message) => {
        // A refusal is logged by the browser itself; what the page makes of it is what the tests look at.
        const refused = /Failed to load resource|WebSocket connection to/.test(message.text());
        if (message.type() === 'error' && !refused) complaints.push(message.text());
        if (/Content Security Policy/i.test(message.text())) complaints.push(message.text());
      });
      await use(complaints);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
  signedIn: async ({ page, project }, use) => {
    await signIn(page, project.key);
    await use(page);
  },
});
