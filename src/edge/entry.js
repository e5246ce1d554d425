// What the runtime calls. worker-build's own entry makes a WorkerEntrypoint and three proxies for every request; this one
// calls the same functions directly, and goes that way only after a crash, because there the WebAssembly is started anew.
import Worker from '../../build/index.js';

const { fetch, scheduled } = Worker.prototype;
const state = globalThis.__worker_init_state;

// wasm-bindgen wakes every future through this. The runtime's own wraps each callback once more, which costs more than
// the promise. Errors take the same way as there: to the event `error`, where worker-build's entry looks for crashes.
globalThis.queueMicrotask = (task) => void Promise.resolve().then(task).catch(reportError);

// The worker crate asks every request for it, the runtime makes an object of it each time, and nobody here reads it.
Object.defineProperty(Request.prototype, 'cf', { value: undefined });

const handler = (name, run) => (event, env, ctx) =>
  state.criticalError ? new Worker(ctx, env)[name](event) : run.call({ env, ctx }, event);

export default { fetch: handler('fetch', fetch), scheduled: handler('scheduled', scheduled) };
