import type { Run } from '../api/client';
import { duration } from './time';

export type Tone = 'run' | 'wait' | 'ok' | 'bad' | 'off';

const ERRORS: Record<string, string> = {
  merge_conflict: 'merge conflict',
  dispatch_failed: 'the runner could not be told to start',
  report_not_generated: 'no report',
  run_failed_with_error: 'the test command failed',
  worker_interrupted: 'the machine went away, or was interrupted',
  merge_reports_failed: 'the reports could not be merged',
};

export const errorWords = (code: string | null | undefined) =>
  code ? (ERRORS[code] ?? code.replaceAll('_', ' ')) : '';

/** Who did it, as people say it. */
export function who(by: string): string {
  if (by === 'system:sweeper') return 'the sweeper';
  if (by === 'system:concurrency') return 'a newer run';
  if (by === 'system:fail-fast') return 'fail-fast';
  return by;
}

const OUTCOMES: Record<string, string> = {
  never_started: 'no tests had started',
  stopping: 'stopping',
  graceful: 'stopped gracefully',
  terminated: 'stopped on SIGTERM',
  killed: 'had to be killed',
  lost: 'runner lost',
};
export const outcomeWords = (outcome: string) => OUTCOMES[outcome] ?? outcome;

/** A run's state in a word, and its colour. Cancelled is neither good nor bad. */
export function stateOf(run: Run): { word: string; tone: Tone } {
  switch (run.state) {
    case 'pending':
      return { word: 'waiting', tone: 'wait' };
    case 'queued':
      return { word: 'queued', tone: 'wait' };
    case 'started':
      return { word: 'running', tone: 'run' };
    case 'ended':
      return run.result === 'failed' ? { word: 'failed', tone: 'bad' } : { word: 'passed', tone: 'ok' };
    case 'error':
      return { word: 'error', tone: 'bad' };
    default:
      return { word: run.stop?.outcome === 'stopping' ? 'stopping' : 'cancelled', tone: 'off' };
  }
}

/** Why it was stopped, in a phrase. */
export function why(run: Pick<Run, 'cancel' | 'superseded_by'>): string {
  if (run.superseded_by) return `#${run.superseded_by} took its place`;
  return run.cancel?.reason ?? 'no reason given';
}

/** How a stop went, in a phrase; nothing while it goes on. */
export function stopWords({ stop }: Pick<Run, 'stop'>): string {
  if (!stop || stop.outcome === 'stopping') return '';
  if (stop.duration_ms === null) return outcomeWords(stop.outcome);
  return `${stop.outcome === 'killed' ? 'killed after' : 'stopped in'} ${duration(stop.duration_ms)}`;
}

/** What there is to say of the state beyond its word. */
export function detail(run: Run): string {
  const { cancel, counts } = run;
  if (cancel) return run.superseded_by ? `superseded by #${run.superseded_by}` : `by ${who(cancel.by)}: ${why(run)}`;
  if (run.state === 'error') return errorWords(run.error_code);
  if (run.state === 'pending') return 'for its turn';
  if (run.state === 'queued') return 'for a runner';
  if (counts && run.result === 'failed') return `${counts.failed} of ${counts.total} failed`;
  if (counts && counts.total > 0) return `${counts.total} tests${counts.flaky ? `, ${counts.flaky} flaky` : ''}`;
  return '';
}

export const State = ({ run }: { run: Run }) => {
  const { word, tone } = stateOf(run);
  return <span class={`st ${tone}${word === 'running' || word === 'stopping' ? ' busy' : ''}`}>{word}</span>;
};

/** How long a run that is over took: from its start to its end or, stopped, until nothing of it was left. */
export function took(run: Run): number | null {
  const from = run.started_at;
  if (!from) return null;
  const end = run.ended_at ?? run.stop?.confirmed_at ?? run.cancel?.at;
  return end ? Date.parse(end) - Date.parse(from) : null;
}
