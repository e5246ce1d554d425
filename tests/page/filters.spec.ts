import { expect, row, test } from './test';

test('filters are chips, and a copied address is the same view', async ({ signedIn: page, project }) => {
  const ada = await project.register({ branch: 'feat/a', github_actor: 'ada@example.com', tags: ['smoke'] });
  const grace = await project.register({ branch: 'feat/b', github_actor: 'grace', environment: 'production' });
  await expect(row(page, grace)).toBeVisible();
  await page.getByRole('button', { name: 'mine' }).click();
  await expect(row(page, grace)).toHaveCount(0);
  await expect(row(page, ada)).toBeVisible();
  await expect(page).toHaveURL(/\?actor=ada%40example.com$/);

  const tab = await page.context().newPage();
  await tab.goto(page.url());
  await expect(row(tab, ada)).toBeVisible();
  await expect(row(tab, grace)).toHaveCount(0);

  await page.getByRole('button', { name: 'mine' }).click();
  await page.getByRole('button', { name: 'production' }).click();
  await expect(row(page, ada)).toHaveCount(0);
  await expect(row(page, grace)).toBeVisible();
  await page.goBack();
  await expect(row(page, ada)).toBeVisible();
});

test('what is typed narrows the rows, and Enter makes a filter of it', async ({ signedIn: page, project }) => {
  const here = await project.register({ branch: 'feat/search' });
  const other = await project.register({ branch: 'main' });
  await expect(row(page, other)).toBeVisible();
  const field = page.getByRole('searchbox');
  await field.fill('sear');
  await expect(row(page, other)).toHaveCount(0);
  await field.fill('feat/search');
  await field.press('Enter');
  await expect(page.getByRole('button', { name: 'Remove the filter branch feat/search' })).toBeVisible();
  await expect(row(page, here)).toBeVisible();
  await page.getByRole('button', { name: 'Remove the filter branch feat/search' }).click();
  await expect(row(page, other)).toBeVisible();
});

test('any of the filters can be added', async ({ signedIn: page, project }) => {
  const here = await project.register({ metadata: { suite: 'checkout' } });
  const other = await project.register();
  await expect(row(page, other)).toBeVisible();
  await page.getByRole('button', { name: '+ filter' }).click();
  await page.getByLabel('What to filter by').selectOption('metadata');
  await page.getByLabel('Value').fill('suite=checkout');
  await page.getByRole('button', { name: 'Add' }).click();
  await expect(row(page, other)).toHaveCount(0);
  await expect(row(page, here)).toBeVisible();
});
