import { useRef } from 'preact/hooks';
import { path } from '../router';
import { filters, setFilters } from './filters';
import { callMe, me } from './mine';

/** Asks what the CI calls this person, for "mine". */
export function CallMe() {
  const name = useRef<HTMLInputElement>(null);
  const send = (event: Event) => {
    event.preventDefault();
    const before = me.peek();
    callMe(name.current?.value.trim() ?? '');
    if (name.current) name.current.value = '';
    // Whoever looks at their runs goes on looking at them.
    const renamed = filters
      .peek()
      .map((f) => (f.name === 'actor' && f.value === before ? { ...f, value: me.peek() } : f));
    if (path.peek() === '/') setFilters(renamed);
  };
  return (
    <form class="inline" onSubmit={send}>
      <label>
        <span>
          Runs by <b>{me.value}</b> are “mine”. Does your CI call you something else?
        </span>
        <input ref={name} autocomplete="off" placeholder="your GitHub name" />
      </label>
      <button type="submit">That is me</button>
    </form>
  );
}
