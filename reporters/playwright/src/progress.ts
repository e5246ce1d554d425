import { closeSync, constants, openSync, writeSync } from 'node:fs';

/** How far the tests are: whole numbers since the start. Success is what of `done` is nothing else. */
export interface Counts {
  total: number;
  done: number;
  failed: number;
  flaky: number;
  skipped: number;
  /** The title of the test that runs, or of the last of several that began. Empty if none does. */
  current: string;
}

export interface Failure {
  title: string;
  file: string;
  line?: number;
  message?: string;
  /** It passed after all. */
  retracted?: true;
}

export type Line = Counts | { failure: Failure };

/** Between two lines about progress, so that the file grows with time and not with the number of tests. */
const INTERVAL_MS = 500;

/** The file that `ESTOP_PROGRESS` names: `estop run` made it, and reads the lines of JSON that are appended. */
export class ProgressFile {
  private failed = false;

  constructor(private readonly path: string) {}

  /** One write a line, as other processes may append, too. A file that cannot be written must not fail the tests. */
  append(line: Line): void {
    if (this.failed) return;
    try {
      const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
      // Without O_CREAT: if the file is gone, nobody reads it any more.
      const file = openSync(this.path, constants.O_WRONLY | constants.O_APPEND);
      try {
        const written = writeSync(file, bytes);
        if (written < bytes.length) throw new Error(`${written} of ${bytes.length} bytes were written`);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      this.failed = true;
      const reason = error instanceof Error ? error.message : String(error);
      process.stderr.write(`estop: progress cannot be reported, the tests go on without (${reason})\n`);
    }
  }
}

/** Writes how the tests stand, no more often than every 500 ms. */
export class Progress {
  private last = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly file: ProgressFile,
    private readonly state: () => Line,
  ) {}

  /** Something is new. */
  changed(): void {
    if (this.timer) return;
    const wait = this.last + INTERVAL_MS - performance.now();
    if (wait <= 0) this.write();
    else this.timer = setTimeout(() => this.write(), wait).unref();
  }

  /** Something is new that cannot wait. */
  write(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.last = performance.now();
    this.file.append(this.state());
  }
}
