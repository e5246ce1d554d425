import type { Failure, ProgressFile } from './progress';

/** From then on only the counts tell of more: nobody reads so long a list, and the file must not grow without end. */
const MOST_FAILURES = 1000;

/** The tests that have failed and not passed since. */
export class Failures {
  /** Who fails, by title and file, as tests that are repeated have the same: only the first and the last are told of. */
  private readonly failing = new Map<string, Set<string>>();
  private told = 0;

  constructor(private readonly file: ProgressFile) {}

  /** Gives whether this is new. */
  add(id: string, failure: Failure): boolean {
    const key = keyOf(failure);
    const others = this.failing.get(key);
    if (others) {
      others.add(id);
      return false;
    }
    if (this.full) return false;
    this.told++;
    this.failing.set(key, new Set([id]));
    this.file.append({ failure });
    return true;
  }

  get full(): boolean {
    return this.told >= MOST_FAILURES;
  }

  /** It has passed. */
  retract(id: string, { title, file }: Failure): void {
    const key = keyOf({ title, file });
    const all = this.failing.get(key);
    if (!all?.delete(id) || all.size > 0) return;
    this.failing.delete(key);
    this.file.append({ failure: { title, file, retracted: true } });
  }
}

function keyOf({ title, file }: Failure): string {
  return `${file}\n${title}`;
}
