import { batch, computed, effect, type Signal, signal, untracked } from '@preact/signals';
import { api, type Run, type Schemas, said, take } from '../api/client';
import { type Condition, openLine, type Report } from '../live/line';
import { path } from '../router';
import { session } from '../session';
import { type Progress, together } from '../ui/progress';
import { type Filter, filters, isOpen, matches, toQuery } from './filters';

const PAGE = 50;
/** Of a list that was long, what is listed anew after a gap. */
const AGAIN_AT_MOST = 500;
/** docs/protocol.md: whoever watches lists anew every 60 s, since messages may be lost. */
const ANEW_MS = 60_000;
/** Without a line. */
const POLL_MS = 5_000;

/** The newest version that is known of each run. A row looks at its own alone. */
const known = new Map<number, Signal<Run>>();
export const runOf = (id: number) => known.get(id);

/** How far the shards of each run are that said so since the page was opened. A row looks at its own alone. */
const reports = new Map<number, Signal<ReadonlyMap<number, Progress>>>();

const reportsOf = (id: number) => {
  const of = reports.get(id) ?? signal<ReadonlyMap<number, Progress>>(new Map());
  reports.set(id, of);
  return of;
};

/** How far a run is that runs; null if nobody has said so. */
export const progressOf = (run: Run): Progress | null =>
  run.state === 'started' ? together([...reportsOf(run.id).value.values()]) : null;

function hearReport({ test_run, shard, progress }: Report) {
  if (known.get(test_run)?.peek().state !== 'started') return;
  const of = reportsOf(test_run);
  of.value = new Map(of.peek()).set(shard, progress);
}

/** The ids of the rows, newest first. */
export const shown = signal<readonly number[]>([]);
/** Runs that belong in the list, and that nobody has let in yet: they would move what one is about to click. */
export const newcomers = signal<readonly number[]>([]);
export const project = signal<Schemas['Project'] | null>(null);
export const listed = signal<'loading' | 'ready' | 'failed'>('loading');
export const trouble = signal<string | null>(null);
export const older = signal<'none' | 'more' | 'loading'>('none');
export const condition = signal<Condition>('connecting');

/** Whether rows may move: nobody points at one, has selected one or has scrolled away. */
export const still = signal(false);

/** The filters of the rows; null before the first list. The address may be another page's by now. */
let active: Filter[] | null = null;
export const isListedFor = (of: Filter[]) => JSON.stringify(of) === JSON.stringify(active);
/** The line was opened while another page was shown: what changed before was not heard. */
let stale = false;

let nextBefore: number | null = null;
/** Grows with each list that is begun; an answer to an earlier one is dropped. */
let generation = 0;

/** Takes what is newer than what is known. */
function learn(run: Run): boolean {
  const before = known.get(run.id);
  if (!before) known.set(run.id, signal(run));
  else if (before.peek().version < run.version) before.value = run;
  else return false;
  if (run.state !== 'started') reports.delete(run.id);
  return true;
}

const newestFirst = (ids: Iterable<number>) => [...new Set(ids)].sort((a, b) => b - a);

export function letIn() {
  batch(() => {
    const of = active ?? [];
    const stays = (id: number) => {
      const run = known.get(id)?.peek();
      return run !== undefined && matches(run, of);
    };
    const before = shown.peek();
    const next = newestFirst([...before, ...newcomers.peek()]).filter(stays);
    if (next.length !== before.length || next.some((id, at) => id !== before[at])) shown.value = next;
    if (newcomers.peek().length) newcomers.value = [];
  });
}

// What was heard since the last frame. Fifty changes a second are one change of the page a frame.
const heard = new Map<number, Run>();
let frame = 0;

function hear(run: Run) {
  const before = heard.get(run.id);
  if (!before || before.version < run.version) heard.set(run.id, run);
  if (frame === 0) frame = requestAnimationFrame(settle);
}

function settle() {
  frame = 0;
  const of = active ?? [];
  const rows = new Set(shown.peek());
  const end = nextBefore === null ? 0 : (shown.peek().at(-1) ?? 0);
  batch(() => {
    const come: number[] = [];
    for (const run of heard.values()) {
      // One that is older than the list goes is listed when one gets there.
      const fits = !rows.has(run.id) && run.id > end && matches(run, of);
      if (!rows.has(run.id) && !fits && !known.has(run.id)) continue;
      learn(run);
      if (fits) come.push(run.id);
    }
    heard.clear();
    if (come.length) newcomers.value = newestFirst([...newcomers.peek(), ...come]);
    if (come.length && (!still.peek() || rows.size === 0)) letIn();
  });
}

/** One page of the list. */
async function page(of: Filter[], before: number | null, perPage: number) {
  const query = { ...toQuery(of), per_page: perPage, ...(before === null ? {} : { before }) };
  // The names of `metadata.NAME` are the caller's own, so the contract cannot type them.
  return take(api.GET('/api/test-runs', { params: { query: query as never } }));
}

/** Lists from the start, as for a change of the filters. */
export async function list() {
  const mine = ++generation;
  const of = filters.peek();
  active = of;
  stale = false;
  batch(() => {
    listed.value = 'loading';
    trouble.value = null;
    older.value = 'none';
    newcomers.value = [];
  });
  try {
    const answer = await page(of, null, PAGE);
    if (mine !== generation) return;
    batch(() => {
      for (const run of answer.data.test_runs.items) learn(run);
      project.value = answer.data.project;
      shown.value = answer.data.test_runs.items.map(({ id }) => id);
      nextBefore = answer.pagination.next_before;
      older.value = nextBefore === null ? 'none' : 'more';
      listed.value = 'ready';
    });
    await fill(mine);
  } catch (error) {
    if (mine !== generation) return;
    active = null;
    batch(() => {
      listed.value = 'failed';
      trouble.value = said(error);
    });
  }
}

/** A window of the history may hold few that match, or none: goes on until there is a screen of them, within reason. */
async function fill(mine: number) {
  for (let windows = 0; windows < 5 && shown.peek().length < 20 && nextBefore !== null; windows++) {
    if (mine !== generation) return;
    await listOlder();
  }
}

export async function listOlder() {
  if (older.peek() !== 'more') return;
  const mine = generation;
  older.value = 'loading';
  try {
    const answer = await page(active ?? [], nextBefore, PAGE * 2);
    if (mine !== generation) return;
    batch(() => {
      for (const run of answer.data.test_runs.items) learn(run);
      shown.value = [...shown.peek(), ...answer.data.test_runs.items.map(({ id }) => id)];
      nextBefore = answer.pagination.next_before;
      older.value = nextBefore === null ? 'none' : 'more';
    });
  } catch (error) {
    if (mine !== generation) return;
    batch(() => {
      older.value = 'more';
      trouble.value = said(error);
    });
  }
}

/** Lists what is shown once more, since messages may have been lost. Rows stay where they are. */
export async function listAnew() {
  if (path.peek() !== '/') {
    stale = true;
    return;
  }
  if (listed.peek() === 'failed') return list();
  const mine = generation;
  const of = active ?? [];
  stale = false;
  const want = Math.min(Math.max(shown.peek().length, PAGE), AGAIN_AT_MOST);
  try {
    for (let before: number | null = null, seen = 0; seen < want; ) {
      const answer: Awaited<ReturnType<typeof page>> = await page(of, before, 100);
      if (mine !== generation) return;
      for (const run of answer.data.test_runs.items) hear(run);
      before = answer.pagination.next_before;
      seen += Math.max(answer.data.test_runs.items.length, 100);
      if (before === null) break;
    }
    trouble.value = null;
    await catchUp(mine);
  } catch (error) {
    // The rows that are there are better than none.
    if (mine === generation) trouble.value = said(error);
  }
}

/** Rows that were open and are not among the runs that match now: each is asked for, since the list has left them out. */
async function catchUp(mine: number) {
  const of = active ?? [];
  if (!of.some(({ name }) => name === 'state')) return;
  const open = shown.peek().filter((id) => {
    const run = known.get(id)?.peek();
    return run && isOpen(run) && !heard.has(id);
  });
  for (const id of open.slice(0, 20)) {
    const { data } = await api.GET('/api/test-runs/{id}', { params: { path: { id } } });
    if (mine !== generation) return;
    if (data) hear(data.data.test_run);
  }
}

/** The runs that the person's own request has changed; the hub tells of them too, but not always. */
export async function look(ids: Iterable<number>) {
  for (const id of ids) {
    const { data } = await api.GET('/api/test-runs/{id}', { params: { path: { id } } });
    if (data) hear(data.data.test_run);
  }
}

/** The rows that can be stopped, newest first. */
export const openRows = () =>
  shown.peek().filter((id) => {
    const run = known.get(id)?.peek();
    return run && isOpen(run);
  });

/** The list's page is shown: its rows are listed unless they are there already. */
export function arrive() {
  if (!isListedFor(filters.peek())) void list();
  else if (stale) void listAnew();
}

/** The first rows are there, or not wanted: what they do not need has waited for that. */
export const begun = signal(false);
effect(() => {
  if (path.value !== '/' || listed.value !== 'loading') begun.value = true;
});

/** Who follows what: the session itself is read anew now and then, and then nothing has changed. */
const watcher = computed(
  () => begun.value && session.value && `${session.value.project.id} ${session.value.session.user}`,
);

/** Follows the project for as long as somebody is signed in. */
export function followProject() {
  effect(() => {
    if (watcher.value) return untracked(follow);
  });
}

function follow() {
  let lastAnew = Date.now();
  const line = openLine({
    path: '/api/watch',
    hear: (message) => {
      if (message.type === 'run') hear(message.run);
      else if (message.type === 'progress') hearReport(message);
    },
    opened: () => {
      // The first list was asked for at the same time as the line, and may be older than it.
      lastAnew = Date.now();
      void listAnew();
    },
  });
  const mirror = effect(() => {
    condition.value = line.condition.value;
  });
  const timer = setInterval(() => {
    const due = line.condition.peek() === 'live' ? ANEW_MS : POLL_MS;
    if (document.visibilityState !== 'visible' || Date.now() - lastAnew < due || !navigator.onLine) return;
    lastAnew = Date.now();
    void listAnew();
  }, 1000);
  return () => {
    clearInterval(timer);
    mirror();
    line.end();
    // The next person to sign in here may not see these.
    known.clear();
    reports.clear();
    heard.clear();
    active = null;
    generation++;
    batch(() => {
      shown.value = [];
      newcomers.value = [];
      project.value = null;
      listed.value = 'loading';
    });
  };
}
