import { expect, test } from '@playwright/test';

test.describe('an order', () => {
  test.describe.configure({ mode: 'serial', retries: 1 });
  test('is placed', () => {});
  test('is paid at the second try', ({}, { retry }) => {
    expect(retry).toBe(1);
  });
  test('is sent', () => {});
});

test.describe('a return', () => {
  test.describe.configure({ mode: 'serial' });
  test('is asked for', () => {});
  test('is refused', () => {
    expect('no').toBe('yes');
  });
  test('is never paid', () => {});
});

test.describe('without a database', () => {
  test.beforeAll(() => {
    throw new Error('no database');
  });
  test('the first fails', () => {});
  test('the second is passed over', () => {});
});
