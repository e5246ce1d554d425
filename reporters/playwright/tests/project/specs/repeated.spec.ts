// All three have one title. The first passes, the second at its second try, and the third never.
import { expect, test } from '@playwright/test';

test('comes and goes', ({}, { repeatEachIndex, retry }) => {
  expect(retry).toBeGreaterThanOrEqual(repeatEachIndex === 2 ? 2 : repeatEachIndex);
});
