import { computed, signal } from '@preact/signals';
import { api, type Schemas, said, take } from '../api/client';
import { go, search } from '../router';

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

/** Changes one part of the address; an empty value takes it out. */
export function setPart(name: string, value: string) {
  const next = new URLSearchParams(search.peek());
  if (value) next.set(name, value);
  else next.delete(name);
  const text = next.toString();
  go(text ? `/stops?${text}` : '/stops');
}

export const analytics = signal<Analytics | null>(null);
export const cancels = signal<Cancelled[] | null>(null);
export const more = signal<string | null>(null);
export const trouble = signal<string | null>(null);

const given = (...names: string[]) => {
  const parts: Record<string, string> = {};
  for (const name of names) if (of(name)) parts[name] = of(name);
  return parts;
};

let generation = 0;

export async function load() {
  const mine = ++generation;
  trouble.value = null;
  try {
    const environment = given('environment');
    const [numbers, list] = await Promise.all([
      take(api.GET('/api/analytics/test-runs', { params: { query: { days: days.peek(), ...environment } } })),
      take(
        api.GET('/api/cancels', {
          params: { query: { ...given('by', 'cause', 'environment', 'from', 'to'), per_page: 50 } as never },
        }),
      ),
    ]);
    if (mine !== generation) return;
    analytics.value = numbers.data;
    cancels.value = list.data.cancels;
    more.value = list.pagination.next_before;
  } catch (error) {
    if (mine === generation) trouble.value = said(error);
  }
}

export async function loadOlder() {
  const mine = generation;
  const before = more.peek();
  if (before === null) return;
  const query = { ...given('by', 'cause', 'environment', 'from', 'to'), before, per_page: 50 };
  try {
    const list = await take(api.GET('/api/cancels', { params: { query: query as never } }));
    if (mine !== generation) return;
    cancels.value = [...(cancels.peek() ?? []), ...list.data.cancels];
    more.value = list.pagination.next_before;
  } catch (error) {
    if (mine === generation) trouble.value = said(error);
  }
}
