import { signal } from '@preact/signals';
import { whenAnother } from '../session';
import { isOpen } from './filters';
import { rows } from './search';
import { runOf } from './store';

/** The runs that are selected: of those, "Stop" is asked for at once. */
export const selected = signal<ReadonlySet<number>>(new Set());
/** The row that the keyboard is at. */
export const cursor = signal<number | null>(null);

/** Where a range that Shift extends began. */
let anchor: number | null = null;

export const select = (ids: Iterable<number>) => {
  selected.value = new Set(ids);
};

export const clear = () => {
  anchor = null;
  select([]);
};

/** Selects a run or, with Shift, all from the one before to this one. */
export function toggle(id: number, rows: readonly number[], extend: boolean) {
  const next = new Set(selected.peek());
  const from = extend && anchor !== null ? rows.indexOf(anchor) : -1;
  const to = rows.indexOf(id);
  if (from >= 0 && to >= 0) {
    for (const between of rows.slice(Math.min(from, to), Math.max(from, to) + 1)) {
      const run = runOf(between)?.peek();
      if (run && isOpen(run)) next.add(between);
    }
  } else if (!next.delete(id)) next.add(id);
  anchor = id;
  select(next);
}

/** Selects the rows that can be stopped or, if any is selected, none. */
export function toggleAll() {
  if (selected.peek().size > 0) return clear();
  select(
    rows.peek().filter((id) => {
      const run = runOf(id)?.peek();
      return run && isOpen(run);
    }),
  );
}

whenAnother(clear);
