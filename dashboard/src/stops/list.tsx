import { outcomeWords, who, why } from '../ui/state';
import { At, duration } from '../ui/time';
import { archivedThrough, type Cancelled, cancels, FILTERS, loadOlder, more, of, setParts, trouble } from './data';

function stopped({ stop, stop_ms }: Cancelled): string {
  const words = outcomeWords(stop.outcome);
  return stop_ms === null ? words : `${words}, ${duration(stop_ms)}`;
}

const Row = ({ cancelled }: { cancelled: Cancelled }) => {
  const { test_run: run, cancel, superseded_by } = cancelled;
  return (
    <tr>
      <td class="num when">
        <At at={cancel.at} />
      </td>
      <td class="by">
        <button type="button" class="plain" onClick={() => setParts({ by: cancel.by })} title="Only what they stopped">
          {who(cancel.by)}
        </button>
      </td>
      <td class="run">
        <a href={`/runs/${run.id}`}>
          <b>{run.branch ?? 'no branch'}</b> <span class="num">#{run.id}</span>
        </a>
        <div class="sub">
          {run.environment.name} · registered by {run.created_by}
        </div>
      </td>
      <td class="why">
        {superseded_by ? (
          <a href={`/runs/${superseded_by}`}>{why({ cancel, superseded_by })}</a>
        ) : (
          why({ cancel, superseded_by: null })
        )}
      </td>
      <td class={toneOf(cancelled)}>{stopped(cancelled)}</td>
    </tr>
  );
};

const toneOf = ({ stop }: Cancelled) => (stop.outcome === 'lost' ? 'how odd' : 'how');

const Older = ({ label }: { label: string }) => (
  <p class="end">
    <button type="button" onClick={() => void loadOlder()}>
      {label}
    </button>
  </p>
);

/** Where the list ends because the runs before are archived. */
function Archived() {
  const through = archivedThrough.value;
  if (!through) return null;
  return (
    <p class="soft end">
      Runs up to <a href={`/runs/${through}`}>#{through}</a> are archived, and their stops not listed. A run's page says
      who stopped it; <code>estop export</code> prints them all.
    </p>
  );
}

/** Who stopped what and why, newest first. */
export function Cancels() {
  const rows = cancels.value;
  if (rows === null) return trouble.value ? null : <p class="soft">Loading…</p>;
  if (rows.length === 0) {
    const filtered = FILTERS.some((name) => of(name));
    if (more.value !== null) {
      return (
        <div class="card empty">
          <h3>None of the newest stops matches</h3>
          <Older label="Look further back" />
        </div>
      );
    }
    return (
      <div class="card empty">
        <h3>
          {filtered
            ? 'No stop matches'
            : archivedThrough.value
              ? 'No stop is listed'
              : 'Nobody has stopped anything yet'}
        </h3>
        <p class="soft">
          {filtered
            ? 'Take a filter away to see more.'
            : 'Every stop will be here: who did it, why, and how long it took.'}
        </p>
        <Archived />
      </div>
    );
  }
  return (
    <div class="card cancels">
      <table aria-label="Who stopped what">
        <thead>
          <tr>
            <th>When</th>
            <th>Who</th>
            <th>Run</th>
            <th>Why</th>
            <th>Stopped</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((cancelled) => (
            <Row key={cancelled.test_run.id} cancelled={cancelled} />
          ))}
        </tbody>
      </table>
      {more.value === null ? <Archived /> : <Older label="Older" />}
    </div>
  );
}
