import { useRef } from 'preact/hooks';
import { environments } from '../environments';
import { Copyable } from '../ui/copy';
import { filters, has, setFilters } from './filters';
import { callMe, me } from './mine';

/** A list without rows says how to get some. */
export function NoRuns() {
  const name = useRef<HTMLInputElement>(null);
  if (filters.value.length > 0) {
    const mine = has('actor', me.value);
    return (
      <div class="empty">
        <h2>No run matches</h2>
        {mine && (
          <form
            class="inline"
            onSubmit={(event) => {
              event.preventDefault();
              const given = name.current?.value.trim() ?? '';
              const others = filters.value.filter((f) => f.name !== 'actor');
              callMe(given);
              setFilters([...others, { name: 'actor', value: me.value }]);
            }}
          >
            <label>
              <span>
                Runs by <b>{me.value}</b> are “mine”. Does your CI call you something else?
              </span>
              <input ref={name} autocomplete="off" placeholder="your GitHub name" />
            </label>
            <button type="submit">That is me</button>
          </form>
        )}
        <p>
          <button type="button" onClick={() => setFilters([])}>
            Show all runs
          </button>
        </p>
      </div>
    );
  }
  const slug = environments.value?.at(-1)?.slug;
  return (
    <div class="empty">
      <h2>No runs yet</h2>
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
          A run belongs to an environment, and this project has none yet. Make one in <a href="/settings">Settings</a>.
        </p>
      )}
    </div>
  );
}
