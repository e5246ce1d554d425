import { expect, test } from '@playwright/test';

test.describe('checkout', () => {
  test.describe.configure({ retries: 1 });
  test('pays', () => {
    expect(3).toBe(4);
  });
  test('pays at the second try', ({}, { retry }) => {
    expect(retry).toBe(1);
  });
  test('shows the basket', () => {});
});

test.skip('is not written yet', () => {});

test('is not for this browser', () => {
  test.skip(true, 'not here');
});

test('fails as expected', () => {
  test.fail();
  expect(1).toBe(2);
});

test('passes although it should fail', () => {
  test.fail();
});

test('takes too long', async () => {
  test.setTimeout(100);
  await new Promise(() => {});
});

test(`has a long title ${'and '.repeat(200)}a message in colours`, () => {
  throw new Error(`\x1b[31mred\x1b[39m\x07 ${'😀'.repeat(2000)}`);
});
