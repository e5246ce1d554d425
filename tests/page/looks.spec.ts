import { expect, isAccessible, row, test } from './test';

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [1200, 360]) {
    test(`the pages can be used and read, ${colorScheme}, ${width} pixels wide`, async ({
      signedIn: page,
      project,
    }) => {
      // axe looks at five pages.
      test.setTimeout(120_000);
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 780 });
      const long = 'feature/a-branch-whose-name-is-far-longer-than-any-phone-is-wide-and-then-some';
      const runner = await project.start({
        branch: long,
        total_shards: 4,
        github_actor: 'ada',
        tags: ['e2e', 'checkout'],
      });
      const failed = await project.start({ branch: 'main' });
      await failed.finish({ state: 'ended', result: 'failed', counts: { total: 48, failed: 2 } });
      await project.cancel(
        await project.register({ branch: 'fix/login' }),
        'a reason that says a good deal more than it would have to',
      );
      for (const path of ['/', `/runs/${runner.id}`, '/stops', '/settings']) {
        await page.goto(path);
        await expect(page.locator('main')).toBeVisible();
        await expect(page.getByText('Loading…')).toHaveCount(0);
        await isAccessible(page);
        expect(
          await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
          `${path} is too wide`,
        ).toBeLessThanOrEqual(0);
      }
      await page.goto('/');
      await row(page, runner.id)
        .getByRole('button', { name: `Stop run ${runner.id}` })
        .click();
      await isAccessible(page);
      await page.getByRole('button', { name: 'Keep running' }).click();
      await expect(page.getByRole('dialog')).toHaveCount(0);
    });
  }
}
