import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Run } from '../api/client';
import { go } from '../router';
import { KillButton, StopButton, whyNotKill, whyNotStop } from '../runs/buttons';
import { isOpen, lastList } from '../runs/filters';
import { asking, askingToKill } from '../runs/stop';
import { Heading } from '../ui/heading';
import { far } from '../ui/progress';
import { detail, State, who, why } from '../ui/state';
import { Ago, At, duration, now, ticking } from '../ui/time';
import { say } from '../ui/toast';
import { Facts } from './facts';
import { Failures } from './failures';
import { Lanes, progressOfRun } from './lanes';
import { Stopping } from './stopping';
import { type Followed, followRun } from './store';
import { timeline } from './timeline';

/** Keys of this page: c stops, or kills, as in the list; Esc goes back to that. */
function useKeys(run: Run | null) {
  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
      if ((event.target as HTMLElement).matches('input, textarea, select') || !run) return;
      if (event.key === 'c') {
        const stopping = run.stop?.outcome === 'stopping';
        const not = stopping ? whyNotKill(run) : whyNotStop(run);
        if (not) say(not);
        else if (stopping) askingToKill.value = run.id;
        else asking.value = [run.id];
        event.preventDefault();
      }
      if (event.key === 'Escape') go(lastList.peek());
    };
    document.addEventListener('keydown', keys);
    return () => document.removeEventListener('keydown', keys);
  }, [run]);
}

function Banner({ run }: { run: Run }) {
  const stopping = run.stop?.outcome === 'stopping';
  return (
    <section class="card banner" aria-label="State">
      <div>
        <Heading title={`${run.test_run_branch ?? 'no branch'} #${run.id}`}>
          {run.test_run_branch ?? 'no branch'} <span class="num">#{run.id}</span>
        </Heading>
        <p class="sub">
          <State run={run} />{' '}
          {run.cancel ? (
            <>
              · cancelled by <b>{who(run.cancel.by)}</b> <Ago at={run.cancel.at} />
              {run.cancel.reason && !run.superseded_by ? `: “${run.cancel.reason}”` : `, ${why(run)}`}
              {run.stop?.duration_ms != null && ` · everything had stopped after ${duration(run.stop.duration_ms)}`}
              {run.stop?.outcome === 'lost' && ' · a runner was lost, so its tests may have gone on'}
              {run.stop?.outcome === 'never_started' && ' · no tests had started'}
            </>
          ) : (
            <>
              {detail(run) && `· ${detail(run)} `}
              {isOpen(run) && `· ${ticking(now.value - Date.parse(run.started_at ?? run.created_at))}`}
            </>
          )}
        </p>
        {run.archived && <p class="sub">Archived: no list has it, and it never changes.</p>}
      </div>
      {!run.archived && <StopButton run={run} told />}
      {run.cancel && stopping && <KillButton run={run} told />}
    </section>
  );
}

function Timeline({ run, events }: Pick<Followed, 'events'> & { run: Run }) {
  const moments = timeline(run, events.value);
  return (
    <ol class="timeline">
      {moments.map(({ at, what, more, bold }, index) => {
        const before = moments[index - 1];
        const since = before ? Date.parse(at) - Date.parse(before.at) : null;
        return (
          <li key={`${at} ${what}`}>
            <span class="t">
              {since !== null && <span class="delta">+{duration(since)}</span>} <At at={at} />
            </span>
            {bold ? <b>{what}</b> : what}
            {more && <span class="soft">: {more}</span>}
          </li>
        );
      })}
    </ol>
  );
}

function Loaded({ run, followed }: { run: Run; followed: Followed }) {
  useKeys(run);
  const progress = progressOfRun(run, followed.reports.value);
  return (
    <>
      <Banner run={run} />
      <div class="grid">
        <div>
          <Stopping run={run} steps={followed.steps.value} />
          <h2>
            {run.total_shards > 1 ? 'Shards' : 'Runner'}{' '}
            {run.total_shards > 1 && progress && <span class="sub total">{far(progress)}</span>}
          </h2>
          <div class="card">
            <Lanes run={run} steps={followed.steps.value} reports={followed.reports.value} />
          </div>
          <Failures failures={followed.failures.value} shards={run.total_shards} />
          <h2>What happened</h2>
          <div class="card">
            <Timeline run={run} events={followed.events} />
          </div>
        </div>
        <aside aria-label="Facts">
          <div class="card">
            <Facts run={run} />
          </div>
          <details class="card raw">
            <summary>The record as JSON</summary>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that a keyboard has to reach it */}
            <pre tabIndex={0}>{JSON.stringify(run, null, 2)}</pre>
          </details>
        </aside>
      </div>
    </>
  );
}

export function RunPage({ id }: { id: number }) {
  const followed = useSignal<Followed | null>(null);
  useEffect(() => {
    const one = followRun(id);
    followed.value = one;
    return () => one.end();
  }, [id]);
  const run = followed.value?.run.value;
  const problem = followed.value?.problem.value;
  const missing = problem?.status === 404;
  const again = (
    <button type="button" onClick={() => void followed.value?.read()}>
      Try again
    </button>
  );
  return (
    <main>
      <p class="back">
        <a href={lastList.value}>{lastList.value === '/' ? '← All runs' : '← Runs'}</a>
      </p>
      {missing && (
        <div class="card empty">
          <Heading title={`No run #${id}`}>There is no run #{id}</Heading>
          <p>Not in this project, or not for this key.</p>
        </div>
      )}
      {problem && !missing && run && (
        <p class="problem" role="alert">
          {problem.message} {again}
        </p>
      )}
      {problem && !missing && !run && (
        <div class="card empty">
          <Heading title={`Run #${id}`}>Run #{id} cannot be read now</Heading>
          <p role="alert">{problem.message}</p>
          <p>{again}</p>
        </div>
      )}
      {run && followed.value && <Loaded run={run} followed={followed.value} />}
      {!run && !problem && <p class="soft">Loading…</p>}
    </main>
  );
}
