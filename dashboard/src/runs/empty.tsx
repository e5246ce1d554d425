import { environments } from '../environments';
import { Copyable } from '../ui/copy';
import { CallMe } from './call_me';
import { filters, has, setFilters } from './filters';
import { me } from './mine';
import { archivedThrough } from './store';

/** A list without rows says how to get some. */
export function NoRuns() {
  if (filters.value.length > 0) {
    return (
      <div class="empty">
        <h2>No run matches</h2>
        {has('actor', me.value) && <CallMe />}
        <p>
          <button type="button" onClick={() => setFilters([])}>
            Show all runs
          </button>
        </p>
      </div>
    );
  }
  const slug = environments.value?.findLast(({ disabled }) => !disabled)?.slug;
  return (
    <div class="empty">
      <h2>{archivedThrough.value ? 'All runs are archived' : 'No runs yet'}</h2>
      {slug || environments.value === null ? (
        <>
          <p>Put this in front of your test command, in CI or here. The run appears on this page at once.</p>
          <Copyable
            label="the commands"
            text={`export ESTOP_URL=${location.origin} ESTOP_KEY=<a key with the scope run>
estop run --environment ${slug ?? 'staging'} -- npx playwright test`}
          />
        </>
      ) : (
        <p>
          A run belongs to an environment, and this project has none that takes runs. Make one in{' '}
          <a href="/settings">Settings</a>.
        </p>
      )}
    </div>
  );
}
