// Two tests for each of four shards: one passes at once, and one waits until its shard may finish.
const { test, expect } = require('@playwright/test');
const { appendFileSync, existsSync, watch } = require('node:fs');

const out = process.env.FIXTURE_OUT;

test.describe.configure({ mode: 'parallel' });

test.beforeAll(() => appendFileSync(`${out}/pids`, `${process.pid}\n`));

for (const page of ['basket', 'address', 'payment', 'summary']) {
    test(`the ${page} opens`, async () => {
        expect(1 + 1).toBe(2);
    });

    test(`the ${page} takes its time`, async () => {
        test.setTimeout(10 * 60_000);
        // As in checkout.spec.js.
        appendFileSync(`${out}/slow`, `${page}\n`);
        const watcher = watch(out);
        await new Promise((resolve) => {
            const check = () => existsSync(`${out}/finish`) && resolve();
            watcher.on('change', check);
            check();
        });
        watcher.close();
    });
}
