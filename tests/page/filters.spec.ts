import { expect, row, signIn, signOut, test } from './test';

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

test('one comes back to the list as one has left it', async ({ signedIn: page, project }) => {
  const here = await project.register({ environment: 'production' });
  const other = await project.register();
  await page.getByRole('button', { name: 'production' }).click();
  await expect(row(page, other)).toHaveCount(0);
  for (const back of [
    () => page.getByRole('link', { name: '← Runs' }).click(),
    () => page.getByRole('link', { name: 'Runs', exact: true }).click(),
    () => page.keyboard.press('Escape'),
  ]) {
    await row(page, here).getByRole('link').click();
    await expect(page).toHaveURL(new RegExp(`/runs/${here}$`));
    await expect(page.getByRole('heading', { name: `#${here}` })).toBeVisible();
    await back();
    await expect(page).toHaveURL(/\?environment=production$/);
    await expect(row(page, here)).toBeVisible();
    await expect(row(page, other)).toHaveCount(0);
  }
});

test('each user is called by a name of their own', async ({ signedIn: page, project }) => {
  const ada = await project.register({ github_actor: 'ada-codes' });
  const other = await project.register({ github_actor: 'somebody' });
  await expect(row(page, other)).toBeVisible();
  await page.locator('.who summary').click();
  await page.getByLabel('Does your CI call you something else?').fill('ada-codes');
  await page.getByRole('button', { name: 'That is me' }).click();
  await page.getByRole('button', { name: 'mine' }).click();
  await expect(page).toHaveURL(/\?actor=ada-codes$/);
  await expect(row(page, ada)).toBeVisible();
  await expect(row(page, other)).toHaveCount(0);

  const grace = await project.keyOf('grace@example.com');
  await page.goto('/');
  await signOut(page);
  await signIn(page, grace.token);
  await page.getByRole('button', { name: 'mine' }).click();
  await expect(page).toHaveURL(/\?actor=grace%40example.com$/);
  // Where there is no run of hers, the page asks, too.
  await expect(page.getByRole('heading', { name: 'No run matches' })).toBeVisible();
  await page.locator('.empty').getByLabel('Does your CI call you something else?').fill('somebody');
  await page.locator('.empty').getByRole('button', { name: 'That is me' }).click();
  await expect(row(page, other)).toBeVisible();
});

test('what is typed and matches no row says so', async ({ signedIn: page, project }) => {
  const id = await project.register();
  await expect(row(page, id)).toBeVisible();
  await page.getByRole('searchbox').fill('zzz');
  await expect(page.getByRole('heading', { name: 'None of these runs has “zzz”' })).toBeVisible();
  await expect(page.getByText('No runs yet')).toHaveCount(0);
  await page.getByRole('button', { name: 'Show these runs' }).click();
  await expect(row(page, id)).toBeVisible();
});

test('a word of the address that is no filter is no matter', async ({ signedIn: page, project }) => {
  const id = await project.register();
  await page.goto('/?toString=x&constructor=y');
  await expect(row(page, id)).toBeVisible();
});

test('a history without a match is looked at in parts', async ({ signedIn: page }) => {
  let asked = 0;
  await page.route('**/api/test-runs?*tag=nosuch*', async (route) => {
    asked++;
    const answer = await (await route.fetch()).json();
    answer.data.test_runs.items = [];
    answer.pagination.next_before = 1_000_000 - asked;
    await route.fulfill({ json: answer });
  });
  await page.goto('/?tag=nosuch');
  const further = page.getByRole('button', { name: 'Look further back' });
  await expect(further).toBeVisible();
  await expect(page.getByRole('heading', { name: 'No run matches' })).toBeVisible();
  // The list is read twice at the start: by itself, and when the line opens.
  expect(asked).toBeLessThan(10);
  const before = asked;
  await further.click();
  await expect.poll(() => asked).toBeGreaterThanOrEqual(before + 5);
  await expect(further).toBeVisible();
  expect(asked).toBeLessThan(before + 10);
});
