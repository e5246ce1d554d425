import { batch, computed, effect, type Signal, signal, untracked } from '@preact/signals';
import { api, type Run, type Schemas, said, take } from '../api/client';
import { type Condition, openLine, type Report } from '../live/line';
import { path } from '../router';
import { loadSession, may, person, session } from '../session';
import { type Progress, together } from '../ui/progress';
import { type Filter, filters, isOpen, matches, toQuery } from './filters';

const PAGE = 50;
/** Of a list that was long, what is listed anew after a gap. */
const AGAIN_AT_MOST = 500;
/** So many windows of the history without a match are read at once; whoever wants more of them says so. */
const BARREN_AT_MOST = 5;
/** So many runs are asked for one by one. */
const ONE_BY_ONE = 20;
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
/** `paused`: the next page failed, or many in a row had no match. It goes on when it is told to. */
export const older = signal<'none' | 'more' | 'loading' | 'paused'>('none');
/** Why the next page could not be read. */
export const olderTrouble = signal<string | null>(null);
/** The project's runs up to this id are archived, and in no list; null if none is. */
export const archivedThrough = signal<number | null>(null);
/** Grows with each cancel that is heard of, and when some may not have been. */
export const cancelsHeard = signal(0);
export const condition = signal<Condition>('connecting');

/** Whether rows may move: nobody points at one, has selected one or has scrolled away. */
export const still = signal(false);

/** The filters of the rows; null before the first list. The address may be another page's by now. */
let active: Filter[] | null = null;
export const isListedFor = (of: Filter[]) => JSON.stringify(of) === JSON.stringify(active);
/** The line was opened while another page was shown: what changed before was not heard. */
let stale = false;

let nextBefore: number | null = null;
/** How many windows in a row had no match. */
let barren = 0;
/** What was heard since the list was asked for, and may not be in the answer. */
const since = new Set<number>();
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
      if (listed.peek() === 'loading' && matches(run, of)) since.add(run.id);
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
  const answer = await take(api.GET('/api/test-runs', { params: { query: query as never } }));
  // Somebody has signed in to another project in another tab. The answer is dropped with the list that it was for.
  if (session.peek() && session.peek()?.project.id !== answer.data.project.id) await loadSession();
  return answer;
}

/** Lists from the start, as for a change of the filters. */
export async function list() {
  const mine = ++generation;
  const of = filters.peek();
  active = of;
  stale = false;
  nextBefore = null;
  barren = 0;
  since.clear();
  batch(() => {
    listed.value = 'loading';
    trouble.value = null;
    olderTrouble.value = null;
    older.value = 'none';
    newcomers.value = [];
  });
  try {
    const answer = await page(of, null, PAGE);
    if (mine !== generation) return;
    batch(() => {
      for (const run of answer.data.test_runs.items) learn(run);
      project.value = answer.data.project;
      archivedThrough.value = answer.data.archived_through;
      const ids = answer.data.test_runs.items.map(({ id }) => id);
      nextBefore = answer.pagination.next_before;
      const end = nextBefore === null ? 0 : (ids.at(-1) ?? 0);
      shown.value = newestFirst([...ids, ...[...since].filter((id) => id > end)]);
      newcomers.value = [];
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
  for (let windows = 0; windows < 5 && shown.peek().length < 20 && older.peek() === 'more'; windows++) {
    await listOlder();
    if (mine !== generation) return;
  }
}

export async function listOlder() {
  if (older.peek() !== 'more' && older.peek() !== 'paused') return;
  const mine = generation;
  older.value = 'loading';
  olderTrouble.value = null;
  try {
    const answer = await page(active ?? [], nextBefore, PAGE * 2);
    if (mine !== generation) return;
    batch(() => {
      for (const run of answer.data.test_runs.items) learn(run);
      shown.value = [...shown.peek(), ...answer.data.test_runs.items.map(({ id }) => id)];
      nextBefore = answer.pagination.next_before;
      archivedThrough.value = answer.data.archived_through;
      barren = answer.data.test_runs.items.length === 0 ? barren + 1 : 0;
      older.value = nextBefore === null ? 'none' : barren < BARREN_AT_MOST ? 'more' : 'paused';
      if (older.value === 'paused') barren = 0;
    });
  } catch (error) {
    if (mine !== generation) return;
    batch(() => {
      older.value = 'paused';
      olderTrouble.value = said(error);
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
  const seen = new Set<number>();
  try {
    for (let before: number | null = null, read = 0; read < want; read += 100) {
      const answer: Awaited<ReturnType<typeof page>> = await page(of, before, 100);
      if (mine !== generation) return;
      archivedThrough.value = answer.data.archived_through;
      for (const run of answer.data.test_runs.items) {
        seen.add(run.id);
        hear(run);
      }
      before = answer.pagination.next_before;
      if (before === null) break;
    }
    trouble.value = null;
    await catchUp(mine, seen);
  } catch (error) {
    // The rows that are there are better than none.
    if (mine === generation) trouble.value = said(error);
  }
}

/** Where the last look at them began. */
let turn = 0;

/** Rows of runs that went on when they were last heard of, and that the list has left out: they match no more, or it was not
 * read that far. Each is asked for; if there are many, the others next time. */
async function catchUp(mine: number, seen: ReadonlySet<number>) {
  const left = shown.peek().filter((id) => {
    const run = known.get(id)?.peek();
    return run && (isOpen(run) || run.stop?.outcome === 'stopping') && !seen.has(id);
  });
  turn = left.length > ONE_BY_ONE ? (turn + ONE_BY_ONE) % left.length : 0;
  for (const id of [...left.slice(turn), ...left.slice(0, turn)].slice(0, ONE_BY_ONE)) {
    const { data } = await api.GET('/api/test-runs/{id}', { params: { path: { id } } });
    if (mine !== generation) return;
    if (data) hear(data.data.test_run);
  }
}
/** The runs that the person's own request has changed; the hub tells of them too, but not always. */
export async function look(ids: readonly number[]) {
  if (ids.length > ONE_BY_ONE) return listAnew();
  try {
    for (const id of ids) {
      const { data } = await api.GET('/api/test-runs/{id}', { params: { path: { id } } });
      if (data) hear(data.data.test_run);
    }
  } catch {
    // The list is read anew soon enough.
  }
}

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

/** Who follows what. A key that may not read is refused. */
const watcher = computed(() => begun.value && may.read.value && person.value);

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
      if (message.type === 'progress') hearReport(message);
      if (message.type !== 'run') return;
      hear(message.run);
      if (message.run.cancel) cancelsHeard.value++;
    },
    opened: () => {
      // The first list was asked for at the same time as the line, and may be older than it.
      lastAnew = Date.now();
      cancelsHeard.value++;
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
      archivedThrough.value = null;
      trouble.value = null;
      olderTrouble.value = null;
      listed.value = 'loading';
    });
  };
}
