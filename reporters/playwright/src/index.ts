/** Tells `estop run` how far the tests are and which have failed, and ends the report with who stopped them. */
import { dirname, relative, sep } from 'node:path';
import type {
  FullConfig,
  FullResult,
  Reporter,
  Suite,
  TestCase,
  TestError,
  TestResult,
} from '@playwright/test/reporter';
import { Failures } from './failures';
import { isOver, type Outcome, outcomeOf, wasPassedOver } from './outcome';
import { type Failure, type Line, Progress, ProgressFile } from './progress';
import { stoppedBy } from './stop';
import { lines, oneLine } from './text';

const LONGEST_TITLE = 500;
const LONGEST_FILE = 500;
const LONGEST_MESSAGE = 2000;

/** Playwright says so after `maxFailures` as if it were one more error. */
const ENOUGH_FAILURES = /^Testing stopped early after \d+ maximum allowed failures\.$/;

/** A reporter for Playwright. Outside of `estop run` it does nothing. */
class EstopReporter implements Reporter {
  private readonly tally: Tally | undefined;

  constructor() {
    const path = process.env.ESTOP_PROGRESS;
    this.tally = path ? new Tally(new ProgressFile(path)) : undefined;
  }

  /** Playwright adds a reporter that prints, if the project has no other. */
  printsToStdio(): boolean {
    return false;
  }

  onBegin(config: FullConfig, suite: Suite): void {
    this.tally?.begin(config, suite.allTests());
  }

  onTestBegin(test: TestCase): void {
    this.tally?.testBegins(test);
  }

  onTestEnd(test: TestCase, result: TestResult): void {
    this.tally?.testEnds(test, result);
  }

  onError(error: TestError): void {
    this.tally?.error(error);
  }

  onEnd(result: FullResult): void {
    this.tally?.end(result);
  }

  /** After the ends of all reporters, so that this is the last line of the report. */
  async onExit(): Promise<void> {
    const path = process.env.ESTOP_STOP;
    const line = path && stoppedBy(path);
    if (line) process.stdout.write(`${line}\n`);
  }
}

/** What has become of the tests so far. */
class Tally {
  private config: FullConfig | undefined;
  private tests: TestCase[] = [];
  private readonly outcomes = new Map<string, Outcome>();
  /** Titles of the tests that run, by id, in the order in which they began. */
  private readonly running = new Map<string, string>();
  /** A test was: the run is being stopped, and those that are passed over now did not get their turn. */
  private interrupted = false;
  /** Errors outside of tests, as in a file that cannot be loaded. Each counts as a test that failed. */
  private errors = 0;
  private readonly failures: Failures;
  private readonly progress: Progress;

  constructor(file: ProgressFile) {
    this.failures = new Failures(file);
    this.progress = new Progress(file, () => this.line());
  }

  begin(config: FullConfig, tests: TestCase[]): void {
    this.config = config;
    this.tests = tests;
    this.progress.write();
  }

  testBegins(test: TestCase): void {
    this.running.set(test.id, this.titleOf(test));
    this.progress.changed();
  }

  testEnds(test: TestCase, result: TestResult): void {
    this.running.delete(test.id);
    this.interrupted ||= result.status === 'interrupted';
    // What is done stays done, even if it runs again because another of its serial group has failed.
    const done = isOver(test) && !(this.interrupted && wasPassedOver(test));
    if (done) this.outcomes.set(test.id, outcomeOf(test));
    const told = this.tell(test, result);
    if ((told || (done && outcomeOf(test) === 'failed')) && !this.failures.full) this.progress.write();
    else this.progress.changed();
  }

  error(error: TestError): void {
    const message = lines(error.message ?? error.value ?? '', LONGEST_MESSAGE);
    if (ENOUGH_FAILURES.test(message)) return;
    this.errors++;
    this.failures.add(`error ${this.errors}`, {
      title: oneLine(message.split('\n')[0] || 'an error outside of the tests', LONGEST_TITLE),
      file: error.location ? this.relativeFile(error.location.file) : '',
      ...(error.location && { line: error.location.line }),
      message,
    });
    this.progress.changed();
  }

  end({ status }: FullResult): void {
    this.running.clear();
    const failed = this.tests.filter((test) => outcomeOf(test) === 'failed').length;
    const maxFailures = this.config?.maxFailures ?? 0;
    const brokenOff =
      status === 'interrupted' ||
      status === 'timedout' ||
      (maxFailures > 0 && failed >= maxFailures) ||
      // `--list`, or a global setup that failed.
      this.tests.every(({ results }) => results.length === 0);
    for (const test of this.tests) {
      const outcome = outcomeOf(test);
      // In a whole run those that did not run will not: they depend on a project that failed, or wait for a retry in vain.
      if (outcome !== 'skipped' || !brokenOff) this.outcomes.set(test.id, outcome);
    }
    this.progress.write();
  }

  private line(): Line {
    const of = { success: 0, failed: 0, flaky: 0, skipped: 0 };
    for (const outcome of this.outcomes.values()) of[outcome]++;
    return {
      total: this.tests.length + this.errors,
      done: this.outcomes.size + this.errors,
      failed: of.failed + this.errors,
      flaky: of.flaky,
      skipped: of.skipped,
      current: [...this.running.values()].at(-1) ?? '',
    };
  }

  /** Tells of a failure at once, and takes it back when a retry has passed. Gives whether the failure is a new one. */
  private tell(test: TestCase, result: TestResult): boolean {
    const failure = this.failureOf(test, result);
    if (test.outcome() === 'unexpected') return this.failures.add(test.id, failure);
    this.failures.retract(test.id, failure);
    return false;
  }

  private failureOf(test: TestCase, { status, error }: TestResult): Failure {
    const { file, line } = test.location;
    const message = error?.message ?? error?.value ?? (status === 'passed' ? 'Expected to fail, but passed.' : '');
    return {
      title: this.titleOf(test),
      file: this.relativeFile(file),
      line: error?.location?.file === file ? error.location.line : line,
      message: lines(message, LONGEST_MESSAGE),
    };
  }

  /** As Playwright's own reporters show it, without the file. The project only tells tests apart if there are several. */
  private titleOf(test: TestCase): string {
    const [, project, , ...titles] = test.titlePath();
    if (project && (this.config?.projects.length ?? 0) > 1) titles.unshift(`[${project}]`);
    return oneLine(titles.join(' › '), LONGEST_TITLE);
  }

  /** Relative to the folder of the configuration: `tests/checkout.spec.ts` also where `testDir` is `tests`. */
  private relativeFile(file: string): string {
    const root = this.config?.configFile ? dirname(this.config.configFile) : (this.config?.rootDir ?? process.cwd());
    return oneLine(relative(root, file).replaceAll(sep, '/'), LONGEST_FILE);
  }
}

export default EstopReporter;
