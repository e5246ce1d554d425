import { computed, signal } from '@preact/signals';
import type { Run } from '../api/client';
import { actorOf } from './filters';
import { runOf, shown } from './store';

/** What is typed into the search field. */
export const needle = signal('');

const says = (run: Run, text: string) =>
  [`#${run.id}`, run.test_run_branch, actorOf(run), run.created_by, run.environment.slug, ...run.tags].some((part) =>
    part?.toLowerCase().includes(text),
  );

/** The rows that what is typed leaves: those that one sees, and nothing else may be selected. */
export const rows = computed(() => {
  const text = needle.value.trim().toLowerCase();
  if (text === '') return shown.value;
  return shown.value.filter((id) => {
    const run = runOf(id)?.peek();
    return run !== undefined && says(run, text);
  });
});
