// Slow tests that need no browser, and the reports that people read after a run.
const { defineConfig } = require('@playwright/test');

const out = process.env.FIXTURE_OUT;

module.exports = defineConfig({
    testDir: '.',
    outputDir: `${out}/results`,
    workers: 2,
    reporter: [
        ['line'],
        ['json', { outputFile: `${out}/report.json` }],
        ['html', { outputFolder: `${out}/html`, open: 'never' }],
    ],
});
