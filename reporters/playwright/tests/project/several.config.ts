// Projects that share their titles, that repeat their tests, and that wait for another.
import { defineConfig } from '@playwright/test';
import one from './playwright.config';

export default defineConfig(one, {
  projects: [
    { name: 'desktop', testMatch: 'same.spec.ts' },
    { name: 'phone', testMatch: 'same.spec.ts' },
    { name: 'often', testMatch: 'repeated.spec.ts', repeatEach: 3, retries: 1 },
    { name: 'setup', testMatch: 'setup.spec.ts' },
    { name: 'after it', testMatch: 'after.spec.ts', dependencies: ['setup'] },
  ],
});
