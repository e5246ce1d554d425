import { Bar, far, shortly } from '../ui/progress';
import { detail, State, stopWords, took } from '../ui/state';
import { Ago, At, duration, Since } from '../ui/time';
import { KillButton, StopButton } from './buttons';
import { actorOf, isOpen } from './filters';
import { rows } from './search';
import { cursor, selected, toggle } from './selection';
import { progressOf, runOf } from './store';

const ciRun = (metadata: { [name: string]: unknown } | null) => {
  const id = metadata?.ci_run_id;
  return id === undefined ? null : `CI ${id}`;
};

/** A run. It looks at its own signal, so a change of another run does not draw it again. */
export function Row({ id, index }: { id: number; index: number }) {
  const run = runOf(id)?.value;
  if (!run) return null;
  const open = isOpen(run);
  const stopping = run.stop?.outcome === 'stopping';
  const chosen = selected.value.has(id);
  const length = took(run);
  const about = [actorOf(run), ciRun(run.metadata), run.tags.join(', ')].filter(Boolean).join(' · ');
  const more = detail(run);
  const progress = progressOf(run);
  return (
    <tr
      data-run={id}
      tabIndex={-1}
      aria-rowindex={index + 2}
      aria-selected={open ? chosen : undefined}
      class={`${cursor.value === id ? 'at' : ''}${chosen ? ' chosen' : ''}`}
    >
      <td class="pick">
        {(open || chosen) && (
          <label>
            <input
              type="checkbox"
              checked={chosen}
              aria-label={`Select run ${id}`}
              onClick={(event) => toggle(id, rows.peek(), event.shiftKey)}
            />
          </label>
        )}
      </td>
      <td class="grow">
        <a href={`/runs/${id}`}>
          <b>{run.test_run_branch ?? 'no branch'}</b> <span class="num">#{id}</span>
        </a>
        <div class="sub" title={about}>
          {about}
        </div>
      </td>
      <td class="state">
        <State run={run} /> <span class="sub">{stopWords(run)}</span>
        {progress ? (
          <div class="sub" title={far(progress)}>
            <Bar of={progress} label={`Tests of run ${id}`} /> {shortly(progress)}
          </div>
        ) : (
          <div class="sub" title={more}>
            {more}
          </div>
        )}
      </td>
      <td class="num shards" title={`${run.finished_shards} of ${run.total_shards} shards are finished`}>
        {run.total_shards > 1 || run.finished_shards > 0 ? `${run.finished_shards}/${run.total_shards}` : '–'}
      </td>
      <td class="environment">{run.environment.name}</td>
      <td class="num time">
        {open ? <Since at={run.created_at} /> : length === null ? '–' : duration(length)}
        <div class="sub">{open ? <At at={run.created_at} /> : <Ago at={run.created_at} />}</div>
      </td>
      <td class="act">{open ? <StopButton run={run} /> : stopping ? <KillButton run={run} /> : null}</td>
    </tr>
  );
}
