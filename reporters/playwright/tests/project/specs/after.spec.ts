import { test } from '@playwright/test';

test('needs to be signed in', () => {});
