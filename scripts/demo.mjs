// Three machines that run no tests: `make dev` starts this, so that there is something to see and to stop at once.
//
//   ESTOP_URL ESTOP_KEY ADMIN_TOKEN   the local service, the key of its demo project, and its admin token
//
// Each machine registers a run, claims its shards, sends heartbeats, and finishes it or is superseded by its next run. It
// hears the order to stop by the line of its lease, and has stopped within a second. It tells how far its tests are as `estop
// run` does: with heartbeats, and on the line every five seconds while somebody watches. Once a minute it lets the sweeper tick.
// It prints nothing but what broke.

const { ESTOP_URL: service, ESTOP_KEY: key, ADMIN_TOKEN: admin } = process.env;
const BEAT_MS = 10_000;
const REPORT_MS = 5_000;

const machines = [
  {
    branch: 'main',
    environment: 'staging',
    actor: 'ada',
    shards: 4,
    tests: 412,
    seconds: [50, 90],
    tags: ['e2e', 'nightly'],
  },
  // Its second run comes before the first has ended, and takes its place.
  {
    branch: 'feature/checkout',
    environment: 'staging',
    actor: 'grace',
    shards: 2,
    tests: 96,
    seconds: [40, 60],
    tags: ['e2e', 'checkout'],
    supersedes: true,
  },
  {
    branch: 'fix/login',
    environment: 'production',
    actor: 'linus',
    shards: 1,
    tests: 24,
    seconds: [30, 45],
    tags: ['smoke'],
    fails: 0.4,
  },
];

const between = (from, to) => from + Math.random() * (to - from);
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const hex = (digits) => Array.from({ length: digits }, () => Math.floor(Math.random() * 16).toString(16)).join('');

async function call(method, path, body, bearer = key) {
  const answer = await fetch(service + path, {
    method,
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  return { status: answer.status, ...(await answer.json()) };
}

const SUITES = ['sign-in', 'search', 'basket', 'checkout', 'account', 'refunds'];
const STEPS = ['opens', 'pays', 'shows the total', 'says what is wrong', 'remembers the address', 'goes back'];

/** The test of a shard that runs after so many. */
function testOf(shard, done) {
  const suite = SUITES[(done + shard * 5) % SUITES.length];
  return {
    title: `${suite} › ${STEPS[Math.floor(done / SUITES.length + shard) % STEPS.length]} (${done + 1})`,
    file: `tests/${suite}.spec.ts`,
    line: 10 + ((done * 7) % 90),
  };
}

/** The leases that are held: each gives its shard back when this ends. */
const held = new Set();

/** Runs one shard: until its time is over, or it is told to stop. Gives false if it was told to. */
async function runShard(id, shard, { shards, tests, fails = 0 }, seconds) {
  // A run that took another's place can start once the last machine of that one has stopped.
  const claim = () => call('POST', `/api/test-runs/${id}/claim`, { runner: `vm-${'abcdefgh'[shard - 1]}`, shard });
  let claimed = await claim();
  for (let tries = 0; tries < 60 && claimed.status === 412; tries++) {
    const { state } = (await call('GET', `/api/test-runs/${id}`)).data.test_run;
    if (state !== 'pending' && state !== 'queued' && state !== 'started') return false;
    await sleep(0.5);
    claimed = await claim();
  }
  if (claimed.status !== 200) return false;
  const lease = claimed.data.lease.token;
  const share = Math.ceil(tests / shards);
  const began = Date.now();
  // Where it fails, it does so in the middle.
  const failing = Math.random() < fails ? [Math.floor(share / 3), Math.floor(share / 2)] : [];
  const failedAfter = (done) => failing.filter((test) => test < done);
  const progress = () => {
    const done = Math.min(share, Math.floor((share * (Date.now() - began)) / 1000 / seconds));
    const current = done < share ? testOf(shard, done).title : null;
    return { total: share, done, failed: failedAfter(done).length, flaky: done > share / 4 ? 1 : 0, current };
  };
  const failures = (done) =>
    failedAfter(done).map((test) => ({
      ...testOf(shard, test),
      message: 'Error: expect(locator).toHaveText(expected)\n\nExpected: "Thank you"\nReceived: "Something went wrong"',
    }));
  const tell = () => {
    const now = progress();
    return { progress: now, failures: failures(now.done) };
  };

  let stop;
  const told = new Promise((resolve) => (stop = resolve));
  const hear = (order) => order && stop(order);
  const line = new WebSocket(`${service.replace('http', 'ws')}/api/test-runs/${id}/watch`, {
    headers: { 'Estop-Lease': lease },
  });
  let watched = false;
  line.onmessage = ({ data }) => {
    if (data === 'pong') return;
    const message = JSON.parse(data);
    if (message.type === 'watched') watched = message.watched;
    hear(message.stop);
  };
  line.onerror = () => {};
  const beat = async () => {
    const answer = await call('POST', `/api/test-runs/${id}/heartbeat`, { lease, ...tell() }).catch(() => null);
    hear(answer?.data?.stop);
  };
  // An order may have come before the line was open.
  line.onopen = beat;
  const beats = setInterval(beat, BEAT_MS);
  const reports = setInterval(() => {
    if (watched && line.readyState === WebSocket.OPEN) {
      line.send(JSON.stringify({ type: 'progress', progress: progress() }));
    }
  }, REPORT_MS);
  const finish = (report) => call('POST', `/api/test-runs/${id}/finish`, { lease, ...report });
  const interrupt = () => finish({ state: 'error', error_code: 'worker_interrupted' });
  held.add(interrupt);
  const order = await Promise.race([told, sleep(seconds)]);
  held.delete(interrupt);
  clearInterval(beats);
  clearInterval(reports);
  if (order) {
    await call('POST', `/api/test-runs/${id}/heartbeat`, { lease, step: 'sigint' }).catch(() => {});
    await sleep(between(0.3, 0.8));
  }
  line.close();
  const end = tell();
  if (!order) Object.assign(end, { progress: { ...end.progress, done: share }, failures: failures(share) });
  const failed = failedAfter(end.progress.done).length;
  await finish({
    state: 'ended',
    result: order || failed ? 'failed' : 'passed',
    progress: { ...end.progress, failed, current: null },
    failures: end.failures,
    ...(order && { stop: { outcome: 'graceful' } }),
  });
  return !order;
}

/** Registers a run. One that supersedes, or is to be superseded, needs a limit: the project has it only while this one is
 * registered, so that no other run is held by it, and not at all if it has one of its own. */
async function register(machine, number, supersedes) {
  const run = {
    environment: machine.environment,
    build: {
      branch: machine.branch,
      commit: hex(40),
      url: `https://ci.example.com/builds/${number}`,
    },
    metadata: { ci_run_id: number },
    tags: machine.tags,
    github_actor: machine.actor,
    total_shards: machine.shards,
  };
  const limit = (scope) => call('PUT', '/api/projects/1/concurrency', { scope, behaviour: 'cancel_previous' }, admin);
  const limited =
    supersedes && (await call('GET', '/api/test-runs?per_page=1')).data.project.concurrency.scope === 'none';
  if (limited) await limit('branch_environment');
  try {
    return (await call('PUT', '/api/test-runs', run)).data.test_run.id;
  } finally {
    if (limited) await limit('none');
  }
}

async function keepRunning(machine, order) {
  await sleep(order);
  const first = 8800 + order * 10;
  for (let number = first; ; number++) {
    // Once is enough to see it: each change of the limit is kept among what admins did.
    const id = await register(machine, number, machine.supersedes && number < first + 2);
    const seconds = between(...machine.seconds);
    const shards = Array.from({ length: machine.shards }, (_, at) =>
      runShard(id, at + 1, machine, seconds * between(0.85, 1)),
    );
    const over = Promise.all(shards);
    const hurried = machine.supersedes && number === first;
    if (!hurried) await over;
    else await Promise.race([over, sleep(25)]);
    if (!hurried) await sleep(between(8, 15));
  }
}

async function end() {
  await Promise.race([Promise.allSettled([...held].map((giveBack) => giveBack())), sleep(2)]);
  process.exit(0);
}
process.on('SIGTERM', end);
process.on('SIGINT', end);
process.on('unhandledRejection', () => {});

// Nothing lets the sweeper tick on a laptop. It also counts what the page's charts show.
const tick = () => fetch(`${service}/__scheduled?cron=*+*+*+*+*`).catch(() => {});
setInterval(tick, 60_000);
setTimeout(tick, 5000);

for (const [order, machine] of machines.entries()) {
  const go = () =>
    keepRunning(machine, order).catch(async (error) => {
      // The service may be restarting, as after a build.
      console.error(`estop: a demo run broke off (${error.message}); the next one starts in a moment`);
      await sleep(10);
      void go();
    });
  void go();
}
