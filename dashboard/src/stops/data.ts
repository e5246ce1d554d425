import { computed, signal } from '@preact/signals';
import { api, type Schemas, said, take } from '../api/client';
import { go, search } from '../router';
import { whenAnother } from '../session';

export type Day = Schemas['DailyRuns'];
export type Analytics = Schemas['Analytics'];
export type Cancelled = Schemas['ListedCancel'];

export const SPANS = [7, 14, 30, 90];
export const CAUSES = ['user', 'superseded', 'stale', 'fail_fast'] as const;

const query = computed(() => new URLSearchParams(search.value));
export const days = computed(() => {
  const given = Number(query.value.get('days'));
  return SPANS.includes(given) ? given : 14;
});
export const of = (name: string) => query.value.get(name) ?? '';

/** Changes parts of the address; an empty value takes one out. */
export function setParts(parts: Record<string, string>) {
  const next = new URLSearchParams(search.peek());
  for (const [name, value] of Object.entries(parts)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  const text = next.toString();
  go(text ? `/stops?${text}` : '/stops');
}

export const analytics = signal<Analytics | null>(null);
export const cancels = signal<Cancelled[] | null>(null);
export const more = signal<string | null>(null);
/** Runs up to this one are archived: their cancels are not listed. */
export const archivedThrough = signal<number | null>(null);
export const trouble = signal<string | null>(null);

const DAY = /^\d{4}-\d\d-\d\d$/;

/** A day as it stands in the address, so many days from now, where the viewer is. */
export function dayFromNow(days: number): string {
  const date = new Date();
  date.setDate(date.getDate() + days);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((n) => String(n).padStart(2, '0')).join('-');
}

/** Where a day begins for the viewer or, so many days later, ends. What is no day is left to the service. */
function moment(value: string, days = 0): string {
  if (!DAY.test(value)) return value;
  const date = new Date(`${value}T00:00`);
  if (Number.isNaN(date.getTime())) return value;
  date.setDate(date.getDate() + days);
  return date.toISOString();
}

/** What filters the list. Both days are of it. */
export const FILTERS = ['by', 'cause', 'environment', 'from', 'to'] as const;

function filters() {
  const parts: Record<string, string> = {};
  for (const name of FILTERS) if (of(name)) parts[name] = of(name);
  if (parts.from) parts.from = moment(parts.from);
  if (parts.to) parts.to = moment(parts.to, 1);
  return parts;
}

/** The service tries a filter on so many cancels and no more, so a page may be empty and not the last one: so many are read. */
const WINDOWS = 5;

/** The next page that has something, looking so far at most. */
async function page(before: string | null, most = WINDOWS) {
  let at = before;
  for (let windows = 0; ; ) {
    const query = { ...filters(), ...(at === null ? {} : { before: at }), per_page: 50 };
    const { data, pagination } = await take(api.GET('/api/cancels', { params: { query: query as never } }));
    at = pagination.next_before;
    const archived = data.archived_through;
    if (data.cancels.length > 0 || at === null || ++windows === most)
      return { cancels: data.cancels, next: at, archived };
  }
}

let generation = 0;

export async function load() {
  const mine = ++generation;
  trouble.value = null;
  try {
    const environment = of('environment') ? { environment: of('environment') } : {};
    const [numbers, list] = await Promise.all([
      take(api.GET('/api/analytics/test-runs', { params: { query: { days: days.peek(), ...environment } } })),
      page(null),
    ]);
    if (mine !== generation) return;
    analytics.value = numbers.data;
    cancels.value = list.cancels;
    more.value = list.next;
    archivedThrough.value = list.archived;
  } catch (error) {
    if (mine !== generation) return;
    // What is there was for other filters.
    analytics.value = null;
    cancels.value = null;
    trouble.value = said(error);
  }
}

/** Reads the newest once more, since something was stopped. */
export async function refresh() {
  const mine = generation;
  const before = cancels.peek();
  if (before === null) return;
  try {
    const list = await page(null, 1);
    if (mine !== generation) return;
    const read = new Set(list.cancels.map(({ test_run }) => test_run.id));
    cancels.value = [...list.cancels, ...(cancels.peek() ?? []).filter(({ test_run }) => !read.has(test_run.id))];
    if (before.length === 0 && more.peek() === null) more.value = list.next;
    archivedThrough.value = list.archived;
  } catch {
    // What is there stands; the next one is tried again.
  }
}

export async function loadOlder() {
  const mine = generation;
  if (more.peek() === null) return;
  trouble.value = null;
  try {
    const list = await page(more.peek());
    if (mine !== generation) return;
    cancels.value = [...(cancels.peek() ?? []), ...list.cancels];
    more.value = list.next;
    archivedThrough.value = list.archived;
  } catch (error) {
    if (mine === generation) trouble.value = said(error);
  }
}

whenAnother(() => {
  generation++;
  analytics.value = null;
  cancels.value = null;
  more.value = null;
  archivedThrough.value = null;
  trouble.value = null;
});
