import type { Run } from '../api/client';
import { errorWords, outcomeWords, who, why } from '../ui/state';
import type { Event } from './store';

export interface Moment {
  at: string;
  what: string;
  more?: string;
  /** The turning points are bold. */
  bold?: boolean;
}

function stopped(run: Run): string {
  if (run.stop?.outcome === 'lost') return 'Given up: a runner was lost, so its tests may have gone on';
  if (run.total_shards > 1) return 'Everything has stopped';
  return `Its tests ${run.stop?.outcome === 'killed' ? 'were killed' : outcomeWords(run.stop?.outcome ?? 'graceful')}`;
}

const shards = (n: number) => (n === 1 ? '' : ` on ${n} machines`);

function ofEvent(event: Event, run: Run): Omit<Moment, 'at'> | null {
  const by = who(event.by);
  switch (event.cause) {
    case 'registered':
      return {
        what: `Registered by ${by}`,
        ...(event.to === 'pending' ? { more: 'It waits until the run before it is over.' } : {}),
      };
    case 'promoted':
      return { what: 'Its turn came' };
    case 'claimed':
      return { what: `Started by ${by}${shards(run.total_shards)}` };
    case 'finished':
      return run.state === 'error'
        ? { what: `Broke: ${errorWords(run.error_code)}`, bold: true }
        : { what: run.result === 'failed' ? 'Failed' : 'Passed', bold: true };
    case 'kill':
      return { what: `${by} ordered to kill what was left`, bold: true };
    case 'stopped':
      return { what: stopped(run), bold: true };
    case 'late_result':
      return { what: 'A lost runner said how its tests had ended', ...(event.reason ? { more: event.reason } : {}) };
    case 'ci_cancelled':
      return { what: 'GitHub was told to cancel its workflow run', ...(event.reason ? { more: event.reason } : {}) };
    default:
      if (event.to !== 'cancelled') return { what: `${event.cause} by ${by}` };
      return { what: `Cancelled by ${by}`, more: why(run), bold: true };
  }
}

/** What happened to a run, in order: its events, and what its shards tell beyond them. */
export function timeline(run: Run, events: Event[]): Moment[] {
  const moments: Moment[] = [];
  for (const event of events) {
    const moment = ofEvent(event, run);
    if (moment) moments.push({ at: event.at, ...moment });
  }
  for (const shard of run.shards ?? []) {
    // The only shard begins and ends with its run, which has events of its own.
    if (shard.carried || run.total_shards === 1) continue;
    const name = `Shard ${shard.shard}`;
    if (shard.stop?.confirmed_at)
      moments.push({ at: shard.stop.confirmed_at, what: `${name} ${outcomeWords(shard.stop.outcome)}` });
    moments.push({ at: shard.started_at, what: `${name} claimed${shard.runner ? ` by ${shard.runner}` : ''}` });
    if (shard.ended_at) {
      moments.push({
        at: shard.ended_at,
        what: `${name} ${shard.state === 'error' ? `broke: ${errorWords(shard.error_code)}` : shard.result}`,
      });
    }
  }
  // Of one moment, the events come first: they are the cause.
  return moments
    .map((moment, order) => ({ moment, order }))
    .sort((a, b) => Date.parse(a.moment.at) - Date.parse(b.moment.at) || a.order - b.order)
    .map(({ moment }) => moment);
}
