// Finds a browser that starts, and prints how: `{"executablePath": …, "args": […]}`. The first of: a Chromium or Chrome on
// PATH, the one in npm's @sparticuz/chromium (Linux, x64 and arm64, without root), Playwright's own download.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from '@playwright/test';
import packed from '@sparticuz/chromium';

const onPath = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'].flatMap((name) =>
  (process.env.PATH ?? '').split(delimiter).flatMap((folder) => {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return [file];
    } catch {
      return [];
    }
  }),
);
// Without a sandbox of its own, as where root runs the tests. What it opens is our own page alone.
const args = ['--no-sandbox', '--disable-dev-shm-usage'];

const candidates = [
  ...onPath.map((executablePath) => ({ what: executablePath, how: async () => ({ executablePath, args }) })),
  {
    what: '@sparticuz/chromium',
    how: async () => ({
      executablePath: await packed.executablePath(),
      // Its own arguments are for a machine without a screen and with one process; of those, what harms tests is left out.
      args: [
        ...packed.args.filter(
          (arg) =>
            !/^--(single-process|no-zygote|headless|disable-web-security|disable-site-isolation-trials|allow-running-insecure-content|disable-features)/.test(
              arg,
            ),
        ),
        ...args,
      ],
    }),
  },
  { what: "Playwright's own download", how: async () => ({ args }) },
];

const failures = [];
for (const { what, how } of candidates) {
  try {
    const options = await how();
    const browser = await chromium.launch({ ...options, timeout: 30_000 });
    const page = await browser.newPage();
    await page.goto('data:text/html,<title>up</title>');
    const version = browser.version();
    await browser.close();
    console.error(`estop: the page is tried in Chromium ${version}, from ${what}`);
    console.log(JSON.stringify(options));
    process.exit(0);
  } catch (error) {
    failures.push(`${what}: ${String(error.message).split('\n')[0]}`);
  }
}
console.error(
  'estop: no browser starts here, so the page cannot be tried. Install Chromium (Debian: chromium). What was tried:',
);
for (const failure of failures) console.error(`       ${failure}`);
process.exit(1);
