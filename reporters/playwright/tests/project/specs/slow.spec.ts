import { appendFileSync } from 'node:fs';
import { test } from '@playwright/test';

test.describe.configure({ mode: 'serial' });

test('the basket opens', () => {});

test('the payment takes its time', async () => {
  test.setTimeout(10 * 60_000);
  appendFileSync(`${process.env.FIXTURE_OUT}/slow`, 'payment\n');
  await new Promise((resolve) => setTimeout(resolve, 5 * 60_000));
});

test('the summary is never reached', () => {});
