import { computed, effect, signal } from '@preact/signals';
import type { Run } from '../api/client';
import { go, path, search } from '../router';
import { whenAnother } from '../session';

/** A condition of the list, as it stands in the address: `?state=open&environment=staging`. */
export interface Filter {
  name: string;
  value: string;
}

export const OPEN = ['pending', 'queued', 'started'] as const;
const METADATA = 'metadata.';

interface Kind {
  /** How a chip says it. */
  chip: (value: string) => string;
  /** How the form names it. */
  label: string;
  /** Several of it mean any of them; else each must hold. */
  any?: boolean;
  /** Only one of it makes sense. */
  single?: boolean;
  values?: readonly string[];
  matches: (run: Run, value: string) => boolean;
}

/** The GitHub account that triggered the job or, without one, who registered the run. */
export const actorOf = (run: Run) => run.github_actor ?? run.created_by;

/** In the order in which the form offers them. */
export const KINDS: Record<string, Kind> = {
  branch: { label: 'Branch', chip: (v) => `branch ${v}`, single: true, matches: (run, v) => run.test_run_branch === v },
  actor: { label: 'Actor', chip: (v) => `by ${v}`, single: true, matches: (run, v) => actorOf(run) === v },
  environment: { label: 'Environment', chip: (v) => v, any: true, matches: (run, v) => run.environment.slug === v },
  tag: { label: 'Tag', chip: (v) => `tag ${v}`, matches: (run, v) => run.tags.includes(v) },
  state: {
    label: 'State',
    chip: (v) => v,
    any: true,
    values: ['open', ...OPEN, 'ended', 'error', 'cancelled'],
    matches: (run, v) => (v === 'open' ? isOpen(run) : run.state === v),
  },
  result: {
    label: 'Result',
    chip: (v) => v,
    single: true,
    values: ['passed', 'failed'],
    matches: (run, v) => run.result === v,
  },
  cause: {
    label: 'Cause of the stop',
    chip: (v) => `stopped: ${v.replace('_', ' ')}`,
    single: true,
    values: ['user', 'stale', 'superseded', 'fail_fast'],
    matches: (run, v) => run.cancel?.cause === v,
  },
  cancelled_by: {
    label: 'Stopped by',
    chip: (v) => `stopped by ${v}`,
    single: true,
    matches: (run, v) => run.cancel?.by === v,
  },
  stop: {
    label: 'How it stopped',
    chip: (v) => `stop: ${v.replace('_', ' ')}`,
    single: true,
    values: ['stopping', 'graceful', 'terminated', 'killed', 'lost', 'never_started'],
    matches: (run, v) => run.stop?.outcome === v,
  },
  id: { label: 'Run', chip: (v) => `#${v}`, single: true, matches: (run, v) => String(run.id) === v },
  created_from: {
    label: 'Registered from',
    chip: (v) => `from ${v}`,
    single: true,
    matches: (run, v) => Date.parse(run.created_at) >= moment(v).getTime(),
  },
  created_to: {
    label: 'Registered before',
    chip: (v) => `before ${v}`,
    single: true,
    matches: (run, v) => Date.parse(run.created_at) < moment(v).getTime(),
  },
};

/** A day that is given without a time begins at midnight where the viewer is. */
const moment = (value: string) => new Date(/^\d{4}-\d\d-\d\d$/.test(value) ? `${value}T00:00` : value);

const metadataKind = (name: string): Kind => ({
  label: name,
  chip: (v) => `${name.slice(METADATA.length)} = ${v}`,
  matches: (run, v) => String(run.metadata?.[name.slice(METADATA.length)]) === v,
});

export function kindOf(name: string): Kind | undefined {
  if (Object.hasOwn(KINDS, name)) return KINDS[name];
  return name.startsWith(METADATA) && name.length > METADATA.length ? metadataKind(name) : undefined;
}

export const isOpen = (run: Run) => (OPEN as readonly string[]).includes(run.state);

/** Whether only runs that are not over match. */
export const isForOpen = (of: Filter[]) => {
  const states = of.filter(({ name }) => name === 'state').map(({ value }) => value);
  return states.length > 0 && states.every((value) => value === 'open' || (OPEN as readonly string[]).includes(value));
};

/** The filters of the address; what the page does not know is left out. */
export const filters = computed<Filter[]>(() =>
  [...new URLSearchParams(search.value)].flatMap(([name, value]) => (kindOf(name) && value ? [{ name, value }] : [])),
);

/** The list as it was last seen, with its filters: where one goes back to. */
export const lastList = signal('/');
effect(() => {
  if (path.value === '/') lastList.value = `/${search.value}`;
});
whenAnother(() => {
  if (path.peek() !== '/') lastList.value = '/';
});

export const has = (name: string, value: string) => filters.value.some((f) => f.name === name && f.value === value);

/** Leaves the page at `/` with these filters. Typing them one by one is one step of the history each. */
export function setFilters(next: Filter[]) {
  const query = new URLSearchParams(next.map(({ name, value }) => [name, value]));
  const text = query.toString();
  go(text ? `/?${text}` : '/');
}

export function addFilter(name: string, value: string) {
  if (has(name, value)) return;
  const kept = kindOf(name)?.single ? filters.value.filter((f) => f.name !== name) : filters.value;
  setFilters([...kept, { name, value }]);
}

export const removeFilter = (name: string, value: string) =>
  setFilters(filters.value.filter((f) => f.name !== name || f.value !== value));

export const toggleFilter = (name: string, value: string) =>
  has(name, value) ? removeFilter(name, value) : addFilter(name, value);

/** What the service is asked. */
export function toQuery(of: Filter[]): Record<string, string[]> {
  const query: Record<string, string[]> = {};
  for (const { name, value } of of) {
    const date = name.startsWith('created_') ? moment(value) : null;
    // What is no date is left to the service to refuse.
    const sent = date && !Number.isNaN(date.getTime()) ? date.toISOString() : value;
    const values = name === 'state' && value === 'open' ? OPEN : [sent];
    query[name] = [...new Set([...(query[name] ?? []), ...values])];
  }
  return query;
}

/** Whether a run belongs in the list, as the service decides it: what is heard is filtered here. */
export function matches(run: Run, of: Filter[]): boolean {
  const anyOf = new Map<string, boolean>();
  for (const { name, value } of of) {
    const kind = kindOf(name);
    const holds = kind?.matches(run, value) ?? true;
    if (kind?.any) anyOf.set(name, holds || (anyOf.get(name) ?? false));
    else if (!holds) return false;
  }
  return [...anyOf.values()].every(Boolean);
}
