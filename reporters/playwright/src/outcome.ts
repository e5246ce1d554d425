import type { TestCase } from '@playwright/test/reporter';

export type Outcome = 'success' | 'failed' | 'flaky' | 'skipped';

const OUTCOMES = { expected: 'success', unexpected: 'failed', flaky: 'flaky', skipped: 'skipped' } as const;

/** What has become of a test once an attempt is over. Undefined if it was interrupted, or will probably run again. */
export function outcomeSoFar(test: TestCase): Outcome | undefined {
  const last = test.results.at(-1);
  if (!last || last.status === 'interrupted') return undefined;
  const outcome = OUTCOMES[test.outcome()];
  // The tests of a serial group are passed over after one that failed, and run again with it.
  const passedOver = outcome === 'skipped' && test.expectedStatus !== 'skipped';
  const retriesLeft = test.results.length <= test.retries;
  return (outcome === 'failed' || passedOver) && retriesLeft ? undefined : outcome;
}

/**
 * What has become of a test at the end of the run. A test that never ran, as those of a project whose dependency failed,
 * was skipped; but undefined if the run was broken off before its turn.
 */
export function outcomeInTheEnd(test: TestCase, brokenOff: boolean): Outcome | undefined {
  const ran = test.results.some(({ status }) => status !== 'interrupted');
  return ran || !brokenOff ? OUTCOMES[test.outcome()] : undefined;
}
