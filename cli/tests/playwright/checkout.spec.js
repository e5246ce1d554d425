const { test, expect } = require('@playwright/test');
const { appendFileSync } = require('node:fs');

// Each worker leaves its process id, so that whoever stops the run can see that it is gone.
test.beforeAll(() => appendFileSync(`${process.env.FIXTURE_OUT}/pids`, `${process.pid}\n`));

test.describe.configure({ mode: 'parallel' });

test('the basket opens', async () => {
    expect(1 + 1).toBe(2);
});

for (const step of ['address', 'payment', 'summary']) {
    test(`the ${step} page takes its time`, async () => {
        test.setTimeout(10 * 60_000);
        // Only a test that has begun can be interrupted: a stop that comes just before waits for its timeout.
        appendFileSync(`${process.env.FIXTURE_OUT}/slow`, `${step}\n`);
        await new Promise((resolve) => setTimeout(resolve, 5 * 60_000));
    });
}
