import type { Run } from '../api/client';
import type { Step } from '../live/line';

const STEPS = ['told', 'sigint', 'sigterm', 'sigkill'] as const;
const NAMES = { told: 'told', sigint: 'SIGINT', sigterm: 'SIGTERM', sigkill: 'SIGKILL' };

/** How far a stop got that ended like this. Of a runner that was lost only what it said itself is known. */
const IMPLIED: Record<string, number> = { graceful: 1, terminated: 2, killed: 3 };

const LOOKS: Record<string, string> = { 'not needed': 'spared', 'not heard yet': 'unheard' };

/** The stop, step by step: as its runners say it while it goes on, and as its outcome implies afterwards. */
export function Stopping({ run, steps }: { run: Run; steps: ReadonlyMap<number, Step> }) {
  const outcome = run.stop?.outcome;
  if (!run.cancel || !outcome || outcome === 'never_started') return null;
  const over = outcome !== 'stopping';
  const heard = [...steps.values()].map(({ step }) => STEPS.indexOf(step));
  const stopped = (run.shards ?? []).map(({ stop }) => IMPLIED[stop?.outcome ?? ''] ?? -1);
  const furthest = Math.max(IMPLIED[outcome] ?? -1, ...heard, ...stopped);
  // The steps are told as they happen, and to nobody who comes later.
  const later = outcome === 'lost' ? 'unknown' : over ? 'not needed' : heard.length > 0 ? 'not yet' : 'not heard yet';
  const items = [
    { name: 'cancelled', state: 'done' },
    ...STEPS.map((step, at) => ({ name: NAMES[step], state: at <= furthest ? 'done' : later })),
    { name: outcome === 'lost' ? 'lost' : 'confirmed', state: over ? 'done' : 'not yet' },
  ];
  return (
    <ol class="steps" aria-label="The stop, step by step">
      {items.map(({ name, state }) => (
        <li key={name} class={LOOKS[state] ?? state} title={state} aria-label={`${name}: ${state}`}>
          {name}
        </li>
      ))}
    </ol>
  );
}
