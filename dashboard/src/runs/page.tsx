import { effect, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { search } from '../router';
import { may } from '../session';
import { Heading } from '../ui/heading';
import { Keys } from '../ui/keys';
import { now } from '../ui/time';
import { NoRuns } from './empty';
import { filters, isForOpen } from './filters';
import { helping, listenToKeys } from './keyboard';
import { Row } from './row';
import { needle, rows } from './search';
import { clear, cursor, selected, toggleAll } from './selection';
import { asking } from './stop';
import {
  archivedThrough,
  arrive,
  condition,
  letIn,
  listAnew,
  listed,
  listOlder,
  newcomers,
  older,
  olderTrouble,
  still,
  trouble,
} from './store';
import { Toolbar } from './toolbar';
import { useWindow } from './window';

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
  const unseen = count - rows.value.filter((id) => selected.value.has(id)).length;
  const why = may.cancel.value ? null : 'This key may not stop runs: it lacks the scope cancel.';
  return (
    <section class="bar" aria-label="What is selected">
      <b role="status">
        {count} selected{unseen > 0 && `, ${unseen} of them out of sight`}
      </b>
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

/** Why there is no row. */
function Nothing() {
  if (needle.value.trim() !== '' && listed.value === 'ready') {
    return (
      <div class="empty">
        <h2>None of these runs has “{needle.value.trim()}”</h2>
        <p>Press Enter, or choose what it is above, to look for it among all runs.</p>
        <p>
          <button
            type="button"
            onClick={() => {
              needle.value = '';
            }}
          >
            Show these runs
          </button>
        </p>
      </div>
    );
  }
  const looking = listed.value === 'loading' || older.value === 'loading' || older.value === 'more';
  if (looking) return <p class="empty soft">Loading…</p>;
  return listed.value === 'ready' ? <NoRuns /> : null;
}

/** Where the list ends because the runs before are archived. */
function Archived() {
  const through = archivedThrough.value;
  if (!through || older.value !== 'none' || listed.value !== 'ready' || needle.value !== '') return null;
  // What is archived is over, and would not match.
  if (isForOpen(filters.value)) return null;
  return (
    <p class="soft end">
      Runs up to <a href={`/runs/${through}`}>#{through}</a> are archived. To open one, type its number above;{' '}
      <code>estop export</code> prints them all.
    </p>
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
      {ids.length === 0 && <Nothing />}
      {ids.length > 0 && older.value === 'loading' && <p class="soft end">Loading older runs…</p>}
      {older.value === 'paused' && needle.value === '' && (
        <p class="soft end">
          {olderTrouble.value ?? 'None of the runs before these matches, as far as they were looked at.'}{' '}
          <button type="button" onClick={() => void listOlder()}>
            {olderTrouble.value ? 'Try again' : 'Look further back'}
          </button>
        </p>
      )}
      <Archived />
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
      <Heading title="Runs" class="unseen">
        Runs
      </Heading>
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
