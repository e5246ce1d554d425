import type { TestCase } from '@playwright/test/reporter';

export type Outcome = 'success' | 'failed' | 'flaky' | 'skipped';

const OUTCOMES = { expected: 'success', unexpected: 'failed', flaky: 'flaky', skipped: 'skipped' } as const;

/** What has become of a test, by all its attempts. One that has not run at all is skipped. */
export function outcomeOf(test: TestCase): Outcome {
  return OUTCOMES[test.outcome()];
}

/** Whether it was skipped although it should run: another of its serial group failed, or its `beforeAll` did. */
export function wasPassedOver(test: TestCase): boolean {
  return outcomeOf(test) === 'skipped' && test.expectedStatus !== 'skipped';
}

/** Whether an attempt has been its last. Playwright runs a test that was passed over again, with the one that failed. */
export function isOver(test: TestCase): boolean {
  const interrupted = test.results.at(-1)?.status === 'interrupted';
  const retriesLeft = test.results.length <= test.retries;
  return !interrupted && !(retriesLeft && (outcomeOf(test) === 'failed' || wasPassedOver(test)));
}
