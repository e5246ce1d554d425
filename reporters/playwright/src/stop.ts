import { readFileSync } from 'node:fs';
import { oneLine } from './text';

const LONGEST = 500;

/** Who stopped the run, and why: `estop run` writes it to the file that `ESTOP_STOP` names before it sends SIGINT. */
export function stoppedBy(path: string): string | undefined {
  let stop: { by?: unknown; reason?: unknown } | null;
  try {
    stop = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    // Nobody stopped it.
    return undefined;
  }
  if (typeof stop?.by !== 'string') return undefined;
  const by = oneLine(stop.by, LONGEST);
  const reason = typeof stop.reason === 'string' ? oneLine(stop.reason, LONGEST) : '';
  return reason ? `stopped by ${by}: ${reason}` : `stopped by ${by}`;
}
