import { batch, signal } from '@preact/signals';
import { api, type Run, type Schemas, said, take } from '../api/client';
import { openLine, type Report, type Step } from '../live/line';
import { isOpen } from '../runs/filters';
import type { Failure } from './failures';

export type Event = Schemas['RunEvent'];

/** A shard's heartbeats renew its lease, which nobody is told of. */
const BEATS_MS = 5000;

/** What tells that other tests may have failed than are known. */
const failedAs = (run: Run) => `${run.version} ${(run.shards ?? []).map(({ progress }) => progress?.failed ?? 0)}`;

/** Follows one run: its record, its events, how far its tests are, and the steps of its stop as they happen. */
export function followRun(id: number) {
  const run = signal<Run | null>(null);
  const events = signal<Event[]>([]);
  const steps = signal<ReadonlyMap<number, Step>>(new Map());
  /** What was heard since the page was opened, by shard. */
  const reports = signal<ReadonlyMap<number, Report>>(new Map());
  const failures = signal<Failure[]>([]);
  let failed: string | null = null;
  const problem = signal<{ message: string; status: number } | null>(null);
  let under = false;
  let again = false;
  let ended = false;

  /** Reads the record. What is asked for meanwhile is one more reading afterwards. */
  async function read() {
    if (under) {
      again = true;
      return;
    }
    under = true;
    do {
      again = false;
      const path = { id };
      try {
        const listFailures = () => take(api.GET('/api/test-runs/{id}/failures', { params: { path } }));
        const [one, all, first] = await Promise.all([
          take(api.GET('/api/test-runs/{id}', { params: { path } })),
          take(api.GET('/api/test-runs/{id}/events', { params: { path } })),
          // With the first look, so that nothing moves when they come; from then on when there may be others.
          failed === null ? listFailures() : null,
        ]);
        if (ended) return;
        const now = failedAs(one.data.test_run);
        const named = first ?? (failed === now ? null : await listFailures());
        if (ended) return;
        failed = now;
        batch(() => {
          if (named) failures.value = named.data.failures;
          if (run.peek() === null || one.data.test_run.version >= (run.peek()?.version ?? 0))
            run.value = one.data.test_run;
          events.value = all.data.events;
          problem.value = null;
        });
        if (one.data.test_run.archived) hangUp();
      } catch (error) {
        problem.value = { message: said(error), status: (error as { status?: number }).status ?? 0 };
      }
    } while (again && !ended);
    under = false;
  }

  const line = openLine({
    path: `/api/test-runs/${id}/watch`,
    hear: (message) => {
      if (message.type === 'step') {
        steps.value = new Map(steps.peek()).set(message.shard, message);
        return;
      }
      if (message.type === 'progress') {
        reports.value = new Map(reports.peek()).set(message.shard, message);
        return;
      }
      // What is heard is the run alone; what goes with it stands until the record is read.
      const before = run.peek();
      if (before && before.version < message.run.version) {
        run.value = { ...before, ...message.run };
      }
      void read();
    },
    opened: () => void read(),
  });
  void read();
  const timer = setInterval(() => {
    const now = run.peek();
    const alive = now === null || isOpen(now) || now.stop?.outcome === 'stopping';
    if (alive && document.visibilityState === 'visible' && navigator.onLine) void read();
  }, BEATS_MS);

  /** Nothing more will be heard: what is archived never changes. */
  const hangUp = () => {
    clearInterval(timer);
    line.end();
  };

  return {
    run,
    events,
    steps,
    reports,
    failures,
    problem,
    condition: line.condition,
    read,
    end() {
      ended = true;
      hangUp();
    },
  };
}

export type Followed = ReturnType<typeof followRun>;
