import { defineConfig } from 'vite';

/** Where `npm run dev` finds a service: start `make dev` beside it. */
const service = process.env.ESTOP_URL ?? 'http://127.0.0.1:8787';

export default defineConfig({
  build: {
    outDir: '../build/page',
    emptyOutDir: true,
    target: 'es2022',
    // A data: URL would need an exception in the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    // The service takes a cookie only from a page of its own origin.
    proxy: Object.fromEntries(
      ['/api', '/healthz', '/openapi.json', '/local.json'].map((path) => [
        path,
        { target: service, ws: path === '/api', changeOrigin: true, headers: { origin: service } },
      ]),
    ),
  },
});
