import { useSignal } from '@preact/signals';
import { environments } from '../environments';
import { go } from '../router';
import { actorOf, addFilter, filters, has, KINDS, kindOf, removeFilter, setFilters, toggleFilter } from './filters';
import { me } from './mine';
import { runOf, shown } from './store';

const Chip = ({ on, label, toggle }: { on: boolean; label: string; toggle: () => void }) => (
  <button type="button" class={on ? 'chip on' : 'chip'} aria-pressed={on} onClick={toggle}>
    {label}
  </button>
);

/** What a text that is typed may mean: the likeliest first. */
function meanings(text: string): { label: string; act: () => void }[] {
  if (text === '') return [];
  const number = /^#?([1-9]\d{0,14})$/.exec(text)?.[1];
  const filter = (name: string) => ({ label: `${KINDS[name]?.label}: ${text}`, act: () => addFilter(name, text) });
  const some = (has: (run: NonNullable<ReturnType<typeof runOf>>['value']) => boolean) =>
    shown.peek().some((id) => {
      const run = runOf(id)?.peek();
      return run !== undefined && has(run);
    });
  const likely = [
    ...(some((run) => actorOf(run) === text) ? ['actor'] : []),
    ...(some((run) => run.tags.includes(text)) ? ['tag'] : []),
    ...(environments.value?.some(({ slug }) => slug === text) ? ['environment'] : []),
  ];
  const names = [...new Set([...likely, 'branch', 'actor', 'tag'])];
  return [
    ...(number ? [{ label: `Open run #${number}`, act: () => go(`/runs/${number}`) }] : []),
    ...names.map(filter),
  ];
}

function MoreFilters({ close }: { close: () => void }) {
  const name = useSignal('branch');
  const value = useSignal('');
  const values =
    name.value === 'environment' ? environments.value?.map(({ slug }) => slug) : kindOf(name.value)?.values;
  const add = (event: Event) => {
    event.preventDefault();
    const what = value.value.trim() || values?.[0] || '';
    if (!what) return;
    const [metadata, ...rest] = what.split('=');
    if (name.value === 'metadata') addFilter(`metadata.${metadata?.trim()}`, rest.join('=').trim());
    else addFilter(name.value, what);
    close();
  };
  return (
    <form class="more" onSubmit={add}>
      <select
        aria-label="What to filter by"
        value={name.value}
        onChange={(event) => {
          name.value = event.currentTarget.value;
          value.value = '';
        }}
      >
        {Object.entries(KINDS).map(([key, { label }]) => (
          <option key={key} value={key}>
            {label}
          </option>
        ))}
        <option value="metadata">Metadata</option>
      </select>
      {values ? (
        <select aria-label="Value" onChange={(event) => (value.value = event.currentTarget.value)}>
          {values.map((one) => (
            <option key={one} value={one}>
              {one.replace('_', ' ')}
            </option>
          ))}
        </select>
      ) : name.value.startsWith('created_') ? (
        <input aria-label="Value" required type="date" onInput={(event) => (value.value = event.currentTarget.value)} />
      ) : (
        <input
          aria-label="Value"
          required
          placeholder={name.value === 'metadata' ? 'ci_run_id=8817' : ''}
          onInput={(event) => (value.value = event.currentTarget.value)}
        />
      )}
      <button type="submit">Add</button>
      <button type="button" onClick={close}>
        Cancel
      </button>
    </form>
  );
}

/** The search field and the chips. What is typed narrows the rows at once; Enter makes a filter of it. */
export function Toolbar({ needle }: { needle: { value: string } }) {
  const more = useSignal(false);
  const offered = meanings(needle.value.trim());
  const act = (first: { act: () => void } | undefined) => {
    needle.value = '';
    first?.act();
  };
  const quick: [string, string, string][] = [
    ['open', 'state', 'open'],
    ['mine', 'actor', me.value],
    ['stopped', 'state', 'cancelled'],
    ['failed', 'result', 'failed'],
  ];
  const places = (environments.value ?? [])
    .slice(0, 4)
    .map(({ slug }) => slug)
    .reverse();
  const isQuick = (name: string, value: string) =>
    quick.some(([, n, v]) => n === name && v === value) || (name === 'environment' && places.includes(value));
  return (
    // biome-ignore lint/a11y/useSemanticElements: `search` is younger than some browsers in use
    <div class="toolbar" role="search" aria-label="Runs">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          act(offered[0]);
        }}
      >
        <input
          id="needle"
          type="search"
          autocomplete="off"
          placeholder="Branch, actor, tag, #id"
          aria-label="Filter: branch, actor, tag or number of a run"
          value={needle.value}
          onInput={(event) => {
            needle.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            if (event.key !== 'Escape') return;
            needle.value = '';
            event.currentTarget.blur();
          }}
        />
      </form>
      <div class="chips">
        {offered.length > 0
          ? offered.map(({ label, act: then }, at) => (
              <button key={label} type="button" class="chip" onClick={() => act({ act: then })}>
                {label} {at === 0 && <kbd>⏎</kbd>}
              </button>
            ))
          : [
              ...quick.map(([label, name, value]) => (
                <Chip key={label} label={label} on={has(name, value)} toggle={() => toggleFilter(name, value)} />
              )),
              ...places.map((slug) => (
                <Chip
                  key={`at ${slug}`}
                  label={slug}
                  on={has('environment', slug)}
                  toggle={() => toggleFilter('environment', slug)}
                />
              )),
              ...filters.value
                .filter(({ name, value }) => !isQuick(name, value))
                .map(({ name, value }) => (
                  <button
                    key={`${name}=${value}`}
                    type="button"
                    class="chip on"
                    aria-label={`Remove the filter ${kindOf(name)?.chip(value)}`}
                    onClick={() => removeFilter(name, value)}
                  >
                    {kindOf(name)?.chip(value)} <span aria-hidden="true">✕</span>
                  </button>
                )),
              filters.value.length > 1 && (
                <button key="none" type="button" class="chip" onClick={() => setFilters([])}>
                  clear
                </button>
              ),
              !more.value && (
                <button key="more" type="button" class="chip" onClick={() => (more.value = true)}>
                  + filter
                </button>
              ),
            ]}
      </div>
      {more.value && <MoreFilters close={() => (more.value = false)} />}
    </div>
  );
}
