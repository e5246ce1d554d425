import { test } from '@playwright/test';

test.describe.configure({ mode: 'parallel' });

for (let number = 1; number <= 100; number++) test(`number ${number}`, () => {});
