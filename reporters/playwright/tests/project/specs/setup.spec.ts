import { test } from '@playwright/test';

test('signs in', () => {
  throw new Error('no such user');
});
