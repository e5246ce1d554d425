// One project, so titles do without its name.
import { defineConfig } from '@playwright/test';

const out = process.env.FIXTURE_OUT;

export default defineConfig({
  testDir: 'specs',
  outputDir: `${out}/results`,
  workers: 2,
  reporter: [['@estop/playwright'], ['list'], ['json', { outputFile: `${out}/report.json` }]],
});
