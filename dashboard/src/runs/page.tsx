import { computed, effect, signal, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Run } from '../api/client';
import { search } from '../router';
import { may } from '../session';
import { Keys } from '../ui/keys';
import { now } from '../ui/time';
import { NoRuns } from './empty';
import { actorOf } from './filters';
import { helping, listenToKeys } from './keyboard';
import { Row } from './row';
import { clear, cursor, selected, toggleAll } from './selection';
import { asking } from './stop';
import {
  arrive,
  condition,
  letIn,
  listAnew,
  listed,
  listOlder,
  newcomers,
  older,
  runOf,
  shown,
  still,
  trouble,
} from './store';
import { Toolbar } from './toolbar';
import { useWindow } from './window';

const needle = signal('');

const says = (run: Run, text: string) =>
  [`#${run.id}`, run.test_run_branch, actorOf(run), run.created_by, run.environment.slug, ...run.tags].some((part) =>
    part?.toLowerCase().includes(text),
  );

/** The rows that what is typed leaves. */
const rows = computed(() => {
  const text = needle.value.trim().toLowerCase();
  if (text === '') return shown.value;
  return shown.value.filter((id) => {
    const run = runOf(id)?.peek();
    return run !== undefined && says(run, text);
  });
});

/** A finger gives no warning before it taps. */
const touched = matchMedia('(hover: none) and (pointer: coarse)');

/** Lets new runs in only while nobody could be about to click a row. */
function useStillness() {
  const pointed = useSignal(false);
  const scrolled = useSignal(scrollY > 40);
  useEffect(() => {
    const look = () => {
      scrolled.value = scrollY > 40;
    };
    addEventListener('scroll', look, { passive: true });
    const stop = effect(() => {
      still.value =
        pointed.value || scrolled.value || selected.value.size > 0 || cursor.value !== null || touched.matches;
      // Runs that no longer match leave when they do not take the place of what one points at.
      if (!still.value && Math.floor(now.value / 1000) % 5 === 0) letIn();
    });
    return () => {
      removeEventListener('scroll', look);
      stop();
      still.value = false;
    };
  }, []);
  return pointed;
}

function Bar() {
  const count = selected.value.size;
  if (count === 0) return null;
  const why = may.cancel.value ? null : 'This key may not stop runs: it lacks the scope cancel.';
  return (
    <section class="bar" aria-label="What is selected">
      <b role="status">{count} selected</b>
      <button
        type="button"
        class="stop"
        aria-disabled={why !== null}
        title={why ?? undefined}
        onClick={() => {
          if (!why) asking.value = [...selected.value];
        }}
      >
        Stop…
      </button>
      <button type="button" onClick={clear}>
        Clear
      </button>
      <span class="sub wide">
        <kbd>j</kbd> <kbd>k</kbd> move · <kbd>x</kbd> select · <kbd>c</kbd> stop · <kbd>?</kbd> keys
      </span>
    </section>
  );
}

function All() {
  const count = selected.value.size;
  return (
    <input
      type="checkbox"
      aria-label={count > 0 ? 'Clear the selection' : 'Select all open runs'}
      checked={count > 0}
      onClick={toggleAll}
    />
  );
}

function Newcomers() {
  const count = newcomers.value.length;
  if (count === 0) return null;
  return (
    <button
      type="button"
      class="new"
      onClick={() => {
        letIn();
        scrollTo({ top: 0 });
      }}
    >
      {count === 1 ? '1 new run' : `${count} new runs`}: show
    </button>
  );
}

function Table() {
  const body = useRef<HTMLTableSectionElement>(null);
  const pointed = useStillness();
  const ids = rows.value;
  const { from, to, above, below, height } = useWindow(ids.length, body);

  useEffect(
    () =>
      listenToKeys(
        () => rows.peek(),
        (index) => {
          const top = (body.current?.getBoundingClientRect().top ?? 0) + index * height;
          // Clear of the header above and the bar below.
          if (top < 120) scrollBy(0, top - 120);
          else if (top + height > innerHeight - 60) scrollBy(0, top + height - innerHeight + 60);
          requestAnimationFrame(() => {
            const id = rows.peek()[index];
            body.current?.querySelector<HTMLElement>(`[data-run="${id}"]`)?.focus({ preventScroll: true });
          });
        },
      ),
    [height],
  );
  // Before the end is in sight, what is older is on its way.
  useEffect(() => {
    if (to >= ids.length - 10 && older.value === 'more' && needle.value === '') void listOlder();
  }, [to, ids.length, older.value]);

  return (
    <div
      class="card list"
      data-listed={listed.value}
      onPointerEnter={() => {
        pointed.value = true;
      }}
      onPointerLeave={() => {
        pointed.value = false;
      }}
    >
      <Newcomers />
      <table aria-label="Test runs" aria-rowcount={older.value === 'none' ? ids.length + 1 : -1}>
        <thead>
          <tr>
            <th class="pick">
              <All />
            </th>
            <th class="grow">Run</th>
            <th>State</th>
            <th class="shards">Shards</th>
            <th>Environment</th>
            <th>Time</th>
            <th>
              <span class="unseen">Stop it</span>
            </th>
          </tr>
        </thead>
        <tbody ref={body}>
          {above > 0 && (
            <tr class="room" style={{ height: `${above}px` }}>
              <td colSpan={7} aria-hidden="true" />
            </tr>
          )}
          {ids.slice(from, to).map((id, at) => (
            <Row key={id} id={id} index={from + at} />
          ))}
          {below > 0 && (
            <tr class="room" style={{ height: `${below}px` }}>
              <td colSpan={7} aria-hidden="true" />
            </tr>
          )}
        </tbody>
      </table>
      {ids.length === 0 && listed.value === 'ready' && older.value === 'none' && <NoRuns />}
      {ids.length === 0 && (listed.value === 'loading' || older.value !== 'none') && <p class="empty soft">Loading…</p>}
      {ids.length > 0 && older.value === 'loading' && <p class="soft end">Loading older runs…</p>}
      <Bar />
    </div>
  );
}

export function RunsPage() {
  useEffect(() => {
    arrive();
    clear();
    cursor.value = null;
  }, [search.value]);

  return (
    <main>
      <h1 class="unseen">Runs</h1>
      <Toolbar needle={needle} />
      {trouble.value && (
        <p class="problem" role="alert">
          {trouble.value}{' '}
          <button type="button" onClick={() => void listAnew()}>
            Try again
          </button>
        </p>
      )}
      {condition.value === 'offline' && <p class="problem">You are offline. This is what was known before.</p>}
      <Table />
      {helping.value && (
        <Keys
          close={() => {
            helping.value = false;
          }}
        />
      )}
    </main>
  );
}
