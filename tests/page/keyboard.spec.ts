import { expect, isAccessible, row, test } from './test';

test('everything goes without a mouse', async ({ signedIn: page, project }) => {
  const first = await project.register({ branch: 'first' });
  const second = await project.register({ branch: 'second' });
  await expect(row(page, second)).toBeVisible();
  const keys = page.keyboard;

  await keys.press('j');
  await expect(row(page, second)).toBeFocused();
  await keys.press('j');
  await expect(row(page, first)).toBeFocused();
  await keys.press('j');
  await expect(row(page, first)).toBeFocused();
  await keys.press('k');
  await expect(row(page, second)).toBeFocused();

  await keys.press('x');
  await keys.press('j');
  await keys.press('Shift+X');
  await expect(page.getByText('2 selected')).toBeVisible();
  await keys.press('Escape');
  await expect(page.getByText('selected')).toHaveCount(0);

  await keys.press('?');
  await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible();
  await isAccessible(page);
  await keys.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);

  await keys.press('c');
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText(`Stop #${first} first?`);
  // Enter is on the button that does no harm.
  await keys.press('Enter');
  await expect(dialog).toHaveCount(0);
  expect((await project.show(first)).state).toBe('queued');

  await keys.press('c');
  await expect(dialog.getByRole('button', { name: /^Stop 1 run/ })).toBeVisible();
  await expect(dialog.getByRole('button', { name: /^Stop 1 run/ })).toHaveAttribute('aria-disabled', 'false');
  // What is typed is the reason.
  await keys.type('flaky base');
  await keys.press('Control+Enter');
  await expect(row(page, first)).toContainText('flaky base');
  expect((await project.show(first)).cancel.reason).toBe('flaky base');

  await keys.press('k');
  await keys.press('Enter');
  await expect(page).toHaveURL(new RegExp(`/runs/${second}$`));
  await page.goBack();
  await keys.press('/');
  await expect(page.getByRole('searchbox')).toBeFocused();
  // In a field, a letter is a letter.
  await keys.type('jxc?');
  await expect(page.getByRole('searchbox')).toHaveValue('jxc?');
  await expect(page.getByRole('dialog')).toHaveCount(0);
});

test('each page has a name, and one who cannot see it is told where one is', async ({ signedIn: page, project }) => {
  const id = await project.register({ branch: 'feat/name' });
  await expect(page).toHaveTitle('Runs · estop');
  await row(page, id).getByRole('link').click();
  await expect(page).toHaveTitle(`feat/name #${id} · estop`);
  await expect(page.getByRole('heading', { name: `feat/name #${id}` })).toBeFocused();
  await page.getByRole('link', { name: 'Stops' }).click();
  await expect(page).toHaveTitle('Stops · estop');
  await expect(page.getByRole('heading', { name: /^Stops/ })).toBeFocused();
  await page.goBack();
  await expect(page.getByRole('heading', { name: `feat/name #${id}` })).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('heading', { name: 'Runs' })).toBeFocused();
  // Once its run is over, the button that opened a dialog is gone.
  await row(page, id)
    .getByRole('button', { name: `Stop run ${id}` })
    .click();
  await expect(page.getByRole('dialog')).toBeVisible();
  await project.cancel(id);
  await expect(row(page, id)).toContainText('cancelled');
  await page.keyboard.press('Escape');
  await expect(row(page, id)).toBeFocused();
});
