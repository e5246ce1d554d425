import { defineConfig } from '@playwright/test';

const variable = (name: string) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run these tests with scripts/page-tests`);
  return value;
};

export default defineConfig({
  testDir: '.',
  outputDir: '../../build/page-tests',
  timeout: 180_000,
  expect: { timeout: 20_000 },
  fullyParallel: true,
  workers: 2,
  reporter: 'line',
  forbidOnly: true,
  use: {
    baseURL: variable('ESTOP_TEST_URL'),
    launchOptions: JSON.parse(variable('ESTOP_TEST_BROWSER')),
    viewport: { width: 1200, height: 800 },
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
  },
});
