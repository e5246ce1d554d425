import type { Run, Shard } from '../api/client';
import type { Report, Step } from '../live/line';
import { Bar, far, type Progress, together } from '../ui/progress';
import { errorWords, outcomeWords } from '../ui/state';
import { ago, duration, now } from '../ui/time';

const STEPS = { told: 'told to stop', sigint: 'SIGINT', sigterm: 'SIGTERM', sigkill: 'SIGKILL' };

/** What a shard is doing, in a phrase, and whether that needs a look. */
function says(run: Run, shard: Shard, step: Step | undefined): { text: string; title?: string; odd?: boolean } {
  const { stop, lease } = shard;
  if (shard.carried) return { text: 'passed in an earlier attempt' };
  if (shard.late_result) {
    return {
      text: `lost, then ${shard.late_result.result ?? 'broke'}`,
      title: 'What it said after it had been given up',
    };
  }
  if (stop && stop.outcome !== 'stopping') {
    const after = stop.confirmed_at && run.cancel ? Date.parse(stop.confirmed_at) - Date.parse(run.cancel.at) : null;
    const odd = stop.outcome === 'lost';
    return { text: `${outcomeWords(stop.outcome)}${after === null ? '' : ` · ${duration(after)}`}`, odd };
  }
  if (shard.state === 'error') return { text: errorWords(shard.error_code), odd: true };
  if (shard.state === 'ended') {
    return { text: `${shard.result}${shard.counts ? ` · ${shard.counts.total} tests` : ''}` };
  }
  if (step) return { text: `${STEPS[step.step]} ${ago(now.value - Date.parse(step.at))}` };
  if (!lease) return { text: '' };
  const over = now.value - Date.parse(lease.expires_at);
  const title = `The last heartbeat that renewed its lease. Without another, it is presumed gone at ${lease.expires_at}.`;
  if (over > 0) return { text: `silent: its lease ran out ${ago(over)}`, title, odd: true };
  const heard = `heard ${ago(now.value - Date.parse(lease.renewed_at))}`;
  return { text: run.cancel ? `stopping · ${heard}` : heard, title };
}

const toneOf = ({ state, result }: Shard) =>
  state === 'started' ? 'run' : state === 'error' || result === 'failed' ? 'bad' : state === 'ended' ? 'ok' : 'off';

type Reports = ReadonlyMap<number, Report>;

/** How far a shard is: as its runner says it while it runs, and as the record has it otherwise. */
function progressOf(shard: Shard, reports: Reports): Progress | null {
  const heard = shard.state === 'started' ? reports.get(shard.shard) : undefined;
  // One from before the shard was claimed anew is not its own.
  return heard && Date.parse(heard.at) >= Date.parse(shard.started_at) ? heard.progress : shard.progress;
}

/** How far the run is, over all shards of which that is known. */
export const progressOfRun = (run: Run, reports: Reports) =>
  together((run.shards ?? []).flatMap((shard) => progressOf(shard, reports) ?? []));

function Tests({ shard, reports }: { shard: Shard; reports: Reports }) {
  const progress = progressOf(shard, reports);
  if (!progress) return null;
  const now = progress.current && shard.state === 'started' ? `, now: ${progress.current}` : '';
  const text = `${far(progress)}${now}`;
  return (
    <span class="tests">
      <Bar of={progress} label={`Tests of shard ${shard.shard}`} />
      <span class="sub" title={text}>
        {text}
      </span>
    </span>
  );
}

/** The shards side by side, on one scale of time. Those that nobody has claimed have an empty lane. */
export function Lanes({ run, steps, reports }: { run: Run; steps: ReadonlyMap<number, Step>; reports: Reports }) {
  const claimed = new Map((run.shards ?? []).map((shard) => [shard.shard, shard]));
  const from = Date.parse(run.started_at ?? run.created_at);
  const ends = [
    run.ended_at,
    run.stop?.confirmed_at,
    ...(run.shards ?? []).flatMap((s) => [s.ended_at, s.stop?.confirmed_at]),
  ];
  const alive = run.state === 'started' || run.stop?.outcome === 'stopping';
  const last = Math.max(from + 1000, ...ends.map((at) => (at ? Date.parse(at) : 0)), alive ? now.value : 0);
  const share = (ms: number) => `${Math.min(100, Math.max(0, (100 * ms) / (last - from)))}%`;
  return (
    <ul class="lanes">
      {Array.from({ length: run.total_shards }, (_, at) => at + 1).map((number) => {
        const shard = claimed.get(number);
        if (!shard) {
          return (
            <li key={number} class="lane">
              <span>{number}</span>
              <span class="course">
                <span class="track" />
              </span>
              <span class="sub">{run.cancel ? 'never started' : 'waits for a runner'}</span>
            </li>
          );
        }
        const start = Date.parse(shard.started_at);
        const end = shard.ended_at ?? shard.stop?.confirmed_at;
        const until = end ? Date.parse(end) : shard.state === 'started' ? last : start;
        const { text, title, odd } = says(run, shard, steps.get(number));
        return (
          <li key={number} class="lane">
            <span title={`Claimed by ${shard.started_by}`}>
              {number} <span class="sub">{shard.runner}</span>
            </span>
            <span class="course">
              <span class="track">
                <i
                  class={toneOf(shard)}
                  style={{
                    marginInlineStart: share(start - from),
                    width: share(Math.max(until - start, (last - from) / 100)),
                  }}
                />
              </span>
              <Tests shard={shard} reports={reports} />
            </span>
            <span class={odd ? 'sub odd' : 'sub'} title={title}>
              {text}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
