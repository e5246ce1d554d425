// What the runtime calls. worker-build's own entry makes a WorkerEntrypoint and three proxies for every request; this one
// calls the same functions directly, and goes that way only after a crash, because there the WebAssembly is started anew.
import Worker from '../../build/index.js';

const { fetch, scheduled } = Worker.prototype;
const state = globalThis.__worker_init_state;

/** The longest body that is read, in bytes. A test compares it with src/config.rs. */
const BODY_LIMIT = 64 * 1024;

// wasm-bindgen wakes every future through this. The runtime's own wraps each callback once more, which costs more than
// the promise. Errors take the same way as there: to the event `error`, where worker-build's entry looks for crashes.
globalThis.queueMicrotask = (task) => void Promise.resolve().then(() => {
  try {
    task();
  } catch (error) {
    reportError(error);
  }
});

const call = (name, run, event, env, ctx) =>
  state.criticalError ? new Worker(ctx, env)[name](event) : run.call({ env, ctx }, event);

/**
 * What Rust gets for a request: all that is read of it, read once, because every crossing costs more than what it gets.
 * `method`, `url`, `headers` and `cf`, which nobody needs, are there for the `worker` crate, the rest for src/edge/http.rs.
 */
function seen({ method, url, headers }, came, body, fault) {
  const [address] = url.split('#', 1);
  const query = address.indexOf('?');
  const lines = [
    came,
    Date.now(),
    // Cloudflare's own id of the request, so that our log line and theirs can be laid side by side.
    headers.get('cf-ray')?.slice(0, 100) ?? crypto.randomUUID(),
    fault,
    method,
    query < 0 ? '' : address.slice(query + 1),
    headers.get('authorization') ?? '\0',
    headers.get('idempotency-key') ?? '\0',
    headers.get('content-type') ?? '\0',
  ];
  return { method, url, headers, cf: undefined, body, text: lines.join('\n') };
}

/** Reads a body of unknown length up to the limit, and no further: `undefined` if there is more. */
async function read(stream) {
  const chunks = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > BODY_LIMIT) return undefined;
    chunks.push(chunk);
  }
  return new Blob(chunks).arrayBuffer();
}

export default {
  fetch(request, env, ctx) {
    const came = Date.now();
    const answer = (body, fault) => call('fetch', fetch, seen(request, came, body, fault), env, ctx);
    const coding = request.headers.get('transfer-encoding');
    // The runtime takes the chunks apart and no more: what is left of `gzip, chunked` is not the body that was meant.
    if (coding !== null && coding.toLowerCase() !== 'chunked') return answer(undefined, 'coded');
    // Chunks outrank a length (RFC 9112 section 6.3), which the runtime then holds nobody to.
    const length = coding === null ? request.headers.get('content-length') : null;
    if (length > BODY_LIMIT) return answer(undefined, 'long');
    if (length === null && request.body === null) return answer(undefined, '');
    const reading = length === null ? read(request.body) : request.arrayBuffer();
    return reading.then((body) => body ? answer(new Uint8Array(body), '') : answer(body, 'long'), () => answer(undefined, 'cut'));
  },
  scheduled: (event, env, ctx) => call('scheduled', scheduled, event, env, ctx),
};
