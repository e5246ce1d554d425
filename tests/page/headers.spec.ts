import { expect, test } from './test';

test('the page runs nothing but its own files, and nobody can frame it', async ({ request }) => {
  for (const path of ['/', '/runs/1', '/stops', '/settings', '/icon.svg']) {
    const answer = await request.get(path);
    expect(answer.status(), path).toBe(200);
    const headers = answer.headers();
    const policy = headers['content-security-policy'] ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['referrer-policy']).toBe('same-origin');
  }
});

test('files with a hash in their name are kept for good, and others are asked for again', async ({ request }) => {
  const page = await request.get('/');
  const script = /src="(\/assets\/[^"]+\.js)"/.exec(await page.text())?.[1] ?? '';
  expect((await request.get(script)).headers()['cache-control']).toBe('public, max-age=31536000, immutable');
  expect(page.headers()['cache-control']).not.toContain('immutable');
  // A script of an older page is no page.
  const gone = await request.get('/assets/index-gone.js');
  expect(gone.status()).toBe(404);
  expect(gone.headers()['content-type']).toBe('application/json');
});
