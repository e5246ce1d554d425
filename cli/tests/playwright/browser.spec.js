// Two real browsers that stay open: each has processes of its own, in a process group of its own.
const { test } = require('@playwright/test');
const { chromium } = require('playwright-core');
const { default: packaged } = require('@sparticuz/chromium');
const { appendFileSync } = require('node:fs');

test.describe.configure({ mode: 'parallel' });

for (const page of ['basket', 'checkout']) {
    test(`the ${page} stays open`, async () => {
        test.setTimeout(10 * 60_000);
        const executablePath = await packaged.executablePath();
        const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
        await (await browser.newPage()).setContent(`<h1>${page}</h1>`);
        appendFileSync(`${process.env.FIXTURE_OUT}/open`, `${page}\n`);
        await new Promise((resolve) => setTimeout(resolve, 5 * 60_000));
    });
}
