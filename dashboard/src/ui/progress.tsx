import type { Schemas } from '../api/client';

export type Progress = Schemas['RunProgress'];

/** How far several shards are together. The total is known if each one's is. */
export function together(all: Progress[]): Progress | null {
  if (all.length === 0) return null;
  const add = (name: 'done' | 'failed' | 'flaky' | 'skipped') => all.reduce((sum, one) => sum + one[name], 0);
  const total = all.reduce<number | null>(
    (sum, one) => (sum === null || one.total === null ? null : sum + one.total),
    0,
  );
  const current = all.at(-1)?.current ?? null;
  return { total, done: add('done'), failed: add('failed'), flaky: add('flaky'), skipped: add('skipped'), current };
}

const percent = ({ total, done }: Progress) => (total ? Math.min(100, Math.floor((100 * done) / total)) : null);

const badly = ({ failed, flaky }: Progress) =>
  `${failed ? `, ${failed} failed` : ''}${flaky ? `, ${flaky} flaky` : ''}`;

/** `170 of 412 tests, 2 failed`. */
export const far = (progress: Progress) =>
  `${progress.total ? `${progress.done} of ${progress.total}` : progress.done} tests${badly(progress)}`;

/** `41 %, 2 failed`, or how many where nobody knows of how many. */
export function shortly(progress: Progress): string {
  const share = percent(progress);
  return share === null ? far(progress) : `${share} %${badly(progress)}`;
}

/** A bar; nothing where the total is not known. */
export const Bar = ({ of, label }: { of: Progress; label: string }) =>
  of.total ? (
    <progress
      class={of.failed ? 'bad' : undefined}
      max={of.total}
      value={Math.min(of.done, of.total)}
      aria-label={label}
    />
  ) : null;
